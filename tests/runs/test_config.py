"""Run configs: every problem at once, with its line, and values read as they are meant."""

import dataclasses

import pytest
import yaml

from seqgpt.errors import ConfigError
from seqgpt.runs.config import DataConfig, ModelConfig, RunConfig, load_run_config, load_stages
from seqgpt.training.arguments import TrainingArguments

GOOD = """\
output_dir: runs/mine
model:
  config: {model_type: qwen3, hidden_size: 64}
data:
  train: [sample]
training:
  learning_rate: 1e-3
"""


def read(tmp_path, source=GOOD, *overrides):
    path = tmp_path / "a.yaml"
    path.write_text(source, encoding="utf-8")
    return load_run_config(path, overrides)


def problems(tmp_path, source, *overrides):
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, source, *overrides)
    message = str(raised.value).replace(f"{tmp_path}/a.yaml", "a.yaml")
    return [line.removeprefix("  - ") for line in message.splitlines()]


@pytest.mark.slow
def test_a_good_config(tmp_path):
    assert read(tmp_path) == RunConfig(
        "runs/mine",
        ModelConfig(config={"model_type": "qwen3", "hidden_size": 64}),
        DataConfig(train=["sample"]),
        {"learning_rate": 1e-3},
    )


STAGES = """\
output_dir: runs/two
model:
  config: {model_type: qwen3, hidden_size: 64}
data:
  train: [sample]
  eval: [sample]
training:
  learning_rate: 1e-3
  eval_strategy: epoch
stages:
  pretrain:
    mixture: {sources: [cluener]}
  finetune:
    training:
      learning_rate: 1e-4
      num_train_epochs: 2
"""


