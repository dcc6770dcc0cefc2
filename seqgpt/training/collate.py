"""Encoded examples as one batch of tensors, with logits only where something is said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from seqgpt.engine.forward import TreeForward
from seqgpt.training.encode import Encoded, Target

NOT_ALLOWED = -1


def collate(examples: Sequence[Encoded], forward: TreeForward, row_tokens: int) -> dict[str, Any]:
    """Lay examples out in rows, N targets in all.

    Returns:
        ``batch``: the ``TreeBatch``. ``keep`` [B, T]: True where something is said. ``labels`` [N]: what, in row-major
        order of ``keep``. ``allowed`` [N, K]: the tokens that might have been said there, padded with -1; a row of
        only -1 allows all. ``shift_labels``: the labels once more, under the name that tells ``transformers.Trainer``
        to count them all; of ``labels`` alone it would leave out the first, as it does for models that shift them.
    """
    batch = forward.batch([example.tree for example in examples], row_tokens=row_tokens)
    said: dict[tuple[int, int], Target] = {}
    for example, places in zip(examples, batch.places, strict=True):
        prompt_tokens = len(example.tree.prompt)
        for place, targets in zip(places, example.targets, strict=True):
            for target in targets:
                start = place.branch if target.offset >= 0 else place.prompt + prompt_tokens
                said[place.row, start + target.offset] = target
    keep = torch.zeros_like(batch.node, dtype=torch.bool)
    for spot in said:
        keep[spot] = True
    ordered = [said[spot] for spot in sorted(said)]
    width = max((len(target.allowed) for target in ordered), default=0) or 1
    allowed = [[*target.allowed, *[NOT_ALLOWED] * (width - len(target.allowed))] for target in ordered]
    labels = torch.tensor([target.token for target in ordered], dtype=torch.long)
    return {
        "batch": batch,
        "keep": keep,
        "labels": labels,
        "shift_labels": labels,
        "allowed": torch.tensor(allowed, dtype=torch.long),
    }


def answer_loss(logits: Tensor, labels: Tensor, allowed: Tensor) -> Tensor:
    """Return the summed cross-entropy of the labels against the tokens that were allowed.

    Training against the allowed tokens only, rather than the whole vocabulary, learnt extraction about twice as fast in
    a trial that preceded this library; it is what prediction compares.

    Args:
        logits: [N, V].
        labels: [N] token ids.
        allowed: [N, K] token ids, padded with -1; a row of only -1 allows the whole vocabulary.
    """
    logits = logits.float()
    hidden = allowed == NOT_ALLOWED
    chosen = logits.gather(1, allowed.clamp(min=0)).masked_fill(hidden, -torch.inf)
    free = hidden.all(dim=1)
    # A row of minus infinities only would have no gradient but NaN.
    total = chosen.masked_fill(free[:, None], 0.0).logsumexp(dim=1)
    if bool(free.any()):
        total = torch.where(free, logits.logsumexp(dim=1), total)
    return (total - logits.gather(1, labels[:, None]).squeeze(1)).sum()
