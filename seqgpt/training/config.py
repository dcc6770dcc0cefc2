"""One training run as a YAML file: where the model comes from, what it reads, how it learns.

    output_dir: runs/mine
    model:
      path: runs/base              # a folder or hub id; or, to start from nothing:
      config: {model_type: qwen3, hidden_size: 192}
      vocab_size: 8192
    data:
      train: [msra_ner, mine.jsonl]
      eval: [msra_ner, held_out.jsonl]
    training: {learning_rate: 1.0e-3, num_train_epochs: 2}

Everything under ``training`` is an argument of ``seqgpt.TrainingArguments``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_type_hints

import yaml

from seqgpt.errors import ConfigError, did_you_mean
from seqgpt.training.arguments import TrainingArguments


@dataclass(frozen=True)
class ModelConfig:
    """Where the model comes from.

    Attributes:
        path: A folder or a hub id to start from.
        config: Or the fields of a Hugging Face config, ``model_type`` among them, to start from random weights.
        vocab_size: Size of the tokenizer that is then trained on the training texts.
    """

    path: str | None = None
    config: dict[str, Any] | None = None
    vocab_size: int = 8192


@dataclass(frozen=True)
class DataConfig:
    """What the model reads.

    Attributes:
        train: Recipes, JSONL files, or ``sample`` for the bundled examples.
        eval: The same, to predict during training; recipes give their validation split, ``sample`` its held-out part.
        train_limit: Most examples of each source, a seeded choice; all if None.
        eval_limit: The same for evaluation.
        root: Folder of the data sets that recipes read.
        on_bad_row: ``error`` or ``skip``; what is skipped is counted and reported.
    """

    train: list[str] = field(default_factory=list)
    eval: list[str] = field(default_factory=list)
    train_limit: int | None = None
    eval_limit: int | None = 200
    root: str | None = None
    on_bad_row: str = "error"


@dataclass(frozen=True)
class RunConfig:
    """One training run."""

    output_dir: str
    model: ModelConfig
    data: DataConfig
    training: dict[str, Any] = field(default_factory=dict)

    def to_yaml(self) -> str:
        """Return the run as YAML."""
        return yaml.safe_dump(dataclasses.asdict(self), allow_unicode=True, sort_keys=False)

    def arguments(self) -> TrainingArguments:
        """Build the training arguments.

        Raises:
            ConfigError: If transformers refuses a value.
        """
        try:
            return TrainingArguments(output_dir=self.output_dir, seed=self.training.get("seed", 0), **self._others())
        except (TypeError, ValueError) as error:
            raise ConfigError(f"training: {error}") from error

    def _others(self) -> dict[str, Any]:
        return {key: value for key, value in self.training.items() if key not in ("seed", "output_dir")}


def load_run_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a run from YAML.

    Args:
        path: The file.
        overrides: ``section.key=value``, each replacing or adding one value; the value is read as YAML.

    Raises:
        ConfigError: With everything that is wrong at once.
    """
    try:
        raw = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {path} ({error}): check the path, and save it as UTF-8.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}. Correct that line.") from error
    if not isinstance(raw, dict):
        raise ConfigError(f"{path}: expected output_dir, model, data and training at the top level.")
    for override in overrides:
        _apply(raw, override)
    return read_run_config(raw, str(path))


def read_run_config(raw: Mapping[str, Any], where: str = "config") -> RunConfig:
    """Check a run that is given as a mapping; see :func:`load_run_config`."""
    problems: list[str] = []
    top = _section(RunConfig, raw, "", problems)
    model = _section(ModelConfig, top.pop("model", {}), "model.", problems)
    data = _section(DataConfig, top.pop("data", {}), "data.", problems)
    training = top.pop("training", {})
    if not isinstance(training, Mapping):
        problems.append("training must be a mapping: write 'training: {num_train_epochs: 3}'")
        training = {}
    known = [f.name for f in dataclasses.fields(TrainingArguments)]
    problems += [
        f"unknown key 'training.{key}'.{did_you_mean(str(key), known)}" for key in training if key not in known
    ]
    if "output_dir" not in top:
        problems.append("output_dir is missing: name the folder that the run writes to")
    if bool(model.get("path")) == bool(model.get("config")):
        problems.append("model needs either path (a folder or hub id) or config (to start from random weights)")
    if not data.get("train"):
        problems.append("data.train is missing: list recipes, JSONL files, or sample")
    if data.get("on_bad_row", "error") not in ("error", "skip"):
        problems.append(f"data.on_bad_row is {data['on_bad_row']!r}: use error or skip")
    if problems:
        raise ConfigError(f"{where}: " + "\n  - ".join([f"{len(problems)} problem(s)", *problems]))
    return RunConfig(top["output_dir"], ModelConfig(**model), DataConfig(**data), dict(training))


def _section(kind: type, raw: Any, prefix: str, problems: list[str]) -> dict[str, Any]:
    """Return the known keys of a section whose values have the right type; note the other keys as problems."""
    if not isinstance(raw, Mapping):
        problems.append(f"{prefix.rstrip('.')} must be a mapping of keys to values")
        return {}
    types = get_type_hints(kind)
    values = {}
    for key, value in raw.items():
        if key not in types:
            problems.append(f"unknown key '{prefix}{key}'.{did_you_mean(str(key), types)}")
        elif not _fits(value, str(types[key])):
            problems.append(f"{prefix}{key} is {value!r}: expected {_kind(str(types[key]))}")
        else:
            values[key] = value
    return values


def _fits(value: Any, annotation: str) -> bool:
    if value is None:
        return "None" in annotation
    if "list" in annotation:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if "int" in annotation:
        return isinstance(value, int) and not isinstance(value, bool)
    if "str" in annotation and "dict" not in annotation:
        return isinstance(value, str)
    return isinstance(value, Mapping)


def _kind(annotation: str) -> str:
    for word, kind in (("list", "a list of names"), ("int", "a whole number"), ("dict", "a mapping"), ("str", "text")):
        if word in annotation:
            return kind
    return "a mapping"


def _apply(raw: dict[str, Any], override: str) -> None:
    path, equals, value = override.partition("=")
    if not equals or not path:
        raise ConfigError(f"override {override!r} is not key=value: write, for example, training.num_train_epochs=1.")
    *sections, key = path.split(".")
    target = raw
    for section in sections:
        target = target.setdefault(section, {})
        if not isinstance(target, dict):
            raise ConfigError(f"override {override!r}: {section!r} is a value, not a section.")
    target[key] = yaml.safe_load(value)
