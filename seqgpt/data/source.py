"""Sources: whatever holds examples and has a name, so that training and evaluation read the same things alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from seqgpt.data.convert import sample_rows
from seqgpt.data.recipe import Recipe, load_recipe
from seqgpt.data.sample import load_sample
from seqgpt.errors import DataError, did_you_mean
from seqgpt.examples import BadRows, Example, OnBadRow, read_jsonl, read_records

_SAMPLE_SPLITS = ("train", "validation", "test")


def is_recipe(name: str) -> bool:
    """Tell whether a source is a recipe, by its name or YAML file."""
    return name != "sample" and not has_no_splits(name)


def has_no_splits(name: str) -> bool:
    """Tell whether a source is a JSONL file, which is read whole."""
    return name.endswith(".jsonl")


def split_source(name: str) -> tuple[Recipe, str]:
    """Return the recipe and the task that a source names.

    Raises:
        ConfigError: If there is no such recipe, its file is wrong, or it gives no such task.
    """
    recipe_name, task = split_name(name)
    recipe = load_recipe(recipe_name)
    recipe.require_task(task or recipe.tasks[0])
    return recipe, task or recipe.tasks[0]


def split_name(name: str) -> tuple[str, str]:
    """Return the recipe's name or file and the task that a source names; an empty task if it names none.

    >>> split_name("cluener:typing"), split_name("cluener"), split_name("mine/a.yaml")
    (('cluener', 'typing'), ('cluener', ''), ('mine/a.yaml', ''))
    """
    recipe, colon, task = name.rpartition(":")
    return (recipe, task) if colon and "." not in task else (name, "")


def short_names(sources: Sequence[str]) -> dict[str, str]:
    """Return a short name for each source, the whole path where two files have one name.

    >>> short_names(["cluener:typing", "mine/a.jsonl"])
    {'cluener:typing': 'cluener:typing', 'mine/a.jsonl': 'a'}
    """
    stems = [Path(source).stem for source in sources]
    return {source: stem if stems.count(stem) == 1 else source for source, stem in zip(sources, stems, strict=True)}


def sources_of(name: str) -> list[str]:
    """Return one source for each task of a recipe, given by its name or YAML file.

    Raises:
        ConfigError: If there is no such recipe, or its file is wrong.
    """
    return [name, *(f"{name}:{task}" for task in load_recipe(name).tasks[1:])]


def check_source(name: str, data_root: str | Path | None = None) -> None:
    """Find out whether a source is there, without reading it: whether its recipe, its data sets or its file are.

    Raises:
        DataError: If its file or its folder is not there.
        ConfigError: If there is no such recipe, or its file is wrong.
    """
    if is_recipe(name):
        recipe, _ = split_source(name)
        if not recipe.hub_id:
            recipe.splits(data_root)
    elif has_no_splits(name):
        next(read_records(name), None)


def read_source(
    name: str,
    split: str,
    *,
    limit: int | None = None,
    data_root: str | Path | None = None,
    on_bad_row: OnBadRow = "error",
    bad_rows: BadRows | None = None,
) -> list[Example]:
    """Read the examples of a source.

    Args:
        name: A recipe's name or YAML file, which asks for its main task, or one with another of its tasks
            (``"cluener:typing"``); a JSONL file; or ``sample`` for the bundled examples.
        split: The split of a recipe. The bundled examples have ``"train"`` and, as ``"validation"`` and ``"test"``,
            their held-out part; a JSONL file has no splits and is read whole.
        limit: Most examples, a seeded choice; all if None.
        data_root: Folder of the data sets that recipes read.
        on_bad_row: ``"error"`` or ``"skip"``.
        bad_rows: Counts what is skipped; required for ``"skip"``.

    Returns:
        Examples whose ids begin with the source.

    Raises:
        DataError: If the source cannot be read, or has no examples, or every row of it was skipped.
        ConfigError: If there is no such recipe, or its file is wrong.
    """
    if is_recipe(name):
        recipe, task = split_source(name)
        examples = recipe.examples(
            split, task=task, limit=limit, data_root=data_root, on_bad_row=on_bad_row, bad_rows=bad_rows
        )
    elif name == "sample":
        if split not in _SAMPLE_SPLITS:
            raise DataError(
                f"sample has no split {split!r}.{did_you_mean(split, _SAMPLE_SPLITS)} "
                f"Use one of {', '.join(_SAMPLE_SPLITS)}."
            )
        examples = load_sample("train" if split == "train" else "test")
    else:
        read = read_jsonl(name, on_bad_row=on_bad_row, bad_rows=bad_rows)
        examples = [Example(e.gold, f"{name}/{e.id}", e.family, e.language) for e in read]
    if not examples and bad_rows is not None and bad_rows.count:
        raise DataError(f"{name}: every row was skipped. Correct them. {bad_rows}")
    if not examples:
        raise DataError(f"{name} has no examples: give a file with at least one.")
    return examples if is_recipe(name) else [examples[i] for i in sample_rows(len(examples), limit)]
