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
import json, os, sys
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
if sys.argv[2:] == ["lora"]:
    model = SeqGPT.from_pretrained(os.environ["BASE"]).add_lora(r=4)
examples = load_sample("train")
trainer = Trainer(model, args, {"a": examples[:8], "b": examples[8:16]})
trainer.train()
if trainer.is_world_process_zero():
    entries = [entry for entry in trainer.state.log_history if "loss" in entry]
    losses = [entry[key] for entry in entries for key in ("loss", "loss/a", "loss/b")]
    with open(sys.argv[1] + "/losses.json", "w") as file:
        json.dump(losses, file)
"""


@pytest.mark.slow
@pytest.mark.parametrize("lora", [False, True])
def test_two_processes_are_one(lora, tmp_path):
    script = tmp_path / "run.py"
    script.write_text(RUN, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "BASE": str(tmp_path / "base")}
    make_model().save_pretrained(tmp_path / "base")
    for name, launcher in (("one", []), ("two", ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2"])):
        command = [sys.executable, *launcher, str(script), str(tmp_path / name), *["lora"][: int(lora)]]
        done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
    one, two = (json.loads((tmp_path / name / "losses.json").read_text()) for name in ("one", "two"))
    assert len(one) == 6 * 3
    assert two == pytest.approx(one, abs=1e-5)
    left, right = (load_file(tmp_path / name / f"{'adapter_' * lora}model.safetensors") for name in ("one", "two"))
    assert all(left[name].allclose(right[name], atol=1e-5) for name in left)
