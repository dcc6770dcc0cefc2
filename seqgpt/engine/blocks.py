"""Attention block by block: trees end to end in one row, without padding, each seeing only those of its block.

A dense mask over rows costs with the square of their length, and rows of different lengths are padded. Here the row is
cut into blocks, and the attention of each is computed by itself, by the kernels of torch: what is called
variable-length attention, for trees. It is registered with transformers as an attention function, to which
architectures pass on the arguments that they do not know. Without blocks it is transformers' own ``sdpa``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from seqgpt.engine.tree import TreeBatch, additive, visible

ATTENTION = "seqgpt"
"""The name under which transformers knows this attention function."""


def masks_of(batch: TreeBatch, dtype: torch.dtype, device: torch.device) -> list[Tensor]:
    """Return of each block of trees that are laid out end to end which of its N tokens see which.

    These are additive masks [1, 1, N, N].
    """
    return [additive(visible(node, [root, stem], node, 0), dtype) for node, root, stem in _parts(batch, device)]


def _parts(batch: TreeBatch, device: torch.device) -> Iterator[tuple[Tensor, ...]]:
    columns = (
        torch.split(numbers.to(device), list(batch.blocks), dim=1) for numbers in (batch.node, batch.root, batch.stem)
    )
    return zip(*columns, strict=True)


def block_attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    tree_masks: Sequence[Tensor] | None = None,
    **options: Any,
) -> tuple[Tensor, Tensor | None]:
    """Compute attention as transformers wants it, for queries, keys and values [B, H, T, D].

    Args:
        module: The layer.
        query: Queries.
        key: Keys; perhaps of fewer heads.
        value: Values.
        attention_mask: As ``sdpa`` takes it; not used with blocks.
        tree_masks: What the tokens of each block of the only row see; None if there are no blocks.
        options: As ``sdpa`` takes them.

    Returns:
        [B, T, H, D], and None.
    """
    if tree_masks is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    # On a CPU the kernel takes longer in bfloat16: backward, two to three times (docs/experiments.md).
    number = torch.float32 if query.device.type == "cpu" else query.dtype
    lengths = [mask.shape[-1] for mask in tree_masks]
    # Backward, a split costs as much as the row is long; each of as many slices would.
    queries, keys, values = (torch.split(states.to(number), lengths, dim=2) for states in (query, key, value))
    with torch.autocast(query.device.type, enabled=False):
        outputs = [
            sdpa_attention_forward(module, q, k, v, mask.to(number), **options)[0]
            for q, k, v, mask in zip(queries, keys, values, tree_masks, strict=True)
        ]
    return torch.cat(outputs, dim=1).to(value.dtype), None


AttentionInterface.register(ATTENTION, block_attention)
AttentionMaskInterface.register(ATTENTION, sdpa_mask)
