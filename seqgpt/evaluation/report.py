"""What predictions on a set are worth: all its measures in one object."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from seqgpt.errors import DataError
from seqgpt.evaluation.predictions import Prediction, answer
from seqgpt.evaluation.predictor import Predictor
from seqgpt.evaluation.scoring import (
    Confusion,
    MistakeKind,
    Reliability,
    Score,
    count_by_kind,
    reliability,
)
from seqgpt.evaluation.scoring.bootstrap import Interval, interval
from seqgpt.evaluation.scoring.measures import measure, mistakes_of
from seqgpt.evaluation.sets import HEADLINES, EvalSet, Kind, by_kind
from seqgpt.examples import Example
from seqgpt.results import Extraction, Result

_LENGTHS = 5
_FEWEST_TEXTS = 20  # of one length: the score of fewer says nothing


@dataclass(frozen=True)
class Report:
    """How well, and how fast, a predictor did on a set.

    Attributes:
        name: The set.
        kind: How answers were scored.
        n: Number of texts.
        metrics: Shares from 0 to 1, the headline first; docs/evaluation.md says what each is.
        faults: The share of answers that could not all be read (``malformed``), and that of the strings given as spans
            that are not in the text (``ungrounded``); 0 for whatever cannot answer so.
        per_label_by: By metric, the headline's first: each label's score; labels neither gold nor predicted are left
            out.
        abstention: The answer that nothing holds ("none of these", an absent label, no answer), counted like a label.
        intervals: The 95 % interval of some metrics, from a bootstrap over texts.
        mistakes: How many of each kind there are.
        confusion: What is taken for what, where that can be counted.
        reliability: Whether probabilities mean what they say.
        by_length: The headline of the shortest texts, of longer ones, and so on to the longest; none of few texts.
        failed: Texts on which the predictor raised something; they count as answered with nothing.
        first_error: What it raised on the first of them.
        seconds: Wall-clock time of the prediction alone.
    """

    name: str
    kind: Kind
    n: int
    metrics: Mapping[str, float]
    faults: Mapping[str, float]
    per_label_by: Mapping[str, Mapping[str, Score]]
    abstention: Score
    mistakes: Mapping[MistakeKind, int]
    confusion: Confusion | None
    reliability: Reliability
    intervals: Mapping[str, Interval]
    by_length: Sequence[LengthBin]
    failed: int
    first_error: str
    seconds: float

    @property
    def shares(self) -> Mapping[str, float]:
        """All that is shown as a share: the metrics and the faults."""
        return {**self.metrics, **self.faults}

    @property
    def per_label(self) -> Mapping[str, Score]:
        """Each label's score, by offsets for extraction."""
        return next(iter(self.per_label_by.values()), {})

    @property
    def headline(self) -> float:
        """The one number to compare: ``offset_f1``, ``accuracy`` or ``token_f1``."""
        return self.metrics[HEADLINES[self.kind]]

    @property
    def texts_per_second(self) -> float:
        """Texts predicted in a second."""
        return self.n / self.seconds if self.seconds else float("inf")

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain JSON values."""
        return {
            "name": self.name,
            "kind": self.kind,
            "n": self.n,
            "metrics": dict(self.shares),
            "intervals": {metric: [one.low, one.high] for metric, one in self.intervals.items()},
            "per_label": {
                metric: {label: score.to_dict() for label, score in scores.items()}
                for metric, scores in self.per_label_by.items()
            },
            "abstention": self.abstention.to_dict(),
            "mistakes": dict(self.mistakes),
            "confusion": self.confusion.to_dict() if self.confusion else None,
            "reliability": self.reliability.to_dict(),
            "by_length": [asdict(one) for one in self.by_length],
            "failed": self.failed,
            **({"first_error": self.first_error} if self.first_error else {}),
            "seconds": self.seconds,
            "texts_per_second": self.texts_per_second if self.seconds else None,
        }


@dataclass(frozen=True)
class LengthBin:
    """The headline of texts of about one length.

    Attributes:
        shortest: Characters of the shortest text.
        longest: Characters of the longest text.
        n: Number of texts.
        headline: Their headline metric.
    """

    shortest: int
    longest: int
    n: int
    headline: float


def evaluate(predictor: Predictor, examples: Sequence[Example], *, name: str, progress: bool = True) -> Report:
    """Predict examples, and compare with their gold answers.

    Args:
        predictor: A model, a baseline, or anything else that answers.
        examples: Examples that are scored in one way; their label sets may differ.
        name: Names the report.
        progress: Let the predictor show a progress bar.

    Raises:
        DataError: If there are no examples, they are scored in several ways, or a prediction does not belong to its
            example.
    """
    kinds = by_kind(examples)
    if not kinds:
        raise DataError(f"{name}: there are no examples to evaluate: give at least one.")
    if len(kinds) > 1:
        raise DataError(f"{name}: {' and '.join(kinds)} are mixed: evaluate each by itself.")
    (kind,) = kinds
    predictions = answer(predictor, examples, name=name, progress=progress)
    return make_report(EvalSet(name, name, kind, examples), predictions, intervals=False)


def make_report(of: EvalSet, predictions: Sequence[Prediction], *, intervals: bool = True) -> Report:
    """Return what predictions on a set are worth.

    Args:
        of: The set.
        predictions: What a predictor said to each of its examples, in order.
        intervals: Compute intervals, too.
    """
    gold, predicted = [example.gold for example in of.examples], [one.result for one in predictions]
    measured = measure(of.kind, gold, predicted)
    reliable = reliability(gold, predicted)
    ungrounded = sum(one.ungrounded for one in predictions)
    given = ungrounded + sum(len(one.spans) for one in predicted if isinstance(one, Extraction))
    return Report(
        name=of.name,
        kind=of.kind,
        n=len(gold),
        metrics={
            **measured.metrics,
            **({"calibration_error": reliable.error} if reliable.bins else {}),
        },
        faults={
            "malformed": sum(one.malformed for one in predictions) / len(gold),
            **({"ungrounded": ungrounded / max(given, 1)} if of.kind in ("extract", "read") else {}),
        },
        per_label_by=measured.per_label,
        abstention=measured.abstention,
        mistakes=count_by_kind(mistakes_of(of.kind, gold, predicted)),
        confusion=measured.confusion,
        reliability=reliable,
        intervals={name: interval(counts) for name, counts in measured.counts.items()} if intervals else {},
        by_length=_by_length(of, predicted),
        failed=sum(bool(one.error) for one in predictions),
        first_error=next((one.error for one in predictions if one.error), ""),
        seconds=sum(one.seconds for one in predictions),
    )


def _by_length(of: EvalSet, predicted: Sequence[Result]) -> tuple[LengthBin, ...]:
    """Return the headline of equally many texts each, from the shortest to the longest."""
    order = sorted(range(len(predicted)), key=lambda i: len(of.examples[i].text))
    bins = min(_LENGTHS, len(order) // _FEWEST_TEXTS)
    found = []
    for i in range(bins):
        chosen = order[i * len(order) // bins : (i + 1) * len(order) // bins]
        lengths = [len(of.examples[k].text) for k in chosen]
        some = measure(of.kind, [of.examples[k].gold for k in chosen], [predicted[k] for k in chosen])
        found.append(LengthBin(min(lengths), max(lengths), len(chosen), some.metrics[HEADLINES[of.kind]]))
    return tuple(found)
