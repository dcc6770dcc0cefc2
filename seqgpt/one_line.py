"""``seqgpt.predict``: a prediction in one line, with a model that is opened at the first call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Unpack, overload

from seqgpt.errors import ModelError
from seqgpt.model import SeqGPT
from seqgpt.model_files import SETTINGS_FILE, expand, stamp
from seqgpt.options import OptionKeywords, TaskLike, Tasks
from seqgpt.results import Extraction, Result
from seqgpt.tasks import AtomicTask, Labels

_Where = str | Path | None


@overload
def predict(text: str, task: Labels, *, model: _Where = ..., **options: Unpack[OptionKeywords]) -> Extraction: ...  # type: ignore[overload-overlap]
@overload
def predict(text: str, task: AtomicTask, *, model: _Where = ..., **options: Unpack[OptionKeywords]) -> Result: ...  # type: ignore[overload-overlap]
@overload
def predict(text: str, task: Tasks, *, model: _Where = ..., **options: Unpack[OptionKeywords]) -> dict[str, Result]: ...  # type: ignore[overload-overlap]
@overload
def predict(
    text: Sequence[str], task: Labels, *, model: _Where = ..., **options: Unpack[OptionKeywords]
) -> list[Extraction]: ...
@overload
def predict(
    text: Sequence[str], task: AtomicTask, *, model: _Where = ..., **options: Unpack[OptionKeywords]
) -> list[Result]: ...
@overload
def predict(
    text: Sequence[str], task: Tasks, *, model: _Where = ..., **options: Unpack[OptionKeywords]
) -> list[dict[str, Result]]: ...
def predict(
    text: str | Sequence[str], task: TaskLike | Tasks, *, model: _Where = None, **options: Unpack[OptionKeywords]
) -> Any:
    """Answer one or more tasks on one or more texts; the model stays open until another one is asked.

    Args:
        text: A text, or a list of texts.
        task: A task; a list of labels, which asks for extraction; or several tasks, as a list or ``{name: task}``.
        model: A folder or hub id; by default ``SEQGPT_MODEL``, or the model that ``make demo`` trained.
        options: As in :meth:`SeqGPT.predict`.

    Returns:
        What :meth:`SeqGPT.predict` returns.
    """
    named = model or default_model_path()
    folder = expand(named)
    opened = _open(folder.resolve() if folder.exists() else named, stamp(folder))
    ask: Any = opened.predict  # mypy tries too few of the combinations
    return ask(text, task, **options)


@lru_cache(maxsize=1)
def _open(path_or_id: str | Path, _stamp: object) -> SeqGPT:
    """Open a model, or return the one that is open; another stamp means that it was saved again since."""
    return SeqGPT.from_pretrained(path_or_id)


def default_model_path() -> str:
    """Return the model to use where none is named: ``SEQGPT_MODEL``, or else the one that ``make demo`` trained.

    Raises:
        ModelError: If there is neither.
    """
    named = os.environ.get("SEQGPT_MODEL")
    if named:
        return named
    demo = Path("runs/demo")
    if (demo / SETTINGS_FILE).is_file():
        return str(demo)
    raise ModelError(
        "no model is named: pass one (--model on the command line), set SEQGPT_MODEL to its folder, or train one here "
        "with `make demo`."
    )
