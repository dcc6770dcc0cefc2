"""A model on several data sets, beside the trivial baselines that it must beat."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from seqgpt.data.source import has_no_splits, read_source
from seqgpt.evaluation.baselines import MajorityClass, SpanDictionary
from seqgpt.evaluation.report import HEADLINES, Predictor, Report, by_kind, evaluate
from seqgpt.examples import BadRows, Example, OnBadRow
from seqgpt.tasks import TaskKind

# A string counts as an entry of the second dictionary if it is a span in at least half of its occurrences.
_SURE_SHARE = 0.5


@dataclass(frozen=True)
class Comparison:
    """One data set: how the model did, and how the baselines did on the same examples."""

    model: Report
    baselines: dict[str, Report] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain JSON values."""
        return self.model.to_dict() | {"baselines": {name: report.to_dict() for name, report in self.baselines.items()}}


def compare(
    predictor: Predictor,
    names: Sequence[str],
    *,
    split: str = "test",
    limit: int | None = None,
    data_root: str | Path | None = None,
    baselines: bool = False,
    on_bad_row: OnBadRow = "error",
) -> list[Comparison]:
    """Evaluate a predictor on data sets, one after another, with progress on standard error.

    Args:
        predictor: A model.
        names: Recipes, JSONL files, or ``sample`` for the held-out part of the bundled examples.
        split: The split of the recipes.
        limit: Most examples of each, a seeded choice.
        data_root: Folder of the data sets.
        baselines: Also fit the trivial baselines on the training split, and measure them. Files have no training split,
            so they get none.
        on_bad_row: ``"error"`` or ``"skip"``; what is skipped is counted on standard error.

    Raises:
        DataError: If a source cannot be read, or has no examples.
        ConfigError: If there is no such recipe.
    """
    # All are read and checked before the first is predicted: nothing wrong must be found out after an hour.
    read = {name: by_kind(_read(name, split, limit, data_root, on_bad_row)) for name in names}
    fitted = {
        name: {} if not baselines or has_no_splits(name) else _fit_all(name, data_root, on_bad_row) for name in names
    }
    comparisons = []
    for name, kinds in read.items():
        for kind, examples in kinds.items():
            title = f"{name} ({kind})" if len(kinds) > 1 else name
            tqdm.write(f"{title}: {len(examples)} examples", file=sys.stderr)
            report = evaluate(predictor, examples, name=title)
            headline = f"{HEADLINES[report.kind]} {100 * report.headline:.1f}"
            tqdm.write(f"{title}: {headline}, {report.seconds:.1f} s", file=sys.stderr)
            rivals = fitted[name].get(kind, {})
            reports = {label: evaluate(one, examples, name=title, progress=False) for label, one in rivals.items()}
            comparisons.append(Comparison(report, reports))
    return comparisons


def to_table(comparisons: Sequence[Comparison]) -> str:
    """Lay comparisons out as a Markdown table, in percent: the headline metric, the baselines, and the time."""
    columns = list(dict.fromkeys(name for one in comparisons for name in one.baselines))
    lines = [
        f"| data set | n | metric | {''.join(f'{name} | ' for name in columns)}model | seconds |",
        "|---|---:|---|" + "---:|" * (len(columns) + 2),
    ]
    for one in comparisons:
        shown = [f"{100 * one.baselines[name].headline:.1f}" if name in one.baselines else "–" for name in columns]
        numbers = " | ".join([*shown, f"{100 * one.model.headline:.1f}", f"{one.model.seconds:.1f}"])
        name = one.model.name.replace("|", "\\|")
        lines.append(f"| {name} | {one.model.n} | {HEADLINES[one.model.kind]} | {numbers} |")
    return "\n".join(lines)


def _read(
    name: str, split: str, limit: int | None, data_root: str | Path | None, on_bad_row: OnBadRow
) -> list[Example]:
    bad = BadRows()
    examples = read_source(name, split, limit=limit, data_root=data_root, on_bad_row=on_bad_row, bad_rows=bad)
    if bad.count:
        tqdm.write(f"{name}: {bad}", file=sys.stderr)
    return examples


def _fit_all(name: str, data_root: str | Path | None, on_bad_row: OnBadRow) -> dict[TaskKind, dict[str, Predictor]]:
    """Fit the baselines of each kind of task on a training split."""
    train = by_kind(_read(name, "train", None, data_root, on_bad_row))
    return {kind: _fit(examples, kind) for kind, examples in train.items()}


def _fit(train: Sequence[Example], kind: TaskKind) -> dict[str, Predictor]:
    if kind == "classify":
        return {"majority class": MajorityClass.fit(train)}
    return {
        "dictionary": SpanDictionary.fit(train),
        "dictionary of sure entries": SpanDictionary.fit(train, min_share=_SURE_SHARE),
    }
