"""Mixtures: how much of each source a model is trained on, and in which order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from seqgpt.data import allocation
from seqgpt.data.draws import order_by
from seqgpt.data.leaks import HeldOut, held_out_texts, refuse_held_out
from seqgpt.data.mixture_config import MixtureConfig
from seqgpt.data.patterns import is_among, is_pattern, matching_recipes
from seqgpt.data.recipe import list_recipes, load_recipe
from seqgpt.data.source import has_no_splits, sources_of, split_name, split_source
from seqgpt.data.text_index import TextIndex, index_examples, index_texts
from seqgpt.errors import ConfigError, DataError, did_you_mean
from seqgpt.examples import BadRows, OnBadRow, read_jsonl

Readable = Callable[[str], np.ndarray]
"""From a source to whether each of its examples can be read; bool ``[examples]``."""


@dataclass(frozen=True)
class Member:
    """A source in a mixture.

    Attributes:
        source: Its name, as ``seqgpt.data.source.read_source`` reads it.
        path: Where it stands: language, family, data set, task.
        licence: As stated by its source.
        kept: The numbers of its examples that may be trained on; int64.
        texts: The hashes of the texts of all its examples; uint64.
        text_bytes: How long the texts of the kept examples are together, in UTF-8.
        leaked: How many were left out because a held-out test has their text.
        too_long: How many were left out because the model cannot read them.
        bad_rows: The rows that gave no example.
        count: How many examples it gives to an epoch.
    """

    source: str
    path: allocation.TreePath
    licence: str
    kept: np.ndarray
    texts: np.ndarray
    text_bytes: int
    leaked: int
    too_long: int
    bad_rows: BadRows
    count: int = 0

    @cached_property
    def identity(self) -> tuple[str, str]:
        """Data set and task, by which its draws are told from those of others, wherever its file lies."""
        return Path(self.path[2]).name, self.path[3]

    @property
    def epochs(self) -> float:
        """How often each of its examples comes in an epoch, on average."""
        return self.count / len(self.kept) if len(self.kept) else 0.0


@dataclass(frozen=True)
class EpochDraws:
    """The examples of an epoch, in order; all int64 ``[examples]``.

    Attributes:
        member: The number of the member.
        example: The number of the example within it.
        epoch: How often the example came before, in this and earlier epochs.
    """

    member: np.ndarray
    example: np.ndarray
    epoch: np.ndarray

    def __len__(self) -> int:
        return len(self.member)


@dataclass(frozen=True)
class Mixture:
    """Sources, and how much each gives.

    Attributes:
        members: The sources, in the order of their names.
        held_out: What was guarded.
    """

    members: tuple[Member, ...]
    held_out: HeldOut

    def __len__(self) -> int:
        return self._total

    @cached_property
    def _total(self) -> int:
        return sum(member.count for member in self.members)

    def draws(self, seed: int, epoch: int) -> EpochDraws:
        """Return what an epoch consists of: a function of seed and epoch alone.

        A source's examples come in one seeded order after the other, so that none comes again before all have come.
        Tasks on one text are drawn together and come one after the other, so that it need be read once for them.
        """
        drawn = [(number, member) for number, member in enumerate(self.members) if member.count]
        parts = [_part(number, member, seed, epoch) for number, member in drawn]
        texts = [member.texts[part[1]] for (_, member), part in zip(drawn, parts, strict=True)]
        joined = np.concatenate(parts, axis=1)
        return EpochDraws(*joined[:, order_by(np.concatenate(texts), joined[2], seed, "mixture", epoch)])


def _part(number: int, member: Member, seed: int, epoch: int) -> np.ndarray:
    """Return member, example and epoch of what a source gives to an epoch of the mixture; int64 ``[3, count]``."""
    size = len(member.kept)
    positions = np.arange(epoch * member.count, (epoch + 1) * member.count)
    passes = positions // size
    examples = np.empty(member.count, dtype=np.int64)
    for one in np.unique(passes):
        here = passes == one
        texts = member.texts[member.kept]
        order = order_by(texts, np.zeros(size), seed, member.identity[0], one)  # tasks of a set: the same texts
        examples[here] = member.kept[order[positions[here] % size]]
    return np.stack([np.full(member.count, number), examples, passes])


def build_mixture(
    config: MixtureConfig,
    *,
    split: str = "train",
    data_root: str | Path | None = None,
    on_bad_row: OnBadRow = "error",
    readable: Readable | None = None,
    progress: bool = False,
) -> Mixture:
    """Find the sources of a mixture, leave out what is held out, and share the examples among them.

    Args:
        config: What it is made of.
        split: The split of recipes.
        data_root: The folder that recipes' sources start from.
        on_bad_row: ``"error"`` or ``"skip"``; what is skipped is counted.
        readable: Tells for each example of a source whether the model can read it; by default it can.
        progress: Show a progress bar on standard error.

    Raises:
        ConfigError: If a name is unknown, or of something that is held out; or nothing is left.
        DataError: If a source cannot be read.
    """
    held_out = held_out_texts(data_root)
    found = find_sources(config)
    members: list[Member] = []
    sources: dict[allocation.TreePath, str] = {}
    for source in tqdm(found, desc="read", unit="source", disable=not progress):
        path, licence, index = _read(source, split, data_root, on_bad_row)
        if path in sources:
            raise ConfigError(f"sources {sources[path]!r} and {source!r} are the same data: name it once.")
        sources[path] = source
        leaks = held_out.holds(index)
        fits = readable(source) if readable else np.ones(len(index), dtype=bool)
        kept = np.flatnonzero(~leaks & fits)
        left_out = int(leaks.sum()), int((~fits).sum()), index.bad_rows
        text_bytes = int(index.sizes[kept].sum())
        members.append(Member(source, path, licence, kept, index.hashes, text_bytes, *left_out))
    counts = _counts(config, [member for member in members if len(member.kept)])
    mixture = Mixture(tuple(replace(member, count=counts.get(member.path, 0)) for member in members), held_out)
    if not len(mixture):
        raise ConfigError(
            "an epoch of the mixture has no examples: give more examples (or text_bytes) or a larger max_epochs."
        )
    return mixture


def to_table(mixture: Mixture) -> str:
    """Return what each source gives to an epoch as a Markdown table, with what was left out below it."""
    lines = [
        "| source | language | family | examples | in an epoch | share | epochs of it | left out | licence |",
        "|---|---|---|---:|---:|---:|---:|---:|---|",
    ]
    total = max(len(mixture), 1)
    for one in mixture.members:
        out = one.leaked + one.too_long + one.bad_rows.count
        language, family = one.path[0] or "-", one.path[1] or "-"
        lines.append(
            f"| {one.source} | {language} | {family} | {len(one.kept):,} | {one.count:,} | {one.count / total:.1%} | "
            f"{one.epochs:.2f} | {out:,} | {one.licence} |"
        )
    lines += [
        "",
        f"{len(mixture.members)} sources, {sum(len(one.kept) for one in mixture.members):,} examples, "
        f"{len(mixture):,} in an epoch.",
        *(f"Left out: {sentence}" for sentence in left_out(mixture)),
    ]
    if mixture.held_out.unread:
        lines.append(f"Not guarded, for their test texts are not there: {', '.join(mixture.held_out.unread)}.")
    return "\n".join(lines) + "\n"


def left_out(mixture: Mixture) -> list[str]:
    """Return what of a mixture's sources is not in it, and why, as sentences."""
    leaked, too_long, bad = (
        sum(one.leaked for one in mixture.members),
        sum(one.too_long for one in mixture.members),
        sum(one.bad_rows.count for one in mixture.members),
    )
    read = mixture.held_out.recipes
    total = (
        f"{leaked:,} whose text stands in the test of one of {len(read)} held-out sets, {bad:,} rows that are wrong"
        + (f", {too_long:,} that are too long, even with their texts cut." if too_long else ".")
    )
    return [total, *(f"{one.source}: {one.bad_rows}" for one in mixture.members if one.bad_rows.count)]


