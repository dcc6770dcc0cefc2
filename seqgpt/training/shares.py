"""Places of an epoch, shared evenly among sources, as far as each lasts."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class Shares:
    """How many examples of each source come in an epoch, and which positions they have among all that ever come.

    Every source gives as many, but none more than it has; where all are needed, every one gives all of its own, once or
    several times. If the places cannot be divided, sources take turns from epoch to epoch.

    >>> shares = Shares({"a": 2, "b": 50, "c": 90}, 11)
    >>> [[len(shares.positions(name, epoch)) for name in "abc"] for epoch in (0, 1)]
    [[2, 5, 4], [2, 4, 5]]
    """

    def __init__(self, sizes: Mapping[str, int], places: int) -> None:
        """Share places out.

        Args:
            sizes: How many examples each source has, at least one.
            places: How many examples come in an epoch.
        """
        self._times, self._left = divmod(places, sum(sizes.values()))
        self._sizes = sizes
        sharing = sorted(sizes, key=lambda name: sizes[name])
        while sharing and sizes[sharing[0]] * len(sharing) <= self._left:
            self._left -= sizes[sharing.pop(0)]
        self._sharing = [name for name in sizes if name in sharing]

    def positions(self, name: str, epoch: int) -> np.ndarray:
        """Return the positions of what a source gives to an epoch, in all that it ever gives; int64."""
        return np.arange(self._until(name, epoch), self._until(name, epoch + 1))

    def most(self, name: str) -> int:
        """Return how many examples a source gives to an epoch, to some one less."""
        share = -(-self._left // len(self._sharing)) if name in self._sharing else self._sizes[name]
        return self._times * self._sizes[name] + share

    def _until(self, name: str, epoch: int) -> int:
        """Return how many examples a source gives to all epochs before one."""
        whole = epoch * self._times * self._sizes[name]
        if name not in self._sharing:
            return whole + epoch * self._sizes[name]
        turn = self._sharing.index(name)
        return whole + (epoch * self._left + len(self._sharing) - 1 - turn) // len(self._sharing)
