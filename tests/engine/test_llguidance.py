"""llguidance as an oracle: the spans of a text as a grammar of its own engine, which reads tokenizers by itself."""

import json
import random
import sys

import llguidance
import llguidance.hf
import llguidance.numpy
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.data.sample import load_sample
from seqgpt.engine.constraint import SpanConstraint
from seqgpt.templates.marks import END, NO_SPACE_BEFORE, SKIP
from tests.engine.tokenizers import STYLES
from tests.strategies import quick, texts

TEXTS = [
    *(example.text for example in load_sample("test")),
    "Tim Cook 去了上海（Shanghai）,  然后回到“北京”。\r\nHe left on 2024-05-01.",
    "the cat and the cat and the hat 中国中国人 aaaa abab",
    "👨\u200d👩\u200d👧 e\u0301te\u0301 plage\t🇨🇳\u00a0ｆｕｌｌ　ｗｉｄｔｈ，１２３",
    "中丫中七丫\u3000丫 \u2028\x1f中\x00\x85 x",
    "<|end|><unk> <0x0A> ▁the▁ <|endoftext|>, Ġthe Ċ",
]


SPACE = "".join(rf"\u{{{code:X}}}" for code in range(sys.maxunicode + 1) if chr(code).isspace())
UNSPACED = NO_SPACE_BEFORE.pattern.strip("[]")
GRAMMAR = rf"""
%llguidance {{"no_forcing": true}}
start: SPAN
SPAN: (" " (PART & LED) | (PART & UNLED)) & ENDED
PART: %regex {{"substring_chars": TEXT}}
LED: /[^{SPACE}{UNSPACED}](.|\n)*/
UNLED: /[{UNSPACED}](.|\n)*/ & /[^{SPACE}](.|\n)*/
ENDED: /(.|\n)*[^{SPACE}]/
"""
"""Parts of a text that neither begin nor end with white space, with a space in front where words have one.

All of it is one terminal, because between two the lexer would choose. With ``no_forcing`` bytes that must come may come
as any tokens.
"""


class Oracle:
    """What llguidance allows next in a span of a text: END for its end."""

    def __init__(self, text, vocabulary, tokenizer):
        self._vocabulary, self._tokenizer = vocabulary, tokenizer
        self._matcher = llguidance.LLMatcher(tokenizer, GRAMMAR.replace("TEXT", json.dumps(text)))

    def allowed(self) -> set[int]:
        """Return the allowed tokens; of several with the same bytes, the one that words are encoded with."""
        mask = llguidance.numpy.allocate_token_bitmask(1, self._tokenizer.vocab_size)
        llguidance.numpy.fill_next_token_bitmask(self._matcher, mask)
        assert not self._matcher.is_error(), self._matcher.get_error()
        tokens = np.flatnonzero(np.unpackbits(mask.view(np.uint8), bitorder="little"))
        return {self._vocabulary.token_of.get(self._vocabulary.bytes_of[token], token) for token in tokens.tolist()}

    def consume(self, token: int) -> None:
        assert self._matcher.consume_token(token), self._matcher.get_error()


@pytest.fixture(scope="module")
def oracles(vocabularies):
    """For each style a function from a text to its oracle."""

    def of(vocabulary):
        tokenizer = llguidance.hf.from_tokenizer(vocabulary.tokenizer, eos_token=vocabulary.mark(END))
        return lambda text: Oracle(text, vocabulary, tokenizer)

    return {style: of(vocabulary) for style, vocabulary in vocabularies.items()}


def walk(text, vocabulary, oracle, dice) -> int:
    """Choose one allowed token after another until the span ends; return the number of states that were compared."""
    constraint, matcher = SpanConstraint(text, vocabulary), oracle(text)
    state, states = None, 0
    while True:
        following = dict(constraint.following(state))
        following.pop(vocabulary.mark(SKIP), None)  # the template's own: no part of a string
        ends = [vocabulary.mark(END)] if state and constraint.place(state) else []
        assert {*following, *ends} == matcher.allowed()
        states += 1
        token = dice.choice([*following, *ends])
        if token in ends:
            return states
        matcher.consume(token)
        state = following[token]


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
@quick
@given(text=texts, seed=st.integers(0, 10**6))
def test_allowed_tokens_are_llguidance_s_for_any_text(style, text, seed, vocabularies, oracles):
    walk(text, vocabularies[style], oracles[style], random.Random(seed))  # noqa: S311


@pytest.mark.slow
@pytest.mark.parametrize("style", STYLES)
def test_allowed_tokens_are_llguidance_s_in_thousands_of_states(style, vocabularies, oracles):
    dice = random.Random(0)  # noqa: S311
    states = sum(walk(text, vocabularies[style], oracles[style], dice) for text in TEXTS for _ in range(3))
    assert states > 1000
