"""The texts of a source as numbers: how many there are, and which are the same.

Two texts are the same if nothing but case, width, white space and punctuation tells them apart.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from seqgpt.data.cache import cached
from seqgpt.data.recipe import Recipe
from seqgpt.data.schemas import CONVERTERS_VERSION
from seqgpt.examples import BadRows, OnBadRow

_NO_LETTERS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class TextIndex:
    """The texts of the examples of one task of a recipe, in one split.

    Attributes:
        hashes: A hash of each example's text; uint64 ``[examples]``.
        bad_rows: The rows that gave no example because something is wrong with them.
    """

    hashes: np.ndarray
    bad_rows: BadRows

    def __len__(self) -> int:
        return len(self.hashes)


def text_hash(text: str) -> int:
    """Return 64 bits that are the same for texts that differ in case, width, white space or punctuation only.

    >>> text_hash("Hello, World!") == text_hash("ｈｅｌｌｏ world")
    True
    """
    letters = _NO_LETTERS.sub("", unicodedata.normalize("NFKC", text).casefold())
    return int.from_bytes(hashlib.blake2b((letters or text).encode(), digest_size=8).digest(), "big")


def index_texts(
    recipe: Recipe,
    task: str,
    split: str,
    *,
    data_root: str | Path | None = None,
    on_bad_row: OnBadRow = "error",
) -> TextIndex:
    """Return the index of a source, computed once for each version of its data.

    Raises:
        DataError: If the rows cannot be read, or one of them is wrong and ``on_bad_row`` is ``"error"``.
    """
    key = ("texts", CONVERTERS_VERSION, recipe, task, split, recipe.stamp(split, data_root), on_bad_row)
    path = cached("texts.npz", key, lambda part: _write(part, recipe, task, split, data_root, on_bad_row))
    with np.load(path, allow_pickle=False) as arrays:
        bad: dict[str, Any] = json.loads(str(arrays["bad"]))
        return TextIndex(arrays["hashes"], BadRows(bad["count"], tuple(bad["reasons"])))


def _write(
    part: Path, recipe: Recipe, task: str, split: str, data_root: str | Path | None, on_bad_row: OnBadRow
) -> None:
    bad = BadRows()
    examples = recipe.examples(split, task=task, data_root=data_root, on_bad_row=on_bad_row, bad_rows=bad)
    known: dict[str, int] = {}
    hashes = [known[e.text] if e.text in known else known.setdefault(e.text, text_hash(e.text)) for e in examples]
    with part.open("wb") as file:
        np.savez(
            file,
            hashes=np.array(hashes, dtype=np.uint64),
            bad=np.array(json.dumps({"count": bad.count, "reasons": bad.reasons})),
        )
