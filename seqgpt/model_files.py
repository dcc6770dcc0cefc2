"""What a model is as files: weights, tokenizer, and ``seqgpt.json``, which names its template."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, cast, get_args

import torch
from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
from huggingface_hub.errors import (
    EntryNotFoundError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    StrictDataclassError,
)
from transformers import (
    CONFIG_MAPPING,
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from seqgpt.calibration import Calibration
from seqgpt.errors import ConfigError, ModelError, did_you_mean
from seqgpt.options import DEFAULT_THRESHOLD, Overlap
from seqgpt.whole_file import write_file

SETTINGS_FILE = "seqgpt.json"
"""Beside the weights: the model's template, whether it is trained on it, how it decides, and the file's format."""

BUNDLED = "bundled"
"""The name of the model that comes with the library."""

BUNDLED_FOLDER = Path(__file__).resolve().parent / "bundled"
"""Where it is; its card is ``README.md`` there."""

ADAPTER_CONFIG = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
"""As peft calls them."""

_FORMAT = 1
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
_PICKLES = "pytorch_model*.bin"
_PATIENCE = 5  # seconds for the hub to answer at all


class Settings(NamedTuple):
    """What the settings file says.

    Attributes:
        template: Name of the model's template.
        trained: The model is trained on it.
        threshold: What the probability of a span must exceed.
        class_threshold: What that of one label of several must exceed.
        overlap: Whether spans may overlap.
        calibration: The temperatures of its probabilities.
        adapter: What lies beside them is an adapter, not a whole model.
    """

    template: str
    trained: bool = True
    threshold: float = DEFAULT_THRESHOLD
    class_threshold: float = DEFAULT_THRESHOLD
    overlap: Overlap = "allow"
    calibration: Calibration = Calibration()
    adapter: bool = False


class Source(NamedTuple):
    """Where a model's files are.

    Attributes:
        name: A folder or a hub id.
        settings: Its settings file; None if it has none.
        options: What transformers is told to find the other files.
    """

    name: str
    settings: Path | None
    options: dict[str, Any]


def expand(path: str | Path) -> Path:
    """Return a path with the home folder for ``~``; ``~name`` stays as it is if there is no such user."""
    return Path(os.path.expanduser(path))


def lasting_name(name: str) -> str:
    """Return the name by which a model is found later and from elsewhere: that of the bundled one, or its path."""
    folder = expand(name)
    if not folder.exists():
        return name
    place = folder.resolve()
    return BUNDLED if place == BUNDLED_FOLDER else str(place)


def find(path_or_id: str | Path, *, revision: str | None, use_safetensors: bool) -> Source:
    """Find a model in a folder, or else on the hub; or the bundled one by its name.

    Raises:
        ModelError: If it is in neither, or the folder lacks something.
    """
    folder = BUNDLED_FOLDER if path_or_id == BUNDLED else expand(path_or_id)
    if not folder.exists() and not _must_be_a_folder(path_or_id):
        return fetch_settings(str(path_or_id), revision)
    check_folder(folder, use_safetensors=use_safetensors)
    if revision is not None:
        raise ModelError(f"{str(folder)!r} is a folder, which has no revisions: leave revision out.")
    settings = folder / SETTINGS_FILE
    return Source(str(folder), settings if settings.is_file() else None, {})


def stamp(folder: Path) -> tuple[tuple[str, int, int], ...]:
    """Return what changes when a model is saved into a folder again; nothing if there is no such folder."""
    patterns = ("*.safetensors", _PICKLES, "config.json", SETTINGS_FILE, *_TOKENIZER_FILES)
    files = [(file.name, file.stat()) for pattern in patterns for file in sorted(folder.glob(pattern))]
    return tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in files)


def make_folder(path: Path) -> None:
    """Make a folder for a model, if there is none.

    Raises:
        ModelError: If that cannot be.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise ModelError(f"{str(path)!r} is a file: name a folder to save the model in.") from error
    except OSError as error:
        raise ModelError(f"cannot make the folder {str(path)!r} ({error.strerror}): name another one.") from error