def test_stages_are_runs_one_after_the_other(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text(STAGES)
    pretrain, finetune = load_stages(path, ["training.seed=3", "stages.pretrain.training.max_steps=5"])
    assert pretrain.output_dir == "runs/two/pretrain"
    assert pretrain.mixture.sources == ["cluener"]
    assert pretrain.data == DataConfig(eval=["sample"])
    common = {"learning_rate": 1e-3, "eval_strategy": "epoch", "seed": 3}
    assert pretrain.training == common | {"max_steps": 5}
    assert finetune.output_dir == "runs/two/finetune"
    assert finetune.model == ModelConfig(path="runs/two/pretrain")
    assert finetune.data == DataConfig(train=["sample"], eval=["sample"])
    assert finetune.mixture is None
    assert finetune.training == common | {"learning_rate": 1e-4, "num_train_epochs": 2}
    path.write_text(GOOD)
    assert load_stages(path) == [load_run_config(path)]


def test_problems_of_stages_are_told_with_their_lines(tmp_path):
    path = tmp_path / "a.yaml"
    source = STAGES.replace("      num_train_epochs: 2", "      num_train_epoch: 2\n    modle: {}\n  last: 3")
    path.write_text(source.replace("eval_strategy: epoch", "warmup: 3"))
    with pytest.raises(ConfigError) as raised:
        load_stages(path)
    assert [line.removeprefix("  - ") for line in str(raised.value).splitlines()[1:]] == [
        "unknown key 'training.warmup' (line 9). Did you mean 'warmup_steps'?",
        "unknown key 'stages.finetune.modle' (line 17). A stage has data, training, mixture, lora.",
        "unknown key 'training.num_train_epoch' (line 16). Did you mean 'num_train_epochs'?",
        "'stages.last' is no stage: give it a name of letters, and write its sections below it (line 18).",
    ]
    for nothing in ("stages: 3", "stages: {}"):
        path.write_text(GOOD + nothing)
        with pytest.raises(ConfigError, match="name at least one stage"):
            load_stages(path)


def test_what_is_written_is_read_back(tmp_path):
    config = read(tmp_path)
    assert read(tmp_path, config.to_yaml()) == config


def test_arguments(tmp_path):
    arguments = read(tmp_path).arguments()
    assert isinstance(arguments, TrainingArguments)
    assert (arguments.output_dir, arguments.learning_rate, arguments.seed) == ("runs/mine", 1e-3, 0)


def test_unknown_keys_at_every_level(tmp_path):
    source = GOOD + "trainng: {}\n"
    source = source.replace("  train: [sample]", "  train: [sample]\n  evals: [sample]")
    source = source.replace("  config:", "  vocab: 400\n  config:")
    source = source.replace("  learning_rate:", "  evaluation_strategy: epoch\n  learning_rate:")
    assert problems(tmp_path, source) == [
        "a.yaml has 4 problems, correct them all:",
        "unknown key 'trainng' (line 11). Did you mean 'training'?",
        "unknown key 'model.vocab' (line 3). Did you mean 'vocab_size'?",
        "unknown key 'data.evals' (line 7). Did you mean 'eval'?",
        "unknown key 'training.evaluation_strategy' (line 9). Did you mean 'eval_strategy'?",
    ]


def test_everything_wrong_at_once(tmp_path):
    source = """\
model: {path: a, config: {model_type: x}, vocab_size: 20}
data: {train: sample, eval: [a, a], train_limit: 0, on_bad_row: ignore, root: 3, passes: {c: 1}}
training: {max_steps: many, bf16: 1, learning_rate: fast, output_dir: b, num_train_epochs: true, eval_strategy: 3}
"""
    assert problems(tmp_path, source) == [
        "a.yaml has 14 problems, correct them all:",
        "key 'output_dir' is missing: give it text in quotes.",
        "'data.train' is 'sample': give a list of names (line 2).",
        "'data.on_bad_row' is 'ignore': give error or skip (line 2).",
        "'data.root' is 3: give text (line 2).",
        "'training.max_steps' is 'many': give a whole number (line 3).",
        "'training.bf16' is 1: give true or false (line 3).",
        "'training.learning_rate' is 'fast': give a number (line 3).",
        "'training.num_train_epochs' is True: give a number (line 3).",
        "'model' needs either path (a folder or hub id) or config (to start from random weights) (line 1).",
        "'model.vocab_size' is too small: give at least 300 (line 1).",
        "'data.eval' lists 'a' twice: list it once (line 2).",
        "'data.passes.c' is not in data.train (line 2).",
        "'data.train_limit' is 0: give at least 1, or leave it out (line 2).",
        "'training.output_dir' does not belong here: write output_dir at the top level (line 3).",
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("output_dir: runs/mine", "output_dir: ''", "a.yaml: 'output_dir' is empty: name the folder"),
        ("output_dir: runs/mine", "output_dir: [a]", "a.yaml: 'output_dir' is ['a'], which is not text in quotes"),
        ("  learning_rate: 1e-3", "  - seed", "a.yaml: 'training' is ['seed']: write its keys below it, indented"),
        (
            "  learning_rate: 1e-3",
            "  seed: 1\n  seed: 2",
            "a.yaml: key 'training.seed' stands twice (line 8): keep one.",
        ),
        ("  learning_rate: 1e-3", "  eval_strategy: epoch", "'training.eval_strategy' needs examples: list"),
        ("  learning_rate: 1e-3", "  resume_from_checkpoint: a", "a run that is started again goes on by itself"),
        ("  train: [sample]", "  train: [sample, 3]", "'data.train' is ['sample', 3]: give a list of names"),
        ("  train: [sample]", "  eval: [sample]", "'data.train' is missing: list recipes, JSONL files, or sample"),
        ("data:\n  train: [sample]", "", "'data.train' is missing: list recipes, JSONL files, or sample"),
        ("  train: [sample]", "  train: [sample]\n  passes: {sampel: 2}", "Did you mean 'sample'?"),
        ("  train: [sample]", "  train: [sample]\n  passes: {sample: 0}", "'data.passes.sample' is 0: give a"),
        ("  train: [sample]", "  train: [sample]\n  passes: {sample: x}", "'data.passes.sample' is 'x': give a"),
        ("  train: [sample]", "  train: [sample]\n  passes: 2", "'data.passes' is 2: give a mapping"),
        ("  train: [sample]", "  train: [sample]\n  eval: null", "'data.eval' is None: give a list of names"),
    ],
)  # fmt: skip
def test_one_problem_is_one_line(tmp_path, old, new, message):
    (line,) = problems(tmp_path, GOOD.replace(old, new))
    assert message in line


def test_files_that_are_no_config(tmp_path):
    with pytest.raises(ConfigError, match="check the path"):
        load_run_config(tmp_path / "none.yaml")
    assert "is not YAML" in problems(tmp_path, "a: [")[0]
    assert "at the top level" in problems(tmp_path, "- a")[0]
    assert "at the top level" in problems(tmp_path, "")[0]


def test_what_yaml_reads_otherwise(tmp_path):
    config = read(
        tmp_path, GOOD, "training.eval_strategy=no", "training.save_strategy=no", "training.weight_decay=1e-2"
    )
    assert config.training == {
        "learning_rate": 0.001,
        "eval_strategy": "no",
        "save_strategy": "no",
        "weight_decay": 0.01,
    }
    assert config.arguments().save_strategy == "no"


