"""Weights shared out among two processes (FSDP2): the losses, gradients and weights of one process.

accelerate shares weights out on GPUs only. Here it is told that two processes on a CPU had some, so that everything
after that is as it would be: sharding, checkpoints, evaluation, saving.

The scripts leave by ``os._exit``: threads of gloo outlive its group where a model was shared out, and may abort a
process that is done while its interpreter ends (https://github.com/pytorch/pytorch/pull/179291).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from seqgpt import SeqGPT
from tests.training.conftest import make_model

ROOT = Path(__file__).resolve().parent.parent.parent
RAW = """\
import os, sys
import torch
from torch.distributed.fsdp import FSDPModule, fully_shard
from seqgpt.data.augmentation import Augmentation
from seqgpt.data.sample import load_sample
from seqgpt.templates.marks import NONE
from seqgpt.training.collate import answer_loss, collate
from seqgpt.training.training_set import TrainingSet
from tests.training.conftest import make_model

rank, processes = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
model = make_model()
if sys.argv[2] != "rows":
    model.forward.packing = sys.argv[2]
    assert model.forward.pack() == ""
examples = TrainingSet(load_sample("train")[:8], model, seed=0, augmentation=Augmentation(4))
if processes > 1:
    torch.distributed.init_process_group("gloo")
    for layer in model.model.model.layers:
        fully_shard(layer)
    fully_shard(model.model)
    assert isinstance(model.model, FSDPModule)
mine = [examples[i] for i in range(len(examples)) if i % processes == rank]
inputs = collate(mine, model.forward, row_tokens=384)
logits = model.model(**model.forward.inputs(inputs["batch"]), logits_to_keep=inputs["keep"], use_cache=False).logits
columns = [inputs[key] for key in ("options", "right", "one_of", "weight")]
loss = answer_loss(logits, *columns, model.vocabulary.mark(NONE)).sum()
(loss * processes).backward()  # gradients are averaged over the processes
whole = lambda tensor: tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
gradients = {name: whole(weight.grad) for name, weight in model.model.named_parameters()}
if processes > 1:
    torch.distributed.all_reduce(loss.detach())
if rank == 0:
    torch.save({"loss": loss.detach(), "gradients": gradients}, sys.argv[1])
os._exit(0)
"""
RUN = """\
import json, os, sys
import torch
from accelerate import DistributedType
from accelerate.state import PartialState
from seqgpt import SeqGPT, Trainer
from seqgpt.data.sample import load_sample
from seqgpt.training.arguments import TrainingArguments

directory, base, lora, resume = sys.argv[1:]
processes = int(os.environ.get("WORLD_SIZE", 1))
if processes > 1:
    torch.distributed.init_process_group("gloo")
    os.environ["ACCELERATE_TORCH_DEVICE"] = "cpu"
    PartialState._prepare_backend = lambda *_, **__: ("gloo", DistributedType.MULTI_GPU)
args = TrainingArguments(
    output_dir=directory,
    use_cpu=True,
    max_steps=6,
    per_device_train_batch_size=8 // processes,
    max_labels=2,
    learning_rate=1e-3,
    logging_steps=1,
    eval_strategy="steps",
    eval_steps=3,
    eval_on_start=True,
    save_strategy="steps",
    save_steps=3,
    fsdp=processes > 1,
    activation_checkpointing=lora == "lora",
    fsdp_config={"activation_checkpointing": lora != "lora"},
)
model = SeqGPT.from_pretrained(base)
if lora == "lora":
    model.add_lora(r=4)
examples = load_sample("train")
trainer = Trainer(model, args, examples[:16], examples[16:20])
trainer.train(resume_from_checkpoint=resume if resume != "no" else None)
sharded = any(type(weight).__name__ == "DTensor" for weight in trainer.model.parameters())
assert sharded == (processes > 1)
after = trainer.evaluate()["eval_score"]  # in all processes
if trainer.is_world_process_zero():
    entries = trainer.state.log_history
    found = {"losses": [entry["loss"] for entry in entries if "loss" in entry], "after": after}
    found["scores"] = [entry["eval_score"] for entry in entries if "eval_score" in entry]
    with open(directory + "/found.json", "w") as file:
        json.dump(found, file)
os._exit(0)
"""


def run(script, processes, *given):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    command = [sys.executable, *(launcher if processes > 1 else []), str(script), *map(str, given)]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("layout", ["blocks", "flex", "rows"])
def test_loss_and_gradients_are_those_of_one_process(layout, tmp_path):
    script = tmp_path / "raw.py"
    script.write_text(RAW, encoding="utf-8")
    found = []
    for processes in (1, 2):
        file = tmp_path / f"{processes}.pt"
        run(script, processes, file, layout)
        found.append(torch.load(file, weights_only=True))
    one, two = found
    assert two["loss"] == pytest.approx(one["loss"].item(), rel=1e-5)
    assert two["gradients"].keys() == one["gradients"].keys()
    for name, gradient in one["gradients"].items():
        off = (two["gradients"][name] - gradient).abs().max() / gradient.abs().max()
        assert off < 1e-5, name


@pytest.mark.slow
@pytest.mark.parametrize("lora", ["whole", "lora"])
def test_a_sharded_run_is_that_of_one_process(lora, tmp_path):
    script, base = tmp_path / "run.py", make_model()
    script.write_text(RUN, encoding="utf-8")
    base.trained = True  # so that an adapter leaves the marks alone
    base.save_pretrained(tmp_path / "base")
    checkpoint = tmp_path / "two" / "checkpoint-3"
    for name, processes, resume in (("one", 1, "no"), ("two", 2, "no"), ("again", 2, checkpoint)):
        run(script, processes, tmp_path / name, tmp_path / "base", lora, resume)
    one, two, again = (json.loads((tmp_path / name / "found.json").read_text()) for name in ("one", "two", "again"))
    assert len(one["losses"]) == 6
    assert two["losses"] == pytest.approx(one["losses"], abs=1e-5)
    assert two["scores"] == pytest.approx(one["scores"])
    assert again["losses"] == two["losses"]
    file = "adapter_model.safetensors" if lora == "lora" else "model.safetensors"
    left, right, resumed = (load_file(tmp_path / name / file) for name in ("one", "two", "again"))
    assert left.keys() == right.keys() == resumed.keys()
    assert all(left[name].allclose(right[name], atol=1e-5) for name in left)
    assert all(right[name].equal(resumed[name]) for name in left)
    opened = SeqGPT.from_pretrained(tmp_path / "two")
    assert opened.trained
    if lora == "whole":
        assert all(right[name].equal(weight) for name, weight in opened.model.state_dict().items() if name in right)
        assert SeqGPT.from_pretrained(checkpoint).trained  # a checkpoint is a model, here too
