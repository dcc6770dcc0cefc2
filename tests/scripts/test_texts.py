"""The raw text of the bundled model: nothing that its licence forbids, and nothing twice."""

import pyarrow as pa
import pytest
from pyarrow import parquet
from texts import Document, evenly, is_forbidden, read_documents, shuffled, used


@pytest.fixture
def folder(tmp_path):
    rows = {
        "en": [
            ("A first text.", "CC0"),
            ("a first  TEXT", "CC0"),
            ("Not for sale.", "CC BY-NC 4.0"),
            ("Another.", "MIT"),
        ],
        "zh": [("第一篇。", "CC BY-SA 4.0")],
    }
    for language, texts in rows.items():
        columns = {"text": [text for text, _ in texts], "licence": [licence for _, licence in texts]}
        columns |= {"source": ["a source"] * len(texts), "genre": ["a genre"] * len(texts)}
        parquet.write_table(pa.table(columns), tmp_path / f"{language}.parquet")
    return tmp_path


def test_what_is_forbidden_or_comes_twice_is_left_out(folder):
    assert [one.text for one in read_documents(folder)] == ["A first text.", "Another.", "第一篇。"]


@pytest.mark.parametrize("licence", ["CC BY-NC-SA 3.0", "CC BY-ND 4.0", "for research use only", "no-derivatives"])
def test_forbidden(licence):
    assert is_forbidden(licence)


@pytest.mark.parametrize("licence", ["CC BY-SA 4.0", "public domain", "MIT", "ODC-BY", "CC0 1.0", "CC BY 2.0 FR"])
def test_allowed(licence):
    assert not is_forbidden(licence)


def test_the_order_is_seeded(folder):
    documents = read_documents(folder)
    assert shuffled(documents, 1) == shuffled(documents, 1)
    assert sorted(shuffled(documents, 1)) == sorted(documents)


def test_languages_have_what_they_are_given():
    documents = [Document("12345", "s", "l", "g", language) for language in ("en", "zh", "en", "zh", "en")]
    assert [one.language for one in evenly(documents, {"en": 12, "zh": 3})] == ["en", "zh", "en", "en"]


def test_sources_are_summed(folder):
    rows = used(read_documents(folder), [3, 2, 4])
    assert [(row["language"], row["licence"], row["documents"], row["tokens"]) for row in rows] == [
        ("en", "CC0", 1, 3),
        ("en", "MIT", 1, 2),
        ("zh", "CC BY-SA 4.0", 1, 4),
    ]
