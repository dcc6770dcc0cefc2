"""Aspect sentiment: what a text thinks of each thing that it speaks of, or of given ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from seqgpt.about import About, AboutLike, as_about
from seqgpt.composite.base import Steps, classifications, distinct, extractions, label_set, notes
from seqgpt.composite.mentions import find
from seqgpt.composite.result import CompositeResult, Plain
from seqgpt.errors import LabelError
from seqgpt.questions import pair_question, typing_question
from seqgpt.results import Extraction, Span
from seqgpt.tasks import AtomicTask, Labels


@dataclass(frozen=True)
class Opinion(Plain):
    """What a text thinks of an aspect.

    Attributes:
        aspect: A span of the text, or words that were given.
        sentiment: What holds.
        scores: Probability of each sentiment.
    """

    aspect: Span | str
    sentiment: str | None
    scores: Mapping[str, float] = field(hash=False)


@dataclass(frozen=True, repr=False)
class AspectSentiments(CompositeResult):
    """What a text thinks of each aspect, in the order of the text, or in that in which the aspects were given."""

    opinions: tuple[Opinion, ...]


@dataclass(frozen=True)
class AspectSentimentTask:
    """Asks for opinions; built by :func:`aspect_sentiment`."""

    sentiments: Labels = field(hash=False)
    aspects: tuple[About, ...]
    aspect: str
    name: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The sentiments; and the label of aspects, if they are to be found."""
        return tuple(self.sentiments) if self.aspects else distinct([self.aspect], tuple(self.sentiments))

    def steps(self, text: str) -> Steps[AspectSentiments]:
        """Ask for aspects, unless they were given; then for what is thought of each."""
        found: list[Extraction] = []
        aspects: Sequence[Span | str] = [self._given(aspect, text) for aspect in self.aspects]
        if not aspects:
            found = yield from extractions([AtomicTask.extract([self.aspect])])
            aspects = found[0].spans
        answers = yield from classifications([self._question(aspect) for aspect in aspects])
        opinions = [
            Opinion(aspect, answer.label, answer.scores) for aspect, answer in zip(aspects, answers, strict=True)
        ]
        return AspectSentiments(text, tuple(opinions), **notes([*found, *answers]))

    def _given(self, aspect: About, text: str) -> Span | str:
        if isinstance(aspect, str):
            return aspect
        place = find(aspect, text)
        return Span(self.aspect, place.text, place.start, place.start + len(place.text))

    def _question(self, aspect: Span | str) -> AtomicTask:
        if isinstance(aspect, str):
            return pair_question(aspect, self.sentiments)
        return typing_question(aspect, self.sentiments)


def aspect_sentiment(
    sentiments: Labels,
    aspects: AboutLike | Iterable[AboutLike] | None = None,
    *,
    aspect: str = "aspect",
    name: str = "aspect_sentiment",
) -> AspectSentimentTask:
    """Ask what a text thinks of the things that it speaks of.

    Args:
        sentiments: A list of sentiments, or ``{sentiment: description}``.
        aspects: What to think of: words, which need not stand in the text, spans, or ``{"text": …, "start": …}``.
            Without them, aspects are found first.
        aspect: The label under which aspects are found, such as ``"dish"`` or ``"方面"``.
        name: The key of the result when several tasks are asked at once.

    Raises:
        LabelError: If there are no aspects in the list, or a label is empty or repeated.

    >>> aspect_sentiment(["positive", "negative"]).labels
    ('aspect', 'positive', 'negative')
    >>> aspect_sentiment(["好", "坏"], aspects=["价格", "服务"]).labels
    ('好', '坏')
    """
    given = () if aspects is None else as_about(aspects)
    if aspects is not None and not given:
        raise LabelError("there are no aspects: give at least one, or leave aspects out to have them found.")
    label_set([aspect])
    return AspectSentimentTask(label_set(sentiments), given, aspect, name)
