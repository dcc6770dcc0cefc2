"""Where the shipped configs are: in an installed package, or in a checkout."""

from __future__ import annotations

from pathlib import Path

from seqgpt.errors import ConfigError, did_you_mean


def config_dir() -> Path:
    """Return the folder of shipped configs: ``seqgpt/configs`` when installed, else ``configs`` of the checkout.

    Raises:
        ConfigError: If there is neither, as in a copy of the package folder alone.
    """
    package = Path(__file__).resolve().parent
    places = (package / "configs", package.parent / "configs")
    for place in places:
        if (place / "datasets").is_dir():
            return place
    raise ConfigError(f"no configs at {places[0]} nor {places[1]}: install seqgpt, or run it from a whole checkout.")


def list_configs(folder: str) -> list[str]:
    """Return the names of the shipped configs of one kind, sorted; ``folder`` is where they are: ``"mixtures"``."""
    return sorted(file.stem for file in (config_dir() / folder).glob("*.yaml"))


def find_config(folder: str, name_or_path: str | Path, what: str) -> Path:
    """Return the file of a config: the path of a YAML file, or the name of a shipped one.

    Args:
        folder: Where the shipped ones are: ``"mixtures"``.
        name_or_path: The name or the path.
        what: What it is called in messages.

    Raises:
        ConfigError: If there is no shipped one of that name.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml"):
        return path
    known = list_configs(folder)
    if str(name_or_path) not in known:
        raise ConfigError(
            f"unknown {what} {str(name_or_path)!r}.{did_you_mean(str(name_or_path), known)} "
            f"Use one of {', '.join(known)}, or the path of a YAML file."
        )
    return config_dir() / folder / f"{name_or_path}.yaml"
