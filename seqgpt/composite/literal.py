"""Nested literals, as in UIE: what is asked of a text, and then of each span that is found.

    "person"                                 spans of a label
    "sentiment[good, bad]"                   one of several options
    ["person", "sentiment[good, bad]"]       several of these
    {"person": ["employer"], "place": []}    spans of labels, and what is asked about each of them: again a literal
    ["court", {"plaintiff": "lawyer"}]       labels, with and without

Source: the schemas of UIE (Lu et al. 2022) as PaddleNLP writes them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from seqgpt.composite.base import distinct, label_set
from seqgpt.errors import LabelError, shown

SchemaLiteral = Mapping[str, Any] | list[str | Mapping[str, Any]] | tuple[str | Mapping[str, Any], ...]
"""A literal that is no plain label set: a dict with a list or a dict among its values, or a list with a dict in it."""

MAX_DEPTH = 32
"""Levels of a literal at most; far below what Python can recurse."""

_CHOICE = re.compile(r"([^\[\]]+)\[([^\[\]]*)\]")
_COMMA = re.compile("[,，]")


@dataclass(frozen=True)
class Level:
    """What is asked at one level of a literal, under the names of the answers.

    Attributes:
        asked: For each label to extract, what is asked about its spans; for each choice, its options.
    """

    asked: Mapping[str, Level | tuple[str, ...]]

    @property
    def below(self) -> dict[str, Level]:
        """The labels to extract, with what is asked about their spans."""
        return {name: inner for name, inner in self.asked.items() if isinstance(inner, Level)}

    @property
    def choices(self) -> dict[str, tuple[str, ...]]:
        """The options of each choice."""
        return {name: options for name, options in self.asked.items() if isinstance(options, tuple)}

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels and options, at any depth."""
        deeper = (inner.labels for inner in self.below.values())
        return distinct(tuple(self.below), *self.choices.values(), *deeper)


def is_literal(task: object) -> bool:
    """Tell whether something is a nested literal, and no plain label set.

    >>> is_literal({"person": ["employer"]}), is_literal({"person": "a human being"}), is_literal(["person", "place"])
    (True, False, False)
    """
    if isinstance(task, Mapping):
        return any(isinstance(inner, Mapping | list | tuple) for inner in task.values())
    return isinstance(task, list | tuple) and any(isinstance(member, Mapping) for member in task)


def read_literal(literal: object, under: tuple[str, ...] = ()) -> Level:
    """Read what a literal asks.

    Args:
        literal: The literal.
        under: The labels that lead to the spans about which it is asked.

    Raises:
        LabelError: If it asks nothing, the same twice, is nested too deeply, or is no literal.

    >>> read_literal("情感倾向[正向，负向]")
    Level(asked={'情感倾向': ('正向', '负向')})
    >>> read_literal({"person": "employer"})
    Level(asked={'person': Level(asked={'employer': Level(asked={})})})
    """
    where = f"under {' > '.join(map(shown, under[-3:]))}: " if under else ""
    if len(under) > MAX_DEPTH:
        raise LabelError(f"{where}a schema has at most {MAX_DEPTH} levels: ask the inner ones by themselves.")
    asked: dict[str, Level | tuple[str, ...]] = {}
    for name, inner in _members(literal, under, where):
        if name in asked:
            raise LabelError(f"{where}label {shown(name)} is given twice: give each label once.")
        asked[name] = inner
    _check_choices(Level(asked), where)
    return Level(asked)


def _members(literal: object, under: tuple[str, ...], where: str) -> Iterator[tuple[str, Level | tuple[str, ...]]]:
    if isinstance(literal, str):
        yield _read_name(literal, where)
    elif isinstance(literal, Mapping):
        for label, children in _not_empty(literal, where).items():
            name, inner = _read_name(label, where)
            if isinstance(inner, tuple):
                raise LabelError(
                    f"{where}{shown(label)} is a choice, about which nothing can be asked: put it in a list."
                )
            yield name, inner if children in (None, [], (), {}) else read_literal(children, (*under, name))
    elif isinstance(literal, list | tuple):
        for member in _not_empty(literal, where):
            if not isinstance(member, str | Mapping):
                raise LabelError(f"{where}{shown(member)} in a list: give a label, or {{label: …}}.")
            yield from _members(member, under, where)
    else:
        raise LabelError(
            f"{where}a schema cannot be {shown(literal)}: give a label, a list of labels, or {{label: schema}}."
        )


def _not_empty(literal: Any, where: str) -> Any:
    if not literal:
        raise LabelError(f"{where}the schema is empty: give at least one label.")
    return literal


def _read_name(given: object, where: str) -> tuple[str, Level | tuple[str, ...]]:
    """Read a label, or a choice with its options."""
    try:
        label_set([given])  # type: ignore[list-item]  # which it checks
        name = str(given)
        if "[" not in name and "]" not in name:
            return name, Level({})
        found = _CHOICE.fullmatch(name.strip())
        if not found:
            raise LabelError(
                f"{shown(name)} has a bracket too many or too few: write a choice as 'name[option, option]'."
            )
        options = tuple(option.strip() for option in _COMMA.split(found[2]))
        label_set(options)
    except LabelError as error:
        raise LabelError(f"{where}{error}") from None
    return found[1].strip(), options


def _check_choices(level: Level, where: str) -> None:
    """Refuse choices that would be one question: a model is asked the options, and not the name."""
    names: dict[frozenset[str], str] = {}
    for name, options in level.choices.items():
        other = names.setdefault(frozenset(options), name)
        if other != name:
            raise LabelError(
                f"{where}{shown(other)} and {shown(name)} have the same options, which are all that is asked: let them "
                f"say what is meant, or ask with seqgpt.composite.choice."
            )
