"""A model whose spans do not overlap, for data sets whose gold spans never do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seqgpt.model import SeqGPT
from seqgpt.results import Result
from seqgpt.tasks import AtomicTask


@dataclass(frozen=True)
class Flat:
    """Answers as a model does with ``overlap="flat"``: of spans that overlap, the most probable is kept.

    Attributes:
        model: The model.
    """

    model: SeqGPT

    def predict_pairs(self, pairs: Sequence[tuple[str, AtomicTask]], *, progress: bool = False) -> list[Result]:
        """Answer each task on its text.

        Raises:
            TextError, LabelError: As :meth:`seqgpt.SeqGPT.predict`.
        """
        return self.model.predict_pairs(pairs, progress=progress, overlap="flat")
