import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.evaluation.scoring.reliability import Bin, calibration_error, reliability
from seqgpt.results import Classification, Extraction, Span
from seqgpt.tasks import AtomicTask

TASK = AtomicTask.extract(["x"])
YES_NO = AtomicTask.classify(["yes", "no"], none=True)


def found(score, *, right):
    gold = Extraction.of("ab", TASK, [Span("x", "a", 0, 1)] if right else [])
    return gold, Extraction.of("ab", TASK, [Span("x", "a", 0, 1, score)])


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=40))
def test_bins_hold_every_answer_once(answers):
    gold, predicted = [list(side) for side in zip(*(found(s, right=r) for s, r in answers), strict=True)] or ([], [])
    ours = reliability(gold, predicted)
    assert sum(one.count for one in ours.bins) == len(answers)
    assert sum(one.count * one.confidence for one in ours.bins) == pytest.approx(sum(score for score, _ in answers))
    assert sum(one.count * one.accuracy for one in ours.bins) == pytest.approx(sum(right for _, right in answers))
    assert list(ours.bins) == sorted(ours.bins, key=lambda one: one.low)
    for one in ours.bins:
        assert one.low - 1e-9 <= one.confidence <= one.high + 1e-9
    gaps = 0.0
    for i in range(10):
        members = [(s, r) for s, r in answers if min(int(s * 10), 9) == i]
        gaps += abs(sum(r for _, r in members) - sum(s for s, _ in members)) / max(len(answers), 1)
    assert ours.error == calibration_error(gold, predicted) == pytest.approx(gaps)


def test_what_a_plot_needs():
    pairs = [found(0.95, right=True), found(1.0, right=False), found(0.25, right=False)]
    ours = reliability([g for g, _ in pairs], [p for _, p in pairs])
    assert ours.bins == (Bin(0.2, 0.3, 0.25, 0.0, 1), Bin(0.9, 1.0, pytest.approx(0.975), 0.5, 2))
    assert ours.to_dict()["bins"][0] == {"low": 0.2, "high": 0.3, "confidence": 0.25, "accuracy": 0.0, "count": 1}


def test_none_of_these_is_an_answer_with_a_probability():
    gold = Classification.of("t", YES_NO, ())
    predicted = Classification.of("t", YES_NO, (), {"yes": 0.125, "no": 0.125})
    assert reliability([gold], [predicted]).bins == (Bin(0.7, 0.8, 0.75, 1.0, 1),)
