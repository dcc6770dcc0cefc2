"""Answers from a model, constrained so that every answer is well formed and grounded.

The first pass over prompt and branches decides every class, and for every label of an extraction with which tokens its
spans begin, if it has any. Only labels that have some go on (:mod:`seqgpt.engine.spans`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch

from seqgpt.engine.choice import Choice
from seqgpt.engine.constraint import SpanConstraint
from seqgpt.engine.first_pass import Asked, FirstPass, Part, batches
from seqgpt.engine.forward import TreeForward
from seqgpt.engine.plan import Plan
from seqgpt.engine.spans import OpenSpan, Spans, SpanSearch
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.options import Thresholds
from seqgpt.results import Classification, Result
from seqgpt.templates.marks import END, NONE, YES

_DEFAULT = Thresholds()


@dataclass
class _Labels(Asked):
    """A multi-label plan while it is being answered.

    Attributes:
        thresholds: For each label, what its probability must exceed.
        scores: The probability of each label.
    """

    thresholds: Mapping[str, float]
    scores: list[float] = field(default_factory=list)

    def result(self) -> Classification:
        """Return the labels that hold."""
        task = self.plan.task
        scores = dict(zip(task.labels, self.scores, strict=True))
        held = tuple(label for label, score in scores.items() if score > self.thresholds[label])
        return Classification.of(self.plan.text, task, held, scores)


class Decoder:
    """Answers plans with a model.

    Args:
        forward: The model.
        vocabulary: Its tokenizer, with the marks.
        max_positions: Number of positions that the model knows.
    """

    def __init__(self, forward: TreeForward, vocabulary: Vocabulary, max_positions: int) -> None:
        self._forward = forward
        self._vocabulary = vocabulary
        self._end, self._none, self._yes = (vocabulary.mark(mark) for mark in (END, NONE, YES))
        self._search = SpanSearch(self._end, self._none, max_positions)

    @torch.no_grad()
    def answer(self, plans: Sequence[Plan], thresholds: Thresholds = _DEFAULT) -> list[Result]:
        """Answer each plan; all are computed in one batch, or in several where branches need rows of their own.

        Args:
            plans: The plans.
            thresholds: What the probability of a span, or of one label of several, must exceed.
        """
        asked = [self._ask(plan, thresholds.of(plan.task)) for plan in plans]
        for parts in batches(asked, self._forward):
            self._compute(parts)
        return [_written(one.result()) for one in asked]

    def _ask(self, plan: Plan, thresholds: Mapping[str, float]) -> Choice | _Labels | Spans:
        """Say at which tokens of a plan logits are wanted."""
        if plan.task.single_label:
            return Choice.of(plan)
        wanted = [[len(branch)] for branch in plan.branches]
        if plan.task.multi_label:
            return _Labels(plan, wanted, thresholds)
        return Spans(plan, wanted, list(thresholds.values()), SpanConstraint(plan.text, self._vocabulary))

    def _compute(self, parts: Sequence[Part]) -> None:
        """Run the first pass over some branches, take from its logits what they say, and write their spans."""
        first = FirstPass(self._forward, parts, (token for part in parts for token in self._options(part)))
        paths: list[OpenSpan] = []
        opened: list[int] = []
        for number, (part, rows, spots) in enumerate(zip(parts, first.rows, first.spots, strict=True)):
            asked = part.asked
            if isinstance(asked, Spans):
                paths += asked.open(part, number, spots, first.batch)
                opened += rows
            elif isinstance(asked, _Labels):
                odds = first.logits.yes(rows, [[self._yes]] * len(rows), self._none)
                asked.scores += odds[:, 0].exp().tolist()
            elif isinstance(asked, Choice):
                asked.read(part, rows, first.logits)
        self._search.follow(paths, opened, first.logits, first.stepper)

    def _options(self, part: Part) -> Iterable[int]:
        """Return the tokens whose logits are needed behind the first pass."""
        if isinstance(part.asked, Choice):
            return part.asked.options(part)
        if isinstance(part.asked, Spans):
            return (*part.asked.constraint.following(None), self._end, self._none)
        return self._yes, self._none


def _written(result: Result) -> Result:
    """Add the raw answer, which is written from the result, not from the tokens: there is only one way to write it."""
    if result.truncated:  # what was cut off has none
        return result
    return replace(result, raw=str(result.task.answer(result, result.text)))
