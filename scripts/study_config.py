"""What a study is, as a YAML file: runs that differ in one thing, what they are evaluated on, and how that is shown.

    title: More examples
    question: How much better does a model become with more examples?
    run:                                   # what all runs share: a config of `seqgpt train`, without output_dir
      model: {config: {model_type: gpt2}, vocab_size: 4096}
      data: {train: [trec, cluener], eval: [trec, cluener]}
      training: {max_steps: 300}
    variants:                              # in what they differ
      a tenth: {x: 10, run: {data: {train_limit: 300}}}
      all: {x: 100, run: {data: {train_limit: 3000}}}
      listed: {form: list_after}           # a form of prompts that the library does not have: study_forms.py
    seeds: [0]
    evaluate:                              # groups of data sets, each a suite
      known labels: {sources: [trec, cluener], limit: 200}
    plot: {kind: line, x: examples, log: true}    # line over x, bars, or heatmap of variants and groups
    large:                                 # what --large says otherwise, with the keys of the file
      run: {model: {path: bigscience/bloomz-560m}}

Mappings in mappings are put together; everything else is replaced. A run begins with ``model.path``, or with random
weights and a vocabulary of the texts of all variants, so that they do not differ in that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml
from study_forms import FORMS

from seqgpt.configs import find_config
from seqgpt.errors import ConfigError, did_you_mean
from seqgpt.evaluation.suites import Suite
from seqgpt.runs.config import STAGES, RunConfig, read_stages
from seqgpt.yaml_file import YamlFile
from seqgpt.yaml_section import read_section

_KEYS = ["title", "question", "run", "variants", "seeds", "evaluate", "plot", "large"]
_OF_A_VARIANT = ["x", "form", "run"]
_OF_A_RUN = [one.name for one in dataclasses.fields(RunConfig) if one.name != "output_dir"] + [STAGES]
_RUN = "run"
"""The folder of a run, or of its stages, beside its evaluation."""


@dataclass(frozen=True)
class Plot:
    """How a study is drawn.

    Attributes:
        kind: Lines over ``x``, one for each group; bars, one for each variant and group; or variants × groups.
        x: What ``x`` is, or what the variants are.
        log: Draw ``x`` on a logarithmic scale.
    """

    kind: Literal["line", "bars", "heatmap"] = "bars"
    x: str = ""
    log: bool = False


@dataclass(frozen=True)
class Variant:
    """One of the things that are compared.

    Attributes:
        name: Its name.
        x: Where it stands on a line.
        form: The form of prompts and answers, as in ``study_forms``; empty for the library's own.
        stages: Its runs, the first of which may begin with random weights.
    """

    name: str
    x: float | None
    form: str
    stages: Sequence[RunConfig]

    def in_folder(self, folder: Path, seed: int) -> list[RunConfig]:
        """Return its runs with their folders below one, and with a seed."""
        before: set[str | None] = set()
        stages = []
        for stage in self.stages:
            path = stage.model.path
            model = replace(stage.model, path=str(folder / str(path))) if path in before else stage.model
            training = stage.training | {"seed": seed}
            stages.append(replace(stage, output_dir=str(folder / stage.output_dir), model=model, training=training))
            before.add(stage.output_dir)
        return stages


@dataclass(frozen=True)
class Study:
    """Runs that differ in one thing.

    Attributes:
        name: The name of its file.
        title: What stands above.
        question: What it is to answer.
        variants: What is compared; the others are held against the first.
        seeds: Each variant runs with each.
        evaluate: Data sets by the names of their groups.
        plot: How it is drawn.
        large: Whether it is in its large setting.
    """

    name: str
    title: str
    question: str
    variants: Sequence[Variant]
    seeds: Sequence[int]
    evaluate: Mapping[str, Suite]
    plot: Plot = field(default_factory=Plot)
    large: bool = False


def load_study(name_or_path: str | Path, overrides: Sequence[str] = (), *, large: bool = False) -> Study:
    """Load a shipped study by name, or any by the path of its YAML file.

    Args:
        name_or_path: The study.
        overrides: ``key=value``, each replacing or adding one value: ``run.training.max_steps=2``.
        large: Take the large setting.

    Raises:
        ConfigError: If there is no such study, or its file is wrong; all problems are reported at once.
    """
    file = YamlFile(find_config("studies", name_or_path, "study"), _KEYS)
    more = _mapping(file, "large")
    _check_keys(file, "large", more, [key for key in _KEYS if key != "large"])
    if large and not more:
        file.problem("large", "there is no 'large' setting: leave --large out, or write one")
    if large:
        file.values = merge(file.values, more)
    for override in overrides:
        _apply(file, override)
    study = Study(
        file.path.stem,
        file.text("title"),
        file.text("question"),
        list(_variants(file)),
        _seeds(file),
        _groups(file),
        Plot(**read_section(file, "plot", Plot)),
        large,
    )
    if study.plot.kind == "line":
        for variant in study.variants:
            if variant.x is None:
                file.problem(f"variants.{variant.name}", f"variant {variant.name!r} has no place on the line: give x")
    file.check()
    return study


def merge(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Put two mappings together, and the mappings in them; of all else, what the other says holds."""
    merged = dict(one)
    for key, value in other.items():
        before = merged.get(key)
        merged[key] = merge(before, value) if isinstance(before, Mapping) and isinstance(value, Mapping) else value
    return merged


