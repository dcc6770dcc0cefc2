"""The shipped configs: found from a checkout and from an installed wheel, and every one of them can be read."""

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import torch

from seqgpt import SeqGPT, configs
from seqgpt.cli import main
from seqgpt.errors import ConfigError
from seqgpt.model_files import BUNDLED_FOLDER, build
from seqgpt.runs.config import load_stages
from seqgpt.runs.prepare import check_start

ROOT = Path(__file__).resolve().parent.parent


def test_the_checkout_s_configs_are_found():
    assert (configs.config_dir() / "datasets" / "cluener.yaml").is_file()


def test_an_installed_package_s_configs_come_first(tmp_path, monkeypatch):
    package = tmp_path / "seqgpt"
    for folder in (package / "configs" / "datasets", tmp_path / "configs" / "datasets"):
        folder.mkdir(parents=True)
    monkeypatch.setattr(configs, "__file__", str(package / "configs.py"))
    assert configs.config_dir() == package / "configs"


def test_no_configs_at_all(tmp_path, monkeypatch):
    monkeypatch.setattr(configs, "__file__", str(tmp_path / "seqgpt" / "configs.py"))
    with pytest.raises(ConfigError, match="install seqgpt"):
        configs.config_dir()


@pytest.mark.parametrize("file", sorted((ROOT / "configs" / "train").glob("*.yaml")), ids=lambda file: file.stem)
def test_shipped_runs_can_start(file):
    here = ["training.use_cpu=true", *(["training.fsdp=false"] if "fsdp" in file.read_text() else [])]
    first, *later = load_stages(file, here)
    first.arguments()
    if first.model.path is None:  # else it is on a hub
        check_start(first.model)
    assert all(stage.arguments() and stage.model.path for stage in later)


@pytest.mark.slow
def test_two_stages_from_the_command_line(tmp_path, capsys):
    command = ["train", "two_stages", f"output_dir={tmp_path}/run"]
    assert main(command) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "run" / "finetune")
    assert json.loads((tmp_path / "run" / "finetune" / "metrics.json").read_text())["eval_score"] > 0.1
    assert SeqGPT.from_pretrained(tmp_path / "run" / "finetune").predict("Anna is in Rome.", ["person"]) is not None


@pytest.mark.parametrize(
    ("shape", "parameters"),
    [({"hidden_size": 1024, "n_layer": 24, "n_head": 16}, 559_214_592),
     ({"hidden_size": 4096, "n_layer": 30, "n_head": 32}, 7_069_016_064)],
)  # fmt: skip
def test_shapes_of_the_paper_s_models(shape, parameters):
    with torch.device("meta"):
        model = build({"model_type": "bloom", **shape}, vocab_size=250_880)
    assert model.num_parameters() == parameters


@pytest.mark.slow
def test_the_wheel_holds_everything(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {f"seqgpt/{file.relative_to(ROOT)}" for file in (ROOT / "configs").rglob("*.yaml")}
    sample = {str(file.relative_to(ROOT)) for file in (ROOT / "seqgpt" / "sample").glob("*.jsonl")}
    model = {f"seqgpt/bundled/{file.name}" for file in BUNDLED_FOLDER.iterdir()}
    assert sample
    assert model
    assert names >= {"seqgpt/py.typed", "seqgpt/__main__.py", *shipped, *sample, *model}
