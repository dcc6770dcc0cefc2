"""Rows as examples: their golds by the schema's converter, their ids by where they stand."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seqgpt.data.rows import Rows
from seqgpt.data.schemas import Reading, Row, get_schema
from seqgpt.errors import DataError, GroundingError, LabelError, SeqGPTError, TextError
from seqgpt.examples import BadRows, Example, OnBadRow, reject
from seqgpt.results import Result


@dataclass(frozen=True)
class Origin:
    """What rows are, and where they come from.

    Attributes:
        where: In words, for messages: ``"Recipe 'cluener', split 'train'"``.
        schema: The shape of the rows: a key of ``seqgpt.data.schemas.SCHEMAS``.
        task: One of the schema's tasks.
        prefix: First part of the examples' ids.
        family: The task family.
        language: The language of the texts.
    """

    where: str
    schema: str
    task: str
    prefix: str
    family: str = ""
    language: str = ""


def convert_rows(
    rows: Rows,
    reading: Reading,
    origin: Origin,
    *,
    limit: int | None = None,
    seed: int = 0,
    on_bad_row: OnBadRow = "error",
    bad_rows: BadRows | None = None,
) -> list[Example]:
    """Convert rows, in their order.

    Args:
        rows: The rows.
        reading: What the converter must know beside the rows.
        origin: What they are, and where they come from.
        limit: At most that many rows, as :func:`sample_rows` draws them; rows that speak of one thing count as one.
        seed: Decides which.
        on_bad_row: ``"error"`` or ``"skip"``.
        bad_rows: Counts what is skipped.

    Raises:
        DataError: If there are no rows, or one of them is wrong; the message has the row.
    """
    conversion = get_schema(origin.schema).tasks[origin.task]
    try:
        groups = _groups(rows, conversion.group_by)
        chosen = [groups[i] for i in sample_rows(len(groups), limit, seed)]
    except DataError as error:
        raise DataError(f"{origin.where}: {error}") from error
    coming = iter(rows.read(None if len(groups) == len(chosen) == len(rows) else [i for g in chosen for i in g]))
    examples: list[Example] = []
    for numbers in chosen:
        members = [next(coming) for _ in numbers]
        try:
            golds = _convert(rows, members, reading, origin)
        except (DataError, LabelError, TextError, GroundingError) as error:
            reject(f"{origin.where}, row {numbers[0]}", error, on_bad_row, bad_rows)
            continue
        for i, gold in enumerate(golds):
            example_id = f"{origin.prefix}/{numbers[0]}/{i}" if i else f"{origin.prefix}/{numbers[0]}"
            examples.append(Example(gold, example_id, origin.family, origin.language))
    return examples


def sample_rows(total: int, limit: int | None, seed: int = 0) -> list[int]:
    """Return the numbers of at most ``limit`` rows, a seeded choice in ascending order; of all rows if it is None.

    The rows of a smaller limit are among those of a larger one.

    Raises:
        DataError: If there are no rows, or the limit is below 1.
    """
    if not total:
        raise DataError("the split has no rows: use another one, or write the file again.")
    if limit is None:
        return list(range(total))
    if limit < 1:
        raise DataError(f"limit must be at least 1, not {limit}: leave it out to read all rows.")
    order = list(range(total))
    random.Random(seed).shuffle(order)  # noqa: S311  (a sample, not a secret)
    return sorted(order[:limit])


def _groups(rows: Rows, group_by: Sequence[str]) -> list[list[int]]:
    """Return the numbers of rows that belong together, groups in the order of their first rows."""
    if not group_by:
        return [[i] for i in range(len(rows))]
    groups: dict[Any, list[int]] = {}
    for i, row in enumerate(rows.read()):
        groups.setdefault(json.dumps([row[role] for role in group_by], sort_keys=True), []).append(i)
    return list(groups.values())


def _convert(rows: Rows, members: Sequence[Row], reading: Reading, origin: Origin) -> list[Result]:
    try:
        conversion = get_schema(origin.schema).tasks[origin.task]
        return list(conversion.convert([rows.with_names(row) for row in members], reading))
    except SeqGPTError:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:  # of another shape than the schema's
        raise DataError(
            f"the row does not have the shape of schema {origin.schema!r} ({type(error).__name__}: {error}): "
            "correct the row, or what is said of its columns."
        ) from error
