"""Where the rows of a split are: a file below the data root, the first of several that is there, or the hub."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from seqgpt.data.cache import file_stamp
from seqgpt.data.root import DATA_VARIABLE, find_data_root
from seqgpt.data.rows import hub_fingerprint, read_file, read_hub
from seqgpt.errors import DataError

HUB = "hub"
"""A source that is no file: the data set of the recipe's hub id."""


class _NoSplitError(DataError):
    """A source has other splits than the one that is asked for."""


def read_split(
    sources: Sequence[str], split: str, data_root: str | Path | None, *, hub_id: str = "", hub_config: str = ""
) -> tuple[pa.Table, str]:
    """Read the rows of a split from the first of its sources that is there.

    Args:
        sources: Paths below the data root, with ``{split}`` in them, or ``"hub"``.
        split: The split.
        data_root: The folder; see ``seqgpt.data.root.find_data_root``.
        hub_id: The id of the data set on the hub.
        hub_config: The configuration there.

    Returns:
        The rows, and what they are from, for messages.

    Raises:
        DataError: If there is no such split, or it cannot be read.
    """
    path = _first_file(sources, split, data_root, hub_id)
    if path is None:
        return read_hub(hub_id, hub_config, split), f"{hub_id} of the hub"
    return read_file(path), str(path)


def split_stamp(
    sources: Sequence[str], split: str, data_root: str | Path | None, *, hub_id: str = "", hub_config: str = ""
) -> tuple[str, ...]:
    """Return what changes when the rows of a split change.

    That is a hash of its file; of a data set of the hub, the fingerprint that datasets gives it.

    Raises:
        DataError: If there is no such split.
    """
    path = _first_file(sources, split, data_root, hub_id)
    if path is None:
        return (HUB, hub_id, hub_config, hub_fingerprint(hub_id, hub_config, split))
    return file_stamp(path)


def split_names(sources: Sequence[str], data_root: str | Path | None) -> list[str]:
    """Return the splits of which there is a file, sorted.

    Raises:
        DataError: If no folder of data sets is known, and no source lies elsewhere.
    """
    names = set()
    missing: DataError | None = None
    for source in (source for source in sources if source != HUB):
        before, _, after = source.partition("{split}")
        try:
            pattern = _root(source, data_root) / source.replace("{split}", "*")
        except DataError as error:
            missing = missing or error
            continue
        for path in pattern.parent.glob(pattern.name):
            names.add(path.name[len(Path(before + "x").name) - 1 : len(path.name) - len(after)])
    if missing and not names:
        raise missing
    return sorted(names)


def _first_file(sources: Sequence[str], split: str, data_root: str | Path | None, hub_id: str) -> Path | None:
    """Return the file of the first source that is there; None if that is the hub."""
    missing: list[DataError] = []
    for source in sources:
        if source == HUB:
            return None
        try:
            return _split_file(source, split, data_root, hub_id)
        except DataError as error:
            missing.append(error)
    known = [error for error in missing if isinstance(error, _NoSplitError)]  # a source that has other splits
    raise (known or missing or [DataError("the recipe has no source: give one.")])[0]


def _split_file(source: str, split: str, data_root: str | Path | None, hub_id: str) -> Path:
    on_the_hub = (
        f" It is {hub_id} on the hub: download it and set {DATA_VARIABLE} to the folder that holds it."
        if hub_id
        else ""
    )
    try:
        root = _root(source, data_root)
    except DataError as error:
        raise DataError(f"{error}{on_the_hub}") from error
    path = root / source.replace("{split}", split)
    if not path.is_file():
        pattern = root / source.replace("{split}", "*")
        near = sorted(file.name for file in pattern.parent.glob(pattern.name))
        if near:
            raise _NoSplitError(f"no file {path}; there is {', '.join(near)}: ask for one of these splits.")
        raise DataError(f"no file {path}; fetch it, or pass another data_root.{on_the_hub}")
    return path


def _root(source: str, data_root: str | Path | None) -> Path:
    return Path() if Path(source).is_absolute() else find_data_root(data_root)
