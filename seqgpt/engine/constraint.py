"""What a model may write next: only strings that stand in the text, only labels that were asked.

Both constraints answer in token ids. :class:`SpanConstraint` walks the bytes of the text, so a span may begin and end
inside the text's own tokens; :class:`ChoiceConstraint` is a trie over whole labels.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import NamedTuple

from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.rendered import Mark
from seqgpt.templates.marks import END, NEXT, NONE, SKIP, lead

Offsets = tuple[int, int]
"""Start and end of a span, in characters."""

BEFORE_ALL: Offsets = (-1, -1)


class Threads(NamedTuple):
    """A half-written span.

    Attributes:
        starts: The characters at which it may begin, ascending: what is written stands in the text at each of them.
        written: Number of its bytes that are written.
    """

    starts: tuple[int, ...]
    written: int


class SpanConstraint:
    """All strings of one text, as tokens.

    A span does not begin or end with white space. The state of a half-written span is a value, so one constraint
    serves all labels of a text.

    Built in O(bytes of the text × tokens that begin at a byte), a handful for any text. A step costs as much for the
    places where what is written stands, which are few, unless a text repeats one character.
    """

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self.text = text
        self._vocabulary = vocabulary
        self._stop = len(text.rstrip())
        self._bytes = text[: self._stop].encode()
        # Byte offset of each character, and of the end: a span starts and ends on these.
        self._offsets = [0, *accumulate(len(char.encode()) for char in text[: self._stop])]
        self.starts = tuple(i for i in range(self._stop) if not text[i].isspace())
        self._places: dict[str, list[int]] = {}
        for start in self.starts:
            self._places.setdefault(text[start], []).append(start)
        self._at: dict[int, list[tuple[int, int]]] = {}
        self._first = self._all_first_tokens()

    def first_tokens(self, after: Offsets = BEFORE_ALL) -> dict[int, Threads]:
        """Return the tokens that may begin a span later than ``after``, and where they lead."""
        if after == BEFORE_ALL:
            return self._first
        # A longer span from the same start is later, too, if the text goes on.
        low = after[0] if after[1] < self._stop else after[0] + 1
        return {
            token: Threads(starts[cut:], written)
            for token, (starts, written) in self._first.items()
            if (cut := bisect_left(starts, low)) < len(starts)
        }

    def next_tokens(self, threads: Threads) -> dict[int, Threads]:
        """Return the tokens that may go on with a half-written span, and where they lead."""
        following: dict[int, list[int]] = {}
        grown: dict[int, int] = {}
        for start in threads.starts:
            for token, length in self._tokens_at(self._offsets[start] + threads.written):
                following.setdefault(token, []).append(start)
                grown[token] = length
        return {token: Threads(tuple(at), threads.written + grown[token]) for token, at in following.items()}

    def closable(self, threads: Threads, after: Offsets) -> list[Offsets]:
        """Return the spans later than ``after`` that what is written may stand for, in text order; maybe none."""
        first = threads.starts[0]
        length = self._end(first, threads.written) - first
        if self._offsets[first + length] != self._offsets[first] + threads.written:
            return []
        return [(start, start + length) for start in threads.starts if (start, start + length) > after]

    def completable(self, threads: Threads, after: Offsets, skips: int) -> bool:
        """Tell whether what is written can become a span that occurs more than ``skips`` times after ``after``."""
        if len(threads.starts) <= skips:
            return False
        if not skips:
            return True
        counts: Counter[bytes] = Counter()
        for start in threads.starts:
            end = self._end(start, threads.written)
            if (start, end) > after:
                counts[self._bytes[self._offsets[start] + threads.written : self._offsets[end]]] += 1
            else:  # counts only as a longer string than the last span
                longer = self.text[start : self._end(start, self._offsets[after[1]] - self._offsets[start] + 1)]
                if sum(self.text.startswith(longer, other) for other in threads.starts) > skips:
                    return True
        return max(counts.values(), default=0) > skips

    def skippable(self, after: Offsets) -> int:
        """Return how many occurrences may be passed over at most: one less than the commonest character has left."""
        left = (len(places) - bisect_right(places, after[0]) for places in self._places.values())
        return max([1, *left]) - 1

    def ends_with(self, span: Offsets) -> bool:
        """Tell whether no span can follow this one: it is the text's last character."""
        return span == (self._stop - 1, self._stop)

    def _end(self, start: int, written: int) -> int:
        """Return where a span with at least so many bytes can end: after a character that is not white space."""
        end = max(bisect_left(self._offsets, self._offsets[start] + written), start + 1)
        while self.text[end - 1].isspace():
            end += 1
        return end

    def _all_first_tokens(self) -> dict[int, Threads]:
        starts: dict[int, list[int]] = {}
        written: dict[int, int] = {}
        for start in self.starts:
            for token, length in self._first_tokens(start):
                starts.setdefault(token, []).append(start)
                written[token] = length
        return {token: Threads(tuple(at), written[token]) for token, at in starts.items()}

    def _first_tokens(self, start: int) -> list[tuple[int, int]]:
        offset = self._offsets[start]
        if lead(self.text[start]) == self.text[start]:
            return self._tokens_at(offset)
        led = b" " + self._bytes[offset : offset + self._vocabulary.longest]
        return [(token, length - 1) for token, length in self._vocabulary.prefixes(led)]

    def _tokens_at(self, offset: int) -> list[tuple[int, int]]:
        """Return ``(token, length)`` for every token whose bytes stand in the text at a byte offset."""
        if offset not in self._at:
            self._at[offset] = self._vocabulary.prefixes(self._bytes[offset : offset + self._vocabulary.longest])
        return self._at[offset]


