"""Evaluation by task family, of examples that are predicted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seqgpt.evaluation.report import Predictor, Report, evaluate
from seqgpt.examples import Example
from seqgpt.results import Result
from seqgpt.tasks import AtomicTask


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
