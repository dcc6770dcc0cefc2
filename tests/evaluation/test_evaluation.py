"""Predictors on several sets, in a folder in which nothing is predicted twice."""

import json

import pytest

from seqgpt.data.sample import load_sample
from seqgpt.errors import ConfigError, DataError, RunError
from seqgpt.evaluation import baselines
from seqgpt.evaluation.baselines import MajorityClass, fit_baselines
from seqgpt.evaluation.evaluation import Evaluation, open_evaluation, run_evaluation
from seqgpt.evaluation.families import by_family
from seqgpt.evaluation.files import write_reports
from seqgpt.evaluation.report import evaluate
from seqgpt.evaluation.sets import EvalSet, kind_of, open_sets
from seqgpt.evaluation.tables import family_table, headline_table, to_markdown
from seqgpt.examples import Example, write_jsonl


class Knows:
    """Answers from a list of examples, and notes what it was asked; some texts may stop it, or be too hard."""

    def __init__(self, examples, *, stops_at=None, too_hard=()):
        self.gold = {(example.text, example.task): example.gold for example in examples}
        self.asked, self.stops_at, self.too_hard = [], stops_at, too_hard

    def predict_pairs(self, pairs, *, progress=False):
        for text, _ in pairs:
            if text == self.stops_at:
                raise KeyboardInterrupt
            if text in self.too_hard:
                raise ValueError("too\nhard")
        self.asked += [text for text, _ in pairs]
        return [self.gold[pair] for pair in pairs]


@pytest.fixture(scope="module")
def held_out():
    return load_sample("test")


@pytest.fixture
def in_fours(monkeypatch):
    monkeypatch.setattr("seqgpt.evaluation.predictions._FIRST", 4)
    monkeypatch.setattr("seqgpt.evaluation.predictions._MOST", 4)


@pytest.fixture
def classes(held_out):
    return EvalSet("classes", "sample", "classify", [e for e in held_out if kind_of(e) == "classify"][:10])


@pytest.mark.slow
def test_the_bundled_examples_beside_the_baselines(held_out, capsys):
    sets = open_sets(["sample"])
    found = run_evaluation({"model": Knows(held_out)}, sets, rivals=fit_baselines(sets)).by_set()
    assert set(found) == {"sample (extract)", "sample (classify)", "sample (multi_label)"}
    assert list(found["sample (extract)"]) == ["model", "dictionary", "dictionary of sure entries"]
    assert list(found["sample (classify)"]) == ["model", "majority class"]
    for entries in found.values():
        assert entries.pop("model").report.headline == 1.0
        assert all(entry.report.headline < 0.9 for entry in entries.values())
    out, err = capsys.readouterr()
    assert out == ""
    assert "sample (extract), model: " in err
    assert "offset_f1 100.0, 0." in err


def test_baselines_learn_from_the_training_split(held_out):
    sets = open_sets(["sample"])
    fitted = fit_baselines(sets)["sample (classify)"]["majority class"]
    train = [example for example in load_sample("train") if kind_of(example) == "classify"]
    assert fitted == MajorityClass.fit(train)


def test_a_file_has_no_baselines_and_its_own_name(held_out, tmp_path):
    path = tmp_path / "mine.jsonl"
    write_jsonl(path, [example for example in held_out if kind_of(example) == "classify"])
    (one,) = open_sets([str(path)], limit=5)
    assert (one.name, len(one.examples), fit_baselines([one])) == (str(path), 5, {})


def test_wrong_sources(tmp_path):
    with pytest.raises(ConfigError, match="unknown recipe 'smaple'"):
        open_sets(["sample", "smaple"])
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match="has no examples"):
        open_sets(["sample", str(tmp_path / "empty.jsonl")])
    with pytest.raises(DataError, match=r"^sample has no split 'tset'. Did you mean 'test'\? Use one of train, valid"):
        open_sets(["sample"], split="tset")


def test_rows_of_the_training_split_that_are_wrong(held_out, monkeypatch, classes):
    def read(name, split, *, on_bad_row, bad_rows, **_):
        if on_bad_row == "error":
            raise DataError("row 7 is wrong")
        bad_rows.add("row 7 is wrong")
        return load_sample("train")

    monkeypatch.setattr(baselines, "read_source", read)
    with pytest.raises(DataError, match="row 7 is wrong"):
        fit_baselines([classes])
    assert list(fit_baselines([classes], on_bad_row="skip")) == ["classes"]


def test_questions_are_scored_as_reading():
    question = {"text": "Ada met Bob.", "task": "extract", "labels": ["Who?"], "answer": {"Who?": ["Ada"]}}
    kinds = [kind_of(Example.from_dict({**question, "family": family})) for family in ("MRC", "NER")]
    assert kinds == ["read", "extract"]


