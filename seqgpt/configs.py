"""Where the shipped configs are: in an installed package, or in a checkout."""

from __future__ import annotations

from pathlib import Path

from seqgpt.errors import ConfigError


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
