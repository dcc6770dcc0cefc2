"""Long texts: windows cover them, and the results of windows are those of the text."""

import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.engine.windows import OVERLAP, Window, cut_off, join, windows
from seqgpt.results import Classification, Extraction, Span
from seqgpt.tasks import AtomicTask
from tests.strategies import quick

PEOPLE = AtomicTask.extract(["person", "place"])
TONE = AtomicTask.classify(["good", "bad"], none=True)
TOPICS = AtomicTask.classify(["sport", "money"], multi_label=True)

texts = st.text(alphabet="ab 。.!?\n北京🙂", min_size=1, max_size=120).filter(str.strip)


@quick
@given(text=texts, room=st.integers(OVERLAP, 40))
def test_windows_cover_the_text_and_fit(text, room):
    cut = windows(text, len, room)
    covered = set()
    for start, part in cut:
        assert text[start : start + len(part)] == part
        assert len(part) <= room
        covered.update(range(start, start + len(part)))
    assert all(text[i].isspace() for i in set(range(len(text))) - covered)
    starts = [window.start for window in cut]
    assert starts == sorted(set(starts))


@quick
@given(text=texts, room=st.integers(8, 40))
def test_windows_overlap(text, room):
    cut = windows(text, len, room)
    for one, other in pairwise(cut):
        between = text[one.start + len(one.text) : other.start]
        assert other.start < one.start + len(one.text) or not between.strip()
        assert one.start + len(one.text) - other.start <= room // OVERLAP


@quick
@given(text=texts, room=st.integers(OVERLAP, 40))
def test_windows_that_overlap_as_far_as_they_can_hold_all_others(text, room):
    cut = windows(text, len, room, overlap=room)
    assert all(len(part) <= room for _, part in cut)
    ends = [start + len(part) for start, part in cut]
    assert ends == sorted(ends)
    for start, part in windows(text, len, room):
        assert any(a <= start and start + len(part) <= b for (a, _), b in zip(cut, ends, strict=True))


@quick
@given(text=texts, before=st.text(alphabet=" \n\u3000"), after=st.text(alphabet=" \n"), room=st.integers(OVERLAP, 40))
def test_white_space_around_a_text_only_moves_its_windows(text, before, after, room):
    inner = windows(text.strip(), len, room)
    moved = [Window(start + len(before), part) for start, part in inner]
    assert windows(before + text.strip() + after, len, room) == moved


def test_windows_are_cut_between_sentences():
    text = "One two three. Four five six? 北京很大。上海更大！Seven eight.\nTen. " * 3
    parts = [window.text for window in windows(text, len, 64)]
    assert len(parts) > 2
    assert all(part.rstrip()[-1] in ".?。！" for part in parts)
    assert {part.split()[0][:3] for part in parts} <= {"One", "Fou", "北京很", "上海更", "Sev", "Ten"}


def test_a_long_sentence_is_cut_at_white_space():
    parts = [window.text for window in windows("word " * 30, len, 40)]
    assert {word for part in parts for word in part.split()} == {"word"}


def test_a_text_without_any_boundary_is_cut_somewhere():
    assert all(len(window.text) <= 16 for window in windows("x" * 1000, len, 16))


@pytest.mark.parametrize("piece", [".", "?!", '."', ". ", "。", "\n", "x", " "])
def test_a_text_of_one_repeated_piece_is_cut_in_about_linear_time(piece):
    began = time.process_time()
    assert len(windows("x" + piece * 30_000 + "x", len, 1000)) >= 2
    assert time.process_time() - began < 2  # about 0.05; 10 and more if quadratic


def extraction(text, task, *spans):
    return Extraction.of(text, task, [Span(label, text[a:b], a, b, score) for label, a, b, score in spans])


def test_spans_of_windows_are_moved_and_merged():
    text = "Ann met Bob. Bob left Rome."
    parts = [Window(0, text[:13]), Window(8, text[8:])]
    first = extraction(text[:13], PEOPLE, ("person", 0, 3, 0.9), ("person", 8, 11, 0.6))
    second = extraction(text[8:], PEOPLE, ("person", 0, 3, 0.8), ("person", 5, 8, 0.7), ("place", 14, 18, 0.5))
    joined = join(text, PEOPLE, parts, [first, second])
    assert [(s.label, s.text, s.start, s.score) for s in joined.spans] == [
        ("person", "Ann", 0, 0.9),
        ("person", "Bob", 8, 0.8),
        ("person", "Bob", 13, 0.7),
        ("place", "Rome", 22, 0.5),
    ]
    assert not joined.truncated
    assert joined.warnings[0].startswith("the text was read in 2 overlapping parts")


