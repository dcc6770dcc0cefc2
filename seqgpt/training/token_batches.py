"""Batches by tokens: as many examples as fill a budget, and as many batches in every epoch."""

from __future__ import annotations

import heapq
from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from seqgpt.errors import DataError
from seqgpt.training.epoch_set import EpochSet


class TokenBatches(Sampler[list[int]]):
    """Examples in their order, cut into batches of at most so many tokens.

    A trainer counts on as many batches in every epoch. So epochs that would need fewer than others have their largest
    batches halved. Processes that train together take turns: the number of batches is a multiple of theirs.
    """

    def __init__(self, examples: EpochSet, *, budget: int, epochs: int, processes: int = 1) -> None:
        """Find out how many batches an epoch needs.

        Args:
            examples: The examples. One that is larger than the budget makes a batch by itself.
            budget: Most tokens of a batch.
            epochs: How many epochs there will be.
            processes: How many processes share the batches.

        Raises:
            DataError: If there are so few examples that the processes cannot have as many batches each.
        """
        super().__init__()
        self._examples, self._budget = examples, budget
        batches = max(len(self._cuts(epoch)) for epoch in range(epochs))
        self._number = -(-batches // processes) * processes
        if self._number > len(examples):
            raise DataError(
                f"{len(examples)} examples in batches of {budget} tokens cannot be shared evenly by {processes} "
                "processes: start fewer, or allow more tokens."
            )

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[list[int]]:
        epoch = self._examples.epoch
        order = self._examples.order(epoch)
        cuts = _halve(self._cuts(epoch), self._number)
        yield from (order[start:end].tolist() for start, end in cuts)

    def _cuts(self, epoch: int) -> list[tuple[int, int]]:
        """Return where each batch begins and ends within the order."""
        sums = np.cumsum(self._examples.sizes(epoch)[self._examples.order(epoch)])
        cuts: list[tuple[int, int]] = []
        start, before = 0, 0
        while start < len(sums):
            end = max(int(np.searchsorted(sums, before + self._budget, side="right")), start + 1)
            cuts.append((start, end))
            start, before = end, int(sums[end - 1])
        return cuts


def _halve(cuts: list[tuple[int, int]], number: int) -> list[tuple[int, int]]:
    """Halve those with most examples until there are so many."""
    heap = [(start - end, start, end) for start, end in cuts]
    heapq.heapify(heap)
    while len(heap) < number:
        _, start, end = heapq.heappop(heap)
        middle = (start + end) // 2
        heapq.heappush(heap, (start - middle, start, middle))
        heapq.heappush(heap, (middle - end, middle, end))
    return sorted((start, end) for _, start, end in heap)
