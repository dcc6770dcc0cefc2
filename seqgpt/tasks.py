"""The two atomic tasks to which every language-understanding task is reduced: extraction and classification.

A task is a fixed instruction with an arbitrary label set. It shows what a model reads (:meth:`AtomicTask.prompt`),
what it should write (:meth:`AtomicTask.answer`) and what that means (:meth:`AtomicTask.parse`). How these look is a
matter of the template (:mod:`seqgpt.templates`).

Source: the two atomic tasks of SeqGPT (arXiv 2308.10529, section 3).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from seqgpt.errors import LabelError, TextError, did_you_mean

if TYPE_CHECKING:
    from seqgpt.rendered import Rendered
    from seqgpt.results import Result
    from seqgpt.templates import Gold, Template

TaskKind = Literal["extract", "classify"]
Labels = Sequence[str] | Mapping[str, str]


@dataclass(frozen=True)
class AtomicTask:
    """A question to a text: which of these labels hold (classify), or which spans answer each label (extract).

    Build one with :meth:`extract` or :meth:`classify`.

    Attributes:
        kind: ``"extract"`` or ``"classify"``.
        labels: The label set, in the order in which it is shown to the model.
        descriptions: A description for some or all labels; empty if there are none.
        multi_label: Classification only: several labels may hold, each answered by itself.
        none: Single-label classification only: "none of these" is an answer.
        name: The key of this task's result when several tasks are asked at once.
    """

    kind: TaskKind
    labels: tuple[str, ...]
    descriptions: Mapping[str, str] = field(default_factory=dict, hash=False)
    multi_label: bool = False
    none: bool = False
    name: str = ""

    def __post_init__(self) -> None:
        if self.kind not in ("extract", "classify"):
            raise LabelError(f"unknown task {self.kind!r}: use 'extract' or 'classify'.")
        _check_labels(self.labels)
        for label in self.descriptions:
            self.require(label)
        if self.kind == "extract" and (self.multi_label or self.none):
            raise LabelError("multi_label and none belong to classification: leave them out for extraction.")
        if self.multi_label and self.none:
            raise LabelError("in a multi-label task no label need hold anyway: leave none=True out.")
        if not self.name:
            object.__setattr__(self, "name", self.kind)

    @classmethod
    def extract(cls, labels: Labels, *, name: str = "") -> AtomicTask:
        """Ask for all spans that answer each label: a type, a description or a question.

        Args:
            labels: A list of labels, or ``{label: description}``.
            name: The key of the result when several tasks are asked at once.

        Raises:
            LabelError: If a label is empty or repeated.

        >>> AtomicTask.extract(["person", "place"]).labels
        ('person', 'place')
        """
        return cls("extract", *_split_labels(labels), name=name)

    @classmethod
    def classify(cls, labels: Labels, *, multi_label: bool = False, none: bool = False, name: str = "") -> AtomicTask:
        """Ask which labels hold for the whole text.

        Args:
            labels: A list of labels, or ``{label: description}``.
            multi_label: Several labels may hold, or none; each is answered by itself.
            none: Single-label only: "none of these" is an answer.
            name: The key of the result when several tasks are asked at once.

        Raises:
            LabelError: If a label is empty or repeated.

        >>> AtomicTask.classify({"praise": "the writer is pleased", "complaint": "something went wrong"}).labels
        ('praise', 'complaint')
        """
        return cls("classify", *_split_labels(labels), multi_label=multi_label, none=none, name=name)

    def prompt(self, text: str, *, template: str | None = None) -> Rendered:
        """Show exactly what the model reads: a string, whose ``pieces`` tell structure from words.

        Raises:
            TextError: If the text is empty.
            LabelError: If the template cannot write a label.
        """
        check_text(text)
        return _template(template).prompt(self, text)

    def answer(self, gold: Gold, text: str | None = None, *, template: str | None = None) -> Rendered:
        """Show what the model should write for a gold answer.

        Args:
            gold: For extraction ``{label: [span, …]}``, where a span is a string or ``{"text": …, "start": …}``; for
                classification a list of labels, or one label. A result (``Extraction``, ``Classification``) is gold too.
            text: The text in which the spans stand. Without it, spans are taken as unrepeated strings.
            template: The answer language; the library's own by default.

        Raises:
            LabelError: If a label was not asked, or the template cannot write it.
            GroundingError: If a span is not in the text.
        """
        return _template(template).answer(self, gold, text)

    def parse(self, answer: str, text: str, *, template: str | None = None) -> Result:
        """Say what an answer means: an ``Extraction`` grounded in the text, or a ``Classification``.

        Raises:
            AnswerError: If the answer is not of the template's language (the library's own is read strictly, the
                released model's leniently, with warnings in the result).
        """
        check_text(text)
        return _template(template).parse(self, answer, text)

    def require(self, label: str) -> None:
        """Raise a ``LabelError`` unless ``label`` was asked."""
        if label not in self.labels:
            raise LabelError(
                f"label {label!r} is not among the task's labels {_brief(self.labels)}."
                f"{did_you_mean(str(label), self.labels)} Ask for it, or correct the name."
            )

    def with_labels(self, labels: Sequence[str]) -> AtomicTask:
        """Return the same task over another choice or order of its labels."""
        kept = {label: text for label, text in self.descriptions.items() if label in labels}
        return AtomicTask(self.kind, tuple(labels), kept, self.multi_label, self.none, self.name)

    def to_dict(self) -> dict[str, Any]:
        """Return the task as plain JSON values, the defaults left out."""
        labels: Any = list(self.labels)
        if self.descriptions:
            labels = {label: self.descriptions.get(label, "") for label in self.labels}
        record: dict[str, Any] = {"task": self.kind, "labels": labels}
        for key in ("multi_label", "none"):
            if getattr(self, key):
                record[key] = True
        if self.name != self.kind:
            record["name"] = self.name
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> AtomicTask:
        """Rebuild a task from ``to_dict``."""
        options = {key: record[key] for key in ("multi_label", "none", "name") if key in record}
        return cls(record["task"], *_split_labels(record["labels"]), **options)

    def __repr__(self) -> str:
        options = [f"{key}=True" for key in ("multi_label", "none") if getattr(self, key)]
        if self.name != self.kind:
            options.append(f"name={self.name!r}")
        return f"AtomicTask.{self.kind}({', '.join([_brief(self.labels), *options])})"


def check_text(text: object) -> str:
    """Return ``text`` if it is a non-empty string that UTF-8 can write; raise a ``TextError`` otherwise."""
    if not isinstance(text, str):
        raise TextError(f"a text must be a string, not {type(text).__name__}: pass str, or a list of str for several.")
    if not text.strip():
        raise TextError("the text is empty: give at least one character that is not white space.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise TextError(
            f"the text has half of a surrogate pair at {error.start}: decode it with errors='replace' first."
        ) from None
    return text


def _template(name: str | None) -> Template:
    from seqgpt.templates import get_template  # here: a template renders tasks, so it must import this file

    return get_template(name)


def _split_labels(labels: Labels) -> tuple[tuple[str, ...], dict[str, str]]:
    if isinstance(labels, str):
        raise LabelError(f"labels must be a list or a dict, not the string {labels!r}: write [{labels!r}].")
    if isinstance(labels, Mapping):
        described = labels
        return tuple(described), {label: text for label, text in described.items() if text}
    return tuple(labels), {}


def _check_labels(labels: Iterable[object]) -> None:
    seen: set[str] = set()
    for label in labels:
        if not isinstance(label, str):
            raise LabelError(f"a label must be a string, not {label!r}: write it in words.")
        if not label.strip():
            raise LabelError("a label is empty: name what you ask for.")
        if label in seen:
            raise LabelError(f"label {label!r} is given twice: give each label once.")
        check_text(label)
        seen.add(label)
    if not seen:
        raise LabelError("there are no labels: give at least one.")


def _brief(labels: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(repr(label) for label in labels[:most])
    return f"[{shown}{f', … {len(labels) - most} more' if len(labels) > most else ''}]"
