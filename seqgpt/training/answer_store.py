"""The answers of a source, encoded once and read from memory-mapped files in every epoch.

A source's examples are encoded without their labels' words (:class:`seqgpt.training.encode.Answers`) and kept as
numbers in one array, an example behind the other. Reading one again takes microseconds, where encoding it takes a
millisecond: most of that is which strings of its text a span may be.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqgpt.data.augmentation import Asked
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.errors import DataError
from seqgpt.examples import Example
from seqgpt.tasks import AtomicTask
from seqgpt.templates import Template
from seqgpt.training.cut import Cutter, lost_spans
from seqgpt.training.encode import Answers, LabelSpans, LabelTokens, SpanPath, read_answers

STORE_VERSION = 4
"""Raised whenever other numbers are written for the same examples, so that what was written before is not used."""

_EXTRACT, _SINGLE, _NONE = 1, 2, 4
_MARKS = 3  # of the task, of "none of these", of the answer
_ARRAYS = ("numbers", "ends", "longest", "lost", "parts")
_NO_DESCRIPTIONS: dict[str, str] = {}


class Stored(NamedTuple):
    """An example as it is kept: its labels, and its answers."""

    asked: Asked
    answers: Answers


class AnswerStore:
    """Encoded examples in a folder.

    Attributes:
        counts: How often each label holds.
        closed: Whether all examples have the same labels.
        longest: The tokens of each example with its labels as they are, the longest together; int32.
        lost: How many spans each example lost when its text was cut, ``UNCUT`` if it was not; int32.
    """

    def __init__(self, folder: Path) -> None:
        """Open a folder that :func:`write_store` wrote; nothing is read yet.

        Raises:
            DataError: If it is damaged.
        """
        self._folder = folder
        try:
            numbers, ends, self.longest, self.lost, self._parts = (_mapped(folder / f"{name}.npy") for name in _ARRAYS)
            # Memory views: their items and slices are read several times as fast as those of arrays.
            self._numbers, self._ends = memoryview(numbers), memoryview(ends)
            described: dict[str, Any] = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
            self.counts: dict[str, int] = described["counts"]
            self.closed = described["labels"] is not None
            self._labels: tuple[str, ...] = tuple(described["labels"] or ())
            if not self.closed:
                words, word_ends = (_mapped(folder / f"{name}.npy") for name in ("words", "word_ends"))
                self._words, self._word_ends = memoryview(words), memoryview(word_ends)
        except (OSError, ValueError, KeyError, EOFError) as error:
            raise DataError(f"{folder} is damaged ({error}): delete it, it is computed again.") from error

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> Stored:
        ends = self._ends
        numbers = self._numbers[ends[index - 1] if index else 0 : ends[index]].tolist()
        flags = numbers[0]
        labels, descriptions, near = self._labels, _NO_DESCRIPTIONS, ()
        if not self.closed:
            begin = self._word_ends[index - 1] if index else 0
            own = json.loads(self._words[begin : self._word_ends[index]].tobytes())
            labels, descriptions, near = tuple(own["labels"]), own["descriptions"], own["near"]
        single_label = flags & _SINGLE > 0
        answers = _unpack(numbers, extracts=flags & _EXTRACT > 0, single_label=single_label)
        return Stored(Asked(labels, descriptions, single_label, flags & _NONE > 0, near), answers)

    def sizes(self, max_labels: int) -> np.ndarray:
        """Return about how many tokens each example has where so many labels are shown, undescribed; int64."""
        fixed, labels, number = self._parts.astype(np.int64).T
        return np.asarray(fixed + labels * np.minimum(number, max_labels) // np.maximum(number, 1))

    def contents(self) -> Iterator[bytes | memoryview]:
        """Return all that it holds, as bytes."""
        yield json.dumps([self._labels, self.counts], ensure_ascii=False).encode()
        yield from (self._numbers, self._ends)
        if not self.closed:
            yield from (self._words, self._word_ends)

    def __reduce__(self) -> tuple[type[AnswerStore], tuple[Path]]:
        return AnswerStore, (self._folder,)  # another process maps the files, it does not get what is in them


def write_store(
    folder: Path, examples: Sequence[Example], vocabulary: Vocabulary, template: Template, most: int
) -> None:
    """Encode examples and write them to a folder.

    Args:
        folder: The folder, which is made.
        examples: The examples.
        vocabulary: The vocabulary of the model.
        template: The template of the model.
        most: Most tokens of an example; texts are cut until it has no more. One that cannot be cut enough stays as it
            is, and ``longest`` tells.
    """
    folder.mkdir()
    tasks = {(example.task.labels, tuple(example.task.descriptions.items())) for example in examples}
    closed = len(tasks) == 1 and not next(iter(tasks))[1]
    counts: Counter[str] = Counter()
    packed, words, longest, lost, parts = [], [], [], [], []
    cues, cutter = LabelTokens(vocabulary), Cutter(vocabulary, template, most)
    labels_of_text: dict[str, dict[str, None]] = {}
    for example in examples if not closed else ():
        labels_of_text.setdefault(example.text, {}).update(dict.fromkeys(example.task.labels))
    kind = np.uint16 if len(vocabulary.bytes_of) <= np.iinfo(np.uint16).max else np.uint32
    for example in examples:
        try:
            cut, answers = cutter.read(example)
        except DataError:
            cut, answers = example, read_answers(example, vocabulary, template)
        counts.update(example.task.labels[i] for i in answers.held)
        parts.append(_parts(answers, example.task, cues))
        longest.append(cutter.longest(answers, example.task))
        lost.append(lost_spans(example, cut))
        packed.append(np.array([_flags(example), *_pack(answers)], dtype=np.uint32).astype(kind))
        if not closed:
            task = example.task
            near = [label for label in labels_of_text[example.text] if label not in task.labels]
            own = {"labels": task.labels, "descriptions": dict(task.descriptions), "near": near}
            words.append(json.dumps(own, ensure_ascii=False).encode())
    np.save(folder / "numbers.npy", np.concatenate(packed) if packed else np.zeros(0, kind))
    np.save(folder / "ends.npy", np.cumsum([len(one) for one in packed], dtype=np.int64))
    np.save(folder / "longest.npy", np.array(longest, dtype=np.int32))
    np.save(folder / "lost.npy", np.array(lost, dtype=np.int32))
    np.save(folder / "parts.npy", np.array(parts, dtype=np.int32).reshape(-1, 3))
    labels: Sequence[str] | None = None
    if closed:
        labels = examples[0].task.labels
    else:
        np.save(folder / "words.npy", np.frombuffer(b"".join(words), dtype=np.uint8))
        np.save(folder / "word_ends.npy", np.cumsum([len(one) for one in words], dtype=np.int64))
    described = json.dumps({"labels": labels, "counts": counts}, ensure_ascii=False)
    (folder / "labels.json").write_text(described, encoding="utf-8")


def _mapped(path: Path) -> Any:
    return np.asarray(np.load(path, mmap_mode="r"))  # without the slow indexing of np.memmap


def _parts(answers: Answers, task: AtomicTask, words: LabelTokens) -> tuple[int, int, int]:
    """Return the tokens of prompt and spans, those of all labels' own branches, and how many such labels there are."""
    fixed = (
        len(answers.prompt)
        + _MARKS
        + sum(len(words.described(label, said)) for label, said in task.descriptions.items())
    )
    cues = [len(words.cue(label)) for label in task.labels]
    if task.single_label:
        return fixed + max(cues), 0, 0
    for number, label in zip(answers.held, answers.spans, strict=False):
        fixed += sum(len(path.tokens) for path in label.paths) + cues[number] * max(len(label.paths) - 1, 0)
    return fixed, sum(cues), len(cues)


