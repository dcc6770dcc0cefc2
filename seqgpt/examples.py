"""Examples: a text, a task and its gold answer; and the JSONL format, one example a line.

    {"text": "…", "task": "extract", "labels": ["人物", "地点"], "answer": {"人物": [{"text": "乔丹", "start": 9}]}}
    {"text": "…", "task": "classify", "labels": ["praise", "complaint"], "answer": ["praise"]}

``labels`` may be ``{label: description}``; ``multi_label`` and ``none`` stand where they are true, ``about`` where the
task is not about the whole text (see :mod:`seqgpt.about`); ``id``, ``family``
and ``language`` are optional. The same format serves training data, gold files and, without ``answer``, texts to
predict.
"""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from seqgpt.about import check_places
from seqgpt.errors import DataError, GroundingError, LabelError, SeqGPTError, TextError, did_you_mean
from seqgpt.grounding import by_label, ground, occurrences
from seqgpt.results import Extraction, Result, Span
from seqgpt.tasks import AtomicTask
from seqgpt.templates.base import gold_labels
from seqgpt.texts import check_text, half_surrogate

OnBadRow = Literal["error", "skip"]

_KEYS = ("text", "task", "labels", "answer", "multi_label", "none", "about", "id", "family", "language")
_NOTES = ("id", "family", "language")
QUESTION_KEYS = (*_KEYS, "name")
"""The keys of a text to predict: those of an example, whose answer is not looked at, and the name of the task."""


@dataclass(frozen=True)
class Example:
    """A text with a task and its gold answer.

    Attributes:
        gold: The right answer, in the type that a model predicts; it holds the text and the task.
        id: Names the example within its source; random draws in training are a function of it.
        family: The task family (NER, SA, …), if known.
        language: ``"en"``, ``"zh"`` or another code, if known.
    """

    gold: Result
    id: str = ""
    family: str = ""
    language: str = ""

    @property
    def text(self) -> str:
        """The text."""
        return self.gold.text

    @property
    def task(self) -> AtomicTask:
        """The task."""
        return self.gold.task

    def to_dict(self) -> dict[str, Any]:
        """Return the example as one line of JSONL has it.

        Repeated strings get their ``start``, unless they are marked ambiguous. The task's name and the scores are left
        out: they belong to a prediction.
        """
        record: dict[str, Any] = {"text": self.text, **self.task.to_dict()}
        record.pop("name", None)
        if isinstance(self.gold, Extraction):
            groups = by_label(self.gold.spans)
            record["answer"] = {
                label: _mentions(groups[label], self.text) for label in self.task.labels if label in groups
            }
        else:
            record["answer"] = list(self.gold.labels)
        return record | {key: getattr(self, key) for key in _NOTES if getattr(self, key)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Example:
        """Read one line of JSONL.

        Raises:
            DataError: If a key is missing or unknown, or a value is of the wrong type.
            LabelError, TextError, GroundingError: If labels, text or answer are wrong.
        """
        check_keys(record, _KEYS)
        for key in ("text", "task", "labels", "answer"):
            if key not in record:
                raise DataError(f"key {key!r} is missing: an example needs text, task, labels and answer.")
        text, task, answer = check_text(record["text"]), AtomicTask.from_dict(record), record["answer"]
        check_places(task.about, text)
        gold: Result
        if task.kind == "extract":
            if not isinstance(answer, Mapping):
                raise DataError(
                    f"the answer of an extraction must be {{label: [span, …]}}, not {answer!r}: "
                    "write {} if every label is absent."
                )
            gold = ground(task, answer, text)
        else:
            if not isinstance(answer, (str, list, tuple)):
                raise DataError(
                    f"the answer of a classification must be a list of labels, not {answer!r}: "
                    "write [] if no label holds."
                )
            gold = gold_labels(task, answer, text)
        return cls(gold, **{key: _note(record, key) for key in _NOTES})


def check_keys(record: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise a ``DataError`` for the first key that is not known."""
    for key in record:
        if key not in known:
            raise DataError(f"unknown key {key!r}.{did_you_mean(str(key), known)} Known keys: {', '.join(known)}.")


def notes_of(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``id``, ``family`` and ``language`` of a record, as they are written there.

    Raises:
        DataError: If one is no string.
    """
    for key in _NOTES:
        _note(record, key)
    return {key: record[key] for key in _NOTES if key in record}


def _mentions(spans: list[Span], text: str) -> list[str | dict[str, Any]]:
    """Write the spans of one label as :func:`seqgpt.grounding.ground` reads them back, without a start where it can."""
    groups: dict[str, list[Span]] = {}
    for span in spans:
        groups.setdefault(span.text, []).append(span)
    plain: set[tuple[str, str]] = set()
    for string, group in groups.items():
        starts = occurrences(string, text)
        sure = {span.start for span in group if span.status == "exact"}
        guessed = [span.start for span in group if span.status == "ambiguous"]
        free = [start for start in starts if start not in sure]
        if guessed == free[: len(guessed)] and len(guessed) < len(free):
            plain.add((string, "ambiguous"))
        if len(starts) == 1:
            plain.add((string, "exact"))
    return [
        span.text if (span.text, span.status) in plain else {"text": span.text, "start": span.start} for span in spans
    ]


def _note(record: Mapping[str, Any], key: str) -> str:
    value = record.get(key)
    if value is None:
        return ""
    if type(value) not in (str, int):
        raise DataError(f"{key} is {value!r}: write it as a string.")
    if half_surrogate(str(value)) is not None:
        raise DataError(f"{key} {value!r} has half of a surrogate pair: decode it with errors='replace' first.")
    return str(value)


@dataclass
class BadRows:
    """Counts rows that were skipped, and remembers the first few reasons."""

    count: int = 0
    reasons: tuple[str, ...] = ()

    def add(self, reason: str) -> None:
        """Count one row."""
        self.count += 1
        if len(self.reasons) < 5:
            self.reasons += (reason,)

    def __str__(self) -> str:
        more = f" … and {self.count - len(self.reasons)} more" if self.count > len(self.reasons) else ""
        return f"{self.count} rows skipped: " + "; ".join(self.reasons) + more


def check_on_bad_row(on_bad_row: OnBadRow, bad_rows: BadRows | None) -> None:
    """Raise a ``DataError`` unless rows that are skipped can be counted."""
    if on_bad_row not in get_args(OnBadRow):
        raise DataError(
            f"unknown on_bad_row {on_bad_row!r}.{did_you_mean(on_bad_row, get_args(OnBadRow))} "
            f"Use {' or '.join(map(repr, get_args(OnBadRow)))}."
        )
    if on_bad_row == "skip" and bad_rows is None:
        raise DataError("on_bad_row='skip' needs bad_rows=BadRows(), where the skipped rows are counted.")


def reject(where: str, error: SeqGPTError, on_bad_row: OnBadRow, bad_rows: BadRows | None) -> None:
    """Count a row that is wrong, or raise what is wrong with it."""
    if bad_rows is None or on_bad_row == "error":
        raise DataError(f"{where}: {error} Fix the row, or skip it (on_bad_row: skip).") from error
    bad_rows.add(f"{where}: {error}")


def read_jsonl(path: str | Path, *, on_bad_row: OnBadRow = "error", bad_rows: BadRows | None = None) -> list[Example]:
    """Read examples from a JSONL file.

    Args:
        path: The file.
        on_bad_row: ``"error"`` stops at the first row that is wrong; ``"skip"`` leaves it out and counts it.
        bad_rows: Counts what is skipped; required for ``"skip"``, so that nothing is lost unseen.

    Raises:
        DataError: If the file cannot be read, or a row is wrong; the message has file and line number.
    """
    check_on_bad_row(on_bad_row, bad_rows)
    examples = []
    for number, record in read_records(path):
        try:
            if isinstance(record, DataError):
                raise record
            example = Example.from_dict(record)
        except (DataError, LabelError, TextError, GroundingError) as error:
            reject(f"{path}, line {number}", error, on_bad_row, bad_rows)
            continue
        examples.append(example if example.id else Example(example.gold, str(number), example.family, example.language))
    return examples


def read_records(path: str | Path) -> Iterator[tuple[int, dict[str, Any] | DataError]]:
    """Yield ``(line number, record)`` of a JSONL file; a line that is not a JSON object yields its error instead.

    Blank lines are passed over, but counted.

    Raises:
        DataError: If the file cannot be read.
    """
    try:
        with Path(path).open("rb") as file:
            yield from parse_records(file)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}. Check the path.") from error


def parse_records(lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any] | DataError]]:
    """Do for lines what :func:`read_records` does for a file."""
    for number, line in enumerate(lines, start=1):
        if line.removeprefix(BOM_UTF8).strip():
            yield number, parse_record(line)


