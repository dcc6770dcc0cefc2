"""Running a config: data, model, training, and what is left in the run directory.

The directory holds ``run.yaml`` (the config as it ran), ``checkpoint-*`` while training, and at the end the model, which
``SeqGPT.from_pretrained`` opens, with ``metrics.json``. Started again after an interruption, a run goes on from its last
checkpoint.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any, cast

import transformers
import yaml
from tqdm.auto import tqdm
from transformers.trainer_utils import get_last_checkpoint

from seqgpt.data.recipe import load_recipe
from seqgpt.data.sample import load_sample
from seqgpt.errors import RunError
from seqgpt.examples import BadRows, Example, OnBadRow, read_jsonl
from seqgpt.model import SeqGPT
from seqgpt.model_files import SETTINGS_FILE
from seqgpt.templates.marks import MARKS
from seqgpt.tokenizer import train_tokenizer
from seqgpt.training.config import DataConfig, ModelConfig, RunConfig
from seqgpt.training.trainer import RUN_FILE, Trainer

METRICS_FILE = "metrics.json"


def run_training(config: RunConfig) -> SeqGPT:
    """Run a config from its start, or from its last checkpoint.

    Raises:
        RunError: If the output directory holds a finished run, another run, or something else.
        DataError, ConfigError, ModelError: As reading data, config and model do.
    """
    directory = Path(config.output_dir)
    checkpoint = _last_checkpoint(directory, config)
    train = {name: read_source(name, "train", config.data, config.data.train_limit) for name in config.data.train}
    held_out = {
        Path(name).stem: read_source(name, "eval", config.data, config.data.eval_limit) for name in config.data.eval
    }
    examples = [example for source in train.values() for example in source]
    seed = int(config.training.get("seed", 0))
    model = SeqGPT.from_pretrained(checkpoint) if checkpoint else _start(config.model, examples, seed)
    _say(f"{model!r}: {len(examples)} examples of {len(train)} source(s), held out {sum(map(len, held_out.values()))}")
    trainer = Trainer(model, config.arguments(), examples, dict(held_out) or None)
    trainer.remove_callback(transformers.trainer_callback.ProgressCallback)
    trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
    trainer.add_callback(TrainingProgress())
    directory.mkdir(parents=True, exist_ok=True)
    (directory / RUN_FILE).write_text(config.to_yaml(), encoding="utf-8")
    trainer.train(resume_from_checkpoint=checkpoint)
    if held_out:
        metrics = trainer.evaluate()
        (directory / METRICS_FILE).write_text(json.dumps(metrics, indent=2) + "\n", encoding="utf-8")
    return model


def read_source(name: str, role: str, data: DataConfig, limit: int | None) -> list[Example]:
    """Read one source of a run.

    Args:
        name: A recipe, a JSONL file, or ``sample``.
        role: ``"train"`` or ``"eval"``.
        data: How to read it.
        limit: Most examples.
    """
    bad = BadRows()
    on_bad_row = cast(OnBadRow, data.on_bad_row)
    if name == "sample":
        examples = load_sample("train" if role == "train" else "test")[:limit]
    elif name.endswith(".jsonl"):
        read = read_jsonl(name, on_bad_row=on_bad_row, bad_rows=bad)[:limit]
        examples = [Example(e.gold, f"{name}/{e.id}", e.family, e.language) for e in read]
    else:
        split = "train" if role == "train" else "validation"
        recipe = load_recipe(name)
        examples = recipe.examples(split, limit=limit, data_root=data.root, on_bad_row=on_bad_row, bad_rows=bad)
    if bad.count:
        _say(f"{name}: {bad}")
    return examples


class TrainingProgress(transformers.TrainerCallback):
    """A progress bar on standard error, with the loss beside it and a line for every evaluation."""

    def __init__(self) -> None:
        self._bar: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the bar."""
        if state.is_world_process_zero:
            self._bar = tqdm(
                total=state.max_steps, initial=state.global_step, desc="train", unit="step", file=sys.stderr
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Show the loss, or what an evaluation found."""
        if self._bar is None or logs is None:
            return
        if "loss" in logs:
            self._bar.set_postfix(loss=f"{float(logs['loss']):.3f}", epoch=f"{float(logs.get('epoch', 0)):.2f}")
        shown = {key[5:]: value for key, value in logs.items() if key.startswith("eval_")}
        headline = [
            f"{key} {value:.3f}" for key, value in shown.items() if key.endswith(("offset_f1", "accuracy", "score"))
        ]
        if headline:
            tqdm.write(f"step {state.global_step}: {', '.join(headline)}", file=sys.stderr)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def _start(config: ModelConfig, examples: list[Example], seed: int) -> SeqGPT:
    if config.path:
        return SeqGPT.from_pretrained(config.path)
    words = [example.text for example in examples]
    words += [label for example in examples[:50_000] for label in example.task.labels]
    tokenizer = train_tokenizer(words, config.vocab_size, list(MARKS))
    return SeqGPT.from_config(config.config or {}, tokenizer, seed=seed)


def _last_checkpoint(directory: Path, config: RunConfig) -> str | None:
    """Return the checkpoint to go on from; None to begin.

    Raises:
        RunError: If the directory holds something that this run must not touch.
    """
    if not directory.is_dir() or not any(directory.iterdir()):
        return None
    file = directory / RUN_FILE
    if not file.is_file():
        raise RunError(f"output_dir {str(directory)!r} is not empty: choose another one, or delete it.")
    before = yaml.safe_load(file.read_text(encoding="utf-8"))
    now = yaml.safe_load(config.to_yaml())
    if before != now:
        raise RunError(
            f"output_dir {str(directory)!r} holds another run, which differs in {', '.join(_differences(before, now))}: "
            "choose another output_dir, or delete this one."
        )
    if (directory / SETTINGS_FILE).is_file():
        raise RunError(
            f"output_dir {str(directory)!r} holds this run, finished: use its model, or delete it to run again."
        )
    checkpoint = get_last_checkpoint(str(directory))
    if checkpoint:
        _say(f"going on from {checkpoint}")
    return cast("str | None", checkpoint)


def _differences(before: Any, now: Any, prefix: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*before, *(key for key in now if key not in before)]
        return [d for key in keys for d in _differences(before.get(key), now.get(key), f"{prefix}.{key}".lstrip("."))]
    return [] if before == now else [f"{prefix} ({before!r}, now {now!r})"]


def _say(message: str) -> None:
    tqdm.write(message, file=sys.stderr)
