import json
import pickle

import pytest
from hypothesis import given

from seqgpt.errors import DataError, LabelError, ModelError, TextError
from seqgpt.tasks import AtomicTask
from seqgpt.texts import check_text
from tests.strategies import quick, tasks

HALF = "\ud83d"


@quick
@given(tasks())
def test_from_dict_undoes_to_dict_through_json(task):
    assert AtomicTask.from_dict(json.loads(json.dumps(task.to_dict()))) == task
    assert AtomicTask.from_dict(task.to_dict() | {"name": "mine"}).name == "mine"


@quick
@given(tasks())
def test_tasks_are_frozen_hashable_and_can_be_sent_to_another_process(task):
    assert hash(task) == hash(pickle.loads(pickle.dumps(task)))  # noqa: S301
    assert pickle.loads(pickle.dumps(task)) == task  # noqa: S301
    with pytest.raises(AttributeError):
        task.none = True


def test_descriptions_are_a_copy_without_empty_ones():
    mine = {"a": "first", "b": "", "c": None, "d": "  "}
    task = AtomicTask.extract(mine)
    mine["a"] = "changed"
    assert task.labels == ("a", "b", "c", "d")
    assert task.descriptions == {"a": "first"}


def test_with_labels_keeps_the_rest():
    task = AtomicTask.classify({"a": "first", "b": "second"}, multi_label=True, name="n")
    assert task.with_labels(["b"]) == AtomicTask("classify", ("b",), {"b": "second"}, True, False, "n")
    assert task.with_labels(["b", "a"]).labels == ("b", "a")
    with pytest.raises(LabelError, match="label 'z' is not among the task's labels"):
        task.with_labels(["b", "z"])


def test_repr_is_how_it_was_built():
    assert repr(AtomicTask.extract(["a"])) == "AtomicTask.extract(['a'])"
    assert repr(AtomicTask.classify(["a"], none=True, name="n")) == "AtomicTask.classify(['a'], none=True, name='n')"
    assert repr(AtomicTask.extract(list("abcdefghij"))).endswith("'h', … 2 more])")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("person", r"not the string 'person': write \['person'\]"),
        ([], "give at least one"),
        ({}, "give at least one"),
        (["a", "a"], "'a' is given twice"),
        (["a", ""], "a label is empty"),
        (["a", " \t"], "a label is empty"),
        (["a", 5], "a label must be a string, not 5"),
        (["a", ["b"]], "a label must be a string"),
        ([HALF], "half of a surrogate pair"),
        ({"a", "b"}, "put them in a list, in order"),
        (5, "must be a list or a dict, not 5"),
        (None, "must be a list or a dict, not None"),
        (b"ab", "must be a list or a dict"),
        ({"a": 5}, "the description of 'a' must be a string, not 5"),
        ({"a": HALF}, "the description of 'a' has half of a surrogate pair"),
    ],
)
@pytest.mark.parametrize("make", [AtomicTask.extract, AtomicTask.classify])
def test_wrong_labels(make, labels, message):
    with pytest.raises(LabelError, match=message):
        make(labels)


def test_wrong_options():
    with pytest.raises(LabelError, match="unknown task 'ner': use 'extract' or 'classify'"):
        AtomicTask("ner", ("a",))
    with pytest.raises(LabelError, match=r"name .* has half of a surrogate pair"):
        AtomicTask.extract(["a"], name=HALF)
    with pytest.raises(LabelError, match="leave them out for extraction"):
        AtomicTask("extract", ("a",), multi_label=True)
    with pytest.raises(LabelError, match="leave none=True out"):
        AtomicTask.classify(["a"], multi_label=True, none=True)
    with pytest.raises(LabelError, match=r"'lable' is not among .* Did you mean 'label'\?"):
        AtomicTask("extract", ("label",), {"lable": "x"})
    with pytest.raises(LabelError, match="not the string"):
        AtomicTask("extract", "ab")


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"labels": ["a"]}, "key 'task' is missing"),
        ({"task": "extract"}, "key 'labels' is missing"),
        ({"task": "classify", "labels": ["a"], "multi_label": "false"}, "multi_label is 'false': write true or false"),
        ({"task": "classify", "labels": ["a"], "none": None}, "none is None: write true or false"),
        ({"task": "classify", "labels": ["a"], "name": 5}, "must be a string, not 5"),
    ],
)
def test_wrong_records(record, message):
    with pytest.raises(DataError, match=message):
        AtomicTask.from_dict(record)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the text is empty"),
        (" \n\u3000", "the text is empty"),
        (None, "must be a string, not NoneType"),
        (["a"], "must be a string, not list"),
        (b"a", "must be a string, not bytes"),
        ("ab" + HALF, "half of a surrogate pair at 2"),
    ],
)
def test_wrong_texts(text, message):
    task = AtomicTask.extract(["a"])
    for call in (check_text, task.prompt, lambda text: task.parse("", text)):
        with pytest.raises(TextError, match=message):
            call(text)


def test_unknown_template():
    with pytest.raises(ModelError, match=r"unknown template 'seqgpt-marks'.* Did you mean 'seqgpt-marks-4'\?"):
        AtomicTask.extract(["a"]).prompt("x", template="seqgpt-marks")
