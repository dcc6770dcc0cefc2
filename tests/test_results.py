import dataclasses
import json
import pickle
import re
import time
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.errors import DataError, GroundingError, LabelError
from seqgpt.results import Classification, Extraction, Span, result_from_dict
from seqgpt.tasks import AtomicTask
from tests.strategies import extractions, quick, results

TEXT = "Ann met Ann."
WHO = AtomicTask.extract(["who", "where"])
ONE = AtomicTask.classify(["a", "b"])
MANY = AtomicTask.classify(["a", "b", "c"], multi_label=True)
FIRST, SECOND = Span("who", "Ann", 0, 3), Span("who", "Ann", 8, 11)


@quick
@given(result=results)
def test_every_result_keeps_its_promises(result):
    if isinstance(result, Extraction):
        assert all(result.text[span.start : span.end] == span.text for span in result.spans)
        answered = {span.label for span in result.spans}
        assert answered.isdisjoint(result.absent)
        assert answered | set(result.absent) == set(result.task.labels)
        assert [span for label in result.task.labels for span in result[label]] == list(result.spans)
        assert all(result[label] == () for label in result.absent)
    else:
        assert list(result.scores) == list(result.task.labels)
        assert set(result.labels) <= set(result.task.labels)
        assert result.abstained == (result.label is None) == (not result.labels)


@quick
@given(result=results)
def test_from_dict_undoes_to_dict_through_json(result):
    result = dataclasses.replace(result, truncated=True, warnings=("one.", "two."), raw="words")
    record = json.loads(json.dumps(result.to_dict()))
    again = result_from_dict(record)
    assert again == result
    assert (again.raw, again.to_dict()) == (result.raw, record)


@quick
@given(result=results)
def test_views_never_fail(result):
    for view in (repr(result), str(result), result.to_terminal(), result._repr_html_()):
        assert isinstance(view, str)
    assert "\x1b" not in str(result)
    assert not re.search("<script|</script", result._repr_html_())


@quick
@given(result=results)
def test_results_are_frozen_hashable_and_can_be_sent_to_another_process(result):
    again = pickle.loads(pickle.dumps(result))  # noqa: S301
    assert (again, hash(again)) == (result, hash(result))
    for field in dataclasses.fields(result):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(result, field.name, None)


def test_spans_are_frozen_and_travel():
    span = Span("who", "Ann", 0, 3, 0.5, "ambiguous")
    assert Span.from_dict(json.loads(json.dumps(span.to_dict()))) == span
    assert "status" not in FIRST.to_dict()
    with pytest.raises(dataclasses.FrozenInstanceError):
        span.start = 1


def test_of_sorts_and_keeps_the_most_probable_of_repeated_spans():
    low, high = dataclasses.replace(FIRST, score=0.2), dataclasses.replace(FIRST, score=0.7)
    guess = dataclasses.replace(SECOND, status="ambiguous")
    result = Extraction.of(TEXT, WHO, [guess, low, high, SECOND])
    assert result.spans == (high, SECOND)
    assert result.absent == ("where",)
    assert result == Extraction.of(TEXT, WHO, [SECOND, high, guess, low])


def test_lists_become_tuples():
    result = Extraction(TEXT, WHO, [FIRST], ["where"], warnings=["one."])
    assert (result.spans, result.absent, result.warnings) == ((FIRST,), ("where",), ("one.",))
    assert Classification("t", ONE, ["a"], {"a": 1, "b": 0}).labels == ("a",)


def test_scores_are_a_copy_in_the_order_of_the_labels():
    scores = {"b": 0.25, "a": 0.75}
    result = Classification.of("t", ONE, ("a",), scores)
    scores["a"] = 0.0
    assert list(result.scores.items()) == [("a", 0.75), ("b", 0.25)]
    assert result.label == "a"


def test_label_is_the_most_probable_of_those_that_hold():
    assert Classification.of("t", MANY, ("a", "b"), {"a": 0.6, "b": 0.7, "c": 0.1}).label == "b"
    assert Classification.of("t", MANY, (), {"a": 0.4, "b": 0.3, "c": 0.1}).label is None


