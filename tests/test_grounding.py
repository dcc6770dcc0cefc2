import pytest
from hypothesis import given

from seqgpt.errors import GroundingError, LabelError
from seqgpt.grounding import by_label, ground, locate, occurrences
from seqgpt.results import Span
from seqgpt.tasks import AtomicTask
from tests.strategies import extractions, quick, texts, words

TASK = AtomicTask.extract(["who", "where"])


@quick
@given(text=texts, string=words)
def test_occurrences_are_all_places_where_the_string_stands(text, string):
    assert occurrences(string, text) == [i for i in range(len(text)) if text.startswith(string, i)]


def test_an_empty_string_occurs_nowhere():
    assert occurrences("", "ab") == []


@quick
@given(gold=extractions())
def test_spans_with_a_start_ground_exactly(gold):
    answer = {label: [{"text": s.text, "start": s.start} for s in gold[label]] for label in gold.task.labels}
    assert ground(gold.task, answer, gold.text) == gold
    assert ground(gold.task, {label: list(gold[label]) for label in gold.task.labels}, gold.text) == gold


@quick
@given(gold=extractions())
def test_strings_ground_somewhere_and_say_if_it_is_a_guess(gold):
    for label in gold.task.labels:
        spans, lost = locate(label, [span.text for span in gold[label]], gold.text)
        assert lost == []
        assert all(gold.text[span.start : span.end] == span.text for span in spans)
        if all(span.status == "exact" for span in spans):
            assert set(spans) == set(gold[label])


@pytest.mark.parametrize(
    ("text", "string", "start"),
    [
        ("İstanbul Ankara", "Ankara", 9),
        ("a\r\nb", "b", 3),
        ("👨\u200d👩 x", "x", 4),
        ("e\u0301 é", "é", 3),
        ("１２3", "3", 2),
    ],
)
def test_offsets_count_the_callers_own_characters(text, string, start):
    assert ground(TASK, {"who": [string]}, text).spans == (Span("who", string, start, start + len(string)),)


def test_strings_take_the_places_that_mentions_with_a_start_leave():
    result = ground(TASK, {"who": ["Ann", {"text": "Ann", "start": 0}]}, "Ann, Ann, Ann")
    assert [(s.start, s.status) for s in result.spans] == [(0, "exact"), (5, "ambiguous")]


def test_locate_returns_what_is_not_there_often_enough():
    spans, lost = locate("who", ["Ann", "Ann", "Bob"], "Ann")
    assert (spans, lost) == ([Span("who", "Ann", 0, 3)], ["Ann", "Bob"])


def test_by_label_sorts_each_group():
    spans = [Span("b", "xy", 0, 2), Span("a", "y", 1, 2), Span("b", "x", 0, 1)]
    assert by_label(spans) == {"b": [spans[2], spans[0]], "a": [spans[1]]}


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ({"who": ["Bob"]}, "span 'Bob' of 'who' is not in the text: copy it from the text"),
        ({"who": ["ann"]}, "The text has 'Ann'"),
        ({"who": ["Ann", "Ann"]}, r"more often than it stands in the text \(1×\)"),
        ({"who": [{"text": "Ann", "start": 1}]}, r"not in the text at 1:4 \(found 'nn,'\)"),
        ({"who": [{"text": "Ann", "start": -3}]}, "not in the text at -3:0"),
        ({"who": [{"text": "Ann", "start": 99}]}, r"found ''\): give its right start"),
        ({"who": [{"text": "Ann", "start": "0"}]}, "start of 'Ann' of 'who' is '0': give a whole number"),
        ({"who": [{"text": "Ann", "start": 0.0}]}, "give a whole number"),
        ({"who": [{"text": "Ann", "start": True}]}, "give a whole number"),
        ({"who": [{"text": "Ann", "start": 0, "end": 4}]}, "has 3 characters, which does not fit 0:4"),
        ({"who": [{"text": "Ann", "end": 3}]}, "does not fit None:3"),
        ({"who": [{"txt": "Ann"}]}, "must be a string or"),
        ({"who": [{"text": "Ann", "strat": 0}]}, r"unknown key 'strat' in a span of 'who'. Did you mean 'start'\?"),
        ({"who": [{"text": 5}]}, "must be a string or"),
        ({"who": [5]}, "must be a string or .* not 5"),
        ({"who": [None]}, "must be a string or"),
        ({"who": [""]}, "a span of 'who' is empty"),
        ({"who": "Ann"}, "the spans of 'who' must be a list, not 'Ann'"),
        ({"who": {"text": "Ann"}}, "must be a list"),
        ({"who": Span("who", "Ann", 0, 3)}, "must be a list"),
        ({"who": None}, "must be a list, not None"),
        ({"who": 5}, "must be a list, not 5"),
    ],
)
def test_wrong_mentions(answer, message):
    with pytest.raises(GroundingError, match=message):
        ground(TASK, answer, "Ann, hello")


def test_a_label_that_was_not_asked():
    with pytest.raises(LabelError, match=r"Did you mean 'where'\?"):
        ground(TASK, {"were": []}, "Ann")
