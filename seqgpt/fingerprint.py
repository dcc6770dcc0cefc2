"""Counting the weights of a model, and knowing it again by a few of them, so that no adapter is put on another one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from transformers import PreTrainedModel, PreTrainedTokenizerBase

_SAMPLES = 8  # of each weight; training changes nearly all values of it
_ROUNDING = {"float64": 0.0, "float32": 1e-6, "float16": 2.0**-10, "bfloat16": 2.0**-7}  # relative, and some more
_SMALLEST = 1e-7  # float16 rounds weights below it to nothing


class Fingerprint(NamedTuple):
    """What a model is known by.

    Attributes:
        weights: Some values of each weight, by name.
        dtype: Number type that the model had then: opened in another one, its values are rounded.
        vocabulary: Digest of its tokens and their ids.
    """

    weights: dict[str, Tensor]
    dtype: str
    vocabulary: str

    def differs(self, other: Fingerprint) -> str:
        """Say what differs in another model; an empty string if nothing does but rounding."""
        if self.vocabulary != other.vocabulary:
            return "its vocabulary differs"
        tolerance = max(_ROUNDING.get(dtype, _ROUNDING["bfloat16"]) for dtype in (self.dtype, other.dtype))
        for name in self.weights.keys() ^ other.weights.keys():
            return f"only one of them has a weight {name!r}"
        for name, values in self.weights.items():
            if not torch.allclose(values, other.weights[name], rtol=tolerance, atol=tolerance and _SMALLEST):
                return f"its weight {name!r} differs"
        return ""

    def digest(self) -> str:
        """Return a short name that another model has not; one that was opened in another number type has another."""
        known = hashlib.sha256(self.vocabulary.encode())
        for name, values in sorted(self.weights.items()):
            known.update(name.encode())
            known.update(values.numpy().tobytes())
        return known.hexdigest()[:16]

    def write(self, file: Path) -> None:
        """Write the fingerprint as safetensors."""
        save_file(self.weights, file, {"dtype": self.dtype, "vocabulary": self.vocabulary})


def all_weights(model: PreTrainedModel) -> Iterator[tuple[str, Tensor]]:
    """Yield the name and the values of each weight, those of 8-bit and 4-bit layers as they are rounded.

    PyTorch does not count the latter among the parameters: such a layer has functions that return them.
    """
    yield from ((name, weight.detach()) for name, weight in model.named_parameters())
    for layer_name, layer in model.named_modules():
        if callable(getattr(type(layer), "weight", None)):
            for name in ("weight", "bias"):
                values = getattr(layer, name)
                values = values() if callable(values) else values
                if values is not None:
                    yield f"{layer_name}.{name}", (values.dequantize() if values.is_quantized else values).detach()


def size(model: PreTrainedModel) -> int:
    """Return how many weights a model has, rounded ones too."""
    return sum(weight.numel() for _, weight in all_weights(model))


def take(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> Fingerprint:
    """Return the fingerprint of a model without an adapter."""
    flattened = ((name, weight.flatten()) for name, weight in all_weights(model))
    # Not the last rows of embeddings: those of new marks are computed, which need not give the same bits everywhere.
    weights = {name: flat[_places(len(flat), flat.device)].float().cpu() for name, flat in flattened}
    words = json.dumps(sorted(tokenizer.get_vocab().items()))
    digest = hashlib.sha256(words.encode("utf-8", "surrogatepass")).hexdigest()
    return Fingerprint(weights, str(model.dtype).removeprefix("torch."), digest)


def read(file: Path) -> Fingerprint:
    """Read a fingerprint."""
    with safe_open(file, "pt") as opened:
        said = opened.metadata()
        return Fingerprint({name: opened.get_tensor(name) for name in opened.keys()}, said["dtype"], said["vocabulary"])  # noqa: SIM118


def _places(size: int, device: torch.device) -> Tensor:
    return torch.arange(1, _SAMPLES + 1, device=device) * size // (_SAMPLES + 1)
