"""One process at a time in a directory, be it a run or an evaluation."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from seqgpt.errors import RunError
from seqgpt.whole_file import PART

LOCK_FILE = "_run.lock"
"""In a run directory: locked while a run writes there; it names the process. Not pushed to a hub."""


@contextmanager
def run_lock(directory: Path, *, taken: bool = True, what: str = "output_dir") -> Iterator[None]:
    """Keep other runs out of a directory. The system releases the lock of a process that is killed.

    Args:
        directory: The directory; it is there.
        taken: Whether this process takes the lock; of several of one run, only one does.
        what: What the directory is called in the message.

    Raises:
        RunError: If another process has it.
    """
    path = directory / LOCK_FILE
    if not taken:
        yield
        return
    lock = FileLock(path, timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise RunError(
            f"{what} {str(directory)!r} is in use by {_holder(path)}: wait for it, end it, or choose another one."
        ) from error
    try:
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
        yield
    finally:
        path.unlink(missing_ok=True)  # while it is locked; a file that a killed process left does no harm
        lock.release()


def is_empty(directory: Path) -> bool:
    """Tell whether nothing is in a directory but a lock, and what a killed run had only begun to write."""
    return all(path.name == LOCK_FILE or path.suffix == PART for path in directory.iterdir())


def _holder(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip() or "another run"
    except OSError:
        return "another run"
