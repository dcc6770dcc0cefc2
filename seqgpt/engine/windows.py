"""Texts that are longer than a model reads, as overlapping windows, and the results of the windows as one result."""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, NamedTuple

from seqgpt.about import About, Place, wording
from seqgpt.grounding import by_label
from seqgpt.results import Classification, Extraction, Result, Span
from seqgpt.tasks import AtomicTask

OVERLAP = 4
"""Windows overlap by up to one part in so many."""

MAX_WINDOW_TOKENS = 4096
"""Tokens of a window, however many the model could read: the memory of a mask grows with their square."""

# A sentence with its end marks, closing quotes and the white space behind it; or a line. A run of marks is looked at
# once, as a whole, and not again from each mark of it.
_SENTENCE = re.compile(r".+?(?:[。！？；…]+[”’」』）》]*|(?<![.!?])[.!?]++[\"')\]]*+(?=\s)|(?=\n)|\Z)\s*", re.DOTALL)


class Window(NamedTuple):
    """A part of a text, and the index of its first character."""

    start: int
    text: str

    def holds(self, about: About) -> bool:
        """Tell whether a place of the whole text is in the window; words have no place."""
        return (
            isinstance(about, Place)
            and self.start <= about.start
            and about.start + len(about.text) <= self.start + len(self.text)
        )

    def place(self, about: About) -> About:
        """Return a place of the whole text as one of the window; its words alone, if it is not there."""
        if isinstance(about, Place) and self.holds(about):
            return Place(about.text, about.start - self.start)
        return wording(about)


