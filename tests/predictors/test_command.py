"""A worker in plain Python stands for a peer; what it does is said by the texts."""

import json
import sys

import pytest

from seqgpt.errors import ConfigError, DataError, RunError, TextError
from seqgpt.evaluation.predictions import predict
from seqgpt.evaluation.predictor import FreeAnswer
from seqgpt.examples import Example
from seqgpt.predictors.command import Command
from seqgpt.results import Classification, Extraction, Span
from seqgpt.tasks import AtomicTask

WORKER = """
import json, os, sys

DO = {
    "crash": lambda: os._exit(3),
    "signal": lambda: os.kill(os.getpid(), 9),
    "chatter": lambda: print("loading", flush=True),
}
waiting = []
for line in sys.stdin:
    question = json.loads(line)
    waiting.append(question)
    if question["more"]:
        continue
    for question in reversed(waiting):  # in any order
        text = question["text"]
        if text in DO:
            DO[text]()
        answer = {"id": question["id"]}
        if text.startswith("{"):
            answer.update(json.loads(text))
        elif question["task"] == "extract":
            spans = [{"label": label, "start": text.index(label), "end": text.index(label) + len(label), "score": 0.5}
                     for label in question["labels"] if label in text]
            answer["spans"] = spans
        else:
            held = [label for label in question["labels"] if label in text]
            answer["labels"] = held if question.get("multi_label") else held[:1]
        print(json.dumps(answer), flush=True)
    waiting = []
    print("answered", file=sys.stderr)
"""
WHO = AtomicTask.extract(["人", "Ann"])
TOPIC = AtomicTask.classify(["war", "sport"], none=True)
TOPICS = AtomicTask.classify(["war", "sport"], multi_label=True)


@pytest.fixture
def command(tmp_path):
    file = tmp_path / "worker.py"
    file.write_text(WORKER, encoding="utf-8")
    with Command([sys.executable, str(file)]) as opened:
        yield opened


def test_answers_belong_to_their_questions(command):
    texts = ["Ann und 人 \u2028 \r\n", "nobody", "sport and war"]
    pairs = [(text, task) for text in texts for task in (WHO, TOPIC, TOPICS)]
    written = command.predict_pairs(pairs)
    assert [(one.result.text, one.result.task) for one in written] == pairs
    assert written[0].result == Extraction.of(
        texts[0], WHO, [Span("人", "人", 8, 9, 0.5), Span("Ann", "Ann", 0, 3, 0.5)]
    )
    assert written[8] == FreeAnswer(Classification.of(texts[2], TOPICS, ("war", "sport")))
    assert command.predict_pairs([("war", TOPIC)])[0].result.label == "war"
    assert command.predict_pairs([]) == []


def test_scores_and_what_could_not_be_read_are_given(command):
    said = {"labels": ["sport"], "scores": {"sport": 0.75, "war": 0}, "malformed": True, "ungrounded": 2}
    (written,) = command.predict_pairs([(json.dumps(said), TOPIC)])
    assert (written.result.scores, written.malformed, written.ungrounded) == ({"war": 0.0, "sport": 0.75}, True, 2)


@pytest.mark.slow
def test_more_than_pipes_hold_goes_both_ways(tmp_path):
    """A worker that answers each question at once, while more is written than it has read."""
    file = tmp_path / "worker.py"
    file.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    question = json.loads(line)\n"
        "    spans = [{'label': 'x', 'start': i, 'end': i + 1} for i in range(2000)]\n"
        "    print(json.dumps({'id': question['id'], 'spans': spans}), flush=True)\n"
    )
    with Command([sys.executable, str(file)]) as command:
        written = command.predict_pairs([("x" * 100_000, AtomicTask.extract(["x"]))] * 20)
    assert [len(one.result.spans) for one in written] == [2000] * 20


