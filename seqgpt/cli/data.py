"""``seqgpt data list | show | check | stats``: what data there is, what a model sees of it, what a mixture gives."""

from __future__ import annotations

import argparse
from typing import Any

from rich.console import Console
from rich.table import Table
from tqdm.auto import tqdm

from seqgpt.data.mixture import build_mixture, to_table
from seqgpt.data.mixture_config import load_mixture_config
from seqgpt.data.recipe import Recipe, list_recipes, load_recipe
from seqgpt.data.source import is_recipe, read_source, sources_of, split_name, split_source
from seqgpt.errors import DataError
from seqgpt.examples import BadRows, Example, read_jsonl

_ROWS_EACH = 50  # rows to read for an example: some tasks get none of most rows
_FLAGS = {"held_out": "held out", "synthetic": "synthetic", "checked": "unchecked"}


def add_data(commands: argparse._SubParsersAction[Any], parser_class: type[argparse.ArgumentParser]) -> None:
    """Add ``data`` and its four commands to the command line."""
    data = commands.add_parser("data", help="recipes: list, show, check; what a mixture gives")
    kinds: argparse._SubParsersAction[Any] = data.add_subparsers(
        metavar="list | show | check | stats", parser_class=parser_class, required=True
    )

    listed = kinds.add_parser("list", help="all recipes, or some")
    for key in ("family", "language", "schema"):
        listed.add_argument(f"--{key}", help=f"only recipes of this {key}")
    listed.set_defaults(run=_list)

    show = kinds.add_parser("show", help="a recipe and some of its examples, as a model sees them")
    show.add_argument("name", help="a recipe, one of its tasks (cluener:typing), a JSONL file, or sample")
    show.add_argument("--n", type=int, default=5, help="examples of each task, a seeded choice (default: 5)")
    show.add_argument("--split", default="train", help="train, validation or test (default: train)")
    show.set_defaults(run=_show)

    check = kinds.add_parser("check", help="convert every row of every split")
    check.add_argument("names", nargs="*", metavar="NAME", help="recipes or JSONL files (default: all recipes)")
    check.set_defaults(run=_check)

    stats = kinds.add_parser("stats", help="what each source gives to a mixture")
    stats.add_argument("mixture", metavar="MIXTURE.yaml", help="a file, or the name of a shipped mixture")
    stats.set_defaults(run=_stats)

    for command in (show, check, stats):
        command.add_argument("--data-root", metavar="DIR", help="folder of the data sets (default: $SEQGPT_DATA)")


def _list(options: argparse.Namespace) -> None:
    wanted = {key: getattr(options, key) for key in ("family", "language", "schema") if getattr(options, key)}
    recipes = [load_recipe(name) for name in list_recipes()]
    chosen = [one for one in recipes if all(getattr(one, key) == value for key, value in wanted.items())]
    if not chosen:
        asked = ", ".join(f"{key} {value!r}" for key, value in wanted.items())
        known = {key: sorted({getattr(one, key) for one in recipes}) for key in wanted}
        raise DataError(
            f"no recipe is of {asked}: use one of {', '.join(v for names in known.values() for v in names)}."
        )
    table = _table("name", "language", "family", "tasks", "labels", "licence", "")
    for one in chosen:
        labels = "open" if one.open_labels else str(len(one.labels) or "-")
        table.add_row(one.name, one.language, one.family, ", ".join(one.tasks), labels, one.licence, _flags(one))
    _print(table)
    tasks = sum(len(one.tasks) for one in chosen)
    _print(f"{len(chosen)} recipes, {tasks} atomic tasks; {sum(one.held_out for one in chosen)} recipes held out")


def _flags(recipe: Recipe) -> str:
    said = {"held_out": recipe.held_out, "synthetic": recipe.synthetic, "checked": not recipe.checked}
    return ", ".join(_FLAGS[key] for key, holds in said.items() if holds)


