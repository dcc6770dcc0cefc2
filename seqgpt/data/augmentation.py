"""How the labels of an example are shown in training: which, in which order, under which words.

A model that is to answer any label must not learn a label set by heart. So in every epoch an example comes with other
absent labels, sometimes with descriptions, under names of another language, under names that say nothing but for their
description, or without those labels that hold. What is drawn is a function of seed, epoch and example alone.

Source: negatives by frequency follow UniversalNER (Zhou et al. 2023, arXiv 2308.03279); the shares of frequent, even
and hard ones are this project's own.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import NamedTuple

from seqgpt.data.label_book import LabelBook, too_close
from seqgpt.errors import ConfigError
from seqgpt.examples import Example
from seqgpt.results import Classification, Extraction
from seqgpt.tasks import AtomicTask

BY_FREQUENCY, IN_DOMAIN = 1 / 2, 1 / 3
"""Of the absent labels that are shown: those drawn by how frequent they are, and those drawn evenly from the label set.
The rest are hard: of all absent labels the most like one that holds."""

_NO_DESCRIPTIONS: dict[str, str] = {}
_SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in "aeiou"]


@dataclass(frozen=True)
class Augmentation:
    """How often labels are shown otherwise than they are written, as probabilities of an example.

    Attributes:
        max_labels: Most labels to show; more only where as many hold, for one that does not hold is shown at least.
            Labels that take no room, those of a single-label task without descriptions, are all shown.
        negatives: Choose absent labels by frequency and likeness, not evenly.
        foreign: Labels from other examples, per label of the example, where examples bring their own labels.
        all_negative: Without the labels that hold: then nothing does, or "none of these".
        descriptions: With descriptions.
        opaque: Under names that say nothing, with descriptions that do.
        translated: Under names of another language.
    """

    max_labels: int = 24
    negatives: bool = False
    foreign: int = 0
    all_negative: float = 0.0
    descriptions: float = 0.0
    opaque: float = 0.0
    translated: float = 0.0

    def __post_init__(self) -> None:
        rates = ("all_negative", "descriptions", "opaque", "translated")
        for name in rates:
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)!r}: give a probability from 0 to 1.")
        if self.descriptions + self.opaque + self.translated > 1:
            raise ConfigError("descriptions, opaque and translated exclude one another: they may sum to 1 at most.")
        if self.max_labels < 1 or self.foreign < 0:
            raise ConfigError("max_labels must be at least 1, and foreign at least 0.")


class Shown(NamedTuple):
    """The labels of an example as they are shown.

    Attributes:
        kept: The numbers of its own labels that are shown, in order.
        words: Their words.
        descriptions: Their descriptions; empty where they have none.
        foreign: Labels of other examples, which do not hold.
        none: Whether "none of these" is an answer, of a single-label task.
    """

    kept: tuple[int, ...]
    words: tuple[str, ...]
    descriptions: tuple[str, ...]
    foreign: tuple[str, ...] = ()
    none: bool = False

    def absent_weight(self, labels: int, held: Sequence[int]) -> float:
        """Return how many absent labels each one stands for that is shown.

        So the summed loss is, in expectation, the same however many are shown, and an absent label counts as often as
        it is absent, if it is drawn evenly; those that are drawn more often, by frequency and likeness, count for more.
        (What is logged is the mean over the questions that were asked, which are fewer.)

        Args:
            labels: How many labels the task has.
            held: The numbers of those that hold.
        """
        shown = len(self.kept) - sum(number in self.kept for number in held)
        return (labels - len(held)) / max(shown, 1)


class Asked(NamedTuple):
    """What of a task matters for how its labels are shown.

    ``near`` are labels that other examples of the same text bring: they are never shown as absent from it.
    """

    labels: Sequence[str]
    descriptions: Mapping[str, str]
    single_label: bool
    none: bool
    near: Sequence[str] = ()


def choose_labels(
    example: Example, book: LabelBook, options: Augmentation, random_: random.Random, near: Sequence[str] = ()
) -> Shown:
    """Choose how the labels of an example are shown; ``near`` are those of other examples of its text."""
    task = example.task
    asked = Asked(task.labels, task.descriptions, task.single_label, task.none, near)
    return choose(asked, held_numbers(example), book, options, random_)


def choose(task: Asked, held: Sequence[int], book: LabelBook, options: Augmentation, random_: random.Random) -> Shown:
    """Choose how the labels of a task are shown, given the numbers of those that hold."""
    way, without, abstaining = random_.random(), random_.random(), random_.random()
    may_drop = len(held) < len(task.labels) and book.closed
    if task.single_label and options.all_negative and may_drop:  # without its answer, "other" would be right
        may_drop = not book.table(tuple(task.labels)).residual
    drop = may_drop and without < options.all_negative
    allow = may_drop and abstaining < options.all_negative
    none = task.none or (task.single_label and bool(held) and (drop or allow))
    describe = way < options.descriptions
    translate = not describe and way < options.descriptions + options.translated
    hide = not (describe or translate) and way < options.descriptions + options.translated + options.opaque
    descriptions = task.descriptions or (book.descriptions if describe else _NO_DESCRIPTIONS)
    names = book.translated(tuple(task.labels), random_) if translate else None
    if task.single_label and not (descriptions or hide):
        if not drop:
            return _whole(names or tuple(task.labels), none)
        kept = [i for i in range(len(task.labels)) if i not in held]
    else:
        kept = _kept(task, held, () if drop else held, book, options, random_)
        random_.shuffle(kept)
    foreign = () if book.closed or task.single_label else _foreign(task, book, options, random_)
    own = tuple(task.labels[i] for i in kept)
    if hide and book.closed:
        said = tuple(task.descriptions.get(label) or book.descriptions.get(label) or label for label in own)
        return Shown(tuple(kept), _opaque_names(len(own), random_), said, none=none)
    words = tuple(names[i] for i in kept) if names else own
    said = tuple(descriptions.get(label, "") for label in own) if descriptions else ("",) * len(own)
    return Shown(tuple(kept), words, said, foreign, none)


@lru_cache(maxsize=4096)
def _whole(labels: tuple[str, ...], none: bool) -> Shown:
    return Shown(tuple(range(len(labels))), labels, ("",) * len(labels), none=none)


def apply(example: Example, shown: Shown) -> Example:
    """Return an example with its labels as they are shown."""
    task, gold = example.task, example.gold
    names = {task.labels[i]: word for i, word in zip(shown.kept, shown.words, strict=True)}
    labels = (*shown.words, *shown.foreign)
    said = {word: text for word, text in zip(shown.words, shown.descriptions, strict=True) if text}
    asked = AtomicTask(task.kind, labels, said, task.multi_label, shown.none, task.name, task.about)
    if isinstance(gold, Extraction):
        spans = tuple(replace(span, label=names[span.label]) for span in gold.spans if span.label in names)
        result: Extraction | Classification = Extraction.of(gold.text, asked, spans)
    else:
        result = Classification.of(gold.text, asked, tuple(names[label] for label in gold.labels if label in names))
    return Example(result, example.id, example.family, example.language)


def held_numbers(example: Example) -> list[int]:
    """Return the numbers of the labels that hold."""
    gold = example.gold
    held = {span.label for span in gold.spans} if isinstance(gold, Extraction) else set(gold.labels)
    return [i for i, label in enumerate(example.task.labels) if label in held]


def _kept(
    task: Asked,
    held: Sequence[int],
    right: Sequence[int],
    book: LabelBook,
    options: Augmentation,
    random_: random.Random,
) -> list[int]:
    """Return the labels to show: those that are right, and absent ones as far as there is room, one at least.

    What a label that holds implies is not shown as absent, as long as there is something else to show.
    """
    holding = set(held)
    if held and book.closed:
        implied = book.table(tuple(task.labels)).implied
        holding = holding.union(*(implied[i] for i in held))
    absent = [i for i in range(len(task.labels)) if i not in holding]
    absent = absent or [i for i in range(len(task.labels)) if i not in held]
    room = max(options.max_labels - len(right), 1)
    if len(absent) <= room:
        return [*right, *absent]
    if not options.negatives:
        return [*right, *random_.sample(absent, room)]
    return [*right, *_negatives(task.labels, held, absent, room, book, random_)]


def _negatives(
    labels: Sequence[str],
    held: Sequence[int],
    absent: Sequence[int],
    number: int,
    book: LabelBook,
    random_: random.Random,
) -> list[int]:
    """Draw some absent labels, fewer than there are."""
    free = dict.fromkeys(absent)
    found: list[int] = []
    table = book.table(tuple(labels))
    while len(found) < number:
        way = random_.random()
        if way < BY_FREQUENCY:
            (one,) = random_.choices(range(len(labels)), cum_weights=table.sums)
        elif way < BY_FREQUENCY + IN_DOMAIN or not held:
            one = random_.choice(absent)
        else:
            one = next(i for i in table.alike(random_.choice(held)) if i in free)
        if one in free:
            del free[one]
            found.append(one)
    return found


def _foreign(task: Asked, book: LabelBook, options: Augmentation, random_: random.Random) -> tuple[str, ...]:
    """Draw labels of other examples; none that one of the example's own may bring with it."""
    labels, sums = book.pool
    found: dict[str, None] = {}
    for _ in range(options.foreign * len(task.labels)):
        if not labels:
            break
        if random_.random() < BY_FREQUENCY:
            (label,) = random_.choices(labels, cum_weights=sums)
        else:
            few = random_.sample(labels, min(8, len(labels)))
            hard = random_.random() >= IN_DOMAIN / (1 - BY_FREQUENCY)
            label = book.most_alike(random_.choice(task.labels), few) if hard else few[0]
        if label not in task.near and not too_close(label, task.labels, book):
            found[label] = None
    return tuple(found)


def _opaque_names(number: int, random_: random.Random) -> tuple[str, ...]:
    """Return words that mean nothing, all different."""
    names: dict[str, None] = {}
    while len(names) < number:
        names["".join(random_.choices(_SYLLABLES, k=2 if len(names) < 1000 else 4))] = None
    return tuple(names)
