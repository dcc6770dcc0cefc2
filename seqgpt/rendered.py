"""Text as a model reads or writes it: words, and structural marks that no words can imitate."""

from __future__ import annotations

import re
from collections.abc import Iterable

_IN_WORDS = re.compile(r"<(\\*)\|")
_ESCAPED = re.compile(r"<\\(\\*)\|")
_MARK = re.compile(r"(<\|[a-z_]+\|>)")


class Mark(str):
    """A structural mark: one special token of the tokenizer, never part of words."""

    __slots__ = ()


Piece = str  # a Mark, or words


def is_mark(piece: Piece, *marks: Mark) -> bool:
    """Tell a mark from words that are spelt like it; with ``marks``, say whether it is one of them.

    >>> is_mark(Mark("<|end|>"), Mark("<|end|>")), is_mark("<|end|>", Mark("<|end|>"))
    (True, False)
    """
    return isinstance(piece, Mark) and (not marks or piece in marks)


class Rendered(str):
    r"""A string that remembers its pieces: structural marks, and the words between them.

    As a string it is for people. Words that look like a mark are written with a backslash (``<\|none|>``), so the
    string can be read back; the model gets the pieces, where words are just words.

    >>> prompt = Rendered.join([Mark("<|text|>"), "Is <|none|> a word?"])
    >>> print(prompt)
    <|text|>Is <\|none|> a word?
    >>> Rendered.read(str(prompt)).pieces == prompt.pieces
    True
    """

    pieces: tuple[Piece, ...]

    @classmethod
    def join(cls, pieces: Iterable[Piece], *, escape: bool = True) -> Rendered:
        """Render pieces as a string; ``escape=False`` for formats that have no way to tell words from marks.

        Words that follow words become one piece, because the string does not show where they met.
        """
        kept: list[Piece] = []
        for piece in filter(None, pieces):
            if escape and kept and not isinstance(piece, Mark) and not isinstance(kept[-1], Mark):
                kept[-1] += piece
            else:
                kept.append(piece)
        rendered = cls("".join(p if isinstance(p, Mark) or not escape else _IN_WORDS.sub(r"<\1\\|", p) for p in kept))
        rendered.pieces = tuple(kept)
        return rendered

    @classmethod
    def read(cls, string: str) -> Rendered:
        """Read back the string of an escaped rendering."""
        if isinstance(string, cls):
            return string
        parts = _MARK.split(string)
        pieces = [Mark(p) if i % 2 else _ESCAPED.sub(r"<\1|", p) for i, p in enumerate(parts)]
        return cls.join(pieces)
