"""Eight-bit weights on a CPU.

PyTorch's dynamic quantization: weights are rounded to 8 bits once, the inputs of each layer when they come, with one
scale for all of a batch. So scores differ by about a hundredth from those of float32, and a little with what else is in
the batch. PyTorch calls these functions deprecated in favour of torchao, whose layers were slower here, some slower
than float32 (docs/experiments.md); this file is all that depends on them.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from seqgpt.errors import ModelError


def quantize(model: PreTrainedModel, keep: Collection[nn.Module] = ()) -> None:
    """Make all linear layers but the output embeddings 8-bit ones, in place.

    Args:
        model: The model.
        keep: Layers that stay as they are, to be trained; then gradients pass through the others.

    Raises:
        ModelError: If the model is not on a CPU, or this version of PyTorch cannot do it.
    """
    if model.device.type != "cpu":
        raise ModelError(f"8-bit weights are for CPUs, and the model is on {model.device}: pass device='cpu'.")
    if not hasattr(torch.ao.quantization, "quantize_dynamic") or not torch.backends.quantized.supported_engines:
        raise ModelError(
            "this PyTorch, or this processor, has no 8-bit layers: install the version of the lock file, or do without."
        )
    model.float()  # the inputs of 8-bit layers are rounded from float32
    for name, layer in list(model.named_modules()):
        if isinstance(layer, Conv1D):
            model.set_submodule(name, as_linear(layer))
    spared = {id(layer) for layer in (*model.get_output_embeddings().modules(), *keep)}
    names = {name for name, layer in model.named_modules() if isinstance(layer, nn.Linear) and id(layer) not in spared}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of deprecation, see above
        quantize_dynamic: Any = torch.ao.quantization.quantize_dynamic
        quantize_dynamic(model, names, torch.qint8, inplace=True)
    if keep:
        for name in names:
            model.set_submodule(name, Through(model.get_submodule(name)))


def is_quantized(model: PreTrainedModel) -> bool:
    """Tell whether a model has 8-bit layers."""
    return any(hasattr(layer, "_packed_params") for layer in model.modules())


def as_linear(layer: Conv1D) -> nn.Linear:
    """Return GPT-2's transposed kind of linear layer as an ordinary one."""
    inputs, outputs = layer.weight.shape
    linear = nn.Linear(inputs, outputs, dtype=layer.weight.dtype)
    with torch.no_grad():
        linear.weight.copy_(layer.weight.T)
        linear.bias.copy_(layer.bias)
    return linear


class Through(nn.Module):
    """An 8-bit layer through which gradients pass to its inputs, as if these were not rounded.

    It is not among the modules' weights: whoever loads those of an adapter into a model does not ask for it.
    """

    def __init__(self, layer: Any) -> None:
        super().__init__()
        self._packed_params = layer._packed_params._packed_params

    def weight(self) -> Tensor:
        """Return the weights [outputs, inputs], with 8 bits."""
        return torch.ops.quantized.linear_unpack(self._packed_params)[0]  # type: ignore[no-any-return]

    def bias(self) -> Tensor | None:
        """Return the bias [outputs], if there is one."""
        return torch.ops.quantized.linear_unpack(self._packed_params)[1]  # type: ignore[no-any-return]

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the layer for inputs [..., D]."""
        return _StraightThrough.apply(inputs, self._packed_params)  # type: ignore[no-any-return, no-untyped-call]


class _StraightThrough(torch.autograd.Function):
    """PyTorch's 8-bit product has no gradient; that of the product with the weights as they are rounded is taken."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, packed: Any) -> Tensor:
        ctx.packed = packed
        return torch.ops.quantized.linear_dynamic(inputs.float(), packed, reduce_range=True).to(inputs.dtype)  # type: ignore[no-any-return]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (outputs,) = gradients
        weight, _ = torch.ops.quantized.linear_unpack(ctx.packed)
        return (outputs.float() @ weight.dequantize()).to(outputs.dtype), None
