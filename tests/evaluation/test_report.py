import json

import pytest

from seqgpt.errors import DataError
from seqgpt.evaluation.report import evaluate
from seqgpt.examples import Example

NAMES = {"task": "extract", "labels": ["person", "place"]}
TONE = {"task": "classify", "labels": ["praise", "complaint"], "none": True}


def example(text, answer, task):
    return Example.from_dict({"text": text, "answer": answer, **task})


EXTRACTIONS = [
    example("Ada met Ada", {"person": [{"text": "Ada", "start": 0}]}, NAMES),
    example("nobody", {}, NAMES),
]
CLASSES = [example("good", ["praise"], TONE), example("bad", ["complaint"], TONE), example("hm", [], TONE)]


class Scripted:
    """Answers with the results it was given, and notes what it was asked."""

    def __init__(self, results):
        self.results = results

    def predict_pairs(self, pairs, *, progress=False):
        self.asked, self.progress = pairs, progress
        return self.results


def test_a_perfect_prediction():
    predictor = Scripted([e.gold for e in EXTRACTIONS])
    report = evaluate(predictor, EXTRACTIONS, name="perfect", progress=False)
    assert predictor.asked == [(e.text, e.task) for e in EXTRACTIONS]
    assert not predictor.progress
    assert (report.name, report.kind, report.n, report.headline) == ("perfect", "extract", 2, 1.0)
    assert list(report.per_label) == ["person"]
    assert report.metrics.pop("calibration_error") == 0.0
    assert set(report.metrics.values()) == {1.0}


def test_offsets_and_strings_differ():
    predicted = [example("Ada met Ada", {"person": [{"text": "Ada", "start": 8}]}, NAMES).gold, EXTRACTIONS[1].gold]
    metrics = evaluate(Scripted(predicted), EXTRACTIONS, name="x").metrics
    assert (metrics["offset_f1"], metrics["string_f1"]) == (0.0, 1.0)


def test_classification():
    predicted = [CLASSES[0].gold, example("bad", ["praise"], TONE).gold, CLASSES[2].gold]
    report = evaluate(Scripted(predicted), CLASSES, name="x")
    assert report.headline == report.metrics["accuracy"] == pytest.approx(2 / 3)
    assert report.metrics["macro_f1"] == pytest.approx((2 / 3 + 0) / 2)
    assert report.abstention.f1 == 1.0
    record = json.loads(json.dumps(report.to_dict()))
    assert record["per_label"]["f1"]["praise"] == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "support": 1,
    }
    assert record["texts_per_second"] == pytest.approx(3 / report.seconds)


@pytest.mark.parametrize(
    ("examples", "results", "message"),
    [
        ([], [], "x: there are no examples to evaluate"),
        ([*EXTRACTIONS, *CLASSES], [], "x: extract and classify are mixed"),
        (CLASSES, [CLASSES[0].gold], "x: 3 gold results have 1 predictions"),
        (CLASSES[:2], [CLASSES[1].gold, CLASSES[0].gold], "x: prediction 0 is of another text"),
    ],
)
def test_what_cannot_be_evaluated(examples, results, message):
    with pytest.raises(DataError, match=message):
        evaluate(Scripted(results), examples, name="x")
