"""What a run says to who watches it: lines on standard error, above its progress bar."""

from __future__ import annotations

import os
import sys

from tqdm.auto import tqdm


def say(message: str) -> None:
    """Write a line; of processes that train together, the first one does."""
    if os.environ.get("RANK", "0") == "0":
        tqdm.write(message, file=sys.stderr)
