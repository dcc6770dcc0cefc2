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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from torch.nn.utils.rnn import pad_sequence

from seqgpt.engine.constraint import ChoiceConstraint, Offsets, SpanConstraint, Written
from seqgpt.engine.forward import Stepper, TreeForward
from seqgpt.engine.plan import Plan
from seqgpt.engine.tree import PADDING, Place, Tree, TreeBatch
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.results import Classification, Extraction, Result, Span
from seqgpt.templates.marks import END, NONE, YES

DEFAULT_THRESHOLD = 0.5
"""A span is found, and a label of several holds, if it is likelier than this."""

MAX_SPAN_TOKENS = 256
"""Tokens that a span may have; as in the released model's settings (max_new_tokens)."""

MAX_PATHS = 64
"""Beginnings of spans of one label that are followed at once."""

MAX_PATHS_OF_A_TEXT = 512
"""The same, of all labels of one task on one text together."""

MAX_BRANCH_TOKENS = 2048
"""Tokens of the branches that stand in one row; of a label set with more, the prompt is read several times."""

MAX_CELLS = 2**25
"""Cells of the mask of a batch (rows × tokens × tokens), 5 bytes each; of more, one batch after another."""

MAX_ROWS = 256
"""Branches that are computed at once where each needs a row of its own; more are computed one batch after another."""

Spot = tuple[int, int]
"""Row and column of a token in a batch."""


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


@dataclass
class _Asked:
    """A plan while it is being answered.

    Attributes:
        plan: The plan.
        thresholds: For each label, what its probability must exceed.
        wanted: For each branch, after how many of its tokens logits are wanted; 0 is the end of the prompt.
        trie: Single-label tasks: all whole answers.
        odds: Single-label tasks: at each node where answers part, the log probabilities of the tokens that may follow.
        yes: Multi-label tasks: the probability of each label.
        answers: Extraction: the answer of each label.
        constraint: Extraction: the spans of the text.
    """

    plan: Plan
    thresholds: list[float]
    wanted: list[list[int]]
    trie: ChoiceConstraint = field(default_factory=lambda: ChoiceConstraint(()))
    odds: dict[tuple[int, ...], dict[int, float]] = field(default_factory=dict)
    yes: list[float] = field(default_factory=list)
    answers: list[_Answer] = field(default_factory=list)
    constraint: SpanConstraint | None = None

    def single_parts(self) -> Iterator[_Part]:
        """Yield the branches of which logits are wanted, each by itself."""
        return (_Part(self, [i]) for i, lengths in enumerate(self.wanted) if lengths)

    def parts(self) -> Iterator[_Part]:
        """Yield the branches of which logits are wanted, as many together as a row takes."""
        branches: list[int] = []
        tokens = 0
        for i, lengths in enumerate(self.wanted):
            if not lengths:
                continue
            if branches and tokens + lengths[-1] > MAX_BRANCH_TOKENS:
                yield _Part(self, branches)
                branches, tokens = [], 0
            branches.append(i)
            tokens += lengths[-1]
        if branches:
            yield _Part(self, branches)

    def read(self, nodes: Sequence[tuple[int, ...]], rows: Sequence[int], logits: _Logits) -> None:
        """Take what the model says at some nodes of the trie from their rows of logits."""
        options = [self.trie.next_tokens(node) for node in nodes]
        for node, tokens, values in zip(nodes, options, logits.odds(rows, options), strict=True):
            self.odds[node] = dict(zip(tokens, values.tolist(), strict=True))

    def probability(self, answer: tuple[int, ...]) -> float:
        """Return the probability of a whole answer."""
        return math.exp(sum(self.odds[answer[:i]][answer[i]] for i in self.trie.parting(answer)))


