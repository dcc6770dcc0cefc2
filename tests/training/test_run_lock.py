"""One run at a time in a directory; the lock of a killed one is none."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from seqgpt import RunError, Trainer
from seqgpt.run_lock import LOCK_FILE, is_empty, run_lock
from seqgpt.training.checkpoints import SAVING
from tests.training.conftest import make_model

ROOT = Path(__file__).resolve().parent.parent.parent
HOLDER = """\
import sys, time
from pathlib import Path
from seqgpt.run_lock import run_lock

with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_second_run_is_refused(tmp_path):
    told = rf"is in use by process {os.getpid()} on .*: wait for it, end it, or choose"
    with run_lock(tmp_path):
        with pytest.raises(RunError, match=told), run_lock(tmp_path):
            pass
        with run_lock(tmp_path, taken=False):  # another process of the same run
            assert is_empty(tmp_path)
    assert list(tmp_path.iterdir()) == []
    with run_lock(tmp_path):
        pass


def test_it_is_released_after_a_failure(tmp_path):
    with pytest.raises(ZeroDivisionError), run_lock(tmp_path):
        1 / 0  # noqa: B018
    with run_lock(tmp_path):
        pass


@pytest.mark.slow
def test_a_killed_process_holds_no_lock(tmp_path):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(RunError, match=f"in use by process {holder.pid} on"), run_lock(tmp_path):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    assert (tmp_path / LOCK_FILE).exists()
    with run_lock(tmp_path):
        pass


def test_a_trainer_takes_it_too(eight, arguments, tmp_path):
    trainer = Trainer(make_model(), arguments(max_steps=1), eight)
    with run_lock(tmp_path / "run"), pytest.raises(RunError, match="in use by process"):
        trainer.train()
    trainer.train()
    assert not (tmp_path / "run" / LOCK_FILE).exists()


def test_what_another_run_is_writing_stays(eight, arguments, tmp_path):
    trainer = Trainer(make_model(), arguments(max_steps=1), eight)
    (tmp_path / "run" / "checkpoint-1").mkdir()
    writing = tmp_path / "run" / SAVING / "checkpoint-2"
    writing.mkdir(parents=True)
    with run_lock(tmp_path / "run"), pytest.raises(RunError, match="in use by process"):
        trainer.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-1"))
    assert writing.is_dir()
