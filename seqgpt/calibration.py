"""Probabilities that mean what they say: temperatures fitted on held-out answers.

One temperature T for exclusive labels, p ∝ p^(1/T), and one for what is a question by itself, spans and labels of
several: σ(logit(p) / T). Above 1 it makes a model less sure. The order of answers stays as it is. Source: temperature
scaling, Guo et al. 2017, arXiv 1706.04599.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from seqgpt.errors import ConfigError
from seqgpt.results import Classification, Extraction, Result

LOWEST = 0.05
"""What is less likely is not looked at when thresholds are chosen and temperatures fitted."""

_LEAST = 1e-6  # probabilities are kept this far from 0 and 1, whose logits are infinite
_HOTTEST = 20.0  # temperatures are between this and its inverse
_STEPS = 60  # of a search that leaves two thirds of the range at each

_Loss = Callable[[float], float]

Pairs = Sequence[tuple[Result, Result]]
"""Gold answers, and what was predicted with a low threshold."""


@dataclass(frozen=True)
class Calibration:
    """The temperatures of a model.

    Attributes:
        choice: That of labels that exclude one another.
        single: That of spans, and of labels of several.

    Raises:
        ConfigError: If one is not a positive number.
    """

    choice: float = 1.0
    single: float = 1.0

    def __post_init__(self) -> None:
        for name in ("choice", "single"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or isinstance(value, bool) or not 0 < value < math.inf:
                raise ConfigError(f"temperature {name} is {value!r}: give a positive number.")

    def result(self, result: Result) -> Result:
        """Return a result with calibrated scores."""
        if isinstance(result, Extraction):
            spans = tuple(replace(span, score=self.probability(span.score)) for span in result.spans)
            return result if self.single == 1 else replace(result, spans=spans)
        if not result.task.single_label:
            scores = {label: self.probability(score) for label, score in result.scores.items()}
            return result if self.single == 1 else replace(result, scores=scores)
        return result if self.choice == 1 else replace(result, scores=_tempered(result, self.choice))

    def probability(self, raw: float) -> float:
        """Return the calibrated probability of a span, or of one label of several."""
        return raw if self.single == 1 else _sigmoid(_logit(raw) / self.single)

    def raw(self, probability: float) -> float:
        """Return what :meth:`probability` makes this probability of."""
        return probability if self.single == 1 or probability == 0 else _sigmoid(_logit(probability) * self.single)


def fit(pairs: Pairs) -> Calibration:
    """Fit temperatures to answers whose gold is known, by their log likelihood.

    Args:
        pairs: Gold results, and predictions that are not calibrated, with spans down to ``LOWEST``. Spans that are
            not among the predictions do not count: of those there is no score.

    Returns:
        The calibration; a temperature without any evidence stays 1.
    """
    choices: list[_Loss] = []
    singles: list[_Loss] = []
    for gold, predicted in pairs:
        if predicted.task.single_label and isinstance(predicted, Classification) and isinstance(gold, Classification):
            choices.append(_choice(_with_none(predicted), gold.label))
        else:
            singles += [_single(score, right) for score, right in judged(gold, predicted)]
    return Calibration(_best(choices), _best(singles))


def judged(gold: Result, predicted: Result) -> Iterator[tuple[float, bool]]:
    """Yield the probability of every span that was found, or of every label of several, and whether it is right."""
    if isinstance(predicted, Extraction):
        held = {(span.label, span.start, span.end) for span in gold.spans} if isinstance(gold, Extraction) else set()
        yield from ((span.score, (span.label, span.start, span.end) in held) for span in predicted.spans)
    else:
        labels = gold.labels if isinstance(gold, Classification) else ()
        yield from ((score, label in labels) for label, score in predicted.scores.items())


def _best(losses: Sequence[_Loss]) -> float:
    """Return the temperature with the lowest sum of losses, each of which is convex in 1 / temperature."""
    if not losses:
        return 1.0
    low, high = 1 / _HOTTEST, _HOTTEST
    for _ in range(_STEPS):
        left, right = low + (high - low) / 3, high - (high - low) / 3
        if sum(loss(left) for loss in losses) < sum(loss(right) for loss in losses):
            high = right
        else:
            low = left
    return 2 / (low + high)


def _choice(odds: Mapping[str | None, float], right: str | None) -> _Loss:
    """Return the negative log likelihood of the right label at a given 1 / temperature."""
    logs = {label: math.log(max(score, _LEAST)) for label, score in odds.items()}
    gaps = [value - logs[right] for value in logs.values()]
    return lambda sharpness: math.log(sum(math.exp(sharpness * gap) for gap in gaps))


def _single(score: float, holds: bool) -> _Loss:
    """Return the same for a question that is answered with yes or no."""
    margin = _logit(score) if holds else -_logit(score)
    return lambda sharpness: _softplus(-sharpness * margin)


def _with_none(result: Classification) -> dict[str | None, float]:
    """Return the scores of a single-label task, that of "none of these" under None."""
    odds: dict[str | None, float] = dict(result.scores.items())
    if result.none_score is not None:
        odds[None] = result.none_score
    return odds


def _tempered(result: Classification, temperature: float) -> dict[str, float]:
    powers = {label: max(score, _LEAST) ** (1 / temperature) for label, score in _with_none(result).items()}
    total = sum(powers.values())
    return {label: powers[label] / total for label in result.scores}


def _logit(probability: float) -> float:
    kept = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(kept) - math.log1p(-kept)


def _sigmoid(x: float) -> float:
    return math.exp(-_softplus(-x))


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
