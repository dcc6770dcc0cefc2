"""Knowing examples again: a digest that is another one as soon as anything in them is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from seqgpt.examples import Example

_LENGTH = 16  # hexadecimal digits


def digest(parts: Iterable[bytes | memoryview]) -> str:
    """Return the digest of bytes that come in parts."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()[:_LENGTH]


def digest_examples(examples: Iterable[Example]) -> str:
    """Return the digest of examples, in their order."""
    return digest(json.dumps(example.to_dict(), ensure_ascii=False).encode() for example in examples)
