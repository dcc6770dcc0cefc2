"""Choice: which of several options answers a question to the text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from seqgpt.composite.base import Steps, classifications, notes
from seqgpt.composite.result import CompositeResult
from seqgpt.errors import LabelError
from seqgpt.questions import choice_question
from seqgpt.tasks import AtomicTask


@dataclass(frozen=True, repr=False)
class Choice(CompositeResult):
    """Which option answers a question.

    Attributes:
        question: The question.
        option: The most probable option.
        scores: Probability of each option.
    """

    question: str
    option: str | None
    scores: Mapping[str, float] = field(hash=False)


@dataclass(frozen=True)
class ChoiceTask:
    """Asks for a choice; built by :func:`choice`."""

    question: str
    asked: AtomicTask
    name: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The options."""
        return self.asked.labels

    def steps(self, text: str) -> Steps[Choice]:
        """Ask which option is right."""
        (answer,) = yield from classifications([self.asked])
        return Choice(text, self.question, answer.label, answer.scores, **notes([answer]))


def choice(question: str, options: Sequence[str], *, name: str = "choice") -> ChoiceTask:
    """Ask which option answers a question to the text.

    Args:
        question: The question. Where the text itself is the question, ask ``AtomicTask.classify(options)``.
        options: What may answer it, one of which does.
        name: The key of the result when several tasks are asked at once.

    Raises:
        LabelError: If the question is empty, or an option is empty or repeated.

    >>> choice("Is the writer content?", ["yes", "no"]).labels
    ('yes', 'no')
    """
    if not isinstance(question, str) or not question.strip():
        raise LabelError(
            f"the question is {question!r}: ask one, or AtomicTask.classify(options) if the text is the question."
        )
    return ChoiceTask(question, choice_question(question, options), name)
