"""Every composite result travels as JSON, and keeps its promise that spans stand in the text."""

import json
import pickle
from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.composite import (
    Answers,
    AspectSentiments,
    Choice,
    Event,
    Events,
    Inference,
    Item,
    Opinion,
    Record,
    Relation,
    Relations,
    TypedMention,
    Typing,
    Utterance,
)
from seqgpt.errors import DataError, GroundingError, LabelError
from seqgpt.results import Span
from tests import strategies
from tests.strategies import quick

scores = st.sampled_from([0.0, 0.25, 1.0])
score_maps = st.dictionaries(strategies.words, scores, max_size=3)
word_tuples = st.lists(strategies.words, max_size=3).map(tuple)


@st.composite
def composite_results(draw):
    """Draw a result of any kind."""
    text = draw(strategies.texts)

    def spans():
        found = []
        for _ in range(draw(st.integers(0, 3))):
            start = draw(st.integers(0, len(text) - 1))
            end = draw(st.integers(start + 1, len(text)))
            found.append(Span(draw(strategies.words), text[start:end], start, end, draw(scores)))
        return tuple(found)

    def tree(depth):
        found = tuple(Item(span, children=tree(depth - 1) if depth else {}) for span in spans())
        option = draw(strategies.words)
        item = Item(option=option, scores=draw(score_maps) | {option: draw(scores)})
        return {draw(strategies.words): found, draw(strategies.words): (item,)}

    kind = draw(st.sampled_from(RESULTS))
    values = {
        Relations: lambda: (tuple(Relation(s, draw(strategies.words), s, draw(scores)) for s in spans()), spans()),
        Events: lambda: (tuple(Event(draw(strategies.words), s, spans()) for s in spans()),),
        Inference: lambda: (draw(strategies.words), draw(st.none() | strategies.words), draw(score_maps)),
        Answers: lambda: (draw(strategies.words), spans()),
        Choice: lambda: (draw(strategies.words), draw(st.none() | strategies.words), draw(score_maps)),
        Typing: lambda: (
            tuple(TypedMention(s.text, s.start, s.end, draw(word_tuples), draw(score_maps)) for s in spans()),
        ),
        Utterance: lambda: (draw(word_tuples), spans(), draw(score_maps)),
        AspectSentiments: lambda: (
            tuple(
                Opinion(about, draw(st.none() | strategies.words), draw(score_maps))
                for about in (*spans(), *draw(word_tuples))
            ),
        ),
        Record: lambda: (tree(2),),
    }[kind]()
    return kind(text, *values, truncated=draw(st.booleans()), warnings=draw(word_tuples))


RESULTS = [Relations, Events, Inference, Answers, Choice, Typing, Utterance, AspectSentiments, Record]


@pytest.mark.slow
@quick
@given(result=composite_results())
def test_from_dict_undoes_to_dict_through_json(result):
    record = json.loads(json.dumps(result.to_dict()))
    again = type(result).from_dict(record)
    assert again == result
    assert again.to_dict() == record
    assert pickle.loads(pickle.dumps(result)) == result  # noqa: S301
    with pytest.raises(FrozenInstanceError):
        result.text = "x"


@quick
@given(result=composite_results())
def test_views_never_fail(result):
    assert repr(result).startswith(type(result).__name__)
    if isinstance(result, Record):
        assert "\x1b" not in str(result)


GOOD = Relations("Ann at Acme", (Relation(Span("p", "Ann", 0, 3), "at", Span("at", "Acme", 7, 11), 1.0),), ()).to_dict()


def test_fields_at_their_defaults_are_left_out():
    assert GOOD.keys() == {"text", "relations", "heads"}
    assert Item(option="x", scores={"x": 1.0}).to_dict() == {"option": "x", "scores": {"x": 1.0}}


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ([], "Relations is .*: give the object that to_dict"),
        ({"text": "x"}, "key 'relations' of Relations is missing"),
        (GOOD | {"text": 3}, "text of Relations is 3"),
        (GOOD | {"relations": {}}, "relations of Relations is {}"),
        (GOOD | {"relations": [3]}, "Relation is 3"),
        (GOOD | {"warnings": [3]}, "warnings of Relations is 3"),
        (GOOD | {"truncated": 1}, "truncated of Relations is 1"),
        (GOOD | {"heads": [{"label": "x"}]}, "key 'text' of a span is missing"),
    ],
)
def test_records_that_are_no_results(record, message):
    with pytest.raises(DataError, match=message):
        Relations.from_dict(record)


def test_spans_must_stand_in_the_text_however_deep():
    with pytest.raises(GroundingError, match="'Ann' is not in the text at 0:3"):
        Relations.from_dict(GOOD | {"text": "Bob at Acme"})
    deep = Item(Span("a", "x", 0, 1), children={"b": (Item(Span("b", "y", 0, 1)),)})
    with pytest.raises(GroundingError, match="'y' is not in the text"):
        Record("x", {"a": (deep,)})
    with pytest.raises(GroundingError, match="'y' is not in the text at 0:1"):
        Typing("x", (TypedMention("y", 0, 1, (), {}),))


def test_repr_says_what_was_found_and_what_was_cut():
    assert repr(Answers("long text", "Who?", ())) == "Answers(question='Who?', spans=())"
    cut = Answers("long text", "Who?", (), truncated=True, warnings=("cut.",))
    assert repr(cut) == "Answers(truncated=True, warnings=('cut.',), question='Who?', spans=())"


@pytest.mark.parametrize("record", [{}, {"option": "x"}, {"option": "x", "scores": {"y": 1.0}}])
def test_an_item_is_a_span_or_an_option(record):
    with pytest.raises(LabelError, match="an item is a span, or an option with its score"):
        Item.from_dict(record)
    with pytest.raises(LabelError, match="give one of them"):
        Item(Span("a", "x", 0, 1), "x", {"x": 1.0})
