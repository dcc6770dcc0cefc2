"""One training run as a YAML file: where the model comes from, what it reads, how it learns.

    output_dir: runs/mine
    model:
      path: runs/base              # a folder or hub id; or, to start from nothing:
      config: {model_type: qwen3, hidden_size: 192}
      vocab_size: 8192
    data:
      train: [msra_ner, mine.jsonl]
      eval: [msra_ner, held_out.jsonl]
    mixture:                       # or, instead of data.train: many sources, each in its share; or a mixture's path
      sources: ["*"]
      examples: 200000
    training: {learning_rate: 1.0e-3, num_train_epochs: 2}
    lora: {r: 16, alpha: 32}       # an adapter is trained, and the model of model.path stays as it is

Everything under ``training`` is an argument of ``seqgpt.TrainingArguments``; of ``mixture``, of
``seqgpt.data.mixture.MixtureConfig``; of ``lora``, of ``LoraRun`` below. ``lora: true`` is an adapter of the usual
shape, ``lora: false`` none.

A config can have stages, one run after the other, each of which begins with the model that the one before left. What
stands at the top level holds for all of them, as far as a stage does not say otherwise:

    output_dir: runs/paper         # of the stages: runs/paper/pretrain, runs/paper/finetune
    model: {path: bigscience/bloomz-560m}
    training: {bf16: true}
    stages:
      pretrain: {mixture: llm_labelled, training: {num_train_epochs: 1}}
      finetune: {mixture: everything, training: {learning_rate: 1.0e-5}}
      custom: {data: {train: [mine.jsonl]}, training: {learning_rate: 3.0e-4}}

A stage called ``custom`` trains an adapter of the usual shape, unless its ``lora``, or that of the top level, says
otherwise (``lora: false``: all weights), or an earlier stage has one already, which is then trained on.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import yaml

from seqgpt.adapters import LoraConfig
from seqgpt.data.mixture_config import MixtureConfig, load_mixture_config
from seqgpt.errors import ConfigError, did_you_mean
from seqgpt.examples import OnBadRow
from seqgpt.model_files import expand
from seqgpt.training.arguments import TrainingArguments
from seqgpt.yaml_file import YamlFile
from seqgpt.yaml_section import read_section

# Arguments that a config has in another place, or needs not at all.
_ELSEWHERE = {
    "output_dir": "write output_dir at the top level",
    "resume_from_checkpoint": "leave it out, a run that is started again goes on by itself",
}
_MIN_VOCABULARY = 300


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
        passes: How often the examples of a source come in an epoch, once if it is not named here; of a fraction, a
            seeded choice of them. So small sets are not lost among large ones.
        replay: Other data that is mixed in, so that the model keeps what it knows: ``training.replay_share`` of all
            examples. Its validation splits are evaluated before and after.
        train_limit: Most examples of each source, a seeded choice; all if None.
        eval_limit: The same for evaluation.
        root: Folder of the data sets that recipes read.
        on_bad_row: ``error`` or ``skip``; what is skipped is counted and reported.
    """

    train: list[str] = field(default_factory=list)
    eval: list[str] = field(default_factory=list)
    passes: dict[str, float] = field(default_factory=dict)
    replay: list[str] = field(default_factory=list)
    train_limit: int | None = None
    eval_limit: int | None = 200
    root: str | None = None
    on_bad_row: OnBadRow = "error"