@pytest.mark.usefixtures("in_fours")
def test_who_is_interrupted_goes_on(held_out, classes, tmp_path):
    texts = [example.text for example in classes.examples]
    before = Knows(held_out, stops_at=texts[6])
    with pytest.raises(KeyboardInterrupt):
        run_evaluation({"model": before}, [classes], directory=tmp_path / "run")
    assert before.asked == texts[:4]
    with pytest.raises(DataError, match="model has answered 4 of 10 texts of classes: run the same evaluation again"):
        open_evaluation(tmp_path / "run")
    (file,) = (tmp_path / "run" / "predictions").iterdir()
    file.write_bytes(file.read_bytes()[:-9])  # as if it had been killed while it wrote
    after = Knows(held_out)
    found = run_evaluation({"model": after}, [classes], directory=tmp_path / "run")
    assert after.asked == texts[3:]
    straight = run_evaluation({"model": Knows(held_out)}, [classes])
    assert [entry.report.metrics for entry in found.entries] == [entry.report.metrics for entry in straight.entries]


@pytest.mark.slow
def test_an_evaluation_is_opened_as_it_was(held_out, tmp_path):
    sets = open_sets(["sample"], limit=30)
    rivals = fit_baselines(sets)
    first = run_evaluation(
        {"a/b": Knows(held_out)}, sets, rivals=rivals, directory=tmp_path, about={"a/b": {"size": 3}}
    )
    again = open_evaluation(tmp_path)
    assert again.to_dict() == first.to_dict()
    assert [e.predictions for e in again.entries] == [e.predictions for e in first.entries]
    assert again.about["predictors"]["a/b"] == {"size": 3}


def test_another_evaluation_in_the_folder(held_out, classes, tmp_path):
    def run(examples, **about):
        one = EvalSet("classes", "sample", "classify", examples)
        run_evaluation({"model": Knows(held_out)}, [one], directory=tmp_path / "run", about={"model": about})

    run(classes.examples, threshold=0.5)
    with pytest.raises(RunError, match="has 10 examples of 'classes', more than the 9 that are asked: a limit can be"):
        run(classes.examples[:9], threshold=0.5)
    others = [example for example in held_out if kind_of(example) == "classify"][1:12]  # as many again, but one
    with pytest.raises(RunError, match="has other examples of 'classes'"):
        run(others, threshold=0.5)
    with pytest.raises(
        RunError, match=r"of another 'model' \(threshold: 0.5 then, 0.4 now\): give the predictor another name"
    ):
        run(classes.examples, threshold=0.4)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    with pytest.raises(RunError, match="holds something that is no evaluation"):
        run_evaluation({"model": Knows(held_out)}, [classes], directory=tmp_path / "other")
    with pytest.raises(DataError, match="holds no evaluation"):
        open_evaluation(tmp_path / "other")


@pytest.mark.usefixtures("in_fours")
def test_a_limit_that_is_raised(held_out, tmp_path, capsys):
    """What was predicted is not predicted again, wherever the further examples stand, and whoever was interrupted."""
    members = [example for example in held_out if kind_of(example) == "classify"][:12]
    few, more = (EvalSet("classes", "sample", "classify", some) for some in (members[1::2], members))
    run_evaluation({"first": Knows(held_out), "other": Knows(held_out)}, [few], directory=tmp_path)
    stops = Knows(held_out, stops_at=members[10].text)
    with pytest.raises(KeyboardInterrupt):
        run_evaluation({"first": stops}, [more], directory=tmp_path)
    assert stops.asked == [members[i].text for i in (0, 2, 4, 6)]
    goes_on = Knows(held_out, too_hard={members[10].text})
    (entry,) = run_evaluation({"first": goes_on}, [more], directory=tmp_path).entries
    assert goes_on.asked == [members[8].text]
    assert entry.of.examples == members
    assert entry.report.headline == pytest.approx(11 / 12)
    assert run_evaluation({"first": Knows([])}, [more], directory=tmp_path).to_dict()["sets"][0]["n"] == 12
    with pytest.raises(DataError, match="other has answered 6 of 12 texts of classes"):
        open_evaluation(tmp_path)
    capsys.readouterr()
    (kept,) = open_evaluation(tmp_path, finished=False).entries
    assert kept.report.to_dict() == entry.report.to_dict()
    assert kept.of.examples == members
    assert "other has answered 6 of 12 texts of classes and is left out of the report" in capsys.readouterr().err


def test_examples_of_a_folder_that_was_killed_before_it_was_one(held_out, classes, tmp_path):
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "classes.jsonl").write_text("{}\n", encoding="utf-8")
    run_evaluation({"model": Knows(held_out)}, [classes], directory=tmp_path)
    assert open_evaluation(tmp_path).entries[0].report.n == 10


def test_what_is_added_to_a_folder(held_out, classes, tmp_path):
    run_evaluation({"first": Knows(held_out)}, [classes], directory=str(tmp_path))
    second = Knows(held_out)
    run_evaluation({"first": Knows([]), "second": second}, [classes], directory=tmp_path)
    assert len(second.asked) == 10
    assert open_evaluation(tmp_path).predictors == ["first", "second"]


