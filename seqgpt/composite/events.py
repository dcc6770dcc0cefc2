"""Events: the words that tell of each type, then those who play its roles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seqgpt.composite.base import Steps, distinct, extractions, label_sets, notes
from seqgpt.composite.result import CompositeResult, Plain
from seqgpt.questions import argument_question, event_label, trigger_question
from seqgpt.results import Span
from seqgpt.tasks import Labels


@dataclass(frozen=True)
class Event(Plain):
    """Something that happens in a text.

    Attributes:
        type: The type, as it was asked.
        trigger: The words that tell of it.
        arguments: Those who play a role in it; a span's label is the role.
    """

    type: str
    trigger: Span
    arguments: tuple[Span, ...] = ()


@dataclass(frozen=True, repr=False)
class Events(CompositeResult):
    """All events that were found in a text, in the order of the types, then of the text."""

    events: tuple[Event, ...]


@dataclass(frozen=True)
class EventTask:
    """Asks for events; built by :func:`events`."""

    asked: Mapping[str, Labels] = field(hash=False)
    name: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels under which triggers are extracted, and the roles."""
        return distinct(tuple(map(event_label, self.asked)), *map(tuple, self.asked.values()))

    def steps(self, text: str) -> Steps[Events]:
        """Ask for the triggers, then for the arguments of each event that has roles."""
        types = {event_label(event_type): event_type for event_type in self.asked}
        (triggers,) = yield from extractions([trigger_question(tuple(self.asked))])
        found = [(types[trigger.label], trigger) for trigger in triggers.spans]
        roles = [argument_question(of, trigger, self.asked[of]) for of, trigger in found if self.asked[of]]
        answers = yield from extractions(roles)
        coming = iter(answers)
        told = [Event(of, trigger, next(coming).spans if self.asked[of] else ()) for of, trigger in found]
        return Events(text, tuple(told), **notes([triggers, *answers]))


def events(by_type: Mapping[str, Labels], *, name: str = "events") -> EventTask:
    """Ask what happens, and who plays which role in it.

    Args:
        by_type: For each type of event, its roles: a list, which may be empty, or ``{role: description}``.
        name: The key of the result when several tasks are asked at once.

    Raises:
        LabelError: If a label is empty or repeated.

    >>> events({"attack": ["attacker", "victim"], "rain": []}).labels
    ('attack event', 'rain event', 'attacker', 'victim')
    """
    asked = label_sets(by_type, "the events", "{'attack': ['attacker', 'victim']}", may_be_empty=True)
    trigger_question(tuple(asked))
    return EventTask(asked, name)
