"""Whether a row that a kernel computes at once gives the logits and gradients of padded rows under a mask.

Gradients are compared, too: they come from a kernel of their own. Those of the embeddings have passed through the
attention of every layer, and those of the weights need not be kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedModel

from seqgpt.engine.tree import PADDING, Tree, TreeBatch

Laid = tuple[TreeBatch, dict[str, Any]]
"""Trees as they are laid out, and the model's arguments for them."""

_LONGEST = 150  # more than a tile, so that tokens see some of another, and all that lies between is hidden
_LONGEST_REASON = 100  # letters of what an error says


def why_no_kernel(
    model: PreTrainedModel,
    run: Callable[[dict[str, Any], Tensor], Tensor],
    lay_out: Callable[[Sequence[Tree]], tuple[Laid, Laid]],
    tolerance: float,
) -> str:
    """Find out why a model is not trained in rows that a kernel computes; an empty string if it can be.

    Its weights, its mode and random numbers stay as they are.

    Args:
        model: The model.
        run: Computes its logits [N, V] of arguments, where [B, T] is True.
        lay_out: Lays trees out in padded rows, and in a row for the kernel.
        tolerance: How far one may be off the other, where its largest number is one.
    """
    architecture = model.config.model_type
    off: list[float] = []
    was_training = model.training
    try:
        trees = _trees(model)
        for some in (trees, trees[-1:]):  # several tiles, and one, for which the kernel is compiled by itself
            model.eval()
            rows, row = lay_out(some)
            off += _differences(model, run, rows, row)
            model.train()
            others = [] if model.device.type == "cpu" else [model.device]
            with torch.random.fork_rng(others, device_type=model.device.type), torch.enable_grad():  # dropout draws
                run(row[1], row[0].node != PADDING)
    except Exception as error:  # kernels are compiled here, by tools that raise errors of their own
        said = next(iter(str(error).splitlines()), "")
        return f"{architecture} does not take rows of one kernel ({type(error).__name__}: {said[:_LONGEST_REASON]})"
    finally:
        model.train(was_training)
    wrong = [one for one in off if not one <= tolerance]  # what is no number is wrong
    if wrong:
        return f"{architecture} computes rows of one kernel differently from padded rows (by {wrong[0]:.1g})"
    return ""


def _trees(model: PreTrainedModel) -> list[Tree]:
    """Return trees whose row takes several tiles, two of which share a stem; the last one takes one tile."""
    vocabulary = cast(Tensor, model.get_input_embeddings().weight).shape[0]
    positions = getattr(model.config, "max_position_embeddings", None) or 2 * _LONGEST
    ids = [(7 * i + 3) % vocabulary for i in range(min(_LONGEST, positions // 2))]
    third = len(ids) // 3
    return [
        Tree(ids, [ids[5:8], ids[8:10]]),
        Tree([*ids[:-third], *ids[:third]], [ids[5:8], ids[2:4], ids[9:10]]),
        Tree(ids[::-1], [ids[5:8], ids[7:10]]),
        Tree(ids[:5], [ids[5:8], ids[8:11]]),
    ]


def _differences(
    model: PreTrainedModel, run: Callable[[dict[str, Any], Tensor], Tensor], rows: Laid, row: Laid
) -> tuple[float, float]:
    """Return how far logits and gradients of the row are off those of padded rows; tokens have the same order."""
    (logits, gradient), (found, found_gradient) = (_learn(model, run, *one) for one in (rows, row))
    return _off(found, logits, 1.0), _off(found_gradient, gradient, torch.finfo(gradient.dtype).tiny)


@torch.enable_grad()
def _learn(
    model: PreTrainedModel,
    run: Callable[[dict[str, Any], Tensor], Tensor],
    batch: TreeBatch,
    arguments: dict[str, Any],
) -> tuple[Tensor, Tensor]:
    """Return the logits at the branches, [N, V], and the gradients of the embeddings of all tokens, [T, D]."""
    embedded = model.get_input_embeddings()(arguments["input_ids"]).detach().requires_grad_()
    others = {name: value for name, value in arguments.items() if name != "input_ids"}
    logits = run({**others, "inputs_embeds": embedded}, batch.node != batch.root).float()
    (gradient,) = torch.autograd.grad(logits.square().sum() / len(logits), embedded)
    return logits.detach(), gradient[(batch.node != PADDING).to(gradient.device)].float()


def _off(one: Tensor, other: Tensor, least: float) -> float:
    return float((one - other).abs().max() / other.abs().max().clamp(min=least))
