"""The YAML of a recipe: which keys it has, and what may be wrong with them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqgpt.data.rows import SUFFIXES
from seqgpt.data.schemas import Schema, get_schema
from seqgpt.data.splits import HUB
from seqgpt.data.tags import TAG_SCHEMES
from seqgpt.errors import ConfigError, did_you_mean
from seqgpt.yaml_file import YamlFile

Words = dict[str, dict[str, str]]
"""Raw class → language → words."""

KEYS = (
    "name",
    "version",
    "source",
    "hub_id",
    "hub_config",
    "schema",
    "tasks",
    "columns",
    "tag_scheme",
    "family",
    "language",
    "labels",
    "descriptions",
    "roles",
    "arguments",
    "none",
    "multi_label",
    "licence",
    "citation",
    "held_out",
    "conflicts",
    "synthetic",
    "checked",
)


_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z]+)*")

OPEN = "open"
"""Instead of labels: the rows hold the labels in words."""

_MANY = frozenset({"typing", "type", "pair"})  # tasks that classify something which may have several labels
_EXPECTED = {
    "none": "the class that means none of these",
    "conflicts": "the held-out recipes that it is too much like",
    "tasks": "a list of tasks",
    "source": "a path, or a list of paths",
}


def read_fields(path: Path) -> dict[str, Any]:
    """Read the fields of a recipe.

    Raises:
        ConfigError: With every problem of the file.
    """
    file = YamlFile(path, KEYS)
    texts = {key: file.text(key) for key in ("name", "schema", "family", "language")}
    if texts["language"] and not _LANGUAGE.fullmatch(texts["language"]):
        file.problem("language", f"'language' is {texts['language']!r}: give a code such as en or zh")
    schema = _schema(file, texts["schema"])
    open_labels = file.values.get("labels") == OPEN
    fields: dict[str, Any] = {
        **texts,
        "version": file.whole("version"),
        "sources": _sources(file),
        "tasks": _tasks(file, schema),
        **{key: file.text(key, "") for key in ("hub_id", "hub_config", "licence", "citation")},
        "tag_scheme": file.text("tag_scheme", "") or None,
        "columns": _columns(file, texts["schema"], schema),
        "labels": {} if open_labels else _words(file, "labels", texts["language"], schema.labelled if schema else True),
        "open_labels": open_labels,
        **{key: _words(file, key, texts["language"]) for key in ("descriptions", "roles")},
        "arguments": _arguments(file),
        **{key: _names(file, key) for key in ("none", "conflicts")},
        **{key: file.flag(key) for key in ("multi_label", "held_out", "synthetic", "checked")},
    }
    _check_labels(file, fields, "labels")
    _check_labels(file, fields, "roles")
    _check_references(file, fields)
    if schema:
        _check_belonging(file, fields, schema)
    if fields["tag_scheme"] not in (None, *TAG_SCHEMES):
        file.problem("tag_scheme", f"unknown tag scheme {fields['tag_scheme']!r}: use one of {', '.join(TAG_SCHEMES)}")
    file.check()
    return fields


def _schema(file: YamlFile, name: str) -> Schema | None:
    try:
        return get_schema(name)
    except ConfigError as error:
        if name:
            file.problem("schema", str(error).rstrip("."))
        return None


def _tasks(file: YamlFile, schema: Schema | None) -> tuple[str, ...]:
    """Return the tasks that a recipe names; by default the main one of its schema."""
    known = tuple(schema.tasks) if schema else ()
    named = _names(file, "tasks") if "tasks" in file.values else known[:1]
    for name in dict.fromkeys(name for name in named if named.count(name) > 1):
        file.problem("tasks", f"'tasks' names {name!r} twice: name it once")
    for name in named if schema else ():
        if name not in known:
            hint = did_you_mean(name, known) or f" Its tasks are {', '.join(known)}."
            file.problem("tasks", f"schema {file.values['schema']!r} gives no task {name!r}", hint)
    if not named and schema:
        file.problem("tasks", f"'tasks' is empty: name some of {', '.join(known)}, or leave it out")
    return named


def _columns(file: YamlFile, schema: str, expected: Schema | None) -> dict[str, str]:
    columns = file.values.get("columns")
    if columns is None:
        needed = f"; {schema} needs {', '.join(expected.roles)}" if expected else ""
        file.problem("columns", f"key 'columns' is missing: give {{role: column}}{needed}")
        return {}
    if not isinstance(columns, Mapping) or not all(isinstance(item, str) for pair in columns.items() for item in pair):
        file.problem("columns", f"'columns' is {columns!r}: give {{role: column}}, such as {{text: sentence}}")
        return {}
    if expected is None:
        return dict(columns)
    roles = (*expected.roles, *expected.optional)
    for role in columns:
        if role not in roles:
            hint = did_you_mean(role, roles) or f" Its roles are {', '.join(roles)}."
            file.problem("columns", f"schema {schema!r} has no role {role!r}", hint)
    for role in expected.roles:
        if role not in columns:
            file.problem("columns", f"schema {schema!r} needs a column for {role!r}: add '{role}: …' to columns")
    return dict(columns)


def _words(file: YamlFile, key: str, language: str, needed: bool = False) -> Words:
    entries = file.values.get(key, None if needed else {})
    if not isinstance(entries, Mapping) or (needed and not entries):
        file.problem(key, f"{key!r} is {entries!r}: give {{class: words}}, or {{class: {{en: words, zh: words}}}}")
        return {}
    words: Words = {}
    for raw, entry in entries.items():
        if not isinstance(raw, (str, int)) or isinstance(raw, bool):
            file.problem(key, f"class {raw!r} in {key!r} was read as {type(raw).__name__}: put it in quotes")
            continue
        named = entry if isinstance(entry, Mapping) else {language: entry}
        if not all(isinstance(item, str) and item.strip() for pair in named.items() for item in pair):
            file.problem(key, f"the words for class {raw!r} in {key!r} are {entry!r}: give text, in quotes if need be")
        elif language and language not in named:
            file.problem(key, f"class {raw!r} in {key!r} has no words in {language!r}, the recipe's language: add them")
        else:
            words[str(raw)] = {str(code): str(text) for code, text in named.items()}
    return words


def _names(file: YamlFile, key: str) -> tuple[str, ...]:
    """Return a list of names; one name alone may stand without brackets."""
    value = file.values.get(key, [])
    names = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in names):
        file.problem(key, f"{key!r} is {value!r}: give {_EXPECTED[key]}, in quotes if need be")
        return ()
    return tuple(names)


def _sources(file: YamlFile) -> tuple[str, ...]:
    if not file.values.get("source"):
        file.problem("source", "key 'source' is missing: give it a path such as 'name/{split}.parquet'")
        return ()
    sources = _names(file, "source")
    for source in sources:
        if source == HUB:
            if not file.values.get("hub_id"):
                file.problem("source", "'source' is 'hub', and there is no hub_id: add it")
        elif "{split}" not in source or not source.endswith(SUFFIXES):
            file.problem(
                "source",
                f"'source' is {source!r}: give a path such as 'name/{{split}}.parquet' ({', '.join(SUFFIXES)}), or hub",
            )
    return sources


def _arguments(file: YamlFile) -> dict[str, tuple[str, ...]]:
    entries = file.values.get("arguments", {})
    if not isinstance(entries, Mapping) or not all(
        isinstance(roles, list) and all(isinstance(role, str) for role in roles) for roles in entries.values()
    ):
        file.problem("arguments", f"'arguments' is {entries!r}: give {{event type: [role, …]}}")
        return {}
    return {str(raw): tuple(roles) for raw, roles in entries.items()}


def _check_labels(file: YamlFile, fields: Mapping[str, Any], key: str) -> None:
    labels: Words = fields[key]
    languages = {code for named in labels.values() for code in named}
    for code in sorted(languages):
        owner: dict[str, str] = {}
        for raw, named in labels.items():
            word = named.get(code)
            if word is not None and owner.setdefault(word, raw) != raw:
                file.problem(key, f"classes {owner[word]!r} and {raw!r} are both called {word!r}: tell them apart")


def _check_references(file: YamlFile, fields: Mapping[str, Any]) -> None:
    """Report classes and roles that are spoken of, but not named."""
    labels, roles = fields["labels"], fields["roles"]
    for key in ("descriptions", "arguments"):
        for raw in fields[key]:
            if raw not in labels and not (key == "descriptions" and raw in roles):
                file.problem(key, f"class {raw!r} is not in labels", did_you_mean(raw, labels))
    for raw, named in fields["arguments"].items():
        for role in named:
            if role not in roles:
                file.problem("arguments", f"role {role!r} of {raw!r} is not in roles", did_you_mean(role, roles))
    for raw in fields["none"]:
        if raw in labels:
            file.problem("none", f"class {raw!r} means none of these, but is in labels too: take it out of labels")


def _check_belonging(file: YamlFile, fields: Mapping[str, Any], schema: Schema) -> None:
    """Report keys that mean nothing for a schema."""
    if fields["none"] and not schema.abstains:
        file.problem("none", "'none' belongs to classification: leave it out")
    if fields["tag_scheme"] and "tags" not in schema.roles:
        file.problem("tag_scheme", "'tag_scheme' belongs to tagged tokens: leave it out")
    if fields["multi_label"] and not _MANY.intersection(fields["tasks"]):
        file.problem("multi_label", f"'multi_label' belongs to the tasks {', '.join(sorted(_MANY))}: leave it out")
    for key in ("roles", "arguments"):
        if fields[key] and "events" not in schema.roles:
            file.problem(key, f"{key!r} belongs to events: leave it out")
    if (fields["labels"] or fields["open_labels"]) and not schema.labelled:
        file.problem("labels", "the rows of this schema bring their own labels: leave 'labels' out")
    if fields["open_labels"] and not schema.classes:
        file.problem("labels", "'labels' can be open only where a column holds classes: name them")
