"""A loss or gradients that are no numbers end a run before they spoil the weights."""

import pytest
import torch

from seqgpt import RunError, SeqGPT, Trainer
from seqgpt.training.checkpoints import last_checkpoint
from tests.training.conftest import make_model


@pytest.mark.slow
@pytest.mark.parametrize("value", ["nan", "inf"])
def test_a_loss_that_is_no_number(eight, arguments, tmp_path, monkeypatch, value):
    model = make_model()
    args = arguments(save_strategy="steps", save_steps=1, per_device_train_batch_size=8)
    trainer = Trainer(model, args, {"spans": eight[:4], "classes": eight[4:]})
    compute = Trainer.compute_loss
    after = {}

    def spoilt(self, *given, **named):
        if self.state.global_step == 2:
            after.update({name: weight.clone() for name, weight in model.model.state_dict().items()})
            return compute(self, *given, **named) * float(value)
        return compute(self, *given, **named)

    monkeypatch.setattr(Trainer, "compute_loss", spoilt)
    with pytest.raises(RunError, match=rf"step 3: the loss is {value}, in a batch of .*(spans|classes).* Lower the"):
        trainer.train()
    assert all(torch.equal(weight, after[name]) for name, weight in model.model.state_dict().items())
    saved = SeqGPT.from_pretrained(last_checkpoint(tmp_path / "run"))
    assert last_checkpoint(tmp_path / "run").name == "checkpoint-2"
    assert all(torch.equal(weight, after[name]) for name, weight in saved.model.state_dict().items())


@pytest.mark.slow
@pytest.mark.parametrize("max_grad_norm", [0.0, 1.0])
def test_gradients_that_are_no_numbers(model, eight, arguments, max_grad_norm):
    weight = next(iter(model.model.parameters()))
    before = weight.detach().clone()
    weight.register_hook(lambda gradient: gradient * torch.inf)
    trainer = Trainer(model, arguments(max_grad_norm=max_grad_norm), eight)
    with pytest.raises(RunError, match=r"step 1: the norm of the gradients is (nan|inf), in a batch of the examples"):
        trainer.train()
    assert torch.equal(weight, before)


def test_gradients_are_those_of_all_batches_of_a_step(model, eight, arguments):
    next(iter(model.model.parameters())).register_hook(lambda gradient: gradient * torch.inf)
    args = arguments(gradient_accumulation_steps=8, per_device_train_batch_size=1)
    trainer = Trainer(model, args, {"spans": eight[:4], "classes": eight[4:]})
    with pytest.raises(
        RunError, match=r"the norm of the gradients is (nan|inf), in a batch of (spans, cl|classes, sp)"
    ):
        trainer.train()
