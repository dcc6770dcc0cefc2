"""Batches by examples: the shares of several processes together are what one process reads."""

from hypothesis import given
from hypothesis import strategies as st

from seqgpt.training.example_batches import ExampleBatches
from tests.strategies import quick
from tests.training.test_token_batches import Sized


@quick
@given(count=st.integers(1, 40), size=st.integers(1, 5), processes=st.integers(1, 4), drop_last=st.booleans())
def test_shares_are_those_of_one_process(count, size, processes, drop_last):
    examples = Sized([1] * count)
    shared = ExampleBatches(examples, size=size, processes=processes, drop_last=drop_last)
    one = ExampleBatches(examples, size=size * processes, drop_last=drop_last)
    for epoch in range(2):
        examples.set_epoch(epoch)
        shares, whole = list(shared), list(one)
        assert (len(shares), len(whole)) == (len(shared), len(one))
        steps = [shares[start : start + processes] for start in range(0, len(shares), processes)]
        assert [[index for share in step for index in share] for step in steps] == whole
        assert all(max(map(len, step)) - min(map(len, step)) <= 1 for step in steps)
        read = [index for batch in whole for index in batch]
        left_out = count % (size * processes) if drop_last else 0
        assert read == examples.order(epoch)[: count - left_out].tolist()
