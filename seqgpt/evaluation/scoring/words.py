"""Words of scripts with spaces, characters of those without: what partly right strings are compared by."""

from __future__ import annotations

import re

UNSPACED = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Burmese
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x9FFF),  # CJK radicals and signs, kana, Han
    (0xF900, 0xFAFF),  # Han, compatibility
    (0xFF66, 0xFF9F),  # kana, half-width
    (0x20000, 0x3FFFF),  # Han, extensions
)
"""First and last code points of scripts that are written without spaces."""

_CHARACTER = r"(?!\s)[" + "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED) + "]"
_WORD = re.compile(rf"{_CHARACTER}|\d+(?:[.,]\d+)+|(?:(?!{_CHARACTER})\w)+|\S")


def split_words(string: str) -> list[str]:
    """Split a string into words, numbers, single signs, and single characters of scripts without spaces.

    >>> split_words("Apple's 3.5 km"), split_words("2010年，Jordan")
    (['Apple', "'", 's', '3.5', 'km'], ['2010', '年', '，', 'Jordan'])
    """
    return _WORD.findall(string)
