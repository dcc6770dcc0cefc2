"""Runs: what they read, what they leave, and what happens when they are started again."""

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.torch import load_file

from seqgpt import DataError, RunError, SeqGPT, write_jsonl
from seqgpt.configs import config_dir
from seqgpt.data.mixture_config import MixtureConfig
from seqgpt.data.recipe import load_recipe
from seqgpt.data.sample import load_sample
from seqgpt.errors import ConfigError, ModelError
from seqgpt.evaluation.decision import Decision
from seqgpt.run_lock import is_empty
from seqgpt.runs import data as run_data
from seqgpt.runs import run
from seqgpt.runs.config import DataConfig, ModelConfig, RunConfig, load_run_config
from seqgpt.runs.prepare import prepare
from seqgpt.runs.run import run_stages, run_training
from seqgpt.training.environment import environment
from tests.conftest import tiny_config
from tests.training.conftest import Killed

ROOT = Path(__file__).resolve().parent.parent.parent

TINY = {
    "model_type": "qwen3",
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "tie_word_embeddings": True,
    "max_position_embeddings": 512,
}
TRAINING = {
    "max_steps": 4,
    "use_cpu": True,
    "per_device_train_batch_size": 4,
    "save_strategy": "steps",
    "save_steps": 2,
    "logging_steps": 1,
    "learning_rate": 1e-3,
}


@pytest.fixture
def files(tmp_path, eight):
    for name, examples in (("train", eight), ("held_out", eight[3:5])):
        write_jsonl(tmp_path / f"{name}.jsonl", examples)
    return tmp_path


@pytest.fixture
def config(files):
    def make(*, data=None, model=None, output="run", **training):
        return RunConfig(
            str(files / output),
            ModelConfig(config=TINY, vocab_size=400, **(model or {})),
            DataConfig(**({"train": [str(files / "train.jsonl")]} | (data or {}))),
            TRAINING | training,
        )

    return make


def same(left, right):
    mine, other = left.model.state_dict(), right.model.state_dict()
    return mine.keys() == other.keys() and all(torch.equal(mine[name], other[name]) for name in mine)


@pytest.mark.slow
def test_what_a_run_leaves(config, files, capfd):
    wanted = config(data={"eval": [str(files / "held_out.jsonl")]}, eval_strategy="steps", eval_steps=2)
    model = run_training(wanted)
    folder = files / "run"
    assert load_run_config(folder / "run.yaml") == wanted
    metrics = json.loads((folder / "metrics.json").read_text())
    assert {"eval_held_out_offset_f1", "eval_held_out_accuracy", "eval_score"} <= metrics.keys()
    opened = SeqGPT.from_pretrained(folder)
    assert same(opened, model)
    assert model.trained
    assert opened.trained
    assert not model.model.training
    assert not (folder / "_saving").exists()
    out, err = capfd.readouterr()
    assert out == ""
    assert "8 examples of 1 source(s), 2 held out" in err
    assert "step 2: held_out_offset_f1" in err


def test_a_finished_run_is_not_run_again(config, files, capfd):
    model = run_training(config())
    capfd.readouterr()
    again = run_training(config())
    assert same(again, model)
    assert capfd.readouterr().err.startswith(f"{files}/run is finished: its model is opened\n")


@pytest.mark.slow
def test_a_stage_begins_where_the_one_before_ended(config, files, kill, capfd):
    first = config(output="run/first")
    second = dataclasses.replace(config(output="run/second", max_steps=6), model=ModelConfig(path=first.output_dir))
    kill(2, lambda: run_training(first))
    straight = run_stages([first, second])
    assert torch.equal(
        load_file(files / "run/second/checkpoint-6/model.safetensors")["model.norm.weight"],
        straight.model.model.norm.weight.detach(),
    )
    shutil.rmtree(files / "run/second")
    kill(4, lambda: run_training(second))
    capfd.readouterr()
    (files / "run").rename(files / "moved")
    moved = [
        dataclasses.replace(first, output_dir=str(files / "moved/first")),
        dataclasses.replace(
            second, output_dir=str(files / "moved/second"), model=ModelConfig(path=str(files / "moved/first"))
        ),
    ]
    assert same(run_stages(moved), straight)
    err = capfd.readouterr().err
    assert "stage first (1 of 2) is finished" in err
    assert "going on from" in err
    assert same(run_stages(moved), straight)
    assert "second is finished: its model is opened" in capfd.readouterr().err
    with pytest.raises(ConfigError, match="learning_rat"):
        run_stages([moved[0], config(output="run/third", learning_rat=1)])


