"""The bundled examples are what they are said to be."""

import json
from collections import Counter

import pytest

from seqgpt.data import sample
from seqgpt.data.sample import load_sample
from seqgpt.examples import Example
from seqgpt.results import Extraction

FAMILIES = {"TC", "SA", "ID", "NLI", "MRC", "ET", "NER", "SF", "RE", "EE"}


@pytest.fixture(scope="module")
def splits():
    return {"train": load_sample("train"), "test": load_sample("test")}


@pytest.fixture(scope="module")
def everything(splits):
    return [example for examples in splits.values() for example in examples]


def test_there_are_enough_and_a_fifth_is_held_out(splits, everything):
    assert len(everything) >= 300
    assert len(splits["test"]) * 5 == len(everything)


@pytest.mark.parametrize("split", ["train", "test"])
def test_all_families_and_both_languages_alike(splits, split):
    found = Counter((example.family, example.language) for example in splits[split])
    assert found.keys() == {(family, language) for family in FAMILIES for language in ("en", "zh")}
    assert len(set(found.values())) == 1


def test_ids_name_their_split_and_are_unique(splits, everything):
    assert all(e.id.startswith(f"sample/{split}/") for split, examples in splits.items() for e in examples)
    assert len({example.id for example in everything}) == len(everything)


def test_no_text_twice(everything):
    texts = Counter(" ".join(example.text.split()).casefold() for example in everything)
    assert [text for text, n in texts.items() if n > 1] == []


def test_lengths(everything):
    assert [(e.id, len(e.text)) for e in everything if not 20 <= len(e.text) <= 300] == []


def test_the_languages_are_what_they_say(everything):
    for example in everything:
        chinese = sum("\u4e00" <= char <= "\u9fff" for char in example.text)
        assert (chinese > len(example.text) / 3) == (example.language == "zh"), example.id


def test_a_third_has_something_absent(everything):
    absent = [
        bool(gold.absent)
        if isinstance(gold := example.gold, Extraction)
        else gold.abstained or (gold.task.multi_label and len(gold.labels) < len(gold.task.labels))
        for example in everything
    ]
    assert sum(absent) * 3 >= len(everything)


def test_both_kinds_of_task_and_all_their_forms(everything):
    tasks = [example.task for example in everything]
    assert {task.kind for task in tasks} == {"extract", "classify"}
    assert any(task.multi_label for task in tasks)
    assert any(task.none for task in tasks)
    assert any(task.descriptions for task in tasks)


def test_every_span_is_grounded_without_doubt(everything):
    for example in everything:
        for span in example.gold.spans if isinstance(example.gold, Extraction) else ():
            assert example.text[span.start : span.end] == span.text == span.text.strip()
            assert span.status == "exact", (example.id, span)


@pytest.mark.parametrize("split", ["train", "test"])
def test_every_line_is_canonical(split):
    for line in (sample._FOLDER / f"{split}.jsonl").read_text(encoding="utf-8").splitlines():
        assert json.dumps(Example.from_dict(json.loads(line)).to_dict(), ensure_ascii=False) == line
