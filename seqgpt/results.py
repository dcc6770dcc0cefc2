"""What a task yields, as gold and as prediction: spans, extractions, classifications.

All are frozen and typed, and travel as JSON through ``to_dict`` and ``from_dict``. Offsets are half-open indices
into the caller's own string, in code points: ``text[span.start:span.end] == span.text``, always.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, get_args

from seqgpt import display
from seqgpt.about import wording
from seqgpt.errors import DataError, GroundingError, LabelError, did_you_mean, shown
from seqgpt.tasks import AtomicTask, TaskKind

SpanStatus = Literal["exact", "ambiguous"]

_TYPES: dict[TaskKind, str] = {"extract": "Extraction", "classify": "Classification"}


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of a text that answers a label.

    Attributes:
        label: The label that the span answers.
        text: The span, verbatim.
        start: Index of its first character in the text.
        end: Index after its last character.
        score: Probability of the span, in [0, 1]; 1.0 for gold.
        status: ``"ambiguous"`` if the string occurs more than once and the answer did not say which is meant.
    """

    label: str
    text: str
    start: int
    end: int
    score: float = 1.0
    status: SpanStatus = "exact"

    def to_dict(self) -> dict[str, Any]:
        """Return the span as plain JSON values; ``status`` only where it is not ``"exact"``."""
        record: dict[str, Any] = {
            "label": self.label,
            "text": self.text,
            "start": self.start,
            "end": self.end,
            "score": self.score,
        }
        if self.status != "exact":
            record["status"] = self.status
        return record

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Span:
        """Rebuild a span from ``to_dict``.

        Raises:
            DataError: If a key is missing or unknown, or a value is of the wrong type.
        """
        _need(record, "span", ("label", "text", "start", "end"), (*cls.__slots__,))
        for key in ("label", "text"):
            if not isinstance(record[key], str):
                raise DataError(f"{key} of a span is {record[key]!r}: give a string.")
        for key in ("start", "end"):
            if type(record[key]) is not int:
                raise DataError(f"{key} of a span is {record[key]!r}: give a whole number of characters.")
        _check_score("the score of a span", record.get("score", 1.0))
        if record.get("status", "exact") not in get_args(SpanStatus):
            raise DataError(f"status of a span is {record['status']!r}: use {' or '.join(get_args(SpanStatus))}.")
        return cls(**record)


class _Stretch(Protocol):
    """Whatever stands in a text from ``start`` to ``end``."""

    @property
    def text(self) -> str: ...
    @property
    def start(self) -> int: ...
    @property
    def end(self) -> int: ...


def check_grounded(span: _Stretch, text: str) -> None:
    """Raise a ``GroundingError`` unless a span stands in the text at its offsets."""
    found = text[span.start : span.end] if 0 <= span.start <= span.end else ""
    if found != span.text or not span.text:
        raise GroundingError(
            f"span {span.text!r} is not in the text at {span.start}:{span.end} (found {found!r}): "
            "give the string as it stands in the text, or its right start."
        )


