"""What a model may write next: only strings that stand in the text, only labels that were asked.

All constraints answer in token ids. :class:`CopyConstraint` walks the bytes of the text, so a span may begin and end
inside the text's own tokens; :class:`SpanConstraint` adds the marks that tell occurrences of a string apart;
:class:`ChoiceConstraint` is a trie over whole labels.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import accumulate, pairwise
from typing import NamedTuple

from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.templates.marks import SKIP, lead

Offsets = tuple[int, int]
"""Start and end of a span, in characters."""


class Written(NamedTuple):
    """A span as far as it is written.

    Attributes:
        starts: The characters at which it may begin, ascending: what is written stands in the text at each of them.
        size: Number of its bytes that are written.
        skips: Number of skip marks behind it; no words follow them.
    """

    starts: tuple[int, ...]
    size: int = 0
    skips: int = 0


class CopyConstraint:
    """All spans of one text, as tokens.

    A span does not begin or end with white space. How far a span is written is a value, so one constraint serves all
    labels of a text, and all spans that are followed at once. Whatever is chosen, a span can be completed.

    Built in O(bytes of the text × tokens that begin at a byte), a handful for any text. A step costs as much for the
    places where what is written stands, which are few, unless a text repeats one character.

    Args:
        text: The text.
        vocabulary: The tokens.
        lead: Puts a space in front of words that are written with one.
        parts: What the text consists of: a span stands in one part.
    """

    def __init__(
        self,
        text: str,
        vocabulary: Vocabulary,
        lead: Callable[[str], str] = lead,
        parts: Callable[[str], Sequence[str]] = lambda text: (text,),
    ) -> None:
        self.text = text
        self._vocabulary = vocabulary
        self._lead = lead
        self._bytes = text.encode()
        # Byte offset of each character, and of the end: a span starts and ends on these.
        self._offsets = [0, *accumulate(len(char.encode()) for char in text)]
        self._ends: list[int] = []  # byte offset at which a span of each part ends at the latest
        begin = 0
        for part in parts(text):
            self._ends.append(begin + len(part.rstrip().encode()))
            begin += len(part.encode())
        self._at: dict[int, list[tuple[int, int]]] = {}
        self._following: dict[Written, Mapping[int, Written]] = {}
        self._first = self._beginnings()

    def following(self, written: Written | None) -> Mapping[int, Written]:
        """Return the tokens that may go on with a span, and where they lead; with None, those that may begin one."""
        if written is None:
            return self._first
        if written not in self._following:
            self._following[written] = _merge(
                (start, token, written.size + length)
                for start in written.starts
                for token, length in self._tokens_at(self._offsets[start] + written.size)
            )
        return self._following[written]

    def ahead(self, written: Written, most: int) -> list[int]:
        """Return tokens with which the text goes on where what is written stands first.

        They are the text's own where one of them begins, and else as long as can be.
        """
        tokens: list[int] = []
        offset = self._offsets[written.starts[0]] + written.size
        while len(tokens) < most and (possible := self._tokens_at(offset)):
            own = self._own_tokens.get(offset)
            token, length = next((step for step in possible if step[0] == own), possible[-1])
            tokens.append(token)
            offset += length
        return tokens

    @cached_property
    def _own_tokens(self) -> dict[int, int]:
        """The tokens of the text as a model reads it, by the byte offsets at which they begin."""
        led = self._lead(self.text)
        ids = self._vocabulary.encode(led)
        begins = accumulate((len(self._vocabulary.bytes_of[i]) for i in ids), initial=len(self.text) - len(led))
        return dict(zip(begins, ids, strict=False))

    def place(self, written: Written) -> Offsets | None:
        """Return the span that what is written stands for if it ends here; None if it cannot end here."""
        if not written.size or len(written.starts) <= written.skips:
            return None
        first, start = written.starts[0], written.starts[written.skips]
        end = bisect_left(self._offsets, self._offsets[first] + written.size)
        if self._offsets[end] != self._offsets[first] + written.size or self.text[end - 1].isspace():
            return None
        return start, start + end - first

    def path(self, tokens: Sequence[int]) -> list[Written]:
        """Follow the tokens of a span from its beginning; return how far it is written after each.

        Raises:
            KeyError: If a token may not follow.
        """
        states: list[Written] = []
        for token in tokens:
            states.append(self.following(states[-1] if states else None)[token])
        return states

    def _beginnings(self) -> Mapping[int, Written]:
        starts = [start for start, char in enumerate(self.text) if not char.isspace()]
        return _merge((start, token, size) for start in starts for token, size in self._tokens_from(start))

    def _tokens_from(self, start: int) -> list[tuple[int, int]]:
        """Return ``(token, bytes of the span)`` for every token that may begin a span at a character."""
        offset = self._offsets[start]
        if self._lead(self.text[start]) == self.text[start]:
            return self._tokens_at(offset)
        return [(token, length - 1) for token, length in self._vocabulary.prefixes(b" " + self._rest(offset))]

    def _tokens_at(self, offset: int) -> list[tuple[int, int]]:
        """Return ``(token, length)`` for every token whose bytes stand in the text at a byte offset."""
        if offset not in self._at:
            self._at[offset] = self._vocabulary.prefixes(self._rest(offset))
        return self._at[offset]

    def _rest(self, offset: int) -> bytes:
        """Return what of its part stands behind a byte offset, as far as a token may reach."""
        end = self._ends[bisect_left(self._ends, offset)]
        return self._bytes[offset : min(offset + self._vocabulary.longest, end)]


class SpanConstraint(CopyConstraint):
    """All spans as :func:`seqgpt.templates.marks.write_span` writes them: skip marks follow where a string repeats.

    Args:
        text: The text.
        vocabulary: The tokens, the marks among them.
    """

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        super().__init__(text, vocabulary)
        self._skip = vocabulary.mark(SKIP)

    def following(self, written: Written | None) -> Mapping[int, Written]:
        """Return the tokens that may go on with a span, and where they lead; with None, those that may begin one."""
        if written is None:
            return super().following(None)
        following = {} if written.skips else dict(super().following(written))
        if self.place(written._replace(skips=written.skips + 1)):
            following[self._skip] = written._replace(skips=written.skips + 1)
        return following

    def ahead(self, written: Written, most: int) -> list[int]:
        """Return tokens that may go on with a span: those of the text, or behind a skip mark more of them."""
        if not written.skips:
            return super().ahead(written, most)
        return [self._skip] * min(most, len(written.starts) - 1 - written.skips)


def _merge(steps: Iterable[tuple[int, int, int]]) -> dict[int, Written]:
    """Join the places that a token leads to, each given as start, token and bytes then written."""
    starts: dict[int, list[int]] = {}
    sizes: dict[int, int] = {}
    for start, token, size in steps:
        starts.setdefault(token, []).append(start)
        sizes[token] = size
    return {token: Written(tuple(at), sizes[token]) for token, at in starts.items()}


class ChoiceConstraint:
    """A trie over whole answers: which tokens may follow what is written.

    Only the nodes at which answers part are kept, of which there are fewer than answers; all others are looked up
    among the answers. So memory grows with the tokens of the answers, not with their square.

    Args:
        answers: The token ids of each answer, its end mark included, so that no answer is the prefix of another.
    """

    def __init__(self, answers: Sequence[tuple[int, ...]]) -> None:
        self._answers = answers
        self._sorted = sorted(set(answers))
        following: dict[tuple[int, ...], dict[int, None]] = {}
        for one, other in pairwise(self._sorted):
            shared = next(i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b)
            following.setdefault(one[:shared], {}).update(dict.fromkeys((one[shared], other[shared])))
        self._parting = {node: tuple(tokens) for node, tokens in following.items()}
        self._depths = sorted({len(node) for node in self._parting})

    def next_tokens(self, written: tuple[int, ...]) -> tuple[int, ...]:
        """Return the tokens that may follow what is written.

        Raises:
            KeyError: If no answer begins so and goes on.
        """
        if written in self._parting:
            return self._parting[written]
        place, begin = bisect_right(self._sorted, written), len(written)
        if place == len(self._sorted) or self._sorted[place][:begin] != written:
            raise KeyError(written)
        return (self._sorted[place][begin],)

    def parting(self, answer: tuple[int, ...]) -> list[int]:
        """Return after how many of its tokens an answer parts from others."""
        return [depth for depth in self._depths if depth < len(answer) and answer[:depth] in self._parting]

    def branching(self) -> list[list[int]]:
        """Return for each answer where it parts from others; a node counts for its first answer only."""
        seen: set[tuple[int, ...]] = set()
        lengths: list[list[int]] = []
        for answer in self._answers:
            lengths.append([depth for depth in self.parting(answer) if answer[:depth] not in seen])
            seen.update(answer[:depth] for depth in lengths[-1])
        return lengths
