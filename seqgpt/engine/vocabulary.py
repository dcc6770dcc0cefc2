"""A tokenizer seen as the engine needs it: words to ids without special tokens, and ids to bytes.

Constraints work on bytes: the tokens of a byte-level vocabulary may be parts of a character, and a string can be cut
into tokens in many ways.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

from tokenizers import Tokenizer, pre_tokenizers
from transformers import PreTrainedTokenizerBase

from seqgpt.errors import ModelError
from seqgpt.rendered import Mark, Piece

_PROBES = ("Tim", " Tim", "北京", " a北b京", "naïve café 🙂", "x\ty\nz  ", "\n\na", "e\N{COMBINING ACUTE ACCENT}１，")
_UTF8_BYTES = frozenset(range(0xF5)) - {0xC0, 0xC1}
_BYTE_TOKEN = re.compile("<0x[0-9A-F]{2}>")
_NO_SPACE = {"Metaspace": {"prepend_scheme": "never"}, "ByteLevel": {"add_prefix_space": False}}
_NORMAL_FORMS = ("NFC", "NFD", "NFKC", "NFKD")
_SPACE_SIGN = "▁"  # how vocabularies of SentencePiece write a space; in words it is a character like any other


class Vocabulary:
    """Words to token ids and back to bytes.

    Words come back byte by byte, whatever they are: where a tokenizer would put a space in front of them, bring them
    into a Unicode normal form, or take a ``▁`` for a space, that is left out here. The tokenizer itself is not changed.

    Attributes:
        tokenizer: The tokenizer.
        bytes_of: For each token id, its bytes; empty for special tokens, which no words contain.
        token_of: The id of each byte string that is a token.
        longest: Length in bytes of the longest token.

    Raises:
        ModelError: If words do not come back, or can become special tokens.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError("the tokenizer has no tokenizer.json: convert it to a fast tokenizer and save it again.")
        self.tokenizer = tokenizer
        spec = json.loads(tokenizer.backend_tokenizer.to_str())
        special = {index for index, token in tokenizer.added_tokens_decoder.items() if token.special}
        special.update(tokenizer.all_special_ids)
        self._plain = _plain(spec)
        self.bytes_of: list[bytes] = [b""] * (max(tokenizer.get_vocab().values()) + 1)
        self.token_of: dict[bytes, int] = {}
        self._reach: dict[bytes, int] = {}  # length of the longest token with these first two bytes
        for index, token in _token_bytes(tokenizer, spec, special):
            self.bytes_of[index] = token
            self.token_of.setdefault(token, index)
            self._reach[token[:2]] = max(self._reach.get(token[:2], 0), len(token))
        self.longest = max(self._reach.values(), default=0)
        self._cache: dict[str, tuple[int, ...]] = {}
        self._prefixes_of: dict[bytes, list[tuple[int, int]]] = {}
        self._check(special)
        takes_for_a_space = self.decode(self._cut(_SPACE_SIGN)) != _SPACE_SIGN.encode()
        self._space_sign = [self.token_of[bytes([b])] for b in _SPACE_SIGN.encode()] if takes_for_a_space else []

    def __len__(self) -> int:
        return len(self.bytes_of)

    @cached_property
    def fingerprint(self) -> str:
        """A string that another tokenizer has not, so that what one encoded is not read with another."""
        spec: str = self.tokenizer.backend_tokenizer.to_str()
        return hashlib.blake2b(spec.encode(), digest_size=16).hexdigest()

    def mark(self, mark: Mark) -> int:
        """Return the id of a structural mark.

        Raises:
            ModelError: If the tokenizer has no such token.
        """
        index: int | None = self._plain.token_to_id(str(mark))
        if index is None:
            raise ModelError(f"the tokenizer has no token {mark}: add the marks with seqgpt.tokenizer.add_marks.")
        return index

    def encode(self, words: str) -> tuple[int, ...]:
        """Encode words as words: nothing in them becomes a special token, nothing is added."""
        if not self._space_sign or _SPACE_SIGN not in words:
            return self._cut(words)
        first, *rest = words.split(_SPACE_SIGN)
        return (*self._cut(first), *(token for part in rest for token in (*self._space_sign, *self._cut(part))))

    def encode_label(self, words: str) -> tuple[int, ...]:
        """Encode words that come again and again: remembered, up to a bound."""
        if words not in self._cache:
            if len(self._cache) >= 100_000:
                self._cache.clear()
            self._cache[words] = self.encode(words)
        return self._cache[words]

    def encode_pieces(self, pieces: Iterable[Piece]) -> tuple[int, ...]:
        """Encode marks and words, each piece by itself."""
        ids: list[int] = []
        for piece in pieces:
            ids += [self.mark(piece)] if isinstance(piece, Mark) else self.encode_label(piece)
        return tuple(ids)

    def decode(self, ids: Iterable[int]) -> bytes:
        """Return the bytes of tokens; special tokens have none."""
        return b"".join(self.bytes_of[i] for i in ids)

    def prefixes(self, data: bytes) -> list[tuple[int, int]]:
        """Return every token that ``data`` begins with, and its length in bytes, the shortest first."""
        most = max(self._reach.get(data[:2], 0), 1)
        return self._prefixes(data[:most])

    def _cut(self, words: str) -> tuple[int, ...]:
        return tuple(self._plain.encode(words, add_special_tokens=False).ids)

    def _prefixes(self, data: bytes) -> list[tuple[int, int]]:
        if data not in self._prefixes_of:
            if len(self._prefixes_of) >= 1_000_000:
                self._prefixes_of.clear()
            lengths = range(1, len(data) + 1)
            self._prefixes_of[data] = [
                (token, length) for length in lengths if (token := self.token_of.get(data[:length])) is not None
            ]
        return self._prefixes_of[data]

    def _check(self, special: set[int]) -> None:
        for probe in _PROBES:
            if self.decode(self._cut(probe)) != probe.encode():
                raise ModelError(
                    f"the tokenizer does not give {probe!r} back byte by byte, so spans could not be copied exactly: "
                    "use a model with a byte-level or a SentencePiece tokenizer with byte fallback."
                )
        if any(bytes([byte]) not in self.token_of for byte in _UTF8_BYTES):
            raise ModelError(
                "the tokenizer has no token for some bytes, so some texts could not be copied: "
                "use a model with a byte-level or a SentencePiece tokenizer with byte fallback."
            )
        for index in special:
            words = str(self.tokenizer.convert_ids_to_tokens(index))
            if not special.isdisjoint(self._cut(words)):
                raise ModelError(
                    f"a text that contains {words!r} would become the special token of that name: "
                    "mark that token as special in the tokenizer, and save it again."
                )


