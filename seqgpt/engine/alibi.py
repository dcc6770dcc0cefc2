"""BLOOM in trees: its positions are biases of the attention (ALiBi, arXiv 2108.12409), and go into the tree mask.

BLOOM takes no positions: it counts the columns of a 2-D mask, and columns of a tree are no positions. It adds a bias of
slope × position of the key to every attention score, so a 4-D mask that holds these biases says all there is to say.
"""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.models.bloom.modeling_bloom import BloomModel, build_alibi_tensor


def take_biases(model: PreTrainedModel) -> Tensor | None:
    """Let a BLOOM model take 4-D masks that hold its biases; 2-D masks do what they did.

    Returns:
        [H] the slope of each head; None for any other model, which is left as it is.
    """
    bloom = model.base_model
    if not isinstance(bloom, BloomModel):
        return None
    bloom.build_alibi_tensor = _biases  # type: ignore[method-assign]
    heads = bloom.num_heads
    return build_alibi_tensor(torch.ones(1, 2), heads, torch.float32)[:, 0, 1]  # of the key at position 1


def add_biases(mask: Tensor, slopes: Tensor, key_positions: Tensor) -> Tensor:
    """Add the biases of keys [B, K] to an additive mask [B, 1, Q, K]; returns [B, H, Q, K]."""
    biases = slopes[:, None, None] * key_positions[:, None, None, :]
    return mask + biases.to(mask.dtype)


def _biases(attention_mask: Tensor, num_heads: int, dtype: torch.dtype) -> Tensor:
    """Stand in for ``BloomModel.build_alibi_tensor``: nothing is left to add where the mask holds the biases."""
    if attention_mask.dim() == 4:
        batch, *_, keys = attention_mask.shape
        return torch.zeros(batch * num_heads, 1, keys, dtype=dtype, device=attention_mask.device)
    return build_alibi_tensor(attention_mask, num_heads, dtype)
