"""What a task is about: read in any form, written beside the text, and kept where a text is read in parts."""

import json

import pytest

from seqgpt.about import Place, about_to_json, as_about
from seqgpt.engine.windows import Window, holding
from seqgpt.errors import GroundingError, LabelError
from seqgpt.results import Classification, Span
from seqgpt.tasks import AtomicTask
from tests.engine import reference

TEXT = "Ann met Bob, and Ann left."


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ("battery life", ("battery life",)),
        (Span("person", "Ann", 17, 20), (Place("Ann", 17),)),
        ({"text": "Ann", "start": 17}, (Place("Ann", 17),)),
        ({"text": "Ann"}, ("Ann",)),
        (["Ann", Place("Bob", 8)], ("Ann", Place("Bob", 8))),
        ((), ()),
    ],
)
def test_about_is_read_in_any_form_and_travels_as_json(given, read):
    assert as_about(given) == read
    assert as_about(json.loads(json.dumps(about_to_json(read)))) == read
    task = AtomicTask.classify(["a", "b"], about=given)
    assert task.about == read
    assert AtomicTask.from_dict(json.loads(json.dumps(task.to_dict()))) == task
    assert task.with_labels(["b"]).about == read


@pytest.mark.parametrize(
    "given", ["", " ", [""], 3, [3], {"text": "a", "start": -1}, {"start": 1}, {"text": "a", "at": 1}]
)
def test_what_nothing_can_be_about(given):
    with pytest.raises(LabelError, match="about"):
        AtomicTask.classify(["a"], about=given)


def test_a_place_that_is_not_in_the_text_is_refused():
    with pytest.raises(GroundingError, match="'Ann' is not in the text at 1"):
        AtomicTask.classify(["a"], about=Place("Ann", 1)).prompt(TEXT)


def test_tasks_on_one_text_begin_alike_and_tell_occurrences_apart():
    plain = str(AtomicTask.classify(["a"]).prompt(TEXT))
    first, second = (str(AtomicTask.classify(["a"], about=Place("Ann", at)).prompt(TEXT)) for at in (0, 17))
    begin = plain.partition("<|classify|>")[0]
    assert first.startswith(begin)
    assert second.startswith(begin)
    assert len({plain, first, second}) == 3


@pytest.mark.parametrize("task", [AtomicTask.extract, AtomicTask.classify])
def test_answers_depend_on_what_is_asked_about(task, tiny):
    model = tiny("qwen3")
    about = [(), "Ann", Place("Ann", 0), Place("Ann", 17), "Bob", ["Ann", "Bob"], ["Bob", "Ann"]]
    tasks = [task(["person", "place"], about=one) for one in about]
    results = model.predict_pairs([(TEXT, one) for one in tasks], threshold=0.02)
    said = [
        tuple(
            round(score, 5)
            for score in (
                [span.score for span in result.spans] if task == AtomicTask.extract else result.scores.values()
            )
        )
        for result in results
    ]
    assert len(set(said)) == len(about) - 1  # a string alone means its first occurrence
    assert said[1] == said[2]
    for one, result in zip(tasks, results, strict=True):
        assert result.task == one


def test_extraction_about_something_is_that_of_the_slow_reference(tiny):
    model, task = tiny("llama"), AtomicTask.extract(["friend"], about=Place("Ann", 17))
    result = model.predict("Ann met Bob, and Ann", task, threshold=0.1)
    for label, expected in reference.extract(model, "Ann met Bob, and Ann", task, threshold=0.1).items():
        assert {(span.start, span.end): span.score for span in result[label]} == pytest.approx(expected, abs=1e-4)


def test_of_a_long_text_those_parts_are_read_where_the_places_are(tiny):
    model, text = tiny("qwen3"), "Tim Cook visited Shanghai. " * 60
    place = Place("Shanghai", text.index("Shanghai", len(text) // 2))
    result = model.predict(text, AtomicTask.classify(["a", "b"], about=place))
    assert result.text == text
    assert "where what is asked about stands" in result.warnings[0]
    spans = model.predict(text, AtomicTask.extract(["a"], about=place), threshold=0.1).spans
    assert spans
    assert all(text[span.start : span.end] == span.text for span in spans)
    everywhere = model.predict(text, AtomicTask.classify(["a", "b"], about="Shanghai"))
    assert everywhere.warnings[0].startswith("the text was read in ")


def test_windows_that_hold_most_places():
    cut = [Window(0, "Ann met Bob. "), Window(8, "Bob. Cid left."), Window(13, "Cid left.")]
    assert holding(cut, ["Ann"]) == cut
    assert holding(cut, [Place("Ann", 0)]) == cut[:1]
    assert holding(cut, [Place("Bob", 8)]) == cut[:2]
    assert holding(cut, [Place("Bob", 8), Place("Cid", 13)]) == cut[1:2]
    assert [window.place(Place("Bob", 8)) for window in cut] == [Place("Bob", 8), Place("Bob", 0), "Bob"]


def test_views_say_what_was_asked_about():
    result = Classification.of(TEXT, AtomicTask.classify(["a", "b"], about=[Place("Ann", 17), "Bob"]), ("a",))
    assert "asked about 'Ann', 'Bob'" in str(result)
    assert "asked about &#x27;Ann&#x27;, &#x27;Bob&#x27;" in result._repr_html_()
    assert "asked about" not in str(Classification.of(TEXT, AtomicTask.classify(["a", "b"]), ("a",)))
