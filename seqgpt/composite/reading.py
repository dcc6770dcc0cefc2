"""Reading: the spans of a text that answer a question."""

from __future__ import annotations

from dataclasses import dataclass

from seqgpt.composite.base import Steps, extractions, notes
from seqgpt.composite.result import CompositeResult
from seqgpt.errors import LabelError
from seqgpt.questions import reading_question
from seqgpt.results import Span
from seqgpt.tasks import AtomicTask


@dataclass(frozen=True, repr=False)
class Answers(CompositeResult):
    """What answers a question.

    Attributes:
        question: The question.
        spans: The answers, the most probable first.
    """

    question: str
    spans: tuple[Span, ...]

    @property
    def answer(self) -> str | None:
        """The most probable answer; None if there is none."""
        return self.spans[0].text if self.spans else None


@dataclass(frozen=True)
class ReadingTask:
    """Asks a question; built by :func:`reading`."""

    asked: AtomicTask
    name: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The question."""
        return self.asked.labels

    def steps(self, text: str) -> Steps[Answers]:
        """Ask the question."""
        (answer,) = yield from extractions([self.asked])
        ranked = sorted(answer.spans, key=lambda span: -span.score)
        return Answers(text, self.labels[0], tuple(ranked), **notes([answer]))


def reading(question: str, *, name: str = "reading") -> ReadingTask:
    """Ask a question that spans of the text answer.

    Args:
        question: The question.
        name: The key of the result when several tasks are asked at once.

    Raises:
        LabelError: If the question is empty or no string.

    >>> reading("Who won?").labels
    ('Who won?',)
    """
    if not isinstance(question, str) or not question.strip():
        raise LabelError(f"the question is {question!r}: ask one, in words.")
    return ReadingTask(reading_question(question), name)
