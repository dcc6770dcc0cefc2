"""Replaced mentions: other words, the same labels, and everything else as it was."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.data.sample import load_sample
from seqgpt.examples import Example
from seqgpt.results import Extraction
from seqgpt.training.replace_mentions import MentionReplacement
from tests.strategies import quick


@pytest.fixture(scope="module")
def examples():
    return load_sample("train")


def example(text, labels, answer):
    return Example.from_dict({"text": text, "task": "extract", "labels": labels, "answer": answer})


@quick
@given(index=st.integers(0, 319), seed=st.integers(0, 1000), spliced=st.sampled_from([0.0, 1.0]))
def test_spans_are_grounded_and_keep_their_labels_and_order(examples, index, seed, spliced):
    before = examples[index]
    after = MentionReplacement(examples, 1.0, spliced)(before, random.Random(seed))  # noqa: S311
    assert after.task == before.task
    assert (after.id, after.family, after.language) == (before.id, before.family, before.language)
    if isinstance(before.gold, Extraction):
        spans = sorted(before.gold.spans, key=lambda span: (span.start, span.end))
        assert [span.label for span in sorted(after.gold.spans, key=lambda s: s.start)] == [s.label for s in spans]
    else:
        assert after is before


def test_what_stands_between_mentions_stays():
    labels = ["who", "where"]
    pool = [
        example("Ann met Bob in Rome.", labels, {"who": ["Ann", "Bob"], "where": ["Rome"]}),
        example("Clara, Paris", labels, {"who": ["Clara"], "where": ["Paris"]}),
    ]
    replaced = MentionReplacement(pool, 1.0)
    seen = {replaced(pool[0], random.Random(seed)).text for seed in range(200)}  # noqa: S311
    people, places = ("Ann", "Bob", "Clara"), ("Rome", "Paris")
    assert seen == {f"{a} met {b} in {c}." for a in people for b in people for c in places}


def test_spliced_mentions_are_a_beginning_and_an_end():
    labels = ["what"]
    pool = [
        example("It was renal failure", labels, {"what": ["renal failure"]}),
        example("lung cancer", labels, {"what": ["lung cancer"]}),
        example("ulcer", labels, {"what": ["ulcer"]}),
        example("x", labels, {"what": ["x"]}),
    ]
    replaced = MentionReplacement(pool, 1.0, spliced=1.0)
    seen = {replaced(pool[0], random.Random(seed)).text.removeprefix("It was ") for seed in range(2000)}  # noqa: S311
    assert {"renal cancer", "lung failure", "renal failure", "x"} <= seen  # by words; what is too short stays whole
    assert {"ulcancer", "lung er", "ulr"} <= seen  # by characters, where one has a single word
    assert not any(one.startswith("failure") or one.endswith("lung") for one in seen)


def test_labels_of_the_same_name_in_other_label_sets_are_not_mixed():
    pool = [example("Ann", ["who"], {"who": ["Ann"]}), example("Bob", ["who", "where"], {"who": ["Bob"]})]
    assert {MentionReplacement(pool, 1.0)(pool[0], random.Random(seed)).text for seed in range(20)} == {"Ann"}  # noqa: S311


def test_overlapping_mentions_stay():
    pool = [example("New York City", ["where"], {"where": ["New York", "New York City"]})]
    assert MentionReplacement(pool, 1.0)(pool[0], random.Random(0)) is pool[0]  # noqa: S311


def test_the_rate_is_the_share_that_is_replaced():
    pool = [example(name, ["who"], {"who": [name]}) for name in map(str, range(1000))]
    replaced = MentionReplacement(pool, 0.3)
    changed = sum(replaced(one, random.Random(i)).text != one.text for i, one in enumerate(pool))  # noqa: S311
    assert 250 < changed < 350
    assert all(MentionReplacement(pool, 0.0)(one, random.Random(0)) is one for one in pool)  # noqa: S311
