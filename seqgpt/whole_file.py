"""Text files that are there as a whole or not at all, whenever a process is killed."""

from __future__ import annotations

import os
from pathlib import Path

PART = ".part"
"""How the name ends of what is being written."""


def write_file(path: Path, text: str) -> None:
    """Write a text file in UTF-8; until it is whole, what was there before stays.

    Raises:
        OSError: If it cannot be written.
    """
    part = path.with_name(f"_{path.name}{PART}")
    part.write_text(text, encoding="utf-8")
    to_disk(part)
    part.replace(path)


def to_disk(path: Path) -> None:
    """Wait until a file or folder has reached the disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)
