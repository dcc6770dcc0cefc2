"""Checkpoints that are there as a whole or not at all, whenever a process is killed.

A checkpoint is written into a folder of its own, ``_saving``, reaches the disk, and is then renamed to where it is
looked for. Only after that are older ones deleted, which are renamed first, too: whatever is called ``checkpoint-N``
is complete.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from safetensors import SafetensorError
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from seqgpt.errors import RunError
from seqgpt.whole_file import to_disk

STATE_FILE = "trainer_state.json"
"""In a checkpoint: step, log and best score."""

SAVING = "_saving"
"""In a run directory: what is being written or deleted. What begins with _ is not pushed to a hub."""


def last_checkpoint(directory: Path) -> Path | None:
    """Return the last checkpoint; None if there is none."""
    return max(_checkpoints(directory), key=step_of, default=None)


def step_of(checkpoint: Path) -> int:
    """Return the step that a checkpoint was saved at.

    >>> step_of(Path("runs/mine/checkpoint-200"))
    200
    """
    return int(checkpoint.name.rpartition("-")[2])


def clear_saving(directory: Path) -> None:
    """Clear away what a process left that was killed while it saved or deleted."""
    shutil.rmtree(directory / SAVING, ignore_errors=True)


@contextmanager
def saved_or_told(what: str, directory: Path) -> Iterator[None]:
    """Say in one sentence what could not be saved, most often because a disk is full, and what is left to go on from.

    Args:
        what: What is saved: ``"the model"``.
        directory: The run directory.

    Raises:
        RunError: If it could not be saved. What was half written is deleted, which makes room.
    """
    try:
        yield
    except (OSError, RuntimeError, SafetensorError) as error:  # torch and safetensors have no OSError for a full disk
        clear_saving(directory)
        last = last_checkpoint(directory)
        reason = " ".join(str(error).split()).rstrip(".")
        raise RunError(
            f"{what} could not be saved in {str(directory)!r} ({reason}): see that there is room and that files can be "
            f"written; started again, the run goes on from {last.name if last else 'its beginning'}."
        ) from error


def publish(checkpoint: Path, directory: Path) -> Path:
    """Move a checkpoint to its place in the run directory, when all of it is on the disk; return where it is."""
    for path in (*checkpoint.rglob("*"), checkpoint):
        to_disk(path)
    place = directory / checkpoint.name
    _remove(place)  # of a run that went on from an earlier one, and comes here again
    checkpoint.rename(place)
    to_disk(directory)
    return place


def rotate(newest: Path, limit: int | None, best: str | None) -> None:
    """Delete old checkpoints.

    Args:
        newest: The checkpoint that was saved just now. Those of later steps are of a run that went on from an earlier
            one, and count as the oldest.
        limit: How many are kept; all if None. The newest and the best are always kept.
        best: The best one.
    """
    if not limit or limit < 0:
        return
    last = step_of(newest)
    ordered = sorted(_checkpoints(newest.parent), key=lambda path: (step_of(path) <= last, step_of(path)))
    kept = {newest, *([newest.parent / Path(best).name] if best else [])}
    for checkpoint in [path for path in ordered if path not in kept][: max(len(ordered) - limit, 0)]:
        _remove(checkpoint)


def _checkpoints(directory: Path) -> list[Path]:
    found = [path.parent for path in directory.glob(f"{PREFIX_CHECKPOINT_DIR}-*/{STATE_FILE}")]
    return [path for path in found if path.name.rpartition("-")[2].isdecimal()]


def _remove(checkpoint: Path) -> None:
    if checkpoint.exists():
        aside = checkpoint.parent / SAVING / f"old-{checkpoint.name}"
        shutil.rmtree(aside, ignore_errors=True)
        aside.parent.mkdir(exist_ok=True)
        checkpoint.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)
