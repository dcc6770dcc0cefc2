"""Whether one predictor is better than another: two evaluations, compared on the texts that both have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqgpt.errors import DataError, did_you_mean
from seqgpt.evaluation.evaluation import Entry, Evaluation
from seqgpt.evaluation.pages.listing import Wrong, wrong_answers
from seqgpt.evaluation.scoring.bootstrap import Counts, Difference, paired_test
from seqgpt.evaluation.scoring.measures import measure
from seqgpt.evaluation.sets import HEADLINES
from seqgpt.evaluation.tables import percent, to_table

SURE = 0.05
"""Below this p a difference counts as one."""


@dataclass(frozen=True)
class Contest:
    """Two predictors on the same texts.

    Attributes:
        first: The one.
        second: The other.
        difference: The headline of the second less that of the first.
        only_first: The texts that only the first answers rightly, with the mistakes of the second.
        only_second: The texts that only the second answers rightly, with the mistakes of the first.
    """

    first: Entry
    second: Entry
    difference: Difference
    only_first: Sequence[Wrong]
    only_second: Sequence[Wrong]

    @property
    def metric(self) -> str:
        """The headline that is compared."""
        return HEADLINES[self.first.of.kind]

    def to_dict(self) -> dict[str, Any]:
        """Return the contest as plain JSON values; texts by their lines in the set, from 1."""
        return {
            "set": self.first.of.name,
            "n": len(self.first.of.examples),
            "metric": self.metric,
            "first": self.first.report.headline,
            "second": self.second.report.headline,
            "difference": self.difference.to_dict(),
            "only_first": [one.line for one in self.only_first],
            "only_second": [one.line for one in self.only_second],
        }


@dataclass(frozen=True)
class Comparison:
    """Two predictors on all sets that both were asked on.

    Attributes:
        names: What they are called; ``(A)`` and ``(B)`` follow if that is the same.
        contests: Each set.
        left_out: Sets that only one has, or that have other examples.
    """

    names: tuple[str, str]
    contests: Sequence[Contest]
    left_out: Sequence[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain JSON values."""
        return {
            "names": list(self.names),
            "sets": [contest.to_dict() for contest in self.contests],
            "left_out": list(self.left_out),
        }


def compare_evaluations(
    a: Evaluation, b: Evaluation, *, first: str | None = None, second: str | None = None, seed: int = 0
) -> Comparison:
    """Compare a predictor of one evaluation with one of another, or of the same, by the paired bootstrap test.

    Args:
        a: The one evaluation.
        b: The other.
        first: The predictor of ``a``; its first if it is not said.
        second: The predictor of ``b``.
        seed: Of the draws.

    Raises:
        DataError: If there is no such predictor, or no set has the same examples in both.
    """
    names = _chosen(a, first), _chosen(b, second)
    ours, theirs = (
        {e.of.name: e for e in of.entries if e.predictor == name} for of, name in zip((a, b), names, strict=True)
    )
    same = {name: other for name, one in ours.items() if (other := _other(one, theirs)) is not None}
    if not same:
        raise DataError(
            f"{names[0]!r} and {names[1]!r} have no data set with the same examples: evaluate both with the same "
            "sources, split and limit."
        )
    return Comparison(
        names if names[0] != names[1] else (f"{names[0]} (A)", f"{names[1]} (B)"),
        [_contest(ours[name], other, seed) for name, other in same.items()],
        [name for name in ours if name not in same]
        + [name for name, one in theirs.items() if one not in same.values() and name not in ours],
    )


def comparison_table(comparison: Comparison) -> str:
    """Return a comparison as a Markdown table, in percent; what differs surely is bold."""
    one, other = (name.replace("|", "\\|") for name in comparison.names)
    head = ["data set", "n", "metric", one, other, "difference", "95 % interval", "p", f"only {one}", f"only {other}"]
    rows = []
    for contest in comparison.contests:
        found = contest.difference
        value = f"{100 * found.value:+.1f}"
        rows.append(
            [
                contest.first.of.name.replace("|", "\\|"),
                str(len(contest.first.of.examples)),
                contest.metric,
                percent(contest.first.report.headline),
                percent(contest.second.report.headline),
                f"**{value}**" if found.p < SURE else value,
                f"{100 * found.low:+.1f} to {100 * found.high:+.1f}",
                f"{found.p:.3f}",
                str(len(contest.only_first)),
                str(len(contest.only_second)),
            ]
        )
    return to_table(head, rows, left=(0, 2))


def verdict(comparison: Comparison) -> str:
    """Say in a sentence on how many sets which predictor is better."""
    one, other = comparison.names
    sure = [contest.difference.value for contest in comparison.contests if contest.difference.p < SURE]
    better, n = sum(value > 0 for value in sure), len(comparison.contests)
    sets = "1 set" if n == 1 else f"{n} sets"
    not_both = ", ".join(comparison.left_out)
    left_out = f"; not both answered the same examples of {not_both}" if not_both else ""
    return (
        f"Of {sets}, {other} is better on {better}, {one} on {len(sure) - better}, with p < {SURE} on each by itself "
        f"(paired bootstrap over texts){left_out}."
    )


def _chosen(evaluation: Evaluation, name: str | None) -> str:
    known = evaluation.predictors
    if name is None:
        if not known:
            raise DataError("an evaluation without predictors cannot be compared: evaluate one first.")
        return known[0]
    if name not in known:
        raise DataError(f"no predictor is named {name!r}.{did_you_mean(name, known)} Use one of {', '.join(known)}.")
    return name


def _other(one: Entry, theirs: Mapping[str, Entry]) -> Entry | None:
    """Return the entry on the same examples: that of the same name, or one that is called otherwise, as files are."""
    candidates = [theirs[one.of.name]] if one.of.name in theirs else [*theirs.values()]
    return next((other for other in candidates if _alike(one, other)), None)


def _alike(one: Entry, other: Entry) -> bool:
    return one.of.kind == other.of.kind and [e.gold for e in one.of.examples] == [e.gold for e in other.of.examples]


def _contest(first: Entry, second: Entry, seed: int) -> Contest:
    wrong, also = wrong_answers(first), wrong_answers(second)
    lines, others = {one.line for one in wrong}, {one.line for one in also}
    return Contest(
        first,
        second,
        paired_test(_counts(second), _counts(first), seed=seed),
        [one for one in also if one.line not in lines],
        [one for one in wrong if one.line not in others],
    )


def _counts(entry: Entry) -> Counts:
    """Return what the headline is computed from, text by text."""
    sides = [example.gold for example in entry.of.examples], [one.result for one in entry.predictions]
    return measure(entry.of.kind, *sides).counts[HEADLINES[entry.of.kind]]
