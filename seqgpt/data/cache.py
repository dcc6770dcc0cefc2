"""Where computed data is kept, so that it is computed once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from seqgpt.errors import DataError

CACHE_VARIABLE = "SEQGPT_CACHE"


def cache_dir() -> Path:
    """Return the folder of computed data: ``$SEQGPT_CACHE``, or ``seqgpt`` in the user's cache folder.

    Raises:
        DataError: If it cannot be made.
    """
    named = os.environ.get(CACHE_VARIABLE)
    folder = Path(named) if named else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "seqgpt"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(
            f"the cache folder {folder} cannot be made ({error.strerror}): set {CACHE_VARIABLE} to another one."
        ) from error
    return folder


def cached(name: str, key: object, write: Callable[[Path], None]) -> Path:
    """Return the file or folder of a computation, which ``write`` makes if it is not there.

    It appears whole or not at all, also where several processes write it.

    Args:
        name: What it is: ``"texts.npz"``.
        key: What it depends on; its ``repr`` counts.
        write: Writes it to a given path.
    """
    digest = hashlib.blake2b(repr(key).encode(), digest_size=16).hexdigest()
    path = cache_dir() / f"{digest}-{name}"
    if not path.exists():
        with tempfile.TemporaryDirectory(prefix="writing-", dir=cache_dir()) as folder:
            part = Path(folder) / name
            write(part)
            try:
                part.rename(path)
            except OSError:
                if not path.exists():  # else another process was faster
                    raise
    return path


def file_stamp(path: Path) -> tuple[str, str]:
    """Return what changes when the contents of a file change: its kind, and a hash of them.

    A copy of the file has the same one, wherever and whenever it was made, so that nothing is computed anew for it.
    """
    stat = path.stat()
    return path.suffix, _hash(path, stat.st_size, stat.st_mtime_ns)


@cache
def _hash(path: Path, _size: int, _time: int) -> str:
    """Return the hash of a file that has this size and time: it is read once by a process, unless it changes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