@pytest.mark.usefixtures("in_fours")
def test_a_predictor_that_raises_on_one_text(held_out, classes, tmp_path):
    hard = classes.examples[5].text
    predictor = Knows(held_out, too_hard={hard})
    (entry,) = run_evaluation({"model": predictor}, [classes], directory=tmp_path).entries
    assert (entry.report.n, entry.report.failed) == (10, 1)
    assert [one.error for one in entry.predictions if one.error] == ["ValueError: too hard"]
    assert entry.report.headline == pytest.approx(0.9)
    assert sorted(predictor.asked) == sorted(e.text for e in classes.examples if e.text != hard)


def test_a_predictor_that_raises_on_all(held_out, classes):
    with pytest.raises(RunError, match="classes: the predictor fails on every text: ValueError: too hard"):
        run_evaluation({"model": Knows(held_out, too_hard={e.text for e in held_out})}, [classes])


def test_nothing_to_evaluate(classes, tmp_path):
    for predictors, sets in (({}, [classes]), ({"model": Knows([])}, [])):
        with pytest.raises(RunError, match="there is nothing to evaluate: give at least one predictor and one set"):
            run_evaluation(predictors, sets, directory=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_what_a_predictor_cannot_answer_is_left_out(held_out, classes, tmp_path, capsys):
    spans = EvalSet("spans", "sample", "extract", [e for e in held_out if e.task.kind == "extract"][:10])
    picky = Knows(held_out, too_hard={example.text for example in spans.examples})
    asked = {"all": Knows(held_out), "picky": picky}
    for _ in range(2):
        found = run_evaluation(asked, [spans, classes], directory=tmp_path).by_set()
        assert {name: list(entries) for name, entries in found.items()} == {
            "spans": ["all"],
            "classes": ["all", "picky"],
        }
        assert "spans, picky: the predictor fails on every text" in capsys.readouterr().err
        assert [e.predictor for e in open_evaluation(tmp_path).entries] == ["all", "all", "picky"]


def test_tables(held_out, tmp_path):
    def some(kind, n, name, family="", language=""):
        found = [e for e in held_out if e.task.kind == kind and (e.family, e.language) == (family, language)]
        return EvalSet(name, "sample", kind, found[:n])

    spans, classes = some("extract", 3, "a|b", "NER", "en"), some("classify", 2, "c", "SA", "zh")
    rivals = {"a|b": {"none": Knows(held_out, too_hard={spans.examples[0].text})}}
    evaluation = run_evaluation({"model": Knows(held_out)}, [spans, classes], rivals=rivals)
    lines = headline_table(evaluation).splitlines()
    assert lines[:2] == ["| data set | n | metric | model | none |", "| --- | ---: | --- | ---: | ---: |"]
    assert lines[2].startswith("| a\\|b | 3 | offset_f1 | **100.0")
    assert lines[3].endswith("| – |")
    families = family_table(evaluation).splitlines()
    assert [line.split(" | ")[0] for line in families[2:]] == ["| NER", "| SA", "| all", "| all"]
    assert families[3].endswith("| 100.0 (100.0–100.0) | – |")
    write_reports(evaluation, str(tmp_path))
    assert (tmp_path / "report.md").read_text(encoding="utf-8") == to_markdown(evaluation)
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8")) == evaluation.to_dict()


def test_the_interval_of_a_family_is_that_of_a_mean_of_independent_sets(held_out, classes):
    kept = classes.examples
    sets = [classes, EvalSet("others", "sample", "classify", list(reversed(kept)))]
    evaluation = run_evaluation({"model": Knows(held_out, too_hard={one.text for one in kept[:3]})}, sets)
    group = by_family(evaluation)[-1]
    halves = [
        (of.high - of.low) / 2 for entry in evaluation.entries for of in [entry.report.intervals["accuracy"]] if of
    ]
    interval = group.interval("model")
    assert interval.value == group.mean("model") == pytest.approx(0.7)
    assert (interval.high - interval.low) / 2 == pytest.approx((halves[0] ** 2 + halves[1] ** 2) ** 0.5 / 2)
    assert group.interval("nobody") is None


def test_every_label_stands_in_the_markdown_by_every_metric(held_out):
    examples = [example for example in held_out if example.task.kind == "extract"][:12]
    spans = EvalSet("spans", "sample", "extract", examples)
    (entry,) = run_evaluation({"model": Knows(held_out, too_hard={examples[0].text})}, [spans]).entries
    page = to_markdown(Evaluation([entry]))
    assert "| label | gold | offset_f1 | string_f1 | partial_offset_f1 | partial_string_f1 |" in page
    rows = page.partition("## By label")[2].splitlines()
    for label, score in entry.report.per_label.items():
        (row,) = [row for row in rows if row.startswith(f"| {label} |")]
        shares = [f"{100 * some[label].f1:.1f}" for some in entry.report.per_label_by.values()]
        assert row == f"| {label} | {score.support} | {' | '.join(shares)} |"
    gold = [int(row.split(" | ")[1]) for row in rows if row.startswith("| ") and row[2] not in "l-"]
    assert gold == sorted(gold, reverse=True)


def test_one_report_is_that_of_all_at_once(held_out, classes):
    (entry,) = run_evaluation({"model": Knows(held_out)}, [classes]).entries
    report = evaluate(Knows(held_out), classes.examples, name="classes")
    assert report.metrics == entry.report.metrics
