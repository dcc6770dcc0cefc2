"""What a prediction is worth: span F1 for extraction, accuracy and F1 for classification.

Pure functions over gold and predicted results, pairwise in the same order. A precision, recall or F1 that would
divide by zero is 0.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from seqgpt.calibration import judged
from seqgpt.errors import DataError
from seqgpt.results import Classification, Extraction, Result

Item = tuple[str, Hashable]
"""What is counted: a label, and what was said of it."""

_BINS = 10

R = TypeVar("R", Extraction, Classification)


@dataclass(frozen=True, slots=True)
class Score:
    """Three counts, and what follows from them.

    Attributes:
        correct: Items that are both gold and predicted.
        predicted: Predicted items.
        support: Gold items.
    """

    correct: int
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

    def to_dict(self) -> dict[str, Any]:
        """Return ``precision``, ``recall``, ``f1`` and ``support``."""
        return {"precision": self.precision, "recall": self.recall, "f1": self.f1, "support": self.support}


@dataclass(frozen=True)
class F1Scores:
    """F1 over all items, and by label.

    Attributes:
        micro: All items together.
        macro_f1: Mean F1 of the labels in ``per_label``.
        per_label: Each label that is gold or predicted at least once, in the order of the tasks; a label that occurs
            on neither side has no F1 and does not enter the mean.
    """

    micro: Score
    macro_f1: float
    per_label: dict[str, Score]


@dataclass(frozen=True)
class ClassScores:
    """Accuracy and F1 of a classification.

    Attributes:
        accuracy: Share of the texts whose predicted labels are exactly the gold ones: the one label, or all of a
            multi-label task. To abstain is right exactly where the gold answer is "none of these".
        f1: F1 over pairs of text and label. Abstaining predicts no pair: it lowers recall, never precision, and is
            no label of the mean. Without abstention, single-label micro F1 equals accuracy.
        abstention: The answer "none of these" itself, counted like a label.
    """

    accuracy: float
    f1: F1Scores
    abstention: Score


def offset_f1(gold: Sequence[Extraction], predicted: Sequence[Extraction]) -> F1Scores:
    """Score spans by position: one counts if label, start and end are all right.

    Each span of a text counts once; its score and status do not matter.

    Raises:
        DataError: If gold and predicted do not belong together.
    """
    return _f1(gold, predicted, lambda result: {(span.label, (span.start, span.end)) for span in result.spans})


def string_f1(gold: Sequence[Extraction], predicted: Sequence[Extraction]) -> F1Scores:
    """Score spans by wording: one counts if label and string are right, wherever it stands.

    Each string counts once per text and label, however often it stands there; strings are compared as they are.

    Raises:
        DataError: If gold and predicted do not belong together.
    """
    return _f1(gold, predicted, lambda result: {(span.label, span.text) for span in result.spans})


def class_scores(gold: Sequence[Classification], predicted: Sequence[Classification]) -> ClassScores:
    """Score classifications, single-label or multi-label.

    Raises:
        DataError: If gold and predicted do not belong together, or there are none.
    """
    f1 = _f1(gold, predicted, lambda result: {(label, True) for label in result.labels})
    if not gold:
        raise DataError("there is no text to score: give at least one.")
    right = sum(set(g.labels) == set(p.labels) for g, p in zip(gold, predicted, strict=True))
    abstention = Score(
        sum(g.abstained and p.abstained for g, p in zip(gold, predicted, strict=True)),
        sum(p.abstained for p in predicted),
        sum(g.abstained for g in gold),
    )
    return ClassScores(right / len(gold), f1, abstention)


def calibration_error(gold: Sequence[Result], predicted: Sequence[Result]) -> float:
    """Return the expected calibration error: how far probabilities are from the share of answers that are right.

    Of a single-label task the probability of the answer counts, "none of these" too; else that of every label, and of
    every span that was found. Source: Guo et al. 2017, arXiv 1706.04599, section 2, with ten bins of equal width.

    Raises:
        DataError: If gold and predicted do not belong together.
    """
    check_pairs(gold, predicted)
    bins: dict[int, list[tuple[float, bool]]] = {}
    for g, p in zip(gold, predicted, strict=True):
        for score, right in _scored(g, p):
            bins.setdefault(min(int(score * _BINS), _BINS - 1), []).append((score, right))
    gaps = [abs(sum(score - right for score, right in members)) for members in bins.values()]
    return sum(gaps) / max(sum(map(len, bins.values())), 1)


def _scored(gold: Result, predicted: Result) -> Iterator[tuple[float, bool]]:
    """Yield the probability of each answer, and whether it is right."""
    if isinstance(predicted, Classification) and predicted.task.single_label:
        sure = predicted.scores[predicted.labels[0]] if predicted.labels else predicted.none_score
        yield (sure or 0.0, isinstance(gold, Classification) and gold.labels == predicted.labels)
    else:
        yield from judged(gold, predicted)


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


def _f1(gold: Sequence[R], predicted: Sequence[R], items: Callable[[R], set[Item]]) -> F1Scores:
    check_pairs(gold, predicted)
    correct: Counter[str] = Counter()
    found: Counter[str] = Counter()
    support: Counter[str] = Counter()
    for g, p in zip(gold, predicted, strict=True):
        wanted, given = items(g), items(p)
        correct.update(label for label, _ in wanted & given)
        found.update(label for label, _ in given)
        support.update(label for label, _ in wanted)
    labels = dict.fromkeys(label for task in dict.fromkeys(g.task for g in gold) for label in task.labels)
    per_label = {
        label: Score(correct[label], found[label], support[label]) for label in labels if found[label] or support[label]
    }
    macro = sum(score.f1 for score in per_label.values()) / len(per_label) if per_label else 0.0
    return F1Scores(Score(correct.total(), found.total(), support.total()), macro, per_label)
