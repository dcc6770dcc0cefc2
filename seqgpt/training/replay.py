"""Replay: other data among one's own, so that a model that learns new labels keeps those that it knows."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from seqgpt.data.draws import draw
from seqgpt.training.cut import Cut
from seqgpt.training.encode import Encoded
from seqgpt.training.epoch_set import EpochSet
from seqgpt.training.model_card import CardSource


class WithReplay(EpochSet):
    """One's own examples, and in every epoch some of the others: all of these before one comes again.

    Attributes:
        own: The examples that are learnt.
        others: Those that are replayed.
        replayed: How many of the others come in an epoch.
    """

    def __init__(self, own: EpochSet, others: EpochSet, *, share: float, seed: int) -> None:
        """Put two sets together.

        Args:
            own: The examples that are learnt.
            others: The examples that are replayed.
            share: The share of the others in an epoch, above 0 and below 1.
            seed: Decides which of them come when.
        """
        super().__init__()
        self.own = own
        self.others = others
        self.replayed = max(round(len(own) * share / (1 - share)), 1)
        self._seed = seed
        self._drawn = -1
        self._chosen = np.zeros(0, dtype=np.int64)

    def set_epoch(self, epoch: int) -> None:
        """Tell which epoch comes."""
        super().set_epoch(epoch)
        self.own.set_epoch(epoch)
        self.others.set_epoch(epoch)

    def __len__(self) -> int:
        return len(self.own) + self.replayed

    def __getitem__(self, index: int) -> Encoded:
        if index < len(self.own):
            return self.own[index]
        if self._drawn != self.epoch:
            self._drawn, self._chosen = self.epoch, self._choose(self.epoch)
        return self.others[int(self._chosen[index - len(self.own)])]

    @property
    def cut(self) -> Mapping[str, Cut]:
        """What was cut of the texts of each source of both."""
        both = {**self.own.cut}
        for name, one in self.others.cut.items():
            both[name] = both[name] + one if name in both else one
        return both

    def describe(self) -> list[CardSource]:
        """Tell what both consist of."""
        return [*self.own.describe(), *self.others.describe()]

    def by_source(self, epoch: int) -> dict[str, np.ndarray]:
        """Return the numbers of the examples of an epoch by what their source is called; int64."""
        found = self.own.by_source(epoch)
        chosen = self._choose(epoch)
        for name, numbers in self.others.by_source(epoch).items():
            replayed = len(self.own) + np.flatnonzero(np.isin(chosen, numbers))
            found[name] = np.concatenate([found.get(name, replayed[:0]), replayed])
        return found

    def rough_sizes(self, epoch: int) -> np.ndarray:
        """Return how long each example is, in a unit of its source; int64 ``[examples]``."""
        return np.concatenate([self.own.rough_sizes(epoch), self.others.rough_sizes(epoch)[self._choose(epoch)]])

    def order(self, epoch: int) -> np.ndarray:
        """Return the order in which the examples come, own and others mixed; int64 ``[examples]``."""
        numbers = list(range(len(self)))
        draw(self._seed, "order", epoch).shuffle(numbers)
        return np.array(numbers)

    def sizes(self, epoch: int) -> np.ndarray:
        """Return about how many tokens each example has; int64 ``[examples]``."""
        return np.concatenate([self.own.sizes(epoch), self.others.sizes(epoch)[self._choose(epoch)]])

    def _choose(self, epoch: int) -> np.ndarray:
        """Return the numbers of the others that come in an epoch; int64 ``[replayed]``."""
        positions = np.arange(epoch * self.replayed, (epoch + 1) * self.replayed)
        chosen = np.empty_like(positions)
        for times in np.unique(positions // len(self.others)):
            numbers = list(range(len(self.others)))
            draw(self._seed, "replay", times).shuffle(numbers)
            here = positions // len(self.others) == times
            chosen[here] = np.array(numbers)[positions[here] % len(self.others)]
        return chosen
