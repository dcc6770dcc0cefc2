import json
import shutil
import sys

import pytest
import torch

from seqgpt.errors import ConfigError, ModelError
from seqgpt.model import SeqGPT
from seqgpt.predictors import (
    Command,
    FreeGeneration,
    SentenceEmbeddings,
    ZeroShotPipeline,
    open_predictor,
)
from seqgpt.predictors.open import about_model
from seqgpt.tasks import AtomicTask
from tests.predictors.conftest import save_tokenizer

TOPIC = AtomicTask.classify(["war", "sport"])


@pytest.fixture
def folder(tiny, tmp_path):
    tiny("qwen3").save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.mark.slow
def test_each_kind_is_opened_and_known_by_what_it_is(folder, encoder, nli, tiny, tmp_path):
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import json, sys\nfor line in sys.stdin:\n"
        "    print(json.dumps({'id': json.loads(line)['id'], 'labels': ['war']}), flush=True)\n"
    )
    for name, kind in {
        f"model:{folder}": type(tiny("qwen3")),
        f"free:{folder}": FreeGeneration,
        f"zero-shot:{nli()}": ZeroShotPipeline,
        f"embeddings:{encoder()}": SentenceEmbeddings,
        f"command:{sys.executable} '{worker}'": Command,
    }.items():
        with open_predictor(name, device=None if kind is Command else "cpu") as opened:
            assert isinstance(opened.predictor, kind)
            assert opened.about["kind"] == name.partition(":")[0]
            assert json.loads(json.dumps(opened.about)) == opened.about
            assert len(opened.predictor.predict_pairs([("we won", TOPIC)])) == 1
        with open_predictor(name) as again:
            assert again.about == opened.about


def test_other_weights_and_options_are_told_apart(folder, tiny, nli, tmp_path):
    known = [open_predictor(f"{kind}:{folder}").about for kind in ("model", "free")]
    other = tmp_path / "other"
    tiny("qwen3", seed=1).save_pretrained(other)
    shutil.rmtree(folder)
    other.rename(folder)
    changed = [open_predictor(f"{kind}:{folder}").about for kind in ("model", "free")]
    for before, after in zip(known, changed, strict=True):
        assert {key for key in before if before[key] != after[key]} == {"weights"}
    settings = json.loads((folder / "seqgpt.json").read_text())
    (folder / "seqgpt.json").write_text(json.dumps({**settings, "threshold": 0.25}))
    after = open_predictor(f"model:{folder}").about
    assert {key for key in after if after[key] != changed[0][key]} == {"threshold"}
    peer = open_predictor(f"zero-shot:{nli()}")
    with torch.no_grad():
        peer.predictor.model.classifier.weight.add_(1)
    peer.predictor.model.save_pretrained(tmp_path / "nli")
    save_tokenizer(tmp_path / "nli")
    assert open_predictor(f"zero-shot:{tmp_path / 'nli'}").about["weights"] != peer.about["weights"]


def test_8_bit_weights_are_told_apart_and_counted(folder):
    model = SeqGPT.from_pretrained(folder, device="cpu")
    exact = about_model(str(folder), model)
    rounded = about_model(str(folder), model.to_int8())
    assert {key for key in exact if exact[key] != rounded[key]} == {"weights", "dtype"}
    assert rounded["dtype"] == "int8"


def test_a_command_is_known_by_the_files_that_it_names(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "weights").write_bytes(b"1")
    name = f"command:python -u {tmp_path / 'model'} --threshold 0.5"
    before = open_predictor(name).about
    assert before["command"] == ["python", "-u", str(tmp_path / "model"), "--threshold", "0.5"]
    assert before["files"].keys() == {str(tmp_path / "model")}
    (tmp_path / "model" / "weights").write_bytes(b"2")
    assert open_predictor(name).about["files"] != before["files"]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        ("zeroshot:x", ConfigError, r"names no predictor\. Did you mean 'zero-shot'\? Use model:…, free:…"),
        ("runs/demo", ConfigError, "names no predictor"),
        ("model", ConfigError, "names no predictor"),
        ("free: ", ConfigError, "names nothing behind free"),
        ("embeddings:./nothing", ModelError, "there is no folder 'nothing'"),
        ("model:./nothing", ModelError, "there is no folder"),
        ("command:python 'x", ConfigError, "close what is quoted"),
    ],
)
def test_names_of_nothing(name, error, message):
    with pytest.raises(error, match=message):
        open_predictor(name)


def test_a_command_has_no_device():
    with pytest.raises(ConfigError, match="computes where it says itself"):
        open_predictor("command:python x", device="cpu")
