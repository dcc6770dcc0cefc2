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

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
import yaml
from tqdm.auto import tqdm

from seqgpt.calibration import LOWEST
from seqgpt.data.draws import draw
from seqgpt.data.leaks import held_out_texts, refuse_held_out
from seqgpt.data.mixture import find_sources, to_table
from seqgpt.data.source import is_recipe, read_source, short_names, split_source
from seqgpt.data.text_index import index_examples
from seqgpt.errors import ConfigError, DataError, RunError, SeqGPTError, TextError
from seqgpt.evaluation.threshold import best_threshold, mean_f1
from seqgpt.examples import BadRows, Example
from seqgpt.model import SeqGPT
from seqgpt.model_files import build, find, read_settings
from seqgpt.templates.marks import MARKS
from seqgpt.tokenizer import train_tokenizer
from seqgpt.training.arguments import TrainingArguments
from seqgpt.training.checkpoints import last_checkpoint, saved_or_told
from seqgpt.training.config import DataConfig, LoraRun, ModelConfig, RunConfig, load_run_config
from seqgpt.training.curves import CURVES_FILE, draw_curves
from seqgpt.training.environment import ENVIRONMENT_FILE, environment_json
from seqgpt.training.mixture_set import MixtureSet, open_mixture
from seqgpt.training.model_card import describe_examples
from seqgpt.training.progress import TrainingProgress
from seqgpt.training.run_lock import is_empty, run_lock
from seqgpt.training.trainer import Trainer, make_directory
from seqgpt.training.training_set import TrainingSet
from seqgpt.whole_file import write_file

RUN_FILE = "run.yaml"
METRICS_FILE = "metrics.json"
MIXTURE_FILE = "mixture.md"

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
        if _is_finished(stage):
            _say(f"stage {name} ({number} of {len(stages)}) is finished")
        else:
            _say(f"stage {name} ({number} of {len(stages)})")
            run_training(stage)
    if len(stages) > 1:
        _say(f"stage {Path(stages[-1].output_dir).name} ({len(stages)} of {len(stages)})")
    return run_training(stages[-1])


def run_training(config: RunConfig) -> SeqGPT:
    """Run a config from its start, or from its last checkpoint.

    Raises:
        RunError: If the output directory holds a finished run, another run, or something else, or a run is at work
            there; or the loss is no number, or the disk full.
        DataError, ConfigError, ModelError: As reading data, config and model do.
    """
    directory = Path(config.output_dir)
    make_directory(directory)
    arguments = config.arguments()
    with run_lock(directory, taken=arguments.process_index == 0):
        return _run(config, directory, arguments)


def _run(config: RunConfig, directory: Path, arguments: TrainingArguments) -> SeqGPT:
    checkpoint = _where_to_go_on(directory, config)
    if checkpoint is None:
        _check_start(config.model)
        _check_lora(config)
    examples = _examples(config, arguments.seed)
    held_out = {
        title: _read(name, "validation", config.data, config.data.eval_limit)
        for name, title in short_names(config.data.eval).items()
    }
    model = (
        SeqGPT.from_pretrained(checkpoint, dtype=torch.float32)
        if checkpoint
        else _start(config.model, _flat(examples) or _of_each_source(config), arguments.seed)
    )
    model = _with_lora(model, config.lora, arguments.seed)
    if config.data.on_bad_row == "skip":
        if not config.mixture:  # which leaves them out by itself
            checked = TrainingSet(_flat(examples), model, seed=arguments.seed, augmentation=arguments.augmentation)
            examples = _readable_sources(examples, [checked.too_long(index) for index in range(len(checked))])
        held_out = {
            title: _readable(title, members, [_unreadable(model, example) for example in members])
            for title, members in held_out.items()
        }
    mixture = _open_mixture(config, model, arguments)
    trainer = _make_trainer(model, arguments, mixture or examples, held_out)
    n_held_out = sum(map(len, held_out.values()))
    n_sources = len(mixture.stores) if mixture else len(config.data.train)
    _say(f"{model!r}: {len(mixture or _flat(examples))} examples of {n_sources} source(s), {n_held_out} held out")
    _describe(trainer, config, examples)
    if trainer.is_world_process_zero():
        with saved_or_told("the config", directory):
            write_file(directory / RUN_FILE, config.to_yaml())
            write_file(directory / ENVIRONMENT_FILE, environment_json())
            if mixture:
                write_file(directory / MIXTURE_FILE, to_table(mixture.mixture))
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    _finish(trainer, held_out)
    return model


