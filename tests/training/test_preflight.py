"""The report before the first step: it says what training then does, and changes nothing."""

import copy
import dataclasses
import re

import pytest
import torch
import yaml

from seqgpt import Trainer
from seqgpt.cli import main
from seqgpt.data.mixture_config import MixtureConfig
from seqgpt.data.sample import load_sample
from seqgpt.engine.tree import PADDING
from seqgpt.errors import DataError, RunError
from seqgpt.examples import write_jsonl
from seqgpt.runs.config import LoraRun, load_stages
from seqgpt.runs.run import dry_run, run_stages
from seqgpt.training.memory import measure_memory
from seqgpt.training.mixture_set import open_mixture
from seqgpt.training.preflight import PREFLIGHT_FILE, preflight
from tests.training.conftest import make_model


class Watched(Trainer):
    """Keeps what its steps read."""

    def training_step(self, model, inputs, *given):
        self.seen.append(inputs)
        return super().training_step(model, inputs, *given)


def watched(*given, **named):
    trainer = Watched(*given, **named)
    trainer.seen = []
    return trainer


@pytest.mark.slow
@pytest.mark.parametrize("given", [{}, {"batch_tokens": 200}, {"row_tokens": 0}, {"gradient_accumulation_steps": 2}])
@pytest.mark.parametrize("config", [{}, {"model_type": "bloom", "hidden_size": 64, "n_layer": 2, "n_head": 2}])
def test_it_says_what_training_does(eight, arguments, given, config):
    trainer = watched(make_model(**config), arguments(max_steps=-1, num_train_epochs=1, **given), {"mine": eight})
    report = preflight(trainer)
    trainer.train()
    assert report.steps == trainer.state.max_steps == trainer.state.global_step
    assert report.sources[0].name == "mine"
    assert report.sources[0].examples == report.packing.examples * len(trainer.seen) == 8
    read = sum(inputs["tokens"] for inputs in trainer.seen)
    assert report.packing.tokens == pytest.approx(read / len(trainer.seen))
    assert report.packing.fill == read / sum(inputs["batch"].node.numel() for inputs in trainer.seen)
    assert report.sources[0].tokens * (1 - report.packing.shared) == pytest.approx(read)
    asked = sum(int(inputs["keep"].sum()) for inputs in trainer.seen)
    assert report.sources[0].asked * report.sources[0].tokens == pytest.approx(asked)


@pytest.mark.slow
def test_it_changes_nothing(eight, arguments, tmp_path):
    weights = []
    for looks in (False, True):
        model = make_model(attention_dropout=0.1)
        torch.manual_seed(5)
        args = arguments(output_dir=str(tmp_path / str(looks)))
        trainer = Trainer(model, args, {"a": eight[:4], "b": eight[4:]}, replay=load_sample("train")[:5])
        if looks:
            preflight(trainer)
        trainer.train()
        weights.append(copy.deepcopy(model.model.state_dict()))
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        weights[-1] |= {"losses": torch.tensor(losses)}
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


def test_every_source_is_counted(eight, arguments):
    others = {"c": load_sample("train")[:7], "a": load_sample("train")[7:9]}
    trainer = Trainer(make_model(), arguments(replay_share=0.4), {"a": eight[:2], "b": eight[2:]}, replay=others)
    examples = trainer.train_dataset
    by_source = examples.by_source(0)
    assert sorted(number for numbers in by_source.values() for number in numbers) == list(range(len(examples)))
    for name, numbers in by_source.items():
        assert {examples[int(number)].source for number in numbers} == {name}
    assert {one.name: one.examples for one in preflight(trainer).sources} == {
        name: len(numbers) for name, numbers in by_source.items()
    }


@pytest.mark.slow
def test_many_examples_are_judged_by_some(arguments):
    examples = load_sample("train")[:300]
    model = make_model()
    trainer = Trainer(model, arguments(max_labels=100), examples)
    found = preflight(trainer).sources[0]
    sizes = trainer.train_dataset.sizes(0)
    assert found.tokens == pytest.approx(sizes.sum(), rel=0.1)
    assert found.longest == sizes.max()


def test_mixtures(eight, arguments, tmp_path):
    write_jsonl(tmp_path / "mine.jsonl", eight)
    model = make_model()
    args = arguments()
    config = MixtureConfig(sources=[str(tmp_path / "mine.jsonl")], examples=40)
    mixture = open_mixture(config, model, seed=0, augmentation=args.augmentation, progress=False)
    report = preflight(Trainer(model, args, mixture))
    assert [(one.name, one.examples) for one in report.sources] == [("mine", len(mixture))]
    assert f"| mine | {len(mixture)} |" in str(report)


def test_memory_of_activations(eight, arguments):
    model = make_model()
    trainer = Trainer(model, arguments(), eight)
    batches = [trainer.data_collator([trainer.train_dataset[i] for i in range(8)] * times) for times in (1, 3)]
    one, three = (measure_memory(trainer, batch) for batch in batches)
    tokens = [int((batch["batch"].node != PADDING).sum()) for batch in batches]
    assert [one.tokens, three.tokens] == tokens
    assert three.activations == pytest.approx(3 * one.activations, rel=0.35)  # stems are shared, masks grow otherwise
    hidden = 4 * 64 * one.tokens
    assert one.activations > 10 * 2 * hidden  # of each layer: inputs of its linear layers, and more
    trainer.args.activation_checkpointing = True
    assert measure_memory(trainer, batches[0]).activations < one.activations / 2


