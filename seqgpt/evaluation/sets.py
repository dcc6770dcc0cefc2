"""What is evaluated on: sets of examples that are asked alike, from recipes, families, suites and files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tqdm.auto import tqdm

from seqgpt.data.source import has_no_splits, read_source
from seqgpt.errors import DataError
from seqgpt.examples import BadRows, Example, OnBadRow

Kind = Literal["extract", "classify", "multi_label", "read"]
"""How answers are scored: as spans, one class, several classes, or the answer to a question (``read``)."""

HEADLINES: dict[Kind, str] = {
    "extract": "offset_f1",
    "classify": "accuracy",
    "multi_label": "micro_f1",
    "read": "token_f1",
}
"""The one number of each kind."""

_READING = "MRC"
_MANY = 5  # sources: so many take time to read


@dataclass(frozen=True)
class EvalSet:
    """Examples of one source that are scored in one way.

    Attributes:
        name: Its name in tables: that of the source, with the kind where the source has several.
        source: The source: a recipe or one of its tasks, a JSONL file, or ``sample``.
        kind: How answers are scored.
        examples: The examples.
        split: The split of the recipe.
        limit: Most examples that were drawn of it; all if None.
    """

    name: str
    source: str
    kind: Kind
    examples: Sequence[Example]
    split: str = ""
    limit: int | None = None

    @property
    def family(self) -> str:
        """The family of the examples; empty if they have none, or several."""
        return _only({example.family for example in self.examples})

    @property
    def language(self) -> str:
        """The language of the examples; empty if they have none, or several."""
        return _only({example.language for example in self.examples})


def open_sets(
    sources: Sequence[str],
    *,
    split: str = "test",
    limit: int | None = None,
    data_root: str | Path | None = None,
    on_bad_row: OnBadRow = "error",
) -> list[EvalSet]:
    """Read what is evaluated on; all of it is read and checked before anything is predicted.

    Args:
        sources: Recipes or tasks of them, JSONL files, or ``sample`` for the held-out part of the bundled examples.
        split: The split of the recipes.
        limit: Most examples of each, a seeded choice.
        data_root: Folder of the data sets.
        on_bad_row: ``"error"`` or ``"skip"``; what is skipped is counted on standard error.

    Raises:
        DataError: If a source cannot be read, or has no examples.
        ConfigError: If there is no such recipe.
    """
    if isinstance(sources, str):
        raise DataError(f"sources is one string: give a list, [{sources!r}].")
    sets: list[EvalSet] = []
    for source in tqdm(sources, desc="reading", unit=" sets", disable=len(sources) < _MANY, leave=False):
        bad = BadRows()
        examples = read_source(source, split, limit=limit, data_root=data_root, on_bad_row=on_bad_row, bad_rows=bad)
        if bad.count:
            tqdm.write(f"{source}: {bad}", file=sys.stderr)
        kinds = by_kind(examples)
        for kind, members in kinds.items():
            name = f"{source} ({kind})" if len(kinds) > 1 else source
            sets.append(EvalSet(name, source, kind, members, "" if has_no_splits(source) else split, limit))
    return sets


def by_kind(examples: Sequence[Example]) -> dict[Kind, list[Example]]:
    """Split examples by how they are scored; a kind without examples is left out."""
    groups: dict[Kind, list[Example]] = {}
    for example in examples:
        groups.setdefault(kind_of(example), []).append(example)
    return groups


def kind_of(example: Example) -> Kind:
    """Return how the answer to an example is scored."""
    if example.task.kind == "extract" and example.family == _READING and len(example.task.labels) == 1:
        return "read"
    return "multi_label" if example.task.multi_label else example.task.kind


def _only(values: set[str]) -> str:
    return values.pop() if len(values) == 1 else ""
