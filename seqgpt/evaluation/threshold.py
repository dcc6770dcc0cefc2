"""Which decisions give the best F1: from gold answers, and predictions that were made with a low threshold."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import NamedTuple

from seqgpt.calibration import Pairs
from seqgpt.options import Overlap
from seqgpt.results import Classification, Extraction, Result

CANDIDATES = tuple(step / 20 for step in range(1, 19))
"""0.05, 0.10, …, 0.90."""


class Decision(NamedTuple):
    """How a model decides what it answers.

    Attributes:
        threshold: What the probability of a span, or of one label of several, must exceed.
        overlap: Whether its spans may overlap.
    """

    threshold: float
    overlap: Overlap


def best_decision(groups: Sequence[Pairs]) -> Decision:
    """Return the threshold and overlap with the best :func:`mean_f1`.

    Of several, one in which spans may overlap, with the threshold nearest to one half. Where probabilities are
    calibrated, the best threshold is half of the best F1 (Lipton, Elkan and Naryanaswamy 2014, arXiv 1402.1892): for
    hard tasks it lies well below one half. And where no spans overlap in the data, a model that leaves out those that
    do may go lower.
    """
    kinds: dict[Overlap, Sequence[Pairs]] = {"flat": _flat(groups), "allow": groups}
    found = {
        Decision(threshold, overlap): mean_f1(kind, threshold)
        for overlap, kind in kinds.items()
        for threshold in CANDIDATES
    }
    return max(found, key=lambda one: (found[one], one.overlap == "allow", -abs(one.threshold - 0.5)))


def mean_f1(groups: Sequence[Pairs], threshold: float, overlap: Overlap = "allow") -> float:
    """Return the mean over groups of the micro F1 of spans (label, start, end), and of labels of several.

    Args:
        groups: Examples of several data sets, each a group. Single-label tasks have no threshold and do not count.
        threshold: What probabilities must exceed.
        overlap: Whether spans may overlap; of those that do, ``"flat"`` counts the most probable.
    """
    counted = [group for group in map(_with_threshold, _flat(groups) if overlap == "flat" else groups) if group]
    return sum(_f1(group, threshold) for group in counted) / max(len(counted), 1)


def _flat(groups: Sequence[Pairs]) -> list[Pairs]:
    """Leave out what is less probable than what it overlaps: no threshold keeps the one without the other."""
    return [
        [(gold, result.flat() if isinstance(result, Extraction) else result) for gold, result in group]
        for group in groups
    ]


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
