"""What a model of whole answers may write: the lines of some labels, each with spans of the text, or ``None``.

The tokens of a line, as the template ``seqgpt-560m`` has it (:mod:`seqgpt.templates.released`)::

    label ":"  then  " None"  or  " span" TAB "span" …  then the line's end

The labels and their colons are not the model's to choose.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from seqgpt.engine.constraint import CopyConstraint, Written
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.templates.released import LINE_END, NONE, SEPARATOR, cue

_PART = re.compile(rf"[^{SEPARATOR}{LINE_END}]*[{SEPARATOR}{LINE_END}]?")  # no span contains one of these
_NOWHERE = Written(())


class Line(NamedTuple):
    """How far an answer is written.

    Attributes:
        cues: What begins the lines of the labels that come later.
        forced: Tokens that come next, whatever the model would say.
        done: Number of lines that are complete.
        written: The span that is being written; None before its first token.
        none: Number of tokens of ``None`` that are written; -1 if it is something else.
        first: No span of this line is complete.
        open: There is a line to be written.
    """

    cues: tuple[tuple[int, ...], ...]
    forced: tuple[int, ...]
    done: int = 0
    written: Written | None = None
    none: int = 0
    first: bool = True
    open: bool = True

    def next_line(self) -> Line:
        """Return the state behind this line, whether it is complete or not."""
        done = self.done + 1
        return Line(self.cues[1:], self.cues[0], done) if self.cues else Line((), (), done, open=False)


class LineConstraint:
    """The lines of one text, as tokens.

    Args:
        text: The text.
        vocabulary: The tokens.
    """

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._first = CopyConstraint(text, vocabulary, lead=lambda words: " " + words, parts=_PART.findall)
        self._later = CopyConstraint(text, vocabulary, lead=lambda words: words, parts=_PART.findall)
        self._none = vocabulary.encode_label(" " + NONE)
        self.line_end = vocabulary.token_of[LINE_END.encode()]
        self.separator = vocabulary.token_of[SEPARATOR.encode()]

    def begin(self, labels: Sequence[str]) -> Line:
        """Return the state in which nothing of the lines of some labels is written."""
        cues = tuple(self._vocabulary.encode_label(cue(label)) for label in labels)
        return Line(cues[1:], cues[0])

    def following(self, line: Line) -> dict[int, Line]:
        """Return the tokens that may come next, and where they lead; none behind the last line."""
        if line.forced:
            return {line.forced[0]: line._replace(forced=line.forced[1:])}
        if not line.open:
            return {}
        copy = self._first if line.first else self._later
        none = self._none[line.none] if 0 <= line.none < len(self._none) else None
        options = {
            token: line._replace(written=written, none=line.none + 1 if token == none else -1)
            for token, written in copy.following(line.written).items()
        }
        if none is not None and none not in options:
            options[none] = line._replace(written=_NOWHERE, none=line.none + 1)
        if self.is_none(line) or self.string(line):
            options[self.line_end] = line.next_line()
        if self.string(line):
            options[self.separator] = line._replace(written=None, none=-1, first=False)
        return options

    def is_none(self, line: Line) -> bool:
        """Tell whether the line says that its label is absent; a span "None" cannot be told from that."""
        return line.none == len(self._none)

    def string(self, line: Line) -> str:
        """Return the span that is being written if it may end here; else an empty string."""
        place = None if line.written is None or self.is_none(line) else self._first.place(line.written)
        return self._first.text[slice(*place)] if place else ""
