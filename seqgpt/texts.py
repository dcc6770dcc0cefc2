"""What a text may be: any string with something to read in it that a file can hold."""

from __future__ import annotations

import re

from seqgpt.errors import TextError

HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff]")
"""A Chinese character: CJK Unified Ideographs and their Extension A, which hold all that are common."""


def check_text(text: object) -> str:
    """Return ``text`` if it is a non-empty string that UTF-8 can write; raise a ``TextError`` otherwise."""
    if not isinstance(text, str):
        raise TextError(f"a text must be a string, not {type(text).__name__}: pass str, or a list of str for several.")
    if not text.strip():
        raise TextError("the text is empty: give at least one character that is not white space.")
    half = half_surrogate(text)
    if half is not None:
        raise TextError(f"the text has half of a surrogate pair at {half}: decode it with errors='replace' first.")
    return text


def half_surrogate(words: str) -> int | None:
    """Return where half of a surrogate pair stands, which no file can hold; None if there is none.

    >>> half_surrogate("ab" + chr(0xD83D)), half_surrogate("ab😀")
    (2, None)
    """
    try:
        words.encode()
    except UnicodeEncodeError as error:
        return error.start
    return None
