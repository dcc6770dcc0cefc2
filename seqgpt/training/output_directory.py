"""The directory that a training writes to."""

from __future__ import annotations

from pathlib import Path

from seqgpt.errors import RunError
from seqgpt.run_lock import is_empty
from seqgpt.training.record import only_begun


def make_directory(directory: Path) -> None:
    """Make a run's directory, if it is not there.

    Raises:
        RunError: If it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"output_dir {str(directory)!r} cannot be made ({error.strerror}): name another one.") from error


def check_empty(directory: Path) -> None:
    """Raise a ``RunError`` if a directory holds more than what a run wrote before its first checkpoint."""
    if not is_empty(directory) and not only_begun(directory):
        raise RunError(
            f"output_dir {str(directory)!r} is not empty: choose another one, delete it, or go on with "
            "train(resume_from_checkpoint=True)."
        )
