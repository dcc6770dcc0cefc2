"""Inference: whether a text entails another one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seqgpt.composite.base import Steps, classifications, notes
from seqgpt.composite.result import CompositeResult
from seqgpt.errors import LabelError
from seqgpt.questions import pair_question
from seqgpt.tasks import AtomicTask, Labels


@dataclass(frozen=True, repr=False)
class Inference(CompositeResult):
    """How a hypothesis stands to a text.

    Attributes:
        hypothesis: The second text.
        label: What holds.
        scores: Probability of each label.
    """

    hypothesis: str
    label: str | None
    scores: Mapping[str, float] = field(hash=False)


@dataclass(frozen=True)
class InferenceTask:
    """Asks for an inference; built by :func:`nli`."""

    hypothesis: str
    asked: AtomicTask
    name: str

    @property
    def labels(self) -> tuple[str, ...]:
        """How the hypothesis may stand to the text."""
        return self.asked.labels

    def steps(self, text: str) -> Steps[Inference]:
        """Ask how the hypothesis stands to the text."""
        (answer,) = yield from classifications([self.asked])
        return Inference(text, self.hypothesis, answer.label, answer.scores, **notes([answer]))


def nli(
    hypothesis: str, labels: Labels = ("entailment", "contradiction", "neutral"), *, name: str = "nli"
) -> InferenceTask:
    """Ask whether a text entails a hypothesis, contradicts it, or neither.

    Args:
        hypothesis: What may follow from the text.
        labels: Other words for the answers, such as ``["蕴含", "矛盾", "中立"]``; or ``{label: description}``.
        name: The key of the result when several tasks are asked at once.

    Raises:
        LabelError: If the hypothesis is no text, or a label is empty or repeated.

    >>> nli("王芳去过杭州。", ["蕴含", "矛盾", "中立"]).labels
    ('蕴含', '矛盾', '中立')
    """
    if not isinstance(hypothesis, str) or not hypothesis.strip():
        raise LabelError(f"the hypothesis is {hypothesis!r}: give a text.")
    return InferenceTask(hypothesis, pair_question(hypothesis, labels), name)
