"""What a schema is: a shape of rows, and the atomic tasks that rows of this shape give."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from seqgpt.data.tags import TagScheme
from seqgpt.errors import DataError, GroundingError, did_you_mean
from seqgpt.results import Result

Row = Mapping[str, Any]
"""A row by role (``text``, ``label``, …), with classes by name instead of by number."""


@dataclass(frozen=True)
class Reading:
    """What a converter must know beside the rows.

    Attributes:
        labels: The label in words for each raw class.
        none: Raw classes that mean "none of these".
        roles: The role in words for each raw role of an event.
        arguments: The raw roles of each raw event type; a type that is not here has all of them.
        multi_label: Several labels may hold for one thing.
        language: The language of the texts.
        tag_scheme: The tag scheme, if only that one is to be accepted.
    """

    labels: Mapping[str, str]
    none: frozenset[str] = frozenset()
    roles: Mapping[str, str] = field(default_factory=dict)
    arguments: Mapping[str, Sequence[str]] = field(default_factory=dict)
    multi_label: bool = False
    language: str = ""
    tag_scheme: TagScheme | None = None

    @property
    def words(self) -> list[str]:
        """The labels in words."""
        return list(self.labels.values())

    @property
    def abstains(self) -> bool:
        """Whether "none of these" is an answer; of several labels, none need hold anyway."""
        return bool(self.none) and not self.multi_label

    def name(self, raw: str) -> str:
        """Return the label in words of a raw class; raise a ``DataError`` if there is none."""
        return _named(raw, self.labels, "labels")

    def names(self, raw: Iterable[str]) -> tuple[str, ...]:
        """Return the labels in words of raw classes, but of those that mean "none of these"."""
        return tuple(dict.fromkeys(self.name(one) for one in raw if one not in self.none))

    def single(self, raw: Iterable[str], what: str) -> tuple[str, ...]:
        """Return the label in words of something that has one, or "none of these"; several if the recipe says so.

        Raises:
            DataError: If it has several labels, or none, and the recipe does not say that it may.
        """
        names = self.names(raw)
        if len(names) > 1 and not self.multi_label:
            raise DataError(f"the {what} has the labels {', '.join(names)}: say multi_label: true in its recipe.")
        if not names and not (self.none or self.multi_label):
            raise DataError(f"the {what} has no label: give it one, or say multi_label: true in its recipe.")
        return names

    def role(self, raw: str) -> str:
        """Return the role in words of a raw role; raise a ``DataError`` if there is none."""
        return _named(raw, self.roles, "roles")

    def roles_of(self, raw_type: str) -> list[str]:
        """Return the roles in words that an event of a raw type may have."""
        return [self.role(raw) for raw in self.arguments.get(raw_type, self.roles)]


def _named(raw: str, names: Mapping[str, str], key: str) -> str:
    if raw in ("None", "nan", "") and raw not in names:
        raise DataError("there is no label: give it one.")
    if raw not in names:
        hint = did_you_mean(str(raw), names)
        raise DataError(f"class {raw!r} is not among the {key}.{hint} Name it there.")
    return names[raw]


@dataclass(frozen=True)
class Conversion:
    """How rows become gold answers of one atomic task.

    Attributes:
        convert: From the rows of a group to gold answers, some or none.
        group_by: The roles whose equal values put rows into one group, for what is said of one thing in several rows;
            if empty, each row is a group by itself.
    """

    convert: Callable[[Sequence[Row], Reading], Iterable[Result]]
    group_by: tuple[str, ...] = ()


@dataclass(frozen=True)
class Schema:
    """A shape of rows: the roles that columns play, and the atomic tasks they give.

    Attributes:
        roles: The roles that columns must play.
        tasks: The atomic tasks by name, the main one first.
        optional: The roles that columns may play.
        classes: The role of the column that holds classes (tags, for tagged tokens); empty if none does.
        abstains: Some classes may mean "none of these".
        labelled: A recipe names the labels; otherwise each row brings its own.
    """

    roles: tuple[str, ...]
    tasks: Mapping[str, Conversion]
    optional: tuple[str, ...] = ()
    classes: str = ""
    abstains: bool = False
    labelled: bool = True


def each(convert: Callable[[Row, Reading], Iterable[Result]]) -> Conversion:
    """Return the conversion of rows one by one."""

    def one(rows: Sequence[Row], reading: Reading) -> Iterator[Result]:
        for row in rows:
            yield from convert(row, reading)

    return Conversion(one)


def read_place(row: Row, role: str, text: str) -> dict[str, Any]:
    """Return ``{"text": …, "start": …}`` of a mention that stands in a role of a row.

    Raises:
        DataError: If it is something else.
        GroundingError: If it is not in the text there.
    """
    value = row[role]
    if not isinstance(value, Mapping) or not isinstance(value.get("text"), str) or type(value.get("start")) is not int:
        raise DataError(f"the {role} is {value!r}: give {{text, start}}, with the index of its first character.")
    return checked_place(value["text"], value["start"], text, role)


def checked_place(string: str, start: int, text: str, what: str) -> dict[str, Any]:
    """Return ``{"text": …, "start": …}``; raise a ``GroundingError`` if the string does not stand there."""
    if start < 0 or not string or text[start : start + len(string)] != string:
        raise GroundingError(
            f"the {what} {string!r} is not in the text at {start}, which has {text[max(start, 0) :][: len(string)]!r}: "
            "correct its start, counted in characters."
        )
    return {"text": string, "start": start}


def string_list(row: Row, role: str) -> list[str]:
    """Return a list of strings that stands in a role of a row; raise a ``DataError`` if it is something else."""
    value = row[role]
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise DataError(f"the {role} must be a list of strings, not {value!r}: correct the row.")
    return value
