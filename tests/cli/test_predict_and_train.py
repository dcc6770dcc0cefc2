"""The command line: results on standard output, all else on standard error, one clear line for every wrong input."""

import io
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from seqgpt.cli import main, predict
from seqgpt.composite import Record
from seqgpt.results import Classification, Extraction, result_from_dict
from tests.training.conftest import EIGHT, make_model

ROOT = Path(__file__).resolve().parents[2]
LINE = '{"text": "Tim Cook visited Shanghai."}\n'
EXTRACT = ["--task", "extract", "--labels", "person,place"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("model")
    made = make_model()
    made.trained = True
    made.save_pretrained(path)
    return path


@pytest.fixture
def model(folder, monkeypatch):
    monkeypatch.setenv("SEQGPT_MODEL", str(folder))
    return folder


@pytest.fixture
def no_model(monkeypatch, tmp_path):
    monkeypatch.delenv("SEQGPT_MODEL", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stdin(monkeypatch):
    def give(data):
        given = data if isinstance(data, bytes) else data.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given), encoding="utf-8"))

    return give


def complaint(capfd, *arguments):
    """Run a command that must fail, and return its one line."""
    assert main(list(arguments)) == 2
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("seqgpt: ")
    return line.removeprefix("seqgpt: ")


def records(capfd):
    out, _ = capfd.readouterr()
    return [json.loads(line) for line in out.splitlines()]


def seqgpt(*arguments, stdin="", **environment):
    return subprocess.run(
        [sys.executable, "-m", "seqgpt", *arguments],
        input=stdin.encode(),
        capture_output=True,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", **environment},
    )


@pytest.mark.slow
def test_a_pipe(folder):
    done = seqgpt("predict", *EXTRACT, "--input", "-", stdin=LINE, SEQGPT_MODEL=str(folder))
    assert (done.returncode, done.stderr.decode()) == (0, "")
    (record,) = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert (record["text"], record["task"]) == ("Tim Cook visited Shanghai.", "extract")
    assert {"spans", "absent"} <= record.keys()


@pytest.mark.slow
def test_exit_codes_of_a_process():
    done = seqgpt("predict", "--task", "extract", "--labels", "人物,人物", "x", PYTHONIOENCODING="ascii")
    assert done.returncode == 2
    assert done.stdout == b""
    assert done.stderr.decode() == "seqgpt: label '人物' is given twice: give each label once.\n"


def test_spans(model, stdin, capfd):
    stdin(LINE)
    assert main(["predict", *EXTRACT, "--input", "-"]) == 0
    (record,) = records(capfd)
    result = result_from_dict(record)
    assert isinstance(result, Extraction)
    assert {span.label for span in result.spans} | set(record["absent"]) == {"person", "place"}
    for span in record["spans"]:
        assert {"label", "text", "start", "end", "score"} <= span.keys()
        assert record["text"][span["start"] : span["end"]] == span["text"]


def test_classes(model, capfd):
    assert main(["predict", "--task", "classify", "--labels", "表扬，投诉", "送餐太慢了"]) == 0
    (record,) = records(capfd)
    assert isinstance(result_from_dict(record), Classification)
    assert record["labels"][0] in record["scores"]
    assert list(record["scores"]) == ["表扬", "投诉"]
    assert main(["predict", "--task", "classify", "--labels", "a,b", "--none", "x", "y"]) == 0
    assert [record["asked"]["none"] for record in records(capfd)] == [True, True]
    assert main(["predict", "--task", "classify", "--labels", "a,b", "--multi-label", "x"]) == 0
    assert records(capfd)[0]["asked"]["multi_label"]


