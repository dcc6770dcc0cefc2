"""Prompts and their branches side by side in one batch, each branch blind to the others.

A tree is a prompt and its branches. Trees are laid end to end in rows::

    row        [ prompt A | branch A1 | branch A2 | prompt B | branch B1 | padding ]
    position     0 1 2 3    4 5 6       4 5         0 1 2      3 4 5

A token sees the tokens before it that belong to its own branch or to its own prompt. Positions of a branch go on where
its prompt ends, as if it came first, so a tree computes exactly what its branches would compute one by one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

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
    """Where a branch stands in its batch: its row, and the columns at which its prompt and it begin."""

    row: int
    prompt: int
    branch: int


@dataclass
class TreeBatch:
    """Trees laid out in rows; B rows of T tokens.

    Attributes:
        input_ids: [B, T] token ids.
        position_ids: [B, T] positions, counted from the start of the token's own tree.
        node: [B, T] number of the prompt or branch that a token belongs to, unique in its row; -1 for padding.
        root: [B, T] number of the prompt of that node.
        places: For each tree, in order, where each of its branches stands.
    """

    input_ids: Tensor
    position_ids: Tensor
    node: Tensor
    root: Tensor
    places: list[list[Place]]


def lay_out(trees: Sequence[Tree], *, row_tokens: int = 0, pad_left: bool = False) -> TreeBatch:
    """Lay trees out in rows.

    Args:
        trees: The trees.
        row_tokens: Trees share a row up to this length; 0 gives every tree a row of its own.
        pad_left: Pad rows at their beginning, not at their end.
    """
    rows: list[list[tuple[int, int, int, int]]] = []  # id, position, node and root of each token
    places: list[list[Place]] = [[] for _ in trees]
    for members in _rows(trees, row_tokens):
        row: list[tuple[int, int, int, int]] = []
        root = 0
        for index in members:
            tree, begin = trees[index], len(row)
            for node, part in enumerate((tree.prompt, *tree.branches), start=root):
                if node > root:
                    places[index].append(Place(len(rows), begin, len(row)))
                base = len(tree.prompt) if node > root else 0
                row += [(token, base + i, node, root) for i, token in enumerate(part)]
            root += 1 + len(tree.branches)
        rows.append(row)
    width = max(map(len, rows))
    padding = [[(0, 0, PADDING, PADDING)] * (width - len(row)) for row in rows]
    if pad_left:
        places = [[Place(r, p + len(padding[r]), b + len(padding[r])) for r, p, b in tree] for tree in places]
    padded = [fill + row if pad_left else row + fill for row, fill in zip(rows, padding, strict=True)]
    ids, positions, nodes, roots = torch.tensor(padded, dtype=torch.long).movedim(-1, 0).contiguous()
    return TreeBatch(ids, positions, nodes, roots, places)


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


def _rows(trees: Sequence[Tree], row_tokens: int) -> list[list[int]]:
    """Assign trees to rows, first fit, longest first; a tree longer than a row gets one of its own."""
    if not row_tokens:
        return [[i] for i in range(len(trees))]
    rows: list[list[int]] = []
    room: list[int] = []
    for index in sorted(range(len(trees)), key=lambda i: -len(trees[i])):
        length = len(trees[index])
        row = next((r for r, left in enumerate(room) if left >= length), None)
        if row is None:
            rows.append([])
            room.append(max(row_tokens, length))
            row = len(rows) - 1
        rows[row].append(index)
        room[row] -= length
    return rows
