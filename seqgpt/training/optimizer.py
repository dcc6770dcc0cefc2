"""Muon for the weight matrices inside a model's layers, AdamW for all its other weights, as one optimizer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn


class CombinedOptimizer(torch.optim.Optimizer):
    """Several optimizers, each of its own weights, as one: for schedulers, checkpoints and whoever else asks.

    Attributes:
        parts: The optimizers.
    """

    def __init__(self, parts: Sequence[torch.optim.Optimizer]) -> None:
        # Not that of Optimizer: groups and state stay with the parts.
        self.parts = list(parts)
        self.defaults: dict[str, Any] = {}

    @property
    def param_groups(self) -> list[dict[str, Any]]:  # type: ignore[override]
        """The groups of all parts."""
        return [group for part in self.parts for group in part.param_groups]

    @property
    def state(self) -> dict[Any, Any]:  # type: ignore[override]
        """The state of all parts, by weight."""
        return {weight: state for part in self.parts for weight, state in part.state.items()}

    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Let every part make a step."""
        loss = closure() if closure else None
        for part in self.parts:
            part.step()
        return loss

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget all gradients."""
        for part in self.parts:
            part.zero_grad(set_to_none)

    def state_dict(self) -> dict[str, Any]:
        """Return the state of each part."""
        return {"parts": [part.state_dict() for part in self.parts]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Give each part its state back."""
        for part, state in zip(self.parts, state_dict["parts"], strict=True):
            part.load_state_dict(state)


def muon_and_adamw(
    model: nn.Module,
    *,
    muon_learning_rate: float,
    learning_rate: float,
    weight_decay: float,
    betas: tuple[float, float],
    eps: float,
) -> CombinedOptimizer:
    """Build Muon (``torch.optim.Muon``; kellerjordan.github.io/posts/muon) for a model, and AdamW for the rest.

    Muon is made for matrices that map one hidden state to another. Embeddings, output weights, biases and norms are
    left to AdamW, and only matrices decay.

    Args:
        model: The model.
        muon_learning_rate: Learning rate of Muon, about ten times that of AdamW.
        learning_rate: Learning rate of AdamW.
        weight_decay: Weight decay of both.
        betas: Of AdamW.
        eps: Of AdamW.
    """
    inner = inner_matrices(model)
    muon = {id(weight) for weight in inner}
    others = [weight for weight in model.parameters() if weight.requires_grad and id(weight) not in muon]
    matrices = [weight for weight in others if weight.ndim == 2]
    vectors = [weight for weight in others if weight.ndim != 2]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": vectors, "weight_decay": 0.0}]
    adamw = torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=learning_rate,
        weight_decay=weight_decay,
        betas=betas,
        eps=eps,
        fused=True,
    )
    return CombinedOptimizer([torch.optim.Muon(inner, lr=muon_learning_rate, weight_decay=weight_decay), adamw])


def inner_matrices(model: nn.Module) -> list[nn.Parameter]:
    """Return the weight matrices that are trained and map one hidden state to another."""
    ends = {
        id(weight)
        for module in (model.get_input_embeddings(), model.get_output_embeddings())  # type: ignore[operator]
        for weight in (module.parameters() if module else ())
    }
    embeddings = (module for module in model.modules() if isinstance(module, nn.Embedding))
    ends.update(id(module.weight) for module in embeddings)
    return [w for w in model.parameters() if w.requires_grad and w.ndim == 2 and id(w) not in ends]
