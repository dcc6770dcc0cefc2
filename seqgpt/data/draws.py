"""Random draws that are a function of what they are for, and of nothing else.

A run that is resumed sees what an uninterrupted one would, and the number of workers and processes makes no difference.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator
from itertools import count
from struct import Struct

import numpy as np

Uniform = Callable[[], float]
"""Gives another number from 0 to 1, without 1, whenever it is called: ``random.random``, or what ``Draws`` give."""

_BLOCK = Struct("<16I")


def draw(*purpose: object) -> random.Random:
    """Return the random generator of a purpose: seed, epoch, example, and what is drawn."""
    return random.Random(_seed(purpose))  # noqa: S311 (not for secrets)


class Draws:
    """The random numbers of many purposes that begin alike.

    They come from hashes, sixteen from each, and none is computed before it is asked for: where little is drawn for
    each of many examples, that is several times as fast as seeding a ``random.Random`` for each.

    Args:
        purpose: What they have in common.
    """

    def __init__(self, *purpose: object) -> None:
        self._begun = _key((*purpose, ""))

    def uniform(self, number: int) -> Uniform:
        """Return the numbers of one of them, a function of what they have in common and of its own number."""
        return _numbers(self._begun + b"%d/" % number).__next__


def shuffle(items: list[int], uniform: Uniform) -> None:
    """Put a list into a random order, in place."""
    for i in range(len(items) - 1, 0, -1):
        j = int(uniform() * (i + 1))
        items[i], items[j] = items[j], items[i]


def sample(items: list[int], size: int, uniform: Uniform) -> list[int]:
    """Return as many of the items as asked for, each set of them as likely as any other; the list is reordered."""
    for i in range(size):
        j = i + int(uniform() * (len(items) - i))
        items[i], items[j] = items[j], items[i]
    return items[:size]


def order_by(keys: np.ndarray, times: np.ndarray, *purpose: object) -> np.ndarray:
    """Return a random order that belongs to a purpose, in which equal keys come one after the other; int64 ``[keys]``.

    The keys are sorted by their hashes (SplitMix64, Steele et al. 2014), which the purpose seeds.

    Args:
        keys: uint64 ``[keys]``.
        times: How often the same thing came before; what comes again is not equal to what it was. int ``[keys]``.
        purpose: What the order is for.
    """
    mixed = (keys + times.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) ^ np.uint64(_seed(purpose))
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed = (mixed ^ (mixed >> np.uint64(shift))) * np.uint64(factor)
    return np.argsort(mixed ^ (mixed >> np.uint64(31)), kind="stable")


def _seed(purpose: tuple[object, ...]) -> int:
    return _hash(_key(purpose))


def _numbers(key: bytes) -> Iterator[float]:
    for block in count():
        for number in _BLOCK.unpack(hashlib.blake2b(key + b"%d" % block).digest()):
            yield number * 2.0**-32


def _key(purpose: tuple[object, ...]) -> bytes:
    return "/".join(map(str, purpose)).encode()


def _hash(key: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big")
