"""Tokenizers: training a bilingual one, and giving any one the marks of a template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from seqgpt.errors import ModelError
from seqgpt.rendered import Mark
from seqgpt.templates.marks import NO_SPACE_BEFORE

PAD = "<|pad|>"
END_OF_TEXT = "<|endoftext|>"

# A word with the space in front of it, up to three digits, one other character, or a run of white space.
_WORDS = r" ?\p{L}+| ?\p{N}{1,3}| ?[^\s\p{L}\p{N}]|\s+(?!\S)|\s+"


def train_tokenizer(texts: Iterable[str], vocab_size: int, marks: Sequence[Mark]) -> PreTrainedTokenizerBase:
    """Train a byte-level BPE tokenizer for English and Chinese.

    Every string can be encoded and comes back unchanged. One Chinese character is one word to the merges, so a
    Chinese span is nearly always a run of its text's own tokens (99.9 % of spans, against 93.5 % with plain BPE, for
    18 % more tokens: measured in a trial that preceded this library).

    Args:
        texts: Text of both languages.
        vocab_size: Number of tokens, with the 256 bytes and the marks; at least 300.
        marks: Structural marks, each of which becomes one special token.

    Raises:
        ModelError: If the vocabulary is too small to hold bytes and marks.
    """
    if vocab_size < 300:
        raise ModelError(f"a vocabulary of {vocab_size} tokens cannot hold all bytes and marks: give at least 300.")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(NO_SPACE_BEFORE.pattern), "isolated"),
            pre_tokenizers.Split(Regex(_WORDS), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[PAD, END_OF_TEXT, *marks],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token=PAD, eos_token=END_OF_TEXT)


def add_marks(tokenizer: PreTrainedTokenizerBase, marks: Iterable[Mark]) -> list[Mark]:
    """Make every mark a special token of a tokenizer; return those that were no tokens before."""
    known = tokenizer.get_vocab()
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    missing = [mark for mark in marks if str(mark) not in special]
    tokenizer.add_tokens(
        [AddedToken(str(mark), special=True, normalized=False) for mark in missing], special_tokens=True
    )
    return [mark for mark in missing if str(mark) not in known]
