"""Rows of a parquet file, with classes by name.

pyarrow, and not ``datasets``, reads the file: it is datasets' own dependency, starts in a seventh of the time, writes
no cache and hands over single rows. Class names are where datasets keeps them, in the schema's metadata.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from seqgpt.errors import DataError, did_you_mean


class ParquetRows:
    """A parquet file, seen through the roles that its columns play.

    Attributes:
        class_names: The class names of each role whose column holds class numbers.
    """

    def __init__(self, path: Path, columns: Mapping[str, str]) -> None:
        """Open a file.

        Args:
            path: The file.
            columns: The column of each role.

        Raises:
            DataError: If it is not a parquet file, or lacks a column.
        """
        try:
            self._file = pq.ParquetFile(path)
        except (OSError, pa.ArrowInvalid) as error:
            raise DataError(f"{path} is not a readable parquet file ({error}): fetch or write it again.") from error
        self._columns = dict(columns)
        known = self._file.schema_arrow.names
        for role, column in columns.items():
            if column not in known:
                raise DataError(
                    f"{path} has no column {column!r}, which the recipe gives for {role!r}."
                    f"{did_you_mean(column, known)} It has {', '.join(known)}: correct 'columns' in the recipe."
                )
        features = _features(self._file.schema_arrow.metadata)
        found = {role: _class_names(features.get(column)) for role, column in columns.items()}
        self.class_names: dict[str, tuple[str, ...]] = {role: names for role, names in found.items() if names}

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    def read(self, numbers: Sequence[int] | None = None) -> list[dict[str, Any]]:
        """Return rows as ``{role: value}``: all, or those of the given numbers; classes are still numbers."""
        table = self._file.read(columns=sorted(set(self._columns.values())))
        if numbers is not None:
            table = table.take(pa.array(numbers, type=pa.int64()))
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