def test_overrides(tmp_path):
    config = read(
        tmp_path, GOOD, "output_dir=b", "training.seed=7", "data.eval=[sample]", "model.config.hidden_size=32"
    )
    assert (config.output_dir, config.training["seed"], config.data.eval) == ("b", 7, ["sample"])
    assert config.model.config == {"model_type": "qwen3", "hidden_size": 32}
    assert read(tmp_path, GOOD.replace("training:\n  learning_rate: 1e-3", "training:"), "training.seed=7").training


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.seed", "a.yaml: 'training.seed' is not key=value: write, for example, training.num_train_epochs=1."),
        ("=3", "a.yaml: '=3' is not key=value: write, for example, training.num_train_epochs=1."),
        ("trainng.seed=3", "a.yaml: unknown key 'trainng' in 'trainng.seed=3'. Did you mean 'training'?"),
        (
            "learning_rate=3",
            "a.yaml: unknown key 'learning_rate' in 'learning_rate=3'. Did you mean 'training.learning_rate'?",
        ),
        ("eval_limt=3", "a.yaml: unknown key 'eval_limt' in 'eval_limt=3'. Did you mean 'data.eval_limit'?"),
        ("modl={}", "a.yaml: unknown key 'modl' in 'modl={}'. Did you mean 'model'?"),
        ("zzz=3", "a.yaml: unknown key 'zzz' in 'zzz=3'. Known are output_dir, model, data, training, mixture, lora."),
        ("training.sed=3", "a.yaml: unknown key 'training.sed'. Did you mean 'seed'?"),
        ("training.seed=x", "a.yaml: 'training.seed' is 'x': give a whole number."),
        ("training.learning_rate=x", "a.yaml: 'training.learning_rate' is 'x': give a number."),
        ("training.seed=[", "a.yaml: the value in 'training.seed=[' is not YAML: put it in quotes."),
        (
            "training.learning_rate.x=3",
            "a.yaml: cannot set 'training.learning_rate.x': 'training.learning_rate' is a value, not a mapping.",
        ),
    ],
)
def test_bad_overrides(tmp_path, override, message):
    assert problems(tmp_path, GOOD, override) == [message]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.lr_scheduler_type=linaer", "training: linaer is not a valid SchedulerType"),
        ("training.save_strategy=epochs", "training: epochs is not a valid SaveStrategy"),
        ("training.max_labels=1", "training: max_labels is 1: give at least 2"),
        ("training.load_best_model_at_end=true", "requires the save and eval strategy to match"),
    ],
)
def test_values_that_transformers_refuses(tmp_path, override, message):
    with pytest.raises(ConfigError) as raised:
        read(tmp_path, GOOD, override).arguments()
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


def test_every_field_is_documented():
    for kind in (ModelConfig, DataConfig):
        for field in dataclasses.fields(kind):
            assert f"{field.name}: " in kind.__doc__


def test_the_example_in_the_documentation(tmp_path):
    from seqgpt.runs import config

    example = config.__doc__.split("\n\n")[1]
    source = yaml.safe_load(example)
    source["model"].pop("config")
    assert source.pop("mixture")["sources"] == ["*"]
    assert read(tmp_path, yaml.safe_dump(source)).model.path == "runs/base"


def test_the_command_line_speaks_for_all_stages(tmp_path):
    text = "training: {seed: 1}\nstages:\n  a: {training: {seed: 2, max_steps: 9}}\n  b: {data: {train: [sample]}}\n"
    (tmp_path / "run.yaml").write_text(
        f"output_dir: {tmp_path}/run\nmodel: {{path: base}}\ndata: {{train: [sample]}}\n{text}", encoding="utf-8"
    )
    load = lambda *overrides: [run.training for run in load_stages(tmp_path / "run.yaml", overrides)]  # noqa: E731
    assert load() == [{"seed": 2, "max_steps": 9}, {"seed": 1}]
    assert load("training.seed=3") == [{"seed": 3, "max_steps": 9}, {"seed": 3}]
    assert load("training.seed=3", "stages.a.training.seed=4") == [{"seed": 4, "max_steps": 9}, {"seed": 3}]
    with pytest.raises(ConfigError, match=r"unknown stage 'aa' in 'stages.aa.training.seed=4'. Did you mean 'a'\?"):
        load("stages.aa.training.seed=4")


def test_arguments_that_cannot_be_here(tmp_path):
    with pytest.raises(ConfigError, match="bf16 is set, and there is no GPU: set use_cpu to train on a CPU"):
        TrainingArguments(str(tmp_path), bf16=True)
    with pytest.raises(ConfigError, match="per_device_train_batch_size is 0: give at least 1"):
        TrainingArguments(str(tmp_path), per_device_train_batch_size=0)
