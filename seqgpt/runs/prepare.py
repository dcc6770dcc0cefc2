"""Preparing a run: its data and its model are read, and put together in a trainer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
import transformers

from seqgpt.data.mixture import left_out
from seqgpt.data.source import short_names
from seqgpt.engine.nf4 import check_nf4
from seqgpt.errors import ConfigError, SeqGPTError
from seqgpt.examples import Example
from seqgpt.model import SeqGPT
from seqgpt.model_files import BUNDLED, build, find, read_settings
from seqgpt.runs.config import LoraRun, ModelConfig, RunConfig
from seqgpt.runs.data import Named, RunData, flat, read_data, vocabulary_examples
from seqgpt.templates.marks import MARKS
from seqgpt.tokenizer import train_tokenizer
from seqgpt.training.arguments import TrainingArguments
from seqgpt.training.mixture_set import MixtureSet, open_mixture
from seqgpt.training.model_card import CardSource, describe_source
from seqgpt.training.progress import TrainingProgress
from seqgpt.training.say import say
from seqgpt.training.trainer import Trainer

_TOKENIZER_EXAMPLES = 50_000
"""So many examples give their labels to the training of the tokenizer; all give their texts."""


@dataclass(frozen=True)
class Prepared:
    """A run that may begin.

    Attributes:
        trainer: Trains it.
        data: What it reads, but for a mixture.
        mixture: The mixture that it is trained on, if it is.
    """

    trainer: Trainer
    data: RunData
    mixture: MixtureSet | None


def prepare(
    config: RunConfig,
    given: Named,
    arguments: TrainingArguments,
    checkpoint: Path | None = None,
    model: SeqGPT | None = None,
) -> Prepared:
    """Read the data and the model of a run, and put them together.

    Args:
        config: The run.
        given: Examples that the config cannot name, as :func:`~seqgpt.runs.data.read_data` takes them.
        arguments: Its training arguments.
        checkpoint: The checkpoint that it goes on from; None if it begins.
        model: A model in place of the one that the config names.

    Raises:
        DataError, ConfigError, ModelError: As reading data, config and model do.
    """
    if checkpoint is None and model is None:  # before any data is read
        check_start(config.model)
        _check_lora(config)
    data = read_data(config, arguments.seed, given)
    model = _with_lora(model or _open(config, checkpoint, data, arguments.seed), config.lora, arguments.seed)
    skips = config.data.on_bad_row == "skip"  # of a mixture, they are left out when it is opened
    data = data.readable(model, arguments) if skips else data.replayable(model, arguments)
    mixture = _open_mixture(config, model, arguments)
    trainer = _make_trainer(model, arguments, mixture or data.train, data)
    _describe(trainer, config, data)
    trainer.left_out = [*data.left_out, *(left_out(mixture.mixture) if mixture else [])]
    n_sources = len(mixture.stores) if mixture else len(config.data.train)
    n_examples, n_held_out = len(mixture or flat(data.train)), len(flat(data.held_out))
    say(f"{model!r}: {n_examples} examples of {n_sources} source(s), {n_held_out} held out")
    return Prepared(trainer, data, mixture)


def _open(config: RunConfig, checkpoint: Path | None, data: RunData, seed: int) -> SeqGPT:
    if checkpoint:
        return SeqGPT.from_pretrained(checkpoint, dtype=torch.float32)
    return _start(config.model, flat(data.train) or vocabulary_examples(config, _TOKENIZER_EXAMPLES), seed)


def _describe(trainer: Trainer, config: RunConfig, data: RunData) -> None:
    """Tell the trainer what its model card says of data and model; of a mixture it knows."""
    n_own = len(trainer.sources) - sum(map(bool, data.replay.values()))
    own, replayed = trainer.sources[:n_own], trainer.sources[n_own:]
    if data.train:
        own = _with_licences(own, config.data.train)
    trainer.sources = [*own, *_with_licences(replayed, config.data.replay)]
    path = config.model.path
    trainer.base_model = None if path in (None, BUNDLED) or Path(path).exists() else path


def _with_licences(described: Sequence[CardSource], sources: Sequence[str]) -> list[CardSource]:
    """Add what recipes state of themselves to what is known of their examples."""
    names = {title: source for source, title in short_names(sources).items()}
    return [describe_source(names[one.name], one.name, one.examples, one.languages) for one in described]


def _make_trainer(
    model: SeqGPT,
    arguments: TrainingArguments,
    examples: Named | MixtureSet,
    data: RunData,
) -> Trainer:
    try:
        trainer = Trainer(model, arguments, examples, data.held_out or None, replay=data.replay or None)
    except SeqGPTError:
        raise
    except (ValueError, RuntimeError, ImportError) as error:  # arguments that do not go together, a missing package
        raise ConfigError(f"training: {' '.join(str(error).split())}") from error
    trainer.owns_output_dir = True
    trainer.remove_callback(transformers.trainer_callback.ProgressCallback)
    trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
    trainer.add_callback(TrainingProgress())
    return trainer


def _open_mixture(config: RunConfig, model: SeqGPT, arguments: TrainingArguments) -> MixtureSet | None:
    if not config.mixture:
        return None
    say("all sources of the mixture are encoded, unless that was done before for this vocabulary and length")
    found = open_mixture(
        config.mixture,
        model,
        seed=arguments.seed,
        augmentation=arguments.augmentation,
        data_root=config.data.root,
        on_bad_row=config.data.on_bad_row,
        max_length=arguments.longest,
        progress=arguments.process_index == 0,
    )
    if arguments.process_index:
        return found
    unread = found.mixture.held_out.unread
    if unread:
        say(f"not guarded against, for their test texts are not there: {', '.join(unread)}")
    return found


def check_start(config: ModelConfig) -> None:
    """Raise the errors that :func:`_start` would, but before any data is read."""
    if not config.path:
        with torch.device("meta"):  # every layer is built, no weight is stored
            none = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"))  # the tokenizer will tell
            build(config.config or {}, vocab_size=config.vocab_size, **none)
    else:
        find(config.path, revision=None, use_safetensors=True)


def _check_lora(config: RunConfig) -> None:
    """Refuse a second adapter, and 4 bits without their package, before any data is read."""
    if config.lora and config.lora.quantize == "nf4":
        check_nf4()
    if config.lora and config.model.path:
        settings = find(config.model.path, revision=None, use_safetensors=True).settings
        if settings and read_settings(settings).adapter:
            raise ConfigError(
                f"model.path {config.model.path!r} has an adapter already: leave lora out to train that one (say "
                "lora: false in a stage called custom), or merge it first, with `seqgpt merge`."
            )


def _with_lora(model: SeqGPT, config: LoraRun | None, seed: int) -> SeqGPT:
    """Return the model with the adapter that is to be trained: a new one, or that of the checkpoint."""
    if config is None:
        return model
    if model.adapter is None:
        model.add_lora(config.r, config.alpha, config.dropout, config.target_modules, seed=seed)
    return {None: lambda: model, "int8": model.to_int8, "nf4": model.to_nf4}[config.quantize]()


def _start(config: ModelConfig, examples: Sequence[Example], seed: int) -> SeqGPT:
    if config.path:
        return SeqGPT.from_pretrained(config.path, dtype=torch.float32)
    words = [example.text for example in examples]
    words += [label for example in examples[:_TOKENIZER_EXAMPLES] for label in example.task.labels]
    tokenizer = train_tokenizer(words, config.vocab_size, list(MARKS))
    return SeqGPT.from_config(config.config or {}, tokenizer, seed=seed)