@pytest.mark.slow
def test_another_run_in_the_directory(config):
    run_training(config(seed=1))
    with pytest.raises(RunError) as raised:
        run_training(config(seed=2, weight_decay=0.1))
    assert "differs in training.seed (1, now 2), training.weight_decay (None, now 0.1)" in str(raised.value)


def test_a_directory_that_is_not_a_run(config, files):
    (files / "run").mkdir()
    (files / "run" / "_run.yaml.part").touch()  # of a run that was killed
    assert is_empty(files / "run")
    (files / "run" / "thesis.txt").touch()
    with pytest.raises(RunError, match="is not empty: choose another one, or delete it"):
        run_training(config())
    (files / "run" / "run.yaml").write_text("output_dir: [", encoding="utf-8")
    with pytest.raises(RunError, match="holds a run that cannot be read"):
        run_training(config())
    (files / "file").touch()
    with pytest.raises(RunError, match="cannot be made"):
        run_training(config(output="file"))


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(config, kill, files, capfd):
    whole = run_training(config(output="whole"))
    kill(2, lambda: run_training(config()))
    # Other texts would train another tokenizer: the checkpoint's must be used.
    tokenizer = (files / "run" / "checkpoint-2" / "tokenizer.json").read_text()
    capfd.readouterr()
    resumed = run_training(config())
    assert "going on from" in capfd.readouterr().err
    assert same(whole, resumed)
    assert (files / "run" / "tokenizer.json").read_text() == tokenizer


@pytest.mark.slow
def test_the_tokenizer_is_the_checkpoint_s(config, kill, files, monkeypatch):
    kill(2, lambda: run_training(config()))
    monkeypatch.setattr("seqgpt.runs.prepare.train_tokenizer", None)
    run_training(config())


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 4])
def test_a_run_killed_while_it_saves(config, kill, files, step):
    """The checkpoint is there but not whole; with none before it, the run begins again."""
    kill(step, lambda: run_training(config(save_steps=step)), while_saving=True)
    assert (files / "run" / "_saving" / f"checkpoint-{step}").is_dir()
    assert same(run_training(config(save_steps=step)), run_training(config(save_steps=step, output="whole")))


@pytest.mark.slow
def test_a_run_killed_before_its_last_evaluation(config, files, monkeypatch):
    wanted = config(data={"eval": [str(files / "held_out.jsonl")]})
    with monkeypatch.context() as patch:
        patch.setattr(run.Trainer, "evaluate", lambda *_: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            run_training(wanted)
    run_training(wanted)
    assert (files / "run" / "metrics.json").is_file()


@pytest.mark.slow
def test_a_moved_run_is_the_same_run(config, kill, files, capfd):
    kill(2, lambda: run_training(config()))
    (files / "run").rename(files / "moved")
    model = run_training(config(output="moved"))
    assert "going on from" in capfd.readouterr().err
    assert same(model, run_training(config(output="whole")))


@pytest.mark.slow
def test_starting_from_a_model(config, files):
    run_training(config(output="base"))
    wanted = config(model={"path": str(files / "base")})
    wanted = RunConfig(wanted.output_dir, ModelConfig(path=str(files / "base")), wanted.data, wanted.training)
    base = SeqGPT.from_pretrained(files / "base")
    model = run_training(dataclasses.replace(wanted, training=wanted.training | {"learning_rate": 0.0}))
    assert same(model, base)
    assert model.tokenizer.get_vocab() == base.tokenizer.get_vocab()


@pytest.mark.slow
def test_the_bundled_examples_are_a_source(config, capfd):
    run_training(
        config(data={"train": ["sample"], "train_limit": 12, "eval": ["sample"], "eval_limit": 3}, max_steps=1)
    )
    assert "12 examples of 1 source(s), 3 held out" in capfd.readouterr().err


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ["llama", "qwen2", "gpt2", "gpt_neox", "bloom"])
def test_every_family_is_trained_and_opened_again(model_type, config, files):
    wanted = dataclasses.replace(config(max_steps=2), model=ModelConfig(config=tiny_config(model_type), vocab_size=400))
    model = run_training(wanted)
    assert same(model, SeqGPT.from_pretrained(files / "run"))


