"""Answer languages: how a task is written for a model, and how its answer is read.

A model is trained on one template, so a template is versioned and saved by name with the model; a change of wording
is a new template, never an edit.
"""

from seqgpt.errors import ModelError, did_you_mean
from seqgpt.templates.base import Gold, Template
from seqgpt.templates.marks import MarksTemplate
from seqgpt.templates.released import ReleasedTemplate

DEFAULT_TEMPLATE = MarksTemplate.name
_TEMPLATES: dict[str, Template] = {t.name: t for t in (MarksTemplate(), ReleasedTemplate())}

__all__ = ["DEFAULT_TEMPLATE", "Gold", "MarksTemplate", "ReleasedTemplate", "Template", "get_template"]


def get_template(name: str | None = None) -> Template:
    """Return a template by name; the library's own by default.

    Raises:
        ModelError: If there is no template of that name.
    """
    name = name or DEFAULT_TEMPLATE
    if name not in _TEMPLATES:
        raise ModelError(
            f"unknown template {name!r}: this version of seqgpt knows {', '.join(_TEMPLATES)}."
            f"{did_you_mean(name, _TEMPLATES)} Use one of them."
        )
    return _TEMPLATES[name]
