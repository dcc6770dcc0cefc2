"""Cleaning: what is left holds water, and what is not is counted under its reason."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.about import Place
from seqgpt.data.label_book import implies
from seqgpt.results import check_grounded
from seqgpt.synth import cleaning
from seqgpt.synth.cleaning import REASONS, clean_answer
from seqgpt.synth.label_space import merge_key
from tests.strategies import LETTERS, ODD

TEXT = "Ann Lee of Basel met Ann’s aunt in New York; New York City was cold."
ZH = "张伟在北京大学教书，北京很冷。"

WORDS = st.one_of(
    st.sampled_from(
        [
            "person",
            "Person",
            "people",
            "start date",
            "date",
            "other",
            "none",
            "",
            "人物",
            "It is cold.",
            "a" * 80,
            "Ann",
        ]
    ),
    st.lists(st.sampled_from([*LETTERS, *ODD]), max_size=4).map("".join),
)
SAID = st.lists(st.fixed_dictionaries({"label": WORDS, "description": WORDS}), max_size=4)
ENTITIES = st.lists(
    st.fixed_dictionaries(
        {
            "mention": st.one_of(WORDS, st.sampled_from(["Ann", "ann lee", "NEW YORK", "New York City", "cold"])),
            "type": WORDS,
        }
    ),
    max_size=5,
)
SET = st.fixed_dictionaries(
    {"labels": SAID, "types": SAID, "near_misses": SAID, "entities": ENTITIES, "mention": st.sampled_from(["Ann", "x"])}
)


@given(
    st.sampled_from(["classify", "ner", "typing"]),
    st.lists(SET, max_size=3),
    st.sampled_from([(TEXT, "en"), (ZH, "zh")]),
)
def test_what_is_left_holds_water(task, sets, given_text):
    text, language = given_text
    mentions = [Place("Ann", 0)] if language == "en" else [Place("张伟", 0)]
    content = json.dumps({"mentions" if task == "typing" else "sets": sets})
    cleaned = clean_answer(content, "stop", task, text, language, mentions)
    assert {reason for reason, _ in cleaned.rejected} <= set(REASONS)
    for one in cleaned.sets:
        for span in one.spans:
            check_grounded(span, text)
        labels = [*one.held, *one.absent]
        assert labels
        assert len({merge_key(label) for label in labels}) == len(labels)
        held = [label for other in cleaned.sets if other.about == one.about for label in other.held]
        assert not any(implies(label, miss) for label in held for miss in one.absent)
        assert {merge_key(label) for label in held}.isdisjoint(map(merge_key, one.absent))
        assert not any(cleaning.wrong_label(label, language) for label in labels)
        assert {span.label for span in one.spans} == (set(one.held) if task == "ner" else set())
        assert (one.about is not None) == (task == "typing")
        if one.about:
            assert merge_key(one.about.text) not in map(merge_key, labels)


def entities(*pairs, miss="price"):
    return json.dumps({"sets": [{"entities": [{"mention": m, "type": t} for m, t in pairs], "near_misses": [miss]}]})


def reasons(content, task="ner", text=TEXT, language="en", finish="stop"):
    mentions = [Place("Ann", 0)]
    return [reason for reason, _ in clean_answer(content, finish, task, text, language, mentions).rejected]


@pytest.mark.parametrize(
    ("pair", "reason"),
    [
        (("Bob", "person"), cleaning.NOT_THERE),
        (("old", "state"), cleaning.IN_A_WORD),
        (("", "person"), cleaning.NO_MENTION),
        (("Basel", ""), cleaning.EMPTY),
        (("Basel", "!?"), cleaning.EMPTY),
        (("Basel", "42"), cleaning.NO_LABEL),
        (("Basel", "{type}"), cleaning.NO_LABEL),
        (("Basel", "basel"), cleaning.THE_MENTION),
        (("Basel", "This is a city. It lies on the Rhine"), cleaning.A_SENTENCE),
        (("Basel", "a city that lies on the Rhine in the north of Switzerland"), cleaning.A_SENTENCE),
        (("Basel", "other"), cleaning.SAYS_NOTHING),
        (("Basel", "城市"), cleaning.OTHER_LANGUAGE),
    ],
)
def test_a_wrong_entity_is_rejected_and_the_others_stay(pair, reason):
    content = entities(("Ann Lee", "person"), pair)
    assert reasons(content) == [reason]
    (one,) = clean_answer(content, "stop", "ner", TEXT, "en").sets
    assert [span.text for span in one.spans] == ["Ann Lee"]


@pytest.mark.parametrize("kind", ["city", "GPE"])
def test_the_other_language_in_chinese(kind):
    assert reasons(entities(("北京", kind), miss="价格"), text=ZH, language="zh") == [cleaning.OTHER_LANGUAGE]
    assert reasons(entities(("北京", "IP地址"), miss="价格"), text=ZH, language="zh") == []


def test_a_whole_answer_in_the_other_language_gives_nothing():
    content = json.dumps({"sets": [{"labels": ["新闻", "报道"], "near_misses": ["小说"]}]})
    assert set(reasons(content, "classify")) == {cleaning.OTHER_LANGUAGE, cleaning.NO_SET}


@pytest.mark.parametrize(
    ("content", "finish", "reason"),
    [
        ("", "stop", cleaning.REFUSED),
        ("", "length", cleaning.CUT_OFF),  # all its tokens went into thoughts
        ("I cannot.", "content_filter", cleaning.REFUSED),
        ("status 400: too long", "refused", cleaning.REFUSED),
        ("I cannot.", "stop", cleaning.NO_JSON),
        ('{"sets": [{"labels": ["ne', "length", cleaning.CUT_OFF),
        ('{"sets": [{"labels": []}]}', "stop", cleaning.NO_SET),
    ],
)
def test_whole_answers(content, finish, reason):
    assert reasons(content, "classify", finish=finish) == [reason]


def test_the_text_is_no_class_of_itself():
    assert reasons('{"sets": [{"labels": ["news"], "near_misses": ["Hello World"]}]}', "classify", "hello world") == [
        cleaning.THE_TEXT
    ]


def test_a_near_miss_that_holds():
    content = json.dumps({"sets": [{"labels": ["start dates"], "near_misses": ["Start Date", "date", "price"]}]})
    cleaned = clean_answer(content, "stop", "classify", TEXT, "en")
    assert [reason for reason, _ in cleaned.rejected] == [cleaning.HOLDS_TOO] * 2
    assert list(cleaned.sets[0].absent) == ["price"]


def test_a_near_miss_that_holds_by_another_set():
    sets = [{"labels": ["news"], "near_misses": ["Sport", "novel"]}, {"labels": ["sports"], "near_misses": ["news"]}]
    cleaned = clean_answer(json.dumps({"sets": sets}), "stop", "classify", TEXT, "en")
    assert [(list(one.held), list(one.absent)) for one in cleaned.sets] == [(["news"], ["novel"]), (["sports"], [])]
    assert cleaned.rejected == [(cleaning.HOLDS_TOO, "sport"), (cleaning.HOLDS_TOO, "news")]


def test_mentions_stand_wherever_they_occur_alone():
    content = entities(("ann", "given name"), ("New York", "city"), ("New York City", "place"))
    (one,) = clean_answer(content, "stop", "ner", TEXT, "en").sets
    assert [(span.text, span.start, span.label) for span in one.spans] == [
        ("Ann", 0, "given name"),
        ("Ann", 21, "given name"),
        ("New York", 35, "city"),
        ("New York City", 45, "place"),
    ]


def test_typing_knows_the_mentions_that_were_given():
    sets = [{"mention": "ANN", "labels": ["person"]}, {"mention": "Bob", "labels": ["person"]}]
    cleaned = clean_answer(json.dumps({"mentions": sets}), "stop", "typing", TEXT, "en", [Place("Ann", 21)])
    assert [one.about for one in cleaned.sets] == [Place("Ann", 21)]
    assert cleaned.rejected == [(cleaning.NOT_ASKED, "Bob")]


def test_descriptions_that_say_nothing_are_left_out():
    labels = [
        {"label": "a person", "description": "A human being."},
        {"label": "a place", "description": "Place"},
        {"label": "a date", "description": "一个日期"},
    ]
    cleaned = clean_answer(json.dumps({"sets": [{"labels": labels}]}), "stop", "classify", TEXT, "en")
    assert cleaned.sets[0].held == {"a person": "A human being.", "a place": "", "a date": ""}
