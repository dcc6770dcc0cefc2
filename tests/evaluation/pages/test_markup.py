from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from seqgpt.display import visible
from seqgpt.evaluation.pages.markup import Html, element, escaped, joined
from tests.pages import words_of
from tests.strategies import quick, texts


@given(texts)
@quick
def test_what_is_written_is_what_is_read(text):
    assert words_of(element("p", text)) == visible(text)


@given(st.one_of(texts, st.text("\"'<>&= ")))
@quick
def test_attributes_end_where_they_should(text):
    seen = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag, attrs):
            seen.append((tag, dict(attrs)))

    Reader().feed(element("p", title=text))
    assert seen == [("p", {"title": visible(text)})]


@given(st.lists(texts, max_size=3))
@quick
def test_nothing_is_escaped_twice(parts):
    once = joined(*parts)
    assert isinstance(once, Html)
    assert joined(once) == escaped(once) == once


def test_halves_of_characters_can_be_written():
    element("p", "\ud800").encode("utf-8")


def test_attributes():
    assert element("i", class_="a", for_="b", data_n=3, hidden=True, title=None, open=False) == (
        '<i class="a" for="b" data-n="3" hidden></i>'
    )
    assert element("input", value="x") == '<input value="x">'
