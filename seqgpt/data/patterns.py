"""Patterns such as ``"crossner_*"``, with which mixtures and suites choose recipes and leave sources out."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase

from seqgpt.data.recipe import list_recipes
from seqgpt.data.source import split_name
from seqgpt.errors import ConfigError


def is_pattern(name: str) -> bool:
    """Tell whether a name may stand for several recipes."""
    return "*" in name or "?" in name


def matching_recipes(pattern: str) -> list[str]:
    """Return the names of the shipped recipes that a pattern stands for, sorted.

    Raises:
        ConfigError: If it stands for none.
    """
    matching = [recipe for recipe in list_recipes() if fnmatchcase(recipe, pattern)]
    if not matching:
        raise ConfigError(f"no recipe matches {pattern!r}: see `seqgpt data list`.")
    return matching


def is_among(source: str, patterns: Iterable[str]) -> bool:
    """Tell whether one of some names and patterns stands for a source, or for the recipe whose task it is.

    >>> is_among("cluener:typing", ["clue*"]), is_among("cluener", ["cluener:typing"])
    (True, False)
    """
    names = (source, split_name(source)[0])
    return any(fnmatchcase(name, pattern) for pattern in patterns for name in names)
