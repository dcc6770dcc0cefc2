"""Attention of a long row by one kernel, which reads from three numbers of each token what it sees.

Trees stand end to end in one row, as for :mod:`seqgpt.engine.blocks`. There each part of the row is computed by itself,
which would be many small kernels on a GPU. Here FlexAttention, a library kernel of torch, computes all of it at once:
it is given a function that says of two tokens whether one sees the other, and which tiles of 128 by 128 pairs it need
look at. No mask of all pairs is made. It is registered with transformers as an attention function of its own;
transformers' ``flex_attention`` refuses GPT-2, and compiles for CPUs, where it has no gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, create_mask, flex_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from seqgpt.engine.tree import TreeBatch

ATTENTION = "seqgpt_flex"
"""The name under which transformers knows this attention function."""

TILE = 128
"""Rows have a multiple of so many tokens."""


def mask_of(batch: TreeBatch, device: torch.device) -> BlockMask:
    """Return which tokens see which, of trees laid out end to end in a row of a multiple of ``TILE`` tokens."""
    tokens = batch.node.shape[1]
    row = torch.arange(len(batch.blocks)).repeat_interleave(torch.tensor(batch.blocks))
    row = nn.functional.pad(row, (0, tokens - len(row)), value=len(batch.blocks))
    width = int(batch.node.max()) + 2  # numbers of nodes, that of padding among them, begin anew in every row
    node, root, stem = (numbers[0] + 1 + row * width for numbers in (batch.node, batch.root, batch.stem))
    tiles, first = _tiles(node, stem)
    node, root, stem = (numbers.int().to(device) for numbers in (node, root, stem))

    def sees(_batch: Tensor, _head: Tensor, query: Tensor, key: Tensor) -> Tensor:
        other = node[key]
        own = (other == node[query]) | (other == root[query]) | (other == stem[query])
        return own & (key <= query)

    return BlockMask.from_kv_blocks(
        tiles[None, None].to(device), first[None, None].to(device), BLOCK_SIZE=TILE, mask_mod=sees
    )


def _tiles(node: Tensor, stem: Tensor) -> tuple[Tensor, Tensor]:
    """Return of each tile of queries how many tiles of keys it sees, [n], and which, first of all, [n, n].

    Nodes are contiguous, and a token sees nothing before its stem: so these are all tiles from there to its own.
    """
    columns = torch.arange(len(node))
    starts = torch.full((int(node.max()) + 1,), len(node)).scatter_reduce(0, node, columns, "amin")
    first = starts[stem].view(-1, TILE).amin(1) // TILE
    last = torch.arange(len(first))
    return (last - first + 1).int(), (first[:, None] + last).clamp(max=len(first) - 1).int()


def row_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    tree_mask: BlockMask | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """Compute attention as transformers wants it, for queries, keys and values [B, H, T, D].

    Args:
        module: The layer.
        query: Queries.
        key: Keys; perhaps of fewer heads.
        value: Values.
        attention_mask: As ``sdpa`` takes it; not used with a tree mask.
        tree_mask: What the tokens of the only row see; None if that is what ``attention_mask`` says.
        options: As ``sdpa`` takes them.

    Returns:
        [B, T, H, D], and None.

    Raises:
        ValueError: If attention weights are to be dropped out, which the kernel cannot do.
    """
    if tree_mask is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    if options.get("dropout"):
        raise ValueError("it drops out attention weights, which the kernel cannot do")
    kind = query.device.type
    number = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else value.dtype
    query, key, value = query.to(number), key.to(number), value.to(number)  # rotated ones may have another type
    compute = _reference if kind == "cpu" else _kernel()
    grouped = query.shape[1] != key.shape[1]
    output = compute(query, key, value, block_mask=tree_mask, scale=options.get("scaling"), enable_gqa=grouped)
    return output.transpose(1, 2).contiguous(), None


@cache
def _kernel() -> Callable[..., Tensor]:
    """Return the kernel, compiled once for rows of any length, and never run uncompiled, which would be slow."""
    return cast(Callable[..., Tensor], torch.compile(flex_attention, dynamic=True, fullgraph=True))


def _reference(
    query: Tensor, key: Tensor, value: Tensor, *, block_mask: BlockMask, scale: float | None, enable_gqa: bool
) -> Tensor:
    """Compute the same on a CPU, where the kernel has no gradients: under a mask of all pairs in the tiles it names."""
    tokens = query.shape[2]
    listed = block_mask.to_dense().bool().repeat_interleave(TILE, 2).repeat_interleave(TILE, 3)
    mask = listed & create_mask(block_mask.mask_mod, 1, 1, tokens, tokens, query.device)
    return nn.functional.scaled_dot_product_attention(query, key, value, mask, scale=scale, enable_gqa=enable_gqa)


AttentionInterface.register(ATTENTION, row_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
