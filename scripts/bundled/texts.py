"""The raw text that the bundled model reads: what may be used, once, as much of one language as of the other.

The files are ``en.parquet`` and ``zh.parquet``, with the columns text, source, licence and genre.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from pyarrow import parquet

from seqgpt.data.text_index import text_hash

LANGUAGES = ("en", "zh")

_FORBIDDEN = re.compile(r"\bNC\b|\bND\b|non-?commercial|no-?deriv|research (use|only)|academic use", re.IGNORECASE)
_BEGINNING = 200  # characters by which two copies of a document are known, though one is cut shorter


class Document(NamedTuple):
    """A text, and where it is from."""

    text: str
    source: str
    licence: str
    genre: str
    language: str


def is_forbidden(licence: str) -> bool:
    """Tell whether a licence forbids use in a published model.

    >>> [is_forbidden(one) for one in ("CC BY-NC-SA 4.0", "CC BY-SA 4.0", "free for non-commercial use")]
    [True, False, True]
    """
    return bool(_FORBIDDEN.search(licence))


def read_documents(folder: Path) -> list[Document]:
    """Read the documents of both languages that may be used, in the order of the files, each once."""
    found = []
    seen: set[int] = set()
    for language in LANGUAGES:
        table = parquet.read_table(folder / f"{language}.parquet", columns=["text", "source", "licence", "genre"])
        for row in table.to_pylist():
            beginning = text_hash(row["text"][:_BEGINNING])
            if beginning not in seen and not is_forbidden(row["licence"]):
                seen.add(beginning)
                found.append(Document(**row, language=language))
    return found


def shuffled(documents: Sequence[Document], seed: int) -> list[Document]:
    """Return documents in a seeded order in which every stretch has about as many of each kind as the whole."""
    order = np.random.default_rng(seed).permutation(len(documents))
    return [documents[i] for i in order]


def evenly(documents: Iterable[Document], characters: dict[str, int]) -> list[Document]:
    """Return documents, in their order, until each language has so many characters."""
    left, kept = dict(characters), []
    for document in documents:
        if left[document.language] > 0:
            left[document.language] -= len(document.text)
            kept.append(document)
    return kept


def used(documents: Sequence[Document], tokens: Sequence[int]) -> list[dict[str, Any]]:
    """Return what is used of each source, as the model card lists it.

    Args:
        documents: The documents.
        tokens: The number of tokens of each.
    """
    sums: dict[tuple[str, str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for document, count in zip(documents, tokens, strict=True):
        one = sums[document.language, document.source, document.licence]
        one[0] += 1
        one[1] += len(document.text)
        one[2] += count
    return [
        {
            "language": language,
            "source": source,
            "licence": licence,
            "documents": docs,
            "characters": chars,
            "tokens": total,
        }
        for (language, source, licence), (docs, chars, total) in sorted(sums.items())
    ]
