import copy
import pickle

from hypothesis import given
from hypothesis import strategies as st

from seqgpt.rendered import Mark, Rendered, is_mark
from tests.strategies import pieces as words
from tests.strategies import quick

marks = st.sampled_from([Mark("<|end|>"), Mark("<|none|>"), Mark("<|a_b|>")])


@quick
@given(st.lists(st.one_of(marks, words, st.just("")), max_size=8))
def test_read_undoes_join(pieces):
    rendered = Rendered.join(pieces)
    again = Rendered.read(str(rendered))
    assert again == rendered
    assert again.pieces == rendered.pieces
    assert list(map(is_mark, again.pieces)) == list(map(is_mark, rendered.pieces))
    assert [piece for piece in rendered.pieces if is_mark(piece)] == [piece for piece in pieces if is_mark(piece)]


def test_words_that_meet_cannot_make_a_mark():
    rendered = Rendered.join(["<", "|end|>"])
    assert str(rendered) == r"<\|end|>"
    assert Rendered.read(str(rendered)).pieces == ("<|end|>",)
    assert not is_mark(rendered.pieces[0])


def test_a_rendering_is_read_as_it_is():
    rendered = Rendered.join(["<|end|>"])
    assert Rendered.read(rendered) is rendered


def test_without_escapes_words_stay_as_they_are():
    rendered = Rendered.join(["<|a|>", "b", Mark("[GEN]"), ""], escape=False)
    assert (str(rendered), rendered.pieces) == ("<|a|>b[GEN]", ("<|a|>", "b", "[GEN]"))


def test_a_rendering_can_be_copied_and_sent_to_another_process():
    rendered = Rendered.join([Mark("<|end|>"), "<|end|>"])
    for again in (pickle.loads(pickle.dumps(rendered)), copy.deepcopy(rendered)):  # noqa: S301
        assert (again, again.pieces) == (rendered, rendered.pieces)
        assert [is_mark(piece) for piece in again.pieces] == [True, False]
