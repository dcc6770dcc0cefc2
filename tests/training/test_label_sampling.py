"""Which labels are shown, and in which order, is a function of (seed, epoch, example id) alone."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.examples import Example
from seqgpt.results import Extraction
from seqgpt.training.label_sampling import absent_weight, draw, shuffle_labels
from tests.strategies import quick, results

EXAMPLE = Example.from_dict(
    {
        "text": "a b",
        "task": "classify",
        "labels": {f"label {i}": f"meaning {i}" for i in range(20)},
        "none": True,
        "answer": ["label 7"],
        "id": "x",
        "family": "TC",
        "language": "en",
    }
)


def shown(example, seed=0, epoch=0, most=24):
    return shuffle_labels(example, draw(seed, epoch, example.id, "labels"), most)


def test_the_same_draw_gives_the_same_labels():
    assert shown(EXAMPLE, 3, 2, 5) == shown(EXAMPLE, 3, 2, 5)


def test_draws_are_the_same_in_every_process():
    assert draw(0, 0, "x", "labels").random() == 0.5585527847662408
    assert draw(0, 1, "中", "mentions").random() == 0.41757942588352825


def test_seed_epoch_and_id_all_matter():
    other = Example(EXAMPLE.gold, "y")
    orders = {
        shown(EXAMPLE).task.labels,
        shown(EXAMPLE, seed=1).task.labels,
        shown(EXAMPLE, epoch=1).task.labels,
        shown(other).task.labels,
    }
    assert len(orders) == 4


def test_long_label_sets_are_sampled_anew_every_epoch():
    sets = [frozenset(shown(EXAMPLE, epoch=epoch, most=4).task.labels) for epoch in range(40)]
    assert all(len(labels) == 4 and "label 7" in labels for labels in sets)
    assert len(set(sets)) > 30
    assert frozenset.union(*sets) == set(EXAMPLE.task.labels)


def test_everything_else_of_the_example_stays():
    example = shown(EXAMPLE, most=3)
    assert (example.id, example.family, example.language, example.text) == ("x", "TC", "en", "a b")
    assert example.task.none
    assert example.task.descriptions == {label: f"meaning {label[6:]}" for label in example.task.labels}


def test_labels_that_take_no_room_are_all_kept():
    bare = {"text": "a b", "task": "classify", "labels": [f"label {i}" for i in range(20)], "answer": ["label 7"]}
    assert len(shown(Example.from_dict(bare), most=4).task.labels) == 20
    assert len(shown(Example.from_dict(bare | {"multi_label": True}), most=4).task.labels) == 4


def test_absent_labels_that_are_shown_stand_for_all_of_them():
    labels = [f"label {i}" for i in range(12)]
    record = {"text": "a b", "task": "extract", "labels": labels, "answer": {"label 3": ["a"]}, "id": "x"}
    example = Example.from_dict(record)
    counts = Counter()
    for epoch in range(600):
        few = shown(example, epoch=epoch, most=5)
        counts.update(dict.fromkeys(few.task.labels, absent_weight(example, few)))
    assert counts.pop("label 3") == 600 * 11 / 4  # shown every time
    assert sum(counts.values()) == 600 * 11
    assert dict(counts) == pytest.approx(dict.fromkeys(counts, 600), rel=0.2)


def test_one_absent_label_is_shown_at_least():
    record = {"text": "a b", "task": "extract", "labels": list("vwxyz"), "answer": {"x": ["a"], "z": ["b"]}}
    example = Example.from_dict(record)
    assert absent_weight(example, shown(example)) == 1
    few = shown(example, most=2)
    assert len(few.task.labels) == 3
    assert absent_weight(example, few) == 3
    full = Example.from_dict(record | {"labels": ["x", "z"]})
    assert shown(full, most=2).task.labels
    assert absent_weight(full, shown(full, most=2)) == 0  # of nothing


@quick
@given(gold=results, most=st.integers(1, 6), epoch=st.integers(0, 3))
def test_the_answer_stays_and_the_right_labels_are_kept(gold, most, epoch):
    example = shown(Example(gold, "x"), epoch=epoch, most=most)
    held = {span.label for span in gold.spans} if isinstance(gold, Extraction) else set(gold.labels)
    labels = set(example.task.labels)
    assert held <= labels <= set(gold.task.labels)
    if gold.task.descriptions or not gold.task.single_label:
        assert len(labels) == min(len(gold.task.labels), max(most, len(held) + 1))
    else:
        assert labels == set(gold.task.labels)
    if isinstance(gold, Extraction):
        assert set(example.gold.spans) == set(gold.spans)
    else:
        assert set(example.gold.labels) == set(gold.labels)
