"""Examples in memory as a training set, and what is evaluated: read, checked, and encoded."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Sized
from functools import cached_property
from pathlib import Path

import numpy as np

from seqgpt.data.augmentation import Augmentation, choose_labels, held_numbers
from seqgpt.data.draws import draw, order_by
from seqgpt.data.label_book import LabelBook
from seqgpt.data.text_index import index_examples
from seqgpt.errors import ConfigError, DataError, TextError
from seqgpt.examples import BadRows, Example, read_jsonl
from seqgpt.model import SeqGPT
from seqgpt.tasks import AtomicTask
from seqgpt.training.arguments import TrainingArguments
from seqgpt.training.cut import UNCUT, Cut, Cutter, lost_spans
from seqgpt.training.digest import digest_examples
from seqgpt.training.encode import Encoded, encode
from seqgpt.training.epoch_set import EpochSet
from seqgpt.training.lengths import most_tokens
from seqgpt.training.model_card import CardSource, describe_examples
from seqgpt.training.one_class import one_class
from seqgpt.training.replace_mentions import MentionReplacement
from seqgpt.training.say import say

_MANY = 10  # examples with the same labels: then these are a closed set, not labels of their own

UNNAMED = "examples"
"""What the source of examples is called that were given without a name."""

Examples = Sequence[Example] | str | Path
"""Examples, or the path of a JSONL file that holds them."""


class TrainingSet(EpochSet):
    """Examples that are encoded as they are asked for, with labels and mentions drawn anew in every epoch.

    Raises:
        DataError: If one is longer than is read, and cannot be cut enough.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        model: SeqGPT,
        *,
        seed: int,
        augmentation: Augmentation,
        replace_mentions: float = 0.0,
        spliced_mentions: float = 0.0,
        sources: Sequence[str] = (),
        max_length: int | None = None,
    ) -> None:
        super().__init__()
        self._cutter = Cutter(model.vocabulary, model.template, most_tokens(model, max_length), augmentation.max_labels)
        self._examples = [self._cutter(example, str(index)) for index, example in enumerate(examples)]
        self._lost = [lost_spans(*pair) for pair in zip(examples, self._examples, strict=True)]
        self._sources = sources or [""] * len(examples)
        self._replace_mentions = MentionReplacement(self._examples, replace_mentions, spliced_mentions)
        self._model = model
        self._seed = seed
        self._augmentation = augmentation
        counts = Counter(example.task.labels[i] for example in self._examples for i in held_numbers(example))
        shared = Counter(example.task.labels for example in examples)
        self._closed_sets = {labels for labels, times in shared.items() if times >= _MANY or len(shared) == 1}
        self._books = {closed: LabelBook(counts=counts, closed=closed) for closed in (True, False)}
        labels_of_text: dict[str, set[str]] = {}
        if augmentation.foreign:
            for example in examples:
                labels_of_text.setdefault(example.text, set()).update(example.task.labels)
        self._near = [tuple(labels_of_text.get(example.text, ())) for example in examples]

    @property
    def cut(self) -> Mapping[str, Cut]:
        """What was cut of the texts of each source."""
        most = self._cutter.most
        found: dict[str, Cut] = {}
        for name, lost in zip(self._sources, self._lost, strict=True):
            if lost != UNCUT:
                found[name or UNNAMED] = found.get(name or UNNAMED, Cut(most)) + Cut(most, 1, lost)
        return found

    def describe(self) -> list[CardSource]:
        """Tell what the examples are, by their source."""
        return [describe_examples(name, examples) for name, examples in self._members().items()]

    def digests(self) -> dict[str, str]:
        """Return a digest of the examples of each source."""
        return {name: digest_examples(examples) for name, examples in self._members().items()}

    def _members(self) -> dict[str, list[Example]]:
        members: dict[str, list[Example]] = {}
        for name, example in zip(self._sources, self._examples, strict=True):
            members.setdefault(name or UNNAMED, []).append(example)
        return members

    def __len__(self) -> int:
        return len(self._examples)

    def by_source(self, epoch: int) -> dict[str, np.ndarray]:
        """Return the numbers of the examples by what their source is called; int64."""
        names = np.array([name or UNNAMED for name in self._sources])
        return {name: np.flatnonzero(names == name) for name in dict.fromkeys(names.tolist())}

    def rough_sizes(self, epoch: int) -> np.ndarray:
        """Return how many characters the text of each example has; int64 ``[examples]``."""
        return np.array([len(example.text) for example in self._examples])

    def order(self, epoch: int) -> np.ndarray:
        """Return the order in which the examples come, tasks on one text together; int64 ``[examples]``."""
        return order_by(*self._texts, self._seed, "order", epoch)

    def texts(self, epoch: int) -> np.ndarray:
        """Return a hash of each example's text; uint64 ``[examples]``."""
        return self._texts[0]

    def sizes(self, epoch: int) -> np.ndarray:
        """Return about how many tokens each example has; int64 ``[examples]``."""
        return self._sizes

    @cached_property
    def _texts(self) -> tuple[np.ndarray, np.ndarray]:
        """Hashes of the texts, and how often each example came before: some come several times in an epoch."""
        came: Counter[tuple[str, AtomicTask]] = Counter()
        times = []
        for example in self._examples:
            times.append(came[example.text, example.task])
            came[example.text, example.task] += 1
        return index_examples(self._examples, BadRows()).hashes, np.array(times)

    @cached_property
    def _sizes(self) -> np.ndarray:
        plain = Augmentation(self._augmentation.max_labels)
        trees = (self._encode(example, plain, index).tree for index, example in enumerate(self._examples))
        return np.array([len(tree) for tree in trees])

    def __getitem__(self, index: int) -> Encoded:
        example = self._examples[index]
        encoded = self._encode(
            self._replace_mentions(example, self._draw(index, "mentions")), self._augmentation, index
        )
        if encoded.tree.longest <= self._cutter.most:
            return encoded
        return self._encode(example, Augmentation(self._augmentation.max_labels), index)

    def _draw(self, index: int, purpose: str) -> random.Random:
        return draw(self._seed, self.epoch, self._examples[index].id or str(index), purpose)

    def _encode(self, example: Example, augmentation: Augmentation, index: int) -> Encoded:
        book = self._books[example.task.labels in self._closed_sets or not augmentation.foreign]
        shown = choose_labels(example, book, augmentation, self._draw(index, "labels").random, self._near[index])
        weight = shown.absent_weight(len(example.task.labels), held_numbers(example))
        encoded = encode(example, self._model.vocabulary, self._model.template, shown, absent_weight=weight)
        return encoded._replace(source=self._sources[index])


