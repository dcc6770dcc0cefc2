"""What is computed appears once and whole, whoever computes it."""

import multiprocessing
import os

import pytest

from seqgpt.data.cache import cache_dir, cached, file_stamp
from seqgpt.errors import DataError


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGPT_CACHE", str(tmp_path / "cache"))


def make_folder(part):
    part.mkdir()
    (part / "a").write_text("a" * 1000)
    (part / "b").write_text("b" * 1000)


def test_what_is_there_is_not_computed_again():
    first = cached("x.txt", ("key", 1), lambda part: part.write_text("one"))
    assert cached("x.txt", ("key", 1), lambda _: pytest.fail("computed again")) == first
    assert cached("x.txt", ("key", 2), lambda part: part.write_text("two")) != first
    assert first.read_text() == "one"


def test_a_copy_of_a_file_is_the_same_and_a_changed_file_is_not(tmp_path):
    one, copy, other = tmp_path / "one.csv", tmp_path / "two" / "copy.csv", tmp_path / "one.tsv"
    copy.parent.mkdir()
    for path in (one, copy, other):
        path.write_text("a,b")
    os.utime(copy, ns=(0, 0))
    before = file_stamp(one)
    assert before == file_stamp(copy) != file_stamp(other)
    one.write_text("a,c")
    os.utime(one, ns=(1, 1))
    assert file_stamp(one) != before


def test_a_computation_that_fails_leaves_nothing():
    def fail(part):
        make_folder(part)
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        cached("folder", "key", fail)
    assert list(cache_dir().iterdir()) == []
    assert (cached("folder", "key", make_folder) / "b").read_text() == "b" * 1000


def test_who_is_slower_takes_what_is_there():
    def write(part):
        cached("folder", "key", make_folder)  # meanwhile another process has written it
        make_folder(part)

    assert (cached("folder", "key", write) / "a").exists()
    assert len(list(cache_dir().iterdir())) == 1


def test_several_processes_at_once():
    with multiprocessing.get_context("fork").Pool(4) as pool:
        paths = pool.starmap(cached, [("folder", "key", make_folder)] * 8)
    assert len(set(paths)) == 1
    assert len(list(cache_dir().iterdir())) == 1


def test_a_cache_that_cannot_be_made(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("SEQGPT_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(DataError, match=r"cannot be made .*: set SEQGPT_CACHE to another one"):
        cache_dir()
