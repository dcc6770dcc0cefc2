"""The shipped configs: found from a checkout and from an installed wheel, and every one of them can be read."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from seqgpt import configs
from seqgpt.errors import ConfigError
from seqgpt.training.config import load_run_config
from seqgpt.training.run import _check_start

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
    config = load_run_config(file)
    config.arguments()
    _check_start(config.model)


@pytest.mark.slow
def test_the_wheel_holds_everything(tmp_path):
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=120)
    (wheel,) = tmp_path.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    shipped = {f"seqgpt/{file.relative_to(ROOT)}" for file in (ROOT / "configs").rglob("*.yaml")}
    sample = {str(file.relative_to(ROOT)) for file in (ROOT / "seqgpt" / "sample").glob("*.jsonl")}
    assert sample
    assert names >= {"seqgpt/py.typed", "seqgpt/__main__.py", *shipped, *sample}
