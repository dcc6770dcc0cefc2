"""Predictions: odd answers, files that were damaged, and predictors that are lost."""

import json

import numpy as np
import pytest

from seqgpt import AtomicTask, Classification, Example, Extraction, Span
from seqgpt.errors import DataError, RunError
from seqgpt.evaluation.evaluation import open_evaluation, run_evaluation
from seqgpt.evaluation.pages.evaluation_page import to_html
from seqgpt.evaluation.predictions import CannotAnswerError, predict, read_predictions
from seqgpt.evaluation.predictor import FreeAnswer, LostError
from seqgpt.evaluation.sets import EvalSet
from seqgpt.evaluation.tables import to_markdown

TONE = AtomicTask.classify(["praise", "complaint"])
WHO = AtomicTask.extract(["person"])


def classes(n):
    return [Example(Classification.of(f"text {i}", TONE, ("praise",)), str(i)) for i in range(n)]


class Answers:
    """Answers with what a function makes of a text and a task, and notes what it was asked."""

    def __init__(self, make):
        self.make, self.asked = make, []

    def predict_pairs(self, pairs, *, progress=False):
        self.asked += [len(pairs)]
        return [self.make(text, task) for text, task in pairs]


def right(text, task):
    return Classification.of(text, task, ("praise",))


def failing_on(*texts):
    def make(text, task):
        if text in texts:
            raise ValueError("too hard")
        return right(text, task)

    return make


def test_numbers_of_numpy_are_numbers(tmp_path):
    def make(text, task):
        return Extraction.of(text, task, (Span("person", "Ann", np.int64(0), np.int64(3), np.float32(0.5)),))

    examples = [Example(make("Ann left.", WHO))]
    (one,) = predict(Answers(make), examples, file=tmp_path / "x.jsonl")
    assert (one.error, one.result.spans[0].score) == ("", 0.5)
    assert read_predictions(tmp_path / "x.jsonl", examples) == {0: one}


@pytest.mark.parametrize(
    "answer",
    [
        lambda text, task: Classification.of(text, task, ("praise",), {"praise": float("nan"), "complaint": 0.0}),
        lambda text, task: Classification.of(text, task, ("praise",), {"praise": 17.0, "complaint": 0.0}),
        lambda text, task: Classification.of(text, AtomicTask.classify(["a", "b"]), ("a",)),
        lambda text, task: Classification.of("another text", task, ("praise",)),
        lambda text, task: right(text, AtomicTask.classify(["praise", "complaint"], about=["soup"])),
        lambda text, task: Classification.of(text, task, ("praise",), raw="\ud800"),
        lambda text, task: None,
        lambda text, task: "praise",
    ],
)
def test_an_odd_answer_is_the_failure_of_its_text(answer, tmp_path):
    examples = classes(5)
    predictor = Answers(lambda text, task: (answer if text == "text 2" else right)(text, task))
    done = predict(predictor, examples, file=tmp_path / "x.jsonl")
    assert [bool(one.error) for one in done] == [False, False, True, False, False]
    assert read_predictions(tmp_path / "x.jsonl", examples) == dict(enumerate(done))


def test_a_message_that_cannot_be_written_is_written(tmp_path):
    def make(text, task):
        raise ValueError("half a \ud800")

    (one,) = predict(Answers(make), classes(1), file=tmp_path / "x.jsonl")
    assert one.error == "ValueError: half a ?"


def test_a_failure_costs_few_questions_more():
    predictor = Answers(failing_on("text 5"))
    done = predict(predictor, classes(16))
    assert [i for i, one in enumerate(done) if one.error] == [5]
    assert predictor.asked == [16, 8, 4, 4, 2, 1, 1, 2, 8]


def test_a_set_of_one_text_may_fail():
    (one,) = predict(Answers(failing_on("text 0")), classes(1))
    assert one.error == "ValueError: too hard"


def test_what_failed_is_asked_again_if_that_is_said(tmp_path):
    file, examples = tmp_path / "x.jsonl", classes(9)
    predict(Answers(failing_on("text 3", "text 7")), examples, file=file)
    untouched = Answers(right)
    assert sum(bool(one.error) for one in predict(untouched, examples, file=file)) == 2
    assert untouched.asked == []
    again = Answers(failing_on("text 7"))
    assert [i for i, one in enumerate(predict(again, examples, file=file, retry_failed=True)) if one.error] == [7]
    assert again.asked == [1, 1]
    found = read_predictions(file, examples)
    assert {i: bool(one.error) for i, one in found.items()} == {i: i == 7 for i in range(9)}


def test_reading_leaves_the_file_as_it_is(tmp_path):
    file, examples = tmp_path / "x.jsonl", classes(4)
    predict(Answers(right), examples, file=file)
    cut = file.read_bytes()[:-5]
    file.write_bytes(cut)  # as another process may just be writing it
    assert list(read_predictions(file, examples)) == [0, 1, 2]
    assert file.read_bytes() == cut


