"""A tokenizer seen as the engine needs it: words to ids without special tokens, and ids to bytes.

Constraints work on bytes: the tokens of a byte-level vocabulary may be parts of a character, and a string can be cut
into tokens in many ways.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import cast

from tokenizers import pre_tokenizers
from transformers import PreTrainedTokenizerBase

from seqgpt.errors import ModelError
from seqgpt.rendered import Mark, Piece

_PROBES = ("Tim", " Tim", "北京", " a北b京", "naïve café 🙂", "x\ty\nz  ")


class Vocabulary:
    """Words to token ids and back to bytes.

    Attributes:
        bytes_of: For each token id, its bytes; empty for special tokens, which no words contain.
        token_of: The id of each byte string that is a token.
        longest: Length in bytes of the longest token.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        if not getattr(tokenizer, "is_fast", False):
            raise ModelError("the tokenizer has no tokenizer.json: convert it to a fast tokenizer and save it again.")
        self.tokenizer = tokenizer
        self.bytes_of = _token_bytes(tokenizer)
        self.token_of: dict[bytes, int] = {}
        for index, token in enumerate(self.bytes_of):
            if token:
                self.token_of.setdefault(token, index)
        self.longest = max(map(len, self.token_of))
        self._cache: dict[str, tuple[int, ...]] = {}
        self._prefix: tuple[int, ...] = ()
        if self._decode(self._encode("Tim")) == b" Tim":
            # This tokenizer puts a space of its own in front of everything: encode behind a line break, then drop it.
            self._prefix = self._encode("\n")
        for probe in _PROBES:
            if self._decode(self.encode(probe)) != probe.encode():
                raise ModelError(
                    f"the tokenizer does not give {probe!r} back byte by byte, so spans could not be copied exactly: "
                    "use a model with a byte-level or a SentencePiece tokenizer with byte fallback."
                )

    def __len__(self) -> int:
        return len(self.bytes_of)

    def mark(self, mark: Mark) -> int:
        """Return the id of a structural mark."""
        return cast(int, self.tokenizer.convert_tokens_to_ids(str(mark)))

    def encode(self, words: str) -> tuple[int, ...]:
        """Encode words as words: nothing in them becomes a special token, nothing is added."""
        if not self._prefix:
            return self._encode(words)
        ids = self._encode("\n" + words)
        if ids[: len(self._prefix)] != self._prefix:
            raise ModelError(f"the tokenizer joins a line break with {words[:20]!r}: it cannot be used here.")
        return ids[len(self._prefix) :]

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

    def _encode(self, words: str) -> tuple[int, ...]:
        encoded = self.tokenizer(words, add_special_tokens=False, split_special_tokens=True, verbose=False)
        return tuple(encoded["input_ids"])

    def _decode(self, ids: Iterable[int]) -> bytes:
        return b"".join(self.bytes_of[i] for i in ids)


def _token_bytes(tokenizer: PreTrainedTokenizerBase) -> list[bytes]:
    special = set(tokenizer.all_special_ids) | set(tokenizer.added_tokens_decoder)
    byte_level = '"ByteLevel"' in json.dumps(json.loads(tokenizer.backend_tokenizer.to_str())["decoder"])
    table = _byte_level_alphabet() if byte_level else {}
    vocab: dict[str, int] = tokenizer.get_vocab()
    bytes_of = [b""] * (max(vocab.values()) + 1)
    for token, index in vocab.items():
        if index in special:
            continue
        if byte_level:
            bytes_of[index] = bytes(table[char] for char in token) if all(char in table for char in token) else b""
        elif len(token) == 6 and token.startswith("<0x") and token.endswith(">"):
            bytes_of[index] = bytes([int(token[3:5], 16)])
        else:
            bytes_of[index] = token.replace("▁", " ").encode()
    return bytes_of


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
