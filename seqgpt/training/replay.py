"""Replay: other data among one's own, so that a model that learns new labels keeps those that it knows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property

import numpy as np

from seqgpt.data.draws import draw
from seqgpt.training.cut import Cut
from seqgpt.training.encode import Encoded
from seqgpt.training.epoch_set import EpochSet
from seqgpt.training.model_card import CardSource
from seqgpt.training.shares import Shares


class WithReplay(EpochSet):
    """One's own examples, and in every epoch some of the others.

    The sources of the others share the places evenly, as far as each lasts for an epoch: so small ones are not lost
    among large ones. Of each source all examples come before one comes again.

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
        shares = self._shares
        others = [replace(one, examples=shares.most(one.name)) for one in self.others.describe()]
        return [*self.own.describe(), *others]

    def digests(self) -> dict[str, str]:
        """Return a digest of the examples of each source of both."""
        return self.own.digests() | {f"{name}, replayed,": one for name, one in self.others.digests().items()}

    def by_source(self, epoch: int) -> dict[str, np.ndarray]:
        """Return the numbers of the examples of an epoch by what their source is called; int64."""
        found = self.own.by_source(epoch)
        chosen = self._choose(epoch)
        for name, numbers in self.others.by_source(epoch).items():
            replayed = len(self.own) + np.flatnonzero(np.isin(chosen, numbers))
            if len(replayed):  # where there are more sources than places, some wait for another epoch
                found[name] = np.concatenate([found.get(name, replayed[:0]), replayed])
        return found

    def rough_sizes(self, epoch: int) -> np.ndarray:
        """Return how long each example is, in a unit of its source; int64 ``[examples]``."""
        return np.concatenate([self.own.rough_sizes(epoch), self.others.rough_sizes(epoch)[self._choose(epoch)]])

    def order(self, epoch: int) -> np.ndarray:
        """Return the order in which the examples come; int64 ``[examples]``.

        Own and others keep the order in which they would come alone, and are mixed so that tasks on one text stay
        together.
        """
        sequence = np.concatenate([self.own.order(epoch), len(self.own) + self._order_of_chosen(epoch)])
        texts = self.texts(epoch)[sequence]
        begins = np.append(True, texts[1:] != texts[:-1])
        begins[len(self.own)] = True
        runs = np.cumsum(begins) - 1
        sides = [0] * int(runs[len(self.own) - 1] + 1)
        sides += [1] * int(runs[-1] + 1 - len(sides))
        draw(self._seed, "order", epoch).shuffle(sides)
        place_of_run = np.argsort(sides, kind="stable")  # first those of one's own runs, then those of the others
        return sequence[np.argsort(place_of_run[runs], kind="stable")]

    def texts(self, epoch: int) -> np.ndarray:
        """Return a hash of the text of each example; uint64 ``[examples]``."""
        return np.concatenate([self.own.texts(epoch), self.others.texts(epoch)[self._choose(epoch)]])

    def sizes(self, epoch: int) -> np.ndarray:
        """Return about how many tokens each example has; int64 ``[examples]``."""
        return np.concatenate([self.own.sizes(epoch), self.others.sizes(epoch)[self._choose(epoch)]])

    def _order_of_chosen(self, epoch: int) -> np.ndarray:
        """Return the order of those that come, as the others have it; what comes twice comes again after all."""
        chosen = self._choose(epoch)
        place = np.argsort(self.others.order(epoch))[chosen]
        by_place = np.argsort(place, kind="stable")
        _, first, counts = np.unique(place[by_place], return_index=True, return_counts=True)
        came = np.empty_like(chosen)
        came[by_place] = np.arange(len(chosen)) - np.repeat(first, counts)
        return np.lexsort((place, came))

    @cached_property
    def _shares(self) -> Shares:
        return Shares({name: len(numbers) for name, numbers in self.others.by_source(0).items()}, self.replayed)

    def _choose(self, epoch: int) -> np.ndarray:
        """Return the numbers of the others that come in an epoch; int64 ``[replayed]``."""
        chosen = [np.zeros(0, dtype=np.int64)]
        for name, members in self.others.by_source(0).items():
            positions = self._shares.positions(name, epoch)
            for times in np.unique(positions // len(members)):
                order = members.tolist()
                draw(self._seed, "replay", name, times).shuffle(order)
                chosen.append(np.array(order)[positions[positions // len(members) == times] % len(members)])
        return np.concatenate(chosen)