def windows(text: str, size: Callable[[str], int], room: int, overlap: int | None = None) -> list[Window]:
    """Cut a text into windows that overlap.

    They begin and end with sentences. Only a sentence that is longer than the overlap is cut itself, at white space
    where it has some.

    Args:
        text: The text.
        size: Counts the tokens of a string; at most one for each of its bytes.
        room: Most tokens of a window; at least ``OVERLAP``.
        overlap: Most tokens that a window has in common with the next; by default one part in ``OVERLAP``.

    Returns:
        The windows in text order, which together cover all of the text but white space; that around it is left out.
    """
    shared = room // OVERLAP if overlap is None else overlap
    sentences = _SENTENCE.findall(text.strip())
    units = [piece for sentence in sentences for piece in _pieces(sentence, size, room // OVERLAP)]
    sizes = [size(unit) for unit in units]
    starts = [len(text) - len(text.lstrip())]
    for unit in units:
        starts.append(starts[-1] + len(unit))
    found = []
    first = last = 0
    while last < len(units):
        last, used = first, 0
        while last < len(units) and (last == first or used + sizes[last] <= room):
            used += sizes[last]
            last += 1
        found.append(Window(starts[first], text[starts[first] : starts[last]]))
        back, used = last, 0
        while back - 1 > first and used + sizes[back - 1] <= shared:
            back -= 1
            used += sizes[back]
        first = back
    return [window for window in found if window.text.strip()]


def holding(found: Sequence[Window], about: Sequence[About]) -> list[Window]:
    """Return the windows that hold most of the places that are asked about; all, if none is a place.

    What stands elsewhere says little about them, and would be counted like what stands beside them.
    """
    counts = [sum(window.holds(one) for one in about) for window in found]
    return [window for window, count in zip(found, counts, strict=True) if count == max(counts)]


def _pieces(sentence: str, size: Callable[[str], int], most: int) -> Iterator[str]:
    """Cut a sentence in halves until each is short enough."""
    if len(sentence) <= 1 or len(sentence.encode()) <= most or size(sentence) <= most:
        yield sentence
        return
    middle = len(sentence) // 2
    space = sentence.find(" ", middle, -1)
    cut = space + 1 if space >= 0 else middle
    yield from _pieces(sentence[:cut], size, most)
    yield from _pieces(sentence[cut:], size, most)


def join(text: str, task: AtomicTask, parts: Sequence[Window], results: Sequence[Result]) -> Result:
    """Make one result of those of a text's windows.

    Spans are those of all windows, each once, the most probable; what the edge of a window cut off of a longer span is
    left out. Of several labels one holds if it holds in some window. The probabilities of exclusive labels are the
    means over the windows, weighted by length.
    """
    warnings = dict.fromkeys(warning for result in results for warning in result.warnings)
    begin, end = parts[0].start, parts[-1].start + len(parts[-1].text)
    note = "the white space around the text was not read: with it, the text is longer than the model reads at once."
    if text[begin:end].strip() != text.strip():
        note = f"only characters {begin} to {end} were read, where what is asked about stands: the text is longer than "
        note += "the model reads at once."
    elif len(parts) > 1:
        note = f"the text was read in {len(parts)} overlapping parts: it is longer than the model reads at once."
    notes: dict[str, Any] = {"warnings": (note, *warnings), "truncated": any(result.truncated for result in results)}
    if task.kind == "extract":
        return Extraction.of(text, task, _joined_spans(text, parts, results), **notes)
    classified = [result for result in results if isinstance(result, Classification)]
    if task.multi_label:
        scores = {label: max(result.scores[label] for result in classified) for label in task.labels}
        held = {label for result in classified for label in result.labels}
        return Classification.of(text, task, tuple(held), scores, **notes)
    total = sum(len(part.text) for part in parts)
    shares = [len(part.text) / total for part in parts]
    scores = {
        label: min(sum(share * result.scores[label] for share, result in zip(shares, classified, strict=True)), 1.0)
        for label in task.labels
    }
    best = max(scores, key=lambda label: scores[label])
    abstain = task.none and 1 - sum(scores.values()) > scores[best]
    return Classification.of(text, task, () if abstain else (best,), scores, **notes)


def cut_off(text: str, task: AtomicTask, part: Window, result: Result) -> Result:
    """Make a result of a text from the result of its beginning, and say so."""
    read = part.start + len(part.text)
    warnings = (
        f"only the first {read} of {len(text)} characters were read: the model reads no more.",
        *result.warnings,
    )
    if isinstance(result, Extraction):
        return Extraction.of(text, task, _moved(result, part.start), truncated=True, warnings=warnings)
    return Classification.of(text, task, result.labels, result.scores, truncated=True, warnings=warnings)


def _moved(result: Result, start: int) -> list[Span]:
    """Return the spans of a part of a text as spans of the text."""
    spans = result.spans if isinstance(result, Extraction) else ()
    return [replace(span, start=span.start + start, end=span.end + start) for span in spans]


def _joined_spans(text: str, parts: Sequence[Window], results: Sequence[Result]) -> list[Span]:
    whole: list[Span] = []
    cut: list[Span] = []
    first, last = len(text) - len(text.lstrip()), len(text.rstrip())
    for (start, part), result in zip(parts, results, strict=True):
        # Where a span may be what is left of a longer one: at edges inside the text.
        begin, end = start + len(part) - len(part.lstrip()), start + len(part.rstrip())
        begin, end = begin if begin > first else -1, end if end < last else len(text) + 1
        for span in _moved(result, start):
            (cut if span.start == begin or span.end == end else whole).append(span)
    groups = by_label(whole)
    reaches = {label: _Reach([s.start for s in spans], [s.end for s in spans]) for label, spans in groups.items()}
    return whole + [span for span in cut if not (span.label in reaches and reaches[span.label].exceeds(span))]


class _Reach:
    """How far the spans of one label reach, given by their starts, ascending, and their ends."""

    def __init__(self, starts: Sequence[int], ends: Iterable[int]) -> None:
        self._starts = starts
        self._furthest = list(accumulate(ends, max))

    def exceeds(self, span: Span) -> bool:
        """Tell whether some span holds all of another one, and more."""
        before, upto = bisect_left(self._starts, span.start), bisect_right(self._starts, span.start)
        return (before > 0 and self._furthest[before - 1] >= span.end) or (
            upto > 0 and self._furthest[upto - 1] > span.end
        )
