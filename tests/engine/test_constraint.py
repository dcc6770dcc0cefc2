"""What a model may write: exactly the strings of the text, and whatever it chooses, the answer can be completed."""

import random
import time
from itertools import groupby

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.engine.constraint import ChoiceConstraint, SpanConstraint, SpanWriter
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.results import Span
from seqgpt.templates.marks import END, NEXT, NONE, SKIP, read_spans, write_spans
from tests.engine.reference import Grammar
from tests.strategies import extractions, quick, texts

MARKS = (END, NEXT, NONE, SKIP)

# Characters that share bytes, white space inside, overlaps, combining marks: what a walk over bytes may trip over.
SHARED = st.text(alphabet="ab 中丫", min_size=1, max_size=9).filter(str.strip)
SHORT = st.one_of(SHARED, texts.filter(lambda text: len(text) <= 10))


@pytest.fixture(scope="module")
def vocabulary(tokenizer):
    return Vocabulary(tokenizer)


def writer_of(text: str, vocabulary: Vocabulary) -> SpanWriter:
    return SpanWriter(SpanConstraint(text, vocabulary), {mark: vocabulary.mark(mark) for mark in MARKS})


def encode(pieces: list[str], vocabulary: Vocabulary) -> list[int]:
    return [token for piece in pieces for token in vocabulary.encode_pieces([piece])]


def to_pieces(tokens: list[int], vocabulary: Vocabulary) -> list[str]:
    marks = {vocabulary.mark(mark): mark for mark in MARKS}
    pieces: list[str] = []
    for mark, group in groupby(tokens, key=marks.get):
        run = list(group)
        pieces += [mark] * len(run) if mark else [vocabulary.decode(run).decode()]
    return pieces


@quick
@given(text=SHORT, seed=st.integers(0, 10**6))
def test_allowed_tokens_are_those_of_brute_force_in_every_state(text, seed, vocabulary):
    dice = random.Random(seed)  # noqa: S311
    writer, grammar = writer_of(text, vocabulary), Grammar(text, vocabulary)
    spans, skips, written = [], 0, b""
    for _ in range(25):
        options = writer.options()
        assert len(set(options)) == len(options)
        assert set(options) == grammar.options(spans, skips, written)
        token = dice.choice(options)
        writer.feed(token)
        if token in (grammar.next, grammar.end):
            spans.append(grammar.close(spans, skips, written))
            skips, written = 0, b""
        skips += token == grammar.skip
        written += vocabulary.bytes_of[token]
        assert writer.spans == spans
        if writer.done:
            break


@quick
@given(text=texts, seed=st.integers(0, 10**6))
def test_a_random_walk_ends_and_parses_to_its_spans(text, seed, vocabulary):
    dice = random.Random(seed)  # noqa: S311
    writer = writer_of(text, vocabulary)
    tokens = []
    while not writer.done:
        options = writer.options()
        assert options, to_pieces(tokens, vocabulary)
        marks = [token for token in options if not vocabulary.bytes_of[token]]
        tokens.append(dice.choice(marks if marks and dice.random() < 0.5 else options))
        writer.feed(tokens[-1])
    assert writer.options() == []
    pieces = to_pieces(tokens, vocabulary)
    read = read_spans("label", pieces, text)
    assert [(span.start, span.end) for span in read] == writer.spans
    assert write_spans(read, text) == pieces


@quick
@given(gold=extractions())
def test_every_gold_answer_can_be_written(gold, vocabulary):
    for label in gold.task.labels:
        spans = [span for span in gold[label] if span.text == span.text.strip()]
        writer = writer_of(gold.text, vocabulary)
        for token in encode(write_spans(spans, gold.text), vocabulary):
            assert token in writer.options()
            writer.feed(token)
        assert writer.done
        assert writer.spans == [(span.start, span.end) for span in spans]


@pytest.mark.parametrize("text", ["aaaa", "a b a c", "abc abx", "中丫中七", "ab ab", "a a"])
def test_skip_marks_reach_every_occurrence_after_every_other(text, vocabulary):
    places = [(i, j) for i in range(len(text)) for j in range(i + 1, len(text) + 1) if text[i:j] == text[i:j].strip()]
    for first in places:
        for second in [None, *(place for place in places if place > first)]:
            chosen = [place for place in (first, second) if place]
            writer = writer_of(text, vocabulary)
            for token in encode(write_spans([Span("x", text[i:j], i, j) for i, j in chosen], text), vocabulary):
                assert token in writer.options()
                writer.feed(token)
            assert writer.spans == chosen


def test_a_skip_mark_allows_only_strings_that_occur_once_more(vocabulary):
    # After the span "abc" at 0, "ab" is left once only, at 4: a skip mark followed by " ab" could not be completed.
    writer = writer_of("abc abx", vocabulary)
    for token in encode([" abc", NEXT, SKIP], vocabulary):
        writer.feed(token)
    firsts = {vocabulary.bytes_of[token] for token in writer.options()} - {b""}
    assert firsts
    assert all(first in (b" ", b" b") for first in firsts)


def test_nothing_follows_the_last_character(vocabulary):
    writer = writer_of("ab。", vocabulary)
    for token in vocabulary.encode("。"):
        writer.feed(token)
    assert writer.options() == [vocabulary.mark(END)]


def test_what_is_no_option_is_refused(vocabulary):
    writer = writer_of("北京", vocabulary)
    with pytest.raises(KeyError):
        writer.feed(vocabulary.mark(END))
    with pytest.raises(KeyError):
        writer.feed(vocabulary.encode("x")[0])
    writer.feed(vocabulary.mark(NONE))
    assert writer.done
    assert writer.spans == []
    with pytest.raises(KeyError):
        writer.feed(vocabulary.mark(NONE))


def test_a_text_of_one_repeated_character_costs_linear_time(vocabulary):
    began = time.process_time()
    constraint = SpanConstraint("a" * 50_000, vocabulary)
    writer = SpanWriter(constraint, {mark: vocabulary.mark(mark) for mark in MARKS})
    for token in encode([" aaa", NEXT, SKIP, SKIP, " aa", END], vocabulary):
        assert token in writer.options()
        writer.feed(token)
    assert writer.spans == [(0, 3), (3, 5)]
    assert time.process_time() - began < 5  # about 0.6; minutes if quadratic


def test_choices_share_what_they_begin_with():
    trie = ChoiceConstraint([(1, 2, 9), (1, 3, 9), (4, 9)])
    assert trie.next_tokens(()) == (1, 4)
    assert trie.next_tokens((1,)) == (2, 3)
    assert trie.next_tokens((1, 3)) == (9,)
    with pytest.raises(KeyError):
        trie.next_tokens((5,))


def test_marks_stand_first_or_last_among_the_options(vocabulary):
    writer = writer_of("a b", vocabulary)
    assert writer.options()[-1] == vocabulary.mark(NONE)
    writer.feed(vocabulary.encode(" a")[0])
    assert tuple(writer.options()[:2]) == writer.closing


def test_answers_part_at_few_nodes_each_of_them_once():
    assert ChoiceConstraint([(1, 2, 9), (1, 3, 9), (4, 5, 9), (1, 3, 8)]).branching() == [[0, 1], [2], [], []]
    assert ChoiceConstraint([(1, 2, 9)]).branching() == [[]]
