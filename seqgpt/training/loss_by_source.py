"""The loss of each source between two logs, beside that of all."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate.utils import gather_object
from torch import Tensor


class LossBySource:
    """Keeps sums of losses by source. Nothing is read from the device before they are taken."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._sums = torch.zeros(0, 2)  # of each source: its losses, and how many they are

    def add(self, losses: Tensor, source: Tensor, names: Sequence[str]) -> None:
        """Count the losses of a batch.

        Args:
            losses: [N].
            source: [N] the number of the source of each.
            names: What the sources are called.
        """
        for name in names:
            self._rows.setdefault(name, len(self._rows))
        new = len(self._rows) - len(self._sums)
        if new or self._sums.device != losses.device:
            self._sums = torch.cat([self._sums.to(losses.device), torch.zeros(new, 2, device=losses.device)])
        row = torch.tensor([self._rows[name] for name in names]).to(losses.device)[source]
        both = torch.stack([losses.detach().float(), torch.ones_like(losses, dtype=torch.float)], dim=1)
        self._sums.index_add_(0, row, both)

    def take(self) -> dict[str, float]:
        """Return the mean loss of each source since the last time, in all processes, by name; and begin anew."""
        mine = [(name, *one) for name, one in zip(self._rows, self._sums.tolist(), strict=True)]
        self._sums = torch.zeros_like(self._sums)
        totals: dict[str, list[float]] = {}
        for name, loss, count in gather_object(mine):
            total = totals.setdefault(name, [0.0, 0.0])
            total[0] += loss
            total[1] += count
        return {name: loss / count for name, (loss, count) in sorted(totals.items()) if count}
