"""What a run reads: what it trains on, replays and evaluates, and what was left out of it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from seqgpt.data.convert import sample_rows
from seqgpt.data.draws import draw
from seqgpt.data.leaks import held_out_texts, refuse_held_out
from seqgpt.data.mixture import find_sources
from seqgpt.data.source import check_source, has_no_splits, is_recipe, read_source, short_names, split_source
from seqgpt.data.text_index import index_examples
from seqgpt.errors import ConfigError, DataError, TextError
from seqgpt.examples import BadRows, Example
from seqgpt.model import SeqGPT
from seqgpt.runs.config import DataConfig, RunConfig
from seqgpt.runs.hold_out import hold_out
from seqgpt.training.arguments import TrainingArguments
from seqgpt.training.cut import Cutter
from seqgpt.training.digest import digest_examples
from seqgpt.training.lengths import most_tokens
from seqgpt.training.say import say

Named = Mapping[str, Sequence[Example]]
"""Examples by what their source is called."""

_GIVEN = "given"
_KNOWN_SHARE = 0.2
"""The share of what is replayed that is not, but tells what a model still knows, where there is no validation split."""


@dataclass
class RunData:
    """The examples of a run, by what their sources are called.

    Attributes:
        train: What is trained on; empty with a mixture, which is read from its stores.
        held_out: What is evaluated during training.
        replay: Other data that is mixed in.
        known: Examples of the replayed sources that are not replayed, which tell what a model still knows.
        left_out: What was left out, and why; sentences.
    """

    train: Named = field(default_factory=dict)
    held_out: Named = field(default_factory=dict)
    replay: Named = field(default_factory=dict)
    known: Named = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def replayable(self, model: SeqGPT, arguments: TrainingArguments) -> RunData:
        """Return the data without what is replayed and cannot be read; what is learnt must be read, all of it."""
        return dataclasses.replace(
            self, replay=_Fits(model, arguments, self.left_out).to_train("data.replay", self.replay)
        )

    def readable(self, model: SeqGPT, arguments: TrainingArguments) -> RunData:
        """Return the data without the examples that cannot be read, even with their texts cut, which are counted."""
        fits = _Fits(model, arguments, self.left_out)
        return RunData(
            fits.to_train("data.train", self.train),
            fits.to_evaluate(self.held_out),
            fits.to_train("data.replay", self.replay),
            fits.to_evaluate(self.known),
            self.left_out,
        )


def given_source(title: str, examples: Sequence[Example]) -> str:
    """Return what a config calls examples that it cannot name: other examples have another name.

    It looks like the name of a file, which is what such examples are like: they have no splits, and no recipe.
    """
    return f"{_GIVEN}/{digest_examples(examples)}/{title}.jsonl"


def read_data(config: RunConfig, seed: int, given: Named = MappingProxyType({})) -> RunData:
    """Read the examples of a run.

    Args:
        config: The run.
        seed: Decides which examples are drawn, where not all are used.
        given: Examples of sources that need not be read, because they were given; by their :func:`given_source`.

    Raises:
        DataError: If a source cannot be read, a row is wrong, or nothing is left of a source.
        ConfigError: If a source is unknown, or held out.
    """
    data, left_out = config.data, list[str]()
    read = partial(_read, data=data, left_out=left_out, given=given)
    train = {
        title: _repeat(read(name, "train", where="data.train", limit=data.train_limit), name, data, seed)
        for name, title in short_names(data.train).items()
    }
    held_out = {
        title: read(name, "validation", where="data.eval", limit=data.eval_limit)
        for name, title in short_names(data.eval).items()
    }
    replay = {
        title: read(name, "train", where="data.replay", limit=data.train_limit)
        for name, title in short_names(data.replay).items()
    }
    known = {}
    for name, title in short_names(data.replay).items():
        if has_no_splits(name):
            replay[title], held = hold_out(replay[title], _KNOWN_SHARE, seed=seed)
            known[title] = [held[i] for i in sample_rows(len(held), data.eval_limit)]
        else:
            known[title] = read(name, "validation", where="data.replay", limit=data.eval_limit)
    texts = {example.text for example in flat(held_out)}
    return RunData(
        train,
        held_out,
        {title: _not_held_out(title, examples, texts, left_out) for title, examples in replay.items()},
        {title: examples for title, examples in known.items() if examples},
        left_out,
    )


def check_sources(config: RunConfig) -> None:
    """Find out whether the sources of a run are there, without reading them.

    Raises:
        DataError: If a file is not there.
        ConfigError: If a recipe is unknown, or nothing is left of a mixture.
    """
    data = config.data
    for name in (*data.train, *data.eval, *data.replay):
        check_source(name, data.root)
    if config.mixture:
        find_sources(config.mixture)


def vocabulary_examples(config: RunConfig, most: int) -> list[Example]:
    """Return some examples of each source of a mixture, from which the vocabulary of a new model is made."""
    if config.model.path or not config.mixture:
        return []
    sources = find_sources(config.mixture)
    each = max(most // len(sources), 1)
    return [
        example
        for name in sources
        for example in _read(name, "train", where="mixture", data=config.data, limit=each, left_out=[], given={})
    ]


def flat(examples: Named) -> list[Example]:
    """Return the examples of all sources, one source after the other."""
    return [example for members in examples.values() for example in members]


def _read(
    name: str, split: str, *, where: str, data: DataConfig, limit: int | None, left_out: list[str], given: Named
) -> list[Example]:
    if name in given:
        return list(given[name])
    if name.startswith(f"{_GIVEN}/"):
        raise ConfigError(f"{name} stands for examples that seqgpt.tune was given: call it with them again.")
    if split == "train" and is_recipe(name):
        refuse_held_out([split_source(name)[0]], where)
    bad = BadRows()
    examples = read_source(name, split, limit=limit, data_root=data.root, on_bad_row=data.on_bad_row, bad_rows=bad)
    if bad.count:
        _note(f"{name}: {bad}", left_out)
    if split == "train" and name != "sample":
        return _without_leaks(name, examples, data.root, left_out)
    return examples


def _without_leaks(name: str, examples: list[Example], data_root: str | None, left_out: list[str]) -> list[Example]:
    """Leave out examples whose texts stand in a held-out test, and say so."""
    leaks = held_out_texts(data_root).holds(index_examples(examples, BadRows()))
    if leaks.any():
        _note(f"{name}: {leaks.sum()} examples left out, whose texts stand in the test of a held-out set", left_out)
    if leaks.all():
        raise DataError(f"{name}: every example stands in the test of a held-out set. Train on others.")
    return [example for example, leaked in zip(examples, leaks, strict=True) if not leaked]


def _not_held_out(title: str, examples: list[Example], texts: Set[str], left_out: list[str]) -> list[Example]:
    """Leave out what is replayed although it is evaluated, and say so."""
    kept = [example for example in examples if example.text not in texts]
    if not kept:
        raise DataError(f"{title}: every example that would be replayed is evaluated too. Replay or evaluate others.")
    if len(kept) < len(examples):
        _note(f"{title}: {len(examples) - len(kept)} examples not replayed, whose texts are evaluated", left_out)
    return kept


def _repeat(examples: list[Example], name: str, data: DataConfig, seed: int) -> list[Example]:
    """Return the examples of a source as often as they come in an epoch, each time under an id of its own."""
    times, rest = divmod(data.passes.get(name, 1.0), 1.0)
    repeated = [*examples]
    for i in range(1, int(times)):
        repeated += [dataclasses.replace(example, id=f"{example.id}~{i}") for example in examples]
    count = round(rest * len(examples))
    few = draw(seed, 0, name, "passes").sample(examples, count if times else max(count, 1))
    return few if times < 1 else [*repeated, *(dataclasses.replace(e, id=f"{e.id}~{int(times)}") for e in few)]


@dataclass(frozen=True)
class _Fits:
    """Leaves out what a model cannot read, even in parts, and says so."""

    model: SeqGPT
    arguments: TrainingArguments
    left_out: list[str]

    def to_train(self, what: str, examples: Named) -> Named:
        most = most_tokens(self.model, self.arguments.longest)
        cutter = Cutter(self.model.vocabulary, self.model.template, most, self.arguments.max_labels)
        problems = [_cannot_cut(cutter, example) for example in flat(examples)]
        if problems:
            self._count(what, problems)
        left = iter(problems)
        return {title: [example for example in own if not next(left)] for title, own in examples.items()}

    def to_evaluate(self, examples: Named) -> Named:
        return {title: self._readable(title, own) for title, own in examples.items()}

    def _readable(self, title: str, examples: Sequence[Example]) -> list[Example]:
        problems = [self._problem(example) for example in examples]
        self._count(title, problems)
        return [example for example, problem in zip(examples, problems, strict=True) if not problem]

    def _problem(self, example: Example) -> str:
        try:
            self.model.check_length(example.text, example.task)
        except TextError as error:
            return f"example {example.id}: {error}"
        return ""

    def _count(self, what: str, problems: Sequence[str]) -> None:
        bad = BadRows()
        for problem in filter(None, problems):
            bad.add(problem)
        if bad.count:
            _note(f"{what}, too long: {bad}", self.left_out)
        if bad.count == len(problems):
            raise DataError(f"{what}: every example is longer than the model reads. Shorten them.")


def _cannot_cut(cutter: Cutter, example: Example) -> str:
    try:
        cutter(example)
    except DataError as error:
        return str(error)
    return ""


def _note(sentence: str, left_out: list[str]) -> None:
    say(sentence)
    left_out.append(sentence)
