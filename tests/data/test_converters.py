import pytest

from seqgpt.data.converters import SCHEMAS, Reading, get_schema
from seqgpt.errors import ConfigError, DataError
from seqgpt.tasks import AtomicTask

TONE = Reading(
    AtomicTask.classify(["praise", "complaint"], none=True), {"1": "praise", "0": "complaint"}, frozenset("2")
)
NAMES = Reading(AtomicTask.extract(["人名"]), {"PER": "人名"}, language="zh")


def convert(schema, row, reading):
    return get_schema(schema).convert(row, reading)


def test_a_class_becomes_its_words():
    gold = convert("text-classification", {"text": "Lovely.", "label": "1"}, TONE)
    assert (gold.text, gold.labels, gold.scores["praise"]) == ("Lovely.", ("praise",), 1.0)


def test_a_none_class_becomes_no_label():
    assert convert("text-classification", {"text": "Hm.", "label": "2"}, TONE).abstained


def test_tags_become_spans():
    gold = convert("sequence-labelling", {"tokens": ["李", "白"], "tags": ["B-PER", "I-PER"]}, NAMES)
    assert gold["人名"][0].text == "李白"


def test_a_text_column_is_kept_as_it_is():
    row = {"tokens": ["李白", "!"], "tags": ["B-PER", "O"], "text": " 李白  !\r\n"}
    assert convert("sequence-labelling", row, NAMES).spans[0].start == 1


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"tokens": ["李"], "tags": ["B-PERS"]}, "class 'PERS' is not among the recipe's labels. Did you mean 'PER'?"),
        ({"tokens": ["李"], "tags": [3]}, "the tags must be a list of strings"),
        ({"tokens": None, "tags": []}, "the tokens must be a list of strings"),
    ],
)
def test_rows_that_do_not_convert(row, message):
    with pytest.raises(DataError) as raised:
        convert("sequence-labelling", row, NAMES)
    assert message in str(raised.value)


def test_an_unknown_schema_lists_the_known():
    with pytest.raises(ConfigError) as raised:
        get_schema("text-clasification")
    assert "Did you mean 'text-classification'?" in str(raised.value)
    assert all(name in str(raised.value) for name in SCHEMAS)
