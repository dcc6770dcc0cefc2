"""Prompts and their branches side by side in one batch, each branch blind to the others.

A tree is a prompt and its branches. Trees are laid end to end in rows::

    row        [ prompt A | branch A1 | branch A2 | prompt B | branch B1 | padding ]
    position     0 1 2 3    4 5 6       4 5         0 1 2      3 4 5

A token sees the tokens before it that belong to its own branch or to its own prompt. Positions of a branch go on where
its prompt ends, as if it came first, so a tree computes exactly what its branches would compute one by one.

Prompts that begin alike, those of several tasks on one text, can share their beginning, the stem; it is read once::

    row        [ stem | rest of prompt A | branch A1 | rest of prompt B | branch B1 | branch B2 ]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

PADDING = -1


@dataclass(frozen=True)
class Tree:
    """A prompt and the branches that follow it, as token ids."""

    prompt: Sequence[int]
    branches: Sequence[Sequence[int]]

    def __len__(self) -> int:
        return len(self.prompt) + sum(map(len, self.branches))

    @property
    def longest(self) -> int:
        """Number of tokens of the prompt and its longest branch."""
        return len(self.prompt) + max(map(len, self.branches), default=0)

    def split(self) -> list[Tree]:
        """Return one tree for each branch: the same computation in plain rows."""
        return [Tree(self.prompt, [branch]) for branch in self.branches]


class Place(NamedTuple):
    """Where a branch stands in its batch: its row, the column at which its prompt ends, that at which it begins."""

    row: int
    prompt: int
    branch: int


@dataclass
class TreeBatch:
    """Trees laid out in rows; B rows of T tokens.

    Attributes:
        input_ids: [B, T] token ids.
        position_ids: [B, T] positions, counted from the start of the token's own tree.
        node: [B, T] number of the stem, prompt or branch that a token belongs to, unique in its row; -1 for padding.
        root: [B, T] number of the prompt of that node.
        stem: [B, T] number of the stem of that prompt; its own number if it has none.
        places: For each tree, in order, where each of its branches stands.
        blocks: How long each of the rows is that are joined to one.
    """

    input_ids: Tensor
    position_ids: Tensor
    node: Tensor
    root: Tensor
    stem: Tensor
    places: list[list[Place]]
    blocks: tuple[int, ...] = ()


def lay_out(
    trees: Sequence[Tree],
    *,
    row_tokens: int = 0,
    share_stems: bool = False,
    pad_left: bool = False,
    fill: bool = True,
) -> TreeBatch:
    """Lay trees out in rows.

    Args:
        trees: The trees.
        row_tokens: Trees share a row up to this length; 0 gives every tree, or stem, a row of its own.
        share_stems: Read what prompts have in common at their beginning once.
        pad_left: Pad rows at their beginning, not at their end.
        fill: Where one tree is longer than ``row_tokens``, let trees share rows up to its length, for all rows are
            padded to that; not worth it if they are joined, where attention costs with the square of each.
    """
    rows: list[list[tuple[int, int, int, int, int]]] = []  # id, position, node, root and stem of each token
    places: list[list[Place]] = [[] for _ in trees]
    groups = _groups(trees, row_tokens) if share_stems else [_Group([i], 0) for i in range(len(trees))]
    lengths = [group.tokens(trees) for group in groups]
    for members in _rows(lengths, max(row_tokens, *lengths) if row_tokens and fill else row_tokens):
        row: list[tuple[int, int, int, int, int]] = []
        node = 0
        for group in (groups[i] for i in members):
            shared, stem = group.stem, node
            row += [(token, i, stem, stem, stem) for i, token in enumerate(trees[group.trees[0]].prompt[:shared])]
            node += shared > 0
            for index in group.trees:
                tree, root = trees[index], node
                above = stem if shared else root
                row += [(token, i, root, root, above) for i, token in enumerate(tree.prompt[shared:], shared)]
                last = len(row) - 1
                for node, branch in enumerate(tree.branches, root + 1):
                    places[index].append(Place(len(rows), last, len(row)))
                    row += [(token, i, node, root, above) for i, token in enumerate(branch, len(tree.prompt))]
                node = root + len(tree.branches) + 1
        rows.append(row)
    width = max(map(len, rows))
    padding = [[(0, 0, PADDING, PADDING, PADDING)] * (width - len(row)) for row in rows]
    if pad_left:
        places = [[Place(r, p + len(padding[r]), b + len(padding[r])) for r, p, b in tree] for tree in places]
    padded = [fill + row if pad_left else row + fill for row, fill in zip(rows, padding, strict=True)]
    ids, positions, nodes, roots, stems = torch.tensor(padded, dtype=torch.long).movedim(-1, 0).contiguous()
    return TreeBatch(ids, positions, nodes, roots, stems, places)


def join_rows(batch: TreeBatch, *, multiple_of: int = 1) -> TreeBatch:
    """Lay the rows of a batch end to end in one, without their padding, which is on the right.

    Args:
        batch: The batch.
        multiple_of: Pad the row to a multiple of so many tokens.
    """
    kept = batch.node != PADDING
    lengths = kept.sum(1).tolist()
    starts = [0, *accumulate(lengths)]
    padding = -starts[-1] % multiple_of
    ids, positions = (pad(numbers[kept][None], (0, padding)) for numbers in (batch.input_ids, batch.position_ids))
    node, root, stem = (
        pad(numbers[kept][None], (0, padding), value=PADDING) for numbers in (batch.node, batch.root, batch.stem)
    )
    places = [[Place(0, starts[row] + p, starts[row] + b) for row, p, b in tree] for tree in batch.places]
    return TreeBatch(ids, positions, node, root, stem, places, tuple(lengths))


def visible(query_node: Tensor, ancestors: Sequence[Tensor], key_node: Tensor, first_query: int) -> Tensor:
    """Return which keys each query sees: bool [B, Q, K].

    Args:
        query_node: [B, Q] nodes of the queries.
        ancestors: Each [B, Q]: the nodes that a query sees beside its own.
        key_node: [B, K] nodes of all keys, those of the queries last.
        first_query: Column of the first query among the keys.
    """
    queries, keys = query_node.shape[1], key_node.shape[1]
    columns = torch.arange(keys, device=key_node.device)
    rows = torch.arange(first_query, first_query + queries, device=key_node.device)
    before = columns[None, :] <= rows[:, None]
    seen = key_node[:, None, :] == query_node[:, :, None]
    for ancestor in ancestors:
        seen |= key_node[:, None, :] == ancestor[:, :, None]
    return before & seen


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """Turn a bool mask [B, Q, K] into the additive mask [B, 1, Q, K] that attention layers take.

    The lowest finite number, not minus infinity, stands for "hidden": padding rows would otherwise become NaN.
    """
    return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill(~mask, torch.finfo(dtype).min)[:, None]


class _Group(NamedTuple):
    """Trees by their numbers, and how many tokens of their prompts they share."""

    trees: list[int]
    stem: int

    def tokens(self, trees: Sequence[Tree]) -> int:
        return self.stem + sum(len(trees[i]) - self.stem for i in self.trees)


def _groups(trees: Sequence[Tree], row_tokens: int) -> list[_Group]:
    """Put trees together whose prompts begin alike, as long as that saves tokens and they have room in a row.

    The last token of a prompt is shared with none: something is asked there.
    """
    groups: list[_Group] = []
    for index in sorted(range(len(trees)), key=lambda i: list(trees[i].prompt)):
        if groups:
            members, stem = groups[-1]
            first = trees[members[0]].prompt
            begin = first[: stem or len(first) - 1]
            common = _common(begin, trees[index].prompt[:-1])
            wider = _Group([*members, index], common)
            saves = common * len(members) > len(begin) * (len(members) - 1)
            if saves and (not row_tokens or wider.tokens(trees) <= row_tokens):
                groups[-1] = wider
                continue
        groups.append(_Group([index], 0))
    return groups


def _common(one: Sequence[int], other: Sequence[int]) -> int:
    """Return how many tokens two sequences have in common at their beginning."""
    return next((i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _rows(lengths: Sequence[int], row_tokens: int) -> list[list[int]]:
    """Assign groups by their lengths to rows, first fit, longest first; what is longer has a row of its own."""
    if not row_tokens:
        return [[i] for i in range(len(lengths))]
    rows: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        row = next((r for r, left in enumerate(room) if left >= lengths[index]), None)
        if row is None:
            rows.append([])
            room.append(max(row_tokens, lengths[index]))
            row = len(rows) - 1
        rows[row].append(index)
        room[row] -= lengths[index]
    return rows
