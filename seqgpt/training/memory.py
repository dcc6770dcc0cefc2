"""What a training step needs of memory: of weights it is counted, of a batch measured."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import psutil
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from seqgpt.errors import RunError
from seqgpt.training.arguments import TrainingArguments
from seqgpt.training.optimizer import inner_matrices

if TYPE_CHECKING:
    from seqgpt.training.trainer import Trainer

SMALLER = (
    "lower per_device_train_batch_size or batch_tokens, and raise gradient_accumulation_steps; or set "
    "activation_checkpointing"
)
"""What to do where memory is short."""

_ADAMW = ("adamw_torch", "adamw_torch_fused")


@dataclass(frozen=True)
class Memory:
    """The memory of a training step, in bytes.

    Attributes:
        weights: Of the model; they are there already.
        gradients: Of the weights that are trained.
        optimizer: Of its state; None if the optimizer is none whose state is known here.
        activations: What a batch keeps for its gradients, measured; None if the weights are not on the device yet, for
            they will be shared out.
        tokens: How many tokens that batch has.
        available: What the device has left.
    """

    weights: int
    gradients: int
    optimizer: int | None
    activations: int | None
    tokens: int
    available: int

    @property
    def total(self) -> int:
        """All of it together."""
        return self.weights + self.needed

    @property
    def needed(self) -> int:
        """What a step needs beside the weights."""
        return self.gradients + (self.optimizer or 0) + (self.activations or 0)


def measure_memory(trainer: Trainer, inputs: dict[str, Any]) -> Memory:
    """Find out what a step on a batch needs, by one forward pass. Weights and random numbers stay as they are.

    Raises:
        RunError: If even that pass does not fit.
    """
    model = trainer.seqgpt.learner
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    return Memory(
        weights=_bytes(model.parameters()) + _bytes(model.buffers()),
        gradients=_bytes(trained),
        optimizer=_of_optimizer(cast(TrainingArguments, trainer.args), trained, inner_matrices(trainer.seqgpt.model)),
        activations=_of_activations(trainer, inputs) if _is_placed(trainer) else None,
        tokens=inputs["tokens"],
        available=_available(trainer.args.device),
    )


def _is_placed(trainer: Trainer) -> bool:
    """Tell whether the weights are on the device; only of GPUs does it matter which, and there Trainer sees to it."""
    return trainer.seqgpt.model.device.type == trainer.args.device.type


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def _of_optimizer(args: TrainingArguments, trained: Sequence[Tensor], matrices: Sequence[Tensor]) -> int | None:
    """AdamW keeps two numbers of each weight, Muon one of each of its matrices."""
    if args.optim not in _ADAMW:
        return None
    return 2 * _bytes(trained) - (_bytes(matrices) if args.muon_learning_rate is not None else 0)


def _of_activations(trainer: Trainer, inputs: dict[str, Any]) -> int:
    """Count what the forward pass of a batch keeps for the backward pass, each storage once."""
    model, device = trainer.seqgpt.learner, trainer.args.device
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    kept: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            kept[storage.data_ptr()] = storage.nbytes()  # none is freed, and its place taken, while the loss lives
        return tensor

    was_training = model.training
    model.train()
    if trainer.args.activation_checkpointing:  # which transformers turns on when training begins
        options = dict(cast(Any, trainer.args.activation_checkpointing_kwargs) or {})
        own = {name: options.pop(name) for name in ("every_n_layers", "offload") if name in options}
        cast(Any, model).activation_checkpointing_enable(options or None, **own)
    devices = [device] if device.type == "cuda" else []
    try:
        # In training, accelerate puts the model under autocast; here it is not wrapped yet.
        with torch.random.fork_rng(devices), trainer.accelerator.autocast(), saved_tensors_hooks(keep, _same):
            losses = trainer.answer_losses(model, trainer._prepare_inputs(inputs))
    except torch.OutOfMemoryError as error:
        raise RunError(f"a batch of {inputs['tokens']:,} tokens does not fit into memory: {SMALLER}.") from error
    finally:
        model.train(was_training)
    del losses
    return sum(kept.values())


def _same(tensor: Tensor) -> Tensor:
    return tensor


def _available(device: torch.device) -> int:
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(psutil.virtual_memory().available)
