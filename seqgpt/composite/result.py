"""What the results of composite tasks have in common: they are frozen, grounded, and travel as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields
from types import NoneType, UnionType
from typing import Any, Self, Union, get_args, get_origin, get_type_hints

from seqgpt.about import Placed
from seqgpt.errors import DataError, shown
from seqgpt.results import check_grounded


class Plain:
    """A frozen dataclass that travels as plain JSON values, by the types of its fields."""

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain JSON values; those that have their default are left out."""
        return {
            each.name: _write(getattr(self, each.name))
            for each in _fields(type(self))
            if getattr(self, each.name) != _default(each)
        }

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Self:
        """Rebuild it from ``to_dict``; other keys of the record are not looked at.

        Raises:
            DataError: If a key is missing, or a value is of the wrong type.
            GroundingError: If a span is not in the text.
        """
        if not isinstance(record, Mapping):
            raise DataError(f"{cls.__name__} is {shown(record)}: give the object that to_dict() returned.")
        kinds, values = get_type_hints(cls), {}
        for each in _fields(cls):
            if each.name in record:
                values[each.name] = _read(kinds[each.name], record[each.name], f"{each.name} of {cls.__name__}")
            elif _default(each) is MISSING:
                raise DataError(f"key {each.name!r} of {cls.__name__} is missing: give what to_dict() returned.")
        return cls(**values)


@dataclass(frozen=True, repr=False)
class CompositeResult(Plain):
    """The result of a composite task on a text.

    Attributes:
        text: The caller's text.
        truncated: True if the text or an answer was cut; ``warnings`` says what.
        warnings: What a reader of the result should know, one sentence each.

    Raises:
        GroundingError: If a span is not in the text at its offsets.
    """

    text: str
    truncated: bool = field(default=False, kw_only=True)
    warnings: tuple[str, ...] = field(default=(), kw_only=True)

    def __post_init__(self) -> None:
        for placed in _places(tuple(getattr(self, each.name) for each in _fields(type(self)))):
            check_grounded(placed, self.text)

    def __repr__(self) -> str:
        """Show what was found; the text is left out, and that nothing was cut."""
        shown = [each for each in _fields(type(self)) if each.name != "text"]
        values = {each.name: getattr(self, each.name) for each in shown if getattr(self, each.name) != _default(each)}
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in values.items())})"


def _places(value: object) -> Iterator[Any]:
    """Return all that stands somewhere in the text, however deep in a result."""
    if isinstance(value, Placed):
        yield value
    elif isinstance(value, Plain):
        yield from _places(tuple(getattr(value, each.name) for each in _fields(type(value))))
    elif isinstance(value, tuple | Mapping):
        for inner in value.values() if isinstance(value, Mapping) else value:
            yield from _places(inner)


def _fields(kind: Any) -> tuple[Field[Any], ...]:
    return fields(kind)


def _default(each: Field[Any]) -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()


def _write(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, Mapping):
        return {key: _write(inner) for key, inner in value.items()}
    return [_write(inner) for inner in value] if isinstance(value, tuple) else value


def _read(kind: Any, value: Any, where: str) -> Any:
    """Read a JSON value as a type says."""
    origin, inside = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return None if value is None and NoneType in inside else _read(_fitting(inside, value), value, where)
    if origin is tuple and isinstance(value, list | tuple):
        return tuple(_read(inside[0], inner, where) for inner in value)
    if origin is Mapping and isinstance(value, Mapping):
        return {key: _read(inside[1], inner, where) for key, inner in value.items()}
    if hasattr(kind, "from_dict"):
        return kind.from_dict(value)
    if type(value) is not kind and (kind, type(value)) != (float, int):
        raise DataError(f"{where} is {shown(value)}: give what to_dict() returned.")
    return value


def _fitting(kinds: tuple[Any, ...], value: object) -> Any:
    """Return of several types the one that a JSON value can be of: objects are records, all else is plain."""
    return next(each for each in kinds if hasattr(each, "from_dict") == isinstance(value, Mapping))
