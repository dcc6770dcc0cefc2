"""Tokens that stand in the same company get like embeddings; those that never come get none."""

import numpy as np
from embeddings import count_pairs, embed


def corpus() -> np.ndarray:
    """Sentences in which 0 and 1 stand for one another, and 2 and 3; 9 never comes."""
    draw = np.random.default_rng(0)
    sentences = [
        (draw.integers(0, 2), 4, 5) if draw.random() < 0.5 else (draw.integers(2, 4), 6, 7) for _ in range(2000)
    ]
    return np.array([(*one, 8, 8, 8, 8) for one in sentences], dtype=np.uint16).ravel()


def test_pairs_are_counted_both_ways_and_nearer_ones_more():
    pairs = count_pairs(np.array([0, 1, 2], dtype=np.uint16), 3).toarray()
    assert pairs.tolist() == [[0, 1, 0.5], [1, 0, 1], [0.5, 1, 0]]


def test_like_company_like_embedding():
    found = embed(corpus(), vocab_size=10, width=4)
    alike = found @ found.T
    assert alike[0, 1] > 0.9
    assert alike[0, 2] < 0.5
    assert alike[2, 3] > 0.9
    assert not found[9].any()
    np.testing.assert_allclose(np.linalg.norm(found[:9], axis=1), 1, rtol=1e-5)