def _describe(trainer: Trainer, config: RunConfig, examples: Mapping[str, Sequence[Example]]) -> None:
    """Tell the trainer what its model card says of data and model; of a mixture it knows."""
    if examples:
        names = short_names(config.data.train)
        trainer.sources = [describe_examples(name, examples[name], source=source) for source, name in names.items()]
    path = config.model.path
    trainer.base_model = None if path is None or Path(path).exists() else path


def _finish(trainer: Trainer, held_out: Mapping[str, Sequence[Example]]) -> None:
    """Leave in the run directory what people look at, and last of all the metrics, which tell that all is done."""
    directory = Path(str(trainer.args.output_dir))
    metrics: dict[str, float] = {}
    if held_out:
        _calibrate(trainer.seqgpt, held_out)
        if trainer.is_world_process_zero():
            with saved_or_told("the threshold", directory):
                trainer.seqgpt.save_settings(directory)
        metrics = trainer.evaluate()
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
    examples: Mapping[str, Sequence[Example]] | MixtureSet,
    held_out: Mapping[str, Sequence[Example]],
) -> Trainer:
    try:
        trainer = Trainer(model, arguments, examples, held_out or None)
    except SeqGPTError:
        raise
    except (ValueError, RuntimeError, ImportError) as error:  # arguments that do not go together, a missing package
        raise ConfigError(f"training: {' '.join(str(error).split())}") from error
    trainer.owns_output_dir = True
    trainer.remove_callback(transformers.trainer_callback.ProgressCallback)
    trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
    trainer.add_callback(TrainingProgress())
    return trainer


def _examples(config: RunConfig, seed: int) -> dict[str, list[Example]]:
    """Return the examples of the listed sources, by what these are called; a mixture lists none."""
    return {
        title: _repeat(_read(name, "train", config.data, config.data.train_limit), name, config.data, seed)
        for name, title in short_names(config.data.train).items()
    }


def _flat(examples: Mapping[str, Sequence[Example]]) -> list[Example]:
    return [example for members in examples.values() for example in members]


def _of_each_source(config: RunConfig) -> list[Example]:
    """Return some examples of each source of a mixture, from which the vocabulary of a new model is made."""
    if config.model.path or not config.mixture:
        return []
    sources = find_sources(config.mixture)
    each = max(_TOKENIZER_EXAMPLES // len(sources), 1)
    return [example for name in sources for example in _read(name, "train", config.data, each)]


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
        progress=arguments.process_index == 0,
    )
    if arguments.process_index:
        return found
    unread = found.mixture.held_out.unread
    if unread:
        _say(f"not guarded against, for their test texts are not there: {', '.join(unread)}")
    return found


def _read(name: str, split: str, data: DataConfig, limit: int | None) -> list[Example]:
    if split == "train" and is_recipe(name):
        refuse_held_out([split_source(name)[0]], "data.train")
    bad = BadRows()
    examples = read_source(name, split, limit=limit, data_root=data.root, on_bad_row=data.on_bad_row, bad_rows=bad)
    if bad.count:
        _say(f"{name}: {bad}")
    if split == "train" and name != "sample":
        return _without_leaks(name, examples, data.root)
    return examples


def _without_leaks(name: str, examples: list[Example], data_root: str | None) -> list[Example]:
    """Leave out examples whose texts stand in a held-out test, and say so."""
    leaks = held_out_texts(data_root).holds(index_examples(examples, BadRows()))
    if leaks.any():
        _say(f"{name}: {leaks.sum()} examples left out, whose texts stand in the test of a held-out set")
    if leaks.all():
        raise DataError(f"{name}: every example stands in the test of a held-out set. Train on others.")
    return [example for example, leaked in zip(examples, leaks, strict=True) if not leaked]


