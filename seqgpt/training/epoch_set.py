"""What is common to all training sets: they know the epoch, and what comes in it in which order."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping

import numpy as np
import torch
from torch.utils.data import Dataset

from seqgpt.training.cut import Cut
from seqgpt.training.encode import Encoded
from seqgpt.training.model_card import CardSource


class EpochSet(Dataset[Encoded]):
    """Examples that are drawn, or shown, otherwise in every epoch; what is drawn is a function of seed and epoch."""

    def __init__(self) -> None:
        # Shared, so that worker processes that live on from epoch to epoch see it change.
        self._epoch = torch.zeros(1, dtype=torch.long)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]

    @property
    def epoch(self) -> int:
        """The epoch that runs, counted from 0."""
        return int(self._epoch.item())

    def set_epoch(self, epoch: int) -> None:
        """Tell which epoch comes."""
        self._epoch[0] = epoch

    @property
    @abstractmethod
    def cut(self) -> Mapping[str, Cut]:
        """What was cut of the texts of each source, by its name; sources of which nothing was cut are left out."""

    @abstractmethod
    def __len__(self) -> int:
        """Return how many examples an epoch has."""

    @abstractmethod
    def describe(self) -> list[CardSource]:
        """Tell where the examples come from, as a model card does."""

    @abstractmethod
    def digests(self) -> dict[str, str]:
        """Return a digest of the examples of each source, by its name, by which they are known again."""

    @abstractmethod
    def by_source(self, epoch: int) -> dict[str, np.ndarray]:
        """Return the numbers of the examples of an epoch by what their source is called; int64."""

    @abstractmethod
    def rough_sizes(self, epoch: int) -> np.ndarray:
        """Return how long each example of an epoch is, in a unit of its source: what is known without encoding it."""

    @abstractmethod
    def order(self, epoch: int) -> np.ndarray:
        """Return the order in which the examples of an epoch come; int64 ``[examples]``."""

    @abstractmethod
    def texts(self, epoch: int) -> np.ndarray:
        """Return a hash of the text of each example of an epoch, by its number; uint64 ``[examples]``."""

    @abstractmethod
    def sizes(self, epoch: int) -> np.ndarray:
        """Return about how many tokens each example of an epoch has, by its number; int64 ``[examples]``."""
