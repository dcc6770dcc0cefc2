"""Runs that are killed, at every moment: started again they end with the weights of a run that never stopped."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from seqgpt import write_jsonl

ROOT = Path(__file__).resolve().parent.parent.parent

# A process imports everything once. Every run is a fork of it, which kills itself at its n-th touch of a file in its
# directory: before a file is opened, renamed or deleted, or when weights or states are half written.
KILLER = """\
import json, os, random, shutil, signal, sys, time
import matplotlib.figure, torch, transformers
from pathlib import Path
from safetensors.torch import load_file
from seqgpt.runs.config import DataConfig, LoraRun, ModelConfig, RunConfig
from seqgpt.runs.run import METRICS_FILE, run_training
from tests.runs.test_run import TINY

folder, share = Path(sys.argv[1]), float(sys.argv[2])
EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir")
touches = kill_at = 0

def touch(half_written=""):
    global touches
    touches += 1
    if touches == kill_at:
        if half_written:
            os.truncate(half_written, os.path.getsize(half_written) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

def halfway(save):
    def saved(what, path, *given, **named):
        save(what, path, *given, **named)
        touch(path)
    return saved

torch.save = halfway(torch.save)
transformers.modeling_utils.safe_save_file = halfway(transformers.modeling_utils.safe_save_file)

def config(output, kind):
    training = {
        "max_steps": 5, "use_cpu": True, "per_device_train_batch_size": 4, "save_strategy": "steps", "save_steps": 1,
        "logging_steps": 1, "learning_rate": 1e-3, "max_labels": 2,
    }
    data = {"train": [str(folder / "train.jsonl")]}
    if kind == "best":
        training |= {"save_total_limit": 1, "eval_strategy": "steps", "eval_steps": 1, "load_best_model_at_end": True}
        data["eval"] = [str(folder / "held_out.jsonl")]
    else:
        training |= {"muon_learning_rate": 0.02, "lr_scheduler_type": "cosine", "gradient_accumulation_steps": 2}
        training["per_device_train_batch_size"] = 2  # two steps in an epoch, so that the last one ends in its middle
    if kind == "lora":
        del training["muon_learning_rate"]
        model = ModelConfig(path=str(folder / "muon-whole"))
        return RunConfig(str(output), model, DataConfig(**data), training, lora=LoraRun(r=2, dropout=0.1))
    model = ModelConfig(config=TINY | {"attention_dropout": 0.1}, vocab_size=400)
    return RunConfig(str(output), model, DataConfig(**data), training)

def fork(output, kind, at=0, after=0.0):
    child = os.fork()
    if child:
        if after:
            time.sleep(after)
            os.kill(child, signal.SIGKILL)
        return os.waitpid(child, 0)[1]
    global kill_at
    code = 1
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        error = os.open(folder / "error.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(null, 1), os.dup2(error, 2)
        kill_at = at
        name = str(output)
        def hook(event, given):
            if event in EVENTS and name in str(given[0]) and (event != "open" or given[1] not in ("r", "rb")):
                touch()
        sys.addaudithook(hook)
        run_training(config(output, kind))
        (folder / "touches").write_text(str(touches))
        code = 0
    except BaseException:
        import traceback
        traceback.print_exc()
    os._exit(code)

failures, kills = [], 0
draw = random.Random(0)
for kind in ("muon", "best", "lora"):
    weights = "adapter_model.safetensors" if kind == "lora" else "model.safetensors"
    whole = folder / f"{kind}-whole"
    began = time.perf_counter()
    assert fork(whole, kind) == 0, (folder / "error.txt").read_text()
    seconds = time.perf_counter() - began
    total = int((folder / "touches").read_text())
    wanted = load_file(whole / weights)
    moments = [{"at": at} for at in range(1, total + 1) if draw.random() < share]
    moments += [{"after": draw.random() * seconds} for _ in range(3)]
    for moment in moments:
        output = folder / kind
        shutil.rmtree(output, ignore_errors=True)
        kills += bool(fork(output, kind, **moment))
        second = {} if draw.random() < 0.7 else {"at": draw.randint(1, total)}
        kills += bool(second) and bool(fork(output, kind, **second))
        finished = (output / METRICS_FILE).is_file()
        if not finished and fork(output, kind) != 0:
            failures.append([kind, moment, second, (folder / "error.txt").read_text()[-2000:]])
            continue
        found = load_file(output / weights)
        if not all(torch.equal(found[name], weight) for name, weight in wanted.items()):
            failures.append([kind, moment, second, "other weights"])
        # A process that is killed between its last file and the end leaves its lock, which locks nothing.
        left, expected = (
            {p.name for p in place.iterdir() if "-" not in p.name} - {"_run.lock"} for place in (output, whole)
        )
        if left != expected:
            failures.append([kind, moment, second, sorted(left ^ expected)])
print(json.dumps({"failures": failures, "kills": kills}))
"""


@pytest.mark.slow
def test_killed_runs_end_as_those_that_never_stopped(eight, tmp_path):
    for name, examples in (("train", eight), ("held_out", eight[3:5])):
        write_jsonl(tmp_path / f"{name}.jsonl", examples)
    script = tmp_path / "killer.py"
    script.write_text(KILLER, encoding="utf-8")
    share = os.environ.get("SEQGPT_TEST_KILLS", "0.03")  # of all moments; 1 for each of them
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    command = [sys.executable, str(script), str(tmp_path), share]
    done = subprocess.run(command, check=False, env=environment, capture_output=True, text=True, timeout=3000)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["failures"] == []
    assert told["kills"] > 5
