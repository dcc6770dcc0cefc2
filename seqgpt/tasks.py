"""The two atomic tasks to which every language-understanding task is reduced: extraction and classification.

A task is a fixed instruction with an arbitrary label set. It shows what a model reads (:meth:`AtomicTask.prompt`),
what it should write (:meth:`AtomicTask.answer`) and what that means (:meth:`AtomicTask.parse`). How these look is a
matter of the template (:mod:`seqgpt.templates`).

Source: the two atomic tasks of SeqGPT (arXiv 2308.10529, section 3).
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from seqgpt.about import About, AboutLike, about_to_json, as_about, wording
from seqgpt.errors import DataError, LabelError, did_you_mean, shown
from seqgpt.texts import check_text, half_surrogate

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
        labels: The label set, in the order of the results.
        descriptions: A description for some or all labels; empty if there are none.
        multi_label: Classification only: several labels may hold, each answered by itself.
        none: Single-label classification only: "none of these" is an answer.
        name: The key of this task's result when several tasks are asked at once.
        about: What is asked about, where it is not the whole text: words, or places in the text.
    """

    kind: TaskKind
    labels: tuple[str, ...]
    descriptions: Mapping[str, str] = field(default_factory=dict, hash=False)
    multi_label: bool = False
    none: bool = False
    name: str = ""
    about: tuple[About, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("extract", "classify"):
            raise LabelError(f"unknown task {self.kind!r}: use 'extract' or 'classify'.")
        object.__setattr__(self, "labels", _checked_labels(self.labels))
        object.__setattr__(self, "descriptions", _checked_descriptions(self.descriptions))
        object.__setattr__(self, "about", as_about(self.about))
        for label in self.descriptions:
            self.require(label)
        if self.kind == "extract" and (self.multi_label or self.none):
            raise LabelError("multi_label and none belong to classification: leave them out for extraction.")
        if self.multi_label and self.none:
            raise LabelError("in a multi-label task no label need hold anyway: leave none=True out.")
        if half_surrogate(str(self.name)) is not None:
            raise LabelError(
                f"name {shown(self.name)} has half of a surrogate pair: decode it with errors='replace' first."
            )
        if not self.name:
            object.__setattr__(self, "name", self.kind)

    @classmethod
    def extract(cls, labels: Labels, *, about: AboutLike | Iterable[AboutLike] = (), name: str = "") -> AtomicTask:
        """Ask for all spans that answer each label: a type, a description or a question.

        Args:
            labels: A list of labels, or ``{label: description}``.
            about: What the labels ask about, such as the person whose ``"employer"`` is looked for: words or a span,
                or several.
            name: The key of the result when several tasks are asked at once.

        Raises:
            LabelError: If a label is empty or repeated.

        >>> AtomicTask.extract(["person", "place"]).labels
        ('person', 'place')
        >>> AtomicTask.extract(["employer", "birthplace"], about="Ada Lovelace")
        AtomicTask.extract(['employer', 'birthplace'], about=['Ada Lovelace'])
        """
        return cls("extract", *_split_labels(labels), name=name, about=as_about(about))

    @classmethod
    def classify(
        cls,
        labels: Labels,
        *,
        multi_label: bool = False,
        none: bool = False,
        about: AboutLike | Iterable[AboutLike] = (),
        name: str = "",
    ) -> AtomicTask:
        """Ask which labels hold for the whole text, or for what is asked about.

        Args:
            labels: A list of labels, or ``{label: description}``.
            multi_label: Several labels may hold, or none; each is answered by itself.
            none: Single-label only: "none of these" is an answer.
            about: What is classified, given the text: an aspect, a mention, two mentions, a second sentence, a
                question that the labels answer.
            name: The key of the result when several tasks are asked at once.

        Raises:
            LabelError: If a label is empty or repeated.

        >>> AtomicTask.classify(["good", "bad"], about="battery life").about
        ('battery life',)
        >>> AtomicTask.classify({"praise": "the writer is pleased", "complaint": "something went wrong"}).labels
        ('praise', 'complaint')
        """
        return cls("classify", *_split_labels(labels), multi_label, none, name, as_about(about))

    def prompt(self, text: str, *, template: str | None = None) -> Rendered:
        """Show what the model reads of text and task: a string, whose ``pieces`` tell structure from words.

        In the library's own template each label follows by itself, as the words with which its part of the answer
        begins: see :meth:`answer`.

        Raises:
            TextError: If the text is empty.
            LabelError: If the template cannot write a label.
            GroundingError: If the task is about a place that is not in the text.
        """
        check_text(text)
        return _template(template).prompt(self, text)

    def answer(self, gold: Gold, text: str | None = None, *, template: str | None = None) -> Rendered:
        """Show what the model should write for a gold answer.

        Args:
            gold: For extraction ``{label: [span, …]}``, where a span is a string or ``{"text": …, "start": …}``; for
                classification a list of labels, or one label. A result (``Extraction``, ``Classification``) is gold
                too.
            text: The text in which the spans stand. Without it, spans are taken as unrepeated strings.
            template: The answer language; the library's own by default.

        Raises:
            LabelError: If a label was not asked, or the template cannot write it.
            GroundingError: If a span is not in the text, or the template cannot write it.
        """
        return _template(template).answer(self, gold, text)

    def parse(self, answer: str, text: str, *, template: str | None = None) -> Result:
        """Say what an answer means: an ``Extraction`` grounded in the text, or a ``Classification``.

        Raises:
            AnswerError: If the answer is not of the template's language (the library's own is read strictly, the
                released model's leniently, with warnings in the result).
            LabelError: If the answer speaks of a label that was not asked.
            GroundingError: If a span of the answer is not in the text.
        """
        check_text(text)
        return _template(template).parse(self, answer, text)

    def steps(self, text: str) -> Generator[Sequence[AtomicTask], Sequence[Result], Result]:
        """Ask this task alone: it is the trivial one of :mod:`seqgpt.composite`."""
        (result,) = yield [self]
        return result

    @property
    def single_label(self) -> bool:
        """Whether labels exclude one another: all of them have one answer together, not one each."""
        return self.kind == "classify" and not self.multi_label

    @cached_property
    def _asked(self) -> frozenset[str]:
        return frozenset(self.labels)

    def require(self, label: str) -> None:
        """Raise a ``LabelError`` unless ``label`` was asked."""
        if not isinstance(label, str) or label not in self._asked:
            raise LabelError(
                f"label {shown(label)} is not among the task's labels {_brief(self.labels)}."
                f"{did_you_mean(str(label), self.labels)} Ask for it, or correct the name."
            )

    def with_labels(self, labels: Sequence[str]) -> AtomicTask:
        """Return the same task over another choice or order of its labels.

        Raises:
            LabelError: If a label was not asked, or is given twice.
        """
        for label in labels:
            self.require(label)
        kept = {label: self.descriptions[label] for label in labels if label in self.descriptions}
        return replace(self, labels=tuple(labels), descriptions=kept)

    def without_descriptions(self) -> AtomicTask:
        """Return the same task without what its labels mean."""
        return replace(self, descriptions={}) if self.descriptions else self

    def to_dict(self) -> dict[str, Any]:
        """Return the task as plain JSON values, the defaults left out."""
        labels: Any = list(self.labels)
        if self.descriptions:
            labels = {label: self.descriptions.get(label, "") for label in self.labels}
        record: dict[str, Any] = {"task": self.kind, "labels": labels}
        for key in ("multi_label", "none"):
            if getattr(self, key):
                record[key] = True
        if self.about:
            record["about"] = about_to_json(self.about)
        if self.name != self.kind:
            record["name"] = self.name
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> AtomicTask:
        """Rebuild a task from ``to_dict``; other keys of the record are not looked at.

        Raises:
            DataError: If a key is missing, or a flag is not true or false.
            LabelError: If the task or its labels are wrong.
        """
        for key in ("task", "labels"):
            if key not in record:
                raise DataError(f"key {key!r} is missing: a task needs task and labels.")
        for key in ("multi_label", "none"):
            if not isinstance(record.get(key, False), bool):
                raise DataError(f"{key} is {record[key]!r}: write true or false.")
        name = record.get("name", "")
        if not isinstance(name, str):
            raise DataError(f"the name of a task must be a string, not {name!r}: write it in quotes.")
        flags = {key: record.get(key, False) for key in ("multi_label", "none")}
        about = as_about(record.get("about") or ())
        return cls(record["task"], *_split_labels(record["labels"]), **flags, name=name, about=about)

    def __repr__(self) -> str:
        options = [f"{key}=True" for key in ("multi_label", "none") if getattr(self, key)]
        if self.about:
            options.append(f"about={[wording(one) for one in self.about]}")
        if self.name != self.kind:
            options.append(f"name={self.name!r}")
        return f"AtomicTask.{self.kind}({', '.join([_brief(self.labels), *options])})"


def _template(name: str | None) -> Template:
    from seqgpt.templates import get_template  # here: a template renders tasks, so it must import this file

    return get_template(name)


def _split_labels(labels: object) -> tuple[tuple[str, ...], Mapping[str, str]]:
    if isinstance(labels, Mapping):
        return tuple(labels), labels
    return _as_tuple(labels), {}


def _as_tuple(labels: object) -> tuple[str, ...]:
    if isinstance(labels, str):
        raise LabelError(f"labels must be a list or a dict, not the string {shown(labels)}: write [{shown(labels)}].")
    if isinstance(labels, (bytes, set, frozenset)) or not isinstance(labels, Iterable):
        raise LabelError(f"labels must be a list or a dict, not {shown(labels)}: put them in a list, in order.")
    return tuple(labels)


def _checked_labels(labels: object) -> tuple[str, ...]:
    checked = _as_tuple(labels)
    if not checked:
        raise LabelError("there are no labels: give at least one.")
    seen: set[str] = set()
    for label in checked:
        if not isinstance(label, str):
            raise LabelError(f"a label must be a string, not {shown(label)}: write it in words.")
        if not label.strip():
            raise LabelError("a label is empty: name what you ask for.")
        if label in seen:
            raise LabelError(f"label {shown(label)} is given twice: give each label once.")
        if half_surrogate(label) is not None:
            raise LabelError(
                f"label {shown(label)} has half of a surrogate pair: decode it with errors='replace' first."
            )
        seen.add(label)
    return checked


def _checked_descriptions(descriptions: Mapping[str, object]) -> dict[str, str]:
    checked: dict[str, str] = {}
    for label, words in descriptions.items():
        if words is None or (isinstance(words, str) and not words.strip()):
            continue
        if not isinstance(words, str):
            raise LabelError(
                f"the description of {shown(label)} must be a string, not {shown(words)}: write it in words."
            )
        if half_surrogate(words) is not None:
            raise LabelError(
                f"the description of {shown(label)} has half of a surrogate pair: "
                "decode it with errors='replace' first."
            )
        checked[label] = words
    return checked


def _brief(labels: Sequence[str], most: int = 8) -> str:
    first = ", ".join(shown(label) for label in labels[:most])
    return f"[{first}{f', … {len(labels) - most} more' if len(labels) > most else ''}]"
