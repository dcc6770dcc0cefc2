"""One name for each label, and every label counted."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.synth.label_space import LabelSpace, merge_key, normalise
from tests.strategies import LETTERS, ODD

WORDS = ["Date", "dates", "DNA", "公司", "的", "类型", "类"]
LABELS = st.lists(st.sampled_from([*LETTERS, *ODD, *"()[]", *WORDS]), max_size=4).map("".join)


@given(LABELS)
def test_to_normalise_again_changes_nothing(label):
    assert normalise(normalise(label)) == normalise(label)
    assert merge_key(normalise(label)) == merge_key(label)


@given(
    st.lists(
        st.tuples(st.sampled_from(["en", "zh"]), st.sampled_from(["ner", "typing"]), LABELS, st.booleans()), max_size=30
    )
)
def test_nothing_is_lost_and_what_is_the_same_is_called_the_same(given_labels):
    space = LabelSpace()
    for language, task, label, holds in given_labels:
        space.add(language, task, normalise(label), holds=holds)
    held = Counter((language, task) for language, task, _, holds in given_labels if holds)
    for language, task in space.groups:
        counts = space.counts(language, task)
        assert counts.total() == held[language, task]
        assert all(space.name(language, label) == label for label in counts)
        assert len({merge_key(label) for label in counts}) == len(counts)
    for language, _, label, _ in given_labels:
        assert merge_key(space.name(language, normalise(label))) == merge_key(label)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("movie titles", "Movie-Title"),
        ("research & development", "Research and Development"),
        ("organisation", "Organizations"),
        ("the city", "City"),
        ("companies", "company"),
        ("movies", "Movie"),
        ("addresses", "address"),
        ("公司名称", "公司的名称"),
        ("人物类型", "人物"),
        ("新闻 报道", "新闻报道"),
    ],
)
def test_synonyms_by_rule(one, other):
    assert merge_key(one) == merge_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("new", "news"), ("人类", "人"), ("bus", "bu"), ("date", "start date"), ("US", "us city"), ("gas", "ga")],
)
def test_what_stays_apart(one, other):
    assert merge_key(one) != merge_key(other)


def test_the_most_frequent_spelling_is_the_name():
    space = LabelSpace()
    for label, times in (("Sports team", 1), ("sports teams", 3), ("sport-team", 2)):
        for _ in range(times):
            space.add("en", "ner", label, f"about {label}")
    space.add("en", "typing", "sport team", holds=False)
    assert space.counts("en", "ner") == {"sports teams": 6}
    assert space.absent_counts("en", "typing") == {"sports teams": 1}
    assert space.merged == {"en": 3}
    assert space.description("en", "sports teams") == "about sports teams"
