"""The guard against training on what is held out: its recipes are refused, and its test texts are left out."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from seqgpt.data.recipe import Recipe, list_recipes, load_recipe
from seqgpt.data.root import DATA_VARIABLE
from seqgpt.data.text_index import TextIndex, index_texts
from seqgpt.errors import ConfigError, DataError

TEST = "test"


@dataclass(frozen=True)
class HeldOut:
    """The texts that a model must not have seen.

    Attributes:
        hashes: Their hashes, sorted; uint64.
        recipes: The held-out recipes whose test texts are among them.
        unread: Those whose test texts could not be read, and so are not guarded.
    """

    hashes: np.ndarray
    recipes: tuple[str, ...]
    unread: tuple[str, ...]

    def holds(self, index: TextIndex) -> np.ndarray:
        """Tell for each example whether its text, or one that it is about, is held out; bool ``[examples]``."""
        leaks = np.isin(index.hashes, self.hashes)
        leaks[index.beside_of[np.isin(index.beside, self.hashes)]] = True
        return np.asarray(leaks)


@lru_cache(maxsize=4)
def _shipped(data_root: str | Path | None, _where: str | None) -> HeldOut:
    return _gather(data_root, [load_recipe(name) for name in list_recipes()])


def held_out_texts(data_root: str | Path | None = None, recipes: Iterable[Recipe] | None = None) -> HeldOut:
    """Gather the test texts of all held-out recipes.

    Args:
        data_root: The folder that sources start from.
        recipes: The recipes to look through; by default all that are shipped.
    """
    if recipes is None:
        return _shipped(data_root, os.environ.get(DATA_VARIABLE))
    return _gather(data_root, recipes)


def _gather(data_root: str | Path | None, recipes: Iterable[Recipe]) -> HeldOut:
    hashes = [np.zeros(0, dtype=np.uint64)]
    read, unread = [], []
    for recipe in recipes:
        if recipe.held_out:
            try:
                index = index_texts(recipe, recipe.tasks[0], TEST, data_root=data_root)
                hashes += [index.hashes, index.beside]
                read.append(recipe.name)
            except DataError:
                unread.append(recipe.name)
    return HeldOut(np.unique(np.concatenate(hashes)), tuple(read), tuple(unread))


def refuse_held_out(recipes: Sequence[Recipe], where: str) -> None:
    """Raise a ``ConfigError`` if one of the recipes is held out, or too much like one that is."""
    for recipe in recipes:
        if recipe.held_out:
            raise ConfigError(f"{where}: recipe {recipe.name!r} is held out, for evaluation only: leave it out.")
        if recipe.conflicts:
            raise ConfigError(
                f"{where}: recipe {recipe.name!r} is too much like {', '.join(recipe.conflicts)}, which is held out: "
                "leave it out."
            )