def _calibrate(model: SeqGPT, held_out: Mapping[str, Sequence[Example]]) -> None:
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
        _say(f"threshold {best:.2f}: F1 {after:.3f} on what is held out ({before:.3f} at {model.threshold:.2f})")
        model.threshold = best


def _repeat(examples: list[Example], name: str, data: DataConfig, seed: int) -> list[Example]:
    """Return the examples of a source as often as they come in an epoch, each time under an id of its own."""
    times, rest = divmod(data.passes.get(name, 1.0), 1.0)
    repeated = [*examples]
    for i in range(1, int(times)):
        repeated += [dataclasses.replace(example, id=f"{example.id}~{i}") for example in examples]
    few = draw(seed, 0, name, "passes").sample(examples, round(rest * len(examples)))
    return few if times < 1 else [*repeated, *(dataclasses.replace(e, id=f"{e.id}~{int(times)}") for e in few)]


def _unreadable(model: SeqGPT, example: Example) -> str:
    try:
        model.check_length(example.text, example.task)
    except TextError as error:
        return f"example {example.id}: {error}"
    return ""


def _readable(name: str, examples: Sequence[Example], problems: Sequence[str]) -> list[Example]:
    """Leave out the examples that are longer than the model reads, and say so."""
    bad = BadRows()
    for problem in filter(None, problems):
        bad.add(problem)
    if bad.count:
        _say(f"{name}, too long: {bad}")
    if bad.count == len(examples):
        raise DataError(f"{name}: every example is longer than the model reads. Shorten them.")
    return [example for example, problem in zip(examples, problems, strict=True) if not problem]


def _readable_sources(examples: Mapping[str, Sequence[Example]], problems: Sequence[str]) -> dict[str, list[Example]]:
    """Leave out the training examples that are longer than the model reads, which they are in all sources' order."""
    _readable("data.train", _flat(examples), problems)
    left = iter(problems)
    return {title: [example for example in members if not next(left)] for title, members in examples.items()}


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


def _where_to_go_on(directory: Path, config: RunConfig) -> Path | None:
    """Return the checkpoint to go on from; None to begin.

    Raises:
        RunError: If the directory holds something that this run must not touch.
    """
    if is_empty(directory):
        return None
    if _is_finished(config):
        raise RunError(
            f"output_dir {str(directory)!r} holds this run, finished: use its model, or delete it to run again."
        )
    checkpoint = last_checkpoint(directory)
    if checkpoint:
        _say(f"going on from {checkpoint}")
    return checkpoint


def _is_finished(config: RunConfig) -> bool:
    """Tell whether a run's directory holds its final model.

    Raises:
        RunError: If it holds another run, or something else.
    """
    directory = Path(config.output_dir)
    if not directory.is_dir() or not any(directory.iterdir()):
        return False
    file = directory / RUN_FILE
    if not file.is_file():
        raise RunError(f"output_dir {str(directory)!r} is not empty: choose another one, or delete it.")
    try:
        before = dataclasses.asdict(load_run_config(file))
    except ConfigError as error:
        raise RunError(f"output_dir {str(directory)!r} holds a run that cannot be read: {error}") from error
    now = yaml.safe_load(config.to_yaml())
    different = _differences(_movable(before), _movable(now))
    if different:
        raise RunError(
            f"output_dir {str(directory)!r} holds another run, which differs in {', '.join(different)}: "
            "choose another output_dir, or delete this one."
        )
    return (directory / METRICS_FILE).is_file()


def _movable(values: dict[str, Any]) -> dict[str, Any]:
    """Return a run's values without its place, which may have changed since, and that of the stage before it."""
    base, beside = values["model"]["path"], Path(values["output_dir"]).parent
    within = base and Path(base).parent == beside
    return values | {"output_dir": "", "model": values["model"] | {"path": Path(base).name if within else base}}


def _differences(before: Any, now: Any, prefix: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*before, *(key for key in now if key not in before)]
        return [d for key in keys for d in _differences(before.get(key), now.get(key), f"{prefix}.{key}".lstrip("."))]
    return [] if before == now else [f"{prefix} ({before!r}, now {now!r})"]


def _say(message: str) -> None:
    tqdm.write(message, file=sys.stderr)
