"""What a template is, and what all templates agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from seqgpt.errors import GroundingError, LabelError
from seqgpt.grounding import Mention, ground
from seqgpt.rendered import Rendered
from seqgpt.results import Classification, Extraction, Result
from seqgpt.tasks import AtomicTask

Gold = Mapping[str, Sequence[Mention]] | Sequence[str] | str | Result
"""A gold answer: ``{label: [mention, …]}``, a list of labels, one label, or a result."""


class Template(Protocol):
    """An answer language: one prompt shape, and one way to write and read answers."""

    name: str

    def prompt(self, task: AtomicTask, text: str) -> Rendered:
        """Render what the model reads."""

    def answer(self, task: AtomicTask, gold: Gold, text: str | None) -> Rendered:
        """Render what the model should write."""

    def parse(self, task: AtomicTask, answer: str, text: str) -> Result:
        """Read what the model wrote."""


def gold_spans(task: AtomicTask, gold: Gold, text: str) -> Extraction:
    """Ground a gold answer of an extraction task in its text."""
    return gold if isinstance(gold, Extraction) else ground(task, _as_mapping(gold), text)


def gold_strings(task: AtomicTask, gold: Gold) -> dict[str, list[str]]:
    """Read a gold answer of an extraction task without its text: strings only, in the order given."""
    strings: dict[str, list[str]] = {}
    for label, mentions in _as_mapping(gold).items():
        task.require(label)
        if any(not isinstance(mention, str) for mention in mentions):
            raise GroundingError("spans with a start need their text: call answer(gold, text).")
        strings[label] = [str(mention) for mention in mentions]
    return strings


def gold_labels(task: AtomicTask, gold: Gold, text: str | None) -> Classification:
    """Check a gold answer of a classification task."""
    if isinstance(gold, Classification):
        return gold
    if isinstance(gold, (Mapping, Extraction)):
        raise LabelError(f"the answer of a classification is a list of labels, not {gold!r}.")
    labels = (gold,) if isinstance(gold, str) else tuple(gold)
    result = Classification.of(text or "", task, labels)
    if result.abstained and not (task.none or task.multi_label):
        raise LabelError("a single-label answer needs one label: give it, or ask with none=True.")
    return result


def _as_mapping(gold: Gold) -> Mapping[str, Sequence[Mention]]:
    if not isinstance(gold, Mapping):
        raise LabelError(f"the answer of an extraction is {{label: [span, …]}}, not {gold!r}.")
    return gold