@pytest.mark.parametrize(
    ("spans", "absent", "error", "message"),
    [
        ([Span("who", "Ann", 1, 4)], ["where"], GroundingError, r"not in the text at 1:4 \(found 'nn '\)"),
        ([Span("who", "", 0, 0)], ["where"], GroundingError, "not in the text at 0:0"),
        ([Span("who", ".", -1, 12)], ["where"], GroundingError, "not in the text at -1:12"),
        ([Span("who", "nn met Ann.", 1, -1)], ["where"], GroundingError, "not in the text at 1:-1"),
        ([SECOND, FIRST], ["where"], GroundingError, "at 0:3 is repeated or out of order: use Extraction.of"),
        ([FIRST, FIRST], ["where"], GroundingError, "repeated or out of order"),
        ([Span("whom", "Ann", 0, 3)], ["who", "where"], LabelError, r"Did you mean 'who'\?"),
        ([FIRST], [], LabelError, "must be either answered or absent"),
        ([FIRST], ["who", "where"], LabelError, "must be either answered or absent"),
        ([], ["where", "who"], LabelError, "must be either answered or absent"),
    ],
)
def test_an_extraction_that_is_not_consistent(spans, absent, error, message):
    with pytest.raises(error, match=message):
        Extraction(TEXT, WHO, tuple(spans), tuple(absent))


@pytest.mark.parametrize(
    ("task", "labels", "scores", "abstained", "message"),
    [
        (ONE, ("c",), {"a": 1, "b": 0}, False, "'c' is not among"),
        (ONE, ("a",), {"a": 1}, False, "label 'b' has no score"),
        (ONE, ("a",), {"a": 1, "b": 0, "c": 0}, False, "'c' is not among"),
        (ONE, ("a", "b"), {"a": 1, "b": 1}, False, "use multi_label=True"),
        (ONE, (), {"a": 1, "b": 0}, False, "abstained must be True exactly if no label holds"),
        (ONE, ("a",), {"a": 1, "b": 0}, True, "abstained must be True exactly if no label holds"),
        (MANY, ("b", "a"), {"a": 1, "b": 1, "c": 0}, False, "repeated or out of order"),
        (MANY, ("a", "a"), {"a": 1, "b": 1, "c": 0}, False, "repeated or out of order"),
    ],
)
def test_a_classification_that_is_not_consistent(task, labels, scores, abstained, message):
    with pytest.raises(LabelError, match=message):
        Classification("t", task, labels, scores, abstained)


def test_results_are_of_their_own_task():
    with pytest.raises(LabelError, match="use Classification"):
        Extraction.of(TEXT, ONE, ())
    with pytest.raises(LabelError, match="use Extraction"):
        Classification.of(TEXT, WHO, ())


def test_getting_a_label_that_was_not_asked():
    with pytest.raises(LabelError, match=r"Did you mean 'where'\?"):
        Extraction.of(TEXT, WHO, ())["were"]


GOOD = Extraction.of(TEXT, WHO, (FIRST,)).to_dict()
CLASS = Classification.of("t", ONE, ("a",)).to_dict()
SPAN = FIRST.to_dict()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        *(
            ({k: v for k, v in GOOD.items() if k != key}, f"key '{key}' of a result is missing")
            for key in GOOD
            if key != "task"
        ),
        *(({k: v for k, v in CLASS.items() if k != key}, f"key '{key}' of a result is missing") for key in CLASS),
        (GOOD | {"task": "ner"}, "unknown task 'ner' of a result: it must be 'extract' or 'classify'"),
        ([GOOD], "a result must be a JSON object"),
        (GOOD | {"asked": {"task": "extract"}}, "key 'labels' is missing"),
        (GOOD | {"spans": [SPAN | {"strat": 0}]}, r"unknown key 'strat' in a span. Did you mean 'start'\?"),
        (GOOD | {"spans": [{"label": "who"}]}, "key 'text' of a span is missing"),
        (GOOD | {"spans": [SPAN | {"start": "0"}]}, "start of a span is '0': give a whole number"),
        (GOOD | {"spans": [SPAN | {"status": "sure"}]}, "status of a span is 'sure': use exact or ambiguous"),
        (GOOD | {"spans": [SPAN | {"text": None}]}, "text of a span is None: give a string"),
        (GOOD | {"spans": [SPAN | {"score": "x"}]}, "the score of a span is 'x': give a probability"),
        (GOOD | {"spans": [SPAN | {"score": 1.5}]}, "the score of a span is 1.5: give a probability"),
        (GOOD | {"spans": 5}, "spans of a result is 5: give a list"),
        (GOOD | {"text": 5}, "text of a result is 5: give a string"),
        (CLASS | {"scores": 5}, "scores of a result are 5: give an object"),
        (CLASS | {"scores": {"a": -1, "b": 0}}, "the score of 'a' is -1: give a probability"),
        (GOOD | {"spans": ["Ann"]}, "a span must be a JSON object, not 'Ann'"),
    ],
)
def test_records_that_are_not_results(record, message):
    with pytest.raises(DataError, match=message):
        result_from_dict(record)


