"""Events: a type, a trigger, and arguments in roles."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from seqgpt.data.schemas.base import Reading, Row, Schema, checked_place, each
from seqgpt.errors import DataError
from seqgpt.grounding import ground
from seqgpt.questions import argument_question, event_label, event_type_question, trigger_question
from seqgpt.results import Classification, Extraction
from seqgpt.texts import check_text

_Key = tuple[int, str]


def triggers(row: Row, reading: Reading) -> Iterator[Extraction]:
    """Read a text with its events: for each type, the triggers."""
    text = check_text(row["text"])
    found: dict[str, dict[_Key, dict[str, Any]]] = {}
    for event in _events(row):
        place = _trigger(event, text)
        found.setdefault(event_label(reading.name(event["type"])), {})[place["start"], place["text"]] = place
    yield ground(
        trigger_question(reading.words), {label: list(places.values()) for label, places in found.items()}, text
    )


def types_of_triggers(row: Row, reading: Reading) -> Iterator[Classification]:
    """Read a text with its events: for each trigger, its type or types."""
    text = check_text(row["text"])
    types: dict[_Key, list[str]] = {}
    for event in _events(row):
        place = _trigger(event, text)
        types.setdefault((place["start"], place["text"]), []).append(event["type"])
    for (start, string), raw in types.items():
        names = reading.single(raw, "trigger")
        task = event_type_question({"text": string, "start": start}, reading.words, multi_label=reading.multi_label)
        yield Classification.of(text, task, names)


def arguments(row: Row, reading: Reading) -> Iterator[Extraction]:
    """Read a text with its events: for each event, who plays which role; events of one type and trigger are one."""
    text = check_text(row["text"])
    found: dict[tuple[str, int, str], dict[str, dict[_Key, dict[str, Any]]]] = {}
    for event in _events(row):
        trigger = _trigger(event, text)
        roles = found.setdefault((event["type"], trigger["start"], trigger["text"]), {})
        for argument in event.get("arguments") or ():
            place = checked_place(argument["text"], argument["start"], text, f"argument {argument['role']!r}")
            roles.setdefault(reading.role(argument["role"]), {})[place["start"], place["text"]] = place
    for (raw, start, string), roles in found.items():
        asked = reading.roles_of(raw)
        if asked:
            task = argument_question(reading.name(raw), {"text": string, "start": start}, asked)
            yield ground(task, {role: list(places.values()) for role, places in roles.items()}, text)


def _events(row: Row) -> Iterator[Mapping[str, Any]]:
    events = row["events"]
    if not isinstance(events, list) or not all(isinstance(event, Mapping) and "type" in event for event in events):
        raise DataError(f"the events are {events!r}: give a list of {{type, trigger, arguments}}.")
    yield from events


def _trigger(event: Mapping[str, Any], text: str) -> dict[str, Any]:
    trigger = event.get("trigger")
    if not isinstance(trigger, Mapping):
        raise DataError(f"the trigger of {event['type']!r} is {trigger!r}: give {{text, start}}.")
    return checked_place(trigger["text"], trigger["start"], text, f"trigger of {event['type']!r}")


EVENT_EXTRACTION = Schema(
    ("text", "events"),
    {"triggers": each(triggers), "type": each(types_of_triggers), "arguments": each(arguments)},
)
