"""``seqgpt evaluate``: tables on standard output, reports in a folder, one clear line for every wrong input."""

import json
import sys

import pytest

from seqgpt.cli import main
from seqgpt.evaluation.evaluation import open_evaluation
from tests.cli.test_predict_and_train import complaint, eight_lines, folder, model  # noqa: F401


@pytest.mark.slow
def test_evaluate(model, tmp_path, capfd):  # noqa: F811
    run = tmp_path / "run"
    asked = ["evaluate", "--recipes", "sample", "--limit", "8", "--baselines", "--output", str(run)]
    assert main(asked) == 0
    out, err = capfd.readouterr()
    header, _, *rows = out.split("\n\n")[0].splitlines()
    assert header.startswith("| data set | n | metric | model |")
    assert {row.split("|")[1].strip() for row in rows} <= {
        "sample (extract)",
        "sample (classify)",
        "sample (multi_label)",
    }
    assert "texts, accuracy" in err
    report = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert report["about"]["predictors"]["model"]["folder"] == str(model)
    assert report["about"]["predictors"]["model"]["template"] == "seqgpt-marks-4"
    assert sum(one["n"] for one in report["sets"]) == 8
    assert all(len(one["reports"]) > 1 for one in report["sets"])
    assert report == open_evaluation(run).to_dict()
    assert (run / "report.md").read_text(encoding="utf-8").count(header) == 1
    assert main(asked) == 0  # nothing is predicted again
    assert capfd.readouterr().out == out
    again = json.loads((run / "report.json").read_text(encoding="utf-8"))
    assert (again["sets"], again["about"]["earlier runs"]) == (report["sets"], 1)
    said = complaint(capfd, *asked, "--threshold", "0.9")
    assert "has predictions of another 'model' (threshold: 0.5 then, 0.9 now)" in said


@pytest.mark.slow
def test_spans_that_overlap(model, tmp_path, capfd):  # noqa: F811
    asked = ["evaluate", "--recipes", "sample", "--limit", "12", "--threshold", "0.05", "--output"]
    for folder_name, more in (("all", []), ("flat", ["--overlap", "flat"])):
        assert main([*asked, str(tmp_path / folder_name), *more]) == 0
    every, flat = (open_evaluation(tmp_path / name).by_set()["sample (extract)"]["model"] for name in ("all", "flat"))
    assert [one.result.flat().spans for one in every.predictions] == [one.result.spans for one in flat.predictions]
    assert [one.result.spans for one in every.predictions] != [one.result.spans for one in flat.predictions]
    capfd.readouterr()
    said = complaint(capfd, *asked, str(tmp_path / "all"), "--overlap", "flat")
    assert "has predictions of another 'model' (overlap: 'allow' then, 'flat' now)" in said
    said = complaint(capfd, "evaluate", "--recipes", "sample", "--predictor", f"model:{model}", "--overlap", "flat")
    assert "--threshold, --overlap and --int8 are of the model of --model: name it, or leave them out" in said


def test_the_report_alone(model, tmp_path, capfd):  # noqa: F811
    file = tmp_path / "report.json"
    assert main(["evaluate", "--recipes", "sample", "--limit", "8", "--output", str(file)]) == 0
    assert [one["n"] for one in json.loads(file.read_text(encoding="utf-8"))["sets"]]
    assert list(tmp_path.iterdir()) == [file]


def test_evaluate_a_file(model, tmp_path, capfd, eight_lines):  # noqa: F811
    assert main(["evaluate", "--recipes", str(eight_lines), "--baselines"]) == 0
    assert len(capfd.readouterr().out.split("\n\n")[0].splitlines()) == 5


def test_the_table_is_there_even_if_a_report_cannot_be_written(model, tmp_path, capfd, monkeypatch):  # noqa: F811
    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("seqgpt.evaluation.files.write_file", full)
    assert main(["evaluate", "--recipes", "sample", "--limit", "1", "--output", str(tmp_path / "run")]) == 2
    out, err = capfd.readouterr()
    assert out.startswith("| data set |")
    assert "report.json: No space left on device. Check the path, and make room" in err.splitlines()[-1]


@pytest.mark.slow
def test_rows_that_cannot_be_evaluated(model, tmp_path, capfd, eight_lines):  # noqa: F811
    path = tmp_path / "more.jsonl"
    path.write_text(eight_lines.read_text(encoding="utf-8") + "{}\n", encoding="utf-8")
    said = complaint(capfd, "evaluate", "--recipes", f"{eight_lines},{path}")
    assert "more.jsonl, line 9: key 'text' is missing" in said
    assert main(["evaluate", "--recipes", f"{eight_lines},{path}", "--on-bad-row", "skip"]) == 0
    out, err = capfd.readouterr()
    assert len(out.split("\n\n")[0].splitlines()) == 8
    assert f"{path}: 1 rows skipped: {path}, line 9: key 'text' is missing" in err
    path.write_text("{}\n", encoding="utf-8")
    assert main(["evaluate", "--recipes", str(path), "--on-bad-row", "skip"]) == 2
    assert "every row was skipped" in capfd.readouterr().err


def test_a_label_that_the_task_does_not_list(model, tmp_path, capfd):  # noqa: F811
    path = tmp_path / "mine.jsonl"
    path.write_text('{"text": "x", "task": "classify", "labels": ["a", "b"], "answer": ["c"]}\n', encoding="utf-8")
    assert "mine.jsonl, line 1: label 'c' is not" in complaint(capfd, "evaluate", "--recipes", str(path))


