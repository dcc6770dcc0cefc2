"""Where a mention stands that a teacher wrote down: letter by letter, or as nearly as it can be told.

Teachers change case, width, accents, quotes and white space when they copy. Such a mention is found by comparing copies
of both in which these are the same; what is kept is the string of the text, with its own offsets.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from seqgpt.about import Place
from seqgpt.grounding import occurrences

_SAME = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "–": "-", "—": "-", "‑": "-", "−": "-"})
_AROUND = "\"'“”‘’`.,;:!?，。；：！？、 "
_NO_SPACES = frozenset({"Lo"})  # letters of scripts without case, which stand without spaces for our purposes


@dataclass(frozen=True)
class Found:
    """Where a mention stands.

    Attributes:
        places: All its places, in order; none if it is not there.
        exact: It stands there as it was written.
        inside_words: It is there, but only as a part of words.
    """

    places: tuple[Place, ...]
    exact: bool = True
    inside_words: bool = False


def find_mention(mention: str, text: str) -> Found:
    """Find all places of a mention in a text, no part of a word among them.

    >>> find_mention("New york", "In New York")
    Found(places=(Place(text='New York', start=3),), exact=False, inside_words=False)
    >>> find_mention("art", "a party")
    Found(places=(), exact=True, inside_words=True)
    >>> find_mention("人", "人们").places
    (Place(text='人', start=0),)
    """
    written = mention.strip()
    inside = False
    for string in dict.fromkeys((written, written.strip(_AROUND))):
        starts = occurrences(string, text)
        whole = [start for start in starts if _is_whole(text, start, start + len(string))]
        if whole:
            return Found(_apart([Place(string, start) for start in whole]), exact=string == mention)
        inside = inside or bool(starts)
    if inside:
        return Found((), inside_words=True)
    return _align(written.strip(_AROUND) or written, text)


def _align(mention: str, text: str) -> Found:
    wanted = _folded(mention)[0]
    folded, origins = _folded(text)
    spans = [(origins[start], origins[start + len(wanted) - 1] + 1) for start in occurrences(wanted, folded)]
    whole = [(start, end) for start, end in spans if _is_whole(text, start, end)]
    places = _apart([Place(text[start:end], start) for start, end in whole])
    return Found(places, exact=False, inside_words=bool(spans) and not places)


def _apart(places: list[Place]) -> tuple[Place, ...]:
    """Return places of which none overlaps one before it."""
    kept: list[Place] = []
    for place in places:
        if not kept or place.start >= kept[-1].start + len(kept[-1].text):
            kept.append(place)
    return tuple(kept)


@lru_cache(maxsize=256)
def _folded(words: str) -> tuple[str, tuple[int, ...]]:
    """Return a copy without case, width, accents and white space; and where each of its characters comes from."""
    letters: list[str] = []
    origins: list[int] = []
    for place, letter in enumerate(words):
        for one in unicodedata.normalize("NFKD", letter.translate(_SAME)).casefold():
            if not one.isspace() and unicodedata.category(one) not in ("Mn", "Cf"):
                letters.append(one)
                origins.append(place)
    return "".join(letters), tuple(origins)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Tell whether a stretch begins and ends where words do, in scripts that have spaces between them."""
    return not (
        (start > 0 and _joined(text[start - 1], text[start])) or (end < len(text) and _joined(text[end - 1], text[end]))
    )


def _joined(left: str, right: str) -> bool:
    return _is_of_words(left) and _is_of_words(right)


def _is_of_words(letter: str) -> bool:
    return letter.isalnum() and unicodedata.category(letter) not in _NO_SPACES