def _variants(file: YamlFile) -> Iterator[Variant]:
    shared = _mapping(file, "run", required=True)
    _check_keys(file, "run", shared, _OF_A_RUN)
    for name, given in _mapping(file, "variants", required=True).items():
        where = f"variants.{name}"
        variant = given if isinstance(given, Mapping) else {}
        if not isinstance(given, Mapping | None):
            file.problem(where, f"{where!r} is {given!r}: write below it in what the variant differs")
        _check_keys(file, where, variant, _OF_A_VARIANT)
        x, form, own = variant.get("x"), variant.get("form") or "", variant.get("run") or {}
        if x is not None and (not isinstance(x, int | float) or isinstance(x, bool)):
            file.problem(f"{where}.x", f"'{where}.x' is {x!r}: give a number")
            x = 0
        if form and form not in FORMS:
            hint = did_you_mean(str(form), FORMS) or f" Use {', '.join(FORMS)}."
            file.problem(f"{where}.form", f"unknown form {form!r}", hint)
        if not isinstance(own, Mapping):
            file.problem(f"{where}.run", f"'{where}.run' is {own!r}: write its sections below it, indented")
            own = {}
        _check_keys(file, f"{where}.run", own, _OF_A_RUN)
        inside = (f"{where}.run", "run")
        stages = read_stages(file.part(inside, merge(shared, own) | {"output_dir": _RUN}))
        if form and any(stage.mixture for stage in stages):
            file.problem(f"{where}.form", f"variant {name!r} has a form and a mixture: train it on data.train")
        yield Variant(str(name), x, str(form), stages)


def _seeds(file: YamlFile) -> list[int]:
    seeds = file.values.get("seeds", [0])
    if isinstance(seeds, list) and seeds and all(type(seed) is int for seed in seeds):
        return seeds
    file.problem("seeds", f"'seeds' is {seeds!r}: give a list of whole numbers, such as [0, 1, 2]")
    return [0]


def _groups(file: YamlFile) -> dict[str, Suite]:
    groups = _mapping(file, "evaluate", required=True)
    part = file.part("evaluate", groups)
    found = {}
    for name in groups:
        try:
            suite = Suite(**read_section(part, name, Suite))
            suite.find()
        except ConfigError as error:
            part.problem(name, f"evaluate.{name}: {str(error).rstrip('.')}")
        else:
            found[str(name)] = suite
    return found


def _mapping(file: YamlFile, key: str, *, required: bool = False) -> dict[str, Any]:
    value = file.values.get(key)
    if isinstance(value, dict) and (value or not required):
        return value
    if value is not None or required:
        said = f"{key!r} is {value!r}" if value is not None else f"key {key!r} is missing"
        file.problem(key, f"{said}: write what belongs to it below it, indented")
    return {}


def _check_keys(file: YamlFile, where: str, values: Mapping[str, Any], known: Sequence[str]) -> None:
    for key in values:
        if key not in known:
            inner = f"{where}.{key}"
            hint = did_you_mean(str(key), known) or f" Known are {', '.join(known)}."
            file.problem(inner, f"unknown key {inner!r}", hint)


def _apply(file: YamlFile, override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals or key.split(".")[0] not in _KEYS:
        file.problem("", f"{override!r} is not key=value with a key of a study: write run.training.max_steps=2")
        return
    try:
        file.replace(key, yaml.safe_load(value))
    except yaml.YAMLError:
        file.problem("", f"the value in {override!r} is not YAML: put it in quotes")
