"""What a model is as files: weights, tokenizer, and ``seqgpt.json``, which names its template."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.errors import EntryNotFoundError, StrictDataclassError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from seqgpt.engine.forward import PROMPT_ATTENTION
from seqgpt.errors import ModelError, did_you_mean

SETTINGS_FILE = "seqgpt.json"
"""Beside the weights: the model's template, whether it is trained on it, and the version of the file's format."""

_FORMAT = 1
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")


class Settings(NamedTuple):
    """What the settings file says: the name of a model's template, and whether the model is trained on it."""

    template: str
    trained: bool


def check_folder(path: Path, *, use_safetensors: bool) -> None:
    """Say what a folder lacks to be a model.

    Raises:
        ModelError: If it lacks anything.
    """
    if not path.exists():
        raise ModelError(f"there is no folder {str(path)!r}: check the path, or give a hub id.")
    if not (path / "config.json").is_file():
        raise ModelError(f"{str(path)!r} is not a model, because it has no config.json: {_without_config(path)}")
    if not any((path / name).is_file() for name in _TOKENIZER_FILES):
        raise ModelError(f"{str(path)!r} has no tokenizer: copy tokenizer.json and tokenizer_config.json to it.")
    if any(path.glob("*.safetensors")):
        return
    if not any(path.glob("*.bin")):
        raise ModelError(f"{str(path)!r} has no weights: copy model.safetensors to it.")
    if use_safetensors:
        raise ModelError(
            f"{str(path)!r} has its weights as a pickle, which can run code when it is read: if you trust it, open it "
            "with use_safetensors=False and save it again."
        )


def load(
    source: str, *, dtype: torch.dtype, trust_remote_code: bool, use_safetensors: bool
) -> tuple[PreTrainedTokenizerBase, PreTrainedModel]:
    """Load tokenizer and weights.

    Raises:
        ModelError: If that fails, or parts of the model have no weights.
    """
    auto: Any = AutoModelForCausalLM  # its annotations do not know what output_loading_info returns
    try:
        tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=trust_remote_code)
        model, report = auto.from_pretrained(
            source,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            use_safetensors=use_safetensors,
            output_loading_info=True,
        )
    except Exception as error:  # files of others fail in many ways: OSError, KeyError, SafetensorError, …
        raise ModelError(f"cannot open a model at {source!r}: {_first_line(error)}") from error
    if report["missing_keys"]:
        missing = sorted(report["missing_keys"])
        raise ModelError(
            f"the weights at {source!r} lack {len(missing)} parts of a causal language model, one of them "
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
    try:
        known = AutoConfig.for_model(name)
        attention = fields.get(PROMPT_ATTENTION, "causal")
        if attention not in ("causal", "whole"):
            raise ModelError(f"{PROMPT_ATTENTION} is {attention!r}: use 'causal' or 'whole'.")
        for field in fields:
            if not hasattr(known, field) and field != PROMPT_ATTENTION:
                raise ModelError(
                    f"{name!r} has no field {field!r}.{did_you_mean(field, known.to_dict())} Leave it out."
                )
        return cast(PreTrainedModel, auto.from_config(AutoConfig.for_model(name, **{**defaults, **fields})))
    except (ValueError, TypeError, StrictDataclassError, AttributeError, RuntimeError, ZeroDivisionError) as error:
        raise ModelError(f"cannot build a model of type {name!r}: {_first_line(error)}") from error


def fetch_settings(model_id: str) -> Path | None:
    """Return the settings file of a model on the hub; None if there is none.

    Raises:
        ModelError: If there is no such model.
    """
    try:
        return Path(hf_hub_download(model_id, SETTINGS_FILE))
    except EntryNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot open a model at {model_id!r}: {_first_line(error)}") from error


def read_settings(file: Path) -> Settings:
    """Return what a settings file says; where it does not say so, a model is trained.

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
    template, trained = settings.get("template"), settings.get("trained", True)
    if not isinstance(template, str):
        raise ModelError(f"{file} names no template: {again}")
    if not isinstance(trained, bool):
        raise ModelError(f"{file} says {trained!r} of trained, not true or false: {again}")
    return Settings(template, trained)


def write_settings(path: Path, settings: Settings) -> None:
    """Write the settings file into a model's folder."""
    record = {"format": _FORMAT, **settings._asdict()}
    (path / SETTINGS_FILE).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")


def _without_config(path: Path) -> str:
    checkpoints = [(int(p.name[11:]), p) for p in path.glob("checkpoint-*") if p.name[11:].isdecimal()]
    if checkpoints:
        return f"is it a run that did not finish? Its last checkpoint is {str(max(checkpoints)[1])!r}."
    return "a model folder has config.json and model.safetensors."


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
