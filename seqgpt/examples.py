"""Examples: a text, a task and its gold answer; and the JSONL format, one example a line.

    {"text": "…", "task": "extract", "labels": ["人物", "地点"], "answer": {"人物": ["杰克逊", {"text": "罗德曼", "start": 12}]}}
    {"text": "…", "task": "classify", "labels": ["praise", "complaint"], "answer": ["praise"]}

``labels`` may be ``{label: description}``; ``multi_label`` and ``none`` stand where they are true; ``id``, ``family`` and
``language`` are optional. The same format serves training data, gold files and, without ``answer``, texts to predict.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from seqgpt.errors import DataError, GroundingError, LabelError, TextError, did_you_mean
from seqgpt.grounding import by_label, ground, occurrences
from seqgpt.results import Classification, Extraction, Result
from seqgpt.tasks import AtomicTask, check_text
from seqgpt.templates.base import gold_labels

OnBadRow = Literal["error", "skip"]

_KEYS = ("text", "task", "labels", "answer", "multi_label", "none", "id", "family", "language")


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
        """Return the example as one line of JSONL has it; repeated strings get their ``start``."""
        record: dict[str, Any] = {"text": self.text, **self.task.to_dict()}
        record.pop("name", None)
        if isinstance(self.gold, Extraction):
            groups = by_label(self.gold.spans)
            record["answer"] = {
                label: [
                    span.text
                    if len(occurrences(span.text, self.text)) == 1
                    else {"text": span.text, "start": span.start}
                    for span in groups[label]
                ]
                for label in self.task.labels
                if label in groups
            }
        else:
            record["answer"] = list(self.gold.labels)
        return record | {key: getattr(self, key) for key in ("id", "family", "language") if getattr(self, key)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Example:
        """Read one line of JSONL.

        Raises:
            DataError: If a key is missing or unknown.
            LabelError, TextError, GroundingError: If labels, text or answer are wrong.
        """
        for key in record:
            if key not in _KEYS:
                raise DataError(f"unknown key {key!r}.{did_you_mean(str(key), _KEYS)} Known keys: {', '.join(_KEYS)}.")
        for key in ("text", "task", "labels", "answer"):
            if key not in record:
                raise DataError(f"key {key!r} is missing: an example needs text, task, labels and answer.")
        text, task, answer = check_text(record["text"]), AtomicTask.from_dict(record), record["answer"]
        gold: Result
        if task.kind == "extract":
            if not isinstance(answer, Mapping):
                raise DataError(f"the answer of an extraction must be {{label: [span, …]}}, not {answer!r}.")
            gold = ground(task, answer, text)
        else:
            if not isinstance(answer, (str, list, tuple)):
                raise DataError(f"the answer of a classification must be a list of labels, not {answer!r}.")
            gold = _classified(task, answer, text)
        return cls(gold, **{key: str(record[key]) for key in ("id", "family", "language") if key in record})


def _classified(task: AtomicTask, answer: Any, text: str) -> Classification:
    labels = gold_labels(task, answer, text).labels
    return Classification.of(text, task, labels)


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


def read_jsonl(path: str | Path, *, on_bad_row: OnBadRow = "error", bad_rows: BadRows | None = None) -> list[Example]:
    """Read examples from a JSONL file.

    Args:
        path: The file.
        on_bad_row: ``"error"`` stops at the first row that is wrong; ``"skip"`` leaves it out and counts it.
        bad_rows: Counts what is skipped; required for ``"skip"``, so that nothing is lost unseen.

    Raises:
        DataError: If the file cannot be read, or a row is wrong; the message has file and line number.
    """
    if on_bad_row == "skip" and bad_rows is None:
        raise DataError("on_bad_row='skip' needs bad_rows=BadRows(), where the skipped rows are counted.")
    examples = []
    for number, record in read_records(path):
        try:
            if isinstance(record, DataError):
                raise record
            example = Example.from_dict(record)
        except (DataError, LabelError, TextError, GroundingError) as error:
            reason = f"{path}, line {number}: {error}"
            if bad_rows is None or on_bad_row == "error":
                raise DataError(f"{reason} Fix the row, or skip it with on_bad_row='skip'.") from error
            bad_rows.add(reason)
            continue
        examples.append(example if example.id else Example(example.gold, str(number), example.family, example.language))
    return examples


def read_records(path: str | Path) -> Iterator[tuple[int, dict[str, Any] | DataError]]:
    """Yield ``(line number, record)`` of a JSONL file; a line that is not a JSON object yields its error instead.

    Raises:
        DataError: If there is no such file.
    """
    try:
        lines = Path(path).read_bytes().split(b"\n")
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror}. Check the path.") from error
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield number, parse_record(line)


def parse_record(line: bytes) -> dict[str, Any] | DataError:
    """Parse one line of JSONL; return, rather than raise, what is wrong with it."""
    try:
        record = json.loads(line.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        return DataError(f"byte {error.start} (0x{line[error.start]:02x}) is not UTF-8: save the file as UTF-8.")
    except json.JSONDecodeError as error:
        return DataError(f"not JSON at column {error.colno} ({error.msg}): write one JSON object a line.")
    if not isinstance(record, dict):
        return DataError(f"a line must be a JSON object, not {type(record).__name__}.")
    return record


def write_jsonl(path: str | Path, examples: Iterable[Example]) -> None:
    """Write examples to a JSONL file, one a line."""
    with Path(path).open("w", encoding="utf-8", newline="\n") as file:
        for example in examples:
            file.write(json.dumps(example.to_dict(), ensure_ascii=False) + "\n")


__all__ = ["BadRows", "Example", "OnBadRow", "parse_record", "read_jsonl", "read_records", "write_jsonl"]
