"""Records: what was written is there, whenever the process or the disk failed."""

import errno
import os

import pytest

from seqgpt.errors import DataError, RunError
from seqgpt.synth.records import Record, Records

THREE = [Record(f"key{i}", "ner", "en", "一\n\"'😀" * i, "stop", 10 * i, i, batch=i == 2) for i in range(3)]


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "records.jsonl"
    with Records(path) as records:
        for record in THREE:
            records.add(record)
    return path


def test_what_is_written_is_read(file):
    with Records(file) as records:
        assert [records.get(record.key) for record in THREE] == THREE
        assert records.get("other") is None
        assert len(records) == 3
        assert {group: (total.requests, total.prompt_tokens) for group, total in records.totals.items()} == {
            ("en", "ner", False): (2, 10),
            ("en", "ner", True): (1, 20),
        }


@pytest.mark.slow
def test_a_line_that_was_cut_off_anywhere(file):
    """All lines but the cut one are read, and what is written next begins a line of its own."""
    whole = file.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == 10]
    for cut in range(len(whole)):
        file.write_bytes(whole[:cut])
        left = sum(end <= cut for end in ends)
        with Records(file) as records:
            assert len(records) == left
            for record in THREE:
                records.add(record)
        with Records(file) as records:
            assert [records.get(record.key) for record in THREE] == THREE
        assert file.read_bytes() == whole


def test_a_record_is_written_once(file):
    size = file.stat().st_size
    with Records(file) as records:
        records.add(THREE[1])
    assert file.stat().st_size == size


@pytest.mark.parametrize("line", ["no json\n", "{}\n", "[]\n", '{"key": "a", "more": 1}\n', "\n"])
def test_a_line_in_between_that_is_no_record(file, line):
    whole = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join([whole[0], line, *whole[1:]]), encoding="utf-8")
    with pytest.raises(DataError, match=r"records\.jsonl, line 2 is no record .*: delete this line"):
        Records(file)


@pytest.mark.parametrize("part", [True, False])
def test_a_full_disk(file, monkeypatch, part):
    """Whether the disk takes a part of the line or nothing: what was there stays, and the next run goes on."""
    before, write = file.read_bytes(), os.write

    def full(number, line):
        if not part:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(number, line[: len(line) // 2])

    with Records(file) as records:
        monkeypatch.setattr(os, "write", full)
        with pytest.raises(RunError, match=r"cannot write .*records\.jsonl: No space left .* make room, and go on"):
            records.add(Record("new", "ner", "en", "x", "stop", 1, 1))
        monkeypatch.undo()
        assert file.read_bytes() == before
        assert "new" not in records
        records.add(Record("new", "ner", "en", "x", "stop", 1, 1))
    with Records(file) as records:
        assert len(records) == 4


def test_a_folder_that_cannot_be_written(tmp_path):
    with pytest.raises(RunError, match="cannot write"):
        Records(tmp_path / "none" / "records.jsonl")