@dataclass(frozen=True)
class Extraction:
    """The answer to an extraction task: for every label, its spans, or its absence.

    Attributes:
        text: The caller's text.
        task: The task that was asked.
        spans: All spans, in the order of the labels, then of the text.
        absent: The asked labels that have no span, in the order of the labels.
        truncated: True if text or answer was cut; ``warnings`` says what.
        warnings: What a reader of the result should know, one sentence each.
        raw: The answer in the model's language: as it was written, or, where decoding is constrained, what says the
            result. Empty if there is none, or it was cut off. Not part of equality.

    Raises:
        GroundingError: If a span is not in the text at its offsets, stands twice, or stands out of order.
        LabelError: If a span's label was not asked, or the absent labels are not exactly those without a span.
    """

    text: str
    task: AtomicTask
    spans: tuple[Span, ...] = ()
    absent: tuple[str, ...] = ()
    truncated: bool = False
    warnings: tuple[str, ...] = ()
    raw: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _check_task(self.task, "extract")
        _freeze(self, "spans", "absent", "warnings")
        rank = {label: i for i, label in enumerate(self.task.labels)}
        before = (-1, -1, -1)
        for span in self.spans:
            check_grounded(span, self.text)
            self.task.require(span.label)
            place = (rank[span.label], span.start, span.end)
            if place <= before:
                raise GroundingError(
                    f"span {span.text!r} of {span.label!r} at {span.start}:{span.end} is repeated or out of order: "
                    "use Extraction.of(text, task, spans), which sorts them."
                )
            before = place
        if self.absent != _without(self.task, self.spans):
            raise LabelError(
                "every asked label must be either answered or absent: use Extraction.of(text, task, spans)."
            )

    @classmethod
    def of(
        cls,
        text: str,
        task: AtomicTask,
        spans: Sequence[Span],
        *,
        truncated: bool = False,
        warnings: tuple[str, ...] = (),
        raw: str = "",
    ) -> Extraction:
        """Build an extraction from its spans: sort them, and list the absent labels.

        Of spans that are the same but for their scores, the most probable is kept.
        """
        rank = {label: i for i, label in enumerate(task.labels)}
        best: dict[tuple[int, int, int], Span] = {}
        for span in spans:
            task.require(span.label)
            place = (rank[span.label], span.start, span.end)
            if place not in best or _certainty(span) > _certainty(best[place]):
                best[place] = span
        return cls(
            text=text,
            task=task,
            spans=tuple(best[place] for place in sorted(best)),
            absent=_without(task, spans),
            truncated=truncated,
            warnings=warnings,
            raw=raw,
        )

    def flat(self) -> Extraction:
        """Return the extraction without overlapping spans: of those that overlap, the most probable is kept.

        Of equally probable ones the longer is, then the first.
        """
        kept: list[Span] = []
        places: list[tuple[int, int]] = []  # of those that are kept, ascending
        for span in sorted(self.spans, key=lambda span: (-span.score, -len(span.text), span.start)):
            i = bisect_left(places, (span.start, span.end))
            if all(span.end <= start or end <= span.start for start, end in places[max(i - 1, 0) : i + 1]):
                kept.append(span)
                places.insert(i, (span.start, span.end))
        return Extraction.of(self.text, self.task, kept, truncated=self.truncated, warnings=self.warnings, raw=self.raw)

    def __getitem__(self, label: str) -> tuple[Span, ...]:
        """Return the spans of one label; an empty tuple if it is absent."""
        self.task.require(label)
        return tuple(span for span in self.spans if span.label == label)

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON values: ``text``, ``task``, ``spans``, ``absent``, ``asked`` and notes."""
        return {
            "text": self.text,
            "task": "extract",
            "spans": [span.to_dict() for span in self.spans],
            "absent": list(self.absent),
            "asked": self.task.to_dict(),
            **_notes(self),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Extraction:
        """Rebuild an extraction from ``to_dict``.

        Raises:
            DataError: If a key is missing, or the record is of another task.
            GroundingError, LabelError: If the result is not consistent.
        """
        task = _task_of(record, "extract", ("text", "spans", "absent"))
        _check_lists(record, "spans", "absent")
        return cls(
            text=record["text"],
            task=task,
            spans=tuple(Span.from_dict(span) for span in record["spans"]),
            absent=tuple(record["absent"]),
            **_read_notes(record),
        )

    def __repr__(self) -> str:
        found = ", ".join(f"{s.label}={s.text!r}[{s.start}:{s.end}] {s.score:.2f}" for s in self.spans)
        return f"Extraction({found or 'no spans'}; absent: {', '.join(self.absent) or 'none'}{_brief_notes(self)})"

    def to_terminal(self, *, color: bool = True) -> str:
        """Return a view for people: the text with its spans in colour, and a line for each span."""
        return display.spans_to_terminal(
            self.text, self.task.labels, self.spans, self.absent, _remarks(self), color=color
        )

    def __str__(self) -> str:
        return self.to_terminal(color=False)

    def _repr_html_(self) -> str:
        return display.spans_to_html(self.text, self.task.labels, self.spans, self.absent, _remarks(self))


@dataclass(frozen=True)
class Classification:
    """The answer to a classification task: the labels that hold, and a probability for each asked label.

    Attributes:
        text: The caller's text.
        task: The task that was asked.
        labels: The labels that hold, in the order of the task; at most one unless the task is multi-label.
        scores: Probability of every asked label, in [0, 1]. Single-label scores sum to 1, less the probability of
            "none of these" where the task allows it; multi-label scores are independent.
        abstained: True if no label holds.
        truncated: True if the text was cut; ``warnings`` says what.
        warnings: What a reader of the result should know, one sentence each.
        raw: The answer in the model's language: as it was written, or, where decoding is constrained, what says the
            result. Empty if there is none, or it was cut off. Not part of equality.

    Raises:
        LabelError: If a label was not asked, stands twice or out of order, or has no score; or if more than one holds
            in a single-label task.
    """

    text: str
    task: AtomicTask
    labels: tuple[str, ...] = ()
    scores: Mapping[str, float] = field(default_factory=dict, hash=False)
    abstained: bool = False
    truncated: bool = False
    warnings: tuple[str, ...] = ()
    raw: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        _check_task(self.task, "classify")
        _freeze(self, "labels", "warnings")
        for label in self.labels:
            self.task.require(label)
        if self.scores.keys() != set(self.task.labels):
            for label in self.scores:
                self.task.require(label)
            missing = [label for label in self.task.labels if label not in self.scores]
            raise LabelError(f"label {missing[0]!r} has no score: give every label one, or use Classification.of(...).")
        object.__setattr__(self, "scores", {label: float(self.scores[label]) for label in self.task.labels})
        held = frozenset(self.labels)
        if self.labels != tuple(label for label in self.task.labels if label in held):
            raise LabelError(
                f"the labels {list(self.labels)} are repeated or out of order: "
                "use Classification.of(...), which sorts them."
            )
        if len(self.labels) > 1 and not self.task.multi_label:
            raise LabelError(f"a single-label task has one answer, not {list(self.labels)}: use multi_label=True.")
        if self.abstained == bool(self.labels):
            raise LabelError("abstained must be True exactly if no label holds: use Classification.of(...).")

    @classmethod
    def of(
        cls,
        text: str,
        task: AtomicTask,
        labels: tuple[str, ...],
        scores: Mapping[str, float] | None = None,
        *,
        truncated: bool = False,
        warnings: tuple[str, ...] = (),
        raw: str = "",
    ) -> Classification:
        """Build a classification from the labels that hold; without ``scores`` they are 1 and 0, as for gold."""
        for label in labels:
            task.require(label)
        holding = frozenset(labels)
        held = tuple(label for label in task.labels if label in holding)
        return cls(
            text=text,
            task=task,
            labels=held,
            scores=scores if scores is not None else {label: float(label in holding) for label in task.labels},
            abstained=not held,
            truncated=truncated,
            warnings=warnings,
            raw=raw,
        )

    @property
    def label(self) -> str | None:
        """The one label that holds, or the most probable of several; None if the model abstained."""
        return max(self.labels, key=lambda label: self.scores[label], default=None)

    @property
    def none_score(self) -> float | None:
        """Probability of "none of these", what the labels leave of 1; None where the task does not allow it."""
        return max(0.0, 1.0 - sum(self.scores.values())) if self.task.none else None

    def to_dict(self) -> dict[str, Any]:
        """Return the result as plain JSON values: ``text``, ``task``, ``labels``, ``scores``, ``asked`` and notes."""
        return {
            "text": self.text,
            "task": "classify",
            "labels": list(self.labels),
            "scores": dict(self.scores),
            "abstained": self.abstained,
            "asked": self.task.to_dict(),
            **_notes(self),
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Classification:
        """Rebuild a classification from ``to_dict``.

        Raises:
            DataError: If a key is missing, or the record is of another task.
            LabelError: If the result is not consistent.
        """
        task = _task_of(record, "classify", ("text", "labels", "scores", "abstained"))
        _check_lists(record, "labels")
        if not isinstance(record["scores"], Mapping):
            raise DataError(f"scores of a result are {record['scores']!r}: give an object, {{label: probability}}.")
        for label, score in record["scores"].items():
            _check_score(f"the score of {label!r}", score)
        return cls(
            text=record["text"],
            task=task,
            labels=tuple(record["labels"]),
            scores=dict(record["scores"]),
            abstained=record["abstained"],
            **_read_notes(record),
        )

    def __repr__(self) -> str:
        ranked = sorted(self.scores.items(), key=lambda item: -item[1])[:5]
        odds = ", ".join(f"{label} {score:.2f}" for label, score in ranked)
        more = f", and {len(self.scores) - 5} more" if len(self.scores) > 5 else ""
        return f"Classification({', '.join(self.labels) or 'none of these'}; {odds}{more}{_brief_notes(self)})"

    def to_terminal(self, *, color: bool = True) -> str:
        """Return a view for people: the text, and a bar for each label."""
        return display.classes_to_terminal(self.text, *self._shown(), _remarks(self), color=color)

    def __str__(self) -> str:
        return self.to_terminal(color=False)

    def _repr_html_(self) -> str:
        return display.classes_to_html(self.text, *self._shown(), _remarks(self))

    def _shown(self) -> tuple[tuple[str, ...], dict[str, float]]:
        """Return what holds and all scores, with "none of these" as one of the answers where it is one."""
        if self.none_score is None:
            return self.labels, dict(self.scores)
        none = "(none of these)"
        return self.labels or (none,), {**self.scores, none: self.none_score}


Result = Extraction | Classification


def _remarks(result: Result) -> tuple[str, ...]:
    """Return what is said below a result for people: what it is about, and its warnings."""
    about = ", ".join(shown(wording(one)) for one in result.task.about)
    return (f"asked about {about}", *result.warnings) if about else result.warnings


def result_from_dict(record: Mapping[str, Any]) -> Result:
    """Rebuild an extraction or a classification from its ``to_dict``, whichever it is.

    Raises:
        DataError: If the record is neither, or a key is missing.
    """
    _need(record, "result", ("task",))
    if record["task"] not in _TYPES:
        raise DataError(f"unknown task {record['task']!r} of a result: it must be {' or '.join(map(repr, _TYPES))}.")
    return Extraction.from_dict(record) if record["task"] == "extract" else Classification.from_dict(record)


def _notes(result: Result) -> dict[str, Any]:
    notes: dict[str, Any] = {}
    if result.truncated:
        notes["truncated"] = True
    if result.warnings:
        notes["warnings"] = list(result.warnings)
    if result.raw:
        notes["raw"] = result.raw
    return notes


def _read_notes(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "truncated": record.get("truncated", False),
        "warnings": tuple(record.get("warnings", ())),
        "raw": record.get("raw", ""),
    }


def _brief_notes(result: Result) -> str:
    return ("; truncated" if result.truncated else "") + "".join(f"; {warning}" for warning in result.warnings)


def _task_of(record: Mapping[str, Any], kind: TaskKind, needed: tuple[str, ...]) -> AtomicTask:
    _need(record, "result", ("task",))
    if record["task"] != kind:
        raise DataError(f"this record is of task {record['task']!r}, not {kind!r}: use result_from_dict(record).")
    _need(record, "result", ("asked", *needed))
    return AtomicTask.from_dict(record["asked"])


def _need(record: object, what: str, needed: tuple[str, ...], known: tuple[str, ...] = ()) -> None:
    if not isinstance(record, Mapping):
        raise DataError(f"a {what} must be a JSON object, not {record!r}: give what to_dict() returned.")
    for key in needed:
        if key not in record:
            raise DataError(f"key {key!r} of a {what} is missing: it needs {', '.join(needed)}.")
    for key in record:
        if known and key not in known:
            raise DataError(f"unknown key {key!r} in a {what}.{did_you_mean(str(key), known)} Leave it out.")


def _check_lists(record: Mapping[str, Any], *keys: str) -> None:
    if not isinstance(record["text"], str):
        raise DataError(f"text of a result is {record['text']!r}: give a string.")
    for key in keys:
        if not isinstance(record[key], list | tuple):
            raise DataError(f"{key} of a result is {record[key]!r}: give a list.")


def _check_score(what: str, score: object) -> None:
    if not isinstance(score, int | float) or isinstance(score, bool) or not 0 <= score <= 1:
        raise DataError(f"{what} is {score!r}: give a probability, from 0 to 1.")


def _check_task(task: AtomicTask, kind: TaskKind) -> None:
    if task.kind != kind:
        raise LabelError(f"{task!r} is not answered by this type: use {_TYPES[task.kind]}.")


def _freeze(result: Result, *names: str) -> None:
    for name in names:
        object.__setattr__(result, name, tuple(getattr(result, name)))


def _without(task: AtomicTask, spans: Sequence[Span]) -> tuple[str, ...]:
    answered = {span.label for span in spans}
    return tuple(label for label in task.labels if label not in answered)


def _certainty(span: Span) -> tuple[float, bool]:
    return span.score, span.status == "exact"
