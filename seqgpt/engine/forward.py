"""Running a causal language model over trees, whatever its architecture.

``"tree"`` passes a 4-D mask and explicit positions; most architectures compute it exactly. ``"rows"`` gives every branch
a row of its own with its prompt, under an ordinary 2-D mask; every architecture computes that. Which one a loaded model
gets is decided by a self-test, so an unknown architecture is slower but never wrong.
"""

from __future__ import annotations

import inspect
from typing import Any, Literal, cast

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

from seqgpt.engine.tree import PADDING, Tree, TreeBatch, additive, lay_out, visible
from seqgpt.errors import ModelError

Layout = Literal["tree", "rows"]

# Tree and rows sum in another order: equal to rounding. Well above fp32 noise (2e-7 relative) and far below a wrong mask.
_SELF_TEST_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8, torch.bfloat16: 0.15, torch.float16: 0.02}


class TreeForward:
    """Computes logits of trees with a causal language model.

    Attributes:
        layout: ``"tree"`` or ``"rows"``.
        note: Why the layout is not ``"tree"``; empty if it is.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self._takes_positions = "position_ids" in inspect.signature(model.forward).parameters
        self.layout: Layout = "tree"
        self.note = ""
        reason = self._self_test()
        if reason:
            self.layout, self.note = "rows", f"{reason}; each label is computed in a row of its own, which is slower."

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return self.model.device

    def batch(self, trees: list[Tree], *, row_tokens: int = 0) -> TreeBatch:
        """Lay trees out as the layout wants them; in ``"rows"`` each branch becomes a tree of its own, in order."""
        if self.layout == "rows":
            batch = lay_out([single for tree in trees for single in tree.split()])
            rows = iter(batch.places)
            batch.places = [[place for _ in tree.branches for place in next(rows)] for tree in trees]
            return batch
        return lay_out(trees, row_tokens=row_tokens)

    def start(self, batch: TreeBatch, keep: Tensor) -> tuple[Tensor, Stepper]:
        """Run the first pass.

        Args:
            batch: The trees.
            keep: [B, T] True at the N positions whose logits are wanted.

        Returns:
            Logits [N, V] in row-major order, and the state with which the branches go on.
        """
        stepper = Stepper(self, batch)
        return stepper.run(batch.input_ids, batch.position_ids, batch.node, batch.root, keep), stepper

    def logits(self, batch: TreeBatch, keep: Tensor) -> Tensor:
        """Return the logits [N, V] at the positions of ``keep`` [B, T], without keeping any state."""
        inputs = self.inputs(batch)
        return cast(Tensor, self.model(**inputs, logits_to_keep=keep.to(self.device), use_cache=False).logits)

    def inputs(self, batch: TreeBatch) -> dict[str, Any]:
        """Return the model's arguments for a whole batch, on its device."""
        return self._arguments(batch.input_ids, batch.position_ids, batch.node, batch.root, batch.node)

    def _arguments(self, ids: Tensor, positions: Tensor, node: Tensor, root: Tensor, keys: Tensor) -> dict[str, Any]:
        if self.layout == "tree":
            mask = additive(visible(node, root, keys, keys.shape[1] - ids.shape[1]), self.model.dtype)
        else:
            mask = (keys != PADDING).long()
        arguments = {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device)}
        if self._takes_positions:
            arguments["position_ids"] = positions.to(self.device)
        return arguments

    @torch.no_grad()
    def _self_test(self) -> str:
        """Compare a tree with its plain rows; return what is wrong, or an empty string."""
        if not self._takes_positions:
            return f"{self.model.config.model_type} takes no positions"
        vocabulary = int(self.model.config.vocab_size)
        ids = [(7 * i + 3) % vocabulary for i in range(11)]
        tree = Tree(ids[:5], [ids[5:7], ids[7:10], ids[10:]])
        was_training = self.model.training
        self.model.eval()
        try:
            packed, single = lay_out([tree]), lay_out(tree.split())
            whole = self.logits(packed, packed.node > 0)
            self.layout = "rows"
            rows = self.logits(single, single.node > 0)
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
            return f"{self.model.config.model_type} does not take a tree mask ({type(error).__name__})"
        finally:
            self.layout = "tree"
            self.model.train(was_training)
        scale = rows.abs().max().clamp(min=1.0)
        off = float(((whole - rows).abs().max() / scale).float())
        if off <= _SELF_TEST_TOLERANCE.get(whole.dtype, 1e-2):
            return ""
        return f"{self.model.config.model_type} computes trees differently from rows (by {off:.1g})"


class Stepper:
    """Continues the branches of a batch token by token, with the keys of all earlier tokens kept.

    Attributes:
        batch: The trees.
    """

    def __init__(self, forward: TreeForward, batch: TreeBatch) -> None:
        self.batch = batch
        self._forward = forward
        self._cache = DynamicCache(config=forward.model.config)
        self._keys = batch.node[:, :0]

    @torch.no_grad()
    def run(self, ids: Tensor, positions: Tensor, node: Tensor, root: Tensor, keep: Tensor) -> Tensor:
        """Feed Q tokens a row, each to its node, and return the logits [N, V] where ``keep`` [B, Q] is True."""
        self._keys = torch.cat([self._keys, node], dim=1)
        arguments = self._forward._arguments(ids, positions, node, root, self._keys)
        output = self._forward.model(
            **arguments, past_key_values=self._cache, use_cache=True, logits_to_keep=keep.to(self._forward.device)
        )
        if output.logits.dim() != 2:
            raise ModelError(f"{self._forward.model.config.model_type} ignores logits_to_keep: update transformers.")
        return cast(Tensor, output.logits)
