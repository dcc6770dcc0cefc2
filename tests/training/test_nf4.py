"""4-bit bases under adapters: rounded once, gradients of what is computed, resumed exactly. Needs bitsandbytes."""

import dataclasses

import pytest
import torch
from torch import nn

from seqgpt import SeqGPT, Trainer, write_jsonl
from seqgpt.engine import nf4
from seqgpt.errors import ModelError
from seqgpt.runs.config import DataConfig, LoraRun, ModelConfig, RunConfig
from seqgpt.runs.run import run_training
from tests.training.conftest import make_model


@pytest.fixture
def bitsandbytes(recwarn):
    """What the package warns of when it is imported is none of ours."""


def test_without_the_package(still_model, eight, tmp_path, monkeypatch):
    monkeypatch.setattr(nf4, "find_spec", lambda _: None)
    with pytest.raises(ModelError, match="need bitsandbytes: pip install 'seqgpt"):
        still_model.to_nf4()
    still_model.save_pretrained(tmp_path / "base")
    config = RunConfig(
        str(tmp_path / "run"),
        ModelConfig(path=str(tmp_path / "base")),
        DataConfig(train=["nothing.jsonl"]),  # which is not read
        {"use_cpu": True},
        lora=LoraRun(quantize="nf4"),
    )
    with pytest.raises(ModelError, match="need bitsandbytes"):
        run_training(config)


@pytest.mark.slow
@pytest.mark.usefixtures("bitsandbytes")
def test_gradients_are_those_of_the_rounded_weights():
    layer = nn.Linear(96, 40)
    rounded = nf4.FourBits(layer)
    inputs = torch.randn(3, 5, 96, requires_grad=True)
    again = inputs.detach().clone().requires_grad_()
    expected = nn.functional.linear(again, rounded.weight(), layer.bias)
    found = rounded(inputs)
    assert torch.equal(found, expected)
    for one in (found, expected):
        (one * torch.arange(40)).sum().backward()
    assert torch.allclose(inputs.grad, again.grad, atol=1e-6)
    assert not rounded.state_dict()


@pytest.mark.slow
@pytest.mark.usefixtures("bitsandbytes")
@pytest.mark.parametrize("shape", [(40, 96), (64, 64), (30, 100), (5, 7)])
def test_weights_are_the_nearest_of_sixteen_values(shape):
    layer = nn.Linear(*reversed(shape))
    rounded = nf4.FourBits(layer)
    flat = torch.cat([layer.weight.detach().flatten(), torch.zeros(-layer.weight.numel() % 64)]).view(-1, 64)
    scales = flat.abs().amax(1, keepdim=True)
    nearest = rounded.values[((flat / scales)[..., None] - rounded.values).abs().argmin(-1)] * scales
    assert torch.allclose(rounded.weight(), nearest.flatten()[: layer.weight.numel()].view(shape), atol=1e-7)
    assert rounded.packed.nbytes == -(-layer.weight.numel() // 2)


@pytest.mark.slow
@pytest.mark.usefixtures("bitsandbytes")
@pytest.mark.parametrize("model_type", ["qwen3", "gpt2"])
def test_an_adapter_learns_on_four_bits(model_type, eight, arguments, tmp_path):
    fields = {"n_embd": 64, "n_layer": 2, "n_head": 2} if model_type == "gpt2" else {}
    make_model(**({"model_type": "gpt2"} | fields if fields else {})).save_pretrained(tmp_path / "base")
    model = SeqGPT.from_pretrained(tmp_path / "base").add_lora(r=16).to_nf4()
    assert model.info()["dtype"] == model.quantized == "nf4"
    assert not any(isinstance(layer, nn.Linear) and layer.weight.shape == (64, 64) for layer in model.model.modules())
    trainer = Trainer(model, arguments(max_steps=40, per_device_train_batch_size=8, learning_rate=1e-2), eight)
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < losses[0] / 3
    pairs = [(example.text, example.task) for example in eight]
    there = model.predict_pairs(pairs)
    again = SeqGPT.from_pretrained(tmp_path / "run").to_nf4().predict_pairs(pairs)
    assert there == again
    with pytest.raises(ModelError, match="nf4 weights take no adapter: open it again, merge_adapter"):
        model.merge_adapter()
    with pytest.raises(ModelError, match="nf4 weights cannot be trained"):
        Trainer(SeqGPT.from_pretrained(tmp_path / "base").to_nf4(), arguments(), eight)


@pytest.mark.slow
@pytest.mark.usefixtures("bitsandbytes")
def test_a_killed_run_on_four_bits_goes_on_where_it_was(eight, kill, tmp_path):
    make_model().save_pretrained(tmp_path / "base")
    write_jsonl(tmp_path / "train.jsonl", eight)
    training = {"use_cpu": True, "max_steps": 4, "save_strategy": "steps", "save_steps": 2, "learning_rate": 1e-2}
    data = DataConfig(train=[str(tmp_path / "train.jsonl")], eval=[str(tmp_path / "train.jsonl")])
    lora = LoraRun(r=4, dropout=0.1, quantize="nf4")
    config = RunConfig(str(tmp_path / "run"), ModelConfig(path=str(tmp_path / "base")), data, training, lora=lora)
    whole = run_training(dataclasses.replace(config, output_dir=str(tmp_path / "whole")))
    kill(2, lambda: run_training(config))
    resumed = run_training(config)
    pairs = zip(whole.adapter.weights, resumed.adapter.weights, strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)
    assert (whole.quantized, whole.threshold) == (resumed.quantized, resumed.threshold) == ("nf4", whole.threshold)
