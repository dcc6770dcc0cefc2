"""How examples are shared among sources: bounds and sums that hold for any sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.data import allocation
from tests.strategies import quick

trees = st.dictionaries(
    st.tuples(st.sampled_from(["en", "zh"]), st.sampled_from("abc"), st.sampled_from("uvwxyz")),
    st.integers(1, 3000),
    min_size=1,
    max_size=20,
)


@quick
@given(sizes=trees, budget=st.integers(0, 20_000), epochs=st.sampled_from([1, 2, 2.5]))
def test_unimax_gives_no_more_than_its_bounds_and_all_that_it_can(sizes, budget, epochs):
    counts = allocation.unimax(sizes, budget, epochs)
    most = {path: int(size * epochs) for path, size in sizes.items()}
    assert set(counts) == set(sizes)
    assert all(0 <= counts[path] <= most[path] for path in sizes)
    total = sum(counts.values())
    assert total <= budget
    assert total >= min(budget, sum(most.values())) - len(sizes)  # what cannot be shared evenly


@quick
@given(sizes=trees, budget=st.integers(100, 20_000))
def test_unimax_is_even_on_every_level_where_sizes_allow(sizes, budget):
    counts = allocation.unimax(sizes, budget, 2)
    for depth in (1, 2, 3):
        groups: dict = {}
        for path, count in counts.items():
            group = groups.setdefault(path[: depth - 1], {}).setdefault(path[:depth], [0, 0])
            group[0] += count
            group[1] += 2 * sizes[path]
        for branches in groups.values():
            unbounded = [count for count, most in branches.values() if count < most - len(sizes)]
            for count, most in branches.values():
                if unbounded:  # who has less than another has given all that it may
                    assert count >= max(unbounded) - len(sizes) or count >= most - len(sizes)


@quick
@given(sizes=trees, budget=st.integers(0, 20_000))
def test_the_other_methods_give_the_whole_budget(sizes, budget):
    for counts in (
        allocation.proportional(sizes, budget),
        allocation.with_temperature(sizes, budget, 3),
        allocation.capped(sizes, budget, 500),
    ):
        assert sum(counts.values()) == budget
        assert all(count >= 0 for count in counts.values())


def test_what_the_methods_prefer():
    sizes = {("a",): 100, ("b",): 900}
    assert allocation.proportional(sizes, 100) == {("a",): 10, ("b",): 90}
    assert allocation.capped(sizes, 100, 100) == {("a",): 50, ("b",): 50}
    assert allocation.with_temperature(sizes, 100, 1) == allocation.proportional(sizes, 100)
    assert allocation.with_temperature(sizes, 100, 2) == {("a",): 25, ("b",): 75}
    assert allocation.unimax(sizes, 100, 2) == {("a",): 50, ("b",): 50}
    assert allocation.unimax(sizes, 1000, 2) == {("a",): 200, ("b",): 800}


def test_unimax_of_the_paper():
    """Three languages of 10, 100 and 1000, budget 300, at most 4 epochs: 40, then half of what is left each."""
    sizes = {("s",): 10, ("m",): 100, ("l",): 1000}
    assert allocation.unimax(sizes, 300, 4) == {("s",): 40, ("m",): 130, ("l",): 130}
    assert sum(allocation.unimax(sizes, 300, 4).values()) == pytest.approx(300)
