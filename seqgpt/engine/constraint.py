"""What a model may write next: only strings that stand in the text, only labels that were asked.

Both constraints answer in token ids. :class:`SpanConstraint` walks the bytes of the text, so a span may begin and end
inside the text's own tokens; :class:`ChoiceConstraint` is a trie over whole labels.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.rendered import Mark
from seqgpt.templates.marks import END, NEXT, NONE, SKIP, lead

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


class SpanWriter:
    """The grammar of one label's spans, a token at a time: what may come next, and what has been said so far.

    It reads the language that :func:`seqgpt.templates.marks.write_spans` writes, restricted to spans of one text that
    do not begin or end with white space.

    Attributes:
        spans: ``(start, end)`` of the spans that are complete.
        done: True once the answer has ended.
    """

    def __init__(self, constraint: SpanConstraint, marks: Mapping[Mark, int]) -> None:
        self._constraint = constraint
        self._none, self._skip, self._next, self._end = (marks[mark] for mark in (NONE, SKIP, NEXT, END))
        self._threads: Threads = ()
        self._skips = 0
        self.spans: list[tuple[int, int]] = []
        self.done = False

    @property
    def closing(self) -> tuple[int, int]:
        """The two tokens that end a span: the one that another follows, and the one that ends the answer."""
        return self._next, self._end

    def options(self) -> list[int]:
        """Return the tokens that may come next; empty only where a vocabulary lacks a character of the text."""
        options = list(self._following())
        if self._threads:
            return [*self.closing, *options] if self._closable() else options
        if self._constraint.skippable(self._after) > self._skips:
            options.append(self._skip)
        if not self.spans and not self._skips:
            options.append(self._none)
        return options

    def feed(self, token: int) -> None:
        """Go on with one of the options.

        Raises:
            KeyError: If the token is not an option.
        """
        if token == self._skip and not self._threads:
            self._skips += 1
        elif token == self._none and not self._threads:
            self.done = True
        elif token in self.closing and self._threads:
            spans = self._closable()
            if not spans:
                raise KeyError(token)
            self.spans.append(spans[0])
            self._threads, self._skips = (), 0
            self.done = token == self._end
        else:
            self._threads = self._following()[token]

    @property
    def exhausted(self) -> bool:
        """True if no other span can follow those said so far."""
        return not self._threads and not self._following()

    @property
    def _after(self) -> tuple[int, int]:
        return self.spans[-1] if self.spans else (-1, -1)

    def _following(self) -> dict[int, Threads]:
        following = (
            self._constraint.next_tokens(self._threads) if self._threads else self._constraint.first_tokens(self._after)
        )
        if not self._skips:
            return following
        return {token: threads for token, threads in following.items() if len(threads) > self._skips}

    def _closable(self) -> list[tuple[int, int]]:
        return self._constraint.closable(self._threads, self._after)[self._skips :]


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
