"""Batches by examples: so many together, shared evenly by the processes that train together."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from seqgpt.training.epoch_set import EpochSet


class ExampleBatches(Sampler[list[int]]):
    """Examples in their order, in batches of as many, cut into shares that the processes take in turn.

    The shares of a batch together are what one process would read at once. The last batch of an epoch may be smaller;
    if it has fewer examples than there are processes, some shares are empty. No example comes twice.
    """

    def __init__(self, examples: EpochSet, *, size: int, processes: int = 1, drop_last: bool = False) -> None:
        """Count the batches.

        Args:
            examples: The examples.
            size: Examples of a whole share.
            processes: How many processes share each batch.
            drop_last: Leave out a last batch that would be smaller.
        """
        super().__init__()
        self._examples, self._together, self._processes = examples, size * processes, processes
        whole, rest = divmod(len(examples), self._together)
        self._batches = whole + (rest > 0 and not drop_last)

    def __len__(self) -> int:
        return self._batches * self._processes

    def __iter__(self) -> Iterator[list[int]]:
        order = self._examples.order(self._examples.epoch)
        for start in range(0, self._batches * self._together, self._together):
            yield from (
                share.tolist() for share in np.array_split(order[start : start + self._together], self._processes)
            )