def _show(options: argparse.Namespace) -> None:
    if options.n < 1:
        raise DataError(f"--n is {options.n}: give at least 1.")
    sources = [options.name]
    if is_recipe(options.name):
        _print(_header(split_source(options.name)[0]))
        sources = [options.name] if split_name(options.name)[1] else sources_of(options.name)
    for source in sources:
        examples = read_source(source, options.split, limit=_ROWS_EACH * options.n, data_root=options.data_root)
        for example in examples[: options.n]:
            _print(f"\n── {example.id} " + "─" * max(60 - len(example.id), 3))
            _print(_as_seen(example))


def _header(recipe: Recipe) -> str:
    lines = [
        f"{recipe.name} (version {recipe.version}): {recipe.family}, {recipe.language}, {recipe.schema}"
        + (f"; {_flags(recipe)}" if _flags(recipe) else ""),
        f"tasks:    {', '.join(recipe.tasks)}",
        f"licence:  {recipe.licence}",
        f"citation: {recipe.citation}",
    ]
    for title, words in (("labels", recipe.labels), ("roles", recipe.roles)):
        for raw, names in words.items():
            said = recipe.descriptions.get(raw, {}).get(recipe.language, "")
            lines.append(f"{title[:-1] + ':':10}{raw} → {' | '.join(names.values())}" + (f" ({said})" if said else ""))
    if recipe.none:
        lines.append(f"none:     {', '.join(recipe.none)}")
    return "\n".join(lines)


def _as_seen(example: Example) -> str:
    prompt = example.task.prompt(example.text)
    answer = example.task.answer(example.gold, example.text)
    asked = ", ".join(example.task.labels)
    return f"asked:  {asked}\nprompt: {prompt}\nanswer: {answer}"


def _check(options: argparse.Namespace) -> None:
    work: list[tuple[str, Recipe | None, str]] = []
    for name in options.names or list_recipes():
        recipe = load_recipe(name) if is_recipe(name) else None
        work += [(name, recipe, task) for task in recipe.tasks] if recipe else [(name, None, "")]
    table = _table("recipe", "task", "examples", "wrong rows")
    problems: list[str] = []
    for name, recipe, task in tqdm(work, desc="check", unit="task", disable=len(work) == 1):
        counts, bad = [], BadRows()
        if recipe is None:
            counts.append(str(len(read_jsonl(name, on_bad_row="skip", bad_rows=bad))))
        else:
            for split in recipe.splits(options.data_root) or ["train"]:
                problem, found = _convert(recipe, task, split, options.data_root, bad)
                counts.append(f"{split} {found}")
                problems += [f"task {task}: {one}" for one in problem]
        table.add_row(recipe.name if recipe else name, task, ", ".join(counts), str(bad.count))
        problems += [f"task {task}: {bad}" if task else str(bad)] if bad.count else []
    _print(table)
    if problems:
        raise DataError("\n  ".join(["not every row converts:", *problems]))
    _print(f"{len(work)} {'task' if len(work) == 1 else 'tasks'}: every row converts")


def _convert(recipe: Recipe, task: str, split: str, data_root: str | None, bad: BadRows) -> tuple[list[str], int]:
    try:
        examples = recipe.examples(split, task=task, data_root=data_root, on_bad_row="skip", bad_rows=bad)
    except DataError as error:
        return [str(error)], 0
    return [], len(examples)


def _stats(options: argparse.Namespace) -> None:
    config = load_mixture_config(options.mixture)
    _print(to_table(build_mixture(config, data_root=options.data_root, on_bad_row="skip", progress=True)))


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _print(shown: str | Table) -> None:
    """Print to standard output; a table as wide as it is where nobody looks at it."""
    if isinstance(shown, str):
        print(shown, flush=True)  # noqa: T201
        return
    console = Console(soft_wrap=False)
    Console(width=console.width if console.is_terminal else 200).print(shown)


__all__ = ["add_data"]
