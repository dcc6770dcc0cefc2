"""What a model may write next: only strings that stand in the text, only labels that were asked.

Both constraints answer in token ids. :class:`SpanConstraint` walks the bytes of the text, so a span may begin and end
inside the text's own tokens; :class:`ChoiceConstraint` is a trie over whole labels.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.templates.marks import lead

Threads = tuple[tuple[int, int], ...]
"""Where a half-written span may stand: ``(start character, bytes written)`` for each occurrence of what is written."""


class SpanConstraint:
    """All strings of one text, as tokens.

    A span does not begin or end with white space. The state of a half-written span is the set of places in the text
    where what is written so far stands; it is a value, so one constraint serves all labels of a text.
    """

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self.text = text
        self._vocabulary = vocabulary
        trimmed = len(text.rstrip())
        self._bytes = text[:trimmed].encode()
        # Byte offset of each character, and of the end: a span starts and ends on these.
        offsets = [0]
        for char in text[:trimmed]:
            offsets.append(offsets[-1] + len(char.encode()))
        self._offsets = offsets
        self.starts = tuple(i for i in range(trimmed) if not text[i].isspace())
        self._led = {start: lead(text[start]) != text[start] for start in self.starts}
        self._at: dict[int, tuple[tuple[int, int], ...]] = {}
        self._first: dict[int, Threads] = {}
        for start in self.starts:
            for token, length in self._first_tokens(start):
                self._first[token] = (*self._first.get(token, ()), (start, length))

    def first_tokens(self, after: tuple[int, int] = (-1, -1)) -> dict[int, Threads]:
        """Return the tokens that may begin a span later than ``after``, ``(start, end)``, and where they lead."""
        if after[0] < 0:
            return self._first
        keep_same = after[1] < len(self._offsets) - 1  # a longer span from the same start must be possible
        low = after[0] if keep_same else after[0] + 1
        return {
            token: later
            for token, threads in self._first.items()
            if (later := tuple(thread for thread in threads if thread[0] >= low))
        }

    def next_tokens(self, threads: Threads) -> dict[int, Threads]:
        """Return the tokens that may go on with a half-written span, and where they lead."""
        following: dict[int, list[tuple[int, int]]] = {}
        for start, written in threads:
            for token, length in self._tokens_at(self._offsets[start] + written):
                following.setdefault(token, []).append((start, written + length))
        return {token: tuple(thread) for token, thread in following.items()}

    def end_of(self, threads: Threads) -> int | None:
        """Return the length in characters of what is written, or None if a span cannot end here."""
        start, written = threads[0]
        stop = self._offsets[start] + written
        end = bisect_left(self._offsets, stop)
        if written <= 0 or self._offsets[end] != stop or self.text[end - 1].isspace():
            return None
        return end - start

    def closable(self, threads: Threads, after: tuple[int, int]) -> list[tuple[int, int]]:
        """Return the spans ``(start, end)`` later than ``after`` that what is written may stand for, in text order."""
        length = self.end_of(threads)
        if length is None:
            return []
        return sorted((start, start + length) for start, _ in threads if (start, start + length) > after)

    def skippable(self, after: tuple[int, int]) -> int:
        """Return how many occurrences may be passed over at most: one less than the commonest character's count."""
        later = Counter(self.text[start] for start in self.starts if start > after[0])
        return max(later.values(), default=1) - 1

    def _first_tokens(self, start: int) -> list[tuple[int, int]]:
        if not self._led[start]:
            return list(self._tokens_at(self._offsets[start]))
        token_of, offset = self._vocabulary.token_of, self._offsets[start]
        found = []
        for length in range(self._vocabulary.longest):
            if offset + length > len(self._bytes):
                break
            token = token_of.get(b" " + self._bytes[offset : offset + length])
            if token is not None:
                found.append((token, length))
        return found

    def _tokens_at(self, offset: int) -> tuple[tuple[int, int], ...]:
        """Return ``(token, length)`` for every token whose bytes stand in the text at a byte offset."""
        if offset not in self._at:
            token_of = self._vocabulary.token_of
            most = min(self._vocabulary.longest, len(self._bytes) - offset)
            self._at[offset] = tuple(
                (token, length)
                for length in range(1, most + 1)
                if (token := token_of.get(self._bytes[offset : offset + length])) is not None
            )
        return self._at[offset]


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
