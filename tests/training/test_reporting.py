"""What is logged reaches whatever ``report_to`` names; a package that is missing is told."""

import dataclasses
import struct

import pytest
import transformers
from transformers.integrations import integration_utils

from seqgpt import Trainer
from seqgpt.errors import ConfigError
from tests.training.conftest import make_model

LOGGED = {"loss", "loss/a", "loss/b", "learning_rate", "grad_norm", "tokens_per_second"}
FOUND = {"held_offset_f1", "score", "family_NER"}


def train(eight, arguments, **given):
    held = [dataclasses.replace(example, family="NER") for example in eight[:2]]
    args = arguments(max_steps=2, eval_strategy="steps", eval_steps=2, **given)
    trainer = Trainer(make_model(), args, {"a": eight[:4], "b": eight[4:]}, {"held": held})
    trainer.train()
    return trainer


def scalars(file):
    """Return step, name and value of each number in an event file: length, checksum, event, checksum; and again."""
    event_pb2 = pytest.importorskip("tensorboardX.proto.event_pb2")
    content, found = file.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        event = event_pb2.Event.FromString(content[12 : 12 + length])
        found += [(event.step, value.tag, value.simple_value) for value in event.summary.value]
        content = content[16 + length :]
    return found


@pytest.mark.slow
def test_tensorboard_gets_losses_of_sources_and_evaluations(eight, arguments, tmp_path):
    pytest.importorskip("tensorboardX")
    trainer = train(eight, arguments, report_to="tensorboard")
    (file,) = (tmp_path / "run" / "runs").rglob("events.out.*")
    found = scalars(file)
    for step in (1, 2):
        assert {f"train/{name}" for name in LOGGED} <= {name for at, name, _ in found if at == step}
    assert {f"eval/{name}" for name in FOUND} <= {name for at, name, _ in found if at == 2}
    losses = [value for _, name, value in found if name == "train/loss/a"]
    assert losses == pytest.approx([entry["loss/a"] for entry in trainer.state.log_history if "loss/a" in entry])


def test_integrations_get_the_same(eight, arguments, monkeypatch):
    """Weights & Biases and all others are callbacks of transformers, made by name; this one stands for them."""
    got = []

    class Integration(transformers.TrainerCallback):
        def on_log(self, args, state, control, logs=None, **_):
            got.append((state.global_step, integration_utils.rewrite_logs(logs)))

    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "wandb", Integration)
    monkeypatch.setattr(integration_utils, "is_wandb_available", lambda: True)
    train(eight, arguments, report_to="wandb")
    names = {(step, name) for step, logs in got for name in logs}
    assert {(step, f"train/{name}") for step in (1, 2) for name in LOGGED} <= names
    assert {(2, f"eval/{name}") for name in FOUND} <= names


def test_what_cannot_be_logged_to(arguments):
    with pytest.raises(
        ConfigError, match="report_to is 'clearml', and its package is not there: pip install clearml, or"
    ):
        arguments(report_to=["clearml"])
    with pytest.raises(ConfigError, match=r"report_to is 'tensorbord', which .*\. Did you mean 'tensorboard'\?"):
        arguments(report_to="tensorbord")
    assert arguments(report_to="none").report_to == []
