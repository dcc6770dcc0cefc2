"""Attention block by block: trees end to end in one row, without padding, each seeing only those of its block.

A dense mask over rows costs with the square of their length, and rows of different lengths are padded. Here the row is
cut into blocks, and the attention of each is computed by itself, by the kernels of torch: what is called
variable-length attention, for trees. It is registered with transformers as an attention function, to which
architectures pass on the arguments that they do not know. Without blocks it is transformers' own ``sdpa``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from seqgpt.engine.tree import TreeBatch, additive, visible

ATTENTION = "seqgpt"
"""The name under which transformers knows this attention function."""


class Block(NamedTuple):
    """A part of a row, and which of its tokens see which: an additive mask [1, 1, N, N] over its N tokens."""

    start: int
    mask: Tensor


def blocks_of(batch: TreeBatch, dtype: torch.dtype, device: torch.device) -> list[Block]:
    """Return the blocks of trees that are laid out end to end."""
    return [
        Block(start, additive(visible(node, [root, stem], node, 0), dtype))
        for start, (node, root, stem) in _parts(batch, device)
    ]


def _parts(batch: TreeBatch, device: torch.device) -> Iterator[tuple[int, tuple[Tensor, ...]]]:
    columns = [numbers.to(device) for numbers in (batch.node, batch.root, batch.stem)]
    start = 0
    for length in batch.blocks:
        yield start, tuple(numbers[:, start : start + length] for numbers in columns)
        start += length


def block_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    tree_blocks: Sequence[Block] | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """Compute attention as transformers wants it, for queries, keys and values [B, H, T, D].

    Args:
        module: The layer.
        query: Queries.
        key: Keys; perhaps of fewer heads.
        value: Values.
        attention_mask: As ``sdpa`` takes it; not used with blocks.
        tree_blocks: The blocks of the only row; None if there are none.
        options: As ``sdpa`` takes them.

    Returns:
        [B, T, H, D], and None.
    """
    if tree_blocks is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    outputs = []
    for start, mask in tree_blocks:
        part = slice(start, start + mask.shape[-1])
        within = query[:, :, part], key[:, :, part], value[:, :, part]
        outputs.append(sdpa_attention_forward(module, *within, attention_mask=mask.to(query.dtype), **options)[0])
    return torch.cat(outputs, dim=1), None


AttentionInterface.register(ATTENTION, block_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
