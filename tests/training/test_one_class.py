"""Examples that all have one class are told of, and trained on all the same."""

import dataclasses

import pytest

from seqgpt import Example, Trainer
from seqgpt.errors import ConfigError
from seqgpt.training.one_class import one_class


def of(*answers, labels=("good", "bad")):
    rows = [{"text": "A text.", "task": "classify", "labels": labels, "none": True, "answer": a} for a in answers]
    return [Example.from_dict(row) for row in rows]


def test_one_class_is_told(still_model, arguments, capfd):
    Trainer(still_model, arguments(), {"mine": of(*[["good"]] * 6), "yours": of(*[["good"]] * 6, ["bad"])})
    err = capfd.readouterr().err
    assert err == "mine: all 6 examples are of one class, 'good': a model learns to say nothing else\n"


def test_what_is_told_and_what_not(eight):
    assert [*one_class({"": of(*[[]] * 5)})] == [
        "all 5 examples are of one class, 'none of the labels': a model learns to say nothing else"
    ]
    assert not [*one_class({"few": of(*[["good"]] * 4), "eight": eight, "spans": eight[:1] * 9})]
    several = of(*[["good"]] * 5) + of(*[["good"]] * 5, labels=("good", "worse"))
    assert len([*one_class({"": several})]) == 2
    assert not [*one_class({"": [dataclasses.replace(one) for one in of(["good"], ["bad"]) * 5]})]


@pytest.mark.parametrize("epochs", [0, -1])
def test_no_epochs(arguments, epochs):
    with pytest.raises(ConfigError, match=f"num_train_epochs is {epochs}: give more than 0, or max_steps"):
        arguments(num_train_epochs=epochs, max_steps=-1)
    assert arguments(num_train_epochs=epochs, max_steps=3).max_steps == 3
