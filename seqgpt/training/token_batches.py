"""Batches by tokens: as many examples as fill a budget, and as many batches in every epoch."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator

import numpy as np
from torch.utils.data import Sampler

from seqgpt.errors import DataError

Order = Callable[[int], np.ndarray]
"""From an epoch to the order in which its examples come; int64 ``[examples]``."""

Sizes = Callable[[int], np.ndarray]
"""From an epoch to the tokens of each example, by its number; int ``[examples]``."""


class TokenBatches(Sampler[list[int]]):
    """Examples in their order, cut into batches of at most so many tokens.

    A trainer counts on as many batches in every epoch. So epochs that would need fewer than others have their largest
    batches halved. Processes that train together take turns: the number of batches is a multiple of theirs.
    """

    def __init__(self, order: Order, sizes: Sizes, *, budget: int, epochs: int, processes: int = 1) -> None:
        """Find out how many batches an epoch needs.

        Args:
            order: The order of the examples.
            sizes: Their tokens. An example that is larger than the budget makes a batch by itself.
            budget: Most tokens of a batch.
            epochs: How many epochs there will be.
            processes: How many processes share the batches.

        Raises:
            DataError: If there are so few examples that the processes cannot have as many batches each.
        """
        super().__init__()
        self._order, self._sizes, self._budget = order, sizes, budget
        self._epoch = 0
        batches = max(len(self._cuts(epoch)) for epoch in range(epochs))
        self._number = -(-batches // processes) * processes
        examples = len(order(0))
        if self._number > examples:
            raise DataError(
                f"{examples} examples in batches of {budget} tokens cannot be shared evenly by {processes} processes: "
                "start fewer, or allow more tokens."
            )

    def set_epoch(self, epoch: int) -> None:
        """Tell which epoch comes."""
        self._epoch = epoch

    def __len__(self) -> int:
        return self._number

    def __iter__(self) -> Iterator[list[int]]:
        order = self._order(self._epoch)
        cuts = _halve(self._cuts(self._epoch), self._number)
        yield from (order[start:end].tolist() for start, end in cuts)

    def _cuts(self, epoch: int) -> list[tuple[int, int]]:
        """Return where each batch begins and ends within the order."""
        sums = np.cumsum(self._sizes(epoch)[self._order(epoch)])
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
