"""How sure a number is: intervals and tests over texts, which are resampled with what was counted of each.

The texts of a test set are a sample; another sample would have given another number. Texts are drawn from them with
replacement, as many as there are, and the number is computed again, a thousand times. It is a function of sums over
texts, so that a draw costs one weighted sum. Draws are a function of the seed and the number of texts: with one seed,
all numbers of a test set are computed on the same texts.

Source: Efron 1979, the bootstrap; Koehn 2004 (W04-3250) for numbers like F1 that are no mean over texts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from seqgpt.errors import DataError
from seqgpt.evaluation.scoring.scores import F1Scores

DRAWS = 1000

_TAILS = (0.025, 0.975)
_ROUNDING = 1e-12  # differences that are equal but for it are equal

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Counts:
    """What was counted of each text, and which number the sums over texts give.

    Most texts have few of the labels, so what is not 0 is listed. ``E`` entries:

    Attributes:
        n: How many texts there are.
        texts: (E,) The text of each entry, from 0.
        columns: (E,) What it counts, from 0.
        values: (E,) How much of it.
        width: How many columns there are.
        statistic: The number, from the sums (width,) of the columns.
    """

    n: int
    texts: NDArray[np.intp]
    columns: NDArray[np.intp]
    values: Floats
    width: int
    statistic: Callable[[Floats], float]

    @property
    def value(self) -> float:
        """The number, on the texts as they are."""
        return self.weighted(np.ones(self.n))

    def weighted(self, weights: Floats) -> float:
        """Return the number as if each text were there so many times.

        Args:
            weights: (n,) How many times.
        """
        sums = np.bincount(self.columns, self.values * weights[self.texts], minlength=self.width)
        return float(self.statistic(sums.astype(np.float64)))  # without entries they are whole numbers


@dataclass(frozen=True, slots=True)
class Interval:
    """A number, with its 95 % interval.

    Attributes:
        value: The number, on the texts as they are.
        low: 2.5 % of the draws are below.
        high: 2.5 % of the draws are above.
    """

    value: float
    low: float
    high: float

    def to_dict(self) -> dict[str, float]:
        """Return all numbers by their names."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Difference(Interval):
    """How much better one predictor is than another on the same texts, with the 95 % interval.

    Attributes:
        p: How probable a difference at least as large, of either sign, would be if there were none; at least
            1 / (draws + 1).
    """

    p: float


def mean(values: Sequence[float]) -> Counts:
    """Take the mean over texts: accuracy, or exact match and F1 of reading."""
    n = len(values)
    return Counts(n, np.arange(n), np.zeros(n, np.intp), np.asarray(values, np.float64), 1, lambda sums: sums[0] / n)


def micro_f1(scores: F1Scores) -> Counts:
    """Take the F1 of all items together."""
    return _f1_counts(scores, lambda sums: 2 * sums[0] / max(sums[1] + sums[2], 1), by_label=False)


def macro_f1(scores: F1Scores) -> Counts:
    """Take the mean F1 of the labels; those that are not among the texts drawn do not enter it."""
    return _f1_counts(scores, _macro, by_label=True)


def interval(counts: Counts, *, seed: int = 0, draws: int = DRAWS) -> Interval:
    """Return a number with its 95 % percentile interval.

    Raises:
        DataError: If there are no texts.
    """
    drawn = [counts.weighted(weights) for weights in _draws(counts.n, seed, draws)]
    low, high = np.quantile(drawn, _TAILS)
    return Interval(counts.value, float(low), float(high))


def paired_test(one: Counts, other: Counts, *, seed: int = 0, draws: int = DRAWS) -> Difference:
    """Say whether one predictor is better than another: the paired bootstrap test.

    Each draw takes the same texts for both. Under the null hypothesis the differences d* of the draws would scatter
    around 0 as they do around d, that of the texts as they are; so p is the share of draws with |d* − d| ≥ |d|.
    That is the test of Berg-Kirkpatrick, Burkett and Klein 2012 (D12-1091, section 2), with two sides; d itself is
    counted as a draw, so that p is never 0 (Davison and Hinkley 1997, section 4.2). Koehn 2004 (W04-3250) takes the
    share of draws in which the sign changes instead. Of few texts draws say too little: p is at least 2 / 2^k where k
    texts count differently, which is as far as an exact test of signs can go.

    Args:
        one: A number of one predictor.
        other: The same of another, on the same texts in the same order.
        seed: Of the draws.
        draws: How many.

    Raises:
        DataError: If the numbers are not of equally many texts, or there are none.
    """
    if one.n != other.n:
        raise DataError(f"one predictor answered {one.n} texts, the other {other.n}: compare them on the same texts.")
    value = one.value - other.value
    drawn = np.array([one.weighted(weights) - other.weighted(weights) for weights in _draws(one.n, seed, draws)])
    low, high = np.quantile(drawn, _TAILS)
    extreme = int(np.sum(np.abs(drawn - value) >= abs(value) - _ROUNDING))
    least = min(1.0, 2.0 * 0.5 ** _differing(one, other))
    return Difference(value, float(low), float(high), max((1 + extreme) / (1 + draws), least))


def _differing(one: Counts, other: Counts) -> int:
    """Return how many texts do not count alike."""
    return int(np.any(_by_text(one) != _by_text(other), axis=1).sum())


def _by_text(counts: Counts) -> Floats:
    """Return what is counted of each text, all labels together, (n, 3); of a mean (n, 1)."""
    kinds = 3 if counts.width % 3 == 0 else 1
    found = np.zeros((counts.n, kinds))
    np.add.at(found, (counts.texts, counts.columns % kinds), counts.values)
    return found


def _draws(n: int, seed: int, draws: int) -> Iterator[Floats]:
    """Yield how often each text is drawn, (n,), as many times."""
    if not n:
        raise DataError("there is no text to resample: give at least one.")
    generator = np.random.default_rng(seed)
    for _ in range(draws):
        yield np.bincount(generator.integers(n, size=n), minlength=n).astype(np.float64)


def _f1_counts(scores: F1Scores, statistic: Callable[[Floats], float], *, by_label: bool) -> Counts:
    """List the three counts of each text, of all labels together or of each."""
    column = {label: 3 * i if by_label else 0 for i, label in enumerate(scores.per_label)}
    entries = [
        (text, column[label] + i, value)
        for text, counts in enumerate(scores.by_text)
        for label, score in counts.items()
        for i, value in enumerate((score.correct, score.predicted, score.support))
        if value
    ]
    table = np.array(entries, dtype=np.float64).reshape(-1, 3)
    texts, columns = table[:, :2].T.astype(np.intp)
    width = 3 * len(column) if by_label else 3
    return Counts(len(scores.by_text), texts, columns, table[:, 2], width, statistic)


def _macro(sums: Floats) -> float:
    correct, predicted, support = sums.reshape(-1, 3).T
    total = predicted + support
    seen = total > 0
    return float(np.mean(2 * correct[seen] / total[seen])) if seen.any() else 0.0
