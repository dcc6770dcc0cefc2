"""The questions of every task family, worded once: what recipes train is what composite tasks ask.

A question is an atomic task. What is given beside the text stands in ``about``; the answer is among the labels.

    family                   question
    named entities           extract the types
    typing                   classify a mention by types
    relations                classify a pair of mentions by relations; extract, for a head, the tails of each relation
    events                   extract triggers under "… event"; classify a trigger; extract an event's roles
    inference, matching      classify a second text by how it stands to the first
    reading                  extract the question's answer: the question is the label
    multiple choice          the options are the labels, the question is what they are about
    aspect sentiment         classify an aspect by sentiments

Source: the composition of atomic tasks in SeqGPT (arXiv 2308.10529, section 3).
"""

from __future__ import annotations

from collections.abc import Sequence

from seqgpt.about import AboutLike
from seqgpt.tasks import AtomicTask, Labels
from seqgpt.templates.marks import NO_SPACE_BEFORE

_EVENT = {
    True: "事件",
    False: " event",
}  # by whether the script has no spaces; source of the Chinese: the released model


def typing_question(mention: AboutLike, types: Labels, *, multi_label: bool = False, none: bool = False) -> AtomicTask:
    """Ask of which type, or types, a mention is."""
    return AtomicTask.classify(types, multi_label=multi_label, none=none, about=mention)


def relation_question(
    head: AboutLike, tail: AboutLike, relations: Labels, *, multi_label: bool = False, none: bool = False
) -> AtomicTask:
    """Ask which relation, or relations, the head has to the tail."""
    return AtomicTask.classify(relations, multi_label=multi_label, none=none, about=[head, tail])


def tail_question(head: AboutLike, relations: Labels) -> AtomicTask:
    """Ask for everything to which the head has each relation."""
    return AtomicTask.extract(relations, about=head)


def event_label(event_type: str) -> str:
    """Return the label under which an event's triggers are extracted.

    >>> event_label("earthquake"), event_label("地震"), event_label("突发事件")
    ('earthquake event', '地震事件', '突发事件')
    """
    suffix = _EVENT[bool(NO_SPACE_BEFORE.match(event_type))]
    return event_type if event_type.endswith(suffix) else event_type + suffix


def trigger_question(event_types: Sequence[str]) -> AtomicTask:
    """Ask for the words that tell of each type of event."""
    return AtomicTask.extract([event_label(event_type) for event_type in event_types])


def event_type_question(
    trigger: AboutLike, event_types: Labels, *, multi_label: bool = False, none: bool = False
) -> AtomicTask:
    """Ask of which type, or types, the event is that a trigger tells of."""
    return AtomicTask.classify(event_types, multi_label=multi_label, none=none, about=trigger)


def argument_question(event_type: str, trigger: AboutLike, roles: Labels) -> AtomicTask:
    """Ask for those who play each role in an event."""
    return AtomicTask.extract(roles, about=[event_type, trigger])


def pair_question(second: str, labels: Labels, *, none: bool = False) -> AtomicTask:
    """Ask how a second text stands to the first: entailed by it, of the same meaning, …; or about it, as an aspect."""
    return AtomicTask.classify(labels, none=none, about=second)


def reading_question(question: str) -> AtomicTask:
    """Ask for the spans that answer a question."""
    return AtomicTask.extract([question])


def choice_question(question: str, options: Sequence[str]) -> AtomicTask:
    """Ask which option answers a question; an empty question if the text is the question."""
    return AtomicTask.classify(options, about=question or ())
