"""Utterances: what someone wants, and the details of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

from seqgpt.composite.base import Steps, distinct, notes
from seqgpt.composite.result import CompositeResult
from seqgpt.results import Classification, Extraction, Span
from seqgpt.tasks import AtomicTask, Labels


@dataclass(frozen=True, repr=False)
class Utterance(CompositeResult):
    """What someone wants.

    Attributes:
        intents: The intents that hold.
        slots: The details; a span's label is the slot.
        scores: Probability of each intent.
    """

    intents: tuple[str, ...]
    slots: tuple[Span, ...]
    scores: Mapping[str, float] = field(hash=False)

    @property
    def intent(self) -> str | None:
        """The most probable of the intents that hold; None if none does."""
        return max(self.intents, key=lambda each: self.scores[each], default=None)


@dataclass(frozen=True)
class UtteranceTask:
    """Asks for intents and slots; built by :func:`utterance`."""

    intents: AtomicTask
    slots: AtomicTask
    name: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Intents and slots."""
        return distinct(self.intents.labels, self.slots.labels)

    def steps(self, text: str) -> Steps[Utterance]:
        """Ask for both at once."""
        wanted, details = yield [self.intents, self.slots]
        wanted, details = cast(Classification, wanted), cast(Extraction, details)
        return Utterance(text, wanted.labels, details.spans, wanted.scores, **notes([wanted, details]))


def slots(labels: Labels) -> AtomicTask:
    """Ask for the details of an utterance: an extraction that is named ``"slots"``.

    >>> slots(["city", "date"])
    AtomicTask.extract(['city', 'date'], name='slots')
    """
    return AtomicTask.extract(labels, name="slots")


def intent(labels: Labels, *, multi_label: bool = False, none: bool = False) -> AtomicTask:
    """Ask what someone wants: a classification that is named ``"intent"``; options as of ``AtomicTask.classify``.

    >>> intent(["book a flight", "get a refund"], none=True)
    AtomicTask.classify(['book a flight', 'get a refund'], none=True, name='intent')
    """
    return AtomicTask.classify(labels, multi_label=multi_label, none=none, name="intent")


def utterance(
    intents: Labels, slots: Labels, *, multi_label: bool = False, none: bool = False, name: str = "utterance"
) -> UtteranceTask:
    """Ask what someone wants, and for the details of it.

    Args:
        intents: A list of intents, or ``{intent: description}``.
        slots: The same of slots.
        multi_label: Several intents may hold, or none.
        none: One intent holds, or "none of these".
        name: The key of the result when several tasks are asked at once.

    Raises:
        LabelError: If a label is empty or repeated.

    >>> utterance(intents=["book a flight", "get a refund"], slots=["city"]).labels
    ('book a flight', 'get a refund', 'city')
    """
    return UtteranceTask(
        intent(intents, multi_label=multi_label, none=none), AtomicTask.extract(slots, name="slots"), name
    )
