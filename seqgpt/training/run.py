"""Running a config: data, model, training, and what is left in the run directory.

The directory holds ``run.yaml`` (the config as it ran), ``environment.json`` (versions), the last
``save_total_limit`` checkpoints as ``checkpoint-*``, which stay after training too, and at the end the model, which
``SeqGPT.from_pretrained`` opens, ``curves.png``, and ``README.md``, its card. If there was something to evaluate, the
model is calibrated on it and has the threshold that was best for it; ``metrics.json`` says how good it is there, a
little better than elsewhere, since the threshold was chosen on the same examples. It is written last: a run that has
it is finished. Weights are safetensors; only checkpoints hold pickles, the state of optimizer and random generators
that a run goes on from. Started again after an interruption, a run goes on from its last checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

import torch
import transformers

from seqgpt.calibration import LOWEST
from seqgpt.data.mixture import to_table
from seqgpt.data.source import short_names
from seqgpt.errors import ConfigError, SeqGPTError
from seqgpt.evaluation.threshold import best_threshold, mean_f1
from seqgpt.examples import Example
from seqgpt.model import SeqGPT
from seqgpt.model_files import build, find, read_settings
from seqgpt.templates.marks import MARKS
from seqgpt.tokenizer import train_tokenizer
from seqgpt.training.arguments import TrainingArguments
from seqgpt.training.before_after import measure, read_before, write_before
from seqgpt.training.before_after import to_table as before_after_table
from seqgpt.training.checkpoints import saved_or_told
from seqgpt.training.config import LoraRun, ModelConfig, RunConfig
from seqgpt.training.curves import CURVES_FILE, draw_curves
from seqgpt.training.environment import ENVIRONMENT_FILE, environment_json
from seqgpt.training.mixture_set import MixtureSet, open_mixture
from seqgpt.training.model_card import describe_examples
from seqgpt.training.progress import TrainingProgress
from seqgpt.training.run_data import Named, RunData, flat, read_data, vocabulary_examples
from seqgpt.training.run_directory import METRICS_FILE, RUN_FILE, is_finished, where_to_go_on
from seqgpt.training.run_lock import run_lock
from seqgpt.training.say import say
from seqgpt.training.trainer import Trainer, make_directory
from seqgpt.whole_file import write_file

MIXTURE_FILE = "mixture.md"
BEFORE_AFTER_FILE = "before_after.md"

_TOKENIZER_EXAMPLES = 50_000
"""So many examples give their labels to the training of the tokenizer; all give their texts."""


def run_stages(stages: Sequence[RunConfig]) -> SeqGPT:
    """Run one config after the other; those that are finished are passed over, one that was interrupted goes on.

    Returns:
        The model of the last.

    Raises:
        RunError, DataError, ConfigError, ModelError: As :func:`run_training`.
    """
    for stage in stages:  # what is wrong with the arguments of the last is not told after hours
        stage.arguments()
    for number, stage in enumerate(stages[:-1], 1):
        name = Path(stage.output_dir).name
        if is_finished(stage):
            say(f"stage {name} ({number} of {len(stages)}) is finished")
        else:
            say(f"stage {name} ({number} of {len(stages)})")
            run_training(stage)
    if len(stages) > 1:
        say(f"stage {Path(stages[-1].output_dir).name} ({len(stages)} of {len(stages)})")
    return run_training(stages[-1])


def run_training(config: RunConfig, given: Named = MappingProxyType({})) -> SeqGPT:
    """Run a config from its start, or from its last checkpoint.

    Args:
        config: The run.
        given: Examples that the config cannot name, as :func:`~seqgpt.training.run_data.read_data` takes them; of such
            a run it is always told what training changed.

    Raises:
        RunError: If the output directory holds a finished run, another run, or something else, or a run is at work
            there; or the loss is no number, or the disk full.
        DataError, ConfigError, ModelError: As reading data, config and model do.
    """
    directory = Path(config.output_dir)
    make_directory(directory)
    arguments = config.arguments()
    with run_lock(directory, taken=arguments.process_index == 0):
        return _run(config, given, directory, arguments)


def _run(config: RunConfig, given: Named, directory: Path, arguments: TrainingArguments) -> SeqGPT:
    checkpoint = where_to_go_on(directory, config)
    if checkpoint is None:
        _check_start(config.model)
        _check_lora(config)
    data = read_data(config, arguments.seed, given)
    model = _open(config, checkpoint, data, arguments.seed)
    if config.data.on_bad_row == "skip":  # of a mixture, they are left out when it is opened
        data = data.readable(model, arguments)
    mixture = _open_mixture(config, model, arguments)
    trainer = _make_trainer(model, arguments, mixture or data.train, data)
    n_sources = len(mixture.stores) if mixture else len(config.data.train)
    n_held_out = len(flat(data.held_out))
    say(f"{model!r}: {len(mixture or flat(data.train))} examples of {n_sources} source(s), {n_held_out} held out")
    _describe(trainer, config, data)
    if trainer.is_world_process_zero():
        with saved_or_told("the config", directory):
            write_file(directory / RUN_FILE, config.to_yaml())
            write_file(directory / ENVIRONMENT_FILE, environment_json())
            if mixture:
                write_file(directory / MIXTURE_FILE, to_table(mixture.mixture))
    compared = _compared(data) if data.known or given else {}
    if compared and checkpoint is None:
        before = measure(model, compared)
        if trainer.is_world_process_zero():
            with saved_or_told("what was measured before training", directory):
                write_before(directory, before)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    _finish(trainer, data.held_out, compared)
    return model


def _open(config: RunConfig, checkpoint: Path | None, data: RunData, seed: int) -> SeqGPT:
    if checkpoint:
        model = SeqGPT.from_pretrained(checkpoint, dtype=torch.float32)
    else:
        model = _start(config.model, flat(data.train) or vocabulary_examples(config, _TOKENIZER_EXAMPLES), seed)
    return _with_lora(model, config.lora, seed)


def _compared(data: RunData) -> dict[str, Sequence[Example]]:
    """Return what is measured before and after training: what is learnt, and is what was known still known?"""
    return {**data.held_out, **{f"{name}, known before": examples for name, examples in data.known.items()}}


def _describe(trainer: Trainer, config: RunConfig, data: RunData) -> None:
    """Tell the trainer what its model card says of data and model; of a mixture it knows."""
    listed = [(config.data.train, data.train), (config.data.replay, data.replay)]
    if data.train:
        trainer.sources = [
            describe_examples(name, examples[name], source=source)
            for sources, examples in listed
            for source, name in short_names(sources).items()
        ]
    path = config.model.path
    trainer.base_model = None if path is None or Path(path).exists() else path


def _finish(trainer: Trainer, held_out: Named, compared: Named) -> None:
    """Leave in the run directory what people look at, and last of all the metrics, which tell that all is done."""
    directory = Path(str(trainer.args.output_dir))
    metrics: dict[str, float] = {}
    if held_out:
        _calibrate(trainer.seqgpt, held_out)
        if trainer.is_world_process_zero():
            with saved_or_told("the threshold", directory):
                trainer.seqgpt.save_settings(directory)
        metrics = trainer.evaluate()
    after = measure(trainer.seqgpt, compared)
    if compared and trainer.is_world_process_zero():
        table = before_after_table(read_before(directory), after)
        say(table)
        with saved_or_told("what training changed", directory):
            write_file(directory / BEFORE_AFTER_FILE, table)
    if trainer.is_world_process_zero():
        with saved_or_told("curves and model card", directory):
            draw_curves(trainer.state.log_history, directory / CURVES_FILE, title=directory.name)
            trainer.create_model_card()
    if trainer.args.push_to_hub:
        trainer.push_to_hub()  # again: now it is calibrated
    if trainer.is_world_process_zero():
        with saved_or_told("the metrics", directory):
            write_file(directory / METRICS_FILE, json.dumps(metrics, indent=2) + "\n")


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
    found = open_mixture(
        config.mixture,
        model,
        seed=arguments.seed,
        augmentation=arguments.augmentation,
        data_root=config.data.root,
        on_bad_row=config.data.on_bad_row,
        max_length=arguments.max_length,
        progress=arguments.process_index == 0,
    )
    if arguments.process_index:
        return found
    unread = found.mixture.held_out.unread
    if unread:
        say(f"not guarded against, for their test texts are not there: {', '.join(unread)}")
    return found


def _calibrate(model: SeqGPT, held_out: Named) -> None:
    """Give the model the temperatures and the threshold that are best for the held-out examples.

    Every process does it, and comes to the same: their models must not differ.
    """
    model.calibrate([example for examples in held_out.values() for example in examples])
    groups = []
    for examples in held_out.values():
        pairs = [(example.text, example.task) for example in examples]
        predicted = model.predict_pairs(pairs, threshold=LOWEST)
        groups.append([(example.gold, result) for example, result in zip(examples, predicted, strict=True)])
    best = best_threshold(groups)
    before, after = mean_f1(groups, model.threshold), mean_f1(groups, best)
    if after > before:
        say(f"threshold {best:.2f}: F1 {after:.3f} on what is held out ({before:.3f} at {model.threshold:.2f})")
        model.threshold = best


def _check_start(config: ModelConfig) -> None:
    """Raise the errors that :func:`_start` would, but before any data is read."""
    if not config.path:
        with torch.device("meta"):  # every layer is built, no weight is stored
            none = dict.fromkeys(("pad_token_id", "bos_token_id", "eos_token_id"))  # the tokenizer will tell
            build(config.config or {}, vocab_size=config.vocab_size, **none)
    else:
        find(config.path, revision=None, use_safetensors=True)


def _check_lora(config: RunConfig) -> None:
    """Refuse a second adapter, before any data is read."""
    if config.lora and config.model.path:
        settings = find(config.model.path, revision=None, use_safetensors=True).settings
        if settings and read_settings(settings).adapter:
            raise ConfigError(
                f"model.path {config.model.path!r} has an adapter already: leave lora out to train that one, or merge "
                "it first, with `seqgpt merge`."
            )


def _with_lora(model: SeqGPT, config: LoraRun | None, seed: int) -> SeqGPT:
    """Return the model with the adapter that is to be trained: a new one, or that of the checkpoint."""
    if config is None:
        return model
    if model.adapter is None:
        model.add_lora(config.r, config.alpha, config.dropout, config.target_modules, seed=seed)
    return model.to_int8() if config.int8 else model


def _start(config: ModelConfig, examples: Sequence[Example], seed: int) -> SeqGPT:
    if config.path:
        return SeqGPT.from_pretrained(config.path, dtype=torch.float32)
    words = [example.text for example in examples]
    words += [label for example in examples[:_TOKENIZER_EXAMPLES] for label in example.task.labels]
    tokenizer = train_tokenizer(words, config.vocab_size, list(MARKS))
    return SeqGPT.from_config(config.config or {}, tokenizer, seed=seed)
