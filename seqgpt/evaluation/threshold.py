"""Which threshold gives the best F1: from gold answers, and predictions that were made with a low one."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence

from seqgpt.calibration import Pairs
from seqgpt.results import Classification, Result

CANDIDATES = tuple(step / 20 for step in range(1, 19))
"""0.05, 0.10, …, 0.90."""


def best_threshold(groups: Sequence[Pairs]) -> float:
    """Return the threshold with the best :func:`mean_f1`; of several, the one nearest to one half.

    Where probabilities are calibrated, the best threshold is half of the best F1 (Lipton, Elkan and Naryanaswamy 2014,
    arXiv 1402.1892): for hard tasks it lies well below one half.
    """
    return max(CANDIDATES, key=lambda threshold: (mean_f1(groups, threshold), -abs(threshold - 0.5)))


def mean_f1(groups: Sequence[Pairs], threshold: float) -> float:
    """Return the mean over groups of the micro F1 of spans (label, start, end), and of labels of several.

    Args:
        groups: Examples of several data sets, each a group. Single-label tasks have no threshold and do not count.
        threshold: What probabilities must exceed.
    """
    counted = [group for group in map(_with_threshold, groups) if group]
    return sum(_f1(group, threshold) for group in counted) / max(len(counted), 1)


def _with_threshold(pairs: Pairs) -> list[tuple[Result, Result]]:
    return [pair for pair in pairs if not pair[0].task.single_label]


def _f1(pairs: Pairs, threshold: float) -> float:
    right = wanted = given = 0
    for gold, predicted in pairs:
        held = {item for item, _ in _scored(gold, gold=True)}
        likely = {item for item, score in _scored(predicted) if score > threshold}
        right += len(held & likely)
        wanted += len(held)
        given += len(likely)
    return 2 * right / max(wanted + given, 1)


def _scored(result: Result, *, gold: bool = False) -> Iterator[tuple[Hashable, float]]:
    """Yield what a result says, with its probabilities."""
    if isinstance(result, Classification):
        yield from ((label, 1.0) for label in result.labels) if gold else result.scores.items()
    else:
        yield from (((span.label, span.start, span.end), span.score) for span in result.spans)
