"""Data of one's own: whatever holds them, the same examples."""

import json

import pandas as pd
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from seqgpt import DataError, read_dataset
from seqgpt.examples import BadRows

REVIEWS = [{"review": "Lovely place.", "stars": "good"}, {"review": "Never again.", "stars": "bad"}]
MAPPING = {"review": "text", "stars": "label"}
TEXT = "Tim Cook visited Shanghai."
SPANS = [
    [{"label": "person", "text": "Tim Cook", "start": 0}, {"label": "place", "text": "Shanghai", "start": 17}],
    [{"label": "person", "start": 0, "end": 8}, {"label": "place", "start": 17, "end": 25}],
    [[0, 8, "person"], [17, 25, "place"]],
]


def answers(examples):
    return [(example.text, example.task.labels, example.gold.labels) for example in examples]


def test_every_container_gives_the_same_examples(tmp_path):
    expected = [("Lovely place.", ("bad", "good"), ("good",)), ("Never again.", ("bad", "good"), ("bad",))]
    pd.DataFrame(REVIEWS).to_csv(tmp_path / "reviews.csv", index=False)
    (tmp_path / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in REVIEWS))
    for data in (
        REVIEWS,
        pd.DataFrame(REVIEWS),
        pd.DataFrame(REVIEWS).astype({"stars": "category"}),
        Dataset.from_list(REVIEWS),
        tmp_path / "reviews.csv",
        str(tmp_path / "reviews.jsonl"),
    ):
        examples = read_dataset(data, MAPPING)
        assert answers(examples) == expected
        assert [example.id for example in examples] == ["row/0", "row/1"]


def test_classes_get_words():
    numbers = [{"text": "a", "label": 1}, {"text": "b", "label": 5}]
    assert answers(read_dataset(numbers, labels={5: "good", 1: "bad"})) == [
        ("a", ("good", "bad"), ("bad",)),
        ("b", ("good", "bad"), ("good",)),
    ]
    features = Features({"text": Value("string"), "label": ClassLabel(names=["good", "bad"])})
    assert answers(read_dataset(Dataset.from_dict({"text": ["a"], "label": [1]}, features=features))) == [
        ("a", ("good", "bad"), ("bad",))
    ]
    (only,) = read_dataset([{"text": "a", "label": "other"}], labels=["good", "bad", "other"], none=["other"])
    assert (only.task.labels, only.task.none, only.gold.abstained) == (("good", "bad"), True, True)
    (several,) = read_dataset([{"text": "a", "labels": ["x", "z"]}], labels=["x", "y", "z"])
    assert (several.task.multi_label, several.gold.labels) == (True, ("x", "z"))


@pytest.mark.parametrize("spans", SPANS)
def test_spans_in_every_usual_form(spans):
    (example,) = read_dataset([{"body": TEXT, "spans": spans}], {"body": "text"})
    assert [(span.label, span.text, span.start) for span in example.gold.spans] == [
        ("person", "Tim Cook", 0),
        ("place", "Shanghai", 17),
    ]
    assert [typed.gold.labels for typed in read_dataset([{"text": TEXT, "spans": spans}], task="typing")] == [
        ("person",),
        ("place",),
    ]


def test_tagged_tokens():
    names = ["O", "B-PER", "I-PER", "B-LOC"]
    features = Features({"words": List(Value("string")), "ner_tags": List(ClassLabel(names=names))})
    data = Dataset.from_dict(
        {"words": [["Tim", "Cook", "visited", "Shanghai"]], "ner_tags": [[1, 2, 0, 3]]}, features=features
    )
    mapping = {"words": "tokens", "ner_tags": "tags"}
    (example,) = read_dataset(data, mapping, labels={"PER": "person", "LOC": "place"})
    assert example.text == "Tim Cook visited Shanghai"
    assert [(span.label, span.text) for span in example.gold.spans] == [("person", "Tim Cook"), ("place", "Shanghai")]
    (chinese,) = read_dataset([{"tokens": list("乔丹在芝加哥"), "tags": ["B-人", "I-人", *"OOOO"]}])
    assert (chinese.text, chinese.gold.spans[0].text, chinese.language) == ("乔丹在芝加哥", "乔丹", "zh")


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (REVIEWS, {}, "has columns for these roles: none. Name the columns that are text and label"),
        (REVIEWS, {"column_mapping": {"reviw": "text"}}, "has no column 'reviw'. Did you mean 'review'?"),
        (REVIEWS, {"column_mapping": {"review": "txt"}}, "the role 'txt'. Did you mean 'text'?"),
        (REVIEWS, {"column_mapping": MAPPING, "labels": ["good"]}, "no word for the class 'bad' of the list"),
        (REVIEWS, {"column_mapping": MAPPING, "task": "extract"}, "text-classification, which gives no task 'extract'"),
        ([{"tokens": ["a", "b"], "tags": [0, 1]}], {}, "a tag is 0, which is no word: write tags such as B-person"),
        ([{"text": "a", "label": 3.0}], {}, "has the class 3.0, which is no word: give labels={3.0: '…'}"),
        ([{"text": "a", "label": 3}], {}, "has the class 3, which is no word: give labels={3: '…'}"),
        ([{"text": "a", "label": None}, {"text": "b", "label": "x"}], {}, "row 0: there is no label: give it one"),
        ([{"text": "a", "label": "x"}, {"text": "b"}], {}, "row 1: there is no label: give it one"),
        (pd.DataFrame({"text": ["a", "b"], "label": ["x", None]}), {}, "row 1: there is no label: give it one"),
        (pd.DataFrame({"text": ["a", None], "label": ["x", "y"]}), {}, "row 1: a text must be a string"),
        (pd.DataFrame({"text": [], "label": []}), {}, "the frame has no rows: give at least one"),
        ([{"text": "a", "spans": [[0, 9, "x"]]}], {}, "row 0"),
        ([], {}, "the list has no rows: give at least one"),
        (3, {}, "the data are a builtins.int"),
        (DatasetDict(), {}, "give one split of it"),
        ("nothing.csv", {}, "nothing.csv is not a readable csv file"),
    ],
)
def test_what_cannot_be_read_is_told(data, options, message):
    with pytest.raises(DataError) as raised:
        read_dataset(data, **options)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "has no rows: give at least one"),
        ("text,label\n", "has no rows: give at least one"),
        ("text,label\nhello,good\nworld,\n", "row 1: there is no label: give it one"),
    ],
)
def test_files_that_lack_something(tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        read_dataset(tmp_path / "a.csv")


def test_bad_rows_are_counted():
    bad = BadRows()
    rows = [{"text": "", "label": "x"}, {"text": "a", "label": "x"}]
    assert len(read_dataset(rows, on_bad_row="skip", bad_rows=bad)) == 1
    assert bad.count == 1
