"""Evaluation during training: several sets of examples, both kinds of task, and task families; each predicted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seqgpt.evaluation.report import Predictor, Report, by_kind, evaluate
from seqgpt.examples import Example
from seqgpt.results import Result
from seqgpt.tasks import AtomicTask


def evaluate_sets(predictor: Predictor, sets: Mapping[str, Sequence[Example]], prefix: str) -> dict[str, float]:
    """Evaluate sets of examples by name; a single one may have the empty name.

    Returns:
        ``<prefix>_<metric>`` or ``<prefix>_<name>_<metric>``; ``<prefix>_family_<family>``, the mean headline metric of
        a task family; and ``<prefix>_score``, the mean of the headline metrics of all sets and kinds of task.
    """
    metrics: dict[str, float] = {}
    headlines: list[float] = []
    families: dict[str, list[float]] = {}
    for name, examples in sets.items():
        found = [evaluate_families(predictor, members, name=name or prefix) for members in by_kind(examples).values()]
        reports = [report for report, _ in found]
        for family, headline in (one for _, by_family in found for one in by_family.items()):
            families.setdefault(family, []).append(headline)
        before = f"{prefix}_{name}" if name else prefix
        metrics |= {f"{before}_{metric}": value for metric, value in _metrics(reports).items()}
        headlines += [report.headline for report in reports]
    metrics |= {f"{prefix}_family_{name}": sum(one) / len(one) for name, one in families.items()}
    metrics[f"{prefix}_score"] = sum(headlines) / len(headlines)
    return metrics


def evaluate_families(
    predictor: Predictor, examples: Sequence[Example], *, name: str
) -> tuple[Report, dict[str, float]]:
    """Evaluate examples of one kind of task, together and by family.

    Args:
        predictor: What answers them.
        examples: The examples; those without a family count in the report alone.
        name: Names the report.

    Returns:
        The report of all, and the headline metric of each family.
    """
    said = predictor.predict_pairs([(example.text, example.task) for example in examples])
    members: dict[str, list[int]] = {}
    for i, example in enumerate(examples):
        if example.family:
            members.setdefault(example.family, []).append(i)
    report = evaluate(_Said(said), examples, name=name, progress=False)
    return report, {
        family: evaluate(
            _Said([said[i] for i in rows]), [examples[i] for i in rows], name=name, progress=False
        ).headline
        for family, rows in members.items()
    }


@dataclass(frozen=True)
class _Said:
    """What was predicted before."""

    results: list[Result]

    def predict_pairs(self, pairs: Sequence[tuple[str, AtomicTask]], *, progress: bool = False) -> list[Result]:
        return self.results


def _metrics(reports: Sequence[Report]) -> dict[str, float]:
    """Join the metrics of one or both kinds of task; those that both have get the kind in front."""
    names = Counter(metric for report in reports for metric in report.metrics)
    return {
        metric if names[metric] == 1 else f"{report.kind}_{metric}": value
        for report in reports
        for metric, value in report.metrics.items()
    }
