"""One synthesis as a YAML file: which texts, which teacher, which tasks.

output_dir: runs/stage1
name: stage1                       # recipes are called stage1_en_ner, stage1_zh_classify, …
tasks: [classify, ner, typing]
label_sets: 2                      # per text, each from another point of view
max_cost: 20                       # in the currency of the prices; the run stops before it spends more
texts:
  paths: [news.parquet, wiki/]     # parquet, JSONL, CSV, TSV, text files, or folders of them
  limit: 50000                     # a seeded choice; those of a smaller limit are among those of a larger one
teacher:
  url: http://127.0.0.1:8000/v1
  model: Qwen/Qwen3-32B
  api_key_env: OPENAI_API_KEY      # the name of the variable that holds the key; the key itself stands nowhere
  price: {input: 0.15, output: 0.6}    # per million tokens; or that of configs/prices.yaml
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

import yaml

from seqgpt.configs import find_config
from seqgpt.errors import ConfigError, did_you_mean
from seqgpt.synth.prices import Price
from seqgpt.synth.prompts import LANGUAGES, LATEST, PROMPTS
from seqgpt.yaml_file import YamlFile
from seqgpt.yaml_section import read_section

Task = Literal["classify", "ner", "typing"]
"""What a teacher is asked: classes of a text; mentions with their types; the types of given mentions."""

TASKS: tuple[Task, ...] = get_args(Task)
Answers = Literal["auto", "schema", "object", "text"]
"""How an answer is held to its form: by a JSON schema, as some JSON object, not at all; or as the server can."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_RESERVED = ("model", "messages", "response_format", "stream", "n")


@dataclass(frozen=True)
class TextsConfig:
    """Which texts are labelled.

    Attributes:
        paths: Parquet, JSONL, CSV, TSV or text files, or folders, which are read with all that is below them. A text
            file is one text.
        text: The column of the text.
        mentions: The column of given mentions, if there is one: a list of strings, or of ``{text, start}``.
        languages: Texts of other languages are left out.
        limit: Most texts, a seeded choice; all if None.
        min_chars: Shorter texts are left out.
        max_chars: Longer texts are read in pieces, cut where lines or sentences end.
        similarity: Of texts that share more than this part of their strings of five characters (three of Chinese
            ones), one is kept.
        data_root: Folder of the data sets whose test texts are refused; see ``seqgpt.data.root.find_data_root``.
    """

    paths: list[str] = field(default_factory=list)
    text: str = "text"
    mentions: str | None = None
    languages: list[str] = field(default_factory=lambda: list(LANGUAGES))
    limit: int | None = None
    min_chars: int = 12
    max_chars: int = 1500
    similarity: float = 0.8
    data_root: str | None = None

    def __post_init__(self) -> None:
        if not self.paths:
            raise ConfigError("'paths' is missing: name the files or folders of the texts.")
        for language in self.languages:
            if language not in LANGUAGES:
                raise ConfigError(f"unknown language {language!r}: use {' or '.join(LANGUAGES)}.")
        _at_least_one(self, "limit", "min_chars", "max_chars")
        if self.max_chars < self.min_chars:
            raise ConfigError(f"max_chars is {self.max_chars}, less than min_chars: give more.")
        if not 0 < self.similarity <= 1:
            raise ConfigError(f"similarity is {self.similarity}: give a number above 0, 1 at most.")


@dataclass(frozen=True)
class TeacherConfig:
    """Who labels, and how fast it may be asked.

    Attributes:
        url: Where its OpenAI-compatible interface begins, as a rule with ``/v1`` at the end.
        model: What the server calls the model.
        api_key_env: The environment variable that holds the key; empty if the server wants none.
        answers: How an answer is held to its form; ``auto`` tries a schema first, and then what the server can.
        parameters: What is sent along with each request: ``temperature``, ``max_tokens`` and whatever the server knows.
        timeout_s: Most seconds for one attempt, from connecting to the last byte.
        retries: How often a request is asked again after the server failed.
        backoff_s: The wait before the first of these, doubled for each further one, up to a minute.
        concurrency: Most requests at a time.
        requests_per_minute: Most requests a minute; any number if None.
        tokens_per_minute: Most tokens a minute, of prompts and answers together; any number if None.
        price: ``{input: …, output: …}`` per million tokens, and ``batch``, the factor of batch files; by default that
            of the shipped table.
        tokenizer: A ``tokenizer.json``, or a folder with one, to count prompts exactly before the first call.
    """

    url: str = ""
    model: str = ""
    api_key_env: str = ""
    answers: Answers = "auto"
    parameters: dict[str, Any] = field(default_factory=lambda: {"temperature": 0.7, "max_tokens": 2000})
    timeout_s: float = 120.0
    retries: int = 6
    backoff_s: float = 0.5
    concurrency: int = 16
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    price: dict[str, Any] | None = None
    tokenizer: str | None = None

    def __post_init__(self) -> None:
        self._check_url()
        if not self.model:
            raise ConfigError("'model' is missing: give the name that the server knows.")
        if self.api_key_env and not _VARIABLE.fullmatch(self.api_key_env):  # perhaps a key: it is not repeated
            raise ConfigError("'api_key_env' is no name of an environment variable: give the name, never the key.")
        for name in _RESERVED:
            if name in self.parameters:
                raise ConfigError(f"'parameters' holds {name!r}, which is set elsewhere or fixed: leave it out.")
        try:
            json.dumps(self.parameters, allow_nan=False)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"'parameters' cannot be sent as JSON ({error}): give words and numbers.") from error
        _at_least_one(self, "concurrency", "requests_per_minute", "tokens_per_minute")
        if self.retries < 0 or self.timeout_s <= 0 or self.backoff_s < 0:
            raise ConfigError("'retries', 'timeout_s' or 'backoff_s' is below what it may be: give 0 or more.")
        if self.price is not None:
            Price.of(self.price)

    def _check_url(self) -> None:
        """Refuse what is no address, or may hold a key; then it is not repeated."""
        try:
            parts = urlsplit(self.url)
        except ValueError as error:  # such as brackets that do not close
            raise ConfigError("'url' is no http address: give one such as http://127.0.0.1:8000/v1.") from error
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigError("'url' is no http address: give one such as http://127.0.0.1:8000/v1.")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ConfigError(
                "'url' holds a user, a password, a '?' or a '#': end it with the path, put the key into a variable, "
                "and name that: api_key_env."
            )


