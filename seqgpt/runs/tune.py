"""Tuning a model on labels of one's own, in one call."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from seqgpt.adapters import LoraConfig
from seqgpt.data.given import Given, read_given
from seqgpt.errors import ConfigError, DataError, ModelError, did_you_mean
from seqgpt.examples import Example
from seqgpt.model import SeqGPT
from seqgpt.model_files import Source, expand, find, lasting_name, read_settings
from seqgpt.runs.config import DataConfig, LoraRun, ModelConfig, RunConfig
from seqgpt.runs.data import given_source
from seqgpt.runs.hold_out import hold_out
from seqgpt.runs.run import run_training
from seqgpt.training.arguments import TrainingArguments
from seqgpt.training.say import say
from seqgpt.yaml_section import expected

# As measured with a model of 2.6 million parameters (docs/training.md).
_BATCH = 16
_EPOCHS, _FEWEST_STEPS, _MANY_STEPS, _EPOCHS_OF_MANY = 10, 120, 600, 3
_RATE_OF_LORA = 1e-3
_RATE_OF_WHOLE = 3e-4

_SHARE = 0.2
_ENOUGH = 500
"""So many examples, and a fifth of them is held out by itself: a hundred is what a model can be calibrated on."""


def tune(
    model: SeqGPT | str | Path,
    train: Given,
    held_out: Given | float | None = None,
    *,
    output_dir: str | Path,
    column_mapping: Mapping[str, str] | None = None,
    labels: Mapping[Any, str] | Sequence[str] | None = None,
    replay: str | Path | Sequence[str | Path] | Sequence[Example] | None = ("sample",),
    lora: LoraConfig | bool | None = True,
    **training: Any,
) -> SeqGPT:
    """Tune a model on labels of one's own.

        tuned = seqgpt.tune("runs/base", "train.jsonl", "held_out.jsonl", output_dir="runs/mine")
        tuned = seqgpt.tune(model, frame, 0.2, output_dir="runs/me", column_mapping={"review": "text"})

    Where examples are held out, training stops when F1 gets no better, the best model is kept, and threshold and
    probabilities are fitted on them; where none are, the model keeps those that it had. Before and after training the
    model is measured on them and on what it knew; the table is shown and left in ``output_dir``. A call that was
    interrupted goes on when it is made again; one that has finished gives its model. The same data give the same model,
    in whatever form they come.

    Args:
        model: A folder or hub id, or a model that was opened from one; it stays as it is, another one is tuned.
        train: What is learnt: examples, a JSONL file of them, or whatever :func:`seqgpt.read_dataset` reads.
        held_out: The same, to evaluate on; or a share of ``train`` that is held out, drawn by the seed so that each
            label has its share. By default a fifth of 500 examples or more; of fewer nothing, so that all are learnt.
            0 holds out nothing.
        output_dir: The folder of the run, where the model is saved.
        column_mapping: The role of each column of ``train`` and ``held_out``, as in ``read_dataset``.
        labels: The words of each class, as in ``read_dataset``.
        replay: Other data, a fifth of what is seen in training, so that the model keeps what it knows: recipes, JSONL
            files, ``"sample"`` for the bundled examples, or a list of examples. The closer they are to what the model
            was trained on, the better. What is held out is not replayed. None replays nothing.
        lora: Train an adapter, which is saved alone: True, or its shape. None trains all weights. If the model has an
            adapter already, that one is trained on.
        training: Further :class:`seqgpt.TrainingArguments`, such as ``learning_rate``, ``num_train_epochs``, ``seed``.

    Returns:
        The tuned model.

    Raises:
        DataError: If data cannot be read, there are no examples, or one is longer than the model reads.
        ConfigError: If an argument has no such value.
        ModelError: If the model cannot be opened, or is in no folder.
        RunError: If ``output_dir`` holds something else, or a run is at work there.
    """
    _check_arguments(training)
    base = _place(model)
    has_adapter = base.settings is not None and read_settings(base.settings).adapter
    own, held = _parted(train, held_out, column_mapping, labels, training.get("seed", 0))
    if not held:
        say("nothing is held out, so nothing will tell what was learnt: give held_out, examples or a share such as 0.2")
    given = {given_source("train", own): own}
    if held:
        given[given_source("held_out", held)] = held
    learnt, *evaluated = given
    others = _others(replay, given)
    config = RunConfig(
        str(expand(output_dir).resolve()),  # as that of the model, which may lie beside it
        ModelConfig(path=base.name),
        DataConfig(train=[learnt], eval=evaluated, replay=others),
        _defaults(evaluates=bool(held), whole=not (lora or has_adapter)) | training,
        lora=_adapter(lora, has_adapter=has_adapter),
    )
    arguments = config.arguments()  # says what is wrong with them, before it is compared with those of another run
    if not {"max_steps", "num_train_epochs"} & training.keys():
        length = _length(len(own), arguments, replays=bool(others))
        config = dataclasses.replace(config, training=config.training | length)
    return run_training(config, given)


def _place(model: SeqGPT | str | Path) -> Source:
    """Return where a model is, from which it is opened anew."""
    if isinstance(model, (str, Path)):
        found = find(model, revision=None, use_safetensors=True)
        return found._replace(name=lasting_name(found.name))
    if not isinstance(model, SeqGPT):
        raise ConfigError(f"the model is a {type(model).__name__}: give a SeqGPT, or the folder or hub id of one.")
    if model.adapter is not None:
        raise ModelError(
            "the model has an adapter: give the folder that it was saved to, in which the adapter is trained on, or "
            "merge_adapter() and save_pretrained(folder) first."
        )
    if model.source is None:
        raise ModelError(
            "the weights of this model are in no folder, from which a run that was interrupted could go on: "
            "save_pretrained(folder) first; random ones are better trained whole, with lora=None."
        )
    if "revision" in model.source.options:
        raise ModelError(
            "the model is a revision from a hub, which a run does not name: save_pretrained(folder) first."
        )
    return _place(model.source.name)


def _parted(
    train: Given,
    held_out: Given | float | None,
    column_mapping: Mapping[str, str] | None,
    labels: Mapping[Any, str] | Sequence[str] | None,
    seed: int,
) -> tuple[list[Example], list[Example]]:
    """Return the examples that are learnt, and those that are held out, which have none of their texts."""
    if held_out is None or isinstance(held_out, (int, float)):
        (own,) = read_given({"train": train}, column_mapping, labels).values()
        share = held_out if held_out is not None else _SHARE * (len(own) >= _ENOUGH)
        if not 0 <= share < 1:
            raise ConfigError(f"held_out is {held_out}: give a share from 0 up, below 1, or examples.")
        own, held = hold_out(own, share, seed=seed)
        if share and not held:
            raise ConfigError(
                f"held_out is {held_out}, and of {len(own)} examples that is none: give more of them, or 0."
            )
    else:
        own, held = read_given({"train": train, "held_out": held_out}, column_mapping, labels).values()
        texts = {example.text for example in held}
        also = [example for example in own if example.text in texts]
        if len(also) == len(own):
            raise DataError("all texts of train are held out too: hold out other ones, or a share (held_out=0.2).")
        if also:
            say(f"train: {len(also)} examples left out, whose texts are held out")
            own = [example for example in own if example.text not in texts]
    return _numbered(own, "train"), _numbered(held, "held_out")


def _numbered(examples: Sequence[Example], name: str) -> list[Example]:
    """Return examples with ids by their place, for draws are a function of ids: not of the form in which they came."""
    return [dataclasses.replace(example, id=f"{name}/{number}") for number, example in enumerate(examples)]


def _others(
    replay: str | Path | Sequence[str | Path] | Sequence[Example] | None, given: dict[str, list[Example]]
) -> list[str]:
    """Return the sources that are replayed; examples are put among those that are given."""
    if isinstance(replay, (str, Path)):
        return [str(replay)]
    examples = [one for one in replay or () if isinstance(one, Example)]
    if not examples:
        return [str(name) for name in replay or ()]
    if len(examples) < len(replay or ()):
        raise ConfigError("replay mixes names and examples: give one or the other.")
    source = given_source("replay", examples)
    given[source] = _numbered(examples, "replay")
    return [source]


def _adapter(lora: LoraConfig | bool | None, *, has_adapter: bool) -> LoraRun | None:
    """Return the adapter that is new, if there is to be one."""
    if isinstance(lora, LoraConfig):
        return LoraRun(**dataclasses.asdict(lora))
    if lora not in (True, False, None):
        raise ConfigError(f"lora is {lora!r}: give True, a LoraConfig, or None to train all weights.")
    return LoraRun() if lora and not has_adapter else None


def _check_arguments(training: Mapping[str, Any]) -> None:
    """Refuse what is no training argument, and what cannot be written down for a run that goes on."""
    known = [field.name for field in dataclasses.fields(TrainingArguments) if field.name != "resume_from_checkpoint"]
    hints = get_type_hints(TrainingArguments)
    for name, value in training.items():
        if name not in known:
            raise ConfigError(f"there is no training argument {name!r}.{did_you_mean(name, known)} Leave it out.")
        wanted = expected(value, hints[name])
        if wanted:
            raise ConfigError(f"{name} is {value!r}: give {wanted}.")
        try:
            yaml.safe_dump(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"{name} is {value!r}: give it as a plain value, such as a name or a number.") from error


def _length(examples: int, args: TrainingArguments, *, replays: bool) -> dict[str, Any]:
    """Return how long so many examples are trained on, as a training argument."""
    if replays:
        examples = round(examples / (1 - args.replay_share))
    epoch = examples / max(args.per_device_train_batch_size * args.gradient_accumulation_steps, 1)
    if _EPOCHS_OF_MANY * epoch >= _MANY_STEPS:
        return {"num_train_epochs": _EPOCHS_OF_MANY}
    if _FEWEST_STEPS <= _EPOCHS * epoch <= _MANY_STEPS:
        return {"num_train_epochs": _EPOCHS}
    return {"max_steps": _FEWEST_STEPS if _EPOCHS * epoch < _FEWEST_STEPS else _MANY_STEPS}


def _defaults(*, evaluates: bool, whole: bool) -> dict[str, Any]:
    """Return the training arguments but for the length of training."""
    arguments: dict[str, Any] = {
        "per_device_train_batch_size": _BATCH,
        "learning_rate": _RATE_OF_WHOLE if whole else _RATE_OF_LORA,
        "logging_steps": 0.05,
        "save_strategy": "steps",
        "save_steps": 0.1,
    }
    if evaluates:
        arguments |= {
            "eval_strategy": "steps",
            "eval_steps": 0.1,
            "load_best_model_at_end": True,
            "early_stopping_patience": 3,
        }
    return arguments
