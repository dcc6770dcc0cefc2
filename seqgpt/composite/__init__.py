"""Composite tasks: relations, events, nested schemas and more, asked as atomic tasks and answered by one result.

    from seqgpt.composite import relations

    found = model.predict("Tim Cook works for Apple.", relations({"person": ["employer"]}))
    for one in found.relations:
        print(one.head.text, one.relation, one.tail.text, one.score)

Each function builds a task for ``predict``; they ask the same questions that recipes train (:mod:`seqgpt.questions`).
"""

from seqgpt.composite.aspects import AspectSentiments, AspectSentimentTask, Opinion, aspect_sentiment
from seqgpt.composite.base import CompositeTask
from seqgpt.composite.choice import Choice, ChoiceTask, choice
from seqgpt.composite.events import Event, Events, EventTask, events
from seqgpt.composite.inference import Inference, InferenceTask, nli
from seqgpt.composite.literal import SchemaLiteral
from seqgpt.composite.mentions import TypedMention, Typing, TypingTask, typing
from seqgpt.composite.reading import Answers, ReadingTask, reading
from seqgpt.composite.relations import Relation, Relations, RelationTask, relations
from seqgpt.composite.result import CompositeResult
from seqgpt.composite.schema import Item, Record, SchemaTask, schema
from seqgpt.composite.utterance import Utterance, UtteranceTask, intent, slots, utterance

__all__ = [
    "Answers",
    "AspectSentimentTask",
    "AspectSentiments",
    "Choice",
    "ChoiceTask",
    "CompositeResult",
    "CompositeTask",
    "Event",
    "EventTask",
    "Events",
    "Inference",
    "InferenceTask",
    "Item",
    "Opinion",
    "ReadingTask",
    "Record",
    "Relation",
    "RelationTask",
    "Relations",
    "SchemaLiteral",
    "SchemaTask",
    "TypedMention",
    "Typing",
    "TypingTask",
    "Utterance",
    "UtteranceTask",
    "aspect_sentiment",
    "choice",
    "events",
    "intent",
    "nli",
    "reading",
    "relations",
    "schema",
    "slots",
    "typing",
    "utterance",
]
