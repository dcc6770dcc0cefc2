"""A mixture as a training set: every epoch its own examples, read from stores, with labels drawn anew."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from seqgpt.data.augmentation import Augmentation, Shown, choose
from seqgpt.data.cache import cached, file_stamp
from seqgpt.data.draws import Draws
from seqgpt.data.label_book import LabelBook
from seqgpt.data.mixture import Mixture, build_mixture, find_sources
from seqgpt.data.mixture_config import MixtureConfig
from seqgpt.data.schemas import CONVERTERS_VERSION
from seqgpt.data.source import is_recipe, read_source, short_names, split_source
from seqgpt.examples import BadRows, OnBadRow
from seqgpt.model import SeqGPT
from seqgpt.training.answer_store import STORE_VERSION, AnswerStore, Stored, write_store
from seqgpt.training.cut import UNCUT, Cut
from seqgpt.training.digest import digest
from seqgpt.training.encode import Encoded, LabelTokens, assemble
from seqgpt.training.epoch_set import EpochSet
from seqgpt.training.lengths import most_tokens
from seqgpt.training.model_card import CardSource, describe_mixture

TRAIN = "train"


class MixtureSet(EpochSet):
    """The examples of a mixture, epoch after epoch, in the order that the mixture says.

    Attributes:
        mixture: The mixture.
        stores: The encoded examples of each of its sources.
    """

    def __init__(
        self,
        mixture: Mixture,
        stores: Mapping[str, AnswerStore],
        model: SeqGPT,
        *,
        seed: int,
        augmentation: Augmentation,
        max_length: int | None = None,
    ) -> None:
        """Put a mixture and its stores together.

        Args:
            mixture: The mixture.
            stores: The encoded examples of each of its sources.
            model: The model whose vocabulary encoded them.
            seed: Seed of everything that is drawn.
            augmentation: How labels are shown.
            max_length: Most tokens of an example, by which the stores were cut; None for what the model reads.
        """
        super().__init__()
        self.mixture = mixture
        self.stores = stores
        self._stores = [stores[member.source] for member in mixture.members]
        titles = short_names([member.source for member in mixture.members])
        self._titles = [titles[member.source] for member in mixture.members]
        self._books = [_book(source, stores[source]) for source in (member.source for member in mixture.members)]
        self._words = LabelTokens(model.vocabulary)
        self._most = most_tokens(model, max_length)
        self._seed = seed
        self._augmentation = augmentation
        self._label_draws: dict[tuple[int, int], Draws] = {}
        self._drawn = -1
        self._draws: list[array[int]] = []

    def __len__(self) -> int:
        return len(self.mixture)

    def __getitem__(self, index: int) -> Encoded:
        self._draw_epoch()
        members, examples, passes = self._draws
        number, example, times = members[index], examples[index], passes[index]
        stored, book = self._stores[number][example], self._books[number]
        asked, held = stored.asked, stored.answers.held
        labels = self._labels_of(number, times)
        shown = choose(asked, held, book, self._augmentation, labels.uniform(example))
        encoded = self._assemble(stored, shown, self._titles[number])
        if encoded.tree.longest <= self._most:
            return encoded
        plain = Augmentation(self._augmentation.max_labels)
        shown = choose(asked, held, book, plain, labels.uniform(example))
        return self._assemble(stored, shown, self._titles[number])

    @property
    def cut(self) -> Mapping[str, Cut]:
        """What was cut of the texts of each source, of those examples that may be drawn."""
        found = {}
        for member, store, title in zip(self.mixture.members, self._stores, self._titles, strict=True):
            lost = store.lost[member.kept]
            lost = lost[lost != UNCUT]
            if len(lost):
                found[title] = Cut(self._most, len(lost), int(lost.sum()))
        return found

    def describe(self) -> list[CardSource]:
        """Tell what the mixture is made of."""
        return describe_mixture(self.mixture)

    def digests(self) -> dict[str, str]:
        """Return a digest of each source: what it holds, what of it may be drawn, and how much of it is."""
        return {
            title: digest([*store.contents(), member.kept.tobytes(), str(member.count).encode()])
            for member, store, title in zip(self.mixture.members, self._stores, self._titles, strict=True)
        }

    def order(self, epoch: int) -> np.ndarray:
        """Return the order of the mixture, in which the examples are numbered."""
        return np.arange(len(self))

    def texts(self, epoch: int) -> np.ndarray:
        """Return a hash of the text of each example of an epoch; uint64 ``[examples]``."""
        draws = self.mixture.draws(self._seed, epoch)
        texts = np.empty(len(draws), dtype=np.uint64)
        for number, member in enumerate(self.mixture.members):
            here = draws.member == number
            texts[here] = member.texts[draws.example[here]]
        return texts

    def sizes(self, epoch: int) -> np.ndarray:
        """Return about how many tokens each example of an epoch has, in its order; int64 ``[examples]``."""
        draws = self.mixture.draws(self._seed, epoch)
        sizes = np.empty(len(draws), dtype=np.int64)
        for number, store in enumerate(self._stores):
            here = draws.member == number
            sizes[here] = store.sizes(self._augmentation.max_labels)[draws.example[here]]
        return sizes

    def by_source(self, epoch: int) -> dict[str, np.ndarray]:
        """Return the numbers of the examples of an epoch by what their source is called; int64."""
        member = self.mixture.draws(self._seed, epoch).member
        found = {title: np.flatnonzero(member == number) for number, title in enumerate(self._titles)}
        return {title: numbers for title, numbers in found.items() if len(numbers)}

    def rough_sizes(self, epoch: int) -> np.ndarray:
        """Return about how many tokens each example of an epoch has; int64 ``[examples]``."""
        return self.sizes(epoch)

    def _labels_of(self, number: int, times: int) -> Draws:
        """Return what is drawn of the labels of a member whose examples came so often before."""
        found = self._label_draws.get((number, times))
        if found is None:
            identity = self.mixture.members[number].identity
            found = self._label_draws[number, times] = Draws(self._seed, "labels", times, *identity)
        return found

    def _assemble(self, stored: Stored, shown: Shown, title: str) -> Encoded:
        asked, answers = stored
        weight = 1.0 if asked.single_label else shown.absent_weight(len(asked.labels), answers.held)
        return assemble(answers, shown, self._words, absent_weight=weight, source=title)

    def _draw_epoch(self) -> None:
        """Draw what the epoch consists of, if it is another one than before."""
        epoch = self.epoch
        if self._drawn != epoch:
            draws = self.mixture.draws(self._seed, epoch)
            # Arrays of Python: their items are read several times as fast as those of numpy, and take no more room.
            self._draws = [array("q", column.tobytes()) for column in (draws.member, draws.example, draws.epoch)]
            self._drawn = epoch


def open_mixture(
    config: MixtureConfig,
    model: SeqGPT,
    *,
    seed: int,
    augmentation: Augmentation,
    data_root: str | Path | None = None,
    on_bad_row: OnBadRow = "error",
    max_length: int | None = None,
    progress: bool = True,
) -> MixtureSet:
    """Encode the sources of a mixture, where that was not done before, and open it.

    Args:
        config: What the mixture is made of.
        model: The model that will read it.
        seed: Seed of everything that is drawn.
        augmentation: How labels are shown.
        data_root: The folder that recipes' sources start from.
        on_bad_row: ``"error"`` or ``"skip"``.
        max_length: Most tokens of an example, ``longest`` of :class:`~seqgpt.training.arguments.TrainingArguments`.
        progress: Show progress bars on standard error.

    Raises:
        ConfigError, DataError: As :func:`seqgpt.data.mixture.build_mixture`.
    """
    stores = {
        source: open_store(source, model, data_root=data_root, on_bad_row=on_bad_row, max_length=max_length)
        for source in tqdm(find_sources(config), desc="encode", unit="source", disable=not progress)
    }

    def readable(source: str) -> np.ndarray:
        return np.asarray(stores[source].longest <= most_tokens(model, max_length))

    mixture = build_mixture(
        config, split=TRAIN, data_root=data_root, on_bad_row=on_bad_row, readable=readable, progress=progress
    )
    return MixtureSet(mixture, stores, model, seed=seed, augmentation=augmentation, max_length=max_length)


def open_store(
    source: str,
    model: SeqGPT,
    *,
    split: str = TRAIN,
    data_root: str | Path | None = None,
    on_bad_row: OnBadRow = "error",
    max_length: int | None = None,
) -> AnswerStore:
    """Open the encoded examples of a source: computed once for each vocabulary, length and version of its data."""
    most = most_tokens(model, max_length)
    if is_recipe(source):
        recipe, task = split_source(source)
        read: object = (recipe, task, split, recipe.stamp(split, data_root))
    else:
        read = file_stamp(Path(source))
    key = (
        "answers",
        STORE_VERSION,
        CONVERTERS_VERSION,
        read,
        on_bad_row,
        model.template.name,
        model.vocabulary.fingerprint,
        most,
    )

    def write(folder: Path) -> None:
        examples = read_source(source, split, data_root=data_root, on_bad_row=on_bad_row, bad_rows=BadRows())
        write_store(folder, examples, model.vocabulary, model.template, most)

    return AnswerStore(cached("answers", key, write))


def _book(source: str, store: AnswerStore) -> LabelBook:
    if not is_recipe(source):
        return LabelBook(counts=store.counts, closed=store.closed)
    recipe, task = split_source(source)
    entries = recipe.label_entries(task)
    return LabelBook(entries, recipe.language, store.counts, closed=bool(entries) or store.closed)
