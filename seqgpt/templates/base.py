"""What a template is, and what all templates agree on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Protocol

from seqgpt.errors import GroundingError, LabelError
from seqgpt.grounding import Mention, ground, mention_list
from seqgpt.rendered import Rendered
from seqgpt.results import Classification, Extraction, Result
from seqgpt.tasks import AtomicTask

Gold = Mapping[str, Sequence[Mention]] | Sequence[str] | str | Result
"""A gold answer: ``{label: [mention, …]}``, a list of labels, one label, or a result."""


class Read(NamedTuple):
    """An answer that was read leniently.

    Attributes:
        result: What could be read.
        malformed: Something could not be read, was said twice or not at all, or names what was not asked.
        ungrounded: How many of the strings that it gives as spans are not in the text; they are not in ``result``.
    """

    result: Result
    malformed: bool
    ungrounded: int


class Template(Protocol):
    """An answer language: one prompt shape, and one way to write and read answers."""

    name: str

    def prompt(self, task: AtomicTask, text: str) -> Rendered:
        """Render what the model reads."""

    def answer(self, task: AtomicTask, gold: Gold, text: str | None) -> Rendered:
        """Render what the model should write."""

    def parse(self, task: AtomicTask, answer: str, text: str) -> Result:
        """Read what the model wrote."""


def gold_spans(task: AtomicTask, gold: Gold, text: str | None) -> Extraction:
    """Ground a gold answer of an extraction task in its text; a result has its text with it."""
    if not isinstance(gold, Extraction):
        return ground(task, _as_mapping(gold), text or "")
    _same_text(gold, text)
    return gold if gold.task == task else Extraction.of(gold.text, task, gold.spans)


def gold_strings(task: AtomicTask, gold: Gold) -> dict[str, list[str]]:
    """Read a gold answer of an extraction task without its text: strings only, in the order given."""
    strings: dict[str, list[str]] = {}
    for label, mentions in _as_mapping(gold).items():
        task.require(label)
        strings[label] = []
        for mention in mention_list(label, mentions):
            if not isinstance(mention, str):
                raise GroundingError("spans with a start need their text: call answer(gold, text).")
            if not mention:
                raise GroundingError(f"a span of {label!r} is empty: leave it out.")
            strings[label].append(mention)
    return strings


def gold_labels(task: AtomicTask, gold: Gold, text: str | None) -> Classification:
    """Check a gold answer of a classification task."""
    if isinstance(gold, Classification):
        _same_text(gold, text)
        result = gold if gold.task == task else Classification.of(gold.text, task, gold.labels)
    elif isinstance(gold, (Mapping, Extraction)):
        raise LabelError(f"the answer of a classification is a list of labels, not {gold!r}.")
    else:
        result = Classification.of(text or "", task, (gold,) if isinstance(gold, str) else tuple(gold))
    if result.abstained and not (task.none or task.multi_label):
        raise LabelError("a single-label answer needs one label: give it, or ask with none=True.")
    return result


def _as_mapping(gold: Gold) -> Mapping[str, Sequence[Mention]]:
    if not isinstance(gold, Mapping):
        raise LabelError(f"the answer of an extraction is {{label: [span, …]}}, not {gold!r}.")
    return gold


def _same_text(gold: Result, text: str | None) -> None:
    if text is not None and text != gold.text:
        raise GroundingError(f"the result is of another text ({gold.text[:40]!r}): leave text out, or give its own.")
