"""Predictors that learn nothing but frequencies: what a model must beat.

Both answer any number of label sets: a label counts only where it is asked.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqgpt.data.source import has_no_splits, is_recipe, read_source, split_source
from seqgpt.errors import DataError
from seqgpt.evaluation.predictor import Predictor
from seqgpt.evaluation.scoring.words import UNSPACED
from seqgpt.evaluation.sets import EvalSet, Kind, kind_of
from seqgpt.examples import BadRows, Example, OnBadRow
from seqgpt.results import Classification, Extraction, Result, Span
from seqgpt.tasks import AtomicTask, TaskKind

# A string counts as an entry of the second dictionary if it is a span in at least half of its occurrences.
_SURE_SHARE = 0.5

_END = ""


@dataclass(frozen=True)
class MajorityClass:
    """Answers with the class that is most frequent in training.

    Single-label: the most frequent asked label, or "none of these" where that is asked and more frequent. Multi-label:
    every label that holds in more than half of the training texts. Scores are shares of the training texts.

    Attributes:
        counts: How many training texts have each label.
        none: How many have no label.
        n: How many there are.
    """

    counts: Mapping[str, int]
    none: int
    n: int

    @classmethod
    def fit(cls, examples: Sequence[Example]) -> MajorityClass:
        """Count the labels of training examples.

        Raises:
            DataError: If there are none, or one is no classification.
        """
        gold = [result for result in _golds(examples, "classify") if isinstance(result, Classification)]
        counts = Counter(label for result in gold for label in result.labels)
        return cls(dict(counts), sum(result.abstained for result in gold), len(gold))

    def predict_pairs(self, pairs: Sequence[tuple[str, AtomicTask]], *, progress: bool = False) -> list[Result]:
        """Answer each classification task; the texts are not looked at.

        Raises:
            DataError: If a task is no classification.
        """
        return [self._answer(text, task) for text, task in pairs]

    def _answer(self, text: str, task: AtomicTask) -> Classification:
        _require(task, "classify")
        counts = {label: self.counts.get(label, 0) for label in task.labels}
        if task.multi_label:
            held = tuple(label for label in task.labels if counts[label] > self.n / 2)
            return Classification.of(text, task, held, {label: counts[label] / self.n for label in task.labels})
        none = self.none if task.none else 0
        total = sum(counts.values()) + none
        best = max(task.labels, key=lambda label: counts[label])
        scores = {label: counts[label] / total if total else 1 / len(counts) for label in task.labels}
        return Classification.of(text, task, () if none > counts[best] else (best,), scores)


class SpanDictionary:
    """Answers with the strings that were spans in training: from left to right, the longest first, none overlapping.

    A string stands for the asked label that it had most often. In scripts with spaces it is found as whole words only.

    Attributes:
        size: Number of strings.
    """

    def __init__(self, labels: Mapping[str, Mapping[str, int]]) -> None:
        """Build the dictionary.

        Args:
            labels: For each string, how often it had each label.
        """
        self.size = len(labels)
        self._trie = _build_trie(labels)

    @classmethod
    def fit(cls, examples: Sequence[Example], *, min_share: float = 0.0) -> SpanDictionary:
        """Collect the spans of training examples.

        Args:
            examples: Extraction examples.
            min_share: Keep a string only if at least this share of its occurrences in the training texts (as whole
                words, overlapping ones too) are spans; 0 keeps every string, 0.5 drops common words that are now and
                then a name.

        Raises:
            DataError: If there are no examples, one is no extraction, or ``min_share`` is not within 0 and 1.
        """
        if not 0 <= min_share <= 1:
            raise DataError(f"min_share must be a share from 0 to 1, not {min_share}: 0.5 is a good start.")
        labels: dict[str, Counter[str]] = defaultdict(Counter)
        places: set[tuple[int, int, int]] = set()
        spans_of: Counter[str] = Counter()
        for i, gold in enumerate(_golds(examples, "extract")):
            for span in gold.spans if isinstance(gold, Extraction) else ():
                labels[span.text][span.label] += 1
                if (i, span.start, span.end) not in places:
                    places.add((i, span.start, span.end))
                    spans_of[span.text] += 1
        if min_share:
            seen = _count_occurrences(labels, examples)
            labels = {string: had for string, had in labels.items() if spans_of[string] >= min_share * seen[string]}
        return cls(labels)

    def predict_pairs(self, pairs: Sequence[tuple[str, AtomicTask]], *, progress: bool = False) -> list[Result]:
        """Answer each extraction task on its text.

        Raises:
            DataError: If a task is no extraction.
        """
        return [self._answer(text, task) for text, task in pairs]

    def _answer(self, text: str, task: AtomicTask) -> Extraction:
        _require(task, "extract")
        spans, start = [], 0
        while start < len(text):
            span = self._longest(text, start, task)
            if span:
                spans.append(span)
            start = span.end if span else start + 1
        return Extraction.of(text, task, tuple(spans))

    def _longest(self, text: str, start: int, task: AtomicTask) -> Span | None:
        longest = None
        for end, had in _matches(self._trie, text, start):
            asked = [label for label in task.labels if label in had]
            if asked:
                label = max(asked, key=lambda label: had[label])
                longest = Span(label, text[start:end], start, end, score=had[label] / sum(had.values()))
        return longest


def fit_baselines(
    sets: Sequence[EvalSet], *, data_root: str | Path | None = None, on_bad_row: OnBadRow = "error"
) -> dict[str, dict[str, Predictor]]:
    """Fit the baselines of each set on the training split of its source.

    Returns:
        Baselines by name, by the name of the set. Where there is no training split, as of a file, there are none, and
        none reads.

    Raises:
        DataError: If a training split cannot be read.
    """
    fitted: dict[str, dict[str, Predictor]] = {}
    for one in sets:
        if one.kind != "read" and _has_training_split(one.source, data_root):
            bad = BadRows()
            train = read_source(one.source, "train", data_root=data_root, on_bad_row=on_bad_row, bad_rows=bad)
            fitted[one.name] = _fit([example for example in train if kind_of(example) == one.kind], one.kind)
    return fitted


def _has_training_split(source: str, data_root: str | Path | None) -> bool:
    if not is_recipe(source):
        return not has_no_splits(source)
    recipe, _ = split_source(source)
    return "hub" in recipe.sources or "train" in recipe.splits(data_root)


def _fit(train: Sequence[Example], kind: Kind) -> dict[str, Predictor]:
    if kind in ("classify", "multi_label"):
        return {"majority class": MajorityClass.fit(train)}
    return {
        "dictionary": SpanDictionary.fit(train),
        "dictionary of sure entries": SpanDictionary.fit(train, min_share=_SURE_SHARE),
    }


def _golds(examples: Sequence[Example], kind: TaskKind) -> list[Result]:
    if not examples:
        raise DataError("there are no examples to fit: give at least one.")
    for example in examples:
        _require(example.task, kind)
    return [example.gold for example in examples]


def _require(task: AtomicTask, kind: TaskKind) -> None:
    if task.kind != kind:
        right = "SpanDictionary" if kind == "classify" else "MajorityClass"
        raise DataError(f"this baseline cannot answer a task of kind {task.kind!r}: use {right}.")


Trie = dict[str, Any]
"""One character → the trie of what follows; the empty string → how often the string so far had each label."""


def _build_trie(labels: Mapping[str, Mapping[str, int]]) -> Trie:
    root: Trie = {}
    for string, had in labels.items():
        node = root
        for character in string:
            node = node.setdefault(character, {})
        node[_END] = had
    return root


def _matches(trie: Trie, text: str, start: int) -> Iterator[tuple[int, Mapping[str, int]]]:
    """Yield the end and the entry of each string of the trie that starts here, shortest first."""
    if text[start] not in trie or _within_word(text, start):
        return
    node = trie
    for end in range(start, len(text)):
        if text[end] not in node:
            return
        node = node[text[end]]
        if _END in node and not _within_word(text, end + 1):
            yield end + 1, node[_END]


def _count_occurrences(strings: Mapping[str, Mapping[str, int]], examples: Sequence[Example]) -> Counter[str]:
    """Count where each string stands in the texts, as whole words, overlapping ones too."""
    trie = _build_trie(strings)
    return Counter(
        example.text[start:end]
        for example in examples
        for start in range(len(example.text))
        for end, _ in _matches(trie, example.text, start)
    )


def _within_word(text: str, cut: int) -> bool:
    """Tell whether a cut before ``text[cut]`` would split a word of a script with spaces."""
    return 0 < cut < len(text) and _spaced(text[cut - 1]) and _spaced(text[cut])


def _spaced(character: str) -> bool:
    if not character.isalnum():
        return False
    code = ord(character)
    return code < UNSPACED[0][0] or not any(first <= code <= last for first, last in UNSPACED)
