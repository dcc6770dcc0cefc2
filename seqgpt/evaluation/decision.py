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
        threshold: What the probability of a span must exceed.
        class_threshold: What that of one label of several must exceed.
        overlap: Whether its spans may overlap.
    """

    threshold: float
    class_threshold: float
    overlap: Overlap = "allow"

    def __str__(self) -> str:
        return f"threshold {self.threshold:.2f}, class threshold {self.class_threshold:.2f}, overlap {self.overlap}"


def best_decision(groups: Sequence[Pairs], former: Decision) -> Decision:
    """Return the thresholds and overlap with the best :func:`mean_f1`; the former ones of what gets no better.

    Of several, one in which spans may overlap, with the threshold nearest to one half. Where probabilities are
    calibrated, the best threshold is half of the best F1 (Lipton, Elkan and Naryanaswamy 2014, arXiv 1402.1892): for
    hard tasks it lies well below one half. And where no spans overlap in the data, a model that leaves out those that
    do may go lower.
    """
    spans, classes = _of_kind(groups, Extraction), _of_kind(groups, Classification)
    flat = _flat(spans)
    found: dict[tuple[Overlap, float], float] = {}
    for threshold in CANDIDATES:
        found["flat", threshold] = _mean_f1(flat, threshold)
        found["allow", threshold] = _mean_f1(spans, threshold)
    best = max(found, key=lambda one: (found[one], one[0] == "allow", -abs(one[1] - 0.5)))
    if found[best] > _mean_f1(flat if former.overlap == "flat" else spans, former.threshold):
        former = former._replace(overlap=best[0], threshold=best[1])
    of_classes = {threshold: _mean_f1(classes, threshold) for threshold in CANDIDATES}
    likely = max(of_classes, key=lambda threshold: (of_classes[threshold], -abs(threshold - 0.5)))
    if of_classes[likely] > _mean_f1(classes, former.class_threshold):
        former = former._replace(class_threshold=likely)
    return former


def mean_f1(groups: Sequence[Pairs], decision: Decision) -> float:
    """Return the mean over groups of the micro F1 of spans (label, start, end), and of labels of several.

    Args:
        groups: Examples of several data sets, each a group. Single-label tasks have no threshold and do not count.
        decision: What counts as said.
    """
    counted = [
        group for group in map(_with_threshold, _flat(groups) if decision.overlap == "flat" else groups) if group
    ]
    return sum(_f1(group, decision.threshold, decision.class_threshold) for group in counted) / max(len(counted), 1)


def _mean_f1(groups: Sequence[Pairs], threshold: float) -> float:
    return mean_f1(groups, Decision(threshold, threshold))


def _of_kind(groups: Sequence[Pairs], kind: type[Result]) -> list[Pairs]:
    """Return what of each group is of a kind, without groups that have nothing of it."""
    parts = ([pair for pair in group if isinstance(pair[0], kind)] for group in groups)
    return [part for part in parts if part]


def _flat(groups: Sequence[Pairs]) -> list[Pairs]:
    """Leave out what is less probable than what it overlaps: no threshold keeps the one without the other."""
    return [
        [(gold, result.flat() if isinstance(result, Extraction) else result) for gold, result in group]
        for group in groups
    ]


def _with_threshold(pairs: Pairs) -> list[tuple[Result, Result]]:
    return [pair for pair in pairs if not pair[0].task.single_label]


def _f1(pairs: Pairs, threshold: float, class_threshold: float) -> float:
    right = wanted = given = 0
    for gold, predicted in pairs:
        least = threshold if isinstance(gold, Extraction) else class_threshold
        held = {item for item, _ in _scored(gold, gold=True)}
        likely = {item for item, score in _scored(predicted) if score > least}
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
