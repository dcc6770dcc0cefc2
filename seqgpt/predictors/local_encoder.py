"""Opening encoders of others from a folder, and how much of a text they read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from seqgpt.errors import ModelError
from seqgpt.model_files import cannot_open, check_folder, expand

_UNKNOWN = 10**6  # tokenizers that are not told how much their model reads say more than this
_BEFORE_THE_FIRST = 2  # positions that models of the RoBERTa family leave out


def open_encoder(folder: str | Path, auto: Any, *, device: str | None = None) -> tuple[Any, PreTrainedModel]:
    """Open tokenizer and model of a folder, safetensors only and without code of its own.

    The tokenizer knows afterwards how many tokens the model reads.

    Args:
        folder: The folder.
        auto: The class of transformers that opens the model, such as ``AutoModel``.
        device: Where the model computes; a CPU by default.

    Raises:
        ModelError: If there is no such model in the folder.
    """
    path = expand(folder)
    if not path.is_dir():
        raise ModelError(f"there is no folder {str(path)!r}: peers run from a folder, so copy the model to one.")
    check_folder(path, use_safetensors=True)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(str(path))
        model, report = auto.from_pretrained(str(path), use_safetensors=True, output_loading_info=True)
        model.to(device or "cpu").eval()
    except Exception as error:  # files of others fail in many ways: OSError, KeyError, SafetensorError, …
        raise cannot_open(str(folder), error) from error
    missing = sorted(name for name in report["missing_keys"] if not name.startswith("pooler."))  # not used here
    if missing:
        raise ModelError(
            f"the weights at {str(folder)!r} lack {len(missing)} parts, one of them {missing[0]!r}: is it a model of "
            "another kind?"
        )
    positions = getattr(model.config, "max_position_embeddings", None)
    if tokenizer.model_max_length > _UNKNOWN and isinstance(positions, int) and positions > _BEFORE_THE_FIRST:
        tokenizer.model_max_length = positions - _BEFORE_THE_FIRST
    return tokenizer, model


def read_json(file: Path) -> Any:
    """Return what a JSON file of a model says; None if there is no such file.

    Raises:
        ModelError: If it is not JSON.
    """
    if not file.is_file():
        return None
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{file} is not JSON ({error}): copy it again from where the model was saved.") from error