def test_a_recipe_without_a_test_split(model, tmp_path, capfd, monkeypatch):  # noqa: F811
    """Its data lie beside it, so that the folder of the data sets has nothing to say of it."""
    (tmp_path / "data").mkdir()
    (tmp_path / "tones").mkdir()
    (tmp_path / "tones" / "train.csv").write_text("text,label\nWell done.,a\nNo.,b\n", encoding="utf-8")
    recipe = tmp_path / "tones.yaml"
    recipe.write_text(
        """\
name: tones
version: 1
source: tones/{split}.csv
schema: text-classification
columns: {text: text, label: label}
family: SA
language: en
labels:
  a: {en: praise, zh: 表扬}
  b: {en: complaint, zh: 投诉}
licence: mine
citation: mine
checked: true
""",
        encoding="utf-8",
    )
    monkeypatch.setenv("SEQGPT_DATA", str(tmp_path / "data"))
    said = complaint(capfd, "evaluate", "--recipes", f"sample,{recipe}")
    assert "split 'test': no file " in said
    assert "test.csv; there is train.csv: ask for one of these splits." in said
    assert main(["evaluate", "--recipes", str(recipe), "--split", "train"]) == 0
    assert "| 2 | accuracy |" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--recipes", "cluner"], "Did you mean 'cluener'?"),
        (["--recipes", "a,,b"], "--recipes is 'a,,b': give names separated by commas"),
        (["--recipes", "none.jsonl"], "cannot read none.jsonl"),
        (["--recipes", "sample", "--limit", "1", "--output", "file"], "cannot write file"),
        (["--recipes", "sample", "--limit", "1", "--output", "."], ". holds something that is no evaluation"),
        (["--recipes", "sample", "--output", "no/such/report.json"], "no/such/report.json: there is no such folder"),
        (["--suite", "zero_shot"], "Did you mean 'zero_shot_"),
        (["--suite", "in_domain", "--recipes", "trec"], "both say what to evaluate on: give one of them"),
        (["--recipes", "trec", "--families", "NER"], "nothing is left to evaluate on"),
        ([], "nothing says what to evaluate on: give, for example, --suite zero_shot_en"),
    ],
)
def test_wrong_evaluations(model, capfd, monkeypatch, tmp_path, arguments, message):  # noqa: F811
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    assert main(["evaluate", *arguments]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert message in err.splitlines()[-1]


@pytest.mark.slow
def test_other_predictors(model, tmp_path, capfd):  # noqa: F811
    worker = tmp_path / "worker.py"
    worker.write_text(
        """\
import json, sys
for line in sys.stdin:
    asked = json.loads(line)
    said = {"spans": []} if asked["task"] == "extract" else {"labels": asked["labels"][:1]}
    print(json.dumps({"id": asked["id"], **said}), flush=True)
""",
        encoding="utf-8",
    )
    others = ["--predictor", f"first=command:{sys.executable} {worker}", "--predictor", f"model:{model}"]
    asked = ["evaluate", "--recipes", "sample", "--limit", "8", "--output", str(tmp_path / "run")]
    assert main([*asked, *others]) == 0
    header = capfd.readouterr().out.splitlines()[0]
    assert header == f"| data set | n | metric | first | model:{model.name} |"
    assert main([*asked, *others, "--model", str(model)]) == 0
    rows = capfd.readouterr().out.split("\n\n")[0].splitlines()
    assert rows[0] == f"| data set | n | metric | model | first | model:{model.name} |"
    for row in rows[2:]:
        _, _, _, _, ours, _, again, _ = row.split("|")
        assert ours == again
    for wrong, message in (
        (["--predictor", "modle:x"], "'modle:x' names no predictor. Did you mean 'model'"),
        (
            ["--predictor", "model:x", "--predictor", "free=model:y", "--predictor", "free=z:y"],
            "two predictors have one name",
        ),
    ):
        assert main([*asked, *wrong]) == 2
        assert message in capfd.readouterr().err


@pytest.mark.slow
def test_compare(model, tmp_path, capfd):  # noqa: F811
    run, other, page = tmp_path / "run", tmp_path / "other", tmp_path / "page.html"
    asked = ["evaluate", "--recipes", "sample", "--limit", "8"]
    assert main([*asked, "--baselines", "--output", str(run)]) == 0
    assert main([*asked, "--threshold", "0.9", "--output", str(other)]) == 0
    capfd.readouterr()
    assert main(["compare", str(run), str(other), "--output", str(page)]) == 0
    out = capfd.readouterr().out
    assert out.startswith("| data set | n | metric | model (A) | model (B) | difference |")
    assert out.splitlines()[-1].startswith("Of 3 sets, model (B) is better on ")
    assert page.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert main(["compare", str(run), "--of", "model,majority class"]) == 0
    assert "| model | majority class |" in capfd.readouterr().out
    for wrong, message in (
        ([str(run)], "nothing says what to compare"),
        ([str(run), "--of", "model"], "name two predictors"),
        ([str(run), "--of", "model,modle"], "Did you mean 'model'"),
        ([str(tmp_path), str(run)], "holds no evaluation"),
        ([str(run), str(other), "--output", str(tmp_path / "no" / "x.html")], "cannot write"),
    ):
        assert main(["compare", *wrong]) == 2
        assert message in capfd.readouterr().err
