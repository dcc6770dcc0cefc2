"""What can be evaluated: anything that answers tasks on texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from seqgpt.errors import RunError
from seqgpt.results import Classification, Extraction, Result
from seqgpt.tasks import AtomicTask


@dataclass(frozen=True)
class FreeAnswer:
    """An answer that was read from what a model wrote freely, as far as it can be read.

    Attributes:
        result: What could be read of it.
        malformed: Some of it could not be read, or names what was not asked.
        ungrounded: How many of the strings it gives as spans are not in the text; they are not in ``result``.
    """

    result: Result
    malformed: bool = False
    ungrounded: int = 0


class LostError(RunError):
    """A predictor is gone for good: no text is to blame, so none counts as failed."""


class Predictor(Protocol):
    """What can be evaluated: a :class:`seqgpt.SeqGPT`, a baseline, a peer, or an object of your own."""

    def predict_pairs(
        self, pairs: Sequence[tuple[str, AtomicTask]], *, progress: bool = False
    ) -> Sequence[Result | FreeAnswer]:
        """Answer each task on its text; one answer a pair, in order."""


def no_answer(text: str, task: AtomicTask) -> Result:
    """Return the answer that says nothing: no span, no label."""
    return Extraction.of(text, task, ()) if task.kind == "extract" else Classification.of(text, task, ())
