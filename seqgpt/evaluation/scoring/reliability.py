"""Whether probabilities mean what they say: answers in bins of probability, and the expected calibration error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from seqgpt.calibration import judged
from seqgpt.evaluation.scoring.scores import check_pairs
from seqgpt.results import Classification, Result

_BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Answers of about the same probability.

    Attributes:
        low: Their lowest probability.
        high: Where the next bin begins; 1 is within the last one.
        confidence: Their mean probability.
        accuracy: The share of them that is right.
        count: How many there are, at least one.
    """

    low: float
    high: float
    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Reliability:
    """Answers by probability; a reliability diagram is ``accuracy`` over ``confidence``.

    Attributes:
        bins: The bins that hold any answer, ascending.
    """

    bins: tuple[Bin, ...]

    @property
    def error(self) -> float:
        """The expected calibration error: the mean over answers of their bin's |accuracy − confidence|."""
        n = sum(one.count for one in self.bins)
        return sum(one.count * abs(one.accuracy - one.confidence) for one in self.bins) / max(n, 1)

    def to_dict(self) -> dict[str, Any]:
        """Return ``error`` and ``bins``."""
        return {"error": self.error, "bins": [asdict(one) for one in self.bins]}


def reliability(gold: Sequence[Result], predicted: Sequence[Result]) -> Reliability:
    """Sort answers into ten bins of equal width by their probability.

    Of a single-label task the probability of the answer counts, "none of these" too; else that of every label, and of
    every span that was found. Source: Guo et al. 2017, arXiv 1706.04599, section 2.

    Raises:
        DataError: If gold and predicted do not belong together.
    """
    check_pairs(gold, predicted)
    members: dict[int, list[tuple[float, bool]]] = {}
    for g, p in zip(gold, predicted, strict=True):
        for score, right in _scored(g, p):
            members.setdefault(min(int(score * _BINS), _BINS - 1), []).append((score, right))
    return Reliability(tuple(_bin(i, members[i]) for i in sorted(members)))


def calibration_error(gold: Sequence[Result], predicted: Sequence[Result]) -> float:
    """Return the expected calibration error: how far probabilities are from the share of answers that are right.

    It is the ``error`` of :func:`reliability`, which says which probabilities count.

    Raises:
        DataError: If gold and predicted do not belong together.
    """
    return reliability(gold, predicted).error


def _bin(i: int, members: Sequence[tuple[float, bool]]) -> Bin:
    n = len(members)
    confidence, accuracy = sum(score for score, _ in members) / n, sum(right for _, right in members) / n
    return Bin(i / _BINS, (i + 1) / _BINS, confidence, accuracy, n)


def _scored(gold: Result, predicted: Result) -> Iterator[tuple[float, bool]]:
    """Yield the probability of each answer, and whether it is right; none of an answer that says nothing of it."""
    if isinstance(predicted, Classification) and predicted.task.single_label:
        sure = predicted.scores[predicted.labels[0]] if predicted.labels else predicted.none_score
        if sure is not None:
            yield sure, isinstance(gold, Classification) and gold.labels == predicted.labels
    else:
        yield from judged(gold, predicted)
