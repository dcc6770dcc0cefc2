"""Precision, recall and F1 from counts: of one text, by label, over all texts.

Every measure of extraction and classification counts each text by itself first, so that the same counts give the score,
and its uncertainty (``bootstrap.py``). A precision, recall or F1 that would divide by zero is 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from seqgpt.errors import DataError
from seqgpt.results import Classification, Extraction, Result

Item = tuple[str, Hashable]
"""What is counted: a label, and what was said of it."""

R = TypeVar("R", Extraction, Classification)


@dataclass(frozen=True, slots=True)
class Score:
    """Three counts, and what follows from them.

    Attributes:
        correct: Items that are both gold and predicted; partial measures count parts of them.
        predicted: Predicted items.
        support: Gold items.
    """

    correct: float
    predicted: int
    support: int

    @property
    def precision(self) -> float:
        """Share of the predicted items that are right."""
        return self.correct / self.predicted if self.predicted else 0.0

    @property
    def recall(self) -> float:
        """Share of the gold items that were predicted."""
        return self.correct / self.support if self.support else 0.0

    @property
    def f1(self) -> float:
        """Harmonic mean of precision and recall."""
        total = self.predicted + self.support
        return 2 * self.correct / total if total else 0.0

    def __add__(self, other: Score) -> Score:
        return Score(self.correct + other.correct, self.predicted + other.predicted, self.support + other.support)

    def to_dict(self) -> dict[str, Any]:
        """Return ``precision``, ``recall``, ``f1`` and ``support``."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1, "support": self.support}


LabelScores = Mapping[str, Score]
"""The counts of some labels; those neither gold nor predicted are left out."""

NOTHING = Score(0, 0, 0)


@dataclass(frozen=True)
class F1Scores:
    """F1 over all items, and by label.

    Attributes:
        micro: All items together.
        macro_f1: Mean F1 of the labels in ``per_label``.
        per_label: Each label that is gold or predicted at least once, in the order of the tasks; a label that occurs
            on neither side has no F1 and does not enter the mean.
        by_text: The counts of each text, in order.
    """

    micro: Score
    macro_f1: float
    per_label: dict[str, Score]
    by_text: tuple[LabelScores, ...] = field(repr=False)


def f1_scores(gold: Sequence[R], predicted: Sequence[R], count: Callable[[R, R], LabelScores]) -> F1Scores:
    """Sum what ``count`` says of each text.

    Raises:
        DataError: If gold and predicted do not belong together.
    """
    check_pairs(gold, predicted)
    by_text = tuple(count(g, p) for g, p in zip(gold, predicted, strict=True))
    totals: dict[str, Score] = {}
    for counts in by_text:
        for label, score in counts.items():
            totals[label] = totals.get(label, NOTHING) + score
    per_label = {label: totals[label] for label in asked_labels(gold) if label in totals}
    macro = sum(score.f1 for score in per_label.values()) / len(per_label) if per_label else 0.0
    return F1Scores(sum(per_label.values(), NOTHING), macro, per_label, by_text)


def item_f1(gold: Sequence[R], predicted: Sequence[R], items: Callable[[R], Iterable[Item]]) -> F1Scores:
    """Score what ``items`` lists of each result: an item that is on both sides is right, and counts once a text.

    Raises:
        DataError: If gold and predicted do not belong together.
    """
    return f1_scores(gold, predicted, lambda g, p: _count_items(set(items(g)), set(items(p))))


def asked_labels(results: Sequence[Result]) -> list[str]:
    """Return all labels that were asked, each once, in the order of the tasks."""
    return list(
        dict.fromkeys(label for task in dict.fromkeys(result.task for result in results) for label in task.labels)
    )


def check_pairs(gold: Sequence[Result], predicted: Sequence[Result]) -> None:
    """Raise a ``DataError`` unless each prediction answers its gold result's question to its text."""
    if len(gold) != len(predicted):
        raise DataError(f"{len(gold)} gold results have {len(predicted)} predictions: give one for each, in order.")
    for i, (g, p) in enumerate(zip(gold, predicted, strict=True)):
        if type(g) is not type(p):
            raise DataError(
                f"prediction {i} is of task {p.task.kind!r}, its gold of {g.task.kind!r}: ask the same task."
            )
        if g.text != p.text:
            raise DataError(
                f"prediction {i} is of another text ({p.text[:20]!r}, not {g.text[:20]!r}): keep the order."
            )
        if g.task is not p.task and set(g.task.labels) != set(p.task.labels):
            raise DataError(f"prediction {i} was asked other labels than its gold: use the same task for both.")
        if g.task.about != p.task.about:
            raise DataError(f"prediction {i} is about something else than its gold: keep the order.")


def _count_items(gold: set[Item], predicted: set[Item]) -> LabelScores:
    correct = Counter(label for label, _ in gold & predicted)
    found = Counter(label for label, _ in predicted)
    support = Counter(label for label, _ in gold)
    return {label: Score(correct[label], found[label], support[label]) for label in found | support}
