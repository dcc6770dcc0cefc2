"""Examples that are longer than is read: cut in the text, never in labels, descriptions or answers.

What is kept of a text is one of the parts in which prediction would read it: for classes the beginning, for spans the
part that holds most of them. What is asked about must stand in it, if it stands in the text. No gold span is cut in
two: it is in that part, or lost and counted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache

from seqgpt.about import About, Place
from seqgpt.engine.reading import LEAST_WINDOW, seen_from
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.engine.windows import Window, windows
from seqgpt.errors import DataError
from seqgpt.examples import Example
from seqgpt.results import Extraction, Span
from seqgpt.tasks import AtomicTask
from seqgpt.templates import Template
from seqgpt.training.encode import Answers, LabelTokens, read_answers
from seqgpt.training.lengths import longest

UNCUT = -1
"""In place of a number of lost spans, where nothing was cut."""


@dataclass(frozen=True)
class Cut:
    """How many texts of a source were cut, and what was lost with them.

    Attributes:
        tokens: Most tokens that an example may have.
        texts: How many examples have a text that was cut.
        spans: How many gold spans stood in what was cut off.
    """

    tokens: int
    texts: int = 0
    spans: int = 0

    def __add__(self, other: Cut) -> Cut:
        return Cut(self.tokens, self.texts + other.texts, self.spans + other.spans)

    def __str__(self) -> str:
        lost = f", {self.spans} spans lost with them" if self.spans else ""
        return f"{self.texts} texts cut to {self.tokens} tokens{lost}"


class Cutter:
    """Shortens the texts of examples until these fit, whatever labels are drawn.

    Args:
        vocabulary: The vocabulary of the model.
        template: The template of the model.
        most: Most tokens of prompt and longest branch together.
        max_labels: Most labels that are shown with a text; None for all.
    """

    def __init__(self, vocabulary: Vocabulary, template: Template, most: int, max_labels: int | None = None) -> None:
        self.most = most
        self._vocabulary = vocabulary
        self._template = template
        self._max_labels = max_labels
        self._words = LabelTokens(vocabulary)

    def __call__(self, example: Example, name: str = "") -> Example:
        """Return an example that fits: the same one, if it does.

        Nothing is tokenized that cannot be too long by its number of bytes: no token is shorter than one.

        Args:
            example: The example.
            name: Names it in an error, if it has no id.

        Raises:
            DataError: If it cannot be cut enough.
        """
        prompt = self._template.prompt(example.task, example.text)
        answer = self._template.answer(example.task, example.gold, None)
        if len(prompt.encode()) + len(answer.encode()) <= self.most:
            return example
        return self.read(example, name)[0]

    def read(self, example: Example, name: str = "") -> tuple[Example, Answers]:
        """Do the same for an example that is to be read, and return with it what of it does not depend on its labels.

        Raises:
            DataError: If it cannot be cut enough.
        """
        answers = self._read(example)
        length = self.longest(answers, example.task)
        if length <= self.most:
            return example, answers
        size = cache(self._size)  # the same sentences are counted for all windows
        beside = self.longest(answers._replace(spans=()), example.task) - size(example.text)
        room = self.most - beside
        while room >= LEAST_WINDOW:
            part = _part(example, size, room)
            if part is None:
                break
            answers = self._read(part)
            excess = self.longest(answers, part.task) - self.most
            if excess <= 0:
                return part, answers
            room -= excess
        raise DataError(
            f"example {example.id or name} has up to {length} tokens, and its text cannot be cut until it has "
            f"{self.most}: shorten its labels or what they are about, lower max_labels, or leave it out."
        )

    def longest(self, answers: Answers, task: AtomicTask) -> int:
        """Return how many tokens an example has at most, in any epoch."""
        return longest(answers, task, self._words, self._max_labels)

    def _read(self, example: Example) -> Answers:
        return read_answers(example, self._vocabulary, self._template)

    def _size(self, words: str) -> int:
        return len(self._vocabulary.encode(words))


def lost_spans(example: Example, cut: Example) -> int:
    """Return how many gold spans an example lost when it was cut; ``UNCUT`` if it is the same."""
    return UNCUT if cut is example else len(_spans(example)) - len(_spans(cut))


def _part(example: Example, size: Callable[[str], int], room: int) -> Example | None:
    """Return the part that holds most of an example, in so many tokens of text; None if it has none that will do.

    It is one that prediction would read, unless another one holds more; of equals, the first.
    """
    text, spans = example.text, _spans(example)
    found = [*windows(text, size, room), *windows(text, size, room, overlap=room)]
    whole = [_without_halves(window, spans) for window in found]
    fit = [window for window in whole if window.text.strip() and _tells(window, example.task.about, text)]
    if not fit:
        return None
    best = max(fit, key=lambda window: sum(_holds(window, span) for span in spans))
    task = seen_from(best, example.task)
    if not isinstance(example.gold, Extraction):
        return replace(example, gold=replace(example.gold, text=best.text, task=task))
    held = [
        replace(span, start=span.start - best.start, end=span.end - best.start) for span in spans if _holds(best, span)
    ]
    return replace(example, gold=Extraction.of(best.text, task, held))


def _spans(example: Example) -> tuple[Span, ...]:
    return example.gold.spans if isinstance(example.gold, Extraction) else ()


def _holds(window: Window, span: Span) -> bool:
    return window.holds(Place(span.text, span.start))


def _tells(window: Window, about: Iterable[About], text: str) -> bool:
    """Tell whether a window holds what is asked about, as far as it stands in the text."""
    return all(window.holds(one) if isinstance(one, Place) else one in window.text or one not in text for one in about)


def _without_halves(window: Window, spans: Iterable[Span]) -> Window:
    """Return a window without what its edges cut off of a span."""
    start, end = window.start, window.start + len(window.text)
    for span in sorted(spans, key=lambda span: span.start):
        start = span.end if span.start < start < span.end else start
    for span in sorted(spans, key=lambda span: -span.end):
        end = span.start if span.start < end < span.end else end
    return Window(start, window.text[start - window.start : max(end - window.start, 0)])
