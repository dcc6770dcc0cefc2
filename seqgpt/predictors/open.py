"""What the command line calls a predictor, ``KIND:ARGUMENT``, as one; and what it is known by."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from seqgpt import fingerprint
from seqgpt.errors import ConfigError, did_you_mean
from seqgpt.evaluation.predictor import Predictor
from seqgpt.model import SeqGPT
from seqgpt.predictors.command import Command
from seqgpt.predictors.embeddings import SentenceEmbeddings
from seqgpt.predictors.free_generation import FreeGeneration
from seqgpt.predictors.zero_shot_pipeline import ZeroShotPipeline


@dataclass(frozen=True)
class Opened:
    """A predictor that was opened by its name; a context manager that ends what was started for it.

    Attributes:
        predictor: The predictor.
        about: What it is known by, as plain JSON values: another predictor, or the same with other weights or options,
            has others.
    """

    predictor: Predictor
    about: dict[str, Any]

    def close(self) -> None:
        """End what was started for it."""
        if isinstance(self.predictor, Command):
            self.predictor.close()

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_predictor(name: str, *, device: str | None = None) -> Opened:
    """Open what can be evaluated by its name.

    Args:
        name: ``model:FOLDER``, a SeqGPT model (or a hub id); ``free:FOLDER``, the same without constraint;
            ``zero-shot:FOLDER``, a model of natural-language inference; ``embeddings:FOLDER``, a sentence encoder; or
            ``command:PROGRAM ARGUMENT …``, a process of its own (:mod:`seqgpt.predictors.command`).
        device: Where it computes; by default a GPU for a SeqGPT model, if there is one, and a CPU for the others.

    Raises:
        ConfigError: If there is no such kind, or nothing is named.
        ModelError: If there is no such model.
    """
    kind, colon, argument = name.partition(":")
    if kind not in _KINDS or not colon:
        raise ConfigError(
            f"{name!r} names no predictor.{did_you_mean(kind, _KINDS)} Use {', '.join(f'{one}:…' for one in _KINDS)}, "
            "followed by a folder or a command."
        )
    if not argument.strip():
        raise ConfigError(f"{name!r} names nothing behind {kind}: give a folder, or a command.")
    predictor, about = _KINDS[kind](argument, device)
    return Opened(predictor, {"kind": kind, **about})


def about_model(folder: str, model: SeqGPT) -> dict[str, Any]:
    """Return what a model is known by, as plain JSON values."""
    return {
        "kind": "model",
        **_of_seqgpt(folder, model),
        "threshold": model.threshold,
        "class_threshold": model.class_threshold,
        "overlap": model.overlap,
        "calibration": asdict(model.calibration),
    }


def _model(folder: str, device: str | None) -> tuple[Predictor, dict[str, Any]]:
    model = SeqGPT.from_pretrained(folder, device=device)
    return model, about_model(folder, model)


def _free(folder: str, device: str | None) -> tuple[Predictor, dict[str, Any]]:
    free = FreeGeneration(SeqGPT.from_pretrained(folder, device=device))
    return free, {**_of_seqgpt(folder, free.model), **_options(free, "max_new_tokens", "num_beams")}


def _zero_shot(folder: str, device: str | None) -> tuple[Predictor, dict[str, Any]]:
    peer = ZeroShotPipeline.from_pretrained(folder, device=device)
    return peer, {**_of_weights(folder, peer.model, peer.tokenizer), **_options(peer, "hypotheses", "threshold")}


def _embeddings(folder: str, device: str | None) -> tuple[Predictor, dict[str, Any]]:
    peer = SentenceEmbeddings.from_pretrained(folder, device=device)
    options = _options(peer, "pooling", "scale", "threshold")
    return peer, {**_of_weights(folder, peer.model, peer.tokenizer), **options}


def _command(words: str, device: str | None) -> tuple[Predictor, dict[str, Any]]:
    if device is not None:
        raise ConfigError("a command computes where it says itself: leave the device out, or give it to the command.")
    try:
        arguments = shlex.split(words)
    except ValueError as error:
        raise ConfigError(f"the command {words!r} cannot be read ({error}): close what is quoted.") from error
    return Command(arguments), {"command": arguments, "files": _digests(arguments)}


_KINDS: dict[str, Callable[[str, str | None], tuple[Predictor, dict[str, Any]]]] = {
    "model": _model,
    "free": _free,
    "zero-shot": _zero_shot,
    "embeddings": _embeddings,
    "command": _command,
}


def _of_seqgpt(folder: str, model: SeqGPT) -> dict[str, Any]:
    known = {**_of_weights(folder, model.model, model.tokenizer), "template": model.template.name}
    return known | ({"dtype": model.quantized} if model.quantized else {})


def _of_weights(folder: str, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, Any]:
    return {
        "folder": folder,
        "architecture": model.config.model_type,
        "parameters": fingerprint.size(model),
        "weights": fingerprint.take(model, tokenizer).digest(),
        "dtype": str(model.dtype).removeprefix("torch."),
        "device": model.device.type,
    }


def _options(predictor: object, *names: str) -> dict[str, Any]:
    return {name: getattr(predictor, name) for name in names}


def _digests(arguments: Sequence[str]) -> dict[str, str]:
    """Return digests of the files and folders that are named behind the program."""
    return {one: _digest(Path(one)) for one in arguments[1:] if Path(one).exists()}


def _digest(path: Path) -> str:
    known = hashlib.sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file():
            known.update(str(file.relative_to(path)).encode())
            with file.open("rb") as opened:
                known.update(hashlib.file_digest(opened, "sha256").digest())
    return known.hexdigest()[:16]
