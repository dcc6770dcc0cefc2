"""What a person sees of a run: the loss, how fast it goes, what evaluations find."""

from types import SimpleNamespace

import pytest

from seqgpt import Trainer
from seqgpt.training import progress
from seqgpt.training.progress import Throughput, TrainingProgress
from tests.training.conftest import make_model


def test_tokens_are_counted_without_padding(eight, arguments, monkeypatch):
    counted = []
    monkeypatch.setattr(Throughput, "add", lambda _, tokens: counted.append(tokens))
    trainer = Trainer(make_model(), arguments(max_steps=1, row_tokens=0, per_device_train_batch_size=8), eight)
    trainer.train()
    batch = trainer.data_collator([trainer.train_dataset[i] for i in range(8)])
    assert counted == [int((batch["batch"].node >= 0).sum())]
    assert counted[0] < batch["batch"].input_ids.numel()
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert all("tokens_per_second" in entry for entry in logged)


def test_tokens_per_second(monkeypatch):
    now = [10.0]
    monkeypatch.setattr(progress, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    throughput = Throughput()
    throughput.add(30)
    throughput.add(20)
    now[0] = 12.0
    assert throughput.take() == 25.0
    throughput.add(1000)
    throughput.restart()  # after an evaluation
    throughput.add(5)
    now[0] = 13.0
    assert throughput.take() == 5.0


@pytest.mark.parametrize("first", [True, False])
def test_the_bar(capsys, first):
    state = SimpleNamespace(is_world_process_zero=first, max_steps=4, global_step=2)  # resumed at step 2
    bar = TrainingProgress()
    bar.on_train_begin(None, state, None)
    state.global_step = 3
    bar.on_step_end(None, state, None)
    bar.on_log(None, state, None, {"loss": 0.5, "loss/a": 0.25, "epoch": 0.75, "tokens_per_second": 12345.6})
    bar.on_log(None, state, None, {"eval_a_offset_f1": 0.5, "eval_a_precision": 0.25, "eval_score": 0.5})
    bar.on_train_end(None, state, None)
    err = capsys.readouterr().err
    if not first:
        assert err == ""
        return
    assert "3/4" in err
    assert "loss=0.500, epoch=0.75, tokens/s=12,346" in err
    assert "step 3: a_offset_f1 0.500, score 0.500" in err
