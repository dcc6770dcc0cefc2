"""Raw texts: the same from every format, none twice, none of a held-out test."""

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.about import Place
from seqgpt.data.leaks import HeldOut
from seqgpt.data.text_index import text_hash
from seqgpt.errors import DataError
from seqgpt.synth import raw_texts
from seqgpt.synth.config import TextsConfig
from seqgpt.synth.near_duplicates import NearDuplicates
from seqgpt.synth.raw_texts import language_of, read_texts, split_long

TEXTS = ["The first text is about rain.", "第二段文本讲的是北京的天气。", "A third one speaks of Ann and of Bob."]


@pytest.fixture(autouse=True)
def held_out(monkeypatch):
    """No data sets are read; tests may fill the set of what is held out."""
    texts: list[str] = []
    hashes = lambda: np.array(sorted(map(text_hash, texts)), dtype=np.uint64)  # noqa: E731
    monkeypatch.setattr(raw_texts, "held_out_texts", lambda _: HeldOut(hashes(), (), ("unread",)))
    return texts


def jsonl(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


def read(*paths, **options):
    return read_texts(TextsConfig([str(path) for path in paths], **options))


def test_every_format_gives_the_same(tmp_path):
    rows = [{"text": text} for text in TEXTS]
    folder = tmp_path / "folder" / "below"
    folder.mkdir(parents=True)
    for i, text in enumerate(TEXTS):
        (folder / f"{i}.txt").write_text(text, encoding="utf-8")
    pd.DataFrame(rows).to_parquet(tmp_path / "a.parquet")
    pd.DataFrame(rows).to_csv(tmp_path / "a.csv", index=False)
    expected = read(jsonl(tmp_path / "a.jsonl", rows))
    assert [(text.text, text.language) for text in expected.texts] == list(zip(TEXTS, ["en", "zh", "en"], strict=True))
    for path in (tmp_path / "a.parquet", tmp_path / "a.csv", tmp_path / "folder"):
        assert read(path) == expected
    assert expected.unguarded == ("unread",)


@given(st.integers(1, 29), st.integers(1, 29))
def test_the_texts_of_a_smaller_limit_are_among_those_of_a_larger(tmp_path_factory, one, other):
    file = jsonl(
        tmp_path_factory.mktemp("texts") / "a.jsonl", [{"text": f"{i} {i * 7919} texts {i**3} long"} for i in range(30)]
    )
    small, large = (read(file, limit=limit).texts for limit in sorted((one, other)))
    assert len(large) == max(one, other)
    assert set(small) <= set(large)


def test_what_is_left_out_is_counted(tmp_path, held_out):
    held_out += ["This sentence stands in a test set."]
    rows = [
        *TEXTS,
        "short",
        "Это русский текст о погоде.",
        "the FIRST text, is about rain",
        "The first text is about rain!  And a long, long sentence that both of them have in common follows here",
        "The first text is about rain!! And a long, long sentence that both of them have in common follows there",
        "this sentence stands in a TEST set",
        "A headline\nThis sentence stands in a test set.\nAnd more.",
        None,
    ]
    found = read(jsonl(tmp_path / "a.jsonl", [{"text": text} for text in rows]))
    assert found.left_out == {
        "too short": 1,
        "in another language": 1,
        "the same as another": 1,
        "nearly the same as another": 1,
        "in a held-out test set": 2,
    }
    assert len(found.texts) == 4


def test_mentions_that_are_given(tmp_path):
    row = {
        "text": TEXTS[2],
        "who": [{"text": "Bob", "start": 33}, {"text": "ann", "start": 0}, {"text": "Eve", "start": 1}],
    }
    (text,) = read(jsonl(tmp_path / "a.jsonl", [row]), mentions="who").texts
    assert text.mentions == (Place("Bob", 33), Place("Ann", 22))


@given(
    st.lists(
        st.sampled_from(["One. ", "Two! ", "三。", "\n", "\n\n", "four words in one", "。", "x" * 30]), max_size=30
    ),
    st.integers(5, 60),
)
def test_pieces_are_the_text_cut_at_its_ends(parts, size):
    text = "".join(parts)
    pieces = split_long(text, size)
    assert "".join("".join(pieces).split()) == "".join(text.split())
    assert all(piece in text and piece == piece.strip() for piece in pieces)
    for piece in pieces:  # one that is too long is one sentence
        assert len(piece) <= size or len(split_long(piece, size)) == 1


def test_long_texts_are_read_in_pieces(tmp_path):
    (tmp_path / "a.txt").write_text(
        "The first text is about rain. " * 2 + "\n\n" + "A third one speaks of Ann. ", encoding="utf-8"
    )
    assert [text.text for text in read(tmp_path / "a.txt", max_chars=60).texts] == [
        "The first text is about rain. The first text is about rain.",
        "A third one speaks of Ann.",
    ]


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hello there, 北京!", ""),
        ("iPhone 发布会", "zh"),
        ("こんにちは世界", ""),
        ("1 2 3", ""),
        ("مرحبا", ""),
        ("Café à Zürich", "en"),
    ],
)
def test_language(text, language):
    assert language_of(text) == language


def test_near_duplicates_are_found_and_others_are_not():
    near = NearDuplicates(0.8)
    text = "The committee met on Tuesday to discuss the budget for the coming year, and no decision was taken."
    assert not near.is_one(text)
    assert near.is_one(text.replace("Tuesday", "tuesday").replace(",", ""))
    assert near.is_one(text.replace("taken", "made"))
    assert not near.is_one(text[: len(text) // 2] + "adjourned without a word on money or on anything else at all.")
    chinese = "国务院总理在北京会见了来访的外国客人，双方就贸易问题交换了意见，并签署了三项协议。"
    assert not near.is_one(chinese, "zh")
    assert near.is_one(chinese.replace("三项", "两项"), "zh")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("none.jsonl", "there is no .*none.jsonl: correct texts.paths"),
        ("a.pdf", "of no known format"),
        ("empty", "has no text files"),
    ],
)
def test_what_cannot_be_read(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    (tmp_path / "a.pdf").touch()
    with pytest.raises(DataError, match=message):
        read(tmp_path / name)


def test_no_text_left(tmp_path):
    with pytest.raises(DataError, match=r"no text is left to label \(1 too short\): give others"):
        read(jsonl(tmp_path / "a.jsonl", [{"text": "a"}]))


def test_a_column_that_is_not_there(tmp_path):
    with pytest.raises(DataError, match=r"has no column 'text'.* It has txt: correct texts\.text\."):
        read(jsonl(tmp_path / "a.jsonl", [{"txt": "a"}]))


def test_mentions_that_are_no_list(tmp_path):
    """A string would be read letter by letter."""
    with pytest.raises(DataError, match=r"column 'who' of .*a\.jsonl holds no lists: give lists of mentions"):
        read(jsonl(tmp_path / "a.jsonl", [{"text": "张伟在北京教书。", "who": "张伟"}]), mentions="who")
