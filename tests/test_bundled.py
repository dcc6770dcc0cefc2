"""The model that comes with the library: it opens by name, works offline, and is what its card says."""

import json
import subprocess
import sys

import pytest

import seqgpt
from seqgpt import AtomicTask, SeqGPT
from seqgpt.model_files import BUNDLED, BUNDLED_FOLDER, find, lasting_name
from seqgpt.templates import DEFAULT_TEMPLATE

MOST_BYTES = 40_000_000
PRAISES = {
    "The food was wonderful and the waiters were friendly.": True,
    "I love this phone, it works perfectly.": True,
    "A terrible film, boring from start to end.": False,
    "The worst hotel I have ever stayed in.": False,
    "Great service, we will come back.": True,
    "It broke after two days, a waste of money.": False,
    "A beautiful and touching story.": True,
    "The room was dirty and the staff were rude.": False,
    "味道很好，服务也很周到。": True,
    "质量太差了，用了两天就坏了。": False,
    "非常喜欢，物流也很快。": True,
    "等了两个小时，饭菜都是凉的。": False,
    "酒店很干净，性价比高。": True,
    "再也不会来了，态度恶劣。": False,
    "电影很感人，值得一看。": True,
    "送来的东西是坏的，很失望。": False,
}


@pytest.fixture(scope="module")
def model():
    return SeqGPT.from_pretrained()


def test_it_is_small_safe_and_whole():
    files = {file.name: file.stat().st_size for file in BUNDLED_FOLDER.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "seqgpt.json", "README.md"} <= files.keys()
    assert {name.rpartition(".")[2] for name in files} <= {"safetensors", "json", "md", "png"}
    assert sum(files.values()) < MOST_BYTES


def test_it_is_a_trained_model_of_the_default_template(model):
    assert model.trained
    assert model.template.name == DEFAULT_TEMPLATE
    assert model.calibration.choice != 1
    assert model.model.config.tie_word_embeddings


@pytest.mark.slow
def test_it_has_one_name(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # where no folder is called so
    assert find(BUNDLED, revision=None, use_safetensors=True).name == str(BUNDLED_FOLDER)
    assert lasting_name(str(BUNDLED_FOLDER)) == BUNDLED
    assert lasting_name(str(tmp_path)) == str(tmp_path.resolve())
    assert lasting_name("an/id") == "an/id"
    text, task = "Tim Cook visited Shanghai.", AtomicTask.extract(["person", "place"])
    monkeypatch.delenv("SEQGPT_MODEL", raising=False)
    assert seqgpt.predict(text, task) == seqgpt.predict(text, task, model=BUNDLED) == model.predict(text, task)


@pytest.mark.slow
def test_an_adapter_on_it_names_it_and_not_a_path(tmp_path):
    model = SeqGPT.from_pretrained()
    model.add_lora()
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "adapter_config.json").read_text())["base_model_name_or_path"] == BUNDLED
    assert SeqGPT.from_pretrained(tmp_path).adapter is not None


def test_it_tells_praise_from_complaint(model):
    """Of sixteen texts of nobody's data set; by chance, twelve and more come out right in one of 26 trials."""
    right = 0
    for text, praises in PRAISES.items():
        labels = ["negative", "positive"] if text.isascii() else ["负面", "正面"]
        right += model.predict(text, AtomicTask.classify(labels)).label == labels[praises]
    assert right >= 12


def test_the_library_is_imported_without_it():
    code = "import sys, seqgpt; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
