"""What the teacher answered, one line a request: written at once, never changed, found by the request's key.

    {"key": "…", "task": "ner", "language": "en", "content": "…", "finish": "stop",
     "prompt_tokens": 412, "completion_tokens": 230, "charged": true, "batch": false}

A line is one write to a file that is opened for appending, so it is there when the process is killed just after.
A last line that was cut off is taken away when the file is opened again. Answers are read from the file when they are
needed; only their places are kept in memory. Nothing that was sent is in a record, least of all a key.
"""

from __future__ import annotations

import json
import os
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from seqgpt.errors import DataError, RunError

RECORDS_FILE = "records.jsonl"
_OPEN = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0)
_TO_DISK_S = 5.0  # what a power cut may lose; killing the process loses nothing


@dataclass(frozen=True)
class Record:
    """An answer, and what it cost.

    Attributes:
        key: The request's key.
        task: What was asked.
        language: Of the text.
        content: The answer, as it came.
        finish: Why it ended.
        prompt_tokens: Of the prompt.
        completion_tokens: Of the answer.
        charged: The teacher said how many tokens these were; else they are estimated.
        batch: It came from a batch file.
    """

    key: str
    task: str
    language: str
    content: str
    finish: str
    prompt_tokens: int
    completion_tokens: int
    charged: bool = True
    batch: bool = False


@dataclass
class Totals:
    """What a group of records comes to."""

    requests: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0


class Records:
    """The records of a synthesis; a context manager, for writing.

    Attributes:
        totals: By language, task, and whether they came from a batch file.
    """

    def __init__(self, path: Path) -> None:
        """Open a file of records, which need not be there yet.

        Raises:
            DataError: If a line but the last is no record.
            RunError: If it cannot be written.
        """
        self.path = path
        self.totals: dict[tuple[str, str, bool], Totals] = defaultdict(Totals)
        self._places: dict[str, tuple[int, int]] = {}
        self._synced = time.monotonic()
        try:
            self._file = os.open(path, _OPEN, 0o644)
        except OSError as error:
            raise _unwritable(path, error) from error
        self._end = 0
        try:
            self._read()
        except BaseException:
            os.close(self._file)
            raise

    def __enter__(self) -> Records:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def __contains__(self, key: str) -> bool:
        return key in self._places

    def __len__(self) -> int:
        return len(self._places)

    def get(self, key: str) -> Record | None:
        """Return the record of a request, if it was answered."""
        place = self._places.get(key)
        if place is None:
            return None
        os.lseek(self._file, place[0], os.SEEK_SET)  # writing goes to the end all the same
        return _parse(os.read(self._file, place[1]))

    def add(self, record: Record) -> None:
        """Write a record; one that is there already is not written again.

        Raises:
            RunError: If it cannot be written; what was written before stays.
        """
        if record.key in self._places:
            return
        line = (json.dumps(vars(record), ensure_ascii=False) + "\n").encode(errors="replace")
        try:
            written = os.write(self._file, line)
            if written < len(line):  # a disk that is full takes a part first
                os.ftruncate(self._file, self._end)
                raise OSError(28, "No space left on device")
            if time.monotonic() - self._synced > _TO_DISK_S:
                os.fsync(self._file)
                self._synced = time.monotonic()
        except OSError as error:
            raise _unwritable(self.path, error) from error
        self._note(record, self._end, len(line))
        self._end += len(line)

    def _note(self, record: Record, start: int, length: int) -> None:
        self._places[record.key] = start, length
        total = self.totals[record.language, record.task, record.batch]
        total.requests += 1
        total.prompt_tokens += record.prompt_tokens
        total.completion_tokens += record.completion_tokens

    def _read(self) -> None:
        with self.path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                if not line.endswith(b"\n"):
                    os.ftruncate(self._file, self._end)
                    return
                try:
                    record = _parse(line)
                except (ValueError, TypeError) as error:
                    raise DataError(
                        f"{self.path}, line {number} is no record ({error}): delete this line, and its request is "
                        "asked again."
                    ) from error
                if record.key not in self._places:
                    self._note(record, self._end, len(line))
                self._end += len(line)


def _parse(line: bytes) -> Record:
    return Record(**json.loads(line))


def _unwritable(path: Path, error: OSError) -> RunError:
    return RunError(f"cannot write {path}: {error.strerror}. What was answered before is kept: make room, and go on.")
