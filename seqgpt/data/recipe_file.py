"""The YAML of a recipe: which keys it has, and what may be wrong with them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqgpt.data.converters import SCHEMAS, get_schema
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
    "schema",
    "columns",
    "tag_scheme",
    "family",
    "language",
    "labels",
    "descriptions",
    "none",
    "licence",
    "citation",
    "held_out",
    "synthetic",
    "checked",
)


def read_fields(path: Path) -> dict[str, Any]:
    """Read the fields of a recipe.

    Raises:
        ConfigError: With every problem of the file.
    """
    file = YamlFile(path, KEYS)
    texts = {key: file.text(key) for key in ("name", "source", "schema", "family", "language", "licence", "citation")}
    fields: dict[str, Any] = {
        **texts,
        "version": file.whole("version"),
        "hub_id": file.text("hub_id", ""),
        "tag_scheme": file.text("tag_scheme", "") or None,
        "columns": _columns(file, texts["schema"]),
        "labels": _words(file, "labels", texts["language"]),
        "descriptions": _words(file, "descriptions", texts["language"]),
        "none": _none(file),
        **{key: file.flag(key) for key in ("held_out", "synthetic", "checked")},
    }
    _check_source(file, fields["source"])
    _check_labels(file, fields)
    if fields["tag_scheme"] not in (None, *TAG_SCHEMES):
        file.problem("tag_scheme", f"unknown tag scheme {fields['tag_scheme']!r}: use one of {', '.join(TAG_SCHEMES)}")
    file.check()
    return fields


def _columns(file: YamlFile, schema: str) -> dict[str, str]:
    columns = file.values.get("columns")
    if not isinstance(columns, Mapping) or not all(isinstance(item, str) for pair in columns.items() for item in pair):
        file.problem("columns", f"'columns' is {columns!r}: give {{role: column}}, such as {{text: sentence}}")
        columns = None
    try:
        expected = get_schema(schema)
    except ConfigError as error:
        if schema:
            file.problem("schema", str(error).rstrip("."))
        return dict(columns or {})
    if columns is None:
        return {}
    roles = (*expected.roles, *expected.optional)
    for role in columns:
        if role not in roles:
            hint = did_you_mean(role, roles) or f" Its roles are {', '.join(roles)}."
            file.problem("columns", f"schema {schema!r} has no role {role!r}", hint)
    for role in expected.roles:
        if role not in columns:
            file.problem("columns", f"schema {schema!r} needs a column for {role!r}: add '{role}: …' to columns")
    return dict(columns)


def _words(file: YamlFile, key: str, language: str) -> Words:
    entries = file.values.get(key, {} if key != "labels" else None)
    if not isinstance(entries, Mapping) or (key == "labels" and not entries):
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


def _none(file: YamlFile) -> tuple[str, ...]:
    value = file.values.get("none", [])
    classes = value if isinstance(value, list) else [value]
    if not all(isinstance(item, str) for item in classes):
        file.problem("none", f"'none' is {value!r}: give the class that means none of these, in quotes if need be")
        return ()
    return tuple(classes)


def _check_source(file: YamlFile, source: str) -> None:
    if source and ("{split}" not in source or not source.endswith(".parquet")):
        file.problem("source", f"'source' is {source!r}: give a path such as 'name/{{split}}.parquet'")


def _check_labels(file: YamlFile, fields: Mapping[str, Any]) -> None:
    labels: Words = fields["labels"]
    languages = {code for named in labels.values() for code in named}
    for code in sorted(languages):
        owner: dict[str, str] = {}
        for raw, named in labels.items():
            word = named.get(code)
            if word is not None and owner.setdefault(word, raw) != raw:
                file.problem("labels", f"classes {owner[word]!r} and {raw!r} are both called {word!r}: tell them apart")
    for raw in fields["descriptions"]:
        if raw not in labels:
            file.problem("descriptions", f"class {raw!r} is not in labels", did_you_mean(raw, labels))
    for raw in fields["none"]:
        if raw in labels:
            file.problem("none", f"class {raw!r} means none of these, but is in labels too: take it out of labels")
    schema = SCHEMAS.get(fields["schema"])
    if fields["none"] and schema and schema.kind != "classify":
        file.problem("none", "'none' belongs to classification: leave it out")
    if fields["tag_scheme"] and schema and "tags" not in schema.roles:
        file.problem("tag_scheme", "'tag_scheme' belongs to tagged tokens: leave it out")
