"""Both pairings are the best there are: scipy finds none better."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from seqgpt.evaluation.scoring.pairing import best_assignment, pair_overlapping
from tests.strategies import extraction_pairs

matrices = st.tuples(st.integers(1, 7), st.integers(0, 7)).flatmap(
    lambda shape: arrays(float, shape, elements=st.sampled_from([0.0, 0.25, 1 / 3, 0.5, 2 / 3, 1.0]))
)


@given(extraction_pairs())
def test_as_many_overlapping_spans_are_paired_as_can_be(pair):
    gold, predicted = pair[0].spans, pair[1].spans
    pairs = pair_overlapping(gold, predicted)
    assert all(g.start < p.end and p.start < g.end for g, p in pairs)
    for side, spans in enumerate((gold, predicted)):
        paired = [one[side] for one in pairs]
        assert len(set(map(id, paired))) == len(paired)
        assert set(map(id, paired)) <= set(map(id, spans))
    overlap = np.array([[g.start < p.end and p.start < g.end for p in predicted] for g in gold], dtype=float)
    assert len(pairs) == best_of_scipy(overlap.reshape(len(gold), len(predicted)))


@given(matrices)
def test_the_best_assignment_is_scipy_s(credit):
    assert abs(best_assignment(credit) - best_of_scipy(credit)) < 1e-9
    assert abs(best_assignment(credit.T) - best_of_scipy(credit)) < 1e-9


def best_of_scipy(credit):
    return credit[linear_sum_assignment(credit, maximize=True)].sum()
