"""Words stay words, whatever they are, and come back byte by byte, whatever the tokenizer."""

import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from seqgpt.engine.constraint import SpanConstraint
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.errors import ModelError
from seqgpt.rendered import Mark
from seqgpt.templates.marks import END, MARKS
from seqgpt.tokenizer import END_OF_TEXT, PAD, add_marks
from tests.engine.tokenizers import STYLES, sentence_piece
from tests.strategies import quick, texts

MARK_STRINGS = " ".join([*MARKS, PAD, END_OF_TEXT]) + "".join(MARKS)


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
@quick
@given(text=texts)
def test_words_come_back_byte_by_byte(style, text, vocabularies):
    vocabulary = vocabularies[style]
    for words in (text, text + MARK_STRINGS, MARK_STRINGS + text):
        ids = vocabulary.encode(words)
        assert vocabulary.decode(ids) == words.encode()
        assert not set(ids) & set(vocabulary.tokenizer.all_special_ids)


@pytest.mark.parametrize("style", STYLES)
def test_words_of_the_tokenizer_itself_become_its_own_tokens(style, vocabularies):
    """What encoding says is what the constraint allows: the token of a string, not the bytes that spell it."""
    vocabulary = vocabularies[style]
    for words in (" was", " the", "公司"[:1]):
        ids = vocabulary.encode(words)
        assert [vocabulary.token_of[vocabulary.bytes_of[i]] for i in ids] == list(ids)
        assert len(ids) < len(words.encode())


@pytest.mark.parametrize("style", STYLES)
def test_encoding_agrees_with_the_tokenizer(style, vocabularies):
    vocabulary = vocabularies[style]
    text = "Tim Cook visited 上海 yesterday."
    given = vocabulary.tokenizer(text, add_special_tokens=False)["input_ids"]
    own = vocabulary.encode(text)
    led = vocabulary.encode(" " + text)
    assert tuple(given) == (led if style in ("first", "always", "prepend") else own)


@pytest.mark.parametrize("style", STYLES)
def test_a_span_can_be_written_with_the_tokens_of_the_tokenizer(style, vocabularies):
    vocabulary = vocabularies[style]
    text = "Tim Cook visited 上海 🙂 yesterday."
    constraint = SpanConstraint(text, vocabulary)
    for words in (" Cook visited", "上海", " 🙂 yesterday"):
        start, end = constraint.place(constraint.path(vocabulary.encode(words))[-1])
        assert text[start:end] == words.lstrip()


@pytest.mark.parametrize("style", STYLES)
def test_the_sign_with_which_vocabularies_write_a_space_is_no_space_in_words(style, vocabularies):
    vocabulary = vocabularies[style]
    constraint = SpanConstraint("see a▁b▁ here", vocabulary)
    for words in ("▁", " a▁b", " a▁b▁", "▁▁b"):
        assert vocabulary.decode(vocabulary.encode(words)) == words.encode()
    assert constraint.place(constraint.path(vocabulary.encode(" a▁b▁"))[-1]) == (4, 8)


def test_prefixes_are_all_tokens_that_data_begins_with(vocabularies):
    for vocabulary in vocabularies.values():
        data = " visited 上海".encode()
        expected = [(vocabulary.token_of[data[:n]], n) for n in range(1, 20) if data[:n] in vocabulary.token_of]
        assert vocabulary.prefixes(data) == expected
        assert vocabulary.prefixes(b"") == []


def test_tokens_added_without_being_special_are_words(tokenizer):
    """Models of the GPT-NeoX family have runs of spaces as such tokens."""
    own = PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(tokenizer.backend_tokenizer.to_str()))
    own.add_tokens([AddedToken("    ", special=False, normalized=False), AddedToken("<think>", special=False)])
    vocabulary = Vocabulary(own)
    ids = vocabulary.encode("a    b<think>")
    assert vocabulary.decode(ids) == b"a    b<think>"
    assert own.convert_tokens_to_ids("    ") in ids


def test_a_mark_that_a_tokenizer_has_as_a_plain_token_becomes_special(tokenizer):
    own = PreTrainedTokenizerFast(tokenizer_object=sentence_piece("never").backend_tokenizer, unk_token="<unk>")
    own.add_tokens([AddedToken("<|end|>", special=False)])
    before = own.convert_tokens_to_ids("<|end|>")
    added = add_marks(own, MARKS)
    assert added == [mark for mark in MARKS if mark != END]
    vocabulary = Vocabulary(own)
    assert vocabulary.mark(END) == before
    assert before not in vocabulary.encode("a <|end|> b")


def test_texts_are_not_cut_or_padded(tokenizer):
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.enable_truncation(4)
    backend.enable_padding(length=16)
    vocabulary = Vocabulary(PreTrainedTokenizerFast(tokenizer_object=backend))
    assert vocabulary.decode(vocabulary.encode("one two three four five")) == b"one two three four five"
    assert len(vocabulary.encode("北")) <= 3


def test_labels_are_remembered(vocabularies):
    vocabulary = vocabularies["byte-level"]
    assert vocabulary.encode_label("person") == vocabulary.encode("person") == vocabulary.encode_label("person")
    assert len(vocabulary) == len(vocabulary.bytes_of) == 600


def test_a_missing_mark_is_an_error(vocabularies):
    with pytest.raises(ModelError, match=r"no token <\|nothing\|>: add the marks"):
        vocabularies["byte-level"].mark(Mark("<|nothing|>"))


def test_a_tokenizer_that_loses_bytes_is_an_error():
    words = {word: i for i, word in enumerate(["[UNK]", "tim", "##a", "北"])}
    backend = Tokenizer(models.WordPiece(words, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    with pytest.raises(ModelError, match="does not give 'Tim' back byte by byte"):
        Vocabulary(PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="[UNK]"))


def test_a_tokenizer_that_normalizes_widths_is_an_error(tokenizer):
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    backend.normalizer = normalizers.Replace("，", ",")
    with pytest.raises(ModelError, match="back byte by byte"):
        Vocabulary(PreTrainedTokenizerFast(tokenizer_object=backend))


def test_a_tokenizer_without_some_bytes_is_an_error(tokenizer):
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    del spec["model"]["vocab"]["ô"]  # stands for the byte 0xF4, with which planes 16 and up begin
    with pytest.raises(ModelError, match="no token for some bytes"):
        Vocabulary(PreTrainedTokenizerFast(tokenizer_object=Tokenizer.from_str(json.dumps(spec))))


def test_a_special_token_that_text_can_write_is_an_error(tokenizer):
    backend = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    own = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="ing")
    with pytest.raises(ModelError, match="a text that contains 'ing' would become the special token"):
        Vocabulary(own)


def test_a_slow_tokenizer_is_an_error():
    with pytest.raises(ModelError, match=r"no tokenizer\.json"):
        Vocabulary(SimpleNamespace(is_fast=False))
