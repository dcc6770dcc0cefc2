import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics.sequence_labeling import get_entities

from seqgpt.data.tags import TAG_SCHEMES, TokenSpan, align_tokens, ground_tags, spans_to_tags, tags_to_spans
from seqgpt.errors import DataError

LABELS = st.sampled_from(["PER", "LOC", "creative-work", "B-side", "人名", "O"])


@st.composite
def flat_spans(draw, apart=False):
    """Spans that do not overlap, often adjacent; with ``apart``, never two neighbours of one label."""
    spans, at = [], 0
    for _ in range(draw(st.integers(0, 5))):
        start = at + draw(st.integers(0, 2))
        at = start + draw(st.integers(1, 4))
        label = draw(LABELS)
        if apart and spans and spans[-1].end == start and spans[-1].label == label:
            continue
        spans.append(TokenSpan(label, start, at))
    return spans, at + draw(st.integers(0, 2))


@pytest.mark.parametrize("scheme", [scheme for scheme in TAG_SCHEMES if scheme != "IO"])
@given(flat_spans())
def test_spans_to_tags_and_back(scheme, drawn):
    spans, length = drawn
    tags = spans_to_tags(spans, length, scheme)
    assert len(tags) == length
    assert tags_to_spans(tags) == tags_to_spans(tags, scheme) == spans


@given(flat_spans(apart=True))
def test_io_keeps_spans_that_are_apart(drawn):
    spans, length = drawn
    assert tags_to_spans(spans_to_tags(spans, length, "IO"), "IO") == spans


@given(st.lists(st.sampled_from(["O", "B-X", "I-X", "E-X", "S-X", "B-Y", "I-Y", "E-Y", "S-Y"]), max_size=12))
def test_malformed_tags_read_as_conlleval_does(tags):
    expected = [(label, start, end + 1) for label, start, end in get_entities(tags)]
    assert tags_to_spans(tags) == expected


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        ("IO", ["I-A", "I-A", "I-A", "O", "I-B"]),
        ("IOB1", ["I-A", "I-A", "B-A", "O", "I-B"]),
        ("BIO", ["B-A", "I-A", "B-A", "O", "B-B"]),
        ("IOB2", ["B-A", "I-A", "B-A", "O", "B-B"]),
        ("BIOES", ["B-A", "E-A", "S-A", "O", "S-B"]),
        ("BILOU", ["B-A", "L-A", "U-A", "O", "U-B"]),
        ("BMES", ["B-A", "E-A", "S-A", "O", "S-B"]),
        ("BMEWO", ["B-A", "E-A", "W-A", "O", "W-B"]),
    ],
)
def test_each_scheme_looks_as_it_should(scheme, tags):
    assert spans_to_tags([TokenSpan("A", 0, 2), TokenSpan("A", 2, 3), TokenSpan("B", 4, 5)], 5, scheme) == tags


def test_bare_labels_are_read_in_io_only():
    assert tags_to_spans(["PER", "PER", "O"], "IO") == [TokenSpan("PER", 0, 2)]
    with pytest.raises(DataError, match="'PER' is not of scheme"):
        tags_to_spans(["PER"])


@pytest.mark.parametrize("tag", ["S-A", "b-A", "B-", "-A", "", "B"])
def test_a_tag_of_another_scheme(tag):
    with pytest.raises(DataError, match="write O, or one of B, I, a hyphen and a label"):
        tags_to_spans([tag], "IOB2")


@pytest.mark.parametrize("spans", [[("A", 0, 2), ("B", 1, 3)], [("A", 2, 2)], [("A", 2, 4)], [("A", -1, 1)]])
def test_spans_that_tags_cannot_hold(spans):
    with pytest.raises(DataError, match="flat spans only"):
        spans_to_tags([TokenSpan(*span) for span in spans], 3, "BIO")


TOKENS = st.lists(st.text(st.sampled_from("aé中😀'1 "), min_size=1, max_size=3).filter(str.strip), max_size=8)


@given(TOKENS, st.data())
def test_spans_ground_in_their_text(tokens, data):
    text = "".join(data.draw(st.sampled_from(["", " ", "\r\n", "　"])) + token for token in tokens)
    tags = [data.draw(st.sampled_from(["O", "B-X", "I-X"])) for _ in tokens]
    for language, given_text in (("en", None), ("zh", None), ("en", text)):
        full, spans = ground_tags(tokens, tags, language=language, text=given_text)
        assert [(span.label, span.text) for span in spans] == [
            (label, full[span.start : span.end]) for span, (label, _, _) in zip(spans, tags_to_spans(tags), strict=True)
        ]
        for span, (_, first, stop) in zip(spans, tags_to_spans(tags), strict=True):
            assert span.text.startswith(tokens[first])
            assert span.text.endswith(tokens[stop - 1])


def test_joining_depends_on_the_language():
    assert ground_tags(["北", "京"], ["B-X", "I-X"], language="zh")[0] == "北京"
    assert ground_tags(["New", "York"], ["B-X", "I-X"], language="en")[0] == "New York"


@pytest.mark.parametrize(
    ("tokens", "text", "message"),
    [
        (["he", "ran"], "the ran", "token 0 'he' does not align with the text, which goes on with 'the ran'"),
        (["she", "run"], "she ran", "token 1 'run' does not align"),
        (["she"], "she ran", "goes on with ' ran' after the last token"),
    ],
)
def test_tokens_that_do_not_align(tokens, text, message):
    with pytest.raises(DataError, match=message):
        align_tokens(tokens, text)


def test_rows_that_are_no_tagged_sentence():
    with pytest.raises(DataError, match="2 tokens have 1 tags"):
        ground_tags(["a", "b"], ["O"], language="en")
    with pytest.raises(DataError, match="token 1 is empty"):
        ground_tags(["a", ""], ["O", "O"], language="en")
