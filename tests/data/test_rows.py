"""Rows of every format give the same examples; what cannot be read is told."""

import json

import pytest
from datasets import ClassLabel, Dataset, Features, Value

from seqgpt.data.recipe import load_recipe
from seqgpt.data.rows import SUFFIXES, read_file
from seqgpt.errors import DataError

TEXTS = ["good, really", 'so "so"', "差评"]
LABELS = ["up", "down", "down"]
TONES = """\
name: tones
version: 1
source: {source}
schema: text-classification
columns: {{text: words, label: tone}}
family: SA
language: en
labels: {{up: praise, down: blame}}
licence: none
citation: none
"""


def write_parquet(path):
    features = Features({"words": Value("string"), "tone": ClassLabel(names=["up", "down"])})
    Dataset.from_dict({"words": TEXTS, "tone": [0, 1, 1]}, features=features).to_parquet(path)


def write_jsonl(path):
    rows = [{"words": text, "tone": label} for text, label in zip(TEXTS, LABELS, strict=True)]
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def write_csv(path):
    Dataset.from_dict({"words": TEXTS, "tone": LABELS}).to_csv(path)


def write_tsv(path):
    rows = ["words\ttone", *(f"{text}\t{label}" for text, label in zip(TEXTS, LABELS, strict=True))]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


WRITERS = {".parquet": write_parquet, ".jsonl": write_jsonl, ".csv": write_csv, ".tsv": write_tsv}


def tones(tmp_path, source, more=""):
    path = tmp_path / "tones.yaml"
    path.write_text(TONES.format(source=source) + more, encoding="utf-8")
    return load_recipe(path)


@pytest.mark.parametrize("suffix", WRITERS)
def test_every_format_gives_the_same(tmp_path, suffix):
    WRITERS[suffix](tmp_path / f"train{suffix}")
    examples = tones(tmp_path, f"'{{split}}{suffix}'").examples("train", data_root=tmp_path)
    assert [example.text for example in examples] == TEXTS
    assert [example.gold.labels for example in examples] == [("praise",), ("blame",), ("blame",)]


def test_conll_files(tmp_path):
    (tmp_path / "train.conll").write_text(
        "\ufeff-DOCSTART- -X- O O\n\nAnn NNP I-NP B-PER\nleft VBD I-VP O\n\n\nRome\tNNP\tI-NP\tB-LOC\r\n\u3000 O\n",
        encoding="utf-8",
    )
    path = tmp_path / "names.yaml"
    path.write_text(
        "name: names\nversion: 1\nsource: '{split}.conll'\nschema: sequence-labelling\nfamily: NER\nlanguage: en\n"
        "columns: {tokens: tokens, tags: tags}\nlabels: {PER: person, LOC: place}\nlicence: none\ncitation: none\n"
    )
    examples = load_recipe(path).examples("train", data_root=tmp_path)
    assert [(e.text, [(s.label, s.text) for s in e.gold.spans]) for e in examples] == [
        ("Ann left", [("person", "Ann")]),
        ("Rome \u3000", [("place", "Rome")]),
    ]


def test_a_stray_quote_in_a_tsv_swallows_nothing(tmp_path):
    (tmp_path / "train.tsv").write_text('words\ttone\n"good\tup\nbad\tdown\nnever"\tdown\n', encoding="utf-8")
    examples = tones(tmp_path, "'{split}.tsv'").examples("train", data_root=tmp_path)
    assert [example.text for example in examples] == ['"good', "bad", 'never"']


def test_what_looks_like_a_date_or_a_truth_value_is_text(tmp_path):
    rows = [{"words": "2024-01-02", "tone": "up"}, {"words": "true", "tone": "down"}, {"tone": "up", "words": "a"}]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "train.csv").write_text("words,tone\n" + "".join(f"{r['words']},{r['tone']}\n" for r in rows))
    for suffix in (".jsonl", ".csv"):
        examples = tones(tmp_path, f"'{{split}}{suffix}'").examples("train", data_root=tmp_path)
        assert [example.text for example in examples] == [row["words"] for row in rows]


def test_the_first_source_that_is_there_is_read(tmp_path):
    write_jsonl(tmp_path / "train.jsonl")
    recipe = tones(tmp_path, "['{split}.parquet', '{split}.jsonl']")
    assert len(recipe.examples("train", data_root=tmp_path)) == 3
    assert recipe.splits(tmp_path) == ["train"]
    write_parquet(tmp_path / "test.parquet")
    assert recipe.splits(tmp_path) == ["test", "train"]
    with pytest.raises(DataError, match=r"there is test.parquet: ask for one of these splits"):
        recipe.examples("validation", data_root=tmp_path)


def test_the_hub_is_read_where_the_source_says_so(tmp_path, monkeypatch):
    """A folder of files stands for a data set of the hub: datasets reads both alike."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "hub").mkdir()
    write_parquet(tmp_path / "hub" / "train.parquet")
    recipe = tones(tmp_path, "hub", f"hub_id: {tmp_path / 'hub'}\n")
    assert [example.gold.labels for example in recipe.examples("train")] == [("praise",), ("blame",), ("blame",)]
    with pytest.raises(DataError, match=r"cannot be read from the hub .*: check the network and the id"):
        recipe.examples("nonsense")


def test_a_hub_that_cannot_be_reached(tmp_path, monkeypatch):
    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    recipe = tones(tmp_path, "hub", "hub_id: nobody/nothing\n")
    with pytest.raises(DataError) as raised:
        recipe.examples("train")
    assert "Recipe 'tones', split 'train': nobody/nothing cannot be read from the hub" in str(raised.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_files_that_are_cut_off_or_something_else(tmp_path, suffix):
    path = tmp_path / f"train{suffix}"
    if suffix in WRITERS:
        WRITERS[suffix](path)
    content = path.read_bytes()[:-9] if suffix == ".parquet" else b'{"words": \xff\xfe'
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"is not a readable {suffix[1:]} file"):
        tones(tmp_path, f"'{{split}}{suffix}'").examples("train", data_root=tmp_path)


def test_an_unknown_format_is_told(tmp_path):
    with pytest.raises(DataError, match=r"is of no known format: give a file that ends with .parquet, .jsonl"):
        read_file(tmp_path / "train.xlsx")