def check_folder(path: Path, *, use_safetensors: bool) -> None:
    """Say what a folder lacks to be a model.

    Raises:
        ModelError: If it lacks anything.
    """
    if not path.exists():
        raise ModelError(f"there is no folder {str(path)!r}: check the path, or give a hub id as a string.")
    if (path / ADAPTER_CONFIG).is_file() and not (path / "config.json").is_file():
        _check_adapter(path)
        return
    if not (path / "config.json").is_file():
        raise ModelError(f"{str(path)!r} is not a model, because it has no config.json: {_without_config(path)}")
    if not any((path / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelError(f"{str(path)!r} has no tokenizer: copy tokenizer.json and tokenizer_config.json to it.")
    if any(path.glob("*.safetensors")):
        return
    if not any(path.glob(_PICKLES)):
        raise ModelError(f"{str(path)!r} has no weights: copy model.safetensors to it.")
    if use_safetensors:
        raise ModelError(
            f"{str(path)!r} has its weights as a pickle, which can run code when it is read: if you trust it, open it "
            "with use_safetensors=False and save it again."
        )


def _check_adapter(path: Path) -> None:
    if not (path / SETTINGS_FILE).is_file():
        raise ModelError(
            f"{str(path)!r} is an adapter that seqgpt did not save: it has no {SETTINGS_FILE}. Merge it into its model "
            "with peft, and open that."
        )
    if not (path / ADAPTER_WEIGHTS).is_file():
        raise ModelError(f"{str(path)!r} has no weights: copy {ADAPTER_WEIGHTS} to it.")


def load(
    source: Source, *, dtype: torch.dtype, trust_remote_code: bool, use_safetensors: bool
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Load tokenizer and weights.

    Raises:
        ModelError: If that fails, or parts of the model have no weights.
    """
    auto: Any = AutoModelForCausalLM  # its annotations do not know what output_loading_info returns
    try:
        tokenizer = AutoTokenizer.from_pretrained(source.name, trust_remote_code=trust_remote_code, **source.options)
        model, report = auto.from_pretrained(
            source.name,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            use_safetensors=use_safetensors,
            output_loading_info=True,
            **source.options,
        )
    except Exception as error:  # files of others fail in many ways: OSError, KeyError, SafetensorError, …
        raise cannot_open(source.name, error) from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ModelError(
            f"the weights at {source.name!r} lack {len(missing)} parts of a causal language model, one of them "
            f"{missing[0]!r}: is it a model of another kind?"
        )
    return tokenizer, model


def build(config: Mapping[str, Any], **defaults: Any) -> PreTrainedModel:
    """Build a model of random weights.

    Args:
        config: ``model_type``, and fields of that type's config.
        defaults: Fields for which ``config`` may give other values.

    Raises:
        ModelError: If the type is missing or unknown, or the fields do not fit.
    """
    if "model_type" not in config:
        raise ModelError("the config names no model_type: add one, for example 'qwen3' or 'llama'.")
    name, fields = config["model_type"], {key: value for key, value in config.items() if key != "model_type"}
    auto: Any = AutoModelForCausalLM
    if name not in CONFIG_MAPPING:
        hint = did_you_mean(str(name), CONFIG_MAPPING)
        raise ModelError(f"transformers has no model_type {name!r}.{hint} Use one it has, such as 'qwen3' or 'llama'.")
    try:
        known = AutoConfig.for_model(name)
        for field in fields:
            if not hasattr(known, field):
                raise ModelError(
                    f"{name!r} has no field {field!r}.{did_you_mean(field, known.to_dict())} Leave it out."
                )
        return cast(PreTrainedModel, auto.from_config(AutoConfig.for_model(name, **{**defaults, **fields})))
    except (ValueError, TypeError, StrictDataclassError, AttributeError, RuntimeError, ZeroDivisionError) as error:
        raise ModelError(f"cannot build a model of type {name!r}: {_first_line(error)}") from error


def fetch_settings(model_id: str, revision: str | None = None) -> Source:
    """Fetch the settings file of a model on the hub.

    Without a network, and without a copy of the file from before, nobody knows whether the model has settings: it is
    then opened only if all of it was copied before, as a plain model is.

    Raises:
        ModelError: If there is no such model.
    """
    options: dict[str, Any] = {} if revision is None else {"revision": revision}
    copied = not _answers(model_id, revision)
    try:
        file = hf_hub_download(model_id, SETTINGS_FILE, revision=revision, local_files_only=copied)
        return Source(model_id, Path(file), options)
    except LocalEntryNotFoundError:
        return Source(model_id, None, {**options, "local_files_only": True})
    except EntryNotFoundError:
        return Source(model_id, None, options)
    except Exception as error:  # OSError, ValueError, and several that are neither
        raise cannot_open(model_id, error) from error


def _answers(model_id: str, revision: str | None) -> bool:
    """Tell whether the hub answers. A download would ask six times, for 23 seconds, whether a name is known."""
    try:
        get_hf_file_metadata(hf_hub_url(model_id, SETTINGS_FILE, revision=revision), timeout=_PATIENCE)
    except (HfHubHTTPError, HFValidationError):
        return True  # also that there is no such file, or no such model
    except Exception:  # of several libraries: no network, no answer in time, or the hub is switched off
        return False
    return True


def read_settings(file: Path) -> Settings:
    """Return what a settings file says.

    Raises:
        ModelError: If the file cannot be read, or was written by a later version.
    """
    again = "copy it again from where the model was saved."
    try:
        settings = json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{file} is not JSON ({error}): {again}") from error
    if not isinstance(settings, dict) or "format" not in settings:
        raise ModelError(f"{file} is not of seqgpt: {again}")
    if settings["format"] != _FORMAT:
        raise ModelError(f"{file} is of format {settings['format']!r}, this version reads {_FORMAT}: update seqgpt.")
    known: dict[str, Any] = {name: settings[name] for name in Settings._fields if name in settings}
    try:
        known["calibration"] = Calibration(**known.get("calibration", {}))
    except (TypeError, ConfigError) as error:
        raise ModelError(f"{file} has a calibration that cannot be read ({error}): {again}") from error
    known.setdefault("class_threshold", known.get("threshold", DEFAULT_THRESHOLD))  # of older files: they had but one
    said = Settings(**{"template": None, **known})
    _check_settings(said, file, again)
    return said


def _check_settings(said: Settings, file: Path, again: str) -> None:
    if not isinstance(said.template, str):
        raise ModelError(f"{file} names no template: {again}")
    for name in ("trained", "adapter"):
        if not isinstance(getattr(said, name), bool):
            raise ModelError(f"{file} says {getattr(said, name)!r} of {name}, not true or false: {again}")
    for name in ("threshold", "class_threshold"):
        value = getattr(said, name)
        if type(value) not in (int, float) or not 0 <= value < 1:
            raise ModelError(f"{file} says {value!r} of {name}, not a probability below 1: {again}")
    if said.overlap not in get_args(Overlap):
        raise ModelError(f"{file} says {said.overlap!r} of overlap, not {' or '.join(get_args(Overlap))}: {again}")


def write_settings(path: Path, settings: Settings) -> None:
    """Write the settings file into a model's folder."""
    record = {"format": _FORMAT, **settings._asdict(), "calibration": asdict(settings.calibration)}
    if not settings.adapter:
        del record["adapter"]
    write_file(path / SETTINGS_FILE, json.dumps(record, indent=2) + "\n")


def _must_be_a_folder(path_or_id: str | Path) -> bool:
    """Tell whether this cannot be a hub id, which is a name or ``owner/name``."""
    if not isinstance(path_or_id, str):
        return True
    return path_or_id.count("/") > 1 or path_or_id.startswith((".", "/", "~"))


def cannot_open(name: str, error: Exception) -> ModelError:
    """Return the error for a model that cannot be opened, in a folder or on the hub."""
    reason = _first_line(error).rstrip(".:")
    if Path(name).exists():
        return ModelError(f"cannot open a model at {name!r}: {reason}")
    return ModelError(
        f"cannot open a model at {name!r} ({reason}): there is no folder {name!r} here; if it is a hub id, check its "
        "spelling and the network."
    )


def _without_config(path: Path) -> str:
    checkpoints = [(int(p.name[11:]), p) for p in path.glob("checkpoint-*") if p.name[11:].isdecimal()]
    if checkpoints:
        return f"is it a run that did not finish? Its last checkpoint is {str(max(checkpoints)[1])!r}."
    return "a model folder has config.json and model.safetensors."


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
