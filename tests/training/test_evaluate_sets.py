"""Metrics of task families, where evaluation sets mix them."""

import dataclasses

import pytest

from seqgpt import Trainer
from seqgpt.evaluation.report import evaluate
from seqgpt.training.evaluate_sets import headline_of
from tests.training.conftest import make_model


def test_families_of_mixed_sets(eight, arguments):
    families = ["NER", "NER", "EE", "", "SA", "SA", "TC", "TC"]
    examples = [dataclasses.replace(one, family=family) for one, family in zip(eight, families, strict=True)]
    model = make_model()
    model.trained = True
    trainer = Trainer(model, arguments(), eight)
    found = trainer.evaluate({"a": examples[:5], "b": examples[5:]})

    def headline(*rows):
        return evaluate(model, [examples[i] for i in rows], name="x", progress=False).headline

    expected = {
        "eval_family_NER": headline(0, 1),
        "eval_family_EE": headline(2),
        "eval_family_SA": (headline(4) + headline(5)) / 2,
        "eval_family_TC": (headline(6) + headline(7)) / 2,  # the second may have several labels
    }
    assert {key: value for key, value in found.items() if "family" in key} == pytest.approx(expected)
    assert found["eval_a_offset_f1"] == pytest.approx(headline(0, 1, 2, 3))
    assert not any("family" in key for key in trainer.evaluate(eight))


@pytest.mark.parametrize(
    ("key", "headline"),
    [
        ("eval_offset_f1", "offset_f1"),
        ("eval_trec_accuracy", "accuracy"),
        ("eval_drcd_token_f1", "token_f1"),
        ("eval_partial_offset_f1", ""),
        ("eval_cluener_partial_offset_f1", ""),
        ("eval_score", ""),
        ("eval_macro_f1", ""),
    ],
)
def test_headlines_are_told_from_other_metrics(key, headline):
    assert headline_of(key) == headline
