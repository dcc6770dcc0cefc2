"""Packing the bundled model: half the size, the same answers, the card left alone."""

import json

import pack as script
import pytest
import torch
from safetensors.torch import load_file

from seqgpt import AtomicTask, SeqGPT
from seqgpt.calibration import Calibration
from tests.conftest import tiny_config

TASK = AtomicTask.classify(["one", "two", "three"])


@pytest.fixture
def finished(tmp_path, tokenizer):
    model = SeqGPT.from_config(tiny_config("llama"), tokenizer)
    model.trained, model.threshold, model.calibration = True, 0.3, Calibration(1.5, 0.8)
    model.save_pretrained(tmp_path / "run")
    return model


def test_weights_are_halved_and_answers_stay(finished, tmp_path):
    place = tmp_path / "packed"
    place.mkdir()
    (place / "README.md").write_text("# The card\n", encoding="utf-8")
    (place / "old.safetensors").touch()
    size = script.pack(tmp_path / "run", place)
    assert {one.dtype for one in load_file(place / "model.safetensors").values()} == {torch.float16}
    assert (place / "README.md").read_text(encoding="utf-8") == "# The card\n"
    assert not (place / "old.safetensors").exists()
    assert size == sum(one.stat().st_size for one in place.iterdir() if one.name != "README.md")
    packed = SeqGPT.from_pretrained(place)
    assert packed.model.dtype == torch.float32
    assert (packed.trained, packed.threshold, packed.calibration) == (True, 0.3, Calibration(1.5, 0.8))
    expected, found = (model.predict("一 two 3", TASK).scores for model in (finished, packed))
    assert found == pytest.approx(expected, abs=1e-3)
    script.pack(tmp_path / "run", place)  # again, over what is there
    assert json.loads((place / "seqgpt.json").read_text())["threshold"] == 0.3


def test_what_is_too_large_for_a_package_is_refused(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(script, "_MOST_BYTES", 1000)
    with pytest.raises(SystemExit, match="more than 1,000: train a smaller one"):
        script.pack(tmp_path / "run", tmp_path / "packed")
    assert not any((tmp_path / "packed").iterdir())
