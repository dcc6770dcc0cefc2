r"""Say of each token of the vocabulary which tokens it stands beside: a start for the embeddings of a language model.

    python scripts/bundled/embeddings.py --tokens runs/bundled/tokens --vocab-size 16384 --width 256 \
        --output runs/bundled/embeddings.npy

Counts which tokens stand within four tokens of one another, takes positive pointwise mutual information, and of that
the largest singular directions: what GloVe and word2vec come to (Levy and Goldberg 2014), in a few CPU minutes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from scipy.sparse import csr_matrix
from sklearn.utils.extmath import randomized_svd

_WINDOW = 4  # tokens on each side
_TOGETHER = 4_000_000  # tokens counted at once
_SMOOTHING = 0.75  # of context frequencies, so that rare contexts do not rule


def count_pairs(tokens: np.ndarray, vocab_size: int) -> csr_matrix:
    """Count how often two tokens stand near one another, nearer ones more; symmetric, float32 ``[V, V]``."""
    total = csr_matrix((vocab_size, vocab_size), dtype=np.float32)
    for begin in range(0, len(tokens), _TOGETHER):
        some = np.asarray(tokens[begin : begin + _TOGETHER], dtype=np.int32)
        for distance in range(1, min(_WINDOW, len(some) - 1) + 1):
            weights = np.full(len(some) - distance, 1 / distance, dtype=np.float32)
            total += csr_matrix((weights, (some[:-distance], some[distance:])), shape=total.shape)
    return (total + total.T).tocsr()


def mutual_information(pairs: csr_matrix) -> csr_matrix:
    """Return positive pointwise mutual information of counted pairs; float32 ``[V, V]``."""
    table = pairs.tocoo()
    words = np.asarray(pairs.sum(axis=1)).ravel()
    contexts = words**_SMOOTHING
    information = np.log(table.data * contexts.sum() / (words[table.row] * contexts[table.col]))
    known = information > 0
    values = information[known].astype(np.float32)
    return csr_matrix((values, (table.row[known], table.col[known])), shape=pairs.shape)


def embed(tokens: np.ndarray, vocab_size: int, width: int) -> np.ndarray:
    """Return an embedding of each token; those that never come are zero. Float32 ``[V, width]``, rows of length 1."""
    left, values, _ = randomized_svd(
        mutual_information(count_pairs(tokens, vocab_size)), width, n_iter=3, random_state=0
    )
    found = left * np.sqrt(values)
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.where(lengths > 0, lengths, 1), dtype=np.float32)


def main() -> None:
    """Count, reduce, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=Path, required=True, help="folder of train.npy")
    parser.add_argument("--vocab-size", type=int, required=True)
    parser.add_argument("--width", type=int, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    tokens = np.load(options.tokens / "train.npy", mmap_mode="r")
    np.save(options.output, embed(tokens, options.vocab_size, options.width))


if __name__ == "__main__":
    main()
