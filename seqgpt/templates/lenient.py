"""Answers read as far as they can be read: what a model writes that nothing constrains.

The strict readers of :mod:`seqgpt.templates.marks` refuse a whole answer for one mistake; here the rest of it counts,
and the mistake is counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from seqgpt.errors import GroundingError
from seqgpt.grounding import occurrences
from seqgpt.rendered import Piece, Rendered, is_mark
from seqgpt.results import Classification, Extraction, Span
from seqgpt.tasks import AtomicTask
from seqgpt.templates.base import Read, Template
from seqgpt.templates.marks import END, IS, NONE, SKIP, YES, place, unlead
from seqgpt.templates.released import ReleasedTemplate


def read_answer(task: AtomicTask, answer: str, text: str, template: Template) -> Read:
    """Read an answer of a template leniently; what its ``parse`` accepts without a warning means the same here.

    A string that is in the text, but not so often as the answer says, is malformed, not ungrounded.
    """
    if isinstance(template, ReleasedTemplate):
        return template.read(task, answer, text)
    pieces = Rendered.read(answer).pieces
    if task.single_label:
        return _read_choice(task, pieces, text, str(answer))
    lines, malformed = _read_lines(task, pieces)
    if task.kind == "extract":
        spans, ungrounded = [], 0
        for label, line in lines.items():
            found, wrong, lost = _read_spans(label, line, text)
            spans += found
            malformed |= wrong
            ungrounded += lost
        return Read(Extraction.of(text, task, spans, raw=str(answer)), malformed, ungrounded)
    held = tuple(label for label, line in lines.items() if line and is_mark(line[0], YES))
    malformed |= any(len(line) != 1 or not is_mark(line[0], YES, NONE) for line in lines.values())
    return Read(Classification.of(text, task, held, raw=str(answer)), malformed, 0)


def _read_lines(task: AtomicTask, pieces: Sequence[Piece]) -> tuple[dict[str, Sequence[Piece]], bool]:
    """Cut an answer into the labels that were asked and the first that is said of each; tell whether that is all."""
    begins = [i - 1 for i in range(1, len(pieces)) if is_mark(pieces[i], IS) and not is_mark(pieces[i - 1])]
    malformed = not begins or begins[0] > 0
    lines: dict[str, Sequence[Piece]] = {}
    for begin, end in pairwise([*begins, len(pieces)]):
        label = unlead(pieces[begin])
        if label in task.labels and label not in lines:
            lines[label] = pieces[begin + 2 : end]
        else:
            malformed = True
    return lines, malformed or len(lines) < len(task.labels)


def _read_spans(label: str, pieces: Sequence[Piece], text: str) -> tuple[list[Span], bool, int]:
    """Return the spans of a label, whether anything else is said of it, and how many strings are not in the text."""
    if len(pieces) == 1 and is_mark(pieces[0], NONE):
        return [], False, 0
    spans: dict[Span, None] = {}
    malformed, ungrounded = not pieces, 0
    string, skips = "", 0
    for piece in pieces:
        if not string and not is_mark(piece):
            string = unlead(piece)
        elif string and is_mark(piece, SKIP):
            skips += 1
        elif string and is_mark(piece, END):
            try:
                span = place(label, string, text, skips)
                malformed |= span in spans
                spans[span] = None
            except GroundingError:
                if occurrences(string, text):
                    malformed = True
                else:
                    ungrounded += 1
            string, skips = "", 0
        else:
            malformed, string, skips = True, "", 0
    return list(spans), malformed or bool(string), ungrounded


def _read_choice(task: AtomicTask, pieces: Sequence[Piece], text: str, raw: str) -> Read:
    """Read the first label that is named, or "none of these" if that is said before."""
    asked = [piece for piece in pieces if is_mark(piece, NONE) or (not is_mark(piece) and unlead(piece) in task.labels)]
    none = bool(asked) and is_mark(asked[0], NONE) and task.none
    named = [unlead(piece) for piece in asked if not is_mark(piece)]
    held = () if none else tuple(named[:1])
    whole = len(pieces) == 1 if none else bool(named) and len(pieces) == 2 and is_mark(pieces[1], END)
    return Read(Classification.of(text, task, held, raw=raw), not whole, 0)
