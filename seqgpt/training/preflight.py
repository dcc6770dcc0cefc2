"""What a run is about to do, found out before its first step: a report of data, batches and memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from seqgpt.data.draws import draw
from seqgpt.engine.forward import TreeForward
from seqgpt.training.cut import Cut
from seqgpt.training.encode import Encoded
from seqgpt.training.epoch_set import EpochSet
from seqgpt.training.memory import SMALLER, Memory, measure_memory

if TYPE_CHECKING:
    from seqgpt.training.trainer import Trainer

PREFLIGHT_FILE = "preflight.md"

_EXAMPLES = 200
"""So many examples of each source are encoded; from them follows what all have."""
_LONGEST = 5
"""And so many of those with the longest texts."""
_BATCHES = 16
"""So many batches are laid out, evenly from all of an epoch."""


@dataclass(frozen=True)
class SourceSize:
    """What a source gives to an epoch.

    Attributes:
        name: What it is called.
        examples: How many examples it gives.
        tokens: About how many tokens they have, each text counted once for each task on it.
        longest: How many the longest has, of those that were looked at.
        asked: The share of tokens behind which something is asked, and learnt.
    """

    name: str
    examples: int
    tokens: int
    longest: int
    asked: float


@dataclass(frozen=True)
class Packing:
    """How batches are laid out.

    Attributes:
        examples: Examples of a batch, on average.
        tokens: Tokens that are read for them.
        fill: The share of these among all places that are computed; the others are padding.
        shared: The share of all tokens of the examples that need not be read, for another one begins alike.
    """

    examples: float
    tokens: float
    fill: float
    shared: float


@dataclass(frozen=True)
class Preflight:
    """What a run is about to do.

    Attributes:
        sources: What each source gives to the first epoch.
        packing: How its batches are laid out.
        memory: What a step needs, on each device, before weights are shared among devices.
        steps: Steps of the whole run.
        epochs: Its epochs.
        left_out: What is not trained on, and why; sentences.
        cut: What was cut of the texts of each source.
        attention: How attention is computed, and why so; a sentence.
    """

    sources: Sequence[SourceSize]
    packing: Packing
    memory: Memory
    steps: int
    epochs: float
    left_out: Sequence[str]
    cut: Mapping[str, Cut]
    attention: str

    def __str__(self) -> str:
        return "\n".join([*self._table(), "", *self._sentences()]) + "\n"

    @property
    def summary(self) -> str:
        """The report without its table."""
        return "\n".join(self._sentences())

    def _table(self) -> list[str]:
        lines = [
            "| source | examples | tokens, about | per example | longest | asked |",
            "|---|---:|---:|---:|---:|---:|",
        ]
        examples, tokens = (sum(getattr(one, name) for one in self.sources) for name in ("examples", "tokens"))
        asked = sum(one.asked * one.tokens for one in self.sources) / tokens
        total = SourceSize("all", examples, tokens, max(one.longest for one in self.sources), asked)
        return lines + [
            f"| {one.name} | {one.examples:,} | {_rounded(one.tokens):,} | {one.tokens / one.examples:.0f} | "
            f"{one.longest:,} | {one.asked:.0%} |"
            for one in [*self.sources, *([total] if len(self.sources) > 1 else [])]
        ]

    def _sentences(self) -> list[str]:
        packing, memory = self.packing, self.memory
        optimizer = "not known" if memory.optimizer is None else _size(memory.optimizer)
        activations = "not measured" if memory.activations is None else _size(memory.activations)
        lines = [
            f"Steps: {self.steps:,}; epochs: {self.epochs:g}.",
            f"A batch has {packing.examples:.0f} examples, {_rounded(packing.tokens):,} tokens; {packing.fill:.0%} of "
            f"what is computed is text, the rest padding; {packing.shared:.0%} of all tokens are read with another "
            "example's.",
            self.attention,
            f"Memory: weights {_size(memory.weights)}, gradients {_size(memory.gradients)}, optimizer {optimizer}, and "
            f"{activations} for a batch of {memory.tokens:,} tokens: about {_size(memory.total)}. "
            f"{_size(memory.available)} are free beside the weights.",
        ]
        if memory.needed > memory.available:
            lines.append(f"This will hardly fit: {SMALLER}.")
        lines += [f"Cut: {name}: {one}." for name, one in self.cut.items()]
        return lines + [f"Left out: {sentence}" for sentence in self.left_out]


def preflight(trainer: Trainer) -> Preflight:
    """Find out what a trainer is about to do, before it trains, and change nothing of what it then does."""
    examples = cast(EpochSet, trainer.train_dataset)
    examples.set_epoch(0)
    with trainer.packed() as slow:
        loader = trainer.get_train_dataloader()
        batches = list(cast(Any, loader).batch_sampler)
        picked = np.linspace(0, len(batches) - 1, min(_BATCHES, len(batches))).astype(int)
        encoded = [[examples[number] for number in batches[batch]] for batch in picked]
        laid_out = [trainer.data_collator(cast(Any, batch)) for batch in encoded]
        memory = measure_memory(trainer, max(laid_out, key=lambda inputs: inputs["batch"].node.numel()))
        attention = _attention(trainer.seqgpt.forward, slow)
    values = trainer.set_initial_training_values(trainer.args, loader)
    epochs = trainer.args.num_train_epochs if trainer.args.max_steps <= 0 else values[0]
    return Preflight(
        _sizes(examples, trainer.args.seed),
        _packing(encoded, laid_out),
        memory,
        values[-1],
        epochs,
        trainer.left_out,
        examples.cut,
        attention,
    )


def _attention(forward: TreeForward, slow: str) -> str:
    if slow:
        return f"Attention is computed in padded rows under a mask: {slow}."
    if forward.find_training_layout()[0] == "flex":
        return "Attention of a row is computed by one kernel: the self-test found it equal to padded rows."
    return "Attention is computed block by block: the self-test found it equal to plain rows."


def _sizes(examples: EpochSet, seed: int) -> list[SourceSize]:
    rough = examples.rough_sizes(0)
    return [_size_of(name, numbers, examples, rough, seed) for name, numbers in examples.by_source(0).items()]


def _size_of(name: str, numbers: np.ndarray, examples: EpochSet, rough: np.ndarray, seed: int) -> SourceSize:
    few = numbers if len(numbers) <= _EXAMPLES else draw(seed, "preflight", name).sample(numbers.tolist(), _EXAMPLES)
    looked_at = [examples[int(number)] for number in few]
    tokens = [len(one.tree) for one in looked_at]
    longest = [examples[int(number)] for number in numbers[rough[numbers].argsort()[-_LONGEST:]]]
    return SourceSize(
        name,
        len(numbers),
        round(sum(tokens) / len(tokens) * len(numbers)),
        max(len(one.tree) for one in [*looked_at, *longest]),
        sum(map(_asked, looked_at)) / sum(tokens),
    )


def _asked(example: Encoded) -> int:
    """Return at how many tokens something is asked; branches ask together at the last token of the prompt."""
    behind = [target.offset < 0 for targets in example.targets for target in targets]
    return behind.count(False) + any(behind)


def _packing(encoded: Sequence[Sequence[Encoded]], laid_out: Sequence[dict[str, Any]]) -> Packing:
    read = sum(inputs["tokens"] for inputs in laid_out)
    places = sum(inputs["batch"].node.numel() for inputs in laid_out)
    alone = sum(len(example.tree) for batch in encoded for example in batch)
    return Packing(sum(map(len, encoded)) / len(encoded), read / len(encoded), read / places, 1 - read / alone)


def _rounded(number: float) -> int:
    """Round to three digits."""
    return int(float(f"{number:.3g}"))


def _size(number: int) -> str:
    """Write a number of bytes."""
    value, unit = float(number), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.3g} {unit}"