def _counts(config: MixtureConfig, members: Sequence[Member]) -> dict[allocation.TreePath, int]:
    """Return how many examples each member gives to an epoch; none of them is empty."""
    if not config.text_bytes:
        return _share(config, {member.path: len(member.kept) for member in members}, config.examples, members)
    sizes = {member.path: max(member.text_bytes, 1) for member in members}
    shares = _share(config, sizes, config.text_bytes, members)
    examples = {member.path: len(member.kept) for member in members}
    return {path: share * examples[path] // sizes[path] for path, share in shares.items()}


def _share(
    config: MixtureConfig, sizes: dict[allocation.TreePath, int], budget: int | None, members: Sequence[Member]
) -> dict[allocation.TreePath, int]:
    budget = budget or sum(sizes.values())
    match config.method:
        case "unimax":
            return allocation.unimax(sizes, budget, config.max_epochs)
        case "proportional":
            return allocation.proportional(sizes, budget)
        case "temperature":
            return allocation.with_temperature(sizes, budget, config.temperature)
        case "cap":
            return allocation.capped(sizes, budget, config.cap)
        case "weights":
            weights = {m.path: config.weights.get(m.source, 0.0) for m in members}
            return allocation.weighted({path: weight for path, weight in weights.items() if weight}, budget)


def _read(
    source: str, split: str, data_root: str | Path | None, on_bad_row: OnBadRow
) -> tuple[allocation.TreePath, str, TextIndex]:
    if has_no_splits(source):
        bad = BadRows()
        examples = read_jsonl(source, on_bad_row=on_bad_row, bad_rows=bad)
        language, family = (_most_common(getattr(one, key) for one in examples) for key in ("language", "family"))
        return (language, family, source, ""), "", index_examples(examples, bad)
    recipe, task = split_source(source)
    try:
        index = index_texts(recipe, task, split, data_root=data_root, on_bad_row=on_bad_row)
    except DataError as error:
        raise DataError(f"source {source!r}: {error}") from error
    return (recipe.language, recipe.family, recipe.name, task), recipe.licence, index


def _most_common(values: Iterable[str]) -> str:
    return max(Counter(values).items(), key=lambda item: item[1], default=("", 0))[0]


def find_sources(config: MixtureConfig) -> list[str]:
    """Return the names of all sources that a config asks for, sorted, each once."""
    found: set[str] = set()
    for name in config.sources:
        if has_no_splits(name):
            found.add(name)
        elif is_pattern(name):
            for one in matching_recipes(name):
                recipe = load_recipe(one)
                if recipe.checked and not recipe.held_out and not recipe.conflicts:
                    found.update(sources_of(one))
        else:
            recipe, task = split_source(name)
            refuse_held_out([recipe], "sources")
            whole, one = split_name(name)
            found.update(sources_of(name) if not one else [whole if task == recipe.tasks[0] else name])
    _check_matches(config, found)
    chosen = sorted(source for source in found if _wanted(source, config))
    if not chosen:
        raise ConfigError("the mixture has no sources left: name more of them, or leave out fewer.")
    return chosen


def _check_matches(config: MixtureConfig, found: Collection[str]) -> None:
    """Raise a ``ConfigError`` for a choice that chooses nothing: it is misspelt."""
    recipes = [split_source(source)[0] for source in found if not has_no_splits(source)]
    known: dict[str, Collection[str]] = {
        "exclude": {*found, *list_recipes()},
        "weights": set(found),
        "families": {recipe.family for recipe in recipes},
        "languages": {recipe.language for recipe in recipes},
    }
    for key, values in known.items():
        for one in getattr(config, key):
            if not (any(is_among(value, [one]) for value in values) if key == "exclude" else one in values):
                raise ConfigError(
                    f"{key}: {one!r} is none of the sources'.{did_you_mean(one, sorted(values))} "
                    "Correct it, or leave it out."
                )


def _wanted(source: str, config: MixtureConfig) -> bool:
    if is_among(source, config.exclude):
        return False
    if config.method == "weights" and source not in config.weights:
        return False
    if has_no_splits(source):
        return True
    recipe, _ = split_source(source)
    return (
        (not config.families or recipe.family in config.families)
        and (not config.languages or recipe.language in config.languages)
        and (config.synthetic or not recipe.synthetic)
    )
