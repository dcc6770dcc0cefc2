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


def order_by(keys: np.ndarray, *purpose: object) -> np.ndarray:
    """Return a random order that belongs to a purpose, in which equal keys come one after the other; int64 ``[keys]``.

    The keys are sorted by their hashes (the mixing of SplitMix64, Steele et al. 2014), which the purpose seeds.

    Args:
        keys: uint64 ``[keys]``.
        purpose: What the order is for.
    """
    mixed = keys ^ np.uint64(_seed(purpose))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.argsort(mixed ^ (mixed >> np.uint64(31)), kind="stable")


def _seed(purpose: tuple[object, ...]) -> int:
    return _hash(_key(purpose))


def _key(purpose: tuple[object, ...]) -> bytes:
    return "/".join(map(str, purpose)).encode()


def _hash(key: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
