"""What is known of the labels of a source: names, meanings, how often each holds, and which of them imply another."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import accumulate

_WORD = re.compile(r"[\W_]+")
_RESIDUAL = re.compile(r"(?i)\b(others?|none|misc\w*|unknown|all|both|neither|any)\b|其他|其它|其余|以上|无|未知|都")
_TABLES = 1000  # label sets that a book remembers


@dataclass(frozen=True)
class LabelEntry:
    """What is known of a label.

    Attributes:
        names: Its words in each language.
        description: What it means; empty if its words say it.
    """

    names: Mapping[str, str] = field(hash=False)
    description: str = ""


class LabelTable:
    """How frequent and how alike the labels of a set are.

    Attributes:
        sums: How often they hold, added up.
        implied: For each label the numbers of those that hold where it does: its synonyms and parents.
        residual: Whether one of them means "other", "none of these" or the like.
    """

    def __init__(self, labels: Sequence[str], counts: Sequence[int], book: LabelBook) -> None:
        self.sums = list(accumulate(counts))
        self.implied = [
            frozenset(j for j, other in enumerate(labels) if i != j and implies(label, other, book))
            for i, label in enumerate(labels)
        ]
        self.residual = any(_RESIDUAL.search(label) for label in labels)
        self._pairs = [_pairs(label) for label in labels]
        self._alike: dict[int, list[int]] = {}

    def alike(self, label: int) -> list[int]:
        """Return the labels by number, the most like a given one first, by the pairs of letters that they share."""
        if label not in self._alike:
            mine = self._pairs[label]
            self._alike[label] = sorted(range(len(self._pairs)), key=lambda i: -_overlap(mine, self._pairs[i]))
        return self._alike[label]


class LabelBook:
    """What is known of the labels of a source.

    Args:
        entries: The labels of a source by its own words.
        language: The language of its own words.
        counts: How often each label holds; of examples that bring their own labels, all labels of the source.
        closed: Whether all examples have the same labels; then those of no other example are shown.

    Attributes:
        descriptions: What its labels mean, of those that are described.
    """

    def __init__(
        self,
        entries: Mapping[str, LabelEntry] | None = None,
        language: str = "",
        counts: Mapping[str, int] | None = None,
        *,
        closed: bool = True,
    ) -> None:
        self.entries = dict(entries or {})
        self.language = language
        self.closed = closed
        self._counts = Counter(counts or {})
        self.descriptions = {label: entry.description for label, entry in self.entries.items() if entry.description}
        self._tables: dict[tuple[str, ...], LabelTable] = {}
        self._translations: dict[tuple[str, ...], list[tuple[str, ...]]] = {}

    def table(self, labels: tuple[str, ...]) -> LabelTable:
        """Return how frequent and how alike the labels of a set are."""
        if labels not in self._tables:
            if len(self._tables) >= _TABLES:  # examples that bring their own labels
                self._tables.clear()
            self._tables[labels] = LabelTable(labels, [self._counts[label] + 1 for label in labels], self)
        return self._tables[labels]

    def translated(self, labels: tuple[str, ...], random_: random.Random) -> tuple[str, ...] | None:
        """Return the names of labels in one of the other languages that all of them have; None if there is none."""
        if labels not in self._translations:
            self._translations[labels] = self._translate(labels)
        found = self._translations[labels]
        return random_.choice(found) if found else None

    def _translate(self, labels: tuple[str, ...]) -> list[tuple[str, ...]]:
        if not all(label in self.entries for label in labels):
            return []
        known = set.intersection(*(set(self.entries[label].names) for label in labels)) - {self.language}
        named = [tuple(self.entries[label].names[language] for label in labels) for language in sorted(known)]
        return [names for names in named if len(set(names)) == len(names)]

    @cached_property
    def pool(self) -> tuple[list[str], list[int]]:
        """All labels of the source, and how often they hold, added up."""
        labels = sorted(self._counts)
        return labels, list(accumulate(self._counts[label] + 1 for label in labels))

    def most_alike(self, label: str, among: Collection[str]) -> str:
        """Return which of some other labels is most like a label, by the pairs of letters that they share."""
        mine = _pairs(label)
        return max(among, key=lambda other: (_overlap(mine, _pairs(other)), other))


def implies(label: str, other: str, book: LabelBook | None = None) -> bool:
    """Tell whether another label holds where one does: a synonym of it, or its parent.

    >>> implies("start date", "date"), implies("date", "start date"), implies("历史人物", "人物")
    (True, False, True)
    """
    theirs = _words(other)
    if (theirs and theirs <= _words(label)) or (not (label.isascii() or other.isascii()) and label.endswith(other)):
        return True
    return book is not None and _share_a_name(label, other, book)


def too_close(label: str, others: Iterable[str], book: LabelBook | None = None) -> bool:
    """Tell whether a label may hold because another one does: a synonym of it, its parent, or its child.

    Two labels are too close if they are the same but for case and plural; if the words of one are among those of the
    other ("date", "start date"); or if they have one name in some language.

    >>> too_close("Dates", ["start date"]), too_close("place", ["person", "start date"])
    (True, False)
    """
    mine = _words(label)
    for other in others:
        theirs = _words(other)
        if (
            mine <= theirs
            or theirs <= mine
            or _contains(label, other)
            or (book is not None and _share_a_name(label, other, book))
        ):
            return True
    return False


def _share_a_name(label: str, other: str, book: LabelBook) -> bool:
    """Tell whether two labels are called the same in some language."""
    mine, theirs = book.entries.get(label), book.entries.get(other)
    return bool(mine and theirs and set(mine.names.items()) & set(theirs.names.items()))


def _words(label: str) -> set[str]:
    return {word.removesuffix("s") for word in _WORD.sub(" ", label).casefold().split()}


def _contains(one: str, other: str) -> bool:
    """Tell whether one of two labels without spaces holds the other: 开始日期 and 日期."""
    if one.isascii() or other.isascii():
        return False
    return one in other or other in one


def _pairs(label: str) -> set[str]:
    return {label[i : i + 2].casefold() for i in range(max(len(label) - 1, 1))}


def _overlap(one: set[str], other: set[str]) -> float:
    return len(one & other) / len(one | other)
