"""Tuning in one call: the same model, whatever form the data comes in, and however often it is killed."""

import json

import pandas as pd
import pytest
import torch
import yaml
from datasets import Dataset

import seqgpt
from seqgpt import Example, SeqGPT, read_jsonl, tune, write_jsonl
from seqgpt.adapters import LoraConfig
from seqgpt.cli import main
from seqgpt.data.given import read_given
from seqgpt.data.sample import load_sample
from seqgpt.errors import ConfigError, DataError, ModelError, RunError
from seqgpt.evaluation.report import evaluate
from seqgpt.evaluation.sets import kind_of
from seqgpt.runs import run
from seqgpt.runs.config import load_run_config
from seqgpt.runs.data import given_source
from seqgpt.runs.hold_out import hold_out
from seqgpt.runs.run import run_training
from tests.training.conftest import EIGHT, make_model

ROWS = [
    {"text": text, "label": label}
    for text, label in (
        ("Lovely place.", "praise"),
        ("Never again.", "complaint"),
        ("We will be back!", "praise"),
        ("The soup was cold.", "complaint"),
        ("It is a house.", "neither"),
    )
]
FEW = {"max_steps": 4, "use_cpu": True, "save_steps": 2, "eval_steps": 2, "per_device_train_batch_size": 4}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tune") / "base"
    model = make_model(initializer_range=0.1)
    model.trained = True  # it predicts without a warning
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def tuned(base, tmp_path):
    def call(train, held_out=None, *, model=base, output="mine", **options):
        given = {key: value for key, value in FEW.items() if held_out is not None or key != "eval_steps"}
        given["replay"] = None
        return tune(model, train, held_out, output_dir=tmp_path / output, **(given | options))

    return call


@pytest.fixture(autouse=True)
def _few_paths(monkeypatch):
    """Follow little of what so random a model finds likely."""
    monkeypatch.setattr("seqgpt.engine.spans.MAX_PATHS_OF_A_TEXT", 16)


def weights(model):
    return {name: weight.clone() for name, weight in model.model.state_dict().items()}


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.slow
def test_whatever_form_the_data_comes_in_the_model_is_the_same(tuned, tmp_path):
    frame = pd.DataFrame(ROWS)
    examples = read_given({"train": frame})["train"]
    write_jsonl(tmp_path / "examples.jsonl", examples)
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    renamed = frame.rename(columns={"text": "review"})
    forms = [
        (frame, {}),
        (renamed, {"column_mapping": {"review": "text"}}),
        (ROWS, {}),
        (Dataset.from_list(ROWS), {}),
        (tmp_path / "rows.jsonl", {}),
        (str(tmp_path / "rows.csv"), {}),
        (examples, {}),
        ([example.to_dict() for example in examples], {}),
        (tmp_path / "examples.jsonl", {}),
    ]
    sources = {given_source("train", read_given({"train": form}, **options)["train"]) for form, options in forms[:6]}
    assert len(sources) == 1
    read = [read_given({"train": form}, **options)["train"] for form, options in forms]
    assert all([(e.text, e.gold) for e in one] == [(e.text, e.gold) for e in examples] for one in read)
    models = [tuned(form, output=str(i), **options) for i, (form, options) in enumerate(forms[:2] + forms[-2:])]
    assert all(same(weights(models[0]), weights(model)) for model in models[1:])


@pytest.mark.slow
@pytest.mark.parametrize("lora", [True, None])
def test_a_killed_call_goes_on_and_ends_the_same(lora, tuned, kill, eight, tmp_path, capfd):
    options = {"lora": lora and LoraConfig(r=4, dropout=0.1), "replay": load_sample("train")[:15]}
    straight = tuned(eight, eight[3:5], output="straight", **options)
    kill(2, lambda: tuned(eight, eight[3:5], **options))
    (tmp_path / "mine").rename(tmp_path / "moved")
    capfd.readouterr()
    resumed = tuned(eight, eight[3:5], output="moved", **options)
    assert "going on from" in capfd.readouterr().err
    assert same(weights(resumed), weights(straight))
    assert same(weights(resumed), weights(SeqGPT.from_pretrained(tmp_path / "moved")))
    again = tuned(eight, eight[3:5], output="moved", **options)
    assert "is finished: its model is opened" in capfd.readouterr().err
    assert same(weights(again), weights(resumed))
    with pytest.raises(RunError, match=r"holds another run, which differs in data\.train"):
        tuned(eight[1:], eight[3:5], output="moved", **options)


