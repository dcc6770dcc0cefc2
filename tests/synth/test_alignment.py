"""Mentions: found where they stand, also when they were copied carelessly, and never as a part of a word."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.synth.alignment import find_mention
from tests.strategies import LETTERS, ODD

TEXTS = st.lists(st.sampled_from([*LETTERS, *ODD]), min_size=1, max_size=25).map("".join)


@given(TEXTS, st.data())
def test_whatever_is_found_stands_in_the_text(text, data):
    start = data.draw(st.integers(0, len(text) - 1))
    mention = text[start : data.draw(st.integers(start + 1, len(text)))]
    careless = data.draw(st.sampled_from([str, str.upper, str.lower, str.title, lambda words: f" “{words}” "]))(mention)
    places = find_mention(careless, text).places
    assert all(text[place.start : place.start + len(place.text)] == place.text for place in places)
    ends = [place.start + len(place.text) for place in places]
    assert all(end <= after.start for end, after in zip(ends, places[1:], strict=False))


WORDS = st.lists(st.sampled_from(["Ann", "Straße", "Café", "Größe", "New", "York", "2019", "北京", "大学"]), min_size=1)


@given(WORDS, WORDS, WORDS)
def test_a_careless_copy_is_found_where_the_exact_one_is(before, mention, after):
    text = " ".join([*before, *mention, *after])
    exact = find_mention(" ".join(mention), text)
    assert exact.exact
    assert exact.places
    for careless in (str.upper, str.casefold, lambda words: unicodedata.normalize("NFD", words), "".join):
        copy = careless(" ".join(mention)) if careless != "".join else " ".join(mention).replace(" ", "\u3000")
        assert find_mention(copy, text).places == exact.places


@pytest.mark.parametrize(
    ("mention", "text", "found"),
    [
        ("Apple Inc.", "He left Apple Inc. today", ["Apple Inc."]),
        ("Apple Inc.", "He left Apple Inc today", ["Apple Inc"]),
        ('"Dune"', "She read Dune and “Dune Messiah”", ["Dune", "Dune"]),
        ("ＡＩ公司", "这家AI公司", ["AI公司"]),
        ("北 京", "他在北京。", ["北京"]),
        ("O'Neil", "with O’Neil there", ["O’Neil"]),
        ("i", "İ", ["İ"]),
        ("art", "a party of artists", []),
        ("5", "15 元", []),
        ("Bob", "Ann", []),
        ("", "Ann", []),
        ("“”", "Ann", []),
    ],
)
def test_examples(mention, text, found):
    assert [place.text for place in find_mention(mention, text).places] == found


def test_only_part_of_a_word_is_told():
    assert find_mention("art", "a party").inside_words
    assert not find_mention("art", "an egg").inside_words
