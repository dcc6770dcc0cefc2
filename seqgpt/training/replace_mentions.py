"""New texts from old ones: mentions replaced by others of the same label.

A small model learns by heart which words of which text are spans. Where the same text comes with other mentions every
time, it has to learn what the mentions of a label look like, and what stands around them (mention replacement: Dai and
Adel 2020, arXiv 2010.11683). What they look like it learns better from mentions that are put together of two: those
that it will meet it has not seen either.
"""

from __future__ import annotations

import dataclasses
import random
from collections.abc import Sequence

from seqgpt.examples import Example
from seqgpt.grounding import by_label
from seqgpt.results import Extraction, Span

_Kind = tuple[frozenset[str], str]
"""A label among the labels it was annotated with: labels of the same name mean other things in other data sets."""


class MentionReplacement:
    """Replaces mentions by others that the same examples have under the same label.

    Args:
        examples: The examples, those of other tasks among them.
        rate: Probability that a mention is replaced.
        spliced: Probability that what replaces it is the beginning of one mention with the end of another.
    """

    def __init__(self, examples: Sequence[Example], rate: float, spliced: float = 0.0) -> None:
        self._rate, self._spliced = rate, spliced
        self._mentions: dict[_Kind, list[str]] = {}
        for example in examples if rate else ():
            if isinstance(example.gold, Extraction):
                for label, spans in by_label(example.gold.spans).items():
                    self._mentions.setdefault(_kind(example, label), []).extend(span.text for span in spans)

    def __call__(self, example: Example, random_: random.Random) -> Example:
        """Return the example with other mentions; as it is, if it has none or some that overlap."""
        gold = example.gold
        if not isinstance(gold, Extraction) or not self._rate:
            return example
        text, last = "", 0
        spans = []
        for span in sorted(gold.spans, key=lambda span: (span.start, span.end)):
            if span.start < last:
                return example
            mention = span.text
            if random_.random() < self._rate:
                others = self._mentions[_kind(example, span.label)]
                mention = random_.choice(others)
                if self._spliced and random_.random() < self._spliced:
                    mention = splice(mention, random_.choice(others), random_)
            text += gold.text[last : span.start]
            spans.append(Span(span.label, mention, len(text), len(text) + len(mention)))
            text, last = text + mention, span.end
        return dataclasses.replace(example, gold=Extraction.of(text + gold.text[last:], example.task, spans))


def splice(first: str, second: str, random_: random.Random) -> str:
    """Return the beginning of one mention with the end of another, by words where both have several.

    >>> splice("renal failure", "lung cancer", random.Random(0))
    'renal cancer'
    """
    space = " " if " " in first and " " in second else ""
    left, right = (one.split() if space else [*one] for one in (first, second))
    if len(left) < 2 or len(right) < 2:
        return first
    made = left[: random_.randint(1, len(left) - 1)] + right[random_.randint(1, len(right) - 1) :]
    return space.join(made).strip() or first


def _kind(example: Example, label: str) -> _Kind:
    return frozenset(example.task.labels), label