@pytest.mark.slow
def test_the_base_stays_as_it_is(tuned, base, eight, tmp_path):
    given = SeqGPT.from_pretrained(base)
    before, files = weights(given), {file.name: file.read_bytes() for file in base.iterdir()}
    model = tuned(eight, model=given)
    assert same(weights(given), before)
    assert {file.name: file.read_bytes() for file in base.iterdir()} == files
    assert model.adapter is not None
    assert (tmp_path / "mine" / "adapter_model.safetensors").is_file()
    assert not (tmp_path / "mine" / "model.safetensors").exists()
    changed = weights(model)
    model.adapter.remove()
    assert same(weights(model), before)
    assert not same(changed, before)
    whole = tuned(eight, output="whole", lora=None)
    assert whole.adapter is None
    assert whole.model.state_dict().keys() == before.keys()


@pytest.mark.slow
def test_a_fifth_is_replayed_and_not_what_tells_what_is_known(tuned, tmp_path, monkeypatch):
    prepared, prepare = [], run.prepare
    monkeypatch.setattr(run, "measure", lambda *_: {})
    monkeypatch.setattr(run, "prepare", lambda *given: prepared.append(prepare(*given)) or prepared[-1])
    others = load_sample("train")[:30]
    write_jsonl(tmp_path / "others.jsonl", others)
    train = load_sample("test")[:12]
    for output, replay in (("a", others), ("b", str(tmp_path / "others.jsonl")), ("c", ("sample",)), ("d", None)):
        tuned(train, output=output, replay=replay, max_steps=1, save_steps=1)
        examples = prepared[-1].trainer.train_dataset
        assert len(examples) == 12 + (3 if replay else 0)
        data = prepared[-1].data
        shown, known = ({e.text for one in named.values() for e in one} for named in (data.replay, data.known))
        assert not shown & known
        assert bool(shown) == bool(known) == (replay is not None)
    assert len(prepared[0].data.replay["replay"]) == 24
    assert [len(one) for one in prepared[0].data.known.values()] == [6]


@pytest.mark.slow
def test_the_table_is_what_evaluations_find(tuned, base, tmp_path, capfd):
    train, held = load_sample("train")[:8], load_sample("test")[:10]
    model = tuned(train, held, replay="sample")
    table = (tmp_path / "mine" / "before_after.md").read_text(encoding="utf-8")
    assert table in capfd.readouterr().err
    rows = dict(line.strip("| ").split(" | ", 1) for line in table.splitlines()[2:])
    found = {"held_out": held, "sample, known before": load_sample("test")}
    assert {name.rpartition(" (")[0] for name in rows} == set(found)
    for name, row in rows.items():
        title, _, kind = name.rstrip(")").rpartition(" (")
        members = [example for example in found[title] if kind_of(example) == kind]
        values = [evaluate(one, members, name="", progress=False) for one in (SeqGPT.from_pretrained(base), model)]
        shown = [f"{100 * report.headline:.1f}" for report in values]
        assert row.split(" | ")[:4] == [str(len(members)), row.split(" | ")[1], *shown]


def test_a_share_is_held_out_by_label_and_by_text():
    examples = [
        Example.from_dict({"text": f"{label} {i // 2}", "task": "classify", "labels": ["a", "b"], "answer": [label]})
        for label, times in (("a", 80), ("b", 20))
        for i in range(times)
    ]
    for seed in range(3):
        own, held = hold_out(examples, 0.2, seed=seed)
        assert sorted((*own, *held), key=examples.index) == examples
        assert not {example.text for example in own} & {example.text for example in held}
        assert [sum(example.gold.labels == (label,) for example in held) for label in "ab"] == [16, 4]
    assert hold_out(examples, 0.2, seed=0)[1] != hold_out(examples, 0.2, seed=1)[1]
    assert hold_out(examples, 0, seed=0) == (examples, [])


