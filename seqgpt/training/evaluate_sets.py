"""Evaluation during training: several sets of examples, both kinds of task, and task families; each predicted once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from seqgpt.evaluation.predictions import answer
from seqgpt.evaluation.predictor import Predictor
from seqgpt.evaluation.report import Report, make_report
from seqgpt.evaluation.sets import HEADLINES, EvalSet, by_kind
from seqgpt.examples import Example

_HEADLINES = ("offset_f1", "token_f1", "accuracy")


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
        parts = [EvalSet(name or prefix, name, kind, members) for kind, members in by_kind(examples).items()]
        found = [evaluate_families(predictor, part) for part in parts]
        reports = [report for report, _ in found]
        for family, headline in (one for _, by_family in found for one in by_family.items()):
            families.setdefault(family, []).append(headline)
        before = f"{prefix}_{name}" if name else prefix
        metrics |= {f"{before}_{metric}": value for metric, value in _metrics(reports).items()}
        headlines += [report.headline for report in reports]
    metrics |= {f"{prefix}_family_{name}": sum(one) / len(one) for name, one in families.items()}
    metrics[f"{prefix}_score"] = sum(headlines) / len(headlines)
    return metrics


def headline_of(key: str) -> str:
    """Return the headline metric that a key of :func:`evaluate_sets` names, or nothing.

    A key does not tell of which kind its set is: of sets whose examples have several labels it is the accuracy that is
    named, though micro F1 is their headline.
    """
    found = next((one for one in _HEADLINES if key == one or key.endswith(f"_{one}")), "")
    return "" if key.endswith(f"_partial_{found}") else found


def evaluate_families(predictor: Predictor, of: EvalSet) -> tuple[Report, dict[str, float]]:
    """Evaluate a set, all of it together and by family.

    Returns:
        The report of all, and the headline metric of each family; examples without one count in the report alone.
    """
    said = answer(predictor, of.examples, name=of.name)
    members: dict[str, list[int]] = {}
    for i, example in enumerate(of.examples):
        if example.family:
            members.setdefault(example.family, []).append(i)
    return make_report(of, said, intervals=False), {
        family: make_report(
            replace(of, examples=[of.examples[i] for i in rows]), [said[i] for i in rows], intervals=False
        ).headline
        for family, rows in members.items()
    }


def _metrics(reports: Sequence[Report]) -> dict[str, float]:
    """Join the metrics of several kinds; one that several have gets the kind in front, but where it is the headline."""
    times = Counter(metric for report in reports for metric in report.metrics)
    return {
        metric if times[metric] == 1 or metric == HEADLINES[report.kind] else f"{report.kind}_{metric}": value
        for report in reports
        for metric, value in report.metrics.items()
    }
