"""Rows of a file, or of a data set of the hub, with classes by name.

pyarrow reads parquet: it is datasets' own dependency, starts in a seventh of the time and writes no cache. Class names
are where datasets keeps them, in the metadata of a table. Of text formats everything is read as it stands: no string
becomes a date or a truth value. TSV knows no quotes.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from seqgpt.errors import DataError, did_you_mean

SUFFIXES = (".parquet", ".jsonl", ".csv", ".tsv", ".conll")
"""The formats that are read, by the end of a file's name."""

_NO_SENTENCE = ("-DOCSTART-",)


class Rows:
    """A table, seen through the roles that its columns play.

    Attributes:
        class_names: The class names of each role whose column holds class numbers.
    """

    def __init__(self, table: pa.Table, columns: Mapping[str, str], where: str) -> None:
        """Look at a table.

        Args:
            table: The table.
            columns: The column of each role.
            where: What the table is, for messages.

        Raises:
            DataError: If it lacks a column.
        """
        known = table.schema.names
        for role, column in columns.items():
            if column not in known:
                raise DataError(
                    f"{where} has no column {column!r}, which the recipe gives for {role!r}."
                    f"{did_you_mean(column, known)} It has {', '.join(known)}: correct 'columns' in the recipe."
                )
        self._table = table
        self._columns = dict(columns)
        features = _features(table.schema.metadata)
        found = {role: _class_names(features.get(column)) for role, column in columns.items()}
        self.class_names: dict[str, tuple[str, ...]] = {role: names for role, names in found.items() if names}

    def __len__(self) -> int:
        return int(self._table.num_rows)

    def read(self, numbers: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Return rows as ``{role: value}``: all, or those of the given numbers; classes are still numbers."""
        table = self._table if numbers is None else self._table.take(pa.array(numbers, type=pa.int64()))
        columns = {role: table.column(column).to_pylist() for role, column in self._columns.items()}
        return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]

    def with_names(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Return a row with class names instead of class numbers.

        Raises:
            DataError: If a number has no name.
        """
        return {
            role: _named(value, self.class_names[role], self._columns[role]) if role in self.class_names else value
            for role, value in row.items()
        }


def read_file(path: Path) -> pa.Table:
    """Read a file of one of the known formats.

    Raises:
        DataError: If it is none, or cannot be read.
    """
    try:
        if path.suffix == ".parquet":
            return pyarrow.parquet.read_table(path)
        return table_of_rows(read_rows(path))
    except (OSError, pa.ArrowException) as error:
        raise _unreadable(path, error) from error


def read_rows(path: Path) -> list[Mapping[str, Any]]:
    """Read the rows of a file of one of the known text formats, as they are written.

    Raises:
        DataError: If it is none, or cannot be read.
    """
    if path.suffix not in _READERS:
        raise DataError(f"{path} is of no known format: give a file that ends with {', '.join(SUFFIXES)}.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            return list(_READERS[path.suffix](lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    kind = path.suffix.removeprefix(".")
    return DataError(f"{path} is not a readable {kind} file ({error}): fetch or write it again.")


def read_hub(hub_id: str, config: str, split: str) -> pa.Table:
    """Read a split of a data set of the hub, or of a folder that looks like one; datasets keeps it in its cache.

    Raises:
        DataError: If it cannot be had.
    """
    return table_of_dataset(_load(hub_id, config, split))


def table_of_dataset(dataset: Any) -> pa.Table:
    """Return a ``datasets.Dataset`` as a table that knows its class names."""
    table = dataset.with_format("arrow")[:]
    described = json.dumps({"info": {"features": dataset.features.to_dict()}}).encode()
    return table.replace_schema_metadata({b"huggingface": described})


def hub_fingerprint(hub_id: str, config: str, split: str) -> str:
    """Return what changes when a data set of the hub does.

    Raises:
        DataError: If it cannot be had.
    """
    return str(_load(hub_id, config, split)._fingerprint)


def _load(hub_id: str, config: str, split: str) -> Any:
    import datasets

    try:
        return datasets.load_dataset(hub_id, config or None, split=split)
    except (OSError, ValueError, RuntimeError, datasets.exceptions.DatasetsError) as error:
        said = " ".join(str(error).split())[:200]
        raise DataError(
            f"{hub_id} cannot be read from the hub ({said}): check the network and the id, or give a local source."
        ) from error


def table_of_rows(rows: Iterable[Mapping[str, Any]]) -> pa.Table:
    """Return rows as a table; what a row lacks is null."""
    listed = list(rows)
    return pa.table({name: [row.get(name) for row in listed] for name in column_names(listed)})


def column_names(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return what the columns of rows are called, in the order in which they come."""
    return list(dict.fromkeys(name for row in rows for name in row))


def _objects(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield the objects of a JSONL file."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise OSError(f"line {number}, column {error.colno}: {error.msg}") from error
            if not isinstance(row, dict):
                raise OSError(f"line {number} is no JSON object")
            yield row


def _cells(lines: Iterable[str], **options: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a CSV or TSV file, each with as many cells as its header has."""
    reader = csv.DictReader(lines, strict=True, **options)
    for row in reader:
        if None in row or None in row.values():
            given = sum(value is not None for key, value in row.items() if key is not None) + len(row.get(None) or ())
            raise OSError(
                f"line {reader.line_num} has {given} cells, the header {len(reader.fieldnames or ())}: put quotes "
                "around cells that hold the separator"
            )
        yield row


def _sentences(lines: Iterable[str]) -> Iterator[dict[str, list[str]]]:
    """Yield the sentences of a CoNLL file: a token a line, its tag in the last column, an empty line between them."""
    tokens: list[str] = []
    tags: list[str] = []
    for line in (*lines, ""):
        fields = line.strip(" \t\r\n").replace("\t", " ").split(" ")
        if fields[0] and fields[0] not in _NO_SENTENCE:
            tokens.append(fields[0])
            tags.append(fields[-1])
        elif tokens:
            yield {"tokens": tokens, "tags": tags}
            tokens, tags = [], []


_READERS: dict[str, Callable[[Iterable[str]], Iterable[Mapping[str, Any]]]] = {
    ".jsonl": _objects,
    ".csv": _cells,
    ".tsv": partial(_cells, delimiter="\t", quoting=csv.QUOTE_NONE),
    ".conll": _sentences,
}


def _features(metadata: Mapping[bytes, bytes] | None) -> dict[str, Any]:
    info = json.loads((metadata or {}).get(b"huggingface", b"{}"))
    features: dict[str, Any] = info.get("info", {}).get("features", {})
    return features


def _class_names(feature: Any) -> tuple[str, ...]:
    """Return the names of a ClassLabel, also within a list, however that was written by this version of datasets."""
    if isinstance(feature, list):
        return _class_names(feature[0])
    if not isinstance(feature, dict):
        return ()
    if feature.get("_type") == "ClassLabel":
        return tuple(feature["names"])
    return _class_names(feature.get("feature"))


def _named(value: Any, names: Sequence[str], column: str) -> Any:
    if isinstance(value, list):
        return [_named(item, names, column) for item in value]
    if not isinstance(value, int) or not 0 <= value < len(names):
        raise DataError(
            f"{value!r} in column {column!r} is not a class number of 0 to {len(names) - 1}: "
            "label the row, or use a split that has labels."
        )
    return names[value]