def _flags(example: Example) -> int:
    task = example.task
    return _EXTRACT * (task.kind == "extract") + _SINGLE * task.single_label + _NONE * task.none


def _pack(answers: Answers) -> list[int]:
    """Return answers as numbers: each list behind its length."""
    numbers = [len(answers.prompt), *answers.prompt, len(answers.held), *answers.held]
    if answers.kind != "extract":
        return numbers
    numbers += (len(answers.begins), *answers.begins)
    for label in answers.spans:
        numbers += (len(label.begins), *label.begins, len(label.paths))
        for path in label.paths:
            numbers += (len(path.tokens), *path.tokens, len(path.steps))
            for offset, options, right in path.steps:
                numbers += (offset, len(options), *options, len(right), *right)
    return numbers


def _unpack(numbers: list[int], *, extracts: bool, single_label: bool) -> Answers:
    """Return the answers that were packed, behind the flags."""
    prompt, at = _list(numbers, 1)
    held, at = _list(numbers, at)
    if not extracts:
        return Answers("classify", single_label, prompt, held)
    begins, at = _list(numbers, at)
    spans = []
    for _ in held:
        first, at = _list(numbers, at)
        paths = []
        many, at = numbers[at], at + 1
        for _ in range(many):
            tokens, at = _list(numbers, at)
            steps = []
            asked, at = numbers[at], at + 1
            for _ in range(asked):
                middle = at + 2 + numbers[at + 1]
                end = middle + 1 + numbers[middle]
                steps.append((numbers[at], numbers[at + 2 : middle], numbers[middle + 1 : end]))
                at = end
            paths.append(SpanPath(tokens, steps))
        spans.append(LabelSpans(first, paths))
    return Answers("extract", False, prompt, held, begins, spans)


def _list(numbers: list[int], at: int) -> tuple[list[int], int]:
    """Return a list that stands behind its length, and where it ends."""
    end = at + 1 + numbers[at]
    return numbers[at + 1 : end], end
