"""Which libraries a run used."""

from __future__ import annotations

import json
import platform
from importlib.metadata import version

import torch

from seqgpt.version import __version__

ENVIRONMENT_FILE = "environment.json"

_PACKAGES = ("torch", "transformers", "accelerate", "peft", "datasets", "tokenizers", "numpy")


def environment() -> dict[str, str]:
    """Return the versions of Python and the libraries, the kind of machine and, if there is one, the accelerator."""
    found = {"python": platform.python_version(), "seqgpt": __version__}
    found |= {package: version(package) for package in _PACKAGES}
    found["platform"] = f"{platform.system()} {platform.machine()}"
    if torch.cuda.is_available():
        found["accelerator"] = torch.cuda.get_device_name()
    return found


def environment_json() -> str:
    """Return the same as text."""
    return json.dumps(environment(), indent=2) + "\n"
