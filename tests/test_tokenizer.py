"""The tokenizer that the library trains: every string survives, a Chinese character is a word, marks are special."""

import pytest
from hypothesis import given
from transformers import AutoTokenizer

from seqgpt.data.sample import load_sample
from seqgpt.errors import ModelError
from seqgpt.templates.marks import END, MARKS
from seqgpt.tokenizer import END_OF_TEXT, PAD, add_marks, train_tokenizer
from tests.strategies import quick, texts


@quick
@given(text=texts)
def test_every_text_survives(text, tokenizer):
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def test_marks_padding_and_end_are_special_tokens(tokenizer):
    special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
    assert special == {*MARKS, PAD, END_OF_TEXT}
    assert tokenizer.pad_token == PAD
    assert tokenizer.eos_token == END_OF_TEXT
    assert add_marks(tokenizer, MARKS) == []


def test_it_has_the_size_asked_for(tokenizer):
    assert len(tokenizer) == 600


def test_no_token_joins_chinese_characters_or_a_character_and_a_word(tokenizer):
    for text in ("上海市长江大桥", "去了Shanghai和北京", "价格12元，很贵。"):
        for start, end in tokenizer(text, return_offsets_mapping=True, add_special_tokens=False)["offset_mapping"]:
            piece = text[start:end]
            assert len(piece) == 1 or piece.isascii()


def test_a_space_belongs_to_the_word_after_it(tokenizer):
    tokens = tokenizer.tokenize("I was there")
    assert all(not token.endswith("Ġ") for token in tokens)
    assert "Ġwas" in tokens


def test_training_is_repeatable():
    words = [example.text for example in load_sample("test")]
    one, other = (train_tokenizer(words, 400, list(MARKS)) for _ in range(2))
    assert one.get_vocab() == other.get_vocab()


def test_it_survives_saving(tokenizer, tmp_path):
    tokenizer.save_pretrained(tmp_path)
    opened = AutoTokenizer.from_pretrained(tmp_path)
    text = "Tim 去了 <|end|> 上海"
    assert opened.get_vocab() == tokenizer.get_vocab()
    assert opened(text)["input_ids"] == tokenizer(text)["input_ids"]
    assert opened.convert_tokens_to_ids(str(END)) == tokenizer.convert_tokens_to_ids(str(END))


def test_a_vocabulary_that_is_too_small_is_an_error():
    with pytest.raises(ModelError, match="a vocabulary of 100 tokens cannot hold"):
        train_tokenizer(["text"], 100, list(MARKS))