def open_training_set(given: Examples | Mapping[str, Examples], model: SeqGPT, args: TrainingArguments) -> TrainingSet:
    """Return examples as a training set; all of them can be read in every epoch, long texts are cut for it."""
    for name in ("described_labels", "translated_labels"):
        if getattr(args, name):
            raise ConfigError(
                f"{name} needs a mixture of recipes, which know what labels mean and what they are called."
            )
    named = {name: _read(one) for name, one in given.items()} if isinstance(given, Mapping) else {"": _read(given)}
    examples = [example for members in named.values() for example in members]
    _check_examples(examples)
    for sentence in one_class(named):
        say(sentence)
    return TrainingSet(
        examples,
        model,
        seed=args.seed,
        augmentation=args.augmentation,
        replace_mentions=args.replace_mentions,
        spliced_mentions=args.spliced_mentions,
        sources=[name for name, members in named.items() for _ in members],
        max_length=args.longest,
    )


def _read(examples: Examples) -> Sequence[Example]:
    if isinstance(examples, (str, Path)):
        return read_jsonl(examples)
    if not isinstance(examples, Sized):
        raise DataError(f"examples are a {type(examples).__name__}: give a list of them, or the path of a JSONL file.")
    return examples


def open_eval_sets(given: Examples | Mapping[str, Examples], model: SeqGPT) -> dict[str, Sequence[Example]]:
    """Return the evaluation examples by name, a single set under the empty name; all can be predicted."""
    named = given if isinstance(given, Mapping) else {"": given}
    sets = {name: _read(examples) for name, examples in named.items()}
    for name, examples in sets.items():
        where = f"evaluation set {name!r}" if name else "the evaluation set"
        _check_examples(examples)
        if not examples:
            raise DataError(f"{where} has no examples: give at least one, or leave it out.")
        for index, example in enumerate(examples):
            try:
                model.check_length(example.text, example.task)
            except TextError as error:
                raise DataError(f"{where}, example {example.id or index}: {error}") from error
    return sets


def _check_examples(examples: Iterable[object]) -> None:
    for index, example in enumerate(examples):
        if not isinstance(example, Example):
            raise DataError(
                f"example {index} is a {type(example).__name__}: make it with seqgpt.Example.from_dict, "
                "or give the path of a JSONL file."
            )
