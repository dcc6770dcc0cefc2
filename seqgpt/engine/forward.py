"""Running a causal language model over trees, whatever its architecture.

``"tree"`` passes a 4-D mask and explicit positions; most architectures compute it exactly. ``"rows"`` gives every
branch a row of its own with its prompt, padded on the left under an ordinary 2-D mask, as every batched generation
does. Which one a loaded model gets is decided by a self-test, so an unknown architecture is slower, or refused, but
never wrong.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Literal, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from transformers import DynamicCache, PreTrainedModel

from seqgpt.engine import blocks, flex
from seqgpt.engine.alibi import add_biases, take_biases
from seqgpt.engine.flex_check import Laid, why_no_kernel
from seqgpt.engine.int8 import is_quantized
from seqgpt.engine.tree import PADDING, Tree, TreeBatch, additive, join_rows, lay_out, visible
from seqgpt.errors import ModelError

Layout = Literal["tree", "rows"]
Packing = Literal["blocks", "flex"]

# Both layouts are compared with plain rows, which sum in another order: equal to rounding. Well above fp32 noise (2e-7
# relative) and far below a wrong mask.
_SELF_TEST_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8, torch.bfloat16: 0.15, torch.float16: 0.02}
_SELF_TEST_TOLERANCE_INT8 = 0.15
_HEAD_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-8}  # the same product twice: less exact types agree as well
_TESTED = ("llama", "qwen2", "qwen3", "gpt2", "gpt_neox", "bloom")  # compared in our tests, over any distance
_FILLER = 600  # tokens between the prompts and branches of other architectures, which may look at columns


class TreeForward:
    """Computes logits of trees with a causal language model.

    Attributes:
        model: The model.
        layout: ``"tree"`` or ``"rows"``.
        note: Why the layout is not ``"tree"``; empty if it is.
        packing: How :meth:`pack` lays batches of training out in one row: ``"blocks"``, computed one by one, or
            ``"flex"``, computed by one kernel. None chooses by the device: blocks on a CPU, the kernel elsewhere.
        packs: Batches of training are laid out so.
        whole: What is called in place of the model, if its weights are shared out among processes (FSDP2): only a call
            of all of it brings them together. None if the model has them.

    Raises:
        ModelError: If the model computes neither layout right.
    """

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        parameters = inspect.signature(model.forward).parameters
        self._takes_positions = "position_ids" in parameters
        self._slopes = take_biases(model)
        self._selects_logits = "logits_to_keep" in parameters
        self._head = model.get_output_embeddings()
        self._has_plain_head = self._head_is_plain()
        self.layout: Layout = "tree"
        self.note = ""
        self.packing: Packing | None = None
        self.packs = False
        self._why_unpacked: str | None = None  # not tried yet
        self.whole: nn.Module | None = None
        reason = self._why_no_trees()
        if reason:
            self.layout, self.note = "rows", f"{reason}; each label is computed in a row of its own, which is slower."
            reason = self._self_test("padded rows", self._stepped_logits)
            if reason:
                raise ModelError(f"{reason}, so it cannot be used here: choose another architecture.")

    @property
    def masks_of_a_row(self) -> int:
        """Number of masks that each row of trees needs: one, or one for each head where they hold biases."""
        return 1 if self._slopes is None else len(self._slopes)

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return self.model.device

    def batch(
        self, trees: Sequence[Tree], *, row_tokens: int = 0, share_stems: bool = False, fill: bool = True
    ) -> TreeBatch:
        """Lay trees out as the layout wants them; in ``"rows"`` each branch becomes a tree of its own, in order."""
        if self.layout == "rows":
            batch = lay_out([single for tree in trees for single in tree.split()], pad_left=True)
            rows = iter(batch.places)
            batch.places = [[place for _ in tree.branches for place in next(rows)] for tree in trees]
            return batch
        return lay_out(trees, row_tokens=row_tokens, share_stems=share_stems, fill=fill)

    def pack(self) -> str:
        """Lay batches of training out in one row without padding from now on, if the model computes that exactly.

        Returns:
            Why it does not; an empty string if it does.
        """
        if self.packs:
            return ""
        self._why_unpacked = self._try_packing()
        return self._why_unpacked

    def _try_packing(self) -> str:
        before = self.model.config._attn_implementation
        if self.layout == "rows":
            return f"{self.model.config.model_type} computes no trees"
        if before != "sdpa":
            return f"{self.model.config.model_type} computes attention by {before}, not by exchangeable functions"
        by_kernel = self._packing == "flex"
        self.model.set_attn_implementation(flex.ATTENTION if by_kernel else blocks.ATTENTION)
        self.packs = True
        reason = self._kernel_test() if by_kernel else self._self_test("blocks", self._packed_logits)
        if reason:
            self.unpack()
        return reason

    @property
    def _packing(self) -> Packing:
        return self.packing or ("blocks" if self.device.type == "cpu" else "flex")

    def find_training_layout(self) -> tuple[Layout | Packing, str]:
        """Find out how batches of training are laid out, in one row or as all batches are, and why not in one row."""
        if self.packs:
            return self._packing, ""
        why = self._why_unpacked
        if self.whole is None:
            why = self.pack()
            self.unpack()
        elif why is None:
            why = "weights are shared out among processes, which would all have to try"
        return (self.layout, why) if why else (self._packing, "")

    def unpack(self) -> None:
        """Compute attention again by transformers' own function."""
        if self.packs:
            self.packs = False
            self.model.set_attn_implementation("sdpa")

    def training_batch(self, trees: Sequence[Tree], row_tokens: int) -> TreeBatch:
        """Lay trees out to train on them: prompts share their stems, and rows are joined if the model packs."""
        return self.packed(self.batch(trees, row_tokens=row_tokens, share_stems=True, fill=not self.packs))

    def packed(self, batch: TreeBatch) -> TreeBatch:
        """Return a batch as the model packs it: its rows joined to one, or as it is."""
        if not self.packs:
            return batch
        return join_rows(batch, multiple_of=flex.TILE if self._packing == "flex" else 1)

    @contextmanager
    def only(self, tokens: Tensor) -> Iterator[bool]:
        """Let the model compute the logits of some tokens alone, wherever it is called from.

        Those of all are a large part of a small model, and of the memory of one with a large vocabulary.

        Args:
            tokens: [U] the tokens, on the model's device.

        Yields:
            Whether it does, which takes plain output embeddings: else logits are of the whole vocabulary.
        """
        if not self._has_plain_head:
            yield False
            return
        head = self._head
        head.forward = lambda hidden: linear(hidden, head.weight[tokens])
        try:
            yield True
        finally:
            del head.forward

    def start(self, batch: TreeBatch, keep: Tensor, tokens: Tensor | None = None) -> tuple[Tensor, Stepper]:
        """Run the first pass.

        Args:
            batch: The trees.
            keep: [B, T] True at the N positions whose logits are wanted.
            tokens: [U] the tokens whose logits are wanted; all of the vocabulary if None.

        Returns:
            Logits [N, U] in row-major order of the positions, and the state with which the branches go on.
        """
        stepper = Stepper(self, batch)
        return stepper.run(batch.input_ids, batch.position_ids, batch.node, [batch.root], keep, tokens), stepper

    def inputs(self, batch: TreeBatch) -> dict[str, Any]:
        """Return the model's arguments for a whole batch, on its device."""
        ids, positions, node = batch.input_ids, batch.position_ids, batch.node
        if batch.blocks:
            arguments = {
                "input_ids": ids.to(self.device),
                "position_ids": positions.to(self.device),
                "attention_mask": torch.zeros(1, 1, 1, 1, device=self.device),  # or transformers would make a large one
            }
            if self._packing == "flex":
                return {**arguments, "tree_mask": flex.mask_of(batch, self.device)}
            return {**arguments, "tree_masks": blocks.masks_of(batch, self.model.dtype, self.device)}
        return self.arguments(ids, positions, node, [batch.root, batch.stem], node, positions)

    def arguments(
        self,
        ids: Tensor,
        positions: Tensor,
        node: Tensor,
        ancestors: Sequence[Tensor],
        key_node: Tensor,
        key_positions: Tensor,
    ) -> dict[str, Any]:
        """Return the model's arguments for tokens [B, Q] that follow others, on its device.

        Args:
            ids: [B, Q] token ids.
            positions: [B, Q] positions.
            node: [B, Q] nodes of the tokens.
            ancestors: Each [B, Q]: nodes that the tokens see beside their own, the prompt's first.
            key_node: [B, K] nodes of all tokens so far, these last.
            key_positions: [B, K] their positions.
        """
        if self.layout == "tree":
            first = key_node.shape[1] - ids.shape[1]
            mask = additive(visible(node, ancestors, key_node, first), self.model.dtype)
            if self._slopes is not None:
                mask = add_biases(mask, self._slopes, key_positions)
        else:
            mask = (key_node != PADDING).long()
        arguments = {"input_ids": ids.to(self.device), "attention_mask": mask.to(self.device)}
        if self._takes_positions:
            arguments["position_ids"] = positions.to(self.device)
        return arguments

    def run(self, arguments: dict[str, Any], keep: Tensor, tokens: Tensor | None = None, **options: Any) -> Tensor:
        """Call the model and return the logits [N, U] of ``tokens`` where ``keep`` [B, Q] is True; of all, if None."""
        keep = keep.to(self.device)
        if tokens is not None and self._has_plain_head and self.whole is None:
            hidden = self.model.base_model(**arguments, **options).last_hidden_state[keep]
            return linear(hidden, self._head.weight[tokens.to(self.device)])
        if tokens is not None:
            return self.run(arguments, keep, **options)[:, tokens.to(self.device)]
        if self._selects_logits:
            options["logits_to_keep"] = keep
        model = self.model if self.whole is None else self.whole
        logits: Tensor = model(**arguments, **options).logits
        return logits if logits.dim() == 2 else logits[keep]

    @torch.no_grad()
    def _head_is_plain(self) -> bool:
        """Tell whether logits are a product of the last hidden state and the output embeddings, and nothing more.

        Then those of a few tokens cost little: vocabularies have ten to two hundred thousand.
        """
        if not isinstance(self._head, nn.Linear) or self._head.bias is not None:
            return False
        was_training = self.model.training
        self.model.eval()
        try:
            ids = torch.arange(8, device=self.device)[None]
            arguments = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "use_cache": False}
            expected = self.model(**arguments).logits
            hidden = self.model.base_model(**arguments).last_hidden_state
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError):
            return False  # the self-test will say what is wrong
        finally:
            self.model.train(was_training)
        off = float((expected - linear(hidden, self._head.weight)).abs().max() / expected.abs().max().clamp(min=1.0))
        return off <= _HEAD_TOLERANCE.get(self.model.dtype, 1e-2)

    @property
    def _tolerance(self) -> float:
        if is_quantized(self.model):
            return _SELF_TEST_TOLERANCE_INT8
        kind = self.device.type
        number = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else self.model.dtype
        return _SELF_TEST_TOLERANCE.get(number, 1e-2)

    def _why_no_trees(self) -> str:
        """Return what keeps the model from computing trees, or an empty string."""
        architecture = self.model.config.model_type
        if not self._takes_positions and self._slopes is None:
            return f"{architecture} takes no positions"
        # Which tokens are in the window depends on their distance, and columns of a tree are no distances.
        windows = any(getattr(layer, "is_sliding", False) for layer in DynamicCache(config=self.model.config).layers)
        if windows or "local" in getattr(self.model.config, "attention_layers", ()):  # as GPT-Neo has it
            return f"{architecture} attends to a window of tokens only"
        return self._self_test("trees", self._stepped_logits)

    @torch.no_grad()
    def _self_test(self, what: str, compute: Callable[[Sequence[Tree]], Tensor]) -> str:
        """Compare two trees as they are computed here with plain rows; return what is wrong, or an empty string."""
        architecture = self.model.config.model_type
        vocabulary = embedding_rows(self.model)
        ids = [(7 * i + 3) % vocabulary for i in range(12)]
        between = (
            0 if architecture in _TESTED else min(_FILLER, getattr(self.model.config, "max_position_embeddings", 0))
        )
        filler = [ids[5:8]] * (between // 3)  # branches, so that what is compared stands far from its prompt
        # As many branches in both, all of one length: so their logits are a rectangle.
        trees = [Tree(ids[:5], [*filler, ids[5:8], ids[8:11]]), Tree(ids[4:7], [*filler, ids[7:10], ids[9:12]])]
        was_training = self.model.training
        self.model.eval()
        try:
            plain, found = self._plain_logits(trees), compute(trees)
        except (RuntimeError, ValueError, TypeError, AttributeError, IndexError) as error:
            return f"{architecture} does not take {what} ({type(error).__name__})"
        finally:
            self.model.train(was_training)
        off = float((plain - found).abs().max() / plain.abs().max().clamp(min=1.0))
        if off <= self._tolerance:
            return ""
        return f"{architecture} computes {what} differently from plain rows (by {off:.1g})"

    def _kernel_test(self) -> str:
        """Compare a row that a kernel computes at once with padded rows; return what is wrong, or an empty string."""

        def both_ways(trees: Sequence[Tree]) -> tuple[Laid, Laid]:
            rows = self.batch(trees, share_stems=True)
            row = self.packed(rows)
            return (rows, self.inputs(rows)), (row, self.inputs(row))

        return why_no_kernel(self.model, partial(self.run, use_cache=False), both_ways, self._tolerance)

    def _plain_logits(self, trees: Sequence[Tree]) -> Tensor:
        """Return the logits after each branch token as the model computes them by itself: no mask, no padding."""
        logits = [
            self.model(
                input_ids=torch.tensor([[*tree.prompt, *branch] for branch in tree.branches], device=self.device)
            )
            .logits[:, len(tree.prompt) :]
            .flatten(0, 1)
            for tree in trees
        ]
        return torch.cat(logits).float()

    def _stepped_logits(self, trees: Sequence[Tree]) -> Tensor:
        """Return the same logits in this layout: all but the last token of each branch in one pass, then those."""
        batch = self.batch([Tree(tree.prompt, [branch[:-1] for branch in tree.branches]) for tree in trees])
        first, stepper = self.start(batch, batch.node != batch.root)
        places = [place for tree_places in batch.places for place in tree_places]
        spots = [place.row for place in places], [place.branch for place in places]
        tokens = torch.tensor([branch[-1] for tree in trees for branch in tree.branches])
        positions = torch.tensor([len(tree.prompt) + len(branch) - 1 for tree in trees for branch in tree.branches])
        shape = (len(batch.node), -1)
        node, root = batch.node[spots].view(shape), batch.root[spots].view(shape)
        last = stepper.run(tokens.view(shape), positions.view(shape), node, [root], torch.ones_like(node).bool())
        branches = first.view(len(places), -1, first.shape[-1])
        return torch.cat([branches, last[:, None]], dim=1).flatten(0, 1).float()

    def _packed_logits(self, trees: Sequence[Tree]) -> Tensor:
        """Return the same logits of batches of training, in which a block holds both trees, and one of them alone."""
        batch = self.training_batch([*trees, trees[0]], row_tokens=sum(map(len, trees)))
        logits = self.model(**self.inputs(batch), use_cache=False).logits[0]
        found = [
            logits[place.branch : place.branch + len(branch)]
            for tree, places in zip(trees, batch.places, strict=False)
            for branch, place in zip(tree.branches, places, strict=True)
        ]
        return torch.cat(found).float()


def embedding_rows(model: PreTrainedModel) -> int:
    """Return the number of token ids that a model has embeddings for."""
    return cast(Tensor, model.get_input_embeddings().weight).shape[0]


class Continuation(NamedTuple):
    """Tokens that follow others in a batch.

    Attributes:
        row: Their row.
        node: Their node.
        ancestors: The nodes that they see beside their own, the prompt's first; all continuations have as many.
        position: Position of the first of them.
        tokens: Their ids, at least one.
        wanted: Behind so many of them, the last ones, logits are wanted.
    """

    row: int
    node: int
    ancestors: tuple[int, ...]
    position: int
    tokens: Sequence[int]
    wanted: int = 1


class Stepper:
    """Continues the branches of a batch token by token, with the keys of all earlier tokens kept.

    Attributes:
        layout: How the branches are laid out.
    """

    def __init__(self, forward: TreeForward, batch: TreeBatch) -> None:
        self.layout = forward.layout
        self._forward = forward
        self._cache = DynamicCache(config=forward.model.config)
        self._key_node = batch.node[:, :0]
        self._key_positions = batch.position_ids[:, :0]
        self._next_node = (batch.node.amax(dim=1) + 1).tolist()

    @property
    def device(self) -> torch.device:
        """The device of the model."""
        return self._forward.device

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self._key_node)

    def new_node(self, row: int) -> int:
        """Return the number of a node that no token of a row belongs to yet."""
        self._next_node[row] += 1
        return int(self._next_node[row] - 1)

    def select(self, rows: Sequence[int]) -> None:
        """Go on with these rows only, in this order; a row that is named twice goes on in two ways."""
        chosen = torch.tensor(rows)
        self._key_node = self._key_node[chosen]
        self._key_positions = self._key_positions[chosen]
        self._next_node = [self._next_node[row] for row in rows]
        self._cache.batch_select_indices(chosen.to(self._forward.device))

    def feed(self, continuations: Sequence[Continuation], tokens: Tensor) -> Tensor:
        """Read tokens in several places at once; in layout ``"rows"`` each in a row of its own.

        Returns:
            Logits [N, U] of ``tokens``, in the order of the continuations, behind all that is wanted of each.
        """
        columns = [0] * self.rows
        begins = []
        for one in continuations:
            begins.append(columns[one.row])
            columns[one.row] += len(one.tokens)
        ids, positions, node = torch.full((3, self.rows, max(columns)), PADDING)
        ancestors = torch.full((len(continuations[0].ancestors), *ids.shape), PADDING)
        for one, begin in zip(continuations, begins, strict=True):
            cells = one.row, slice(begin, begin + len(one.tokens))
            ids[cells] = torch.tensor(one.tokens)
            positions[cells] = torch.arange(one.position, one.position + len(one.tokens))
            node[cells] = one.node
            ancestors[:, *cells] = torch.tensor(one.ancestors)[:, None]
        wanted = [
            (one.row, begin + i)
            for one, begin in zip(continuations, begins, strict=True)
            for i in range(len(one.tokens) - one.wanted, len(one.tokens))
        ]
        spots = tuple(torch.tensor(wanted).T)
        keep = torch.zeros_like(ids, dtype=torch.bool)
        keep[spots] = True
        logits = self.run(ids.clamp(min=0), positions.clamp(min=0), node, list(ancestors), keep, tokens)
        order = (spots[0] * ids.shape[1] + spots[1]).argsort().argsort()  # logits come in row-major order
        return logits[order.to(logits.device)]

    @torch.no_grad()
    def run(
        self,
        ids: Tensor,
        positions: Tensor,
        node: Tensor,
        ancestors: Sequence[Tensor],
        keep: Tensor,
        tokens: Tensor | None = None,
    ) -> Tensor:
        """Feed Q tokens a row, each to its node; return logits [N, U] as :meth:`TreeForward.start` does."""
        self._key_node = torch.cat([self._key_node, node], dim=1)
        self._key_positions = torch.cat([self._key_positions, positions], dim=1)
        arguments = self._forward.arguments(ids, positions, node, ancestors, self._key_node, self._key_positions)
        return self._forward.run(arguments, keep, tokens, past_key_values=self._cache, use_cache=True)
