"""The sets of an evaluation by family, language and metric."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from seqgpt.evaluation.evaluation import Entry, Evaluation
from seqgpt.evaluation.scoring.bootstrap import Interval
from seqgpt.evaluation.sets import HEADLINES


@dataclass(frozen=True)
class Group:
    """Sets that belong together.

    Attributes:
        family: Their family; None for all families.
        language: Their language; empty if they have none, or several.
        metric: Their headline.
        sets: The entries of each by the names of the predictors.
    """

    family: str | None
    language: str
    metric: str
    sets: Sequence[dict[str, Entry]]

    def mean(self, predictor: str) -> float | None:
        """Return the mean of the headlines of a predictor; None if it was not asked on all of them."""
        found = [entries[predictor].report.headline for entries in self.sets if predictor in entries]
        return sum(found) / len(found) if len(found) == len(self.sets) else None

    def interval(self, predictor: str) -> Interval | None:
        """Return the 95 % interval of the mean: how far other texts of the same sets would move it.

        The sets are independent, so that variances add up: the half width is that of a set, as in its report, over
        the root of the number of sets, where all are as wide. Not how far other sets would move it. None if there is
        no mean, or a set has no interval.
        """
        mean = self.mean(predictor)
        found = [entries[predictor].report.intervals.get(self.metric) for entries in self.sets if predictor in entries]
        widths = [(one.high - one.low) / 2 for one in found if one]
        if mean is None or len(widths) < len(self.sets):
            return None
        half = math.hypot(*widths) / len(widths)
        return Interval(mean, max(mean - half, 0.0), min(mean + half, 1.0))


def by_family(evaluation: Evaluation) -> list[Group]:
    """Group the sets of an evaluation by family, language and metric; then all of a language and metric."""
    groups: dict[tuple[bool, str, str, str], list[dict[str, Entry]]] = {}
    for entries in evaluation.by_set().values():
        of = next(iter(entries.values())).of
        for is_all, family in ((False, of.family), (True, "")):
            groups.setdefault((is_all, family, of.language, HEADLINES[of.kind]), []).append(entries)
    return [
        Group(None if is_all else family, language, metric, groups[is_all, family, language, metric])
        for is_all, family, language, metric in sorted(groups)
    ]
