"""Examples in whatever form they are given: examples, a file of them, or data of one's own, column by column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from seqgpt.data.own import read_dataset
from seqgpt.errors import DataError, SeqGPTError
from seqgpt.examples import Example, read_jsonl, read_records

if TYPE_CHECKING:
    import datasets
    import pandas as pd

Given: TypeAlias = "Sequence[Example] | Sequence[Mapping[str, Any]] | datasets.Dataset | pd.DataFrame | str | Path"
"""Examples, or a JSONL file or rows of them; or what :func:`seqgpt.read_dataset` reads."""


def read_given(
    parts: Mapping[str, Given],
    column_mapping: Mapping[str, str] | None = None,
    labels: Mapping[Any, str] | Sequence[str] | None = None,
) -> dict[str, list[Example]]:
    """Read examples that belong together, such as those for training and those that are held out.

    A JSONL file and rows may hold examples as :meth:`seqgpt.Example.to_dict` writes them. Everything else is read as
    :func:`seqgpt.read_dataset` does; where a class is in one part only, all are asked for it.

    Args:
        parts: What is read, by what it is called.
        column_mapping: As in ``read_dataset``.
        labels: As in ``read_dataset``.

    Raises:
        DataError: If something cannot be read, or holds no examples.
    """
    found = {name: _read(name, part, column_mapping, labels) for name, part in parts.items()}
    asked = {name: {example.task.labels for example in examples} for name, examples in found.items()}
    if labels is None and len(set().union(*asked.values())) > 1 and all(len(one) == 1 for one in asked.values()):
        words = list(dict.fromkeys(word for one in asked.values() for shown in one for word in shown))
        return {name: _read(name, part, column_mapping, words) for name, part in parts.items()}
    return found


def _read(
    name: str,
    given: Given,
    column_mapping: Mapping[str, str] | None,
    labels: Mapping[Any, str] | Sequence[str] | None,
) -> list[Example]:
    first = _first(given)
    if isinstance(given, (str, Path)) and (first is None or _is_example(first)):
        examples = read_jsonl(given)
    elif isinstance(given, (list, tuple)) and all(isinstance(one, Example) for one in given):
        examples = list(given)
    elif isinstance(given, (list, tuple)) and _is_example(first):
        examples = [_from_row(f"{name}, row {i}", row) for i, row in enumerate(given)]
    else:
        examples = read_dataset(given, column_mapping, labels=labels)
    if not examples:
        raise DataError(f"{name} has no examples: give at least one.")
    return examples


def _first(given: Given) -> Any:
    """Return the first row of a list or of a JSONL file, which tells what the others are; None if it has none."""
    if isinstance(given, (list, tuple)):
        return given[0] if given else None
    if isinstance(given, (str, Path)) and Path(given).suffix == ".jsonl":
        return next((record for _, record in read_records(given)), None)
    return {}


def _is_example(row: Any) -> bool:
    return isinstance(row, DataError) or (isinstance(row, Mapping) and row.get("task") in ("extract", "classify"))


def _from_row(where: str, row: Any) -> Example:
    try:
        return row if isinstance(row, Example) else Example.from_dict(row)
    except (SeqGPTError, AttributeError, TypeError) as error:
        raise DataError(f"{where}: {error}") from error
