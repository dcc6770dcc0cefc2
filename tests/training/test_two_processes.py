"""Two processes learn what one does: the same losses, the same weights, the same labels in every epoch."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.training.conftest import make_model

ROOT = Path(__file__).resolve().parent.parent.parent
RUN = """\
import json, os, sys, time
from seqgpt import SeqGPT, Trainer
from seqgpt.data.sample import load_sample
from seqgpt.training.arguments import TrainingArguments
from tests.training.conftest import make_model

args = TrainingArguments(
    output_dir=sys.argv[1],
    use_cpu=True,
    max_steps=6,
    per_device_train_batch_size=8 // int(os.environ.get("WORLD_SIZE", 1)),
    max_labels=2,
    optim="sgd",
    learning_rate=0.1,
    logging_steps=1,
    save_strategy="no",
    ddp_find_unused_parameters=False,
)
model = make_model()
count, lora = map(int, sys.argv[2:])
if lora:
    model = SeqGPT.from_pretrained(os.environ["BASE"]).add_lora(r=4)
examples = load_sample("train")[:count]
trainer = Trainer(model, args, {"a": examples[:8], "b": examples[8:]})
time.sleep(3 * int(os.environ.get("RANK", 0)))  # the first writes nothing before the other has looked
trainer.train()
if trainer.is_world_process_zero():
    entries = [entry for entry in trainer.state.log_history if "loss" in entry]
    losses = [entry.get(key, 0.0) for entry in entries for key in ("loss", "loss/a", "loss/b")]
    with open(sys.argv[1] + "/losses.json", "w") as file:
        json.dump(losses, file)
os._exit(0)  # threads of gloo may abort a process that is done (test_sharded.py)
"""


TWO = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"]


@pytest.mark.slow
@pytest.mark.parametrize(("count", "lora"), [(16, False), (16, True), (13, False), (9, False), (9, True)])
def test_two_processes_are_one(count, lora, tmp_path):
    """The last batch of 13 examples is shared as three and two, and that of 9 leaves nothing for the second process."""
    script = tmp_path / "run.py"
    script.write_text(RUN, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "BASE": str(tmp_path / "base")}
    make_model().save_pretrained(tmp_path / "base")
    for name, launcher in (("one", []), ("two", TWO)):
        command = [sys.executable, *launcher, str(script), str(tmp_path / name), str(count), str(int(lora))]
        done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    one, two = (json.loads((tmp_path / name / "losses.json").read_text()) for name in ("one", "two"))
    assert len(one) == 6 * 3
    assert two == pytest.approx(one, abs=1e-5)
    left, right = (load_file(tmp_path / name / f"{'adapter_' * lora}model.safetensors") for name in ("one", "two"))
    assert all(left[name].allclose(right[name], atol=1e-5) for name in left)


@pytest.mark.slow
def test_a_stage_opens_the_one_before_when_it_is_whole(tmp_path):
    """Only the first process writes; the other must not look for the model before it is there."""
    settings = ["training.use_cpu=true", "training.muon_learning_rate=null", "data.train_limit=9"]
    settings += [f"stages.{stage}.training.max_steps=2" for stage in ("pretrain", "finetune")]
    command = [sys.executable, *TWO, "-m", "seqgpt", "train", "two_stages", f"output_dir={tmp_path}/run", *settings]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "eval_score" in json.loads((tmp_path / "run" / "finetune" / "metrics.json").read_text())