def test_how_the_model_decides_is_chosen_on_what_is_held_out(config, files, monkeypatch, capfd):
    monkeypatch.setattr(run, "best_decision", lambda *_: Decision(0.15, 0.3, "flat"))
    monkeypatch.setattr(run, "mean_f1", lambda _, decision: 1 - decision.threshold)
    model = run_training(config(data={"eval": [str(files / "held_out.jsonl")]}))
    opened = SeqGPT.from_pretrained(files / "run")
    for one in (model, opened):
        assert (one.threshold, one.class_threshold, one.overlap) == (0.15, 0.3, "flat")
    assert (
        "threshold 0.15, class threshold 0.30, overlap flat: F1 0.850 on what is held out "
        "(0.500 with threshold 0.50, class threshold 0.50, overlap allow)"
    ) in capfd.readouterr().err


def test_what_is_no_better_is_not_taken(config, files, monkeypatch):
    monkeypatch.setattr(run, "best_decision", lambda _, former: former)
    model = run_training(config(data={"eval": [str(files / "held_out.jsonl")]}))
    opened = SeqGPT.from_pretrained(files / "run")
    for one in (model, opened):
        assert (one.threshold, one.class_threshold, one.overlap) == (0.5, 0.5, "allow")


def test_home_is_one_place(config, files, monkeypatch):
    monkeypatch.setenv("HOME", str(files))
    wanted = load_run_config(ROOT / "configs" / "train" / "real_cpu.yaml", ["output_dir=~/here"])
    assert wanted.output_dir == str(files / "here")


def read(**data):
    return run_data.read_data(RunConfig("", ModelConfig(), DataConfig(**data)), seed=0).train


@pytest.mark.slow
@pytest.mark.parametrize(("passes", "expected"), [(1, 20), (3, 60), (2.5, 50), (0.25, 5), (0.02, 1)])
def test_a_source_comes_as_often_as_the_config_says(passes, expected):
    examples = read(train=["sample"], train_limit=20)["sample"]
    repeated = read(train=["sample"], train_limit=20, passes={"sample": passes})["sample"]
    assert len(repeated) == expected
    assert len({example.id for example in repeated}) == expected  # so that each draws labels of its own
    assert {example.text for example in repeated} <= {example.text for example in examples}
    assert passes < 1 or repeated[:20] == examples
    assert repeated == read(train=["sample"], train_limit=20, passes={"sample": passes})["sample"]


def test_a_limit_is_a_choice_not_the_first_rows(config, files):
    few = read(train=["sample"], train_limit=10)["sample"]
    more = read(train=["sample"], train_limit=20)["sample"]
    assert few != read(train=["sample"])["sample"][:10]
    assert {example.id for example in few} < {example.id for example in more}
    named = read(train=[str(files / "train.jsonl")], train_limit=3)["train"]
    assert all(example.id.startswith(f"{files}/train.jsonl/") for example in named)


@pytest.mark.slow
def test_what_a_run_keeps_of_what_the_model_knew(config, files, kill, capfd):
    base = config(output="base")
    run_training(base)
    data = {"eval": [str(files / "held_out.jsonl")], "eval_limit": 6, "replay": ["sample"], "on_bad_row": "skip"}
    tuned = dataclasses.replace(config(data=data), model=ModelConfig(path=base.output_dir))
    kill(2, lambda: run_training(tuned))
    before = (files / "run" / "before.json").read_text()
    run_training(tuned)  # goes on, and does not measure anew
    assert (files / "run" / "before.json").read_text() == before
    table = (files / "run" / "before_after.md").read_text()
    assert table in capfd.readouterr().err
    rows = [line.split(" | ")[0].strip("| ") for line in table.splitlines()[2:]]
    names = ("held_out", "sample, known before")
    assert {f"{name} ({kind})" for name in names for kind in ("extract", "classify")} <= set(rows)
    logged = json.loads((files / "run" / "checkpoint-4" / "trainer_state.json").read_text())["log_history"]
    assert any("loss/sample" in entry for entry in logged)
    assert "| sample |" in (files / "run" / "README.md").read_text()


