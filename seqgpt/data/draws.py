"""Random draws that are a function of what they are for, and of nothing else.

A run that is resumed sees what an uninterrupted one would, and the number of workers and processes makes no difference.
"""

from __future__ import annotations

import hashlib
import random

import numpy as np


def draw(*purpose: object) -> random.Random:
    """Return the random generator of a purpose: seed, epoch, example, and what is drawn."""
    return random.Random(_seed(purpose))  # noqa: S311 (not for secrets)


class Draws:
    """The random generators of many purposes that begin alike: those of ``draw(*purpose, n)`` for numbers ``n``.

    Args:
        purpose: What they have in common.
    """

    def __init__(self, *purpose: object) -> None:
        self._begun = _begin((*purpose, ""))

    def draw(self, number: int) -> random.Random:
        """Return the random generator of one of them."""
        key = self._begun.copy()
        key.update(str(number).encode())
        return random.Random(int.from_bytes(key.digest(), "big"))  # noqa: S311 (not for secrets)


def permutation(size: int, *purpose: object) -> np.ndarray:
    """Return a permutation of ``range(size)`` that belongs to a purpose; int64 ``[size]``."""
    return np.random.Generator(np.random.PCG64(_seed(purpose))).permutation(size)


def _seed(purpose: tuple[object, ...]) -> int:
    return int.from_bytes(_begin(purpose).digest(), "big")


def _begin(purpose: tuple[object, ...]) -> hashlib.blake2b:
    return hashlib.blake2b("/".join(map(str, purpose)).encode(), digest_size=8)
