"""Where the data sets lie that recipes read."""

from __future__ import annotations

import os
from pathlib import Path

from seqgpt.errors import DataError

DATA_VARIABLE = "SEQGPT_DATA"

_CHECKOUT = Path(__file__).resolve().parents[2]


def find_data_root(data_root: str | Path | None = None) -> Path:
    """Return the folder that recipes' ``source`` paths start from.

    The argument if given, else the environment variable ``SEQGPT_DATA``, else ``../shared/data/nlu`` beside the
    working directory or beside the checkout, if it is there.

    Raises:
        DataError: If the folder does not exist, or none is known.
    """
    for folder, origin in ((data_root, "data_root"), (os.environ.get(DATA_VARIABLE), DATA_VARIABLE)):
        if folder:
            if not Path(folder).is_dir():
                raise DataError(
                    f"{origin} is {str(folder)!r}, which is not a folder: give the folder of the data sets."
                )
            return Path(folder)
    for start in (Path.cwd(), _CHECKOUT):
        beside = start.parent / "shared" / "data" / "nlu"
        if beside.is_dir():
            return beside
    raise DataError(
        f"no folder of data sets is known: set the environment variable {DATA_VARIABLE}, or pass data_root=… "
        "(data.root in a config, --data-root on the command line)."
    )
