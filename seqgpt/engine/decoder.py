"""Answers from a model, constrained so that every answer is well formed and grounded.

The first pass over prompt and branches decides every class, and for every label of an extraction with which tokens its
spans begin, if it has any. All beginnings of all labels then go on together, a token a step, restricted to strings of
the text.

The spans of a label are a set, and each token of a span is a question by itself: it is said with the probability
σ(z - z_none), where z and z_none are the logits of the token and of *none*. So several tokens may follow one another's
place, each the beginning of other spans; and a span has a probability, the product of those of its tokens, that does
not depend on what else is found. All spans that are likelier than a threshold are found, and no others: a beginning
that is not likelier than the threshold cannot become one.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

import torch
from torch import Tensor

from seqgpt.engine.choice import Choice
from seqgpt.engine.constraint import Offsets, SpanConstraint, Written
from seqgpt.engine.first_pass import Asked, FirstPass, Logits, Part, Spot, batches, columns_of
from seqgpt.engine.forward import Continuation, Stepper, TreeForward
from seqgpt.engine.plan import Plan
from seqgpt.engine.reading import MAX_SPAN_TOKENS
from seqgpt.engine.tree import TreeBatch
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.results import Classification, Extraction, Result, Span
from seqgpt.templates.marks import END, NONE, YES

DEFAULT_THRESHOLD = 0.5
"""A span is found, and a label of several holds, if it is likelier than this."""

MAX_PATHS = 64
"""Beginnings of spans of one label that are followed at once."""

MAX_PATHS_OF_A_TEXT = 512
"""The same, of all labels of one task on one text together."""


@dataclass
class _Answer:
    """What is said of one label of an extraction, as far as it is known.

    Attributes:
        label: The label.
        least: Log probability that its spans must exceed.
        constraint: The spans of the text.
        found: The probability of each span that was found.
        warnings: What was not followed to its end.
    """

    label: str
    least: float
    constraint: SpanConstraint
    found: dict[Offsets, float] = field(default_factory=dict)
    warnings: dict[str, None] = field(default_factory=dict)


@dataclass
class _Path:
    """The beginning of a span of a label.

    Attributes:
        answer: The label's answer.
        tokens: Its tokens.
        written: How far the span is written; None before its first token.
        log_score: Log probability of its tokens.
        row: Its row in the batch.
        node: Its node there; two paths of a label that part have nodes of their own.
        cue: The node of its cue.
        root: The node of its prompt.
        begin: Position of its first token.
        unread: Number of its last tokens that its node has not read yet.
    """

    answer: _Answer
    tokens: tuple[int, ...]
    written: Written | None
    log_score: float
    row: int
    node: int
    cue: int
    root: int
    begin: int
    unread: int = 0

    def unread_tokens(self) -> Continuation:
        """Return the tokens that its node has not read yet."""
        read = len(self.tokens) - self.unread
        return Continuation(self.row, self.node, (self.root, self.cue), self.begin + read, self.tokens[read:])


@dataclass
class _Labels(Asked):
    """A multi-label plan while it is being answered.

    Attributes:
        thresholds: For each label, what its probability must exceed.
        scores: The probability of each label.
    """

    thresholds: list[float]
    scores: list[float] = field(default_factory=list)

    def result(self) -> Classification:
        """Return the labels that hold."""
        task = self.plan.task
        scores = dict(zip(task.labels, self.scores, strict=True))
        least = dict(zip(task.labels, self.thresholds, strict=True))
        held = tuple(label for label, score in scores.items() if score > least[label])
        return Classification.of(self.plan.text, task, held, scores)


@dataclass
class _Spans(Asked):
    """An extraction while it is being answered.

    Attributes:
        thresholds: For each label, what the probability of its spans must exceed.
        constraint: The spans of the text.
        answers: The answer of each label.
    """

    thresholds: list[float]
    constraint: SpanConstraint
    answers: list[_Answer] = field(default_factory=list)

    def open(self, part: Part, spots: Sequence[Spot], batch: TreeBatch) -> list[_Path]:
        """Begin the answers of some labels."""
        opened = []
        for i, spot in zip(part.branches, spots, strict=True):
            least = math.log(max(self.thresholds[i], sys.float_info.min))
            answer = _Answer(self.plan.task.labels[i], least, self.constraint)
            self.answers.append(answer)
            node, root = int(batch.node[spot]), int(batch.root[spot])
            begin = len(self.plan.prompt) + len(self.plan.branches[i])
            opened.append(_Path(answer, (), None, 0.0, spot[0], node, node, root, begin))
        return opened

    def result(self) -> Extraction:
        """Return the spans that were found."""
        text = self.plan.text
        warnings = tuple(warning for answer in self.answers for warning in answer.warnings)
        spans = tuple(
            Span(answer.label, text[start:end], start, end, score)
            for answer in self.answers
            for (start, end), score in answer.found.items()
        )
        return Extraction.of(text, self.plan.task, spans, truncated=bool(warnings), warnings=warnings)


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
        self._max_positions = max_positions
        self._end, self._none, self._yes = (vocabulary.mark(mark) for mark in (END, NONE, YES))

    @torch.no_grad()
    def answer(
        self,
        plans: Sequence[Plan],
        threshold: float = DEFAULT_THRESHOLD,
        thresholds: Mapping[str, float] = MappingProxyType({}),
    ) -> list[Result]:
        """Answer each plan; all are computed in one batch, or in several where branches need rows of their own.

        Args:
            plans: The plans.
            threshold: What the probability of a span, or of one label of several, must exceed.
            thresholds: The same for labels that have one of their own.
        """
        asked = [self._ask(plan, [thresholds.get(label, threshold) for label in plan.task.labels]) for plan in plans]
        for parts in batches(asked, self._forward):
            self._compute(parts)
        return [_written(one.result()) for one in asked]

    def _ask(self, plan: Plan, thresholds: list[float]) -> Choice | _Labels | _Spans:
        """Say at which tokens of a plan logits are wanted."""
        if plan.task.single_label:
            return Choice.of(plan)
        wanted = [[len(branch)] for branch in plan.branches]
        if plan.task.multi_label:
            return _Labels(plan, wanted, thresholds)
        return _Spans(plan, wanted, thresholds, SpanConstraint(plan.text, self._vocabulary))

    def _compute(self, parts: Sequence[Part]) -> None:
        """Run the first pass over some branches, take from its logits what they say, and write their spans."""
        first = FirstPass(self._forward, parts, (token for part in parts for token in self._options(part)))
        paths: list[_Path] = []
        opened: list[int] = []
        for part, rows, spots in zip(parts, first.rows, first.spots, strict=True):
            asked = part.asked
            if isinstance(asked, _Spans):
                paths += asked.open(part, spots, first.batch)
                opened += rows
            elif isinstance(asked, _Labels):
                odds = first.logits.yes(rows, [[self._yes]] * len(rows), self._none)
                asked.scores += odds[:, 0].exp().tolist()
            elif isinstance(asked, Choice):
                asked.read(part, rows, first.logits)
        self._follow(paths, opened, first.logits, first.stepper)

    def _options(self, part: Part) -> Iterable[int]:
        """Return the tokens whose logits are needed behind the first pass."""
        if isinstance(part.asked, Choice):
            return part.asked.options(part)
        if isinstance(part.asked, _Spans):
            return (*part.asked.constraint.following(None), self._end, self._none)
        return self._yes, self._none

    def _follow(self, paths: list[_Path], rows: Sequence[int], logits: Logits, stepper: Stepper) -> None:
        """Follow all beginnings of spans that are likelier than the threshold, until none is left.

        Args:
            paths: The beginnings.
            rows: The row of logits of each, of what follows it.
            logits: The logits.
            stepper: The state after the first pass.
        """
        while paths:
            following = [path.answer.constraint.following(path.written) for path in paths]
            options = [[self._end, *tokens] for tokens in following]
            likely = logits.yes(rows, options, self._none)
            likely += torch.tensor([[path.log_score] for path in paths])
            grown: list[_Path] = []
            for path, steps, tokens, scores in zip(paths, following, options, likely, strict=True):
                if path.written:
                    _end(path.answer, path.written, float(scores[0]))
                chosen = (scores[1:] > path.answer.least).nonzero().flatten() + 1
                grown += [
                    replace(
                        path,
                        tokens=(*path.tokens, tokens[i]),
                        written=steps[tokens[i]],
                        log_score=min(float(scores[i]), 0.0),
                        unread=1,
                    )
                    for i in chosen.tolist()
                ]
            paths = self._keep(grown)
            if paths:
                wanted = (token for path in paths for token in path.answer.constraint.following(path.written))
                columns = columns_of([self._end, self._none, *wanted])
                paths, values = _feed(paths, stepper, columns)
                rows, logits = range(len(paths)), Logits(values, columns)

    def _keep(self, paths: list[_Path]) -> list[_Path]:
        """Leave out, with a warning, what would be too long or too much to follow; the likeliest first."""
        kept: list[_Path] = []
        followed: Counter[int] = Counter()
        of_text: Counter[int] = Counter()
        for path in sorted(paths, key=lambda path: -path.log_score):
            answer, text = path.answer, id(path.answer.constraint)
            if len(path.tokens) > MAX_SPAN_TOKENS or path.begin + len(path.tokens) > self._max_positions:
                n = len(path.tokens) - 1
                answer.warnings[f"a span of {answer.label!r} was not found: it has more than {n} tokens."] = None
            elif followed[id(answer)] >= MAX_PATHS or of_text[text] >= MAX_PATHS_OF_A_TEXT:
                answer.warnings[
                    f"spans of {answer.label!r} may be missing: more were likely than are followed at once "
                    f"({MAX_PATHS} of a label, {MAX_PATHS_OF_A_TEXT} of a text), and only the likeliest were."
                ] = None
            else:
                kept.append(path)
                followed[id(answer)] += 1
                of_text[text] += 1
        return kept


def _end(answer: _Answer, written: Written, log_score: float) -> None:
    """Note the span that is written if it ends here, if that is likely."""
    place = answer.constraint.place(written)
    if place and log_score > answer.least:
        # The same string may be written with other tokens, which is less likely.
        score = min(math.exp(log_score), 1.0)
        answer.found[place] = max(score, answer.found.get(place, 0.0))


def _feed(paths: list[_Path], stepper: Stepper, tokens: Tensor) -> tuple[list[_Path], Tensor]:
    """Let the model read the new tokens of every path; return the paths and their logits [N, U]."""
    if stepper.layout == "rows":
        stepper.select([path.row for path in paths])
        paths = [replace(path, row=row) for row, path in enumerate(paths)]
    else:
        paths = _apart(paths, stepper)
    return paths, stepper.feed([path.unread_tokens() for path in paths], tokens)


def _apart(paths: Sequence[_Path], stepper: Stepper) -> list[_Path]:
    """Give paths that leave their cue, or part, a node of their own, where they are read once more; one stays."""
    taken: set[Spot] = set()
    apart = []
    for path in paths:
        parts = path.node == path.cue or (path.row, path.node) in taken
        taken.add((path.row, path.node))
        apart.append(replace(path, node=stepper.new_node(path.row), unread=len(path.tokens)) if parts else path)
    return apart


def _written(result: Result) -> Result:
    """Add the raw answer, which is written from the result, not from the tokens: there is only one way to write it."""
    if result.truncated:  # what was cut off has none
        return result
    return replace(result, raw=str(result.task.answer(result, result.text)))