@pytest.mark.slow
def test_recipes_are_sources(config, tmp_path, monkeypatch, eight):
    read = []

    class Recipe:
        held_out, conflicts, tasks = False, (), ("classify",)
        language, licence, hub_id, synthetic = "en", "MIT", "", False

        def require_task(self, task):
            assert task == "classify"

        def examples(self, split, **options):
            read.append((split, options["limit"], options["data_root"]))
            return eight

    monkeypatch.setattr("seqgpt.data.source.load_recipe", lambda _: Recipe())
    run_training(config(data={"train": ["a"], "eval": ["b"], "root": "data", "eval_limit": 5}, max_steps=1))
    assert read == [("train", None, "data"), ("validation", 5, "data")]


@pytest.mark.parametrize("name", ["rte", "rte.yaml"])
def test_a_held_out_recipe_is_not_trained_on(config, name):
    name = name if name == "rte" else str(config_dir() / "datasets" / name)
    with pytest.raises(ConfigError, match=r"data.train: recipe 'rte' is held out, for evaluation only"):
        run_training(config(data={"train": [name]}))


def test_a_held_out_recipe_is_not_replayed(config):
    with pytest.raises(ConfigError, match=r"data.replay: recipe 'rte' is held out, for evaluation only"):
        run_training(config(data={"replay": ["rte"]}))


def test_what_is_evaluated_is_not_replayed(config, files):
    write_jsonl(files / "others.jsonl", others := load_sample("train")[:40])
    write_jsonl(files / "mine.jsonl", others[:10])
    run = config(data={"replay": [str(files / "others.jsonl")], "eval": [str(files / "mine.jsonl")]})
    data = run_data.read_data(run, seed=0)
    held = {example.text for example in others[:10]}
    assert data.replay["others"]
    assert not held & {example.text for example in data.replay["others"]}
    left = 32 - len(data.replay["others"])
    assert f"others: {left} examples not replayed, whose texts are evaluated" in data.left_out
    with pytest.raises(DataError, match="others: every example that would be replayed is evaluated too"):
        run_data.read_data(config(data={"replay": run.data.replay, "eval": run.data.replay}), seed=0)


