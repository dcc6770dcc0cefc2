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


def permutation(size: int, *purpose: object) -> np.ndarray:
    """Return a permutation of ``range(size)`` that belongs to a purpose; int64 ``[size]``."""
    return np.random.Generator(np.random.PCG64(_seed(purpose))).permutation(size)


def _seed(purpose: tuple[object, ...]) -> int:
    key = hashlib.blake2b("/".join(map(str, purpose)).encode(), digest_size=8).digest()
    return int.from_bytes(key, "big")