def test_what_is_held_out_by_itself(tuned, eight, monkeypatch, tmp_path):
    configs = []
    monkeypatch.setattr(
        "seqgpt.runs.tune.run_training", lambda config, given: configs.append((config, [*given.values()]))
    )
    many = [Example(example.gold, str(i)) for i, example in enumerate(load_sample("train") + load_sample("test"))]
    for train, held_out, numbers in (
        (eight, None, [8]),
        (many, None, [400]),
        (many * 2, None, [640, 160]),
        (many, 0, [400]),
        (many, 0.1, [360, 40]),
        (eight + eight[:1], eight[2:4], [7, 2]),
    ):
        tune(make_base(tmp_path), train, held_out, output_dir=tmp_path / "no")
        config, given = configs[-1]
        assert [len(one) for one in given] == numbers
        assert bool(config.data.eval) == (len(given) == 2) == ("early_stopping_patience" in config.training)
        config.arguments()
        length = {360: ("num_train_epochs", 10), 400: ("num_train_epochs", 10), 640: ("num_train_epochs", 10)}
        name, value = length.get(len(given[0]), ("max_steps", 120))
        assert config.training[name] == value
        assert [example.id for example in given[0]] == [f"train/{i}" for i in range(len(given[0]))]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("examples", "given", "expected"),
    [
        (160, {}, {"max_steps": 120}),
        (160, {"replay": "sample"}, {"num_train_epochs": 10}),  # 200 with those that are replayed: 125 steps
        (150, {"replay": "sample"}, {"max_steps": 120}),
        (400, {"per_device_train_batch_size": 32}, {"num_train_epochs": 10}),
        (400, {"per_device_train_batch_size": 32, "gradient_accumulation_steps": 2}, {"max_steps": 120}),
        (400, {"per_device_train_batch_size": 4}, {"max_steps": 600}),
        (400, {"per_device_train_batch_size": 2}, {"num_train_epochs": 3}),
        (400, {"num_train_epochs": 2}, {"num_train_epochs": 2}),
        (400, {"max_steps": 2}, {"max_steps": 2}),
    ],
)
def test_how_long_is_trained(examples, given, expected, tmp_path, monkeypatch):
    configs = []
    monkeypatch.setattr("seqgpt.runs.tune.run_training", lambda config, _: configs.append(config))
    train = [Example(example.gold, str(i)) for i, example in enumerate(load_sample("train") + load_sample("test"))]
    options = {"replay": None, "lora": None} | given
    tune(make_base(tmp_path), train[:examples], 0, output_dir=tmp_path / "no", **options)
    training = configs[0].training
    assert {name: training[name] for name in ("max_steps", "num_train_epochs") if name in training} == expected


@pytest.mark.slow
def test_what_is_held_out_is_not_replayed(tuned, tmp_path, monkeypatch, capfd):
    prepared, prepare = [], run.prepare
    monkeypatch.setattr(run, "measure", lambda *_: {})
    monkeypatch.setattr(run, "prepare", lambda *given: prepared.append(prepare(*given)) or prepared[-1])
    others = load_sample("train")[:30]
    write_jsonl(tmp_path / "others.jsonl", others)
    train, held = load_sample("test")[:12], others[:20]
    for output, replay in (("a", others), ("b", tmp_path / "others.jsonl"), ("c", "sample")):
        tuned(train, held, output=output, replay=replay, max_steps=1, save_steps=1, eval_steps=1)
        data = prepared[-1].data
        (replayed,) = data.replay.values()
        assert replayed
        assert not {example.text for example in replayed} & {example.text for example in held}
        assert any("examples not replayed, whose texts are evaluated" in sentence for sentence in data.left_out)
    assert "examples not replayed, whose texts are evaluated" in capfd.readouterr().err
    with pytest.raises(DataError, match="replay: every example that would be replayed is evaluated too"):
        tuned(train, others, output="d", replay=others)


@pytest.mark.slow
def test_a_model_is_the_same_by_any_path(tuned, base, eight, tmp_path, monkeypatch, capfd):
    tuned(eight, max_steps=1)
    monkeypatch.chdir(base.parent)
    tuned(eight, model=base.name, max_steps=1)
    assert "is finished: its model is opened" in capfd.readouterr().err