@pytest.mark.slow
def test_a_card_tells_of_what_is_replayed(config, files, eight):
    write_jsonl(files / "more.jsonl", eight)
    data = {"replay": ["sample", str(files / "more.jsonl")]}
    mixture = MixtureConfig(sources=[str(files / "train.jsonl")], examples=40)
    for one, own in (
        (config(data=data), "train"),
        (dataclasses.replace(config(data=data | {"train": []}), mixture=mixture), "train.jsonl"),
    ):
        trainer = prepare(one, {}, one.arguments()).trainer
        examples = trainer.train_dataset
        n_own = len(examples.own)
        assert sorted(examples.order(0).tolist()) == list(range(len(examples)))
        replayed = examples.replayed
        cards = {one.name: (one.examples, one.licence) for one in trainer.sources}
        assert cards[own] == (n_own, "unknown")
        assert cards["sample"] == (replayed // 2 + replayed % 2, "Apache-2.0")
        assert cards["more"][1] == "unknown"


def test_an_unknown_recipe(config):
    with pytest.raises(ConfigError, match="Did you mean 'cluener'"):
        run_training(config(data={"train": ["cluner"]}))
    assert not load_recipe("cluener").held_out


@pytest.mark.slow
def test_bad_rows(config, files, capfd):
    path = files / "train.jsonl"
    long = {"text": "many words " * 400, "task": "classify", "labels": ["a", "b"], "answer": ["a"]}
    wordy = long | {"labels": {"a": "what it means " * 400, "b": ""}}
    lines = ['{"text": ""}', json.dumps(wordy), json.dumps(long)]
    path.write_text(path.read_text() + "\n".join(lines) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"train.jsonl, line 9: key 'task' is missing"):
        run_training(config())
    model = run_training(config(data={"on_bad_row": "skip"}))
    err = capfd.readouterr().err
    assert f"{path}: 1 rows skipped: {path}, line 9: key 'task' is missing" in err
    assert f"data.train, too long: 1 rows skipped: example {path}/10 has" in err
    assert "train: 1 texts cut to" in err
    assert "9 examples of 1 source(s)" in err
    assert model.trained


@pytest.mark.slow
def test_evaluation_examples_that_cannot_be_read(config, files, capfd):
    path = files / "held_out.jsonl"
    labels = {"label 0": "what it means " * 600, "label 1": "short"}  # too long even in a group of its own
    long = json.dumps({"text": "a word", "task": "classify", "labels": labels, "answer": ["label 1"]}) + "\n"
    path.write_text(path.read_text() + long, encoding="utf-8")
    data = {"eval": [str(path)]}
    with pytest.raises(DataError, match=r"evaluation set 'held_out', example \S+/3: labels and task have"):
        run_training(config(data=data))
    run_training(config(data=data | {"on_bad_row": "skip"}, max_steps=1))
    err = capfd.readouterr().err
    assert f"held_out, too long: 1 rows skipped: example {path}/3: labels and task have" in err
    assert "2 held out" in err
    path.write_text(long, encoding="utf-8")
    with pytest.raises(DataError, match="held_out: every example is longer than the model reads"):
        run_training(config(data=data | {"on_bad_row": "skip"}, output="second"))


def test_sources_without_examples(config, files):
    (files / "empty.jsonl").touch()
    (files / "bad.jsonl").write_text("{}\n", encoding="utf-8")
    for name, said in (("empty", "has no examples: give a file with at least one"), ("bad", ": every row was skipped")):
        with pytest.raises(DataError, match=rf"{name}\.jsonl ?{said}"):
            run_training(config(data={"train": [str(files / f"{name}.jsonl")], "on_bad_row": "skip"}))


def test_two_held_out_files_of_one_name(config, files, eight):
    sources = []
    for folder in ("en", "zh"):
        (files / folder).mkdir()
        write_jsonl(files / folder / "test.jsonl", eight[4:5])
        sources.append(str(files / folder / "test.jsonl"))
    run_training(config(data={"eval": sources}, max_steps=1))
    metrics = json.loads((files / "run" / "metrics.json").read_text())
    assert {f"eval_{source}_accuracy" for source in sources} <= metrics.keys()


def test_arguments_are_checked_before_anything_is_read(config):
    with pytest.raises(ConfigError, match="not a valid SchedulerType"):
        run_training(config(data={"train": ["nothing.jsonl"]}, lr_scheduler_type="linaer"))


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (
            ModelConfig(config=TINY | {"hiden_size": 3}),
            "no field 'hiden_size'. Did you mean 'hidden_size'",
        ),
        (ModelConfig(config={"model_type": "gpt9"}), "transformers has no model_type 'gpt9'"),
        (ModelConfig(path="./no/model"), "there is no folder 'no/model': check the path"),
    ],
)
def test_the_model_is_checked_before_any_data_is_read(config, model, message):
    wanted = dataclasses.replace(config(data={"train": ["nothing.jsonl"]}), model=model)
    with pytest.raises(ModelError, match=message):
        run_training(wanted)


def test_a_package_that_is_missing(config):
    with pytest.raises(ConfigError, match=r"training: .*clearml"):
        run_training(config(report_to="clearml"))


@pytest.mark.slow
def test_a_resumed_run_draws_all_its_steps(config, kill, files, monkeypatch):
    drawn = []
    monkeypatch.setattr("seqgpt.training.trainer.draw_curves", lambda history, path, **_: drawn.append((history, path)))
    kill(2, lambda: run_training(config()))
    run_training(config())
    ((logged, path),) = drawn
    assert [entry["step"] for entry in logged if "loss" in entry] == [1, 2, 3, 4]
    assert path == files / "run" / "curves.png"


@pytest.mark.slow
def test_a_run_leaves_card_and_versions(config, files):
    run_training(config(data={"eval": [str(files / "held_out.jsonl")]}))
    card = ModelCard.load(files / "run" / "README.md")
    assert "| train | 8 |" in card.text
    assert "held_out_offset_f1" in card.text
    versions = json.loads((files / "run" / "environment.json").read_text())
    assert versions == environment()
    assert {"python", "torch", "transformers", "platform"} <= versions.keys()