@dataclass(frozen=True)
class SynthConfig:
    """One synthesis.

    Attributes:
        output_dir: Where everything is written.
        texts: Which texts.
        teacher: Who labels.
        name: First part of the names of the recipes.
        tasks: What is asked of each text.
        prompts: The version of the prompts.
        label_sets: How many label sets are asked per text, each from another point of view.
        near_misses: How many labels that do not hold are asked for each set.
        max_mentions: Most mentions of a text that are typed.
        described: The share of examples whose labels are shown with their descriptions.
        validation: The share of texts whose examples become the validation split.
        max_cost: What may be spent in all, in the currency of the prices; any sum if None.
        licence: What the recipes say of it; what the teacher's terms allow is for you to know.
    """

    output_dir: str
    texts: TextsConfig
    teacher: TeacherConfig
    name: str = "stage1"
    tasks: list[str] = field(default_factory=lambda: list(TASKS))
    prompts: str = LATEST
    label_sets: int = 2
    near_misses: int = 3
    max_mentions: int = 6
    described: float = 0.15
    validation: float = 0.01
    max_cost: float | None = None
    licence: str = "not stated; see the terms of the teacher model and of the texts"

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ConfigError(f"'name' is {self.name!r}: use letters, digits, - and _.")
        self._check_tasks()
        if self.prompts not in PROMPTS:
            raise ConfigError(
                f"unknown prompts {self.prompts!r}.{did_you_mean(self.prompts, PROMPTS)} Use {', '.join(PROMPTS)}."
            )
        _at_least_one(self, "label_sets", "max_mentions")
        if self.near_misses < 0:
            raise ConfigError(f"near_misses is {self.near_misses}: give 0 or more.")
        for name in ("described", "validation"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: give a share from 0 to 1.")
        if self.max_cost is not None and self.max_cost <= 0:
            raise ConfigError(f"max_cost is {self.max_cost}: give a number above 0, or leave it out.")

    def _check_tasks(self) -> None:
        for task in self.tasks:
            if task not in TASKS:
                raise ConfigError(f"unknown task {task!r}.{did_you_mean(task, TASKS)} Use some of {', '.join(TASKS)}.")
        if not self.tasks:
            raise ConfigError(f"'tasks' is empty: name some of {', '.join(TASKS)}.")
        if "typing" in self.tasks and "ner" not in self.tasks and not self.texts.mentions:
            raise ConfigError("task typing needs mentions: ask ner too, or name their column, texts.mentions.")


def _at_least_one(config: object, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if value is not None and value < 1:
            raise ConfigError(f"{name} is {value}: give at least 1.")


def load_synth_config(name_or_path: str | Path, overrides: Sequence[str] = ()) -> SynthConfig:
    """Load a synthesis from its YAML file, or a shipped one by name.

    Args:
        name_or_path: The path, or the name.
        overrides: What is set otherwise, ``"texts.limit=100"``.

    Raises:
        ConfigError: If the file is wrong; all problems are reported at once.
    """
    fields = [one.name for one in dataclasses.fields(SynthConfig)]
    below = {
        one.name: f"{section}.{one.name}"
        for section, kind in (("texts", TextsConfig), ("teacher", TeacherConfig))
        for one in dataclasses.fields(kind)
    }
    file = YamlFile(find_config("synth", name_or_path, "synthesis"), fields, below)
    for word in overrides:
        key, equals, value = word.partition("=")
        if not equals or key.partition(".")[0] not in fields:
            raise ConfigError(f"{word!r} sets nothing that a synthesis has: write, for example, texts.limit=100.")
        try:
            file.replace(key, yaml.safe_load(value))
        except yaml.YAMLError as error:
            raise ConfigError(f"{word!r}: its value is not YAML ({' '.join(str(error).split())}).") from error
    values = read_section(file, "", SynthConfig)
    texts, teacher = _part(file, "texts", TextsConfig), _part(file, "teacher", TeacherConfig)
    output_dir = file.text("output_dir")
    file.check()
    try:
        return SynthConfig(**values | {"output_dir": output_dir, "texts": texts, "teacher": teacher})
    except ConfigError as error:
        raise ConfigError(f"{file.path}: {error}") from error


def _part(file: YamlFile, name: str, kind: type) -> Any:
    if name not in file.values:
        file.problem(name, f"key {name!r} is missing: write its keys below it, indented")
        return None
    try:
        return kind(**read_section(file, name, kind))
    except ConfigError as error:
        file.problem(name, f"{name}: {str(error).rstrip('.')}")
        return None