@pytest.mark.parametrize("damage", ["twice", "nul", "other"])
def test_a_file_that_was_damaged_is_refused(damage, tmp_path):
    file, examples = tmp_path / "x.jsonl", classes(4)
    predict(Answers(right), examples, file=file)
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    damaged = {
        "twice": lines[:2] * 2,
        "nul": ["\0\0\0\n"],
        "other": [*lines[:3], lines[3].replace('"example": "', '"example": "0')],
    }
    file.write_text("".join(damaged[damage]), encoding="utf-8")
    with pytest.raises(DataError, match=r"x\.jsonl, line \d: .*Delete the file: its texts are then asked again"):
        read_predictions(file, examples)


def test_predictions_are_those_of_their_examples_wherever_these_stand(tmp_path):
    file, examples = tmp_path / "x.jsonl", [*classes(6), *classes(1)]  # one of them twice
    numbered = Answers(lambda text, task: Classification.of(text, task, ("praise",), raw=f"{len(numbered.asked)}"))
    predict(numbered, examples[1:4], file=file)
    done = predict(numbered, examples, file=file)
    assert [one.result.raw for one in done] == ["2", "1", "1", "1", "2", "2", "2"]
    assert numbered.asked == [3, 4]
    elsewhere = read_predictions(file, examples[::-1])
    assert list(elsewhere) == list(range(7))
    assert [elsewhere[6 - i] for i in range(1, 6)] == done[1:6]


def test_who_is_lost_stops_the_evaluation_and_fails_no_text(tmp_path):
    def make(text, task):
        if text == "text 20":
            raise LostError("the worker is gone")
        return right(text, task)

    file, examples = tmp_path / "x.jsonl", classes(40)
    with pytest.raises(RunError, match="the worker is gone"):
        predict(Answers(make), examples, file=file)
    assert len(read_predictions(file, examples)) == 16
    with pytest.raises(CannotAnswerError, match="the worker is gone"):
        predict(Answers(make), examples[20:])


def test_malformed_and_ungrounded_answers_are_shares_and_none_where_there_can_be_none():
    def named(text, task):
        return Extraction.of(text, task, (Span("person", text[:4], 0, 4),))

    def freely(text, task):
        odd = text == "text 1"
        return FreeAnswer(named(text, task), malformed=odd, ungrounded=3 * odd)

    who = EvalSet("who", "x", "extract", [Example(named(f"text {i}", WHO)) for i in range(4)])
    tone = EvalSet("tone", "x", "classify", classes(4))
    asked = {"free": Answers(freely), "constrained": Answers(named)}
    evaluation = run_evaluation(asked, [who])
    free, constrained = evaluation.entries
    assert free.report.faults == {"malformed": 1 / 4, "ungrounded": 3 / 7}
    assert constrained.report.faults == {"malformed": 0, "ungrounded": 0}
    assert run_evaluation({"constrained": Answers(right)}, [tone]).entries[0].report.faults == {"malformed": 0}
    assert evaluation.to_dict()["sets"][0]["reports"]["free"]["metrics"]["ungrounded"] == 3 / 7
    assert "| malformed | 25.0 | 0.0 |\n| ungrounded | 42.9 | 0.0 |" in to_markdown(evaluation)
    assert "ungrounded" in to_html(evaluation)


def test_a_baseline_of_the_name_of_a_predictor():
    one = EvalSet("x", "x", "classify", classes(4))
    with pytest.raises(RunError, match="a baseline is called 'a', too"):
        run_evaluation({"a": Answers(right)}, [one], rivals={"x": {"a": Answers(right)}})


def test_a_folder_that_was_only_begun_and_one_that_is_in_use(tmp_path):
    one = EvalSet("人" * 90, "x", "classify", classes(4))
    (tmp_path / "examples").mkdir()
    (tmp_path / "_evaluation.json.part").touch()

    class Again:
        def predict_pairs(self, pairs, *, progress=False):
            with pytest.raises(RunError, match="is in use by process"):
                run_evaluation({"a": Answers(right)}, [one], directory=tmp_path)
            return [right(*pair) for pair in pairs]

    run_evaluation({"a": Again()}, [one], directory=tmp_path, about={"a": {"folder": "here", "weights": "x"}})
    run_evaluation({"a": Answers(None)}, [one], directory=tmp_path, about={"a": {"folder": "there", "weights": "x"}})
    assert open_evaluation(tmp_path).entries[0].report.headline == 1.0
    (tmp_path / "evaluation.json").write_text('{"a": 1}')
    with pytest.raises(DataError, match="holds no evaluation that can be read"):
        open_evaluation(tmp_path)
    (tmp_path / "evaluation.json").write_text('{"runs": [')
    with pytest.raises(DataError, match="holds no evaluation that can be read"):
        run_evaluation({"a": Answers(right)}, [one], directory=tmp_path)


def test_reports_of_a_folder_tell_split_and_limit(tmp_path):
    one = EvalSet("x", "x", "classify", classes(4), "validation", 4)
    run_evaluation({"a": Answers(right)}, [one], directory=tmp_path, command="seqgpt evaluate x")
    report = open_evaluation(tmp_path).to_dict()
    assert (report["sets"][0]["split"], report["sets"][0]["limit"]) == ("validation", 4)
    assert report["about"]["command"] == "seqgpt evaluate x"
    assert {"torch", "transformers", "date", "machine"} <= report["about"].keys()
    json.dumps(report)
