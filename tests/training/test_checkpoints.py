"""Checkpoints: what is there is complete, and what is kept is what is needed."""

from pathlib import Path

import pytest

from seqgpt.training.checkpoints import SAVING, STATE_FILE, clear_saving, last_checkpoint, publish, rotate


def make(directory, *steps):
    for step in steps:
        checkpoint = directory / f"checkpoint-{step}"
        checkpoint.mkdir(parents=True)
        (checkpoint / STATE_FILE).write_text(str(directory))
    return directory / f"checkpoint-{steps[-1]}"


def steps_in(directory):
    return sorted(int(path.name.rpartition("-")[2]) for path in directory.glob("checkpoint-*"))


@pytest.mark.parametrize(
    ("steps", "newest", "limit", "best", "kept"),
    [
        ([2, 4, 6], 6, 2, None, [4, 6]),
        ([2, 4, 6], 6, 1, None, [6]),
        ([2, 4, 6], 6, 1, 2, [2, 6]),
        ([2, 4, 6], 6, 2, 2, [2, 6]),
        ([2, 4, 6], 6, None, None, [2, 4, 6]),
        ([2, 10, 100], 100, 2, None, [10, 100]),
        ([2, 3, 8], 3, 2, None, [2, 3]),  # gone on from 2, where 8 had been reached before
        ([2, 3, 8], 3, 1, None, [3]),
    ],
)
def test_what_is_kept(tmp_path, steps, newest, limit, best, kept):
    make(tmp_path, *steps)
    rotate(tmp_path / f"checkpoint-{newest}", limit, best and f"elsewhere/checkpoint-{best}")
    assert steps_in(tmp_path) == kept


def test_half_written_ones_are_no_checkpoints_and_delete_none(tmp_path):
    make(tmp_path, 2, 4)
    (tmp_path / "checkpoint-9").mkdir()
    (tmp_path / SAVING / "checkpoint-6").mkdir(parents=True)
    assert last_checkpoint(tmp_path) == tmp_path / "checkpoint-4"
    rotate(tmp_path / "checkpoint-4", 1, None)
    assert steps_in(tmp_path) == [4, 9]
    clear_saving(tmp_path)
    assert not (tmp_path / SAVING).exists()


def test_a_checkpoint_takes_the_place_of_an_older_one(tmp_path):
    make(tmp_path, 2)
    new = make(tmp_path / SAVING, 2)
    assert publish(new, tmp_path) == tmp_path / "checkpoint-2"
    assert Path((tmp_path / "checkpoint-2" / STATE_FILE).read_text()) == tmp_path / SAVING
    assert not new.exists()