def test_it_is_started_at_the_first_question_and_ended_at_last(command):
    assert command._process is None
    command.predict_pairs([("a", WHO)])
    process = command._process
    command.predict_pairs([("a", WHO)])
    assert command._process is process
    command.close()
    assert process.returncode == 0
    command.close()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("crash", RunError, "ended with code 3 before it had answered"),
        ("signal", RunError, "was ended by signal 9"),
        ("chatter", DataError, "wrote 'loading', which is no JSON object"),
        ('{"error": "too long."}', RunError, r"failed on the text .*: too long\."),
        ('{"id": 99}', DataError, "has the id 99, which was not asked"),
        ('{"id": true}', DataError, "has the id True"),
        ('{"spams": []}', DataError, r"unknown key 'spams'\. Did you mean 'spans'\?"),
        ('{"labels": []}', DataError, "needs spans, a list"),
        ('{"spans": [{"label": "Ann", "start": 3, "end": 3}]}', DataError, r"3:3 is not in the text"),
        ('{"spans": [{"label": "Ann", "start": 3, "end": 999}]}', DataError, r"3:999 is not in the text"),
        ('{"spans": [{"label": "Ann", "start": 3}]}', DataError, "give label, start and end"),
        ('{"spans": [{"label": "Bob", "start": 0, "end": 1}]}', DataError, "'Bob' is not among"),
        ('{"spans": [{"label": "Ann", "start": 0, "end": 1, "score": 2}]}', DataError, "from 0 to 1"),
        ('{"spans": [], "malformed": 1}', DataError, "malformed must be true or false"),
    ],
)
def test_what_goes_wrong_is_told_in_a_sentence_and_the_next_text_is_answered(command, text, error, message):
    with pytest.raises(error, match=message):
        command.predict_pairs([("Ann", WHO), (text, WHO)])
    (written,) = command.predict_pairs([("Ann", WHO)])
    assert len(written.result.spans) == 1


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"labels": "war"}, "needs labels"),
        ({"labels": ["peace"]}, "'peace' is not among"),
        ({"labels": ["war", "sport"]}, "one answer"),
        ({"labels": ["war"], "scores": {"war": 1.5, "sport": 0}}, "from 0 to 1"),
        ({"labels": ["war"], "scores": {"war": 1}}, "'sport' has no score"),
        ({"labels": ["war"], "scores": [1, 0]}, "give an object"),
        ({"labels": [["war"]]}, "is not among"),
    ],
)
def test_answers_to_classifications_are_checked(command, said, message):
    with pytest.raises(DataError, match=message):
        command.predict_pairs([(json.dumps(said), TOPIC)])


def test_a_text_that_ends_it_costs_that_text_only(command):
    texts = ["Ann", "crash", "Ann", '{"error": "no."}', "nobody"]
    record = {"task": "extract", "labels": ["Ann"], "answer": {}}
    predictions = predict(command, [Example.from_dict({"text": text, **record}) for text in texts])
    assert [len(one.result.spans) for one in predictions] == [1, 0, 1, 0, 0]
    assert [bool(one.error) for one in predictions] == [False, True, False, True, False]


def test_one_that_never_answers_is_not_started_for_ever(tmp_path):
    file = tmp_path / "worker.py"
    file.write_text(f"open({str(tmp_path / 'starts')!r}, 'a').write('x')\nimport no_such_module_at_all\n")
    examples = [Example.from_dict({"text": str(i), "task": "extract", "labels": ["x"], "answer": {}}) for i in range(9)]
    with (
        Command([sys.executable, str(file)]) as command,
        pytest.raises(RunError, match="ended 3 times before it answered anything"),
    ):
        predict(command, examples)
    assert (tmp_path / "starts").read_text() == "xxx"
    with pytest.raises(RunError, match="ended 3 times before it answered anything"):
        command.predict_pairs([("a", WHO)])


def test_one_that_has_no_answer_in_time_is_ended(tmp_path):
    file = tmp_path / "worker.py"
    file.write_text("import time\ntime.sleep(60)\n")
    with (
        Command([sys.executable, str(file)], seconds=0.2) as command,
        pytest.raises(RunError, match=r"was ended: it had no answer in 0\.2 seconds"),
    ):
        command.predict_pairs([("a", WHO)])


def test_one_that_has_answered_may_end_often(tmp_path):
    file = tmp_path / "worker.py"
    file.write_text(
        "import json, sys\n"
        "for line in sys.stdin:\n"
        "    asked = json.loads(line)\n"
        "    if asked['text'].startswith('bad'): sys.exit(1)\n"
        "    print(json.dumps({'id': asked['id'], 'spans': []}), flush=True)\n"
    )
    texts = ["good", "bad 1", "bad 2", "bad 3", "bad 4", "good 2", "good 3"]
    examples = [Example.from_dict({"text": text, "task": "extract", "labels": ["x"], "answer": {}}) for text in texts]
    with Command([sys.executable, str(file)]) as command:
        done = predict(command, examples)
    assert [text for text, one in zip(texts, done, strict=True) if one.error] == texts[1:5]


def test_one_that_does_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr("seqgpt.predictors.command._SECONDS_TO_END", 0.1)
    file = tmp_path / "worker.py"
    file.write_text('import time\nprint(\'{"id": 1, "spans": []}\', flush=True)\ntime.sleep(60)\n')
    command = Command([sys.executable, str(file)])
    command.predict_pairs([("a", WHO)])
    process = command._process
    command.close()
    assert process.returncode == -9


def test_commands_that_are_none(command):
    with pytest.raises(ConfigError, match="is a list of a program"):
        Command([])
    with pytest.raises(RunError, match="cannot start the command 'no-such-program-here x': No such file"):
        Command(["no-such-program-here", "x"]).predict_pairs([("a", WHO)])
    with pytest.raises(TextError):
        command.predict_pairs([("", WHO)])


def test_standard_error_passes_through(command, capfd):
    command.predict_pairs([("Ann", WHO)])
    command.close()
    assert capfd.readouterr().err == "answered\n"
