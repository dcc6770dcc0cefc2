"""Suites: what belongs together in an evaluation, by name.

sources: [ag_news, crossner_*]     recipes by name or pattern, one task of a recipe, or JSONL files
exclude: [crossner_ai]             what of it is left out
families: [NER]                    only these
languages: [en]                    only these
held_out: true                     only what is held out; false: only what may be trained on; all if it is not said
tasks: main                        the main task of each recipe, or all
split: test
limit: 500                         most examples of each source, a seeded choice; all if it is not said
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from seqgpt.configs import find_config
from seqgpt.data.patterns import is_among, is_pattern, matching_recipes
from seqgpt.data.recipe import Recipe, list_recipes, load_recipe
from seqgpt.data.source import is_recipe, sources_of, split_name, split_source
from seqgpt.errors import ConfigError, did_you_mean
from seqgpt.yaml_file import YamlFile
from seqgpt.yaml_section import read_section

Tasks = Literal["main", "all"]

_FILTERS = ("families", "languages")


@dataclass(frozen=True)
class Suite:
    """What is evaluated on.

    Attributes:
        sources: Recipes by name or by a pattern such as ``"crossner_*"``; one task of a recipe, ``"cluener:typing"``;
            JSONL files; ``"sample"``.
        exclude: Recipes and patterns that are left out.
        families: If any, only recipes of these families.
        languages: If any, only recipes of these languages.
        held_out: Only recipes that are held out from training (true), or only those that may be trained on (false),
            which are neither held out nor too much like one that is; all if None.
        tasks: ``"main"`` for the first task of each recipe that is named, ``"all"`` for all of them.
        split: The split of recipes.
        limit: Most examples of each source, a seeded choice; all if None.
    """

    sources: list[str] = field(default_factory=lambda: ["*"])
    exclude: list[str] = field(default_factory=list)
    families: list[str] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    held_out: bool | None = None
    tasks: Tasks = "main"
    split: str = "test"
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.tasks not in get_args(Tasks):
            raise ConfigError(f"tasks is {self.tasks!r}: use {' or '.join(get_args(Tasks))}.")
        if self.limit is not None and self.limit < 1:
            raise ConfigError(f"limit is {self.limit}: give at least 1, or leave it out.")

    def find(self) -> list[str]:
        """Return the names of its sources, in order, each once.

        Raises:
            ConfigError: If there is no such recipe, a name or a pattern chooses nothing, or nothing is left.
        """
        for key in _FILTERS:
            for one, hint in _unknown(key, getattr(self, key)):
                raise ConfigError(f"{key}: no recipe is of {one!r}.{hint}")
        found: dict[str, None] = {}
        for name in self.sources:
            found.update(dict.fromkeys(self._of(name)))
        for pattern in self.exclude:
            if not any(is_among(source, [pattern]) for source in found):
                raise ConfigError(f"exclude: {pattern!r} is none of the sources'. Correct it, or leave it out.")
        chosen = [source for source in found if self._wants(source)]
        if not chosen:
            raise ConfigError("nothing is left to evaluate on: name more sources, or leave out fewer.")
        return chosen

    def _of(self, name: str) -> list[str]:
        if not is_recipe(name):
            return [name]
        if is_pattern(name):
            return [source for recipe in matching_recipes(name) for source in self._tasks_of(recipe)]
        split_source(name)  # complains if there is no such thing
        return [name] if split_name(name)[1] else self._tasks_of(name)

    def _tasks_of(self, recipe: str) -> list[str]:
        return sources_of(recipe) if self.tasks == "all" else [recipe]

    def _wants(self, source: str) -> bool:
        if is_among(source, self.exclude):
            return False
        if not is_recipe(source):
            return True
        recipe, _ = split_source(source)
        return (
            (not self.families or recipe.family in self.families)
            and (not self.languages or recipe.language in self.languages)
            and (self.held_out is None or (recipe.held_out if self.held_out else _trainable(recipe)))
        )


def load_suite(name_or_path: str | Path) -> Suite:
    """Load a shipped suite by name, or any by the path of its YAML file.

    Raises:
        ConfigError: If there is no such suite, or its file is wrong; all problems are reported at once.
    """
    file = YamlFile(find_config("suites", name_or_path, "suite"), [one.name for one in dataclasses.fields(Suite)])
    values = read_section(file, "", Suite)
    for key in _FILTERS:
        for one, hint in _unknown(key, values.get(key) or []):
            file.problem(key, f"{key}: no recipe is of {one!r}", hint)
    file.check()
    return Suite(**values)


def _unknown(key: str, given: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield the families or languages that no recipe has, each with a hint."""
    if given:
        known = sorted({_of_recipe(load_recipe(name), key) for name in list_recipes()})
        yield from ((one, did_you_mean(one, known) or f" Use {', '.join(known)}.") for one in given if one not in known)


def _trainable(recipe: Recipe) -> bool:
    return not recipe.held_out and not recipe.conflicts


def _of_recipe(recipe: Recipe, key: str) -> str:
    return recipe.family if key == "families" else recipe.language