def test_from_dict_of_the_other_type():
    with pytest.raises(DataError, match=r"use result_from_dict\(record\)"):
        Classification.from_dict(GOOD)
    with pytest.raises(DataError, match=r"use result_from_dict\(record\)"):
        Extraction.from_dict(CLASS)


def test_repr():
    result = Extraction.of(TEXT, WHO, (FIRST,), truncated=True, warnings=("cut.",))
    assert repr(result) == "Extraction(who='Ann'[0:3] 1.00; absent: where; truncated; cut.)"
    assert repr(Extraction.of(TEXT, WHO, ())) == "Extraction(no spans; absent: who, where)"
    assert repr(Classification.of("t", ONE, ("a",))) == "Classification(a; a 1.00, b 0.00)"
    wide = AtomicTask.classify(list("abcdefg"), none=True)
    assert repr(Classification.of("t", wide, ())).startswith("Classification(none of these; a 0.00, ")
    assert repr(Classification.of("t", wide, ())).endswith("e 0.00, and 2 more)")


@quick
@given(result=extractions())
def test_str_has_a_line_for_each_span(result):
    assert sum(f"  {s.start}:{s.end}  1.00" in str(result) for s in result.spans) == len(result.spans)


@quick
@given(extraction=extractions(), scores=st.lists(st.sampled_from([0.2, 0.5, 0.9]), min_size=12, max_size=12))
def test_flat_keeps_a_span_unless_it_overlaps_one_that_is_kept_before_it(extraction, scores):
    scored = [replace(span, score=score) for span, score in zip(extraction.spans, scores, strict=False)]
    expected = []
    for span in sorted(scored, key=lambda span: (-span.score, -len(span.text), span.start)):
        if all(span.end <= other.start or other.end <= span.start for other in expected):
            expected.append(span)
    flat = Extraction.of(extraction.text, extraction.task, scored).flat()
    assert flat == Extraction.of(extraction.text, extraction.task, expected)


@pytest.mark.slow
def test_a_hundred_thousand_spans_are_made_flat_at_once():
    task, text = AtomicTask.extract(["x"]), "ab" * 100_000
    extraction = Extraction.of(text, task, [Span("x", text[i : i + 2], i, i + 2) for i in range(100_000)])
    began = time.process_time()
    assert len(extraction.flat().spans) == 50_000
    assert time.process_time() - began < 5  # below 1; minutes if quadratic


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["extract", "classify"])
def test_results_of_a_hundred_thousand_labels_are_made_and_written_at_once(kind):
    labels = [f"label {i}" for i in range(100_000)]
    began = time.process_time()
    if kind == "extract":
        task = AtomicTask.extract(labels)
        result = Extraction.of("x", task, [Span(label, "x", 0, 1) for label in labels])
    else:
        task = AtomicTask.classify(labels, multi_label=True)
        result = Classification.of("x", task, task.labels)
    assert len(task.answer(result, "x").pieces) >= 3 * len(labels)
    assert time.process_time() - began < 10  # about 1; minutes if quadratic
