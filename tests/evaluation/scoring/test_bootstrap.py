"""Resampled sums are what the measures say of resampled texts; intervals are scipy's; the test is level."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from seqgpt.errors import DataError
from seqgpt.evaluation.scoring.bootstrap import Difference, Interval, interval, macro_f1, mean, micro_f1, paired_test
from seqgpt.evaluation.scoring.classes import class_scores
from seqgpt.evaluation.scoring.spans import absence_f1, offset_f1, partial_offset_f1, partial_string_f1, string_f1
from tests.strategies import classification_pairs, extraction_pairs, quick

MEASURES = [offset_f1, string_f1, partial_offset_f1, partial_string_f1, absence_f1]

pairs_of_texts = st.lists(extraction_pairs(), min_size=1, max_size=6)


def resampled(n, seed, draws):
    """Draw texts one by one, as slowly as it is written."""
    generator = np.random.default_rng(seed)
    for _ in range(draws):
        yield [int(i) for i in generator.integers(n, size=n)]


@pytest.mark.slow
@quick
@pytest.mark.parametrize("measure", MEASURES)
@given(pairs=pairs_of_texts, seed=st.integers(0, 99))
def test_f1_is_that_of_the_texts_drawn(measure, pairs, seed):
    scores = measure([g for g, _ in pairs], [p for _, p in pairs])
    drawn = [[pairs[i] for i in texts] for texts in resampled(len(pairs), seed, 12)]
    slowly = [measure([g for g, _ in some], [p for _, p in some]) for some in drawn]
    for counts, value, values in (
        (micro_f1(scores), scores.micro.f1, [one.micro.f1 for one in slowly]),
        (macro_f1(scores), scores.macro_f1, [one.macro_f1 for one in slowly]),
    ):
        ours = interval(counts, seed=seed, draws=12)
        low, high = np.quantile(values, [0.025, 0.975])
        assert (ours.value, ours.low, ours.high) == pytest.approx((value, low, high))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=20), st.integers(0, 99))
def test_a_mean_is_that_of_the_texts_drawn(values, seed):
    ours = interval(mean(values), seed=seed, draws=12)
    low, high = np.quantile(
        [np.mean([values[i] for i in texts]) for texts in resampled(len(values), seed, 12)], [0.025, 0.975]
    )
    assert (ours.value, ours.low, ours.high) == pytest.approx((np.mean(values), low, high))


@quick
@given(st.lists(st.one_of(classification_pairs(), classification_pairs(multi_label=True)), min_size=1, max_size=9))
def test_numbers_of_a_classification_are_those_of_its_scores(pairs):
    scores = class_scores([g for g, _ in pairs], [p for _, p in pairs])
    for counts, value in (
        (mean(scores.right_by_text), scores.accuracy),
        (micro_f1(scores.f1), scores.f1.micro.f1),
        (macro_f1(scores.f1), scores.f1.macro_f1),
    ):
        assert counts.value == pytest.approx(value)


def test_intervals_are_scipy_s():
    values = np.random.default_rng(1).beta(2, 1, size=60)
    ours = interval(mean(list(values)), draws=5000)
    theirs = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=5000, rng=2).confidence_interval
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.004)


scores = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=30)


@given(scores)
def test_the_other_way_round_the_difference_has_the_other_sign(pairs):
    one, other = mean([a for a, _ in pairs]), mean([b for _, b in pairs])
    ours, turned = paired_test(one, other, draws=100), paired_test(other, one, draws=100)
    assert (turned.value, turned.low, turned.high) == pytest.approx((-ours.value, -ours.high, -ours.low))
    assert turned.p == ours.p
    assert 0 < ours.p <= 1


@pytest.mark.slow
@quick
@given(pairs=pairs_of_texts)
def test_a_predictor_is_no_better_than_itself(pairs):
    counts = macro_f1(offset_f1([g for g, _ in pairs], [p for _, p in pairs]))
    assert paired_test(counts, counts, draws=20) == Difference(0.0, 0.0, 0.0, 1.0)


def test_the_test_is_that_of_the_differences_of_each_text():
    generator = np.random.default_rng(0)
    one, other = generator.random(40), generator.random(40) - 0.1
    ours = paired_test(mean(list(one)), mean(list(other)), draws=200, seed=3)
    drawn = np.array([(one - other)[texts].mean() for texts in resampled(40, 3, 200)])
    assert (ours.low, ours.high) == pytest.approx(tuple(np.quantile(drawn, [0.025, 0.975])))
    observed = (one - other).mean()
    assert ours.p == (1 + np.sum(np.abs(drawn - observed) >= abs(observed))) / 201


@pytest.mark.slow
def test_equal_predictors_seldom_seem_different():
    generator = np.random.default_rng(0)
    p = [paired_test(mean(a), mean(b), draws=99).p for a, b in generator.random((300, 2, 50))]
    assert 0.02 < np.mean(np.array(p) <= 0.05) < 0.09
    assert np.mean(p) == pytest.approx(0.5, abs=0.05)


def test_what_is_better_on_every_text_is_better():
    assert paired_test(mean([1.0] * 30), mean([0.0] * 30)) == Difference(1.0, 1.0, 1.0, 1 / 1001)
    assert interval(mean([True, True])) == Interval(1.0, 1.0, 1.0)
    assert Difference(0.1, 0.0, 0.2, 0.05).to_dict() == {"value": 0.1, "low": 0.0, "high": 0.2, "p": 0.05}
    assert interval(mean([True, True])).to_dict() == {"value": 1.0, "low": 1.0, "high": 1.0}


def test_what_cannot_be_resampled():
    with pytest.raises(DataError, match="no text to resample"):
        interval(mean([]))
    with pytest.raises(DataError, match="one predictor answered 1 texts, the other 2"):
        paired_test(mean([1.0]), mean([1.0, 0.0]))
