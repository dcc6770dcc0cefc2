import pytest
from tokenizers import Tokenizer, normalizers
from transformers import PreTrainedTokenizerFast

from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.templates.marks import MARKS
from seqgpt.tokenizer import END_OF_TEXT, PAD, add_marks
from tests.engine.tokenizers import STYLES, sentence_piece


@pytest.fixture(scope="session")
def vocabularies(tokenizer):
    """A vocabulary of each style, with the marks."""
    composing = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    composing.normalizer = normalizers.NFC()
    built = {
        "byte-level": tokenizer,
        "NFC": PreTrainedTokenizerFast(tokenizer_object=composing, pad_token=PAD, eos_token=END_OF_TEXT),
    } | {style: sentence_piece(style) for style in STYLES[2:]}
    for one in built.values():
        add_marks(one, MARKS)
    return {style: Vocabulary(one) for style, one in built.items()}
