"""The texts of a source as numbers: how many there are, and which are the same.

Two texts are the same if nothing but case, width, white space and punctuation tells them apart.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from seqgpt.about import wording
from seqgpt.data.cache import cached
from seqgpt.data.recipe import Recipe
from seqgpt.data.schemas import CONVERTERS_VERSION
from seqgpt.errors import DataError
from seqgpt.examples import BadRows, Example, OnBadRow

INDEX_VERSION = 3
"""Raised whenever an index holds other numbers."""

_LONG = 24  # bytes of words that are a text by themselves, and not just a mention or an aspect
_ARRAYS = ("hashes", "sizes", "beside", "beside_of")
_NO_LETTERS = re.compile(r"[\W_]+")


@dataclass(frozen=True)
class TextIndex:
    """The texts of the examples of one task of a recipe, in one split.

    Attributes:
        hashes: A hash of each example's text; uint64 ``[examples]``.
        sizes: The bytes of each example's text, in UTF-8; int64 ``[examples]``.
        beside: Hashes of the longer texts that examples are about, such as a second sentence; uint64.
        beside_of: The number of the example of each of these; int64.
        bad_rows: The rows that gave no example because something is wrong with them.
    """

    hashes: np.ndarray
    sizes: np.ndarray
    beside: np.ndarray
    beside_of: np.ndarray
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

    def write(part: Path) -> None:
        bad = BadRows()
        examples = recipe.examples(split, task=task, data_root=data_root, on_bad_row=on_bad_row, bad_rows=bad)
        index = index_examples(examples, bad)
        said = json.dumps({"count": bad.count, "reasons": bad.reasons})
        with part.open("wb") as file:
            arrays = {name: getattr(index, name) for name in _ARRAYS}
            np.savez(file, **arrays, bad=np.array(said))

    stamp = recipe.stamp(split, data_root)
    path = cached(
        "texts.npz", ("texts", INDEX_VERSION, CONVERTERS_VERSION, recipe, task, split, stamp, on_bad_row), write
    )
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            bad: dict[str, Any] = json.loads(str(arrays["bad"]))
            found = {name: arrays[name] for name in _ARRAYS}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise DataError(f"{path} is damaged ({error}): delete it, it is computed again.") from error
    return TextIndex(**found, bad_rows=BadRows(bad["count"], tuple(bad["reasons"])))


def index_examples(examples: Sequence[Example], bad_rows: BadRows) -> TextIndex:
    """Return the index of examples."""
    known: dict[str, int] = {}

    def hashed(text: str) -> int:
        if text not in known:
            known[text] = text_hash(text)
        return known[text]

    beside = [
        (hashed(words), number)
        for number, example in enumerate(examples)
        for words in map(wording, example.task.about)
        if len(words.encode()) >= _LONG
    ]
    return TextIndex(
        np.array([hashed(example.text) for example in examples], dtype=np.uint64),
        np.array([len(example.text.encode()) for example in examples], dtype=np.int64),
        np.array([one for one, _ in beside], dtype=np.uint64),
        np.array([number for _, number in beside], dtype=np.int64),
        bad_rows,
    )
