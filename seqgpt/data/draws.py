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
        self._begun = _key((*purpose, ""))

    def draw(self, number: int) -> random.Random:
        """Return the random generator of one of them."""
        return random.Random(_hash(self._begun + str(number).encode()))  # noqa: S311 (not for secrets)


def permutation(size: int, *purpose: object) -> np.ndarray:
    """Return a permutation of ``range(size)`` that belongs to a purpose; int64 ``[size]``."""
    return np.random.Generator(np.random.PCG64(_seed(purpose))).permutation(size)


def _seed(purpose: tuple[object, ...]) -> int:
    return _hash(_key(purpose))


def _key(purpose: tuple[object, ...]) -> bytes:
    return "/".join(map(str, purpose)).encode()


def _hash(key: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