def make_base(tmp_path):
    folder = tmp_path / "base"
    if not folder.exists():
        make_model().save_pretrained(folder)
    return folder


def test_classes_of_one_part_are_asked_of_both():
    parts = read_given({"train": pd.DataFrame(ROWS[:2]), "held_out": ROWS[2:]})
    assert {example.task.labels for part in parts.values() for example in part} == {("complaint", "praise", "neither")}
    assert [example.gold.labels for example in parts["held_out"]] == [("praise",), ("complaint",), ("neither",)]
    own = read_given({"train": [Example.from_dict(EIGHT[0])], "held_out": [Example.from_dict(EIGHT[3])]})
    assert [part[0].task.labels for part in own.values()] == [("person", "place", "date"), ("时间", "地点")]


@pytest.mark.slow
def test_training_stops_where_nothing_gets_better(tuned, eight, tmp_path):
    tuned(eight, eight[:3], learning_rate=0.0, max_steps=40, save_steps=0.1, eval_steps=0.1)
    assert sorted(path.name for path in (tmp_path / "mine").glob("checkpoint-*")) == ["checkpoint-16", "checkpoint-4"]


@pytest.mark.slow
def test_an_adapter_is_trained_on(tuned, eight, tmp_path):
    first = tuned(eight, output="first")
    second = tuned(eight, model=tmp_path / "first", output="second")
    assert second.adapter is not None
    opened = SeqGPT.from_pretrained(tmp_path / "second")
    assert same(weights(opened), weights(second))
    with pytest.raises(ModelError, match="the model has an adapter: give the folder that it was saved to"):
        tuned(eight, model=first)
    with pytest.raises(ConfigError, match="has an adapter already"):
        tuned(eight, model=tmp_path / "first", output="third", lora=LoraConfig(r=2))


@pytest.mark.slow
def test_one_example_is_enough_and_the_model_may_be_a_plain_one(tuned, eight, tmp_path):
    """What a model that was never trained says before is measured too, without a warning that it is a guess."""
    plain = make_model()
    plain.save_pretrained(tmp_path / "plain")
    assert tuned(eight[:1], eight[2:4], model=tmp_path / "plain").trained


@pytest.mark.slow
def test_what_is_left_reads_as_a_run(tuned, eight, tmp_path):
    tuned(eight, eight[:3])
    config = load_run_config(tmp_path / "mine" / "run.yaml")
    assert yaml.safe_load(config.to_yaml())["data"]["train"][0].startswith("given/")
    (tmp_path / "mine" / "metrics.json").unlink()
    with pytest.raises(ConfigError, match=r"stands for examples that seqgpt\.tune was given: call it with them again"):
        run_training(config)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"train": []}, DataError, "train has no examples: give at least one."),
        ({"held_out": []}, DataError, "held_out has no examples: give at least one."),
        ({"held_out": 1.0}, ConfigError, "held_out is 1.0: give a share from 0 up, below 1"),
        ({"held_out": 0.01}, ConfigError, "held_out is 0.01, and of 8 examples that is none"),
        ({"train": "nothing.jsonl"}, DataError, "cannot read nothing.jsonl: No such file"),
        ({"train": [3]}, DataError, "the data are a builtins.list: give a datasets.Dataset"),
        ({"train": [EIGHT[0], {}]}, DataError, "train, row 1: key 'text' is missing"),
        ({"train": 3}, DataError, "the data are a builtins.int"),
        ({"model": 3}, ConfigError, "the model is a int: give a SeqGPT, or the folder or hub id of one"),
        ({"model": "./no/model"}, ModelError, "there is no folder 'no/model'"),
        ({"model": make_model()}, ModelError, "are in no folder, from which .*: save_pretrained.folder. first; random"),
        ({"lora": 8}, ConfigError, "lora is 8: give True, a LoraConfig, or None"),
        ({"replay": "cluner"}, ConfigError, "Did you mean 'cluener'"),
        ({"replay": ["sample", Example.from_dict(EIGHT[0])]}, ConfigError, "replay mixes names and examples"),
        ({"learnin_rate": 1}, ConfigError, "no training argument 'learnin_rate'. Did you mean 'learning_rate'"),
        ({"lr_scheduler_type": object()}, ConfigError, "lr_scheduler_type is <object .*: give it as a plain value"),
        ({"lr_scheduler_type": "linaer"}, ConfigError, "not a valid SchedulerType"),
    ],
)
def test_what_is_wrong_is_told(options, error, message, tuned, eight):
    with pytest.raises(error, match=message):
        tuned(**({"train": eight} | options))