def parse_record(line: bytes) -> dict[str, Any] | DataError:
    """Parse one line of JSONL; return, rather than raise, what is wrong with it."""
    line = line.removeprefix(BOM_UTF8).rstrip()
    try:
        record = json.loads(line.decode(), object_pairs_hook=_without_repeats)
    except UnicodeDecodeError as error:
        return DataError(f"byte {error.start} (0x{line[error.start]:02x}) is not UTF-8: save the file as UTF-8.")
    except json.JSONDecodeError as error:
        return DataError(f"not JSON at column {error.colno} ({error.msg}): write one JSON object a line.")
    except DataError as error:
        return error
    except (RecursionError, ValueError):  # brackets nested by the thousand, or a number of thousands of digits
        return DataError("not an example (a value is nested too deep, or too long a number): write it as documented.")
    if not isinstance(record, dict):
        return DataError(f"a line must be a JSON object, not {type(record).__name__}: write one JSON object a line.")
    return record


def write_jsonl(path: str | Path, examples: Iterable[Example]) -> None:
    """Write examples to a JSONL file, one a line.

    Raises:
        DataError: If the file cannot be written.
    """
    try:
        with Path(path).open("w", encoding="utf-8", newline="\n") as file:
            for example in examples:
                file.write(json.dumps(example.to_dict(), ensure_ascii=False) + "\n")
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}. Check the path.") from error


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise DataError(f"key {twice!r} is given twice: give each key once.")
    return record


__all__ = [
    "QUESTION_KEYS",
    "BadRows",
    "Example",
    "OnBadRow",
    "check_keys",
    "notes_of",
    "parse_record",
    "parse_records",
    "read_jsonl",
    "read_records",
    "write_jsonl",
]
