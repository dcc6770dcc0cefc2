"""Every span is right or in one mistake."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.errors import DataError
from seqgpt.evaluation.scoring.classes import class_scores
from seqgpt.evaluation.scoring.confusion import class_confusion, span_confusion
from seqgpt.evaluation.scoring.mistakes import ClassMistake, SpanMistake, count_by_kind, find_mistakes
from seqgpt.evaluation.scoring.spans import offset_f1, partial_offset_f1
from seqgpt.results import Classification, Extraction, Span
from seqgpt.tasks import AtomicTask
from tests.strategies import classification_pairs, extraction_pairs

TASK = AtomicTask.extract(["x", "y"])
TEXT = "Ada Lovelace met Charles Babbage"


def several(pairs):
    return st.lists(pairs, max_size=4).map(lambda drawn: ([g for g, _ in drawn], [p for _, p in drawn]))


def key(span):
    return span.label, span.start, span.end


@given(extraction_pairs())
def test_a_span_is_right_or_in_one_mistake(pair):
    gold, predicted = pair
    (mistakes,) = find_mistakes([gold], [predicted])
    right = {key(span) for span in gold.spans} & {key(span) for span in predicted.spans}
    for one, spans in (
        (gold, [mistake.gold for mistake in mistakes if mistake.gold]),
        (predicted, [mistake.predicted for mistake in mistakes if mistake.predicted]),
    ):
        assert Counter(map(key, one.spans)) == Counter(map(key, spans)) + Counter(right)
    for mistake in mistakes:
        g, p = mistake.gold, mistake.predicted
        assert (mistake.kind == "missed") == (p is None)
        assert (mistake.kind == "invented") == (g is None)
        if g and p:
            same_place = (g.start, g.end) == (p.start, p.end)
            assert mistake.kind == ("wrong type" if same_place else "wrong boundary")
            assert same_place != (g.label == p.label)
            assert g.start < p.end
            assert p.start < g.end


@given(extraction_pairs())
def test_missed_and_invented_spans_could_not_have_been_paired(pair):
    (mistakes,) = find_mistakes([pair[0]], [pair[1]])
    missed = [mistake.gold for mistake in mistakes if mistake.kind == "missed"]
    invented = [mistake.predicted for mistake in mistakes if mistake.kind == "invented"]
    for g in missed:
        for p in invented:
            assert (g.start, g.end) != (p.start, p.end)
            assert g.label != p.label or g.end <= p.start or p.end <= g.start


@given(several(extraction_pairs()))
def test_counts_agree_with_the_scores_and_the_confusion(sides):
    counts = count_by_kind(find_mistakes(*sides))
    exact, partial = offset_f1(*sides), partial_offset_f1(*sides)
    right = exact.micro.correct
    both = right + counts["wrong type"] + counts["wrong boundary"]
    assert both + counts["missed"] == exact.micro.support
    assert both + counts["invented"] == exact.micro.predicted
    assert partial.micro.correct == right + counts["wrong boundary"] / 2
    confusion = span_confusion(*sides)
    place = {label: i for i, label in enumerate(confusion.labels)}
    for label, score in exact.per_label.items():
        i = place[label]
        assert confusion.rows[i][i] == score.correct
        assert sum(confusion.rows[i]) == score.support
        assert sum(row[i] for row in confusion.rows) == score.predicted
    named = [i for label, i in place.items() if label is not None]
    assert sum(confusion.rows[i][j] for i in named for j in named if i != j) == counts["wrong type"]


@given(several(classification_pairs()))
def test_classes(sides):
    gold, predicted = sides
    mistakes = find_mistakes(gold, predicted)
    assert [(m.gold, m.predicted) for one in mistakes for m in one] == [
        (g.labels, p.labels) for g, p in zip(gold, predicted, strict=True) if g.labels != p.labels
    ]
    confusion = class_confusion(gold, predicted)
    assert sum(map(sum, confusion.rows)) == len(gold)
    seen = {one.label for side in sides for one in side}
    assert confusion.labels == tuple(label for label in ("x", "y", "z", None) if label in seen)
    for i, label in enumerate(confusion.labels):
        assert confusion.rows[i] == tuple(
            sum((g.label, p.label) == (label, other) for g, p in zip(gold, predicted, strict=True))
            for other in confusion.labels
        )
    if gold:
        assert sum(map(len, mistakes)) == sum(not right for right in class_scores(gold, predicted).right_by_text)


@given(several(classification_pairs(multi_label=True)))
def test_classes_of_several_labels(sides):
    for g, p, mistakes in zip(*sides, find_mistakes(*sides), strict=True):
        lacking, extra = set(g.labels) - set(p.labels), set(p.labels) - set(g.labels)
        kinds = {(True, False): ["missed"], (False, True): ["invented"], (True, True): ["wrong type"]}
        assert [m.kind for m in mistakes] == kinds.get((bool(lacking), bool(extra)), [])


def extraction(*spans):
    return Extraction.of(TEXT, TASK, [Span(label, TEXT[start:end], start, end) for label, start, end in spans])


@pytest.mark.parametrize(
    ("gold", "predicted", "kinds"),
    [
        ([("x", 0, 12)], [("x", 0, 12)], []),
        ([("x", 0, 12)], [], ["missed"]),
        ([], [("x", 0, 12)], ["invented"]),
        ([("x", 0, 12)], [("y", 0, 12)], ["wrong type"]),
        ([("x", 0, 12)], [("x", 0, 3)], ["wrong boundary"]),
        ([("x", 0, 12)], [("y", 4, 12)], ["missed", "invented"]),
        ([("x", 0, 12)], [("x", 0, 12), ("y", 0, 12)], ["invented"]),
        ([("x", 0, 12)], [("x", 0, 3), ("x", 4, 12)], ["wrong boundary", "invented"]),
        ([("x", 0, 12)], [("x", 0, 3), ("y", 0, 12)], ["wrong boundary", "invented"]),
        ([("x", 17, 32), ("x", 0, 12)], [("y", 17, 32)], ["missed", "wrong type"]),
    ],
)
def test_kinds(gold, predicted, kinds):
    (mistakes,) = find_mistakes([extraction(*gold)], [extraction(*predicted)])
    assert [mistake.kind for mistake in mistakes] == kinds


def test_as_json():
    mistake = SpanMistake(Span("x", "Ada", 0, 3), None)
    assert mistake.to_dict() == {"kind": "missed", "gold": mistake.gold.to_dict(), "predicted": None}
    assert ClassMistake((), ("x",)).to_dict() == {"kind": "invented", "gold": [], "predicted": ["x"]}
    assert count_by_kind([]) == {"missed": 0, "wrong type": 0, "wrong boundary": 0, "invented": 0}
    one_or_none = AtomicTask.classify(["x", "y"], none=True)
    gold, predicted = (Classification.of("t", one_or_none, labels) for labels in (("y",), ()))
    assert class_confusion([gold], [predicted]).to_dict() == {"labels": ["y", None], "rows": [[0, 1], [0, 0]]}


def test_several_labels_have_no_confusion():
    many = Classification.of("t", AtomicTask.classify(["x"], multi_label=True), ("x",))
    with pytest.raises(DataError, match="text 0 may have several labels"):
        class_confusion([many], [many])
