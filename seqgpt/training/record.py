"""What a run writes down when it begins, and what must be the same when it goes on: arguments and examples."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

from seqgpt.errors import RunError
from seqgpt.run_lock import LOCK_FILE
from seqgpt.training.arguments import TrainingArguments
from seqgpt.training.environment import ENVIRONMENT_FILE, environment_json
from seqgpt.training.preflight import PREFLIGHT_FILE
from seqgpt.whole_file import PART, write_file

ARGUMENTS_FILE = "training_arguments.json"
"""All training arguments, those too that were not named."""
DATA_FILE = "data.json"
"""A digest of the examples of each source: they are known by it when a run goes on."""

_WRITTEN_FIRST = {LOCK_FILE, ARGUMENTS_FILE, DATA_FILE, ENVIRONMENT_FILE, PREFLIGHT_FILE}

# They do not decide what the weights become; or, as the length does, are changed on purpose only.
_MAY_CHANGE = (
    *("output_dir", "logging_", "log_", "report_to", "run_name", "project", "trackio_", "disable_tqdm", "debug"),
    *("save_", "push_to_hub", "hub_", "resume_from_checkpoint", "do_", "local_rank", "ddp_", "include_", "skip_memory"),
    *("max_steps", "num_train_epochs", "per_device_eval_batch_size", "prediction_loss_only", "batch_eval_metrics"),
    *("dataloader_num_workers", "dataloader_pin", "dataloader_persist", "dataloader_prefetch", "dataloader_multi"),
)
_OF_THE_BEST_MODEL = ("eval_", "metric_for_best_model", "greater_is_better", "early_stopping_patience")

Digests = Mapping[str, str]
"""A digest of the examples of each source, by its name."""


def write_record(directory: Path, args: TrainingArguments, data: Digests) -> None:
    """Write down arguments, the digests of the examples, and the versions of libraries."""
    write_file(directory / ARGUMENTS_FILE, json.dumps(_values(args), indent=2) + "\n")
    write_file(directory / DATA_FILE, json.dumps(data, ensure_ascii=False, indent=2) + "\n")
    write_file(directory / ENVIRONMENT_FILE, environment_json())


def check_record(directory: Path, args: TrainingArguments, data: Digests) -> None:
    """Compare what a run is to go on with to what it began with; nothing was written down by earlier versions.

    Raises:
        RunError: If arguments that decide the weights, or the examples of a source, are others.
    """
    before, now = _read(directory / ARGUMENTS_FILE), json.loads(json.dumps(_values(args)))
    free = _MAY_CHANGE if before.get("load_best_model_at_end") else (*_MAY_CHANGE, *_OF_THE_BEST_MODEL)
    both = [name for name in before if name in now and not name.startswith(free)]
    different = differences({name: before[name] for name in both}, {name: now[name] for name in both})
    if different:
        raise RunError(
            f"the run in {str(directory)!r} was begun with other arguments: {', '.join(different)}. Go on with those "
            "that it had, or open its last checkpoint as a model and train that in another output_dir."
        )
    known = _read(directory / DATA_FILE)
    if known and known != data:
        names = dict.fromkeys([*known, *data])
        kinds = {name: _change(known.get(name), data.get(name)) for name in names}
        told = ", ".join(f"{name} {kind}" for name, kind in kinds.items() if kind)
        raise RunError(
            f"the run in {str(directory)!r} was begun with other examples: {told}. Put them back as they were, or "
            "train from the start in another output_dir."
        )


def only_begun(directory: Path) -> bool:
    """Tell whether a directory holds nothing but what a run writes before its first checkpoint."""
    names = {path.name for path in directory.iterdir() if path.suffix != PART}
    return DATA_FILE in names and names <= _WRITTEN_FIRST


def differences(before: Any, now: Any, prefix: str = "") -> list[str]:
    """Return what differs between two values, mappings in mappings among them: ``training.seed (1, now 2)``."""
    if isinstance(before, dict) and isinstance(now, dict):
        keys = [*before, *(key for key in now if key not in before)]
        return [d for key in keys for d in differences(before.get(key), now.get(key), f"{prefix}.{key}".lstrip("."))]
    return [] if before == now else [f"{prefix} ({before!r}, now {now!r})"]


def _values(args: TrainingArguments) -> dict[str, Any]:
    return cast(dict[str, Any], cast(Any, args).to_dict())


def _read(file: Path) -> dict[str, Any]:
    """Return what was written down; nothing if that was not done, or the file is damaged."""
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def _change(before: str | None, now: str | None) -> str:
    if before == now:
        return ""
    return "is new" if before is None else "is gone" if now is None else "has changed"
