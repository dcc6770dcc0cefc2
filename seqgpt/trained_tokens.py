"""Embeddings of a few tokens that are trained while all others stay, at the price of these few.

peft copies the whole table in every pass and computes a gradient of all of it, which with a vocabulary of 150,000
doubled the time of a step. Here the table is used as it is, and what it gives for these tokens is replaced. How they
are kept, saved and merged stays peft's.
"""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.trainable_tokens.layer import TrainableTokensLayer
from torch import Tensor, nn
from torch.nn.functional import embedding, linear


class LightTokens(TrainableTokensLayer):
    """A table of embeddings, on the way in or out, of which some rows are trained."""

    def forward_adapters(self, x: Tensor, active_adapters: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Return what a table with the trained rows in it gives for token ids, or for hidden states."""
        if self.disable_adapters or self.merged or len(active_adapters) != 1:
            return super().forward_adapters(x, active_adapters, *args, **kwargs)
        result: Tensor = self.base_layer(x)
        ids = torch.tensor(self.token_indices[active_adapters[0]], device=x.device)
        rows = self.trainable_tokens_delta[active_adapters[0]].to(result.dtype)
        if not isinstance(self.base_layer, nn.Embedding):
            return result.index_copy_(-1, ids, linear(x, rows).to(result.dtype))
        scale = self._get_embed_scale()  # type: ignore[no-untyped-call]
        found = x[..., None] == ids
        own = embedding(found.int().argmax(-1), rows if scale is None else rows * scale.to(result.dtype))
        return torch.where(found.any(-1, keepdim=True), own, result)


def lighten(model: nn.Module) -> None:
    """Let the tokens that peft trains in a model be computed so."""
    for layer in model.modules():
        if isinstance(layer, TrainableTokensLayer):
            layer.__class__ = LightTokens
