"""How the labels of an example are shown in training: which, in which order, under which words.

A model that is to answer any label must not learn a label set by heart. So in every epoch an example comes with other
absent labels, sometimes with descriptions, under names of another language, under names that say nothing but for their
description, or without those labels that hold. What is drawn is a function of seed, epoch and example alone.

Source: negatives by frequency follow UniversalNER (Zhou et al. 2023, arXiv 2308.03279); the shares of frequent, even
and hard ones are this project's own.
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import NamedTuple

from seqgpt.data.draws import Uniform, sample, shuffle
from seqgpt.data.label_book import LabelBook, LabelTable, too_close
from seqgpt.errors import ConfigError
from seqgpt.examples import Example
from seqgpt.results import Classification, Extraction
from seqgpt.tasks import AtomicTask

BY_FREQUENCY, IN_DOMAIN = 1 / 2, 1 / 3
"""Of the absent labels that are shown: those drawn by how frequent they are, and those drawn evenly from the label set.
The rest are hard: of all absent labels the most like one that holds."""

_NO_DESCRIPTIONS: dict[str, str] = {}
_FEW = 8  # labels of other examples, of which the most like one of the example's own is a hard one
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
        rates = {  # by the names of the training arguments that they come from
            "all_negative": self.all_negative,
            "described_labels": self.descriptions,
            "opaque_labels": self.opaque,
            "translated_labels": self.translated,
        }
        for name, rate in rates.items():
            if not 0 <= rate <= 1:
                raise ConfigError(f"{name} is {rate!r}: give a probability from 0 to 1.")
        if self.descriptions + self.opaque + self.translated > 1:
            raise ConfigError(
                "described_labels, opaque_labels and translated_labels exclude one another: they may sum to 1 at most."
            )
        if self.max_labels < 1:
            raise ConfigError(f"max_labels is {self.max_labels}: give at least 1.")
        if self.foreign < 0:
            raise ConfigError(f"foreign_labels is {self.foreign}: give at least 0.")

    @cached_property
    def rewords(self) -> bool:
        """Whether labels are ever shown with descriptions or under other names."""
        return self.descriptions + self.opaque + self.translated > 0


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
        shown = len(self.kept) - sum(map(self.kept.__contains__, held))
        return (labels - len(held)) / max(shown, 1)


class Asked(NamedTuple):
    """What of a task matters for how its labels are shown.

    ``near`` are labels that other examples of the same text bring: they are never shown as absent from it.
    """

    labels: tuple[str, ...]
    descriptions: Mapping[str, str]
    single_label: bool
    none: bool
    near: Sequence[str] = ()


def choose_labels(
    example: Example, book: LabelBook, options: Augmentation, uniform: Uniform, near: Sequence[str] = ()
) -> Shown:
    """Choose how the labels of an example are shown; ``near`` are those of other examples of its text."""
    task = example.task
    asked = Asked(task.labels, task.descriptions, task.single_label, task.none, near)
    return choose(asked, held_numbers(example), book, options, uniform)


def choose(task: Asked, held: Sequence[int], book: LabelBook, options: Augmentation, uniform: Uniform) -> Shown:
    """Choose how the labels of a task are shown, given the numbers of those that hold.

    Args:
        task: What is asked.
        held: The numbers of the labels that hold.
        book: What is known of the labels of its source.
        options: How often labels are shown otherwise than they are written.
        uniform: Gives the random numbers; as many are taken as are needed.
    """
    labels, single_label = task.labels, task.single_label
    table = book.table(labels)
    drop = allow = False
    may_drop = options.all_negative and len(held) < len(labels) and book.closed
    if may_drop and not (single_label and table.residual):  # without its answer, "other" would be right
        drop, allow = uniform() < options.all_negative, uniform() < options.all_negative
    none = task.none or (single_label and bool(held) and (drop or allow))
    way = uniform() if options.rewords else 1.0
    describe = way < options.descriptions
    translate = not describe and way < options.descriptions + options.translated
    hide = not (describe or translate) and way < options.descriptions + options.translated + options.opaque
    descriptions = task.descriptions or (book.descriptions if describe else _NO_DESCRIPTIONS)
    others = len(table.wordings) - 1 if translate else 0
    wording = 1 + int(uniform() * others) if others else 0
    if single_label and not (descriptions or hide):
        if not drop:
            return _whole(table, wording, none)
        kept = [i for i in range(len(labels)) if i not in held]
    else:
        kept = _kept(held, () if drop else held, table, book.closed, options, uniform)
        shuffle(kept, uniform)
    foreign = () if book.closed or single_label else _foreign(task, book, options, uniform)
    own = tuple([labels[i] for i in kept])
    if hide and book.closed:
        said = tuple(task.descriptions.get(label) or book.descriptions.get(label) or label for label in own)
        return Shown(tuple(kept), _opaque_names(len(own), uniform), said, none=none)
    words = tuple([table.wordings[wording][i] for i in kept]) if wording else own
    said = tuple([descriptions.get(label, "") for label in own]) if descriptions else ("",) * len(own)
    return Shown(tuple(kept), words, said, foreign, none)


@lru_cache(maxsize=4096)
def _whole(table: LabelTable, wording: int, none: bool) -> Shown:
    words = table.wordings[wording]
    return Shown(tuple(range(len(words))), words, ("",) * len(words), none=none)


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
    """Return the numbers of the labels that hold; a span of white space alone is none, for none is predicted."""
    gold = example.gold
    held = (
        {span.label for span in gold.spans if span.text.strip()} if isinstance(gold, Extraction) else set(gold.labels)
    )
    return [i for i, label in enumerate(example.task.labels) if label in held]


def _kept(
    held: Sequence[int],
    right: Sequence[int],
    table: LabelTable,
    closed: bool,
    options: Augmentation,
    uniform: Uniform,
) -> list[int]:
    """Return the labels to show: those that are right, and absent ones as far as there is room, one at least.

    What a label that holds implies is not shown as absent, as long as there is something else to show.
    """
    every = range(len(table))
    holding = set(held)
    if closed:
        for i in held:
            holding |= table.implied(i)
    absent = [i for i in every if i not in holding] or [i for i in every if i not in held]
    room = max(options.max_labels - len(right), 1)
    if len(absent) <= room:
        return [*right, *absent]
    if not options.negatives:
        return [*right, *sample(absent, room, uniform)]
    return [*right, *_negatives(held, absent, room, table, uniform)]


def _negatives(
    held: Sequence[int], absent: Sequence[int], number: int, table: LabelTable, uniform: Uniform
) -> list[int]:
    """Draw some absent labels, fewer than there are."""
    free = set(absent)
    found: list[int] = []
    sums = table.sums
    while len(found) < number:
        way = uniform()
        if way < BY_FREQUENCY:
            one = bisect(sums, uniform() * sums[-1])
        elif way < BY_FREQUENCY + IN_DOMAIN or not held:
            one = absent[int(uniform() * len(absent))]
        else:
            one = next(filter(free.__contains__, table.alike(held[int(uniform() * len(held))])))
        if one in free:
            free.remove(one)
            found.append(one)
    return found


def _foreign(task: Asked, book: LabelBook, options: Augmentation, uniform: Uniform) -> tuple[str, ...]:
    """Draw labels of other examples; none that one of the example's own may bring with it."""
    labels, sums = book.pool
    found: dict[str, None] = {}
    for _ in range(options.foreign * len(task.labels)):
        if not labels:
            break
        way = uniform()
        if way < BY_FREQUENCY:
            label = labels[bisect(sums, uniform() * sums[-1])]
        elif way < BY_FREQUENCY + IN_DOMAIN:
            label = labels[int(uniform() * len(labels))]
        else:
            few: dict[str, None] = {}
            while len(few) < min(_FEW, len(labels)):
                few[labels[int(uniform() * len(labels))]] = None
            label = book.most_alike(task.labels[int(uniform() * len(task.labels))], few)
        if label not in task.near and not too_close(label, task.labels, book):
            found[label] = None
    return tuple(found)


def _opaque_names(number: int, uniform: Uniform) -> tuple[str, ...]:
    """Return words that mean nothing, all different."""
    names: dict[str, None] = {}
    while len(names) < number:
        syllables = range(2 if len(names) < 1000 else 4)
        names["".join([_SYLLABLES[int(uniform() * len(_SYLLABLES))] for _ in syllables])] = None
    return tuple(names)
