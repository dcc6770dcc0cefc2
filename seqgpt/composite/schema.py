"""Schemas: a nested literal asked of a text, and a tree of what is found."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import cast

from seqgpt import display
from seqgpt.composite.base import Steps, notes, together
from seqgpt.composite.literal import Level, SchemaLiteral, read_literal
from seqgpt.composite.result import CompositeResult, Plain
from seqgpt.errors import LabelError, did_you_mean, shown
from seqgpt.questions import tail_question, typing_question
from seqgpt.results import Classification, Extraction, Result, Span
from seqgpt.tasks import AtomicTask

Items = Mapping[str, tuple["Item", ...]]
"""What was found, by label; of a label that is absent, nothing."""


@dataclass(frozen=True)
class Item(Plain):
    """What was found for a label: a span, or an option.

    ``item[label]`` is what was found about a span.

    Attributes:
        span: The span; None for an option.
        option: The option that holds; None for a span.
        scores: Probability of each option.
        children: What was found about the span, by label.

    Raises:
        LabelError: If it is neither a span nor an option with its score.
    """

    span: Span | None = None
    option: str | None = None
    scores: Mapping[str, float] = field(default_factory=dict, hash=False)
    children: Mapping[str, tuple[Item, ...]] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if (self.span is None) == (self.option is None) or (self.span is None and self.option not in self.scores):
            raise LabelError("an item is a span, or an option with its score: give one of them.")

    @property
    def text(self) -> str:
        """The words of the span, or of the option."""
        return self.span.text if self.span else str(self.option)

    @property
    def score(self) -> float:
        """Probability of the span, or of the option."""
        return self.span.score if self.span else self.scores[str(self.option)]

    def __getitem__(self, label: str) -> tuple[Item, ...]:
        return _under(self.children, label)


@dataclass(frozen=True, repr=False)
class Record(CompositeResult):
    """What a text says of a schema: ``record[label]`` is what was found for a label, and each item may hold more.

    Attributes:
        items: What was found, by label.
    """

    items: Mapping[str, tuple[Item, ...]] = field(hash=False)

    def __getitem__(self, label: str) -> tuple[Item, ...]:
        return _under(self.items, label)

    def walk(self) -> Iterator[tuple[tuple[str, ...], Item]]:
        """Return all items, each after the one that it is about, with the labels that lead to it."""
        yield from _walk(self.items, ())

    def to_terminal(self, *, color: bool = True) -> str:
        """Return a view for people: the text with its spans in colour, and below it the tree."""
        rows = [(len(path) - 1, path[-1], item.text, item.span, item.score) for path, item in self.walk()]
        absent = [label for label, found in self.items.items() if not found]
        return display.tree_to_terminal(self.text, rows, absent, self.warnings, color=color)

    def __str__(self) -> str:
        return self.to_terminal(color=False)


@dataclass(frozen=True)
class SchemaTask:
    """Asks a schema; built by :func:`schema`."""

    level: Level
    name: str

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels and options, at any depth."""
        return self.level.labels

    def steps(self, text: str) -> Steps[Record]:
        """Ask level by level: what is asked about all spans of one level is one wave."""
        heard: list[Result] = []
        items = yield from _ask(self.level, None, heard)
        return Record(text, items, **notes(heard))


def schema(literal: str | SchemaLiteral, *, name: str = "schema") -> SchemaTask:
    """Ask a nested literal, as in UIE: labels, what is asked about the spans of each, and so on to any depth.

    Of a choice, such as ``"sentiment[good, bad]"``, the options are what is asked; the name is where the answer stands.

    Args:
        literal: A label; ``"name[option, option]"``; a list of these; or ``{label: literal}``, where an empty list asks
            nothing more. A string behind a label is a label too, and no description.
        name: The key of the result when several tasks are asked at once.

    Raises:
        LabelError: If the literal asks nothing, the same twice, or is something else.

    >>> schema({"comment": ["aspect", "sentiment[good, bad]"]}).labels
    ('comment', 'aspect', 'good', 'bad')
    """
    return SchemaTask(read_literal(literal), name)


def _ask(level: Level, about: Span | None, heard: list[Result]) -> Steps[Items]:
    """Ask one level, of the text or about a span, and then what is asked about the spans that are found."""
    tasks = []
    if level.below:
        labels = tuple(level.below)
        tasks.append(tail_question(about, labels) if about else AtomicTask.extract(labels))
    for options in level.choices.values():
        tasks += [typing_question(about, options) if about else AtomicTask.classify(options)]
    answers = (yield tasks) if tasks else ()
    heard += answers
    coming = iter(answers)
    spans = cast(Extraction, next(coming)).spans if level.below else ()
    children = yield from together([_ask(level.below[span.label], span, heard) for span in spans])
    found: dict[str, list[Item]] = {name: [] for name in level.asked}
    for span, inner in zip(spans, children, strict=True):
        found[span.label].append(Item(span, children=inner))
    for name in level.choices:
        answer = cast(Classification, next(coming))
        if answer.label is not None:
            found[name].append(Item(option=answer.label, scores=answer.scores))
    return {name: tuple(items) for name, items in found.items()}


def _walk(items: Items, above: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Item]]:
    for label, found in items.items():
        for item in found:
            yield (*above, label), item
            yield from _walk(item.children, (*above, label))


def _under(items: Items, label: str) -> tuple[Item, ...]:
    if label not in items:
        raise LabelError(
            f"label {shown(label)} was not asked here.{did_you_mean(str(label), items)} "
            f"{'Asked were ' + ', '.join(items) + '.' if items else 'Nothing was.'}"
        )
    return items[label]