class _Part(NamedTuple):
    """Those branches of a plan that are computed in one batch, by their numbers."""

    asked: _Asked
    branches: list[int]

    def tree(self) -> Tree:
        """Return what the model reads: of each branch as much as comes before the last logits that are wanted."""
        plan, wanted = self.asked.plan, self.asked.wanted
        return Tree(plan.prompt, [plan.branches[i][: wanted[i][-1]] for i in self.branches])

    def options(self) -> Iterable[int]:
        """Return the tokens that may come next where logits are wanted."""
        if self.asked.constraint is not None:
            return self.asked.constraint.following(None)
        if not self.asked.plan.task.single_label:
            return ()
        return (token for node in self.nodes() for token in self.asked.trie.next_tokens(node))

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
        self._marks = {mark: vocabulary.mark(mark) for mark in (END, NONE, YES)}

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
        for parts in self._parts(asked):
            self._compute(parts)
        return [self._result(one) for one in asked]

    def _ask(self, plan: Plan, thresholds: list[float]) -> _Asked:
        """Say at which tokens of a plan logits are wanted: for a whole label, before those that tell it from others."""
        if not plan.task.single_label:
            spans = SpanConstraint(plan.text, self._vocabulary) if plan.task.kind == "extract" else None
            return _Asked(plan, thresholds, [[len(branch)] for branch in plan.branches], constraint=spans)
        none = [(self._marks[NONE],)] if plan.task.none else []
        trie = ChoiceConstraint([*plan.branches, *none])
        return _Asked(plan, thresholds, trie.branching()[: len(plan.branches)], trie)

    def _parts(self, asked: Sequence[_Asked]) -> Iterator[list[_Part]]:
        """Yield what is computed together; branches of which no logits are wanted are left out."""
        rows = self._forward.layout == "rows"
        cells = MAX_CELLS // self._forward.masks_of_a_row
        together: list[_Part] = []
        width = 0
        for part in (part for one in asked for part in (one.single_parts() if rows else one.parts())):
            wider = max(width, len(part.tree()))
            full = (len(together) + 1) * wider**2 > cells or (rows and len(together) >= MAX_ROWS)
            if together and full:
                yield together
                together, wider = [], len(part.tree())
            together.append(part)
            width = wider
        if together:
            yield together

    def _compute(self, parts: Sequence[_Part]) -> None:
        """Run the first pass over some branches, take from its logits what they say, and write their spans."""
        tokens = self._columns(token for part in parts for token in part.options())
        batch = self._forward.batch([part.tree() for part in parts])
        spots = [part.spots(places) for part, places in zip(parts, batch.places, strict=True)]
        keep = torch.zeros_like(batch.node, dtype=torch.bool)
        for spot in (spot for members in spots for spot in members):
            keep[spot] = True
        values, stepper = self._forward.start(batch, keep, tokens)
        logits = _Logits(values, tokens)
        row_of = torch.full(keep.shape, -1)
        row_of[keep] = torch.arange(len(values))
        paths: list[_Path] = []
        opened: list[int] = []
        for part, members in zip(parts, spots, strict=True):
            rows = [int(row_of[spot]) for spot in members]
            task = part.asked.plan.task
            if part.asked.constraint is not None:
                paths += self._open(part, part.asked.constraint, members, batch)
                opened += rows
            elif task.multi_label:
                odds = logits.yes(rows, [[self._marks[YES]]] * len(rows), self._marks[NONE])
                part.asked.yes += odds[:, 0].exp().tolist()
            else:
                part.asked.read(part.nodes(), rows, logits)
        self._follow(paths, opened, logits, stepper)

    def _columns(self, tokens: Iterable[int]) -> Tensor:
        """Return the tokens whose logits are needed, those of the answers' own marks among them, ascending."""
        return torch.tensor(sorted({*tokens, *self._marks.values()}))

    def _result(self, asked: _Asked) -> Result:
        plan = asked.plan
        result: Result
        if plan.task.kind == "extract":
            result = _collect(plan, asked.answers)
        elif plan.task.multi_label:
            scores = dict(zip(plan.task.labels, asked.yes, strict=True))
            least = dict(zip(plan.task.labels, asked.thresholds, strict=True))
            held = tuple(label for label, score in scores.items() if score > least[label])
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

    def _open(self, part: _Part, constraint: SpanConstraint, spots: Sequence[Spot], batch: TreeBatch) -> list[_Path]:
        """Begin the answers of some labels of an extraction."""
        asked = part.asked
        opened = []
        for i, spot in zip(part.branches, spots, strict=True):
            least = math.log(max(asked.thresholds[i], sys.float_info.min))
            answer = _Answer(asked.plan.task.labels[i], least, constraint)
            asked.answers.append(answer)
            node, root = int(batch.node[spot]), int(batch.root[spot])
            begin = len(asked.plan.prompt) + len(asked.plan.branches[i])
            opened.append(_Path(answer, (), None, 0.0, spot[0], node, node, root, begin))
        return opened

    def _follow(self, paths: list[_Path], rows: Sequence[int], logits: _Logits, stepper: Stepper) -> None:
        """Follow all beginnings of spans that are likelier than the threshold, until none is left.

        Args:
            paths: The beginnings.
            rows: The row of logits of each, of what follows it.
            logits: The logits.
            stepper: The state after the first pass.
        """
        while paths:
            following = [path.answer.constraint.following(path.written) for path in paths]
            options = [[self._marks[END], *tokens] for tokens in following]
            likely = logits.yes(rows, options, self._marks[NONE])
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
                wanted = self._columns(t for path in paths for t in path.answer.constraint.following(path.written))
                paths, values = _feed(paths, stepper, wanted)
                rows, logits = range(len(paths)), _Logits(values, wanted)

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


