"""Evaluate anything that predicts: a model or a baseline, on examples with gold answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from seqgpt.errors import DataError
from seqgpt.evaluation.metrics import R, Score, calibration_error, check_pairs, class_scores, offset_f1, string_f1
from seqgpt.examples import Example
from seqgpt.results import Classification, Extraction, Result
from seqgpt.tasks import AtomicTask, TaskKind

HEADLINES: dict[TaskKind, str] = {"extract": "offset_f1", "classify": "accuracy"}
"""The one number of each kind of task."""


class Predictor(Protocol):
    """What can be evaluated."""

    def predict_pairs(self, pairs: Sequence[tuple[str, AtomicTask]], *, progress: bool = False) -> list[Result]:
        """Answer each task on its text; one result a pair, in order."""


@dataclass(frozen=True)
class Report:
    """How well, and how fast, a predictor did.

    Attributes:
        name: What was evaluated, on what.
        kind: The task's kind.
        n: Number of texts.
        metrics: For extraction ``offset_f1`` and ``string_f1`` (micro), precision and recall by offsets, and the macro
            means over labels; for classification ``accuracy``, ``macro_f1`` and ``micro_f1``; of both
            ``calibration_error``. The headline is first.
        per_label: Each label's score, by offsets for extraction; those neither gold nor predicted are left out.
        abstention: Classification only: the answer "none of these", counted like a label; None for extraction.
        seconds: Wall-clock time of the prediction alone.
    """

    name: str
    kind: TaskKind
    n: int
    metrics: dict[str, float]
    per_label: dict[str, Score]
    abstention: Score | None
    seconds: float

    @property
    def headline(self) -> float:
        """The one number to compare: ``offset_f1`` or ``accuracy``."""
        return self.metrics[HEADLINES[self.kind]]

    @property
    def texts_per_second(self) -> float:
        """Texts predicted in a second."""
        return self.n / self.seconds if self.seconds else float("inf")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        record: dict[str, Any] = {
            "name": self.name,
            "task": self.kind,
            "n": self.n,
            "metrics": dict(self.metrics),
            "per_label": {label: score.to_dict() for label, score in self.per_label.items()},
            "seconds": self.seconds,
            "texts_per_second": self.texts_per_second if self.seconds else None,
        }
        if self.abstention is not None:
            record["abstention"] = self.abstention.to_dict()
        return record


def evaluate(predictor: Predictor, examples: Sequence[Example], *, name: str, progress: bool = True) -> Report:
    """Predict the examples' texts and compare with their gold answers.

    Args:
        predictor: A model or a baseline.
        examples: Examples of one kind of task; their label sets may differ.
        name: Names the report.
        progress: Show a progress bar while predicting.

    Raises:
        DataError: If there are no examples, both kinds of task are among them, or a prediction does not belong to
            its example.
    """
    if not examples:
        raise DataError(f"{name}: there are no examples to evaluate: give at least one.")
    kind = examples[0].task.kind
    if any(example.task.kind != kind for example in examples):
        raise DataError(f"{name}: extraction and classification are mixed: evaluate each by itself.")
    started = time.perf_counter()
    predicted = predictor.predict_pairs([(example.text, example.task) for example in examples], progress=progress)
    seconds = time.perf_counter() - started
    gold = [example.gold for example in examples]
    try:
        check_pairs(gold, predicted)
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    metrics, per_label, abstention = _scores(gold, predicted)
    metrics["calibration_error"] = calibration_error(gold, predicted)
    return Report(name, kind, len(examples), metrics, per_label, abstention, seconds)


def by_kind(examples: Sequence[Example]) -> dict[TaskKind, list[Example]]:
    """Split examples into extractions and classifications; a kind without examples is left out."""
    groups: dict[TaskKind, list[Example]] = {}
    for example in examples:
        groups.setdefault(example.task.kind, []).append(example)
    return groups


def _scores(
    gold: Sequence[Result], predicted: Sequence[Result]
) -> tuple[dict[str, float], dict[str, Score], Score | None]:
    if isinstance(gold[0], Extraction):
        wanted, given = _only(Extraction, gold), _only(Extraction, predicted)
        offset, string = offset_f1(wanted, given), string_f1(wanted, given)
        metrics = {
            "offset_f1": offset.micro.f1,
            "string_f1": string.micro.f1,
            "precision": offset.micro.precision,
            "recall": offset.micro.recall,
            "macro_f1": offset.macro_f1,
            "string_macro_f1": string.macro_f1,
        }
        return metrics, offset.per_label, None
    scores = class_scores(_only(Classification, gold), _only(Classification, predicted))
    metrics = {"accuracy": scores.accuracy, "macro_f1": scores.f1.macro_f1, "micro_f1": scores.f1.micro.f1}
    return metrics, scores.f1.per_label, scores.abstention


def _only(kind: type[R], results: Sequence[Result]) -> list[R]:
    return [result for result in results if isinstance(result, kind)]
