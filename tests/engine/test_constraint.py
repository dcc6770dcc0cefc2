"""What a model may write: exactly the strings of the text, and whatever it chooses, the answer can be completed."""

import random
import time
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.engine.constraint import ChoiceConstraint, SpanConstraint
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.results import Span
from seqgpt.templates.marks import END, SKIP, write_span
from tests.engine.reference import Grammar
from tests.strategies import extractions, quick, texts

# Characters that share bytes, white space inside, overlaps, combining marks: what a walk over bytes may trip over.
SHARED = st.text(alphabet="ab 中丫", min_size=1, max_size=9).filter(str.strip)
SHORT = st.one_of(SHARED, texts.filter(lambda text: len(text) <= 10))


@pytest.fixture(scope="module")
def vocabulary(tokenizer):
    return Vocabulary(tokenizer)


def spans_of(text: str) -> list[Span]:
    places = [(i, j) for i in range(len(text)) for j in range(i + 1, len(text) + 1)]
    return [Span("x", text[i:j], i, j) for i, j in places if text[i:j] == text[i:j].strip()]


@quick
@given(text=SHORT, seed=st.integers(0, 10**6))
def test_allowed_tokens_are_those_of_brute_force_in_every_state(text, seed, vocabulary):
    dice = random.Random(seed)  # noqa: S311
    constraint, grammar = SpanConstraint(text, vocabulary), Grammar(text, vocabulary)
    state, written, skips = None, b"", 0
    for _ in range(25):
        following = constraint.following(state)
        place = constraint.place(state) if state else None
        assert {*following, *([grammar.end] if place else [])} == grammar.options(written, skips)
        assert place == grammar.place(written, skips)
        if not following:
            break
        token = dice.choice(list(following))
        state = following[token]
        written, skips = written + vocabulary.bytes_of[token], skips + (token == grammar.skip)


@quick
@given(text=texts, seed=st.integers(0, 10**6))
def test_a_random_walk_can_always_end_and_is_written_as_its_span(text, seed, vocabulary):
    dice = random.Random(seed)  # noqa: S311
    constraint = SpanConstraint(text, vocabulary)
    state, tokens = None, []
    while not (state and constraint.place(state) and dice.random() < 0.3) and constraint.following(state):
        tokens.append(dice.choice(list(constraint.following(state))))
        state = constraint.following(state)[tokens[-1]]
    start, end = constraint.place(state)
    assert text[start:end] == text[start:end].strip()
    words, *marks, last = write_span(Span("x", text[start:end], start, end), text)
    assert vocabulary.decode(tokens) == words.encode()
    assert tokens[len(tokens) - len(marks) :] == [vocabulary.mark(SKIP)] * len(marks)
    assert last == END


@quick
@given(gold=extractions())
def test_every_gold_span_can_be_written(gold, vocabulary):
    constraint = SpanConstraint(gold.text, vocabulary)
    for span in gold.spans:
        if span.text == span.text.strip():
            *tokens, end = vocabulary.encode_pieces(write_span(span, gold.text))
            assert end == vocabulary.mark(END)
            assert constraint.place(constraint.path(tokens)[-1]) == (span.start, span.end)


@pytest.mark.parametrize("text", ["aaaa", "a b a c", "abc abx", "中丫中七", "ab ab", "a a"])
def test_skip_marks_reach_every_occurrence(text, vocabulary):
    constraint = SpanConstraint(text, vocabulary)
    for span in spans_of(text):
        tokens = vocabulary.encode_pieces(write_span(span, text))[:-1]
        assert constraint.place(constraint.path(tokens)[-1]) == (span.start, span.end)


def test_only_skip_marks_follow_a_skip_mark(vocabulary):
    skip = vocabulary.mark(SKIP)
    (*_, state) = SpanConstraint("ab abc ab", vocabulary).path([*vocabulary.encode(" ab"), skip])
    assert list(SpanConstraint("ab abc ab", vocabulary).following(state)) == [skip]


def test_nothing_follows_the_last_character(vocabulary):
    constraint = SpanConstraint("ab。", vocabulary)
    (*_, state) = constraint.path(vocabulary.encode("。"))
    assert not constraint.following(state)
    assert constraint.place(state) == (2, 3)


def test_what_is_no_option_is_refused(vocabulary):
    constraint = SpanConstraint("北京", vocabulary)
    for tokens in (vocabulary.encode("x"), [vocabulary.mark(SKIP)], [*vocabulary.encode("京"), vocabulary.mark(SKIP)]):
        with pytest.raises(KeyError):
            constraint.path(tokens)


def test_a_text_of_one_repeated_character_costs_linear_time(vocabulary):
    began = time.process_time()
    constraint = SpanConstraint("a" * 50_000, vocabulary)
    tokens = vocabulary.encode_pieces([" aaa", SKIP, SKIP])
    assert constraint.place(constraint.path(tokens)[-1]) == (2, 5)
    assert time.process_time() - began < 5  # about 0.6; minutes if quadratic


def test_choices_share_what_they_begin_with():
    trie = ChoiceConstraint([(1, 2, 9), (1, 3, 9), (4, 9)])
    assert trie.next_tokens(()) == (1, 4)
    assert trie.next_tokens((1,)) == (2, 3)
    assert trie.next_tokens((1, 3)) == (9,)
    with pytest.raises(KeyError):
        trie.next_tokens((5,))


def test_answers_part_at_few_nodes_each_of_them_once():
    assert ChoiceConstraint([(1, 2, 9), (1, 3, 9), (4, 5, 9), (1, 3, 8)]).branching() == [[0, 1], [2], [], []]
    assert ChoiceConstraint([(1, 2, 9)]).branching() == [[]]


@quick
@given(words=st.lists(st.text(alphabet="ab", max_size=5), min_size=1, max_size=12, unique=True))
def test_choices_are_those_of_brute_force_at_every_node(words):
    answers = [(*map(ord, word), 0) for word in words]
    trie = ChoiceConstraint(answers)
    lengths, seen = [], set()
    for answer in answers:
        lengths.append([])
        for i in range(len(answer)):
            following = {other[i] for other in answers if other[:i] == answer[:i]}
            assert sorted(trie.next_tokens(answer[:i])) == sorted(following)
            assert (i in trie.parting(answer)) == (len(following) > 1)
            if len(following) > 1 and answer[:i] not in seen:
                lengths[-1].append(i)
                seen.add(answer[:i])
        with pytest.raises(KeyError):
            trie.next_tokens(answer)
    assert trie.branching() == lengths


def test_the_memory_of_choices_grows_with_their_tokens():
    answers = [(i, *range(1000), 0) for i in range(1000)]
    tracemalloc.start()
    trie = ChoiceConstraint(answers)
    assert sum(map(len, trie.branching())) == 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**20  # 4 GB if every beginning of an answer is kept
