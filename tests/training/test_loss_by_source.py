"""The loss of each source: a part of the loss of all, which changes nothing."""

import json

import pytest
import torch

from seqgpt import Trainer, write_jsonl
from seqgpt.data.augmentation import Augmentation
from seqgpt.data.mixture_config import MixtureConfig
from seqgpt.training.loss_by_source import LossBySource
from seqgpt.training.mixture_set import open_mixture
from tests.training.conftest import make_model


def logged(trainer):
    return [entry for entry in trainer.state.log_history if "loss" in entry]


def test_sums_are_brute_force():
    torch.manual_seed(0)
    counted, expected = LossBySource(), {}
    for names in (["a", "b"], ["b"], ["c", "a", "b"]):
        source = torch.arange(20) % len(names)
        losses = torch.rand(20, requires_grad=True)
        counted.add(losses, source, names)
        for number, loss in zip(source.tolist(), losses.tolist(), strict=True):
            expected.setdefault(names[number], []).append(loss)
    assert counted.take() == pytest.approx({name: sum(losses) / len(losses) for name, losses in expected.items()})
    assert counted.take() == {}
    counted.add(torch.tensor([2.0, 4.0]), torch.tensor([0, 0]), ["c"])
    assert counted.take() == {"c": 3.0}


@pytest.mark.slow
def test_it_is_logged_and_changes_nothing(eight, arguments, tmp_path):
    plain = make_model()
    first = Trainer(plain, arguments(output_dir=str(tmp_path / "plain"), logging_steps=2), eight)
    first.train()
    named = make_model()
    trainer = Trainer(named, arguments(logging_steps=2), {"spans": eight[:4], "classes": eight[4:]}, eight[:1])
    trainer.train()
    weights = zip(plain.model.parameters(), named.model.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in weights)
    assert [entry["loss"] for entry in logged(first)] == [entry["loss"] for entry in logged(trainer)]
    assert not any(key.startswith("loss/") for entry in logged(first) for key in entry)
    for entry in logged(trainer):
        parts = [entry["loss/spans"], entry["loss/classes"]]
        assert min(parts) <= entry["loss"] * (1 + 1e-5)
        assert max(parts) >= entry["loss"] * (1 - 1e-5)


@pytest.mark.slow
def test_accumulated_batches_count_once(eight, arguments, tmp_path):
    entries = []
    for size, accumulate in ((8, 1), (1, 8)):
        args = arguments(
            output_dir=str(tmp_path / str(size)),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulate,
            max_steps=1,
        )
        trainer = Trainer(make_model(), args, {"spans": eight[:4], "classes": eight[4:]})
        trainer.train()
        entries += logged(trainer)
    for key in ("loss", "loss/spans", "loss/classes"):
        assert entries[0][key] == pytest.approx(entries[1][key], abs=1e-5)


@pytest.mark.slow
def test_a_mixture_names_its_sources(eight, arguments, tmp_path):
    paths = [str(tmp_path / f"{name}.jsonl") for name in ("spans", "classes")]
    for path, examples in zip(paths, (eight[:4], eight[4:]), strict=True):
        write_jsonl(path, examples)
    model = make_model()
    mixed = open_mixture(MixtureConfig(sources=paths), model, seed=0, augmentation=Augmentation(4), progress=False)
    trainer = Trainer(model, arguments(max_steps=2, per_device_train_batch_size=8), mixed)
    trainer.train()
    assert {"loss/spans", "loss/classes"} <= logged(trainer)[0].keys()
    json.dumps(trainer.state.log_history)
