"""A predictor on several data sets, beside the baselines."""

import pytest

from seqgpt.data.sample import load_sample
from seqgpt.errors import ConfigError, DataError
from seqgpt.evaluation import compare as compare_module
from seqgpt.evaluation.baselines import MajorityClass
from seqgpt.evaluation.compare import Comparison, compare, to_table
from seqgpt.evaluation.report import evaluate
from seqgpt.examples import write_jsonl


class Knows:
    """Answers from a list of examples, and notes that it was asked."""

    def __init__(self, examples):
        self.gold = {(example.text, example.task): example.gold for example in examples}
        self.asked = 0

    def predict_pairs(self, pairs, *, progress=False):
        self.asked += len(pairs)
        return [self.gold[pair] for pair in pairs]


@pytest.fixture(scope="module")
def held_out():
    return load_sample("test")


def test_the_bundled_examples_beside_the_baselines(held_out, capsys):
    spans, classes = compare(Knows(held_out), ["sample"], baselines=True)
    if spans.model.kind == "classify":
        spans, classes = classes, spans
    assert (spans.model.name, classes.model.name) == ("sample (extract)", "sample (classify)")
    assert spans.model.n + classes.model.n == len(held_out)
    assert spans.model.headline == classes.model.headline == 1.0
    assert list(spans.baselines) == ["dictionary", "dictionary of sure entries"]
    assert list(classes.baselines) == ["majority class"]
    assert all(report.headline < 0.9 for one in (spans, classes) for report in one.baselines.values())
    out, err = capsys.readouterr()
    assert out == ""
    assert "sample (extract): " in err
    assert "sample (extract): offset_f1 100.0, 0." in err


def test_baselines_learn_from_the_training_split(held_out):
    (_, classes) = sorted(
        compare(Knows(held_out), ["sample"], baselines=True), key=lambda one: one.model.kind == "classify"
    )
    train = [example for example in load_sample("train") if example.task.kind == "classify"]
    test = [example for example in held_out if example.task.kind == "classify"]
    expected = evaluate(MajorityClass.fit(train), test, name="x", progress=False)
    assert classes.baselines["majority class"].metrics == expected.metrics


def test_a_file_has_no_baselines_and_its_own_name(held_out, tmp_path):
    path = tmp_path / "mine.jsonl"
    write_jsonl(path, [example for example in held_out if example.task.kind == "classify"])
    (one,) = compare(Knows(held_out), [str(path)], limit=5, baselines=True)
    assert (one.model.name, one.model.n, one.baselines) == (str(path), 5, {})
    assert one.to_dict()["baselines"] == {}


def test_all_sources_are_read_before_the_first_is_predicted(held_out, tmp_path):
    predictor = Knows(held_out)
    with pytest.raises(ConfigError, match="unknown recipe 'smaple'"):
        compare(predictor, ["sample", "smaple"])
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match="has no examples"):
        compare(predictor, ["sample", str(tmp_path / "empty.jsonl")])
    assert predictor.asked == 0


def test_training_rows_of_baselines_are_read_before_the_first_is_predicted(held_out, monkeypatch):
    predictor = Knows(held_out)

    def read(name, split, *, on_bad_row, bad_rows, **_):
        if split == "test":
            return held_out
        if on_bad_row == "error":
            raise DataError("row 7 is wrong")
        bad_rows.add("row 7 is wrong")
        return load_sample("train")

    monkeypatch.setattr(compare_module, "read_source", read)
    with pytest.raises(DataError, match="row 7 is wrong"):
        compare(predictor, ["sample"], baselines=True)
    assert predictor.asked == 0
    assert len(compare(predictor, ["sample"], baselines=True, on_bad_row="skip")) == 2


def test_an_unknown_split_of_the_bundled_examples(held_out):
    with pytest.raises(DataError, match=r"^sample has no split 'tset'. Did you mean 'test'\? Use one of train, valid"):
        compare(Knows(held_out), ["sample"], split="tset")


def test_a_table(held_out):
    spans = [example for example in held_out if example.task.kind == "extract"][:3]
    classes = [example for example in held_out if example.task.kind == "classify"][:2]
    ours = evaluate(Knows(held_out), spans, name="a|b", progress=False)
    other = evaluate(Knows(held_out), classes, name="c", progress=False)
    lines = to_table([Comparison(ours, {"dictionary": ours}), Comparison(other)]).splitlines()
    assert lines[:2] == ["| data set | n | metric | dictionary | model | seconds |", "|---|---:|---|---:|---:|---:|"]
    assert lines[2].startswith("| a\\|b | 3 | offset_f1 | 100.0 | 100.0 | 0.")
    assert lines[3].startswith("| c | 2 | accuracy | – | 100.0 | 0.")
