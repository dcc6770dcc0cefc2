"""Data of one's own as examples: a datasets.Dataset, a pandas frame, a list of rows or a file, column by column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from seqgpt.data.convert import Origin, convert_rows
from seqgpt.data.rows import Rows, column_names, read_file, read_rows, table_of_dataset, table_of_rows
from seqgpt.data.schemas import SCHEMAS, Reading, Schema
from seqgpt.errors import DataError, did_you_mean
from seqgpt.examples import BadRows, Example, OnBadRow, check_on_bad_row

if TYPE_CHECKING:
    import datasets
    import pandas as pd

_NO_LABEL = "O"  # of tags
_NO_CLASS = {"None", "nan", ""}  # of rows that have none, which are refused one by one


def read_dataset(
    data: datasets.Dataset | pd.DataFrame | Sequence[Mapping[str, Any]] | str | Path,
    column_mapping: Mapping[str, str] | None = None,
    *,
    labels: Mapping[Any, str] | Sequence[str] | None = None,
    task: str | None = None,
    none: Iterable[Any] = (),
    language: str = "",
    on_bad_row: OnBadRow = "error",
    bad_rows: BadRows | None = None,
) -> list[Example]:
    """Read data of one's own.

        read_dataset(frame, {"review": "text", "stars": "label"}, labels={1: "bad", 5: "good"})
        read_dataset(dataset, {"words": "tokens", "ner_tags": "tags"}, labels={"PER": "person", "LOC": "place"})

    What the rows are is told by the roles of their columns: ``text`` and ``label`` (one class), ``text`` and ``labels``
    (several), ``tokens`` and ``tags`` (BIO or another scheme), ``text`` and ``spans`` (each ``{label, start, end}``,
    ``{label, text, start}`` or ``[start, end, label]``), ``text``, ``text_pair`` and ``label``; and those of every
    other schema of recipes (docs/data.md).

    Args:
        data: A ``datasets.Dataset`` (one split), a pandas frame, rows as dictionaries, or a file (parquet, JSONL, CSV,
            TSV, CoNLL).
        column_mapping: The role of each column; a column that is called like its role needs no mention.
        labels: The words of each class, in the order in which they are asked; by default the classes are words.
        task: One of the schema's tasks, such as ``"typing"`` of given mentions; by default its main one.
        none: Classes that mean "none of these".
        language: ``"en"``, ``"zh"`` or another code; Chinese tokens are told by themselves.
        on_bad_row: ``"error"`` stops at the first row that is wrong; ``"skip"`` leaves it out and counts it.
        bad_rows: Counts what is skipped; required for ``"skip"``.

    Returns:
        Examples with the id ``row/NUMBER``.

    Raises:
        DataError: If the columns are not those of any schema, a class has no words, or a row is wrong.
    """
    check_on_bad_row(on_bad_row, bad_rows)
    given, where = _given(data)
    if not len(given):
        raise DataError(f"{where} has no rows: give at least one.")
    names = given.schema.names if isinstance(given, pa.Table) else column_names(given)
    columns = _columns(names, column_mapping or {}, where)
    name, schema = _schema(columns, where)
    if task is not None and task not in schema.tasks:
        raise DataError(
            f"{where} has the columns of {name}, which gives no task {task!r}.{did_you_mean(task, schema.tasks)} "
            f"Use one of {', '.join(schema.tasks)}."
        )
    rows = Rows(
        _as_table(given, columns, where),
        {role: columns[role] for role in (*schema.roles, *schema.optional) if role in columns},
        where,
    )
    apart = frozenset(map(str, none))
    words = {raw: word for raw, word in _words(rows, schema, labels, where).items() if raw not in apart}
    language = language or _language_of_tokens(rows)
    reading = Reading(words, apart, multi_label=schema.classes == "labels", language=language)
    origin = Origin(where, name, task or next(iter(schema.tasks)), "row", language=language)
    return convert_rows(rows, reading, origin, on_bad_row=on_bad_row, bad_rows=bad_rows)


def _given(data: Any) -> tuple[pa.Table | list[Mapping[str, Any]], str]:
    """Return data as a table or as rows, and what to call it."""
    if isinstance(data, (str, Path)):
        path = Path(data)
        return read_file(path) if path.suffix == ".parquet" else read_rows(path), str(data)
    kind = f"{type(data).__module__.partition('.')[0]}.{type(data).__name__}"
    if kind == "datasets.Dataset":
        return table_of_dataset(data), "the data set"
    if kind == "pandas.DataFrame":
        return data.astype(object).where(data.notna(), None).to_dict("records"), "the frame"
    if isinstance(data, Mapping):  # a DatasetDict, or columns
        raise DataError(f"the data are a {kind}: give one split of it, or its rows as a list.")
    if isinstance(data, Iterable):
        rows = list(data)
        if all(isinstance(row, Mapping) for row in rows):
            return rows, "the list"
    raise DataError(f"the data are a {kind}: give a datasets.Dataset, a pandas frame, a list of rows, or a file.")


def _as_table(given: pa.Table | list[Mapping[str, Any]], columns: Mapping[str, str], where: str) -> pa.Table:
    """Return data as a table, its spans as the schema wants them."""
    if "spans" in columns:
        text, spans = columns["text"], columns["spans"]
        rows = given.to_pylist() if isinstance(given, pa.Table) else given
        given = [{**row, spans: _plain_spans(row.get(spans), row.get(text))} for row in rows]
    if isinstance(given, pa.Table):
        return given
    try:
        return table_of_rows(given)
    except pa.ArrowException as error:
        raise DataError(f"a column of {where} has values of several kinds ({error}): give each column one.") from error


def _columns(names: Sequence[str], mapping: Mapping[str, str], where: str) -> dict[str, str]:
    """Return the column of each role."""
    roles = sorted({role for schema in SCHEMAS.values() for role in (*schema.roles, *schema.optional)})
    columns = {name: name for name in names if name in roles and name not in mapping}
    for column, role in mapping.items():
        if column not in names:
            raise DataError(
                f"{where} has no column {column!r}.{did_you_mean(column, names)} It has {', '.join(names)}: "
                "correct column_mapping."
            )
        if role not in roles:
            raise DataError(
                f"column_mapping gives {column!r} the role {role!r}.{did_you_mean(role, roles)} "
                f"Use one of {', '.join(roles)}."
            )
        columns[role] = column
    return columns


def _schema(columns: Mapping[str, str], where: str) -> tuple[str, Schema]:
    """Return the schema whose roles are all there; of several, the one with most."""
    fitting = [(name, schema) for name, schema in SCHEMAS.items() if set(schema.roles) <= set(columns)]
    if not fitting:
        given = ", ".join(columns) or "none"
        raise DataError(
            f"{where} has columns for these roles: {given}. Name the columns that are text and label, text and labels, "
            "tokens and tags, or text and spans: column_mapping={'your column': 'text', …}."
        )
    return max(fitting, key=lambda one: len(one[1].roles))


def _words(rows: Rows, schema: Schema, labels: Mapping[Any, str] | Sequence[str] | None, where: str) -> dict[str, str]:
    """Return the words of each class, which are strings here."""
    found = _classes(rows, schema)
    if labels is None:
        numbers = [raw for raw in found if raw.lstrip("-").removesuffix(".0").isdecimal()]
        if numbers:
            raise DataError(f"{where} has the class {numbers[0]}, which is no word: give labels={{{numbers[0]}: '…'}}.")
        return {raw: raw for raw in found}
    words = {str(raw): word for raw, word in labels.items()} if isinstance(labels, Mapping) else {w: w for w in labels}
    missing = [raw for raw in found if raw not in words]
    if missing and schema.labelled:
        raise DataError(f"labels has no word for the class {missing[0]!r} of {where}: add it, or leave out its rows.")
    return words


def _classes(rows: Rows, schema: Schema) -> list[str]:
    """Return the classes of the rows: in the order of a ClassLabel, else sorted."""
    role = schema.classes
    if role in rows.class_names:
        names = rows.class_names[role]
        tags = role == "tags"
        return list(dict.fromkeys(_label_of(raw) if tags else raw for raw in names if not (tags and raw == _NO_LABEL)))
    found: set[str] = set()
    for row in rows.read():
        if role == "tags":
            found.update(_label_of(tag) for tag in _checked_tags(row[role]) if tag != _NO_LABEL)
        elif role:
            found.update(map(str, row[role] if isinstance(row[role], list) else [row[role]]))
        else:
            found.update(str(span["label"]) for span in row.get("spans") or () if isinstance(span, Mapping))
    return sorted(found - _NO_CLASS)


def _language_of_tokens(rows: Rows) -> str:
    """Return ``"zh"`` for tokens that are mostly Chinese characters, which no spaces part; else an empty string."""
    letters = "".join(token for row in rows.read(range(min(len(rows), 20))) for token in row.get("tokens") or ())
    return "zh" if 2 * sum("\u4e00" <= letter <= "\u9fff" for letter in letters) > len(letters) else ""


def _checked_tags(tags: Sequence[Any] | None) -> Sequence[str]:
    for tag in tags or ():
        if not isinstance(tag, str):
            raise DataError(
                f"a tag is {tag!r}, which is no word: write tags such as B-person, or make them a ClassLabel."
            )
    return tags or ()


def _label_of(tag: str) -> str:
    return tag.partition("-")[2] or tag


def _plain_spans(spans: Any, text: Any) -> Any:
    """Return spans as ``{label, text, start}``, whichever usual way they are written."""
    return [_plain(span, text) for span in spans] if isinstance(spans, list) else spans


def _plain(span: Any, text: Any) -> Any:
    """Return a span as ``{label, text, start}``; as it is, if it is written in none of the known ways."""
    if isinstance(span, (list, tuple)) and len(span) == 3:
        span = dict(zip(("start", "end", "label"), span, strict=True))
    if not isinstance(span, Mapping) or span.get("text") is not None or not isinstance(text, str):
        return span
    start, end = span.get("start"), span.get("end")
    if isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text):
        return {"label": span.get("label"), "text": text[start:end], "start": start}
    return {"label": span.get("label"), "text": f"{start}:{end}", "start": 0}  # which no text has: its row is refused