def test_a_schema(model, stdin, capfd):
    tree = '{"person": ["employer", "mood[calm,loud]"], "place": []}'
    assert main(["predict", "--schema", tree, "--overlap", "flat", "Tim Cook left.", "Ann came."]) == 0
    for record in records(capfd):
        assert list(Record.from_dict(record).items) == ["person", "place"]
    assert main(["predict", "--schema", '"情感[好，坏]"', "--format", "text", "送餐太慢了"]) == 0
    out, _ = capfd.readouterr()
    assert out.splitlines()[0] == "送餐太慢了"
    assert out.splitlines()[1].startswith("  情感  '")
    stdin(LINE + '{"text": "x", "task": "classify", "labels": ["a", "b"], "id": "7"}\n')
    assert main(["predict", "--schema", '["person"]', "--input", "-"]) == 0
    one, other = records(capfd)
    assert Record.from_dict(one).text == "Tim Cook visited Shanghai."
    assert (other["id"], other["task"]) == ("7", "classify")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--schema", "{person"], """--schema is no JSON (Expecting property name"""),
        (["--schema", ""], """write, for example, '{"person": ["employer"]}'."""),
        (["--schema", "[" * 100_000], "--schema is no JSON (maximum recursion"),
        (["--schema", "{}"], "the schema is empty: give at least one label."),
        (["--schema", "3"], "a schema cannot be 3"),
        (["--schema", '{"a": ["b"], "a": ["c"]}'], "label 'a' is given twice: give each label once."),
        (["--schema", '["a[b"]'], "has a bracket too many or too few"),
        (["--schema", '"a"', *EXTRACT], "--schema is a task by itself: leave out --task, --labels, --multi-label and"),
        (["--schema", '"a"', "--none"], "--schema is a task by itself"),
    ],
)
def test_what_is_no_schema(no_model, capfd, arguments, message):
    assert message in complaint(capfd, "predict", *arguments, "x")


def test_lines_keep_their_ids_and_their_tasks(model, tmp_path, capfd):
    own = {"text": "b", "id": 7, "task": "classify", "labels": ["x", "y"], "answer": ["x"]}
    path = tmp_path / "in.jsonl"
    path.write_text(f'\ufeff{{"text": "a", "id": "first"}}\n\n{json.dumps(own)}\n{{"text": "c"}}', encoding="utf-8")
    assert main(["predict", *EXTRACT, "--input", str(path), "--batch-size", "2"]) == 0
    first, second, third = records(capfd)
    assert (first["id"], second["id"], "id" in third) == ("first", 7, False)
    assert [record["task"] for record in (first, second, third)] == ["extract", "classify", "extract"]
    assert [record["text"] for record in (first, second, third)] == ["a", "b", "c"]


def test_notes_are_given_back_and_a_lone_byte_order_mark_is_a_blank_line(model, stdin, capfd):
    stdin(b'\xef\xbb\xbf\n{"text": "a", "family": "NER", "language": "en", "answer": {}}\n')
    assert main(["predict", *EXTRACT, "--input", "-"]) == 0
    (record,) = records(capfd)
    assert (record["family"], record["language"], "id" in record) == ("NER", "en", False)
    stdin('{"text": "a", "task": "extract", "labels": ["x"], "name": "mine"}')
    assert main(["predict", "--input", "-"]) == 0
    assert records(capfd)[0]["asked"]["name"] == "mine"


def test_many_lines_are_answered_in_order(model, stdin, capfd, monkeypatch):
    monkeypatch.setattr(predict, "_PREDICT_AT_ONCE", 4)
    stdin("".join(f'{{"text": "{"x" * i}"}}\n' for i in range(1, 11)))
    assert main(["predict", *EXTRACT, "--input", "-", "--batch-size", "3"]) == 0
    out, err = capfd.readouterr()
    assert [len(json.loads(line)["text"]) for line in out.splitlines()] == list(range(1, 11))
    assert "predict" in err  # the progress


def test_nothing_to_predict(model, stdin, capfd):
    stdin("\n")
    assert main(["predict", *EXTRACT, "--input", "-"]) == 0
    assert capfd.readouterr().out == ""


def test_for_people(model, capfd):
    assert main(["predict", *EXTRACT, "--format", "text", "Tim Cook visited Shanghai."]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("Tim Cook visited Shanghai.")
    assert "\x1b" not in out
    assert err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--task", "extract", "--labels", "a", " "], "the text is empty"),
        (["--task", "extract", "--labels", "a", "bad \udcff"], "half of a surrogate pair"),
        (["--task", "extract", "--labels", "a,a", "x"], "label 'a' is given twice: give each label once."),
        (["--task", "extract", "--labels", "a,,b", "x"], "--labels is 'a,,b': give names separated by commas"),
        (["--task", "extract", "--labels", "", "x"], "--labels is '': give names separated by commas"),
        (["--task", "extract", "x"], "--labels is '': give names separated by commas"),
        (["--labels", "a", "x"], "--labels, --multi-label and --none need --task extract or --task classify"),
        (["--none", "x"], "--labels, --multi-label and --none need --task extract or --task classify"),
        (["x"], "no task is given: add, for example, --task extract --labels"),
        (["--task", "extract", "--labels", "a", "--none", "x"], "belong to --task classify: leave them out"),
        (["--task", "classify", "--labels", "a", "--none", "--multi-label", "x"], "leave none=True out"),
        (["--task", "extract", "--labels", "a"], "give texts as arguments, or --input FILE.jsonl"),
        (["--task", "extract", "--labels", "a", "--input", "-", "x"], "give texts as arguments, or --input"),
        (["--task", "extract", "--labels", "a", "--input", "none.jsonl"], "cannot read none.jsonl: No such file"),
        (["--task", "extract", "--labels", "a", "--input", "."], "cannot read .: Is a directory. Check the path."),
    ],
)
def test_wrong_questions(no_model, capfd, arguments, message):
    """All are found before a model is looked for."""
    assert message in complaint(capfd, "predict", *arguments)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b'{"text": "\xff"}', "byte 10 (0xff) is not UTF-8: save the file as UTF-8."),
        (b"text", "not JSON at column 1"),
        (b"[1]", "a line must be a JSON object, not list"),
        (b'{"id": "a"}', "key 'text' is missing: every line needs one."),
        (b'{"text": "a", "lables": ["x"]}', "unknown key 'lables'. Did you mean 'labels'? Known keys: text, task"),
        (b'{"text": "a", "nam": "x"}', "Did you mean 'name'?"),
        (b'{"text": "a", "none": true}', "key 'task' is missing: a task needs task and labels."),
        (b'{"text": "a", "id": [1]}', "id is [1]: write it as a string."),
        (b'{"text": 3}', "a text must be a string, not int"),
        (b'{"text": ""}', "the text is empty"),
        (b'{"text": "a", "text": "b"}', "key 'text' is given twice"),
        (b'{"text": "a", "labels": ["x"]}', "key 'task' is missing: a task needs task and labels."),
        (b'{"text": "a", "task": "extract"}', "key 'labels' is missing: a task needs task and labels."),
        (b'{"text": "a", "task": "extract", "labels": []}', "there are no labels: give at least one."),
        (b'{"text": "a", "task": "sort", "labels": ["x"]}', "unknown task 'sort'"),
    ],
)
def test_wrong_lines(no_model, stdin, capfd, line, message):
    stdin(LINE.encode() + b"\n" + line + b"\n")
    said = complaint(capfd, "predict", *EXTRACT, "--input", "-")
    assert said.startswith("standard input, line 3: ")
    assert message in said


def test_a_line_without_a_task(no_model, stdin, capfd):
    stdin(LINE)
    said = complaint(capfd, "predict", "--input", "-")
    assert said == (
        'standard input, line 1: no task is given: add, for example, --task extract --labels "person,place".'
    )


def test_models_that_are_none(no_model, tmp_path, capfd, monkeypatch):
    assert "no config.json" in complaint(capfd, "predict", *EXTRACT, "--model", str(tmp_path), "x")
    assert "there is no folder" in complaint(capfd, "predict", *EXTRACT, "--model", str(tmp_path / "none"), "x")
    monkeypatch.setenv("SEQGPT_MODEL", str(tmp_path))
    assert "no config.json" in complaint(capfd, "evaluate", "--recipes", "sample")


def test_a_text_that_is_too_long(model, capfd):
    long, refuse = "so many words " * 300, [*EXTRACT, "--max-length", "error"]
    assert "shorten or split the text" in complaint(capfd, "predict", *refuse, long)
    assert complaint(capfd, "predict", *refuse, "x", long).startswith("text 2: text and labels have")
    assert main(["predict", *EXTRACT, "--threshold", "0.8", long]) == 0
    assert "overlapping parts" in json.loads(capfd.readouterr().out)["warnings"][0]


def test_a_line_that_is_too_long_is_found_before_any_is_answered(model, stdin, capfd, monkeypatch):
    monkeypatch.setattr(predict, "_PREDICT_AT_ONCE", 1)
    stdin(LINE + "\n" + json.dumps({"text": "so many words " * 500}) + "\n")
    said = complaint(capfd, "predict", *EXTRACT, "--max-length", "error", "--input", "-")
    assert said.startswith("standard input, line 3: text and labels have ")
    assert said.endswith("or let it be read in parts with max_length chunk.")


def test_a_model_that_was_never_trained_says_so(tmp_path, capfd):
    made = make_model()
    made.model.save_pretrained(tmp_path)
    made.tokenizer.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("default")
        assert main(["predict", *EXTRACT, "--model", str(tmp_path), "x"]) == 0
    _, err = capfd.readouterr()
    assert [line for line in err.splitlines() if line.startswith("seqgpt: this model is not trained on the template")]
    assert ".py" not in err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["predict", "--tsk", "extract"], "unrecognized arguments: --tsk"),
        (["predict", "--task", "sort", "x"], "invalid choice: 'sort'"),
        (["predict", "--batch-size", "0", "x"], "'0' is not a number of 1 or more"),
        (["predict", "--threshold", "2", "x"], "'2' is no probability from 0 up, below 1"),
        (["evaluate", "--threshold", "high", "--recipes", "trec"], "'high' is no probability from 0 up, below 1"),
        (["evaluate", "--limit", "-1", "--recipes", "a"], "'-1' is not a number of 1 or more"),
        (["prdict"], "invalid choice: 'prdict'"),
        (["predict", "--no\nsuch"], "unrecognized arguments: --no such"),
    ],
)
def test_wrong_usage(capfd, arguments, message):
    with pytest.raises(SystemExit) as raised:
        main(arguments)
    assert raised.value.code == 2
    out, err = capfd.readouterr()
    assert out == ""
    (line,) = err.splitlines()
    assert line.startswith("seqgpt: ")
    assert message in line
    assert line.endswith("--help`.")


def test_help(capfd):
    assert main([]) == 0
    out, err = capfd.readouterr()
    assert out.startswith("usage: seqgpt")
    assert all(command in out for command in ("predict", "train", "evaluate"))
    assert err == ""
    with pytest.raises(SystemExit) as raised:
        main(["--version"])
    assert raised.value.code == 0


def test_an_interruption(monkeypatch, capfd):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(predict, "_questions", interrupted)
    assert main(["predict", "x"]) == 130
    assert "interrupted." in capfd.readouterr().err


@pytest.mark.slow
def test_a_reader_that_has_seen_enough(folder):
    """As ``seqgpt predict … | head -1``: no complaint, whenever the pipe breaks."""
    lines = "".join(f'{{"text": "text {i}"}}\n' for i in range(4))
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "seqgpt", "predict", *EXTRACT, "--input", "-"],
        input=lines.encode(),
        stdout=write,
        stderr=subprocess.PIPE,
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "SEQGPT_MODEL": str(folder), "OMP_NUM_THREADS": "1"},
    )
    os.close(write)
    assert (done.returncode, done.stderr.decode()) == (0, "")


@pytest.fixture
def eight_lines(tmp_path):
    path = tmp_path / "eight.jsonl"
    path.write_text("".join(json.dumps(record) + "\n" for record in EIGHT), encoding="utf-8")
    return path


@pytest.fixture
def run_config(tmp_path, eight_lines):
    path = tmp_path / "mine.yaml"
    path.write_text(
        f"""\
output_dir: {tmp_path}/run
model:
  config: {{model_type: qwen3, hidden_size: 32, num_hidden_layers: 1, intermediate_size: 64, head_dim: 16,
    num_attention_heads: 2, num_key_value_heads: 2, max_position_embeddings: 512}}
  vocab_size: 400
data:
  train: [{eight_lines}]
  eval: [{eight_lines}]
training: {{max_steps: 2, use_cpu: true}}
""",
        encoding="utf-8",
    )
    return path


@pytest.mark.slow
def test_train(run_config, tmp_path, capfd):
    assert main(["train", str(run_config), "training.learning_rate=1e-3"]) == 0
    out, err = capfd.readouterr()
    assert out == f"{tmp_path}/run\n"
    assert "Writing model shards" not in err
    assert (tmp_path / "run" / "metrics.json").is_file()
    assert main(["train", str(run_config), "training.learning_rate=1e-3"]) == 0
    out, err = capfd.readouterr()
    assert out == f"{tmp_path}/run\n"
    assert "run is finished: its model is opened" in err
    assert "holds another run, which differs in training.learning_rate" in complaint(capfd, "train", str(run_config))
    assert main(["predict", *EXTRACT, "--model", f"{tmp_path}/run", "x"]) == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.yaml"], "cannot read none.yaml"),
        (["none"], "unknown config 'none'. Use one of bundled, "),
        (
            ["mine.yaml", "training.learnin_rate=1"],
            "unknown key 'training.learnin_rate'. Did you mean 'learning_rate'?",
        ),
        (["mine.yaml", "bla"], "'bla' is not key=value"),
        (["mine.yaml", "data.train=[none.jsonl]"], "cannot read none.jsonl"),
        (["mine.yaml", "output_dir=mine.yaml"], "output_dir 'mine.yaml' cannot be made (File exists)"),
        (["mine.yaml", "model.config={model_type: gpt9}"], "transformers has no model_type 'gpt9'"),
    ],
)
def test_wrong_runs(run_config, tmp_path, monkeypatch, capfd, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert message in complaint(capfd, "train", *arguments)
