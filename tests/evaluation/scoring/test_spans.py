"""Partial measures: nervaluate's where it measures the same, else what brute force finds."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nervaluate import Evaluator
from scipy.optimize import linear_sum_assignment

from seqgpt.evaluation.scoring.scores import Score
from seqgpt.evaluation.scoring.spans import absence_f1, offset_f1, partial_offset_f1, partial_string_f1, string_f1
from seqgpt.evaluation.scoring.words import split_words
from seqgpt.results import Extraction, Span
from seqgpt.tasks import AtomicTask
from tests.strategies import extraction_pairs, quick

MEASURES = [offset_f1, string_f1, partial_offset_f1, partial_string_f1, absence_f1]
TASK = AtomicTask.extract(["x", "y"])


def several(pairs):
    return st.lists(pairs, min_size=1, max_size=4).map(lambda drawn: [list(side) for side in zip(*drawn, strict=True)])


def entities(results):
    """Spans as nervaluate has them: the end is inclusive."""
    return [[{"label": s.label, "start": s.start, "end": s.end - 1} for s in one.spans] for one in results]


def triple(score):
    return pytest.approx((score.precision, score.recall, score.f1))


@given(several(extraction_pairs(flat=True)))
def test_exact_and_partial_offsets_are_nervaluate_s(sides):
    gold, predicted = sides
    theirs = Evaluator(entities(gold), entities(predicted), ["x", "y", "z"], loader="dict").evaluate()["entities"]
    for scheme, measure in (("strict", offset_f1), ("partial", partial_offset_f1)):
        ours = measure(gold, predicted)
        assert set(ours.per_label) == set(theirs)
        for label, score in ours.per_label.items():
            other = theirs[label][scheme]
            assert (other.precision, other.recall, other.f1) == triple(score)
            assert (other.actual, other.possible) == (score.predicted, score.support)


@pytest.mark.slow
@given(several(extraction_pairs()))
def test_partial_offsets_have_the_highest_credit_that_any_pairing_has(sides):
    for (gold, predicted), counts in zip(zip(*sides, strict=True), partial_offset_f1(*sides).by_text, strict=True):
        for label, score in counts.items():
            credit = np.array([[credit_of(g, p) for p in predicted[label]] for g in gold[label]])
            assert score.correct == best(credit, gold[label], predicted[label])
            assert (score.predicted, score.support) == (len(predicted[label]), len(gold[label]))


def credit_of(gold, predicted):
    if (gold.start, gold.end) == (predicted.start, predicted.end):
        return 1.0
    return 0.5 if gold.start < predicted.end and predicted.start < gold.end else 0.0


@given(several(extraction_pairs()))
def test_partial_strings_have_the_highest_likeness_that_any_pairing_has(sides):
    for (gold, predicted), counts in zip(zip(*sides, strict=True), partial_string_f1(*sides).by_text, strict=True):
        for label, score in counts.items():
            wanted, given = (sorted({span.text for span in one[label]}) for one in (gold, predicted))
            credit = np.array([[likeness(g, p) for p in given] for g in wanted])
            assert score.correct == pytest.approx(best(credit, wanted, given))
            assert (score.predicted, score.support) == (len(given), len(wanted))


def likeness(gold, predicted):
    if gold == predicted:
        return 1.0
    wanted, given = split_words(gold), split_words(predicted)
    common = sum(min(wanted.count(word), given.count(word)) for word in set(wanted))
    return 2 * common / max(len(wanted) + len(given), 1)


def best(credit, rows, columns):
    credit = credit.reshape(len(rows), len(columns))
    return credit[linear_sum_assignment(credit, maximize=True)].sum()


@given(several(extraction_pairs()))
def test_partial_is_never_less_than_exact(sides):
    for exact, partial in ((offset_f1, partial_offset_f1), (string_f1, partial_string_f1)):
        lower, upper = exact(*sides), partial(*sides)
        assert lower.per_label.keys() == upper.per_label.keys()
        for label, score in lower.per_label.items():
            assert score.correct <= upper.per_label[label].correct + 1e-9
            assert upper.per_label[label].correct <= min(score.predicted, score.support) + 1e-9


@pytest.mark.slow
@quick
@pytest.mark.parametrize("measure", MEASURES)
@given(sides=several(extraction_pairs()))
def test_what_every_measure_does(measure, sides):
    gold, predicted = sides
    scores = measure(gold, predicted)
    turned = measure(predicted, gold)
    assert turned.micro.precision == pytest.approx(scores.micro.recall)
    assert turned.macro_f1 == pytest.approx(scores.macro_f1)
    perfect = measure(gold, gold)
    assert all(score.f1 == 1.0 for score in perfect.per_label.values())
    # By text and by label the counts are the same ones.
    by_hand: Counter[str] = Counter()
    for i, counts in enumerate(scores.by_text):
        assert measure([gold[i]], [predicted[i]]).per_label == counts
        by_hand.update({label: score.correct for label, score in counts.items()})
    assert by_hand == pytest.approx({label: score.correct for label, score in scores.per_label.items()})


def spans(text, *found):
    return Extraction.of(text, TASK, [Span(label, text[start:end], start, end) for label, start, end in found])


TEXT = "Ada Lovelace met Charles Babbage"


@pytest.mark.parametrize(
    ("predicted", "offsets", "strings"),
    [
        ([("x", 0, 12), ("x", 17, 32)], 2, 2),
        ([("x", 0, 12), ("x", 25, 32)], 1.5, 1 + 2 / 3),
        ([("x", 0, 3), ("x", 25, 32)], 1, 4 / 3),
        ([("x", 0, 3), ("x", 4, 12)], 0.5, 2 / 3),  # one of the two is paired, the other is not
        ([("y", 0, 12)], 0, 0),
        ([], 0, 0),
    ],
)
def test_partly_right_spans(predicted, offsets, strings):
    gold, given = [spans(TEXT, ("x", 0, 12), ("x", 17, 32))], [spans(TEXT, *predicted)]
    assert partial_offset_f1(gold, given).micro == Score(offsets, len(predicted), 2)
    assert partial_string_f1(gold, given).micro.correct == pytest.approx(strings)


def test_chinese_strings_are_compared_by_character():
    gold, predicted = spans("北京大学在北京", ("x", 0, 4)), spans("北京大学在北京", ("x", 5, 7))
    assert partial_string_f1([gold], [predicted]).micro.f1 == pytest.approx(2 / 3)
    assert partial_offset_f1([gold], [predicted]).micro.f1 == 0.0


def test_absent_labels():
    gold = [spans("Ada ran", ("x", 0, 3)), spans("he ran")]
    predicted = [spans("Ada ran"), spans("he ran", ("y", 0, 2))]
    scores = absence_f1(gold, predicted)
    assert scores.per_label == {"x": Score(1, 2, 1), "y": Score(1, 1, 2)}
    assert scores.micro == Score(2, 3, 3)
