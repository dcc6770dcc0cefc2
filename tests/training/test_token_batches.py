"""Batches by tokens: every example once, no batch above its budget, as many batches in every epoch."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from seqgpt.errors import DataError
from seqgpt.training.epoch_set import EpochSet
from seqgpt.training.token_batches import TokenBatches
from tests.strategies import quick


class Sized(EpochSet):
    """Examples of which nothing is known but their sizes."""

    def __init__(self, sizes):
        super().__init__()
        self._sizes = np.array(sizes)

    def __len__(self):
        return len(self._sizes)

    def describe(self):
        return []

    def order(self, epoch):
        return np.random.default_rng(epoch).permutation(len(self))

    def texts(self, epoch):
        return np.arange(len(self), dtype=np.uint64)

    def sizes(self, epoch):
        return self._sizes


@quick
@given(
    sizes=st.lists(st.integers(1, 60), min_size=8, max_size=40),
    budget=st.integers(20, 100),
    epochs=st.integers(1, 4),
    processes=st.integers(1, 4),
)
def test_every_example_comes_once_within_the_budget(sizes, budget, epochs, processes):
    examples, sizes = Sized(sizes), np.array(sizes)
    try:
        batches = TokenBatches(examples, budget=budget, epochs=epochs, processes=processes)
    except DataError:
        assume(False)  # hardly two examples fit into a batch
    for epoch in range(epochs):
        examples.set_epoch(epoch)
        drawn = list(batches)
        assert len(drawn) == len(batches)
        assert len(drawn) % processes == 0
        assert [index for batch in drawn for index in batch] == examples.order(epoch).tolist()
        assert all(batch and (sizes[batch].sum() <= budget or len(batch) == 1) for batch in drawn)
        assert list(batches) == drawn


def test_a_batch_is_as_full_as_it_can_be():
    assert [len(batch) for batch in TokenBatches(Sized([10] * 6), budget=29, epochs=2)] == [2, 2, 2]


def test_fewer_examples_than_processes():
    with pytest.raises(DataError, match="2 examples in batches of 9 tokens cannot be shared evenly by 4 processes"):
        TokenBatches(Sized([1, 1]), budget=9, epochs=1, processes=4)
