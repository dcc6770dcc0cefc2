import pytest

from seqgpt import configs
from seqgpt.errors import ConfigError


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