@pytest.mark.slow
def test_held_out_texts_are_not_learnt(tuned, eight, tmp_path, capfd):
    with pytest.raises(DataError, match="all texts of train are held out too"):
        tuned(eight, eight)
    tuned(eight, eight[:2], max_steps=2)
    assert "train: 2 examples left out, whose texts are held out" in capfd.readouterr().err


@pytest.mark.slow
def test_a_folder_that_is_in_use(tuned, eight, tmp_path):
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "_run.lock").touch()  # all that a run has left that was killed at its very beginning
    tuned(eight, output="killed")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(RunError, match="is not empty: choose another one, or delete it"):
        tuned(eight)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="cannot be made"):
        tuned(eight, output="file")


@pytest.mark.slow
def test_on_the_command_line(base, tmp_path, capfd):
    pd.DataFrame(ROWS).rename(columns={"text": "review"}).to_csv(tmp_path / "mine.csv", index=False)
    words = ["tune", str(base), str(tmp_path / "mine.csv"), "max_steps=2", "learning_rate=1e-3", "use_cpu=true"]
    options = ["--columns", "review=text", "--held-out", "0.4", "--replay", "", "--output", str(tmp_path / "run")]
    assert main([*words, *options]) == 0
    out, err = capfd.readouterr()
    assert out == f"{tmp_path / 'run'}\n"
    assert "| held_out | 2 | accuracy |" in err
    assert load_run_config(tmp_path / "run" / "run.yaml").training["learning_rate"] == 1e-3
    assert SeqGPT.from_pretrained(tmp_path / "run").adapter is not None
    assert main([*words, "max_steps", *options]) == 2
    assert "key=value: 'max_steps' has no two parts" in capfd.readouterr().err
    assert main([*words, *options, "--columns", "review"]) == 2
    assert "--columns: 'review' has no two parts: write, for example, review=text." in capfd.readouterr().err
    write_jsonl(tmp_path / "held.jsonl", read_jsonl(_examples(tmp_path)))
    files = [str(_examples(tmp_path)), "--held-out", str(tmp_path / "held.jsonl"), "--output", str(tmp_path / "b")]
    assert main(["tune", str(base), *files]) == 2
    assert "all texts of train are held out too" in capfd.readouterr().err


def _examples(folder):
    write_jsonl(folder / "train.jsonl", [Example.from_dict(record) for record in EIGHT])
    return folder / "train.jsonl"


def test_it_is_loaded_when_it_is_asked_for():
    assert seqgpt.tune is tune


@pytest.mark.slow
def test_replayed_examples_that_are_too_long_are_left_out(tuned, eight, tmp_path, capsys):
    words = [f"label {i} of a great many words that nobody reads" for i in range(30)]
    described = {word: f"{word}, and all that goes with it" for word in words}
    long = Example.from_dict({"text": "Hm.", "task": "classify", "labels": described, "answer": words[:1], "id": "x"})
    tuned(eight[4:6], replay=[*load_sample("train")[:5], *[long] * 5], max_steps=1, max_length=200, max_labels=30)
    said = capsys.readouterr().err
    assert "data.replay, too long: " in said
    assert "nothing is held out, so nothing will tell what was learnt" in said


def test_arguments_of_other_types(tuned, eight):
    for arguments, wanted in (({"max_steps": "3"}, "a whole number"), ({"learning_rate": "high"}, "a number")):
        ((name, value),) = arguments.items()
        with pytest.raises(ConfigError, match=f"^{name} is {value!r}: give {wanted}"):
            tuned(eight, **arguments)
