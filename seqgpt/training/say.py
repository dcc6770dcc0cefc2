"""What a run says to who watches it: lines on standard error, above its progress bar."""

from __future__ import annotations

import sys

from tqdm.auto import tqdm


def say(message: str) -> None:
    """Write a line."""
    tqdm.write(message, file=sys.stderr)
