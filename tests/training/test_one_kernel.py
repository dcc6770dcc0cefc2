"""Training in rows that one kernel computes, as on a GPU, equals training in blocks; what keeps from it is told."""

import pytest
import torch

from seqgpt import Trainer
from seqgpt.engine import flex
from seqgpt.engine.forward import TreeForward
from seqgpt.training.preflight import preflight
from tests.training.conftest import make_model


def trained(packing, arguments, examples, folder, *, lora=False, **given):
    model = make_model()
    if lora:
        model.save_pretrained(folder / "base")
        model = type(model).from_pretrained(folder / "base").add_lora(r=2)
    model.forward.packing = packing
    args = arguments(output_dir=str(folder / "run"), optim="sgd", learning_rate=0.1, **given)
    trainer = Trainer(model, args, examples, examples[:2])
    trainer.train()
    return model, [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.slow
@pytest.mark.parametrize(
    "given",
    [
        {},
        {"batch_tokens": 300, "gradient_accumulation_steps": 2},
        {"activation_checkpointing": True},
        {"eval_strategy": "steps", "eval_steps": 2},
        {"lora": True},
    ],
)
def test_it_learns_what_blocks_teach(given, eight, arguments, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(flex, "_reference", lambda *q, f=flex._reference, **k: seen.append(q[0].shape[2]) or f(*q, **k))
    model, losses = trained("flex", arguments, eight, tmp_path / "flex", **given)
    assert seen
    assert not any(tokens % flex.TILE for tokens in seen)
    other, expected = trained("blocks", arguments, eight, tmp_path / "blocks", **given)
    assert losses == pytest.approx(expected, abs=1e-5)
    for one, two in zip(model.model.parameters(), other.model.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-5, rtol=1e-5)
    assert model.model.config._attn_implementation == "sdpa"


def test_the_report_says_so(model, eight, arguments):
    model.forward.packing = "flex"
    report = str(preflight(Trainer(model, arguments(), eight)))
    assert "Attention of a row is computed by one kernel: the self-test found it equal to padded rows." in report


@pytest.mark.slow
def test_a_kernel_that_does_not_run_is_told_once_and_rows_are_trained_on(model, eight, arguments, monkeypatch, capsys):
    def broken(*_, **__):
        raise RuntimeError("no such kernel")

    monkeypatch.setattr(flex, "_reference", broken)
    model.forward.packing = "flex"
    trainer = Trainer(model, arguments(), eight)
    trainer.train()
    why = "qwen3 does not take rows of one kernel (RuntimeError: no such kernel)"
    assert capsys.readouterr().err.count(f"{why}: batches are padded rows, which takes more time") == 1
    assert f"Attention is computed in padded rows under a mask: {why}." in str(preflight(trainer))
    assert model.info()["training_layout"] == "tree"


def test_a_model_that_is_not_on_its_device_yet_is_trained_in_rows(model, eight, arguments, monkeypatch, capsys):
    """As under FSDP and DeepSpeed on GPUs."""
    trainer = Trainer(model, arguments(), eight)
    monkeypatch.setattr(TreeForward, "device", torch.device("meta"))
    with trainer.packed() as reason:
        assert not model.forward.packs
    assert reason.startswith("the model comes to its device when training begins")
    assert reason in capsys.readouterr().err