def _plain(spec: dict[str, Any]) -> Tokenizer:
    """Build a tokenizer that cuts words as ``spec`` says, but neither adds to them nor rewrites or shortens them."""
    normalizer = spec["normalizer"] or {"type": "Sequence", "normalizers": []}
    parts = normalizer["normalizers"] if normalizer["type"] == "Sequence" else [normalizer]
    kept = [part for part in parts if part["type"] not in (*_NORMAL_FORMS, "Prepend")]
    splitter = spec["pre_tokenizer"] or {}
    splitters = [part | _NO_SPACE.get(part["type"], {}) for part in splitter.get("pretokenizers", [splitter]) if part]
    plain = Tokenizer.from_str(
        json.dumps(
            spec
            | {
                "normalizer": {"type": "Sequence", "normalizers": kept} if kept else None,
                "pre_tokenizer": {"type": "Sequence", "pretokenizers": splitters} if splitters else None,
                "truncation": None,
                "padding": None,
            }
        )
    )
    plain.encode_special_tokens = True  # that is: take them for words, do not look for them
    return plain


def _token_bytes(
    tokenizer: PreTrainedTokenizerBase, spec: dict[str, Any], special: set[int]
) -> Iterator[tuple[int, bytes]]:
    """Return id and bytes of each token of words; where two are the same bytes, first the one that encoding uses."""
    added = {index: token for index, token in tokenizer.added_tokens_decoder.items() if index not in special}
    yield from ((index, token.content.encode()) for index, token in added.items())
    byte_level = '"ByteLevel"' in json.dumps(spec["decoder"])
    table = _byte_level_alphabet() if byte_level else {}
    fallback = []
    for token, index in tokenizer.get_vocab().items():
        if index in special or index in added or not token:
            continue
        if byte_level:
            if all(char in table for char in token):
                yield index, bytes(table[char] for char in token)
        elif _BYTE_TOKEN.fullmatch(token):
            fallback.append((index, bytes([int(token[3:5], 16)])))
        else:
            yield index, token.replace("▁", " ").encode()
    yield from fallback


def _byte_level_alphabet() -> dict[str, int]:
    """Return the character that stands for each byte in byte-level BPE vocabularies.

    Source: ``bytes_to_unicode`` of GPT-2's encoder: printable Latin-1 stands for itself, the rest is moved up to 256.
    """
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    moved = [byte for byte in range(256) if byte not in plain]
    table = {chr(byte): byte for byte in plain} | {chr(256 + i): byte for i, byte in enumerate(moved)}
    if set(table) != set(pre_tokenizers.ByteLevel.alphabet()):
        raise ModelError("the installed `tokenizers` has another byte alphabet: install the version of the lock file.")
    return table
