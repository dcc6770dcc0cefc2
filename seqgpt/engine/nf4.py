"""Four-bit weights under an adapter (QLoRA, arXiv 2305.14314), by bitsandbytes, which is an optional package.

Weights are rounded to the sixteen values of NormalFloat, 64 of them with one scale, and become floats again whenever
a layer is computed: so they take about a seventh of the memory of float32, and a step takes more time. Only rounding
and its inverse are of bitsandbytes. Its layers compute otherwise in training than in evaluation on some processors.
"""

from __future__ import annotations

import warnings
from collections.abc import Collection
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from seqgpt.engine.int8 import as_linear
from seqgpt.errors import ModelError

_BLOCK = 64  # weights with one scale


def check_nf4() -> None:
    """Raise a ``ModelError`` if bitsandbytes is not there."""
    if find_spec("bitsandbytes") is None:
        raise ModelError("4-bit weights need bitsandbytes: pip install 'seqgpt[quantize]', or do without.")


def quantize_nf4(model: PreTrainedModel, keep: Collection[nn.Module] = ()) -> None:
    """Make all linear layers but the output embeddings 4-bit ones, in place.

    Args:
        model: The model.
        keep: Layers that stay as they are, to be trained; gradients pass through the others.

    Raises:
        ModelError: If bitsandbytes is not there.
    """
    check_nf4()
    spared = {id(layer) for layer in (*model.get_output_embeddings().modules(), *keep)}
    for name, layer in list(model.named_modules()):
        if isinstance(layer, (nn.Linear, Conv1D)) and id(layer) not in spared:
            model.set_submodule(name, FourBits(as_linear(layer) if isinstance(layer, Conv1D) else layer))


def is_nf4(model: PreTrainedModel) -> bool:
    """Tell whether a model has 4-bit layers."""
    return any(isinstance(layer, FourBits) for layer in model.modules())


class FourBits(nn.Module):
    """A linear layer with 4-bit weights, through which gradients pass to its inputs.

    Its weights are none that are trained or saved: whoever loads those of an adapter does not ask for them.
    """

    packed: Tensor
    scales: Tensor
    values: Tensor
    bias: Tensor | None

    def __init__(self, layer: nn.Linear) -> None:
        super().__init__()
        weight = layer.weight.detach()
        # As one row: of matrices whose rows are no whole blocks, bitsandbytes 0.50 mixes the scales up on a CPU.
        packed, state = _bitsandbytes().quantize_4bit(weight.flatten(), blocksize=_BLOCK, quant_type="nf4")
        self._shape, self._dtype = weight.shape, weight.dtype
        bias = None if layer.bias is None else layer.bias.detach()
        for name, tensor in (("packed", packed), ("scales", state.absmax), ("values", state.code), ("bias", bias)):
            self.register_buffer(name, tensor, persistent=False)  # goes wherever the model goes

    def weight(self) -> Tensor:
        """Return the weights [outputs, inputs] as they are rounded."""
        functional = _bitsandbytes()
        size, options = torch.Size([self._shape.numel()]), {"quant_type": "nf4", "dtype": self._dtype}
        state = functional.QuantState(self.scales, size, self.values, blocksize=_BLOCK, **options)
        found: Tensor = functional.dequantize_4bit(self.packed, state)
        return found.view(self._shape)

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute the layer for inputs [..., D]."""
        return _Product.apply(inputs, self)  # type: ignore[no-any-return, no-untyped-call]


class _Product(torch.autograd.Function):
    """The product with weights that are made floats again in either direction, and kept in neither."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, layer: FourBits) -> Tensor:
        ctx.layer = layer
        bias = None if layer.bias is None else layer.bias.to(inputs.dtype)
        return linear(inputs, layer.weight().to(inputs.dtype), bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (outputs,) = gradients
        return outputs @ ctx.layer.weight().to(outputs.dtype), None


def _bitsandbytes() -> Any:
    with warnings.catch_warnings():  # what it uses of torch is deprecated
        warnings.simplefilter("ignore", DeprecationWarning)
        from bitsandbytes import functional
    return functional
