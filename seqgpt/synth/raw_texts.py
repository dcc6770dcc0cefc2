"""Raw texts: read from files, cut where they are long, and without what must not or need not be labelled."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from seqgpt.about import Place
from seqgpt.data.leaks import held_out_texts
from seqgpt.data.root import find_data_root
from seqgpt.data.rows import SUFFIXES, Rows, read_file
from seqgpt.data.text_index import text_hash
from seqgpt.errors import DataError, did_you_mean
from seqgpt.synth.alignment import find_mention
from seqgpt.synth.config import TextsConfig
from seqgpt.synth.near_duplicates import NearDuplicates
from seqgpt.texts import HAN, half_surrogate

_READABLE = tuple(suffix for suffix in SUFFIXES if suffix != ".conll")
_TEXT_FILES = (".txt", ".md")
_LONG = 24  # bytes of a line that is a text by itself, as in the guard of mixtures
_ENDS = (re.compile(r"\n\s*\n"), re.compile(r"\n"), re.compile(r"(?<=[.!?])\s+|(?<=[。！？；])"))
_LATIN = re.compile(r"[A-Za-z\u00c0-\u024f]")
_LETTER = re.compile(r"[^\W\d_]")
_CHINESE_SHARE, _LATIN_SHARE = 0.3, 0.9


@dataclass(frozen=True)
class RawText:
    """A text to label.

    Attributes:
        id: A hash of it.
        text: The text.
        language: ``"en"`` or ``"zh"``.
        mentions: Given mentions, where they stand.
    """

    id: str
    text: str
    language: str
    mentions: tuple[Place, ...] = ()


@dataclass
class RawTexts:
    """The texts to label, and what was left out.

    Attributes:
        texts: The texts, in the order of their files.
        left_out: How many were left out, by reason.
        unguarded: Held-out recipes whose test texts could not be read, and so are not refused.
    """

    texts: list[RawText]
    left_out: Counter[str] = field(default_factory=Counter)
    unguarded: tuple[str, ...] = ()


def read_texts(config: TextsConfig) -> RawTexts:
    """Read the texts of a synthesis.

    Raises:
        DataError: If a file cannot be read, or no text is left.
    """
    pieces = [piece for path in config.paths for piece in _pieces(Path(path), config)]
    held_out = held_out_texts(find_data_root(config.data_root) if config.data_root else None)
    refused = set(held_out.hashes.tolist())
    found = RawTexts([], unguarded=held_out.unread)
    seen: set[int] = set()
    near = NearDuplicates(config.similarity)
    chosen: list[tuple[int, RawText]] = []
    order = list(range(len(pieces)))
    random.Random(0).shuffle(order)  # noqa: S311  (so that the texts of a smaller limit are among those of a larger)
    for number in order:
        if config.limit is not None and len(chosen) >= config.limit:
            break
        text, given = pieces[number]
        language, mark = language_of(text), text_hash(text)
        reason = _why_not(text, mark, language, config, refused)
        if not reason and mark in seen:
            reason = "the same as another"
        seen.add(mark)
        if not reason and near.is_one(text, language):
            reason = "nearly the same as another"
        if reason:
            found.left_out[reason] += 1
        else:
            chosen.append((number, RawText(f"{mark:016x}", text, language, _mentions(given, text))))
    found.texts = [text for _, text in sorted(chosen, key=lambda one: one[0])]
    if not found.texts:
        said = ", ".join(f"{count} {reason}" for reason, count in found.left_out.items()) or "there are none"
        raise DataError(f"no text is left to label ({said}): give others, or correct texts.languages and min_chars.")
    return found


def language_of(text: str) -> str:
    """Return ``"en"`` or ``"zh"`` by the script, for other scripts an empty string.

    >>> language_of("He sings."), language_of("他唱歌。"), language_of("Он поёт.")
    ('en', 'zh', '')
    """
    letters, chinese = len(_LETTER.findall(text)), len(HAN.findall(text))
    latin = len(_LATIN.findall(text))
    if not letters or chinese + latin < _LATIN_SHARE * letters:
        return ""
    return "zh" if chinese >= _CHINESE_SHARE * letters else "en" if latin >= _LATIN_SHARE * letters else ""


def split_long(text: str, max_chars: int) -> list[str]:
    """Cut a long text into pieces, where paragraphs, lines or sentences end; a sentence that is too long stays whole.

    >>> split_long("One. Two. Three.", 10)
    ['One. Two.', 'Three.']
    """
    return _split(text.strip(), max_chars, 0)


def _split(text: str, max_chars: int, depth: int) -> list[str]:
    if len(text) <= max_chars or depth == len(_ENDS):
        return [text] if text else []
    bounds = [0, *(match.end() for match in _ENDS[depth].finditer(text)), len(text)]
    pieces: list[str] = []
    start = 0
    for before, end in pairwise(bounds):
        if len(text[start:end].strip()) > max_chars and before > start:
            pieces += _split(text[start:before].strip(), max_chars, depth + 1)
            start = before
    return pieces + _split(text[start:].strip(), max_chars, depth + 1)


def _why_not(text: str, mark: int, language: str, config: TextsConfig, refused: set[int]) -> str:
    """Return why a text is not labelled; an empty string if it is."""
    if not config.min_chars <= len(text) <= config.max_chars:
        return "too short" if len(text) < config.min_chars else "too long a sentence"
    if half_surrogate(text) is not None:
        return "not Unicode"
    if language not in config.languages:
        return "in another language"
    lines = text.splitlines()
    marks = [mark, *(text_hash(line) for line in lines if len(lines) > 1 and len(line.strip().encode()) >= _LONG)]
    return "" if refused.isdisjoint(marks) else "in a held-out test set"


def _pieces(path: Path, config: TextsConfig) -> Iterator[tuple[str, Sequence[Any]]]:
    """Yield all texts of a file or folder, long ones in pieces, with the mentions that are given for them."""
    if not path.exists():
        raise DataError(f"there is no {path}: correct texts.paths.")
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in (*_READABLE, *_TEXT_FILES))
        if not files:
            raise DataError(
                f"{path} has no text files: give files that end with {', '.join((*_TEXT_FILES, *_READABLE))}."
            )
    else:
        files = [path]
    for file in files:
        for text, mentions in _rows(file, config):
            if len(text) <= config.max_chars:
                yield text.strip(), mentions
            else:
                yield from ((piece, mentions) for piece in split_long(text, config.max_chars))


def _rows(file: Path, config: TextsConfig) -> Iterator[tuple[str, Sequence[Any]]]:
    if file.suffix in _TEXT_FILES:
        try:
            yield file.read_text(encoding="utf-8-sig"), ()
        except (OSError, UnicodeDecodeError) as error:
            raise DataError(f"cannot read {file} ({error}): check the path, and save it as UTF-8.") from error
        return
    if file.suffix not in _READABLE:
        known = ", ".join((*_TEXT_FILES, *_READABLE))
        raise DataError(f"{file} is of no known format: give a file that ends with {known}, or a folder.")
    columns = {"text": config.text, **({"mentions": config.mentions} if config.mentions else {})}
    table = read_file(file)
    for key, column in columns.items():
        if column not in table.schema.names:
            raise DataError(
                f"{file} has no column {column!r}.{did_you_mean(column, table.schema.names)} It has "
                f"{', '.join(table.schema.names)}: correct texts.{key}."
            )
    for row in Rows(table, columns, str(file)).read():
        mentions = row.get("mentions") or ()
        if not isinstance(mentions, list | tuple):
            raise DataError(f"column {config.mentions!r} of {file} holds no lists: give lists of mentions.")
        if isinstance(row["text"], str):
            yield row["text"], mentions


def _mentions(given: Sequence[Any], text: str) -> tuple[Place, ...]:
    """Return where given mentions stand; those that are not in this piece are not asked."""
    places = []
    for one in given:
        string = one.get("text") if isinstance(one, Mapping) else one
        start = one.get("start") if isinstance(one, Mapping) else None
        if isinstance(start, int) and isinstance(string, str) and text[start : start + len(string)] == string:
            places.append(Place(string, start))
        elif isinstance(string, str):
            places += find_mention(string, text).places[:1]
    return tuple(places)
