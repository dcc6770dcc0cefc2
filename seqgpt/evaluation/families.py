"""The sets of an evaluation by family, language and metric."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seqgpt.evaluation.evaluation import Entry, Evaluation
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
