"""Sections of a YAML file as the fields of dataclasses: unknown keys and wrong types are told, with their lines."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from seqgpt.errors import did_you_mean
from seqgpt.yaml_file import YamlFile

_KINDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    list: "a list of names",
    dict: "a mapping",
}


def read_section(file: YamlFile, name: str, kind: type) -> dict[str, Any]:
    """Return those keys of a section that are fields of a dataclass and have its types; note all others as problems.

    Args:
        file: The file.
        name: The key of the section; empty for the whole file.
        kind: The dataclass.
    """
    section = file.values.get(name) if name else file.values
    if section is None:
        return {}
    if not isinstance(section, Mapping):
        file.problem(name, f"{name!r} is {section!r}: write its keys below it, indented")
        return {}
    hints = get_type_hints(kind)
    known = [f.name for f in dataclasses.fields(kind)]
    values = {}
    for key, raw in section.items():
        where = f"{name}.{key}" if name else str(key)
        if key not in known and not name:
            continue  # the file has noted it
        if key not in known:
            file.problem(where, f"unknown key {where!r}", did_you_mean(str(key), known) or " Leave it out.")
            continue
        value = _read(raw, hints[key])
        wanted = expected(value, hints[key])
        if wanted:
            file.problem(where, f"{where!r} is {raw!r}: give {wanted}")
        else:
            values[key] = value
    return values


def _read(value: Any, hint: Any) -> Any:
    """Undo what YAML 1.1 reads otherwise than it is meant: ``1e-3`` is text to it, and ``no`` is false."""
    kinds = _kinds(hint)
    if isinstance(value, str) and float in kinds and str not in kinds:
        try:
            return float(value)
        except ValueError:
            return value
    return "no" if value is False and bool not in kinds and str in kinds else value


def expected(value: Any, hint: Any) -> str:
    """Return what is expected instead of a value; an empty string if the value is of its type."""
    kinds = _kinds(hint)
    if get_origin(hint) is Literal:
        return "" if value in get_args(hint) else " or ".join(map(str, get_args(hint)))
    if any(kind not in (*_KINDS, NoneType) for kind in kinds):  # an enumeration, for example: left to transformers
        return "" if not isinstance(value, bool) else "one of its names"
    if type(value) in kinds or (type(value) is int and float in kinds):
        wrong = isinstance(value, list) and not all(isinstance(item, str) for item in value)
        return _KINDS[list] if wrong else ""
    return " or ".join(_KINDS[kind] for kind in kinds if kind is not NoneType)


def _kinds(hint: Any) -> list[Any]:
    members = get_args(hint) if get_origin(hint) in (Union, UnionType) else [hint]
    return [get_origin(member) or member for member in members]
