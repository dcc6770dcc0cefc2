"""Data sets that other teachers labelled, cleaned like answers."""

import pytest

from seqgpt.data.recipe import load_recipe
from seqgpt.synth.recheck import recheck, synthetic_recipes, to_markdown

RECIPE = """\
name: made
version: 1
source: made_{split}.jsonl
schema: span-extraction
columns: {text: text, spans: spans}
family: NER
language: en
labels: {PERSON: person, "it is a city": city}
synthetic: true
"""
ROWS = """\
{"text": "Ann met Ann in Basel.", "spans": [{"label": "PERSON", "text": "Ann", "start": 0}]}
{"text": "Ann met Ann in basel!", "spans": [{"label": "PERSON", "text": "met", "start": 4}]}
{"text": "Bobby went home alone.", "spans": [{"label": "PERSON", "text": "Bob", "start": 0}]}
{"text": "The person is tall.", "spans": [{"label": "PERSON", "text": "person", "start": 4}]}
"""


def test_what_is_rejected_and_what_is_added(tmp_path):
    (tmp_path / "made.yaml").write_text(RECIPE)
    (tmp_path / "made_train.jsonl").write_text(ROWS)
    found = recheck(str(tmp_path / "made.yaml"), tmp_path)
    assert (found.texts, found.same, found.spans, found.found, found.added) == (4, 1, 4, 2, 1)
    assert found.rejected == {"mention: only part of a word": 1, "label: the mention itself": 1}
    assert "“Bob” as PERSON" in to_markdown([found])


def test_which_sets_models_labelled():
    names = synthetic_recipes()
    assert len(names) == 7
    assert all("extract" in load_recipe(name).tasks for name in names)


@pytest.mark.shared
@pytest.mark.slow
def test_nearly_all_spans_of_a_real_set_are_found_again():
    found = recheck("gliner_sample_free_types")
    assert found.spans == 236
    assert found.found > 0.99 * found.spans
