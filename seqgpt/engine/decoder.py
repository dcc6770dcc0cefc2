"""Answers from a model, one label at a time, constrained so that every answer is well formed and grounded.

The first pass over prompt and branches decides every class, and for every label of an extraction whether it has spans.
Labels that have spans go on together, a token a step, restricted to strings of the text.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from seqgpt.engine.constraint import ChoiceConstraint, SpanConstraint, SpanWriter
from seqgpt.engine.forward import Stepper, TreeForward
from seqgpt.engine.plan import Plan
from seqgpt.engine.tree import PADDING, Place, Tree, TreeBatch
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.results import Classification, Extraction, Result, Span
from seqgpt.templates.marks import END, NEXT, NONE, SKIP, YES

MAX_ANSWER_TOKENS = 256
"""Tokens that one label's answer may have; as in the released model's settings (max_new_tokens)."""

Spot = tuple[int, int]
"""Row and column of a token in a batch."""


@dataclass
class _Branch:
    """One label of one extraction while it is being answered."""

    label: str
    writer: SpanWriter
    row: int
    node: int
    root: int
    position: int
    token: int = 0  # chosen, and not fed to the model yet
    tokens: int = 0
    log_score: float = 0.0
    scores: list[float] = field(default_factory=list)
    done: bool = False
    truncated: bool = False


class Decoder:
    """Answers plans with a model.

    Args:
        forward: The model.
        vocabulary: Its tokenizer.
        max_positions: Number of positions that the model knows.
    """

    def __init__(self, forward: TreeForward, vocabulary: Vocabulary, max_positions: int) -> None:
        self._forward = forward
        self._vocabulary = vocabulary
        self._max_positions = max_positions
        self._marks = {mark: vocabulary.mark(mark) for mark in (END, NEXT, NONE, SKIP, YES)}

    @torch.no_grad()
    def answer(self, plans: Sequence[Plan]) -> list[Result]:
        """Answer each plan; all are computed in one batch."""
        trees = [Tree(plan.prompt, [_inputs(plan, branch) for branch in plan.branches]) for plan in plans]
        batch = self._forward.batch(trees)
        spots = [
            [_spots(plan, place, len(branch)) for place, branch in zip(places, tree.branches, strict=True)]
            for plan, tree, places in zip(plans, trees, batch.places, strict=True)
        ]
        keep = torch.zeros_like(batch.node, dtype=torch.bool)
        for spot in (spot for members in spots for wanted in members for spot in wanted):
            keep[spot] = True
        logits, stepper = self._forward.start(batch, keep)
        row_of = torch.full(keep.shape, -1)
        row_of[keep] = torch.arange(len(logits))
        results: list[Classification | list[_Branch]] = []
        for plan, members in zip(plans, spots, strict=True):
            rows = [[int(row_of[spot]) for spot in wanted] for wanted in members]
            if _is_choice(plan):
                results.append(self._choose(plan, logits, rows))
            elif plan.task.kind == "classify":
                results.append(self._judge(plan, logits[[wanted[0] for wanted in rows]]))
            else:
                first = logits[[wanted[0] for wanted in rows]]
                results.append(self._open(plan, first, [wanted[0] for wanted in members], batch))
        live = [branch for result in results if isinstance(result, list) for branch in result if not branch.done]
        self._continue(live, stepper)
        return [
            _collect(plan, result) if isinstance(result, list) else result
            for plan, result in zip(plans, results, strict=True)
        ]

    def _choose(self, plan: Plan, logits: Tensor, rows: list[list[int]]) -> Classification:
        """Score every whole label, end mark included, token by token over the trie of all labels."""
        answers = [*plan.branches, (self._marks[NONE],)] if plan.task.none else list(plan.branches)
        trie = ChoiceConstraint(answers)
        scores = {}
        for label, answer, spots in zip(plan.task.labels, plan.branches, rows, strict=True):
            total = 0.0
            for i, (token, spot) in enumerate(zip(answer, spots, strict=True)):
                allowed = trie.next_tokens(answer[:i])
                if len(allowed) > 1:
                    odds = logits[spot, list(allowed)].float().log_softmax(-1)
                    total += float(odds[allowed.index(token)])
            scores[label] = math.exp(total)
        best = max(scores, key=lambda label: scores[label])
        held = () if plan.task.none and 1.0 - sum(scores.values()) > scores[best] else (best,)
        return Classification.of(plan.text, plan.task, held, scores)

    def _judge(self, plan: Plan, logits: Tensor) -> Classification:
        """Answer each label of a multi-label task by yes or none."""
        odds = logits[:, [self._marks[YES], self._marks[NONE]]].float().softmax(-1)[:, 0].tolist()
        scores = dict(zip(plan.task.labels, odds, strict=True))
        held = tuple(label for label, score in scores.items() if score > 0.5)
        return Classification.of(plan.text, plan.task, held, scores)

    def _open(self, plan: Plan, logits: Tensor, spots: list[Spot], batch: TreeBatch) -> list[_Branch]:
        """Decide for each label whether it has spans, and choose the first token of those that have."""
        constraint = SpanConstraint(plan.text, self._vocabulary)
        branches = []
        for i, (label, spot) in enumerate(zip(plan.task.labels, spots, strict=True)):
            branch = _Branch(
                label,
                SpanWriter(constraint, self._marks),
                row=spot[0],
                node=int(batch.node[spot]),
                root=int(batch.root[spot]),
                position=int(batch.position_ids[spot]) + 1,
            )
            self._choose_next(branch, logits[i])
            branches.append(branch)
        return branches

    def _continue(self, live: list[_Branch], stepper: Stepper) -> None:
        """Feed the chosen token of every live branch and choose its next one, until all are done."""
        rows = stepper.batch.node.shape[0]
        while live:
            slots: list[list[_Branch]] = [[] for _ in range(rows)]
            for branch in live:
                slots[branch.row].append(branch)
            width = max(map(len, slots))
            ids = torch.zeros(rows, width, dtype=torch.long)
            positions = torch.zeros_like(ids)
            node = torch.full_like(ids, PADDING)
            root = torch.full_like(ids, PADDING)
            for row, members in enumerate(slots):
                for column, branch in enumerate(members):
                    ids[row, column], positions[row, column] = branch.token, branch.position
                    node[row, column], root[row, column] = branch.node, branch.root
                    branch.position += 1
            logits = stepper.run(ids, positions, node, root, node != PADDING)
            in_order = [branch for members in slots for branch in members]
            for branch, scores in zip(in_order, logits, strict=True):
                self._step(branch, scores)
            live = [branch for branch in in_order if not branch.done]

    def _step(self, branch: _Branch, logits: Tensor) -> None:
        """Take in the token that was just fed, and choose what follows it."""
        branch.tokens += 1
        if branch.tokens >= MAX_ANSWER_TOKENS or branch.position >= self._max_positions:
            branch.done = branch.truncated = True
        else:
            self._choose_next(branch, logits)

    def _choose_next(self, branch: _Branch, logits: Tensor) -> None:
        writer = branch.writer
        options = writer.options()
        if not options:  # a vocabulary without some character of the text; byte-level ones have all
            branch.done = branch.truncated = True
            return
        odds = logits[options].float().log_softmax(-1)
        if options[-1] == self._marks[NONE]:
            # The label has spans if that is likelier than not, however the probability is spread over their tokens.
            if float(odds[-1]) > math.log(0.5) or len(options) == 1:
                branch.done = True
                return
            options, odds = options[:-1], odds[:-1]
        best = int(odds.argmax())
        if options[0] == writer.closing[0]:
            close = float(odds[:2].logsumexp(-1))
            if len(options) == 2 or close >= float(odds[2:].max()):
                self._close_span(branch, close, odds)
                return
            best = 2 + int(odds[2:].argmax())
        branch.log_score += float(odds[best])
        branch.token = options[best]
        writer.feed(branch.token)

    def _close_span(self, branch: _Branch, close: float, odds: Tensor) -> None:
        """End a span, and choose whether another one follows."""
        another, end = branch.writer.closing
        branch.scores.append(min(math.exp(branch.log_score + close), 1.0))
        branch.log_score = float(odds[0]) - close
        branch.token = another if float(odds[0]) > float(odds[1]) else end
        branch.writer.feed(branch.token)
        branch.done = branch.writer.done or branch.writer.exhausted


def _is_choice(plan: Plan) -> bool:
    return plan.task.kind == "classify" and not plan.task.multi_label


def _spots(plan: Plan, place: Place, length: int) -> list[Spot]:
    """Return where a branch's logits are wanted: after its cue; for a whole label, before each of its tokens."""
    last = (place.row, place.branch + length - 1)
    if not _is_choice(plan):
        return [last]
    prompt_end = (place.row, place.prompt + len(plan.prompt) - 1)
    return [prompt_end, *((place.row, place.branch + i) for i in range(length))]


def _inputs(plan: Plan, branch: tuple[int, ...]) -> tuple[int, ...]:
    """Leave out the end mark of a whole answer: it is predicted, never read."""
    return branch[:-1] if _is_choice(plan) else branch


def _collect(plan: Plan, branches: list[_Branch]) -> Extraction:
    cut = [branch.label for branch in branches if branch.truncated]
    warnings = tuple(
        f"the answer of {label!r} was cut after {MAX_ANSWER_TOKENS} tokens: later spans may be missing."
        for label in cut
    )
    spans = tuple(
        Span(branch.label, plan.text[start:end], start, end, score)
        for branch in branches
        for (start, end), score in zip(branch.writer.spans, branch.scores, strict=True)
    )
    return Extraction.of(plan.text, plan.task, spans, truncated=bool(cut), warnings=warnings)
