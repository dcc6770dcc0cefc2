"""What a teacher's answer says: strict JSON where the server holds it to a schema, whatever can be read where not."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

_LABEL = {
    "type": "object",
    "properties": {"label": {"type": "string"}, "description": {"type": "string"}},
    "required": ["label", "description"],
    "additionalProperties": False,
}
_LABELS = {"type": "array", "items": _LABEL}


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


_STRING = {"type": "string"}
_ENTITY = _object(mention=_STRING, type=_STRING)
ANSWER_SCHEMAS: Mapping[str, dict[str, Any]] = {
    "classify": _object(sets={"type": "array", "items": _object(labels=_LABELS, near_misses=_LABELS)}),
    "ner": _object(
        sets={
            "type": "array",
            "items": _object(entities={"type": "array", "items": _ENTITY}, types=_LABELS, near_misses=_LABELS),
        }
    ),
    "typing": _object(
        mentions={"type": "array", "items": _object(mention=_STRING, labels=_LABELS, near_misses=_LABELS)}
    ),
}
"""Task → the JSON schema of its answer, of the kind that servers take as strict: every key required, no others."""

_THOUGHT = re.compile(r"(?s)^.*</think(?:ing)?>|<think(?:ing)?>.*$")
_START = re.compile(r"[{\[]")
_MOST_STARTS = 20  # brackets where the answer may begin
_STRING_OR_LAST_COMMA = re.compile(r'("(?:[^"\\]|\\.)*")|,\s*(?=[}\]])', re.DOTALL)
_NAMES = ("label", "type", "name", "class", "mention", "text", "entity")
_MEANINGS = ("description", "definition", "explanation", "meaning")
_CLOSER = {"{": "}", "[": "]"}


@dataclass(frozen=True)
class Said:
    """A label as the teacher wrote it, with what it means."""

    label: str
    description: str = ""


@dataclass(frozen=True)
class LabelSet:
    """One label set of an answer, as the teacher wrote it.

    Attributes:
        labels: Those that hold; of entities, the types with their descriptions.
        near_misses: Those that do not.
        entities: Mentions, each with its type.
        mention: Whose types these are, of typing.
    """

    labels: tuple[Said, ...] = ()
    near_misses: tuple[Said, ...] = ()
    entities: tuple[tuple[str, str], ...] = ()
    mention: str = ""


def read_answer(content: str, task: str) -> tuple[list[LabelSet] | None, bool]:
    """Read an answer as far as it can be read.

    Thoughts, fences and words around the JSON are passed over; an answer that was cut off counts up to its last whole
    object.

    Returns:
        The label sets, or None if nothing can be read; and whether the answer was plain JSON as it should be.

    >>> read_answer('{"sets": [{"labels": [{"label": "news", "description": ""}], "near_misses": [{"lab', "classify")
    ([LabelSet(labels=(Said(label='news', description=''),), near_misses=(), entities=(), mention='')], False)
    """
    try:
        sets = _label_sets(json.loads(content), task)
        if sets:
            return sets, True
    except (ValueError, RecursionError):
        pass
    inner = _THOUGHT.sub("", content)
    for start in islice(_START.finditer(inner), _MOST_STARTS):  # words before the JSON may have brackets, too
        sets = _label_sets(_value(inner[start.start() :]), task)
        if sets:
            return sets, False
    return None, False


def _value(source: str) -> Any:
    """Return the value that a string begins with, as far as it can be read; None if it is none."""
    for attempt in (_first_value, _as_python, _first_value_repaired, _first_value_of_whole):
        try:
            return attempt(source)
        except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
            continue
    return None


def _first_value(source: str) -> Any:
    return json.JSONDecoder(strict=False).raw_decode(source)[0]


def _first_value_repaired(source: str) -> Any:
    return _first_value(_without_last_commas(source))


def _first_value_of_whole(source: str) -> Any:
    return _first_value(_whole_part(_without_last_commas(source)))


def _without_last_commas(source: str) -> str:
    """Leave out commas behind the last member of a list or an object; what is quoted stays."""
    return _STRING_OR_LAST_COMMA.sub(lambda found: found[1] or "", source)


def _as_python(source: str) -> Any:
    """Read what has the quotes of Python."""
    end = max(source.rfind("}"), source.rfind("]")) + 1
    return ast.literal_eval(source[:end])


def _whole_part(source: str) -> str:
    """Return a cut answer up to the end of its last whole object, all brackets closed."""
    stack: list[str] = []
    quoted = escaped = False
    whole = ""
    for place, letter in enumerate(source):
        if quoted:
            quoted, escaped = (escaped or letter != '"'), (letter == "\\" and not escaped)
        elif letter == '"':
            quoted = True
        elif letter in _CLOSER:
            stack.append(letter)
        elif letter in "}]" and stack:
            stack.pop()
            if letter == "}":
                whole = source[: place + 1] + "".join(_CLOSER[one] for one in reversed(stack))
    return whole


def _sets(found: Any, task: str) -> Iterator[Any]:
    """Yield the label sets of an answer, also of one that left the outer object out."""
    outer = "mentions" if task == "typing" else "sets"
    if isinstance(found, Mapping):
        inner = found.get(outer, found)
        found = inner if isinstance(inner, list) else [inner]
    yield from found if isinstance(found, list) else ()


def _label_sets(found: Any, task: str) -> list[LabelSet]:
    return [one for one in map(_label_set, _sets(found, task)) if one is not None]


def _label_set(given: Any) -> LabelSet | None:
    if not isinstance(given, Mapping) or not {"labels", "entities", "near_misses", "types"} & set(given):
        return None
    named = [*_listed(given.get("labels")), *_listed(given.get("types"))]
    return LabelSet(
        tuple(one for one in map(_said, named) if one),
        tuple(one for one in map(_said, _listed(given.get("near_misses"))) if one),
        tuple(_entities(given.get("entities"))),
        _text(given.get("mention")),
    )


def _listed(value: Any) -> list[Any]:
    if isinstance(value, Mapping):  # {label: description}
        return [{"label": label, "description": words} for label, words in value.items()]
    return value if isinstance(value, list) else []


def _said(given: Any) -> Said | None:
    if isinstance(given, str):
        return Said(given)
    if not isinstance(given, Mapping):
        return None
    label = next((_text(given[name]) for name in _NAMES if name in given), None)
    meaning = next((_text(given[name]) for name in _MEANINGS if name in given), "")
    return None if label is None else Said(label, meaning)


def _entities(given: Any) -> Iterator[tuple[str, str]]:
    if isinstance(given, Mapping):  # {type: [mention, …]}
        given = [(mention, kind) for kind, mentions in given.items() for mention in _listed(mentions)]
    for one in given if isinstance(given, list) else ():
        if isinstance(one, Mapping):
            mention = next((one[name] for name in ("mention", "text", "entity", "name") if name in one), "")
            kind = next((one[name] for name in ("type", "label", "class") if name in one), "")
            yield _text(mention), _text(kind)
        elif isinstance(one, list | tuple) and len(one) == 2:
            yield _text(one[0]), _text(one[1])


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
