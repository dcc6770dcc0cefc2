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
from torch.nn.utils.rnn import pad_sequence

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
    position: int  # of the next token
    token: int = 0  # chosen, and not fed to the model yet
    tokens: int = 0  # chosen so far
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
        opened: list[int] = []
        for plan, members in zip(plans, spots, strict=True):
            rows = [[int(row_of[spot]) for spot in wanted] for wanted in members]
            if _is_choice(plan):
                results.append(self._choose(plan, logits, rows))
            elif plan.task.kind == "classify":
                results.append(self._judge(plan, logits[[wanted[0] for wanted in rows]]))
            else:
                results.append(self._open(plan, [wanted[0] for wanted in members], batch))
                opened += [wanted[0] for wanted in rows]
        branches = [branch for result in results if isinstance(result, list) for branch in result]
        self._write(branches, logits[opened], stepper)
        return [
            _collect(plan, result) if isinstance(result, list) else result
            for plan, result in zip(plans, results, strict=True)
        ]

    def _choose(self, plan: Plan, logits: Tensor, rows: list[list[int]]) -> Classification:
        """Score every whole label, end mark included, token by token over the trie of all labels."""
        none = (self._marks[NONE],)
        trie = ChoiceConstraint([*plan.branches, none] if plan.task.none else plan.branches)
        row_at: dict[tuple[int, ...], int] = {}
        for answer, wanted in zip(plan.branches, rows, strict=True):
            for i, row in enumerate(wanted):
                if len(trie.next_tokens(answer[:i])) > 1:
                    row_at.setdefault(answer[:i], row)
        options = [trie.next_tokens(node) for node in row_at]
        found = _log_odds(logits[[*row_at.values()]], options)
        odds = {
            node: dict(zip(tokens, values.tolist(), strict=True))
            for node, tokens, values in zip(row_at, options, found, strict=True)
        }

        def probability(answer: tuple[int, ...]) -> float:
            return math.exp(sum(odds[answer[:i]][token] for i, token in enumerate(answer) if answer[:i] in odds))

        scores = {label: probability(answer) for label, answer in zip(plan.task.labels, plan.branches, strict=True)}
        best = max(scores, key=lambda label: scores[label])
        abstain = plan.task.none and probability(none) > scores[best]
        return Classification.of(plan.text, plan.task, () if abstain else (best,), scores)

    def _judge(self, plan: Plan, logits: Tensor) -> Classification:
        """Answer each label of a multi-label task by yes or none."""
        odds = logits[:, [self._marks[YES], self._marks[NONE]]].float().softmax(-1)[:, 0].tolist()
        scores = dict(zip(plan.task.labels, odds, strict=True))
        held = tuple(label for label, score in scores.items() if score > 0.5)
        return Classification.of(plan.text, plan.task, held, scores)

    def _open(self, plan: Plan, spots: list[Spot], batch: TreeBatch) -> list[_Branch]:
        """Begin the answer of each label of an extraction."""
        constraint = SpanConstraint(plan.text, self._vocabulary)
        return [
            _Branch(
                label,
                SpanWriter(constraint, self._marks),
                row=spot[0],
                node=int(batch.node[spot]),
                root=int(batch.root[spot]),
                position=int(batch.position_ids[spot]) + 1,
            )
            for label, spot in zip(plan.task.labels, spots, strict=True)
        ]

    def _write(self, branches: list[_Branch], logits: Tensor, stepper: Stepper) -> None:
        """Choose the next token of every branch and feed it, until all are done.

        Args:
            branches: The branches.
            logits: [N, V] what the model says of the next token of each.
            stepper: The state after the first pass.
        """
        while branches:
            options = [branch.writer.options() for branch in branches]
            for branch, tokens, odds in zip(branches, options, _log_odds(logits, options), strict=True):
                self._choose_next(branch, tokens, odds)
            branches = [branch for branch in branches if not branch.done]
            if branches:
                branches, logits = _feed(branches, stepper)

    def _choose_next(self, branch: _Branch, options: list[int], odds: Tensor) -> None:
        """Choose one of the options by their log probabilities."""
        writer = branch.writer
        if options[-1] == self._marks[NONE]:
            # The label has spans if that is likelier than not, however the probability is spread over their tokens.
            if float(odds[-1]) > math.log(0.5) or len(options) == 1:
                branch.done = True
                return
            options, odds = options[:-1], odds[:-1]
        ends = sum(token in writer.closing for token in options[:2])
        if ends and (ends == len(options) or float(odds[:ends].logsumexp(-1)) >= float(odds[ends:].max())):
            self._close_span(branch, options[:ends], odds[:ends])
        else:
            best = ends + int(odds[ends:].argmax())
            branch.log_score += float(odds[best])
            branch.token = options[best]
            writer.feed(branch.token)
        branch.done = writer.done
        branch.tokens += 1
        if not branch.done and (branch.tokens >= MAX_ANSWER_TOKENS or branch.position >= self._max_positions):
            branch.done = branch.truncated = True

    def _close_span(self, branch: _Branch, options: list[int], odds: Tensor) -> None:
        """End a span, and choose whether another one follows."""
        close = float(odds.logsumexp(-1))
        branch.scores.append(min(math.exp(branch.log_score + close), 1.0))
        best = int(odds.argmax())
        branch.log_score = float(odds[best]) - close
        branch.token = options[best]
        branch.writer.feed(branch.token)


def _log_odds(logits: Tensor, options: Sequence[Sequence[int]]) -> list[Tensor]:
    """Return the log probabilities of each row's options among themselves, computed together on the model's device."""
    if not options:
        return []
    ids = [torch.tensor(row) for row in options]
    padded = pad_sequence(ids, batch_first=True, padding_value=-1).to(logits.device)
    chosen = logits.gather(1, padded.clamp(min=0)).float().masked_fill(padded < 0, -torch.inf)
    odds = chosen.log_softmax(-1).cpu()
    return [row[: len(own)] for row, own in zip(odds, options, strict=True)]


def _feed(branches: list[_Branch], stepper: Stepper) -> tuple[list[_Branch], Tensor]:
    """Feed the chosen token of every branch; return the branches, now ordered by row, and their logits [N, V]."""
    rows = stepper.batch.node.shape[0]
    slots: list[list[_Branch]] = [[] for _ in range(rows)]
    for branch in branches:
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
    return [branch for members in slots for branch in members], logits


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
    warnings = tuple(
        f"the answer of {branch.label!r} was cut after {branch.tokens} tokens: later spans may be missing."
        for branch in branches
        if branch.truncated
    )
    spans = tuple(
        Span(branch.label, plan.text[start:end], start, end, score)
        for branch in branches
        for (start, end), score in zip(branch.writer.spans, branch.scores, strict=True)
    )
    return Extraction.of(plan.text, plan.task, spans, truncated=bool(warnings), warnings=warnings)
