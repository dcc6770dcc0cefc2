"""What is known of the labels of a source: names, meanings, how often each holds, and which of them imply another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from itertools import accumulate

_WORD = re.compile(r"[\W_]+")
_RESIDUAL = re.compile(r"(?i)\b(others?|none|misc\w*|unknown|all|both|neither|any)\b|其他|其它|其余|以上|无|未知|都")
_TABLES = 1000  # label sets that a book remembers
_REMEMBERED = 10_000  # labels of which the words and the pairs of letters are remembered


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
    """What is known of the labels of a set together; each part is computed when it is first asked for."""

    def __init__(self, labels: tuple[str, ...], book: LabelBook) -> None:
        self._labels = labels
        self._book = book
        self._alike: dict[int, list[int]] = {}
        self._implied: dict[int, frozenset[int]] = {}

    def __len__(self) -> int:
        return len(self._labels)

    @cached_property
    def sums(self) -> list[int]:
        """How often they hold, added up."""
        return list(accumulate(self._book.count(label) + 1 for label in self._labels))

    def implied(self, label: int) -> frozenset[int]:
        """Return the numbers of the labels that hold where a given one does: its synonyms and parents."""
        if label not in self._implied:
            words = self._labels[label]
            others = (j for j, other in enumerate(self._labels) if j != label and implies(words, other, self._book))
            self._implied[label] = frozenset(others)
        return self._implied[label]

    @cached_property
    def residual(self) -> bool:
        """Whether one of them means "other", "none of these" or the like."""
        return any(_RESIDUAL.search(label) for label in self._labels)

    @cached_property
    def wordings(self) -> list[tuple[str, ...]]:
        """Their own words, and their names in each of the other languages that all of them have."""
        entries = [self._book.entries.get(label) for label in self._labels]
        known = set.intersection(*(set(entry.names if entry else ()) for entry in entries)) - {self._book.language}
        named = [tuple(entry.names[language] for entry in entries if entry) for language in sorted(known)]
        return [self._labels, *(names for names in named if len(set(names)) == len(names))]

    def alike(self, label: int) -> list[int]:
        """Return the labels by number, the most like a given one first, by the pairs of letters that they share."""
        if label not in self._alike:
            mine = self._pairs[label]
            self._alike[label] = sorted(range(len(self._pairs)), key=lambda i: -_overlap(mine, self._pairs[i]))
        return self._alike[label]

    @cached_property
    def _pairs(self) -> list[frozenset[str]]:
        return [_pairs(label) for label in self._labels]


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
        self._latest: tuple[str, ...] = ()
        self._latest_table = LabelTable((), self)

    def count(self, label: str) -> int:
        """Return how often a label holds."""
        return self._counts[label]

    def table(self, labels: tuple[str, ...]) -> LabelTable:
        """Return what is known of the labels of a set together."""
        if labels is not self._latest:  # where all examples have the same ones, these need not be hashed every time
            if labels not in self._tables:
                if len(self._tables) >= _TABLES:  # examples that bring their own labels
                    self._tables.clear()
                self._tables[labels] = LabelTable(labels, self)
            self._latest, self._latest_table = labels, self._tables[labels]
        return self._latest_table

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


@lru_cache(maxsize=_REMEMBERED)
def _words(label: str) -> frozenset[str]:
    return frozenset(word.removesuffix("s") for word in _WORD.sub(" ", label).casefold().split())


def _contains(one: str, other: str) -> bool:
    """Tell whether one of two labels without spaces holds the other: 开始日期 and 日期."""
    if one.isascii() or other.isascii():
        return False
    return one in other or other in one


@lru_cache(maxsize=_REMEMBERED)
def _pairs(label: str) -> frozenset[str]:
    return frozenset(label[i : i + 2].casefold() for i in range(max(len(label) - 1, 1)))


def _overlap(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other)