class SpanWriter:
    """The grammar of one label's spans, a token at a time: what may come next, and what has been said so far.

    It reads the language that :func:`seqgpt.templates.marks.write_spans` writes, restricted to spans of one text that
    do not begin or end with white space. Whatever is chosen, the answer can be completed.

    Attributes:
        spans: ``(start, end)`` of the spans that are complete.
        done: True once the answer has ended.
    """

    def __init__(self, constraint: SpanConstraint, marks: Mapping[Mark, int]) -> None:
        self._constraint = constraint
        self._none, self._skip, self._next, self._end = (marks[mark] for mark in (NONE, SKIP, NEXT, END))
        self._threads: Threads | None = None
        self._skips = 0
        self.spans: list[Offsets] = []
        self.done = False
        self._following = constraint.first_tokens()

    @property
    def closing(self) -> tuple[int, int]:
        """The two tokens that end a span: the one that another follows, and the one that ends the answer."""
        return self._next, self._end

    def options(self) -> list[int]:
        """Return the tokens that may come next: those of ``closing`` first, *none* last; empty once done."""
        marks = self._marks()
        return [*marks, *self._following] if self._threads else [*self._following, *marks]

    def feed(self, token: int) -> None:
        """Go on with one of the options.

        Raises:
            KeyError: If the token is not an option.
        """
        if token in self._following:
            self._threads = self._following[token]
        elif token not in self._marks():
            raise KeyError(token)
        elif token == self._skip:
            self._skips += 1
        elif token == self._none:
            self.done = True
        else:
            self.spans.append(self._closable()[0])
            self._threads, self._skips = None, 0
            self.done = token == self._end
        self._following = self._follow()

    @property
    def _after(self) -> Offsets:
        return self.spans[-1] if self.spans else BEFORE_ALL

    def _marks(self) -> list[int]:
        if self.done:
            return []
        if self._threads:
            spans = self._closable()
            return [] if not spans else [self._end] if self._constraint.ends_with(spans[0]) else [*self.closing]
        skip = [self._skip] if self._constraint.skippable(self._after) > self._skips else []
        return skip if self.spans or self._skips else [*skip, self._none]

    def _follow(self) -> dict[int, Threads]:
        if self.done:
            return {}
        constraint, after = self._constraint, self._after
        following = constraint.next_tokens(self._threads) if self._threads else constraint.first_tokens(after)
        if not self._skips:
            return following
        return {
            token: threads
            for token, threads in following.items()
            if constraint.completable(threads, after, self._skips)
        }

    def _closable(self) -> list[Offsets]:
        return self._constraint.closable(self._threads, self._after)[self._skips :] if self._threads else []


@dataclass
class ChoiceConstraint:
    """A trie over whole answers: at each node, the tokens that may follow.

    Attributes:
        answers: The token ids of each answer, its end mark included, so that no answer is the prefix of another.
    """

    answers: Sequence[tuple[int, ...]]
    _next: dict[tuple[int, ...], tuple[int, ...]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        following: dict[tuple[int, ...], dict[int, None]] = {}
        for answer in self.answers:
            for i, token in enumerate(answer):
                following.setdefault(answer[:i], {})[token] = None
        self._next = {node: tuple(tokens) for node, tokens in following.items()}

    def next_tokens(self, written: tuple[int, ...]) -> tuple[int, ...]:
        """Return the tokens that may follow what is written."""
        return self._next[written]

    def branching(self) -> list[list[int]]:
        """Return for each answer after how many of its tokens answers part; a node counts for its first answer only."""
        seen: set[tuple[int, ...]] = set()
        lengths: list[list[int]] = []
        for answer in self.answers:
            nodes = [answer[:i] for i in range(len(answer)) if len(self._next[answer[:i]]) > 1]
            lengths.append([len(node) for node in nodes if node not in seen])
            seen.update(nodes)
        return lengths
