"""The first pass: which branches are computed together, and what the model says behind them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import isqrt
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid
from torch.nn.utils.rnn import pad_sequence

from seqgpt.engine.forward import TreeForward
from seqgpt.engine.plan import Plan
from seqgpt.engine.tree import Place, Tree

MAX_BRANCH_TOKENS = 2048
"""Tokens of the branches that stand in one row; of a label set with more, the prompt is read several times."""

MAX_CELLS = 2**25
"""Cells of the mask of a batch (rows × tokens × tokens), 5 bytes each; of more, one batch after another."""

MAX_ROWS = 256
"""Branches that are computed at once where each needs a row of its own; more are computed one batch after another."""

Spot = tuple[int, int]
"""Row and column of a token in a batch."""


@dataclass
class Asked:
    """A plan while it is being answered.

    Attributes:
        plan: The plan.
        wanted: For each branch, after how many of its tokens logits are wanted; 0 is the end of the prompt.
    """

    plan: Plan
    wanted: list[list[int]]

    def parts(self, most: int) -> Iterator[list[int]]:
        """Yield the branches of which logits are wanted, by number: one, or at most so many tokens together."""
        branches: list[int] = []
        tokens = 0
        for i, lengths in enumerate(self.wanted):
            if not lengths:
                continue
            if branches and tokens + lengths[-1] > most:
                yield branches
                branches, tokens = [], 0
            branches.append(i)
            tokens += lengths[-1]
        if branches:
            yield branches


class Part(NamedTuple):
    """Those branches of a plan that are computed in one batch, by their numbers."""

    asked: Asked
    branches: list[int]

    def tree(self) -> Tree:
        """Return what the model reads: of each branch as much as comes before the last logits that are wanted."""
        plan, wanted = self.asked.plan, self.asked.wanted
        return Tree(plan.prompt, [plan.branches[i][: wanted[i][-1]] for i in self.branches])

    def written(self) -> list[tuple[int, ...]]:
        """Return what of each branch is written wherever logits are wanted."""
        return [self.asked.plan.branches[i][:length] for i in self.branches for length in self.asked.wanted[i]]

    def spots(self, places: Sequence[Place]) -> list[Spot]:
        """Return where in the batch those logits are."""
        return [
            (place.row, place.branch + length - 1 if length else place.prompt)
            for i, place in zip(self.branches, places, strict=True)
            for length in self.asked.wanted[i]
        ]


def batches(asked: Sequence[Asked], forward: TreeForward) -> Iterator[list[Part]]:
    """Yield what is computed together; branches of which no logits are wanted are left out."""
    rows = forward.layout == "rows"
    cells = MAX_CELLS // forward.masks_of_a_row
    together: list[Part] = []
    width = 0
    for part in (Part(one, members) for one in asked for members in one.parts(0 if rows else _room(one.plan, cells))):
        wider = max(width, len(part.tree()))
        full = (len(together) + 1) * wider**2 > cells or (rows and len(together) >= MAX_ROWS)
        if together and full:
            yield together
            together, wider = [], len(part.tree())
        together.append(part)
        width = wider
    if together:
        yield together


def _room(plan: Plan, cells: int) -> int:
    """Return how many tokens of branches may stand in a row beside the prompt."""
    return min(MAX_BRANCH_TOKENS, isqrt(cells) - len(plan.prompt))


class FirstPass:
    """The first pass over some branches.

    Args:
        forward: The model.
        parts: The branches.
        tokens: The tokens whose logits are wanted.

    Attributes:
        batch: The branches as they are laid out.
        spots: For each part, where in the batch logits were wanted.
        rows: For each part, the rows of ``logits`` that are of those spots.
        logits: What the model says.
        stepper: The state with which the branches go on.
    """

    def __init__(self, forward: TreeForward, parts: Sequence[Part], tokens: Iterable[int]) -> None:
        columns = columns_of(tokens)
        self.batch = forward.batch([part.tree() for part in parts])
        self.spots = [part.spots(places) for part, places in zip(parts, self.batch.places, strict=True)]
        keep = torch.zeros_like(self.batch.node, dtype=torch.bool)
        for spot in (spot for members in self.spots for spot in members):
            keep[spot] = True
        values, self.stepper = forward.start(self.batch, keep, columns)
        row_of = torch.full(keep.shape, -1)
        row_of[keep] = torch.arange(len(values))
        self.rows = [[int(row_of[spot]) for spot in members] for members in self.spots]
        self.logits = Logits(values, columns)


def columns_of(tokens: Iterable[int]) -> Tensor:
    """Return tokens as the columns of logits: each once, ascending."""
    return torch.tensor(sorted(set(tokens)))


@dataclass
class Logits:
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
