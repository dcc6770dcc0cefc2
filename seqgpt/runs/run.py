"""Running a config: data, model, training, and what is left in the run directory.

The directory holds ``run.yaml`` (the config as it ran) and what every ``Trainer`` leaves: ``training_arguments.json``
(all of them), ``environment.json`` (versions), ``data.json`` (digests of the examples), ``preflight.md`` (what it was
about to do), the last ``save_total_limit`` checkpoints as ``checkpoint-*``, which stay after training too, and at the
end the model, which ``SeqGPT.from_pretrained`` opens, ``curves.png``, and ``README.md``, its card. If there was
something to evaluate, the model is calibrated on it and has the threshold that was best for it; ``metrics.json`` says
how good it is there, a little better than elsewhere, since the threshold was chosen on the same examples. It is written
last: a run that has it is finished. Weights are safetensors; only checkpoints hold pickles, the state of optimizer and
random generators that a run goes on from. Started again after an interruption, a run goes on from its last checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType

from seqgpt.calibration import LOWEST
from seqgpt.data.mixture import to_table
from seqgpt.evaluation.decision import Decision, best_decision, mean_f1
from seqgpt.examples import Example
from seqgpt.model import SeqGPT
from seqgpt.run_lock import run_lock
from seqgpt.runs.before_after import measure, read_before, write_before
from seqgpt.runs.before_after import to_table as before_after_table
from seqgpt.runs.config import RunConfig
from seqgpt.runs.data import Named, RunData, check_sources
from seqgpt.runs.directory import METRICS_FILE, RUN_FILE, is_finished, where_to_go_on
from seqgpt.runs.prepare import prepare
from seqgpt.training.arguments import TrainingArguments
from seqgpt.training.checkpoints import saved_or_told
from seqgpt.training.output_directory import make_directory
from seqgpt.training.preflight import Preflight, preflight
from seqgpt.training.say import say
from seqgpt.training.trainer import Trainer
from seqgpt.whole_file import write_file

MIXTURE_FILE = "mixture.md"
BEFORE_AFTER_FILE = "before_after.md"


def run_stages(stages: Sequence[RunConfig]) -> SeqGPT:
    """Run one config after the other; those that are finished are passed over, one that was interrupted goes on.

    Returns:
        The model of the last.

    Raises:
        RunError, DataError, ConfigError, ModelError: As :func:`run_training`.
    """
    for stage in stages:  # what is wrong with the last is not told after hours
        stage.arguments()
        check_sources(stage)
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


def dry_run(stages: Sequence[RunConfig]) -> Iterator[tuple[str, Preflight]]:
    """Find out what the runs of a config are about to do, without doing it; nothing is left but caches of data.

    Every stage is looked at with the model that the first begins with.

    Yields:
        The name of each run, and its report.

    Raises:
        RunError, DataError, ConfigError, ModelError: As :func:`run_training` does before it begins.
    """
    model = None
    for stage in stages:
        is_finished(stage)  # which says what else may lie in its directory
        with TemporaryDirectory() as folder:
            if model and stage.lora and model.adapter is None and model.source is None:  # adapters have a base on disk
                model.save_pretrained(Path(folder) / "base")
            training = stage.training | {"push_to_hub": False, "report_to": "none"}
            config = replace(stage, output_dir=str(Path(folder) / "run"), training=training)
            prepared = prepare(config, {}, config.arguments(), model=model)
            yield Path(stage.output_dir).name, preflight(prepared.trainer)
        model = prepared.trainer.seqgpt


def run_training(config: RunConfig, given: Named = MappingProxyType({})) -> SeqGPT:
    """Run a config from its start, or from its last checkpoint; of a run that is finished, open the model.

    Args:
        config: The run.
        given: Examples that the config cannot name, as :func:`~seqgpt.runs.data.read_data` takes them; of such
            a run it is always told what training changed.

    Raises:
        RunError: If the output directory holds another run, or something else, or a run is at work there; or the loss
            is no number, or the disk full.
        DataError, ConfigError, ModelError: As reading data, config and model do.
    """
    directory = Path(config.output_dir)
    make_directory(directory)
    arguments = config.arguments()
    if is_finished(config):
        say(f"{config.output_dir} is finished: its model is opened")
        return SeqGPT.from_pretrained(config.output_dir)
    with run_lock(directory, taken=arguments.process_index == 0):
        return _run(config, given, directory, arguments)


def _run(config: RunConfig, given: Named, directory: Path, arguments: TrainingArguments) -> SeqGPT:
    checkpoint = where_to_go_on(directory, config)
    arguments.distributed_state.wait_for_everyone()  # no process looks into what the first one writes next
    prepared = prepare(config, given, arguments, checkpoint)
    trainer, data, model = prepared.trainer, prepared.data, prepared.trainer.seqgpt
    if trainer.is_world_process_zero():
        with saved_or_told("the config", directory):
            write_file(directory / RUN_FILE, config.to_yaml())
            if prepared.mixture:
                write_file(directory / MIXTURE_FILE, to_table(prepared.mixture.mixture))
    compared = _compared(data) if data.known or given else {}
    if compared and checkpoint is None:
        before = measure(model, compared)
        if trainer.is_world_process_zero():
            with saved_or_told("what was measured before training", directory):
                write_before(directory, before)
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    _finish(trainer, data.held_out, compared)
    trainer.accelerator.wait_for_everyone()  # the next stage opens what the first process has written
    return model


def _compared(data: RunData) -> dict[str, Sequence[Example]]:
    """Return what is measured before and after training: what is learnt, and is what was known still known?"""
    return {**data.held_out, **{f"{name}, known before": examples for name, examples in data.known.items()}}


def _finish(trainer: Trainer, held_out: Named, compared: Named) -> None:
    """Leave in the run directory what people look at, and last of all the metrics, which tell that all is done."""
    directory = Path(str(trainer.args.output_dir))
    metrics: dict[str, float] = {}
    if held_out:
        _calibrate(trainer.seqgpt, held_out)
        if trainer.is_world_process_zero():
            with saved_or_told("how the model decides", directory):
                trainer.seqgpt.save_settings(directory)
        metrics = trainer.evaluate()
    after = measure(trainer.seqgpt, compared)
    if compared and trainer.is_world_process_zero():
        table = before_after_table(read_before(directory), after)
        say(table)
        with saved_or_told("what training changed", directory):
            write_file(directory / BEFORE_AFTER_FILE, table)
    trainer.write_summary()
    if trainer.args.push_to_hub:
        trainer.push_to_hub()  # again: now it is calibrated
    if trainer.is_world_process_zero():
        with saved_or_told("the metrics", directory):
            write_file(directory / METRICS_FILE, json.dumps(metrics, indent=2) + "\n")


def _calibrate(model: SeqGPT, held_out: Named) -> None:
    """Give the model the temperatures, thresholds and overlap that are best for the held-out examples.

    Every process does it, and comes to the same: their models must not differ.
    """
    model.calibrate([example for examples in held_out.values() for example in examples])
    groups = []
    for examples in held_out.values():
        pairs = [(example.text, example.task) for example in examples]
        predicted = model.predict_pairs(pairs, threshold=LOWEST, overlap="allow")
        groups.append([(example.gold, result) for example, result in zip(examples, predicted, strict=True)])
    former = Decision(model.threshold, model.class_threshold, model.overlap)
    best = best_decision(groups, former)
    if best != former:
        before, after = mean_f1(groups, former), mean_f1(groups, best)
        say(f"{best}: F1 {after:.3f} on what is held out ({before:.3f} with {former})")
        model.threshold, model.class_threshold, model.overlap = best
