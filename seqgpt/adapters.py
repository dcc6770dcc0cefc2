"""LoRA (arXiv 2106.09685) through peft: small weights beside those of a model, which stay as they are.

An adapter is saved without its base: where that stands, and some of its weights, by which it is known again, are saved
in its stead. The embeddings of the marks are trained and saved with an adapter if the base has not learnt them.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from huggingface_hub import snapshot_download
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase
from transformers.pytorch_utils import Conv1D
from transformers.utils import CONFIG_NAME

from seqgpt import fingerprint
from seqgpt.errors import ConfigError, ModelError
from seqgpt.fingerprint import Fingerprint
from seqgpt.model_files import ADAPTER_CONFIG, ADAPTER_WEIGHTS, SETTINGS_FILE, Source, cannot_open, lasting_name
from seqgpt.templates.marks import MARKS

FINGERPRINT_FILE = "base_fingerprint.safetensors"
"""Beside an adapter: some weights of the model that it belongs on."""

_FILES = (ADAPTER_CONFIG, ADAPTER_WEIGHTS, FINGERPRINT_FILE)
_NAME = "default"  # peft gives every adapter a name


def delete_adapter(folder: Path) -> None:
    """Delete the files of an adapter from a folder, if it has one: it would be opened in place of a whole model."""
    for name in _FILES:
        (folder / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class LoraConfig:
    """The shape of a LoRA adapter.

    Attributes:
        r: Rank of the change of each weight matrix.
        alpha: The change is scaled by ``alpha / r``.
        dropout: Probability that an input of the adapter is left out in training.
        target_modules: Names of the layers that get one, or what their names end with behind a dot; by default all
            linear layers but the output embeddings.

    Raises:
        ConfigError: If a value is out of its range.
    """

    r: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    target_modules: list[str] | None = None

    def __post_init__(self) -> None:
        if self.r < 1:
            raise ConfigError(f"r is {self.r}: give a rank of 1 or more, such as 16.")
        if self.alpha <= 0:
            raise ConfigError(f"alpha is {self.alpha}: give more than 0, such as twice r.")
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout is {self.dropout}: give a probability from 0 up, below 1.")
        if self.target_modules is not None and (isinstance(self.target_modules, str) or not self.target_modules):
            raise ConfigError("target_modules is no list of names: list at least one, or leave it out for all layers.")


class Adapter:
    """A LoRA adapter in a model.

    Attributes:
        peft: The model with the adapter as peft and the Trainer of transformers know it; what it computes, the model
            computes too.
        base: The fingerprint of the model without it.
    """

    def __init__(self, model: PreTrainedModel, config: Any, base: Fingerprint) -> None:
        from peft import get_peft_model

        from seqgpt.trained_tokens import lighten

        self.base = base
        place, revision = config.base_model_name_or_path, config.revision
        config.base_model_name_or_path = config.revision = None
        was_training = model.training
        with warnings.catch_warnings():
            # peft asks transformers for the old name of a property.
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing` is deprecated", FutureWarning)
            self.peft: nn.Module = get_peft_model(model, config, _NAME)
        lighten(self.peft)
        config.base_model_name_or_path, config.revision = place, revision
        for weight in self.weights:  # where the base is of another type, steps of marks would be rounded away
            weight.data = weight.data.float()
        self.peft.train(was_training)

    @property
    def weights(self) -> list[nn.Parameter]:
        """What is trained."""
        return [weight for weight in self.peft.parameters() if weight.requires_grad]

    @property
    def layers(self) -> list[nn.Module]:
        """Its linear layers: two beside each layer of the base that has an adapter."""
        from peft.tuners.lora import LoraLayer

        beside = [layer for layer in self.peft.modules() if isinstance(layer, LoraLayer)]
        return [part for layer in beside for parts in (layer.lora_A, layer.lora_B) for part in parts.values()]

    @property
    def trains_marks(self) -> bool:
        """Whether the embeddings of the marks are trained with it."""
        return bool(self._config.trainable_token_indices)

    def save(self, folder: Path, state_dict: dict[str, Tensor] | None = None) -> None:
        """Save the adapter alone; ``state_dict`` is that of the whole model, if it was gathered from several places.

        Raises:
            ModelError: If the folder holds a whole model, which would be taken for the adapter's base.
        """
        from peft import get_peft_model_state_dict

        if (folder / CONFIG_NAME).is_file():
            raise ModelError(f"{str(folder)!r} holds a whole model: save the adapter in a folder of its own.")

        weights = get_peft_model_state_dict(self.peft, state_dict, _NAME, save_embedding_layers=False)
        save_file({name: weight.contiguous() for name, weight in weights.items()}, folder / ADAPTER_WEIGHTS)
        self._config.save_pretrained(folder)
        self.base.write(folder / FINGERPRINT_FILE)

    def set_weights(self, weights: dict[str, Tensor]) -> None:
        """Give the adapter its weights.

        Raises:
            ValueError, RuntimeError: If they are not of this adapter.
        """
        from peft import set_peft_model_state_dict

        told: Any = set_peft_model_state_dict(self.peft, weights, _NAME)
        own = {name for name, weight in self.peft.named_parameters() if weight.requires_grad}
        wrong = [*told.unexpected_keys, *(name for name in told.missing_keys if name in own)]
        if wrong:
            raise ValueError(f"{wrong[0]} is missing, or unknown")

    def merge(self) -> None:
        """Add the adapter to the weights of the base, in place; after it there is none."""
        self._unload(self.peft.merge_and_unload())  # type: ignore[operator]

    def remove(self) -> None:
        """Take the adapter out of the base, which is then as it was."""
        self._unload(self.peft.unload())  # type: ignore[operator]

    def _unload(self, model: PreTrainedModel) -> None:
        model.__dict__.pop("peft_config", None)  # or peft warns of a second adapter when there is another one
        model.requires_grad_(True)

    @property
    def _config(self) -> Any:
        configs: Any = self.peft.peft_config
        return configs[_NAME]


class Base(NamedTuple):
    """Where the base of an adapter is: a folder or hub id, and there perhaps a revision."""

    name: str
    revision: str | None


def add(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    config: LoraConfig,
    *,
    source: Source,
    train_marks: bool,
    seed: int,
) -> Adapter:
    """Put a new adapter into a model, which computes then what it did.

    Args:
        model: The model.
        tokenizer: Its tokenizer.
        config: The adapter's shape.
        source: Where the model's weights are.
        train_marks: Train and save the embeddings of the marks too.
        seed: Seed of the adapter's weights.

    Raises:
        ModelError: If the model has no such layers, or its embeddings of marks cannot be trained by themselves.
    """
    import peft

    make: Any = peft.LoraConfig  # its annotation of alpha is narrower than what it takes
    lora = make(
        r=config.r,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=config.target_modules or "all-linear",
        fan_in_fan_out=any(isinstance(layer, Conv1D) for layer in model.modules()),
        trainable_token_indices=_marks(model, tokenizer) if train_marks else None,
        task_type=peft.TaskType.CAUSAL_LM,
        base_model_name_or_path=lasting_name(source.name),
        revision=source.options.get("revision"),
    )
    base = fingerprint.take(model, tokenizer)
    try:
        with _seeded(seed):
            return Adapter(model, lora, base)
    except ValueError as error:
        names = sorted({name.rpartition(".")[2] for name, layer in model.named_modules() if _is_linear(layer)})
        raise ModelError(
            f"target_modules are {config.target_modules}: the model has no such linear layers, but {', '.join(names)}."
        ) from error


def load(model: PreTrainedModel, folder: Path, base: Fingerprint) -> Adapter:
    """Put a saved adapter into a model, whose fingerprint is ``base``.

    Raises:
        ModelError: If the files cannot be read, or do not go together.
    """
    try:
        with _seeded(0):
            adapter = Adapter(model, _read_config(folder), base)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise cannot_open(str(folder), error) from error
    try:
        adapter.set_weights(load_file(folder / ADAPTER_WEIGHTS))
    except Exception as error:  # SafetensorError, RuntimeError, …
        adapter.remove()
        raise cannot_open(str(folder), error) from error
    return adapter


def check_base(folder: Path, base: Fingerprint) -> None:
    """Raise a ``ModelError`` if the adapter in a folder belongs on another model than the one of this fingerprint."""
    try:
        known = fingerprint.read(folder / FINGERPRINT_FILE)
    except Exception as error:  # SafetensorError, OSError, KeyError
        raise cannot_open(str(folder), error) from error
    differs = known.differs(base)
    if differs:
        raise ModelError(
            f"the adapter at {str(folder)!r} belongs on another model than this one ({differs}): put it on the model "
            f"that was at {base_of(folder).name!r} when it was trained."
        )


def base_of(folder: Path) -> Base:
    """Return where the base of an adapter was when it was made.

    Raises:
        ModelError: If the adapter's config cannot be read, or does not say it.
    """
    try:
        config = _read_config(folder)
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise cannot_open(str(folder), error) from error
    if not config.base_model_name_or_path:
        raise ModelError(f"{ADAPTER_CONFIG} at {str(folder)!r} names no base: pass base=, a folder or hub id.")
    return Base(config.base_model_name_or_path, config.revision)


def find_base(folder: Path) -> Base:
    """Return where the base of an adapter is.

    Raises:
        ModelError: If it is not there any more.
    """
    base = base_of(folder)
    if Path(base.name).is_absolute() and not Path(base.name).exists():
        raise ModelError(
            f"the adapter at {str(folder)!r} belongs on the model that was at {base.name!r}, and there is none now: "
            "pass base=, the folder where it is."
        )
    return base


def fetch(source: Source) -> Path:
    """Return the folder of an adapter; one on the hub is downloaded.

    Raises:
        ModelError: If that fails.
    """
    if Path(source.name).is_dir():
        return Path(source.name)
    wanted = [*_FILES, SETTINGS_FILE]
    try:
        return Path(snapshot_download(source.name, allow_patterns=wanted, **source.options))
    except Exception as error:  # as for whole models
        raise cannot_open(source.name, error) from error


def _read_config(folder: Path) -> Any:
    from peft import PeftConfig

    config = PeftConfig.from_pretrained(str(folder))
    config.inference_mode = False  # it may be trained on
    return config


def _marks(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> dict[str, list[int]]:
    """Return the ids of the marks for each table of embeddings; where both are one table, for that."""
    ids = [int(tokenizer.convert_tokens_to_ids(str(mark))) for mark in MARKS]  # type: ignore[arg-type]
    inputs, outputs = model.get_input_embeddings(), model.get_output_embeddings()
    if not isinstance(inputs, nn.Embedding) or not isinstance(outputs, nn.Linear) or outputs.bias is not None:
        raise ModelError(
            f"the embeddings of {model.config.model_type} are no plain tables, so those of the marks cannot be trained "
            "by themselves: train the whole model first, and add LoRA to what it becomes."
        )
    tables: Sequence[nn.Module] = [inputs] if inputs.weight is outputs.weight else [inputs, outputs]
    return {name: ids for name, layer in model.named_modules() if any(layer is table for table in tables)}


def _is_linear(layer: nn.Module) -> bool:
    return isinstance(layer, (nn.Linear, Conv1D))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw new weights by a seed, and leave the global generators as they were."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield
