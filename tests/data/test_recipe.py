import json
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from seqgpt.data import list_recipes, load_recipe
from seqgpt.data.root import find_data_root
from seqgpt.errors import ConfigError, DataError
from seqgpt.examples import BadRows

TONES = """\
name: tones
version: 1
source: tones/{split}.parquet
schema: text-classification
columns: {text: sentence, label: tone}
family: SA
language: en
labels: {pos: {en: praise, zh: 表扬}, neg: {en: complaint, zh: 投诉}}
none: [other]
licence: none
citation: none
"""
CLASSES = ["neg", "pos", "other"]
NAMES = """\
name: names
version: 2
source: names/{split}.parquet
schema: sequence-labelling
columns: {tokens: words, tags: tags}
tag_scheme: BIO
family: NER
language: en
labels: {PER: person, LOC: place}
descriptions: {LOC: where something is}
licence: none
citation: none
"""


def write(path, columns, features=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    Dataset.from_dict(columns, features=features).to_parquet(path)


def recipe(tmp_path, source):
    path = tmp_path / "recipe.yaml"
    path.write_text(source, encoding="utf-8")
    return load_recipe(path)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    root = tmp_path_factory.mktemp("data")
    tone = Features({"sentence": Value("string"), "tone": ClassLabel(names=CLASSES)})
    write(
        root / "tones" / "train.parquet",
        {"sentence": [f"text {i}" for i in range(50)], "tone": [i % 3 for i in range(50)]},
        tone,
    )
    write(root / "tones" / "test.parquet", {"sentence": ["good", " ", "bad"], "tone": [1, 0, -1]}, tone)
    write(root / "tones" / "empty.parquet", {"sentence": [], "tone": []}, tone)
    write(root / "tones" / "strings.parquet", {"sentence": ["good", "bad"], "tone": ["pos", "negs"]})
    write(root / "tones" / "columns.parquet", {"sentences": ["good"], "tone": [1]})
    more = Features({"sentence": Value("string"), "tone": ClassLabel(names=[*CLASSES, "mixed"])})
    write(root / "tones" / "more.parquet", {"sentence": ["good"], "tone": [1]}, more)
    (root / "tones" / "broken.parquet").write_text("not parquet")
    tags = Features(
        {"words": List(Value("string")), "tags": List(ClassLabel(names=["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]))}
    )
    write(root / "names" / "train.parquet", {"words": [["in", "New", "York"]], "tags": [[0, 3, 4]]}, tags)
    return root


def test_examples_of_classes(tmp_path, root):
    tones = recipe(tmp_path, TONES)
    examples = tones.examples("train", data_root=root)
    assert [len(examples), examples[4].id, examples[4].gold.labels] == [50, "tones/train/4", ("praise",)]
    assert examples[2].gold.abstained
    assert (examples[0].family, examples[0].language) == ("SA", "en")
    assert examples[0].task.labels == ("praise", "complaint")
    assert examples[0].task.none
    assert tones.label_names("zh") == {"pos": "表扬", "neg": "投诉"}


def test_examples_of_tags(tmp_path, root):
    (example,) = recipe(tmp_path, NAMES).examples("train", data_root=root)
    assert [(s.label, s.text, s.start) for s in example.gold.spans] == [("place", "New York", 3)]


def test_columns_may_hold_class_names_themselves(tmp_path, root):
    bad = BadRows()
    examples = recipe(tmp_path, TONES).examples("strings", data_root=root, on_bad_row="skip", bad_rows=bad)
    assert [example.gold.labels for example in examples] == [("praise",)]
    assert "row 1: class 'negs' is not among the labels. Did you mean 'neg'?" in str(bad)


def test_files_without_metadata_of_datasets(tmp_path, root):
    path = tmp_path / "tones" / "train.parquet"
    path.parent.mkdir()
    pq.write_table(pa.table({"sentence": ["a"], "tone": ["pos"]}), path)
    assert recipe(tmp_path, TONES).examples("train", data_root=tmp_path)[0].gold.labels == ("praise",)


def test_a_limit_is_a_seeded_sample(tmp_path, root):
    tones = recipe(tmp_path, TONES)
    ids = {n: [e.id for e in tones.examples("train", limit=n, data_root=root)] for n in (5, 20, 99)}
    assert [len(ids[n]) for n in ids] == [5, 20, 50]
    assert set(ids[5]) < set(ids[20])
    whole = tones.examples("train", data_root=root)
    assert [e for e in whole if e.id in ids[20]] == tones.examples("train", limit=20, data_root=root)
    assert ids[5] != [e.id for e in tones.examples("train", limit=5, seed=1, data_root=root)]


def test_bad_rows_stop_or_are_counted(tmp_path, root):
    tones = recipe(tmp_path, TONES)
    with pytest.raises(DataError) as raised:
        tones.examples("test", data_root=root)
    assert str(raised.value).startswith("Recipe 'tones', split 'test', row 1: the text is empty")
    assert str(raised.value).endswith("Fix the row, or skip it (on_bad_row: skip).")
    bad = BadRows()
    assert [e.id for e in tones.examples("test", data_root=root, on_bad_row="skip", bad_rows=bad)] == ["tones/test/0"]
    assert bad.count == 2
    assert "row 2: -1 in column 'tone' is not a class number of 0 to 2" in bad.reasons[1]
    with pytest.raises(DataError, match="needs bad_rows"):
        tones.examples("test", data_root=root, on_bad_row="skip")


@pytest.mark.parametrize(
    ("split", "limit", "message"),
    [
        (
            "dev",
            None,
            "there is broken.parquet, columns.parquet, empty.parquet, more.parquet, strings.parquet, test.parquet",
        ),
        ("empty", None, "Recipe 'tones', split 'empty': the split has no rows"),
        ("columns", None, "no column 'sentence', which the recipe gives for 'text'. Did you mean 'sentences'?"),
        ("more", None, "the recipe has no words for the classes mixed"),
        ("broken", None, "is not a readable parquet file"),
        ("train", 0, "limit must be at least 1"),
    ],
)
def test_splits_that_cannot_be_read(tmp_path, root, split, limit, message):
    with pytest.raises(DataError) as raised:
        recipe(tmp_path, TONES).examples(split, limit=limit, data_root=root)
    assert message in str(raised.value)


def test_a_class_that_the_file_does_not_have(tmp_path, root):
    with pytest.raises(DataError, match=r"class 'LOCS' of the recipe is none of the file's\. Did you mean 'LOC'\?"):
        recipe(tmp_path, NAMES.replace("LOC:", "LOCS:")).examples("train", data_root=root)


def test_a_label_without_a_name_in_the_language(tmp_path):
    with pytest.raises(ConfigError, match="no name in 'zh' for 'PER'"):
        recipe(tmp_path, NAMES).label_names("zh")


WRONG = """\
name: 3
sorce: tones/{split}.parquet
source: tones.csv
schema: text-classification
columns: {txt: sentence}
family: SA
language: en
labels: {yes: {en: praise}, a: {zh: 表扬}, b: praise, c: praise, d: no}
descriptions: {e: what}
none: b
tag_scheme: BIOX
tasks: typing
roles: {z: who}
arguments: {x: [y]}
conflicts: 1
checked: 1
licence: none
"""


def test_all_problems_of_a_recipe_at_once(tmp_path):
    with pytest.raises(ConfigError) as raised:
        recipe(tmp_path, WRONG)
    message = str(raised.value)
    for part in (
        "unknown key 'sorce' (line 2). Did you mean 'source'?",
        "'name' is 3, which is not text in quotes: correct it (line 1).",
        "key 'version' is missing",
        "schema 'text-classification' gives no task 'typing'",
        "'roles' belongs to events",
        "class 'x' is not in labels",
        "role 'y' of 'x' is not in roles",
        "'conflicts' is 1: give the held-out recipes",
        "has no role 'txt' (line 5). Did you mean 'text'?",
        "needs a column for 'text'",
        "needs a column for 'label'",
        "class True in 'labels' was read as bool: put it in quotes (line 8).",
        "class 'a' in 'labels' has no words in 'en'",
        "classes 'b' and 'c' are both called 'praise'",
        "the words for class 'd' in 'labels' are False",
        "class 'e' is not in labels",
        "class 'b' means none of these, but is in labels too",
        "unknown tag scheme 'BIOX'",
        "'tag_scheme' belongs to tagged tokens",
        "'checked' is 1, which is not true or false",
        "'source' is 'tones.csv'",
    ):
        assert part in message
    assert "has 22 problems" in message


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema: text-classification", "schema: text-clasification", "Did you mean 'text-classification'?"),
        ("columns: {text: sentence, label: tone}", "columns: sentence", "'columns' is 'sentence': give {role: column}"),
        (
            "columns: {text: sentence, label: tone}\n",
            "",
            "key 'columns' is missing: give {role: column}; text-classification",
        ),
        ("language: en", "language: english", "'language' is 'english': give a code such as en or zh"),
        (
            "labels: {pos: {en: praise, zh: 表扬}, neg: {en: complaint, zh: 投诉}}",
            "labels: [pos]",
            "give {class: words}",
        ),
        ("none: [other]", "none: [1]", "give the class that means none of these"),
    ],
)
def test_one_problem_of_a_recipe(tmp_path, old, new, message):
    with pytest.raises(ConfigError) as raised:
        recipe(tmp_path, TONES.replace(old, new))
    assert message in str(raised.value)


def test_none_belongs_to_classification(tmp_path):
    with pytest.raises(ConfigError, match="'none' belongs to classification"):
        recipe(tmp_path, NAMES + "none: X\n")


def test_an_unknown_recipe_is_told_its_neighbour():
    with pytest.raises(ConfigError, match=r"Did you mean 'cluener'\?"):
        load_recipe("clunner")


def test_the_data_root(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGPT_DATA", str(tmp_path))
    assert find_data_root() == tmp_path
    assert find_data_root(tmp_path.parent) == tmp_path.parent
    with pytest.raises(DataError, match="data_root is 'nowhere', which is not a folder"):
        find_data_root("nowhere")
    monkeypatch.setenv("SEQGPT_DATA", "nowhere")
    with pytest.raises(DataError, match="SEQGPT_DATA is 'nowhere'"):
        find_data_root()


def test_no_data_root(tmp_path, monkeypatch):
    monkeypatch.delenv("SEQGPT_DATA", raising=False)
    monkeypatch.setattr("seqgpt.data.root._CHECKOUT", tmp_path / "a" / "b")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match="set the environment variable SEQGPT_DATA, or pass data_root=…"):
        find_data_root()
    (tmp_path / "a" / "shared" / "data" / "nlu").mkdir(parents=True)
    assert find_data_root() == tmp_path / "a" / "shared" / "data" / "nlu"


def test_missing_data_of_the_hub_is_named(tmp_path, monkeypatch):
    wanted = "It is me/tones on the hub: download it and set SEQGPT_DATA to the folder that holds it."
    with pytest.raises(DataError, match=f"no file .*test.parquet; fetch it, or pass another data_root. {wanted}"):
        recipe(tmp_path, TONES + "hub_id: me/tones\n").examples("test", data_root=tmp_path)
    monkeypatch.setattr("seqgpt.data.splits.find_data_root", lambda _: find_data_root(tmp_path / "none"))
    with pytest.raises(DataError, match=f"which is not a folder: give the folder of the data sets. {wanted}"):
        recipe(tmp_path, TONES + "hub_id: me/tones\n").examples("test")


@pytest.mark.slow
def test_torch_is_not_loaded():
    code = "import sys, seqgpt.data, seqgpt.evaluation, seqgpt.evaluation.baselines; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", list_recipes())
def test_shipped_recipes_load_and_their_labels_are_words_in_both_languages(name):
    shipped = load_recipe(name)
    assert shipped.name == name
    assert hash(shipped) == hash(load_recipe(name))
    assert shipped.checked
    assert shipped.licence
    assert shipped.citation
    assert set(shipped.languages) == {"en", "zh"} or not shipped.labels
    for named in (*shipped.labels.values(), *shipped.roles.values()):
        for word in named.values():
            assert not re.search(r"[_<>{}|\\]|^[BIES]-|LABEL", word)
        assert re.search("[\u4e00-\u9fff]", named["zh"]) or named["zh"].isupper() or named["zh"] == named["en"]
        assert not re.search("[\u4e00-\u9fff]", named["en"])


def test_the_shipped_recipes_pass_the_scale_of_the_paper():
    recipes = [load_recipe(name) for name in list_recipes()]
    assert len(recipes) >= 229  # the paper: 152
    assert sum(len(recipe.tasks) for recipe in recipes) >= 310  # the paper: 233
    assert {recipe.family for recipe in recipes} == {"TC", "SA", "ID", "NLI", "MRC", "ET", "NER", "SF", "RE", "EE"}
    assert {recipe.name for recipe in recipes if recipe.conflicts}


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("name", list_recipes())
def test_the_shipped_recipes_are_those_of_the_manifest(name, data_root):
    shipped, entry = load_recipe(name), manifest(data_root)[name]
    if not shipped.open_labels:
        assert {*shipped.labels, *shipped.none} == set(entry["labels"])
    assert set(shipped.roles) == set(entry.get("roles") or ())
    for key in ("family", "language", "schema", "columns", "licence", "citation", "held_out", "synthetic"):
        assert getattr(shipped, key) == entry[key]
    assert shipped.hub_id == (entry["hub_id"] or "")
    assert bool(shipped.conflicts) == bool(entry.get("conflicts_with_held_out"))


@pytest.mark.shared
@pytest.mark.parametrize("name", list_recipes())
@pytest.mark.slow
def test_every_row_of_every_split_converts_to_every_task(name, data_root):
    shipped, rows = load_recipe(name), manifest(data_root)[name]["splits"]
    assert shipped.splits(data_root) == sorted(rows)
    assert {split: shipped.count_rows(split, data_root) for split in rows} == rows
    for task in shipped.tasks:
        bad = BadRows()
        counts = {
            split: len(shipped.examples(split, task=task, data_root=data_root, on_bad_row="skip", bad_rows=bad))
            for split in sorted(rows)
        }
        assert bad.count == 0
        assert counts == json.loads(COUNTS.read_text())[shipped.source_name(task)]
        assert counts == rows or task in ("typing", "pair", "tail", "type", "arguments", "reading")


COUNTS = Path(__file__).parents[1] / "golden" / "examples.json"
"""How many examples each task of each recipe gives: what a converter loses shows as a diff."""


@cache
def manifest(data_root):
    return {entry["name"]: entry for entry in json.loads((data_root / "manifest.json").read_text("utf-8"))}


def write_counts():
    counts = {}
    for name in list_recipes():
        recipe = load_recipe(name)
        for task in recipe.tasks:
            counts[recipe.source_name(task)] = {
                split: len(recipe.examples(split, task=task)) for split in recipe.splits()
            }
    lines = ",\n".join(f"{json.dumps(source)}: {json.dumps(splits)}" for source, splits in counts.items())
    COUNTS.write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":  # after a change that is meant: python -m tests.data.test_recipe
    write_counts()
