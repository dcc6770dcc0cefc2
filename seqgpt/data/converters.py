"""From a row of a data set to a gold result: one converter per schema, none per data set.

A schema says which roles its columns play. To add one, write a small function ``(row, reading) -> result`` and list
it in ``SCHEMAS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from seqgpt.data.tags import TagScheme, ground_tags
from seqgpt.errors import ConfigError, DataError, did_you_mean
from seqgpt.results import Classification, Extraction, Result
from seqgpt.tasks import AtomicTask, TaskKind
from seqgpt.texts import check_text

Row = Mapping[str, Any]
"""A row by role (``text``, ``label``, …), with classes by name instead of by number."""


@dataclass(frozen=True)
class Reading:
    """What a converter must know beside the row.

    Attributes:
        task: The task that every row of the data set is an example of.
        names: The label in words for each raw class.
        none: Raw classes that mean "none of these".
        language: The language of the texts.
        tag_scheme: The tag scheme, if only that one is to be accepted.
    """

    task: AtomicTask
    names: Mapping[str, str]
    none: frozenset[str] = frozenset()
    language: str = ""
    tag_scheme: TagScheme | None = None

    def name(self, raw: str) -> str:
        """Return the label in words of a raw class; raise a ``DataError`` if there is none."""
        if raw not in self.names:
            hint = did_you_mean(raw, self.names)
            raise DataError(f"class {raw!r} is not among the recipe's labels.{hint} Name it in the recipe.")
        return self.names[raw]


def text_classification(row: Row, reading: Reading) -> Classification:
    """Read a text with one class."""
    text = check_text(row["text"])
    raw = str(row["label"])
    return Classification.of(text, reading.task, () if raw in reading.none else (reading.name(raw),))


def sequence_labelling(row: Row, reading: Reading) -> Extraction:
    """Read tokens with one tag each, and their text where there is a column for it."""
    for role in ("tokens", "tags"):
        if not isinstance(row[role], list) or not all(isinstance(item, str) for item in row[role]):
            raise DataError(f"the {role} must be a list of strings, not {row[role]!r}: correct the row.")
    text = check_text(row["text"]) if "text" in row else None
    text, found = ground_tags(
        row["tokens"], row["tags"], language=reading.language, text=text, scheme=reading.tag_scheme
    )
    spans = tuple(replace(span, label=reading.name(span.label)) for span in found)
    return Extraction.of(check_text(text), reading.task, spans)


@dataclass(frozen=True)
class Schema:
    """A shape of data: its task, its columns and its converter.

    Attributes:
        kind: The atomic task it gives.
        roles: The roles that columns must play.
        optional: The roles that columns may play.
        classes: The role of the column that holds classes (tags, for tagged tokens).
        convert: From a row to a gold result.
    """

    kind: TaskKind
    roles: tuple[str, ...]
    optional: tuple[str, ...]
    classes: str
    convert: Callable[[Row, Reading], Result]


SCHEMAS: dict[str, Schema] = {
    "text-classification": Schema("classify", ("text", "label"), (), "label", text_classification),
    "sequence-labelling": Schema("extract", ("tokens", "tags"), ("text",), "tags", sequence_labelling),
}


def get_schema(name: str) -> Schema:
    """Return a schema by name.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in SCHEMAS:
        raise ConfigError(f"unknown schema {name!r}.{did_you_mean(name, SCHEMAS)} Use one of {', '.join(SCHEMAS)}.")
    return SCHEMAS[name]