def test_what_an_edge_cuts_off_of_a_longer_span_is_left_out():
    text = "He lives in New York City now"
    parts = [Window(0, "He lives in New York City "), Window(16, "York City now")]
    rest = extraction(parts[1].text, PEOPLE, ("place", 0, 9, 0.95))
    inner = Window(0, text[:28])
    whole = extraction(inner.text, PEOPLE, ("place", 12, 25, 0.9))
    joined = join(text, PEOPLE, [inner, parts[1]], [whole, rest])
    assert [s.text for s in joined.spans] == ["New York City"]


@quick
@given(
    places=st.lists(st.tuples(st.sampled_from(PEOPLE.labels), st.integers(0, 19), st.integers(1, 8)), max_size=30),
    cuts=st.lists(st.tuples(st.sampled_from(PEOPLE.labels), st.integers(10, 15)), max_size=5),
)
def test_what_is_left_of_longer_spans_is_told_by_label_and_place(places, cuts):
    text = "abcdefghijklmnopqrstuvwxyz"
    parts = [Window(0, text[:20]), Window(10, text[10:])]
    first = extraction(parts[0].text, PEOPLE, *{(label, a, min(a + n, 20), 0.5) for label, a, n in places})
    rest = extraction(parts[1].text, PEOPLE, *{(label, 0, b - 9, 0.5) for label, b in cuts})
    spans = {(s.label, s.start, s.end) for s in first.spans} | {(s.label, 10, s.end + 10) for s in rest.spans}
    at_edge = {(label, a, b) for label, a, b in spans if b == 20 or a == 10}
    certain = {(s.label, s.start, s.end) for s in first.spans if s.end < 20}
    lost = {
        (label, a, b)
        for label, a, b in at_edge - certain
        for other, c, d in certain
        if label == other and c <= a and b <= d and (a, b) != (c, d)
    }
    joined = join(text, PEOPLE, parts, [first, rest])
    assert {(s.label, s.start, s.end) for s in joined.spans} == spans - lost


@pytest.mark.slow
def test_many_spans_of_many_windows_are_joined_at_once():
    text = "abcde" * 4_000
    parts = [Window(i, text[i : i + 5]) for i in range(0, len(text) - 5, 2)]
    found = [(label, i, i + 2, 0.5) for label in PEOPLE.labels for i in (0, 1)]  # one of them at an edge
    results = [extraction(part.text, PEOPLE, *found) for part in parts]
    began = time.process_time()
    assert len(join(text, PEOPLE, parts, results).spans) == 4 * len(parts)
    assert time.process_time() - began < 5  # about 0.4; 40 if quadratic


def test_classes_of_windows():
    text = "aaaaaabb"
    parts = [Window(0, "aaaaaa"), Window(6, "bb")]
    scores = [{"good": 0.8, "bad": 0.1}, {"good": 0.0, "bad": 0.9}]
    results = [Classification.of(p.text, TONE, ("good",), s) for p, s in zip(parts, scores, strict=True)]
    joined = join(text, TONE, parts, results)
    assert joined.labels == ("good",)
    assert joined.scores == pytest.approx({"good": 0.6, "bad": 0.3})
    nothing = [Classification.of(p.text, TONE, (), {"good": 0.2, "bad": 0.1}) for p in parts]
    assert join(text, TONE, parts, nothing).abstained


def test_probabilities_of_windows_stay_probabilities():
    """The shares of these lengths sum to 1.0000000000000002."""
    only = AtomicTask.classify(["good"])
    parts = [Window(0, "a" * n) for n in (11, 27, 27, 19)]
    results = [Classification.of(part.text, only, ("good",), {"good": 1.0}) for part in parts]
    joined = join("a" * 40, only, parts, results)
    assert Classification.from_dict(joined.to_dict()) == joined


def test_a_label_of_several_holds_if_it_holds_in_some_window():
    parts = [Window(0, "aa"), Window(2, "bb")]
    results = [
        Classification.of("aa", TOPICS, ("sport",), {"sport": 0.8, "money": 0.2}),
        Classification.of("bb", TOPICS, (), {"sport": 0.1, "money": 0.4}),
    ]
    joined = join("aabb", TOPICS, parts, results)
    assert joined.labels == ("sport",)
    assert joined.scores == {"sport": 0.8, "money": 0.4}


def test_what_is_cut_off_is_said():
    cut = cut_off(" Ann met Bob", PEOPLE, Window(1, "Ann"), extraction("Ann", PEOPLE, ("person", 0, 3, 0.9)))
    assert cut.truncated
    assert [(span.start, span.end) for span in cut.spans] == [(1, 4)]
    assert cut.warnings == ("only the first 4 of 12 characters were read: the model reads no more.",)
    assert cut_off("good bad", TONE, Window(0, "good"), Classification.of("good", TONE, ("good",))).truncated
