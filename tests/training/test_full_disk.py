"""A disk that is full: one sentence, the last complete checkpoint stays, and the run goes on when there is room."""

import errno

import pytest
import torch
import transformers
from safetensors import SafetensorError

from seqgpt import RunError, Trainer
from seqgpt.training.checkpoints import SAVING, last_checkpoint, saved_or_told
from tests.training.conftest import make_model

FULL = OSError(errno.ENOSPC, "No space left on device")


def full_at(monkeypatch, place, name, nth, error):
    """Let the n-th call of a function fail, after it wrote something."""
    real, calls = getattr(place, name), []

    def fails(*given, **named):
        calls.append(1)
        done = real(*given, **named)
        if len(calls) == nth:
            raise error
        return done

    monkeypatch.setattr(place, name, fails)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "name", "nth", "error"),
    [
        (torch, "save", 5, RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 64 vs 0")),
        (torch, "save", 7, FULL),
        (transformers.modeling_utils, "safe_save_file", 2, SafetensorError("I/O error: No space left on device")),
        (transformers.TrainerState, "save_to_json", 3, FULL),
    ],
)
def test_a_checkpoint(eight, arguments, tmp_path, monkeypatch, place, name, nth, error):
    common = {"save_strategy": "steps", "save_steps": 2, "save_total_limit": 1}
    whole = make_model()
    Trainer(whole, arguments(output_dir=str(tmp_path / "whole"), **common), eight).train()
    with monkeypatch.context() as patch:
        full_at(patch, place, name, nth, error)
        with pytest.raises(RunError, match=r"^step 4: the checkpoint could not be saved .* from checkpoint-2\.$"):
            Trainer(make_model(), arguments(**common), eight).train()
    assert last_checkpoint(tmp_path / "run").name == "checkpoint-2"
    assert not (tmp_path / "run" / SAVING).exists()
    resumed = make_model(seed=1)
    Trainer(resumed, arguments(**common), eight).train(resume_from_checkpoint=True)
    for one, other in zip(whole.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.slow
def test_the_model_at_the_end(eight, arguments, monkeypatch):
    full_at(monkeypatch, transformers.modeling_utils, "safe_save_file", 1, FULL)
    with pytest.raises(RunError, match=r"^the model could not be saved .*No space left.* from its beginning\.$"):
        Trainer(make_model(), arguments(max_steps=1), eight).train()


def test_other_errors_are_not_hidden(tmp_path):
    with pytest.raises(ZeroDivisionError), saved_or_told("it", tmp_path):
        1 / 0  # noqa: B018
