"""Texts that are nearly the same, found without comparing each with all.

Two texts are compared by the sets of their short strings of letters (shingles; Jaccard similarity). Which are compared
at all is decided by MinHash in bands: of two texts with 80 % in common one pair in five thousand is overlooked.

Source: Broder 1997, "On the resemblance and containment of documents"; bands as in Leskovec, Rajaraman and Ullman,
"Mining of Massive Datasets", chapter 3.
"""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict

import numpy as np

_BANDS, _ROWS = 16, 4
_SHINGLE = {"en": 5, "zh": 3}  # letters
_NO_LETTERS = re.compile(r"[\W_]+")
_MIX = np.uint64(0x9E3779B97F4A7C15)
_HALF = np.uint64(32)
_RANDOM = np.random.default_rng(0).integers(1, 2**63, (2, _BANDS * _ROWS, 1), dtype=np.uint64)
_FACTORS, _TERMS = _RANDOM[0] | np.uint64(1), _RANDOM[1]


class NearDuplicates:
    """The texts that were kept so far.

    Args:
        similarity: Of two texts that have more than this in common, the second is a near duplicate.
    """

    def __init__(self, similarity: float = 0.8) -> None:
        self._similarity = similarity
        self._kept: list[tuple[str, str]] = []
        self._bands: list[dict[bytes, list[int]]] = [defaultdict(list) for _ in range(_BANDS)]

    def is_one(self, text: str, language: str = "en") -> bool:
        """Tell whether a text is a near duplicate of one that was kept; if not, keep it.

        >>> kept = NearDuplicates()
        >>> [kept.is_one(text) for text in ("The cat sat on the mat.", "the cat sat on the mat", "A dog ran away.")]
        [False, True, False]
        """
        shingles = _shingles(text, language)
        signature = _signature(shingles)
        keys = [signature[i * _ROWS : (i + 1) * _ROWS].tobytes() for i in range(_BANDS)]
        candidates = {number for band, key in zip(self._bands, keys, strict=True) for number in band.get(key, ())}
        if any(_similarity(shingles, _shingles(*self._kept[one])) > self._similarity for one in sorted(candidates)):
            return True
        for band, key in zip(self._bands, keys, strict=True):
            band[key].append(len(self._kept))
        self._kept.append((text, language))
        return False


def _shingles(text: str, language: str) -> np.ndarray:
    """Return hashes of the strings of so many letters that a text has; uint64, sorted, each once."""
    letters = _NO_LETTERS.sub("", unicodedata.normalize("NFKC", text).casefold()) or text
    size = min(_SHINGLE[language], len(letters))
    codes = np.frombuffer(letters.encode("utf-32-le"), dtype=np.uint32).astype(np.uint64)
    count = len(codes) - size + 1
    hashes = np.zeros(count, dtype=np.uint64)
    for i in range(size):
        hashes = (hashes ^ codes[i : i + count]) * _MIX
        hashes ^= hashes >> _HALF
    return np.unique(hashes)


def _signature(shingles: np.ndarray) -> np.ndarray:
    """Return the least hash under each of the random functions; uint64 ``[bands * rows]``."""
    least: np.ndarray = ((shingles[None, :] * _FACTORS + _TERMS) >> _HALF).min(axis=1)
    return least


def _similarity(one: np.ndarray, other: np.ndarray) -> float:
    both = len(np.intersect1d(one, other, assume_unique=True))
    return both / (len(one) + len(other) - both)
