"""The directory of a run: what lies there already, and whether the run begins, goes on, or is finished."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import yaml

from seqgpt.errors import ConfigError, RunError
from seqgpt.run_lock import is_empty
from seqgpt.runs.config import RunConfig, load_run_config
from seqgpt.training.checkpoints import last_checkpoint
from seqgpt.training.record import differences
from seqgpt.training.say import say

RUN_FILE = "run.yaml"
"""The config as it ran."""
METRICS_FILE = "metrics.json"
"""The last evaluation; written last of all, so a run that has it is finished."""


def where_to_go_on(directory: Path, config: RunConfig) -> Path | None:
    """Return the checkpoint to go on from; None to begin.

    Raises:
        RunError: If the directory holds something that this run must not touch.
    """
    if is_empty(directory):
        return None
    is_finished(config)  # which says what else may lie there
    checkpoint = last_checkpoint(directory)
    if checkpoint:
        say(f"going on from {checkpoint}")
    return checkpoint


def is_finished(config: RunConfig) -> bool:
    """Tell whether a run's directory holds its final model.

    Raises:
        RunError: If it holds another run, or something else.
    """
    directory = Path(config.output_dir)
    if not directory.is_dir() or is_empty(directory):
        return False
    file = directory / RUN_FILE
    if not file.is_file():
        raise RunError(f"output_dir {str(directory)!r} is not empty: choose another one, or delete it.")
    try:
        before = dataclasses.asdict(load_run_config(file))
    except ConfigError as error:
        raise RunError(f"output_dir {str(directory)!r} holds a run that cannot be read: {error}") from error
    now = yaml.safe_load(config.to_yaml())
    different = differences(_movable(before), _movable(now))
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