@dataclass(frozen=True)
class LoraRun(LoraConfig):
    """The adapter that is trained in place of the model.

    Attributes:
        r: As all the following but the last in :class:`seqgpt.adapters.LoraConfig`.
        alpha: See there.
        dropout: See there.
        target_modules: See there.
        quantize: Compute with weights of the base that are rounded, while training: ``int8``, to 8 bits, on a CPU;
            ``nf4``, to 4 bits (QLoRA), with bitsandbytes.
    """

    quantize: Literal["int8", "nf4"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.quantize not in (None, "int8", "nf4"):
            raise ConfigError(f"quantize is {self.quantize!r}: give int8 or nf4, or leave it out.")


@dataclass(frozen=True)
class RunConfig:
    """One training run."""

    output_dir: str
    model: ModelConfig
    data: DataConfig
    training: dict[str, Any] = field(default_factory=dict)
    mixture: MixtureConfig | None = None
    lora: LoraRun | None = None

    def to_yaml(self) -> str:
        """Return the run as YAML."""
        return yaml.safe_dump(dataclasses.asdict(self), allow_unicode=True, sort_keys=False)

    def arguments(self) -> TrainingArguments:
        """Build the training arguments.

        Raises:
            ConfigError: If transformers refuses a value.
        """
        try:
            return TrainingArguments(output_dir=self.output_dir, **self.training)
        except ConfigError as error:
            raise ConfigError(f"training: {error}") from error
        except (TypeError, ValueError, RuntimeError, ImportError) as error:
            raise ConfigError(f"training: {' '.join(str(error).split()).rstrip('.')}: correct the value.") from error


def load_run_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a run without stages from YAML.

    Args:
        path: The file.
        overrides: ``section.key=value``, each replacing or adding one value; the value is read as YAML.

    Raises:
        ConfigError: With everything that is wrong at once, stages among it.
    """
    file = _open(path, overrides, _RUN_KEYS)
    run = _run(file)
    file.check()
    return run


def load_stages(path: str | Path, overrides: Sequence[str] = ()) -> list[RunConfig]:
    """Read the runs of a config from YAML, in order; a config without stages is one run.

    Args:
        path: The file.
        overrides: As in :func:`load_run_config`; of one stage: ``stages.finetune.training.seed=1``.

    Raises:
        ConfigError: With everything that is wrong at once.
    """
    file = _open(path, overrides, [*_RUN_KEYS, STAGES])
    runs = read_stages(file)
    file.check()
    return runs


def read_stages(file: YamlFile) -> list[RunConfig]:
    """Read the runs of a config, in order, from a file or a part of one; what is wrong with them is noted in it."""
    return [_run(part) for part in _parts(file)] or [_run(file)]


def _open(path: str | Path, overrides: Sequence[str], known: Sequence[str]) -> YamlFile:
    file = YamlFile(Path(path), known, _SECTION_OF)
    for override in overrides:
        _apply(file, override, known)
    return file


def _parts(file: YamlFile) -> Iterator[YamlFile]:
    """Yield each stage as the file of a run: what stands at the top level, and what the stage says otherwise."""
    stages = file.values.get(STAGES)
    if stages is None:
        return
    if not isinstance(stages, dict) or not stages:
        file.problem(STAGES, f"{STAGES!r} is {stages!r}: name at least one stage, and write what it does below it")
        return
    common = {key: value for key, value in file.values.items() if key != STAGES}
    output_dir, model, adapter = common.get("output_dir"), common.get("model"), False
    for name, stage in stages.items():
        where = f"{STAGES}.{name}"
        if not isinstance(stage, dict) or not str(name).isidentifier():
            file.problem(where, f"{where!r} is no stage: give it a name of letters, and write its sections below it")
            continue
        for key in stage:
            if key not in _OF_A_STAGE:
                inner = f"{where}.{key}"
                hint = did_you_mean(str(key), _OF_A_STAGE) or f" A stage has {', '.join(_OF_A_STAGE)}."
                file.problem(inner, f"unknown key {inner!r}", hint)
        merged = {key: _merged(common.get(key), stage.get(key)) for key in (*common, *stage)}
        if "mixture" in stage:
            merged["mixture"] = stage["mixture"]
            merged["data"] = {key: value for key, value in (merged.get("data") or {}).items() if key != "train"}
        elif "train" in (stage.get("data") or {}):
            merged.pop("mixture", None)
        if name == CUSTOM and merged.get("lora") is None:
            merged["lora"] = True
        adapter = _of_one_adapter(file, where, stage, merged, adapter)
        directory = str(Path(output_dir) / str(name)) if isinstance(output_dir, str) and output_dir else output_dir
        yield file.part(where, merged | {"output_dir": directory, "model": model})
        model = {"path": directory}


def _merged(common: Any, own: Any) -> Any:
    if isinstance(common, dict) and isinstance(own, dict):
        return common | own
    return common if own is None else own


def _run(file: YamlFile) -> RunConfig:
    """Read a run; what is wrong with it is noted in the file."""
    output_dir = file.text("output_dir")
    if file.values.get("output_dir") == "":
        file.problem("output_dir", "'output_dir' is empty: name the folder that the run writes to")
    if isinstance(file.values.get("mixture"), str):  # the name of a shipped one, or a file
        file.values["mixture"] = dataclasses.asdict(load_mixture_config(file.values["mixture"]))
    model, data, training, mixture = (
        read_section(file, name, kind)
        for name, kind in (
            ("model", ModelConfig),
            ("data", DataConfig),
            ("training", TrainingArguments),
            ("mixture", MixtureConfig),
        )
    )
    mixes = file.values.get("mixture") is not None
    _check_model(file, model)
    _check_data(file, data, mixes=mixes)
    _check_training(file, training, evaluates=bool(data.get("eval")))
    if mixes and training.get("replace_mentions"):
        file.problem(
            "training.replace_mentions", "'training.replace_mentions' is not possible with a mixture: leave it out"
        )
    made = _mixture(file, mixture) if mixes else None
    lora = _lora(file, model)
    return RunConfig(str(expand(output_dir)), ModelConfig(**model), DataConfig(**data), training, made, lora)


def _lora(file: YamlFile, model: Mapping[str, Any]) -> LoraRun | None:
    given = file.values.get("lora")
    if given is None or given is False:
        return None
    if not model.get("path"):
        file.problem(
            "lora",
            "'lora' needs model.path: an adapter belongs on a model that is there. Say lora: false to train all "
            f"weights, in a stage called {CUSTOM!r} too",
        )
    if given is True:
        return LoraRun()
    try:
        return LoraRun(**read_section(file, "lora", LoraRun))
    except ConfigError as error:
        file.problem("lora", f"lora: {str(error).rstrip('.')}")
        return None


def _of_one_adapter(file: YamlFile, where: str, stage: Mapping[str, Any], merged: dict[str, Any], before: bool) -> bool:
    """Let the stages after one with an adapter train that one; return whether there is one now."""
    if before:
        merged.pop("lora", None)
        if "lora" in stage:
            inner = f"{where}.lora"
            file.problem(
                inner, f"{inner!r} comes too late: the adapter of the stage before is trained on; leave it out"
            )
    return before or merged.get("lora") not in (None, False)


def _check_model(file: YamlFile, model: Mapping[str, Any]) -> None:
    if bool(model.get("path")) == bool(model.get("config")):
        file.problem("model", "'model' needs either path (a folder or hub id) or config (to start from random weights)")
    if model.get("vocab_size", _MIN_VOCABULARY) < _MIN_VOCABULARY:
        file.problem("model.vocab_size", f"'model.vocab_size' is too small: give at least {_MIN_VOCABULARY}")


def _mixture(file: YamlFile, values: dict[str, Any]) -> MixtureConfig | None:
    try:
        return MixtureConfig(**values)
    except ConfigError as error:
        file.problem("mixture", f"mixture: {str(error).rstrip('.')}")
        return None


def _check_data(file: YamlFile, data: Mapping[str, Any], *, mixes: bool) -> None:
    given = file.values.get("data")
    trains = isinstance(given, Mapping) and bool(given.get("train"))
    if not trains and not mixes:
        file.problem("data", "'data.train' is missing: list recipes, JSONL files, or sample")
    if trains and mixes:
        file.problem("data.train", "'data.train' and 'mixture' both say what is trained on: keep one")
    for key in ("train", "eval", "replay"):
        names = data.get(key) or []
        for name in dict.fromkeys(name for name in names if names.count(name) > 1):
            file.problem(f"data.{key}", f"'data.{key}' lists {name!r} twice: list it once")
    sources = list(data.get("train") or [])
    for name, passes in (data.get("passes") or {}).items():
        where = f"data.passes.{name}"
        if name not in sources:
            file.problem("data.passes", f"{where!r} is not in data.train", did_you_mean(str(name), sources))
        elif not isinstance(passes, (int, float)) or isinstance(passes, bool) or passes <= 0:
            file.problem(
                "data.passes", f"{where!r} is {passes!r}: give a positive number, or take it out of data.train"
            )
    for key in ("train_limit", "eval_limit"):
        if data.get(key) is not None and data[key] < 1:
            file.problem(f"data.{key}", f"'data.{key}' is {data[key]}: give at least 1, or leave it out")


def _check_training(file: YamlFile, training: Mapping[str, Any], *, evaluates: bool) -> None:
    for key, where in _ELSEWHERE.items():
        if key in training:
            file.problem(f"training.{key}", f"'training.{key}' does not belong here: {where}")
    if training.get("eval_strategy", "no") not in ("no", None) and not evaluates:
        file.problem(
            "training.eval_strategy", "'training.eval_strategy' needs examples: list recipes or files in data.eval"
        )


STAGES = "stages"
CUSTOM = "custom"
"""The stage that trains an adapter if nothing else is said."""
_RUN_KEYS = [field.name for field in dataclasses.fields(RunConfig)]
_OF_A_STAGE = [key for key in _RUN_KEYS if key not in ("output_dir", "model")]
_SECTION_OF = {
    field.name: f"{section}.{field.name}"
    for section, kind in (("training", TrainingArguments), ("data", DataConfig), ("model", ModelConfig))
    for field in dataclasses.fields(kind)
}
"""Where a key belongs that stands at the top level by mistake."""


def _nearest(key: str, known: Sequence[str]) -> str:
    """Return the hint for a key that begins with no section: perhaps it was forgotten, perhaps misspelt."""
    if key in _SECTION_OF:
        return f" Did you mean '{_SECTION_OF[key]}'?"
    return did_you_mean(key.partition(".")[0], known) or did_you_mean(key, list(_SECTION_OF.values()))


def _apply(file: YamlFile, override: str, known: Sequence[str]) -> None:
    key, equals, value = override.partition("=")
    if not equals or not key:
        file.problem("", f"{override!r} is not key=value: write, for example, training.num_train_epochs=1")
        return
    section = key.split(".")[0]
    if section not in known:
        hint = _nearest(key, known) or f" Known are {', '.join(known)}."
        file.problem("", f"unknown key {section!r} in {override!r}", hint)
        return
    try:
        given = yaml.safe_load(value)
    except yaml.YAMLError:
        file.problem("", f"the value in {override!r} is not YAML: put it in quotes")
        return
    stages = file.values.get(STAGES)
    stages = stages if isinstance(stages, dict) else {}
    if section == STAGES and stages and key.count(".") and key.split(".")[1] not in stages:
        name = key.split(".")[1]
        file.problem(
            "",
            f"unknown stage {name!r} in {override!r}",
            did_you_mean(name, list(stages)) or f" The stages are {', '.join(stages)}.",
        )
        return
    file.replace(key, given)
    for name, stage in stages.items():  # what the command line says for all holds for those too that say otherwise
        if isinstance(stage, dict) and _holds(stage, key):
            file.replace(f"{STAGES}.{name}.{key}", given)


def _holds(values: Any, key: str) -> bool:
    """Tell whether mappings in mappings hold a key such as ``training.seed``."""
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True
