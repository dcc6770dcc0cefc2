"""What a mixture is made of, in YAML.

sources: ["*"]              recipes by name or pattern, one task of them ("cluener:typing"), JSONL files
exclude: [muc4_roles]       what of it is left out
families: [NER, RE]         only these
languages: [zh]             only these
synthetic: false            without what models labelled
method: unimax              or proportional, temperature, cap, weights
examples: 200000            in an epoch; as many as there are, if it is not said
text_bytes: 10000000        or so many bytes of text, which are then what is shared, and what the cap counts
max_epochs: 2               unimax: how often an example comes in an epoch, at most
temperature: 3   cap: 10000   weights: {cluener: 2, trec: 1}     of the other methods
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from seqgpt.configs import find_config
from seqgpt.errors import ConfigError, did_you_mean
from seqgpt.yaml_file import YamlFile
from seqgpt.yaml_section import read_section

Method = Literal["unimax", "proportional", "temperature", "cap", "weights"]

_OF_A_RUN = ("output_dir", "model", "data", "training", "mixture")


@dataclass(frozen=True)
class MixtureConfig:
    """What a mixture is made of.

    Attributes:
        sources: Recipes by name or by a pattern such as ``"multidogo_*"``, which stands for all their tasks and passes
            over what is held out; one task of a recipe, ``"cluener:typing"``; JSONL files.
        exclude: Sources and patterns that are left out.
        families: If any, only recipes of these families.
        languages: If any, only recipes of these languages.
        synthetic: With what models labelled.
        method: How the examples are shared among the sources.
        examples: Examples of an epoch; by default as many as there are.
        text_bytes: Instead: UTF-8 bytes of text of an epoch. Then bytes are what is shared among the sources, and what
            ``cap`` counts, so that a source of long texts gives fewer examples. (The paper on UniMax counts
            characters.)
        max_epochs: ``unimax``: how often an example comes in an epoch, at most.
        temperature: ``temperature``: 1 is proportional, a high one nearly even.
        cap: ``cap``: no source counts as larger than this; examples, or bytes where ``text_bytes`` is given.
        weights: ``weights``: the weight of each source; sources that have none are left out.
    """

    sources: list[str] = field(default_factory=lambda: ["*"])
    exclude: list[str] = field(default_factory=list)
    families: list[str] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    synthetic: bool = True
    method: Method = "unimax"
    examples: int | None = None
    text_bytes: int | None = None
    max_epochs: float = 2.0
    temperature: float = 3.0
    cap: int = 10_000
    weights: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.method not in get_args(Method):
            raise ConfigError(
                f"unknown method {self.method!r}.{did_you_mean(str(self.method), get_args(Method))} "
                f"Use one of {', '.join(get_args(Method))}."
            )
        for name in ("examples", "text_bytes", "max_epochs", "temperature", "cap"):
            value = getattr(self, name)
            if value is not None and not (_is_number(value) and 0 < value < math.inf):
                raise ConfigError(f"{name} is {value!r}: give a number above 0.")
        if self.examples and self.text_bytes:
            raise ConfigError("examples and text_bytes are two ways to say how long an epoch is: give one of them.")
        if self.temperature < 1:
            raise ConfigError(
                f"temperature is {self.temperature}: give 1 for proportional shares, or more for more even ones."
            )
        for source, weight in self.weights.items():
            if not (_is_number(weight) and 0 < weight < math.inf):
                raise ConfigError(f"the weight of {source!r} is {weight!r}: give a number above 0, or leave it out.")
        if bool(self.weights) != (self.method == "weights"):
            raise ConfigError("weights and method: weights belong together: give both, or neither.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def load_mixture_config(name_or_path: str | Path) -> MixtureConfig:
    """Load a shipped mixture by name, or any by the path of its YAML file: its own, or that of a run with a mixture.

    Raises:
        ConfigError: If there is no such mixture, or its file is wrong; all problems are reported at once.
    """
    fields = [one.name for one in dataclasses.fields(MixtureConfig)]
    file = YamlFile(find_config("mixtures", name_or_path, "mixture"), (*fields, *_OF_A_RUN))
    of_a_run = "mixture" in file.values
    if not of_a_run:
        for key in _OF_A_RUN:
            if key in file.values:
                file.problem(
                    key, f"{key!r} belongs to a run, and this file has no 'mixture': add it, or leave {key!r} out"
                )
    values = read_section(file, "mixture" if of_a_run else "", MixtureConfig)
    try:
        config = MixtureConfig(**values)
    except ConfigError as error:
        file.problem("mixture", str(error).rstrip("."))
    file.check()
    return config