def test_memory_in_half_precision(eight, arguments):
    found = []
    for half in (False, True):
        trainer = Trainer(make_model(), arguments(bf16=half), eight)
        batch = trainer.data_collator([trainer.train_dataset[i] for i in range(8)] * 4)
        found.append(measure_memory(trainer, batch).activations)
    assert found[1] < 0.8 * found[0]


def test_memory_where_devices_have_numbers(eight, arguments, monkeypatch):
    trainer = Trainer(make_model(), arguments(), eight)
    monkeypatch.setattr(type(trainer.args), "device", torch.device("cpu:0"))  # of processes on CPUs
    assert preflight(trainer).memory.activations


def test_memory_of_weights(eight, arguments):
    model = make_model()
    size = sum(weight.nbytes for weight in model.model.parameters())
    plain = preflight(Trainer(model, arguments(), eight)).memory
    assert (plain.gradients, plain.optimizer) == (size, 2 * size)
    sgd = preflight(Trainer(make_model(), arguments(optim="sgd"), eight))
    assert sgd.memory.optimizer is None
    assert "optimizer not known" in str(sgd)
    muon = preflight(Trainer(make_model(), arguments(muon_learning_rate=0.02), eight)).memory
    layers = sum(w.nbytes for name, w in model.model.named_parameters() if "layers" in name and w.ndim == 2)
    assert muon.optimizer == 2 * size - layers


def test_what_will_not_fit_is_told(eight, arguments, monkeypatch):
    monkeypatch.setattr("seqgpt.training.memory._available", lambda _: 1000)
    trainer = Trainer(make_model(), arguments(), eight)
    trainer.left_out = ["x: 3 rows are wrong"]
    report = preflight(trainer)
    assert "This will hardly fit: lower" in str(report)
    assert "Left out: x: 3 rows are wrong" in str(report)


def write_stages(folder, **training):
    write_jsonl(folder / "mine.jsonl", load_sample("train")[:40])
    config = {
        "output_dir": str(folder / "run"),
        "model": {"config": {"model_type": "gpt2", "n_embd": 32, "n_layer": 1, "n_head": 2}, "vocab_size": 600},
        "training": {"use_cpu": True, "max_steps": 2, "per_device_train_batch_size": 4, **training},
        "stages": {
            "first": {"data": {"train": ["sample"], "train_limit": 20}},
            "second": {"data": {"train": [str(folder / "mine.jsonl")], "replay": ["sample"], "train_limit": 30}},
        },
    }
    (folder / "run.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return load_stages(folder / "run.yaml")


@pytest.mark.slow
def test_a_dry_run_leaves_nothing(tmp_path, capsys):
    write_stages(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main(["train", str(tmp_path / "run.yaml"), "--dry-run"]) == 0
    assert sorted(tmp_path.rglob("*")) == before
    printed = capsys.readouterr().out
    assert printed.index("# first") < printed.index("| sample | 20 |") < printed.index("# second")
    assert "| mine | 30 |" in printed


@pytest.mark.slow
def test_a_run_begins_with_what_a_dry_run_says(tmp_path):
    stages = write_stages(tmp_path)
    said = dict(dry_run(stages))
    run_stages(stages)
    for name, report in said.items():
        found = (tmp_path / "run" / name / PREFLIGHT_FILE).read_text(encoding="utf-8")
        assert _without_free(found) == _without_free(str(report))


def _without_free(report):
    """Return a report without how much memory is free, which changes all the time."""
    return re.sub(r"[\d.]+ \wB are free", "", report)


@pytest.mark.slow
def test_a_dry_run_goes_nowhere_and_takes_new_models(tmp_path):
    stages = write_stages(tmp_path, push_to_hub=True, report_to="tensorboard")
    second = dataclasses.replace(stages[1], lora=LoraRun(r=2))
    reports = dict(dry_run([stages[0], second]))
    assert 0 < reports["second"].memory.gradients < reports["first"].memory.gradients


def test_a_dry_run_tells_what_lies_in_the_directory(tmp_path):
    stages = write_stages(tmp_path)
    (tmp_path / "run" / "second").mkdir(parents=True)
    (tmp_path / "run" / "second" / "mine.txt").write_text("mine")
    with pytest.raises(RunError, match="is not empty"):
        list(dry_run(stages))


def test_a_later_stage_without_data_is_told_before_the_first_begins(tmp_path):
    stages = write_stages(tmp_path)
    (tmp_path / "mine.jsonl").unlink()
    with pytest.raises(DataError, match=r"cannot read .*mine.jsonl"):
        run_stages(stages)
    assert not (tmp_path / "run" / "first").exists()


def test_models_without_blocks_are_told(eight, arguments, capsys):
    bloom = {"model_type": "bloom", "hidden_size": 64, "n_layer": 2, "n_head": 2}
    trainer = Trainer(make_model(**bloom), arguments(max_steps=1), eight)
    preflight(trainer)
    trainer.train()
    assert capsys.readouterr().err.count("batches are padded rows") == 1
    assert "Attention is computed in padded rows under a mask: bloom computes attention by eager" in str(
        preflight(trainer)
    )
    assert "Attention is computed block by block" in str(preflight(Trainer(make_model(), arguments(), eight)))
