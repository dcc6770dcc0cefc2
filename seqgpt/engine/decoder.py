"""Answers from a model, one label at a time, constrained so that every answer is well formed and grounded.

The first pass over prompt and branches decides every class, and for every label of an extraction whether it has spans.
Labels that have spans go on together, a token a step, restricted to strings of the text.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

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

MAX_ROWS = 256
"""Branches that are computed at once where each needs a row of its own; more are computed one batch after another."""

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


@dataclass
class _Asked:
    """A plan while it is being answered.

    Attributes:
        plan: The plan.
        wanted: For each branch, after how many of its tokens logits are wanted; 0 is the end of the prompt.
        trie: Single-label tasks: all whole answers.
        odds: Single-label tasks: at each node where answers part, the log probabilities of the tokens that may follow.
        yes: Multi-label tasks: the probability of each label.
        branches: Extraction: the answer of each label.
        constraint: Extraction: the strings of the text.
    """

    plan: Plan
    wanted: list[list[int]]
    trie: ChoiceConstraint = field(default_factory=lambda: ChoiceConstraint(()))
    odds: dict[tuple[int, ...], dict[int, float]] = field(default_factory=dict)
    yes: list[float] = field(default_factory=list)
    branches: list[_Branch] = field(default_factory=list)
    constraint: SpanConstraint | None = None

    def read(self, nodes: Sequence[tuple[int, ...]], logits: Tensor) -> None:
        """Take what the model says at some nodes of the trie from their logits [N, V]."""
        options = [self.trie.next_tokens(node) for node in nodes]
        for node, tokens, values in zip(nodes, options, _log_odds(logits, options), strict=True):
            self.odds[node] = dict(zip(tokens, values.tolist(), strict=True))

    def probability(self, answer: tuple[int, ...]) -> float:
        """Return the probability of a whole answer."""
        nodes = (answer[:i] for i in range(len(answer)))
        return math.exp(sum(self.odds[node][answer[len(node)]] for node in nodes if node in self.odds))


class _Part(NamedTuple):
    """Those branches of a plan that are computed in one batch, by their numbers."""

    asked: _Asked
    branches: list[int]

    def tree(self) -> Tree:
        """Return what the model reads: of each branch as much as comes before the last logits that are wanted."""
        plan, wanted = self.asked.plan, self.asked.wanted
        return Tree(plan.prompt, [plan.branches[i][: wanted[i][-1]] for i in self.branches])

    def nodes(self) -> list[tuple[int, ...]]:
        """Return what of each branch is written wherever logits are wanted."""
        return [self.asked.plan.branches[i][:length] for i in self.branches for length in self.asked.wanted[i]]

    def spots(self, places: Sequence[Place]) -> list[Spot]:
        """Return where in the batch those logits are."""
        prompt = len(self.asked.plan.prompt)
        return [
            (place.row, place.branch + length - 1 if length else place.prompt + prompt - 1)
            for i, place in zip(self.branches, places, strict=True)
            for length in self.asked.wanted[i]
        ]


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
        """Answer each plan; all are computed in one batch, or in several where branches need rows of their own."""
        asked = [self._ask(plan) for plan in plans]
        for parts in self._parts(asked):
            self._compute(parts)
        return [self._result(one) for one in asked]

    def _ask(self, plan: Plan) -> _Asked:
        """Say at which tokens of a plan logits are wanted: for a whole label, before those that tell it from others."""
        if plan.task.kind == "extract" or plan.task.multi_label:
            return _Asked(plan, [[len(branch)] for branch in plan.branches])
        none = [(self._marks[NONE],)] if plan.task.none else []
        trie = ChoiceConstraint([*plan.branches, *none])
        return _Asked(plan, trie.branching()[: len(plan.branches)], trie)

    def _parts(self, asked: Sequence[_Asked]) -> Iterator[list[_Part]]:
        """Yield what is computed together; branches of which no logits are wanted are left out."""
        parts = [_Part(one, [i for i, lengths in enumerate(one.wanted) if lengths]) for one in asked]
        parts = [part for part in parts if part.branches]
        if self._forward.layout == "tree":
            if parts:
                yield parts
            return
        each = [_Part(part.asked, [i]) for part in parts for i in part.branches]
        for start in range(0, len(each), MAX_ROWS):
            yield each[start : start + MAX_ROWS]

    def _compute(self, parts: Sequence[_Part]) -> None:
        """Run the first pass over some branches, take from its logits what they say, and write their spans."""
        batch = self._forward.batch([part.tree() for part in parts])
        spots = [part.spots(places) for part, places in zip(parts, batch.places, strict=True)]
        keep = torch.zeros_like(batch.node, dtype=torch.bool)
        for spot in (spot for members in spots for spot in members):
            keep[spot] = True
        logits, stepper = self._forward.start(batch, keep)
        row_of = torch.full(keep.shape, -1)
        row_of[keep] = torch.arange(len(logits))
        branches: list[_Branch] = []
        opened: list[int] = []
        for part, members in zip(parts, spots, strict=True):
            rows = [int(row_of[spot]) for spot in members]
            task = part.asked.plan.task
            if task.kind == "extract":
                branches += self._open(part, members, batch)
                opened += rows
            elif task.multi_label:
                odds = logits[rows][:, [self._marks[YES], self._marks[NONE]]].float().softmax(-1)[:, 0]
                part.asked.yes += odds.tolist()
            else:
                part.asked.read(part.nodes(), logits[rows])
        self._write(branches, logits[opened], stepper)

    def _result(self, asked: _Asked) -> Result:
        plan = asked.plan
        result: Result
        if plan.task.kind == "extract":
            result = _collect(plan, asked.branches)
        elif plan.task.multi_label:
            scores = dict(zip(plan.task.labels, asked.yes, strict=True))
            held = tuple(label for label, score in scores.items() if score > 0.5)
            result = Classification.of(plan.text, plan.task, held, scores)
        else:
            result = self._choose(asked)
        # From the result, not from the tokens: there is only one way to write it. What was cut off has none.
        return result if result.truncated else replace(result, raw=str(plan.task.answer(result, plan.text)))

    def _choose(self, asked: _Asked) -> Classification:
        """Answer a single-label task: of all whole answers, the most probable."""
        plan = asked.plan
        answers = zip(plan.task.labels, plan.branches, strict=True)
        scores = {label: asked.probability(answer) for label, answer in answers}
        best = max(scores, key=lambda label: scores[label])
        abstain = plan.task.none and asked.probability((self._marks[NONE],)) > scores[best]
        return Classification.of(plan.text, plan.task, () if abstain else (best,), scores)

    def _open(self, part: _Part, spots: Sequence[Spot], batch: TreeBatch) -> list[_Branch]:
        """Begin the answers of some labels of an extraction."""
        asked = part.asked
        if asked.constraint is None:
            asked.constraint = SpanConstraint(asked.plan.text, self._vocabulary)
        opened = [
            _Branch(
                asked.plan.task.labels[i],
                SpanWriter(asked.constraint, self._marks),
                row=spot[0],
                node=int(batch.node[spot]),
                root=int(batch.root[spot]),
                position=int(batch.position_ids[spot]) + 1,
            )
            for i, spot in zip(part.branches, spots, strict=True)
        ]
        asked.branches += opened
        return opened

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