@dataclass
class _Logits:
    """Logits of some tokens.

    Attributes:
        values: [N, U] the logits.
        tokens: [U] the tokens, ascending.
    """

    values: Tensor
    tokens: Tensor

    def odds(self, rows: Sequence[int], options: Sequence[Sequence[int]]) -> list[Tensor]:
        """Return the log probabilities of each row's options among themselves."""
        odds = self._of(rows, options).log_softmax(-1).cpu()
        return [row[: len(own)] for row, own in zip(odds, options, strict=True)]

    def yes(self, rows: Sequence[int], options: Sequence[Sequence[int]], none: int) -> Tensor:
        """Return the log probabilities of each row's options against *none* [N, K]; -inf where it has less."""
        return logsigmoid(self._of(rows, options) - self._of(rows, [[none]] * len(rows))).cpu()

    def _of(self, rows: Sequence[int], options: Sequence[Sequence[int]]) -> Tensor:
        """Return the logits of each row's options [N, K]; -inf where it has less."""
        ids = pad_sequence([torch.tensor(row) for row in options], batch_first=True, padding_value=-1)
        columns = torch.searchsorted(self.tokens, ids.clamp(min=0)).clamp(max=len(self.tokens) - 1)
        device = self.values.device
        chosen = self.values[torch.tensor(rows, device=device)].gather(1, columns.to(device)).float()
        return chosen.masked_fill((ids < 0).to(device), -torch.inf)


def _feed(paths: list[_Path], stepper: Stepper, tokens: Tensor) -> tuple[list[_Path], Tensor]:
    """Let the model read the new tokens of every path; return the paths, ordered by row, and their logits [N, U]."""
    if stepper.layout == "rows":
        stepper.select([path.row for path in paths])
        paths = [replace(path, row=row) for row, path in enumerate(paths)]
    else:
        paths = _apart(paths, stepper)
    slots: list[list[_Path]] = [[] for _ in range(stepper.rows)]
    for path in paths:
        slots[path.row].append(path)
    width = max(sum(path.unread for path in members) for members in slots)
    ids, positions, node, cue, root = torch.full((5, stepper.rows, width), PADDING)
    keep = torch.zeros_like(ids, dtype=torch.bool)
    for row, members in enumerate(slots):
        column = 0
        for path in members:
            read = len(path.tokens) - path.unread
            columns = slice(column, column + path.unread)
            ids[row, columns] = torch.tensor(path.tokens[read:])
            positions[row, columns] = torch.arange(read, len(path.tokens)) + path.begin
            node[row, columns], cue[row, columns], root[row, columns] = path.node, path.cue, path.root
            column += path.unread
            keep[row, column - 1] = True
    logits = stepper.run(ids.clamp(min=0), positions.clamp(min=0), node, [root, cue], keep, tokens)
    return [path for members in slots for path in members], logits


def _apart(paths: Sequence[_Path], stepper: Stepper) -> list[_Path]:
    """Give paths that leave their cue, or part, a node of their own, where they are read once more; one stays."""
    taken: set[Spot] = set()
    apart = []
    for path in paths:
        parts = path.node == path.cue or (path.row, path.node) in taken
        taken.add((path.row, path.node))
        apart.append(replace(path, node=stepper.new_node(path.row), unread=len(path.tokens)) if parts else path)
    return apart


def _collect(plan: Plan, answers: Sequence[_Answer]) -> Extraction:
    warnings = tuple(warning for answer in answers for warning in answer.warnings)
    spans = tuple(
        Span(answer.label, plan.text[start:end], start, end, score)
        for answer in answers
        for (start, end), score in answer.found.items()
    )
    return Extraction.of(plan.text, plan.task, spans, truncated=bool(warnings), warnings=warnings)
