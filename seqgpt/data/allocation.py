"""How many examples each member of a mixture gives: UniMax and its alternatives.

Members are leaves of a tree (language, family, data set, task), given by their paths. All functions return whole
numbers and are exact: what is rounded away from one member goes to another.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

TreePath = tuple[str, ...]
"""Where a member stands in the tree: ``("en", "NER", "bc5cdr", "extract")``."""


def unimax(sizes: Mapping[TreePath, int], budget: int, max_epochs: float) -> dict[TreePath, int]:
    """Share a budget as evenly as the sizes allow, on every level of the tree.

    The smallest branch comes first: it gives all it may, ``max_epochs`` times its size, or an even share of what is
    left, whichever is less; what it cannot give goes to the larger ones (UniMax: Chung et al. 2023, arXiv 2304.09151,
    algorithm 1; there over languages only).

    Args:
        sizes: The number of examples of each member.
        budget: How many examples to draw; fewer if the members cannot give so many.
        max_epochs: How often an example may be drawn, at most.

    >>> unimax({("en", "a"): 10, ("en", "b"): 1000, ("zh", "c"): 1000}, budget=200, max_epochs=2)
    {('en', 'a'): 20, ('en', 'b'): 80, ('zh', 'c'): 100}
    """
    most = {path: math.floor(size * max_epochs) for path, size in sizes.items()}
    found = _shared(most, budget)
    return {path: found[path] for path in sizes}


def _shared(most: Mapping[TreePath, int], budget: int) -> dict[TreePath, int]:
    branches: dict[str, dict[TreePath, int]] = {}
    for path, number in most.items():
        branches.setdefault(path[0] if path else "", {})[path[1:]] = number
    if not any(most):  # a leaf: its path is empty
        return {path: min(number, budget) for path, number in most.items()}
    counts: dict[TreePath, int] = {}
    left = budget
    order = sorted(branches, key=lambda name: (sum(branches[name].values()), name))
    for i, name in enumerate(order):
        share = min(sum(branches[name].values()), left // (len(order) - i))
        inner = _shared(branches[name], share)
        counts |= {(name, *path): number for path, number in inner.items()}
        left -= sum(inner.values())
    return counts


def proportional(sizes: Mapping[TreePath, int], budget: int) -> dict[TreePath, int]:
    """Share a budget in proportion to the sizes."""
    return weighted({path: float(size) for path, size in sizes.items()}, budget)


def with_temperature(sizes: Mapping[TreePath, int], budget: int, temperature: float) -> dict[TreePath, int]:
    """Share a budget in proportion to ``size ** (1 / temperature)``: 1 is proportional, a high one nearly even.

    Source: Arivazhagan et al. 2019 (arXiv 1907.05019), section 4.2.
    """
    return weighted({path: size ** (1 / temperature) for path, size in sizes.items()}, budget)


def capped(sizes: Mapping[TreePath, int], budget: int, cap: int) -> dict[TreePath, int]:
    """Share a budget in proportion to the sizes, where no size counts as more than a cap (Raffel et al. 2020)."""
    return weighted({path: float(min(size, cap)) for path, size in sizes.items()}, budget)


def weighted(weights: Mapping[TreePath, float], budget: int) -> dict[TreePath, int]:
    """Share a budget in proportion to weights; the largest remainders are rounded up.

    >>> weighted({("a",): 1.0, ("b",): 2.0}, 10)
    {('a',): 3, ('b',): 7}
    """
    total = sum(weights.values())
    exact = {path: budget * weight / total for path, weight in weights.items()}
    counts = {path: math.floor(number) for path, number in exact.items()}
    by_remainder: Sequence[TreePath] = sorted(exact, key=lambda path: counts[path] - exact[path])
    for path in by_remainder[: budget - sum(counts.values())]:
        counts[path] += 1
    return counts
