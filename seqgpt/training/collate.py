"""Encoded examples as one batch of tensors, with logits only where something is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils.rnn import pad_sequence

from seqgpt.engine.forward import TreeForward
from seqgpt.engine.tree import PADDING, Tree
from seqgpt.training.encode import Encoded, Target

NO_OPTION = -1
_NOTHING = Encoded(Tree([0], []), ())
"""Read by a process that has no share of a batch: it must run the model when the others do."""


def collate(examples: Sequence[Encoded], forward: TreeForward, row_tokens: int) -> dict[str, Any]:
    """Lay examples out in rows, N targets in all; without examples, a token of which nothing is asked.

    Returns:
        ``batch``: the ``TreeBatch``. ``keep`` [B, T]: True where something is asked. In row-major order of these
        places: ``options`` [N, K], tokens, padded with -1; ``right`` [N, K]: which of them are right; ``one_of`` [N]:
        whether exactly one is; ``weight`` [N]: what each counts; ``source`` [N]: the number of its source in
        ``sources``, a list of names. ``tokens``: how many are read, padding left out. ``labels`` and ``shift_labels``
        [N]: zeros, by which ``transformers.Trainer`` counts the targets; of ``labels`` alone it would leave out the
        first, as it does for models that shift them.
    """
    examples = examples or [_NOTHING]
    batch = forward.training_batch([example.tree for example in examples], row_tokens)
    names = list(dict.fromkeys(example.source for example in examples))
    asked: dict[tuple[int, int], tuple[Target, int]] = {}
    for example, places in zip(examples, batch.places, strict=True):
        source = names.index(example.source)
        for place, targets in zip(places, example.targets, strict=True):
            for target in targets:
                column = place.branch + target.offset if target.offset >= 0 else place.prompt
                asked[place.row, column] = target, source
    keep = torch.zeros_like(batch.node, dtype=torch.bool)
    for spot in asked:
        keep[spot] = True
    ordered = [asked[spot][0] for spot in sorted(asked)]
    options = [torch.tensor(target.options) for target in ordered]
    right = [torch.tensor([token in target.right for token in target.options]) for target in ordered]
    labels = torch.zeros(len(ordered), dtype=torch.long)
    return {
        "batch": batch,
        "keep": keep,
        "options": pad_sequence([*options, labels[:0]], batch_first=True, padding_value=NO_OPTION)[:-1],
        "right": pad_sequence([*right, labels[:0].bool()], batch_first=True)[:-1],
        "one_of": torch.tensor([target.one_of for target in ordered], dtype=torch.bool),
        "weight": torch.tensor([target.weight for target in ordered], dtype=torch.float),
        "source": torch.tensor([asked[spot][1] for spot in sorted(asked)], dtype=torch.long),
        "sources": names,
        "tokens": int((batch.node != PADDING).sum()),
        "labels": labels,
        "shift_labels": labels,
    }


def tokens_of(options: Tensor, none: int) -> tuple[Tensor, Tensor, int]:
    """Return the tokens of which the loss needs logits, [U], and the options and *none* as numbers among these.

    Args:
        options: [N, K] token ids, padded with -1, as the numbers are.
        none: Token id of *none*.
    """
    every = torch.cat([options.flatten(), options.new_tensor([none, NO_OPTION])])
    tokens: Tensor = torch.unique(every)[1:]  # the first is padding
    among = torch.searchsorted(tokens, options).masked_fill(options == NO_OPTION, NO_OPTION)
    return tokens, among, int(torch.searchsorted(tokens, none))


def answer_loss(logits: Tensor, options: Tensor, right: Tensor, one_of: Tensor, weight: Tensor, none: int) -> Tensor:
    """Return the negative log-likelihood of each answer, as prediction reads them: [N].

    Where one of the options is right, it is the cross-entropy among them. Elsewhere each option is right or not by
    itself: the binary cross-entropies of σ(z - z_none), summed. (Predicting all beginnings of spans as a set learnt
    extraction faster than predicting spans one after another in text order: see docs/experiments.md.)

    Args:
        logits: [N, V].
        options: [N, K] token ids, padded with -1.
        right: [N, K] bool.
        one_of: [N] bool.
        weight: [N] what each of them counts.
        none: Token id of *none*.
    """
    padding = options == NO_OPTION
    chosen = logits.gather(1, options.clamp(min=0)).float()
    against_none = chosen - logits[:, none, None].float()
    apart = binary_cross_entropy_with_logits(against_none, right.float(), reduction="none").masked_fill(padding, 0.0)
    among = chosen.masked_fill(padding, -torch.inf).logsumexp(1) - chosen.masked_fill(~right, 0.0).sum(1)
    return weight * torch.where(one_of, among, apart.sum(1))
