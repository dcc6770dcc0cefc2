"""How many tokens requests and answers have: a rule of thumb, a tokenizer, or what the records of earlier ones say."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from seqgpt.errors import ConfigError
from seqgpt.synth.config import SynthConfig
from seqgpt.synth.records import Record
from seqgpt.synth.requests import Request

Count = Callable[[str], float]
"""From words to their number of tokens."""

_CHINESE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]")
# Tokens a character, between what vocabularies of 100,000 and of 200,000 tokens give.
_PER_CHINESE, _PER_OTHER = 0.8, 0.235
_REMEMBERED = 2048  # messages: the first ones are few, the second ones are counted again when the answer comes
_AROUND = 7  # tokens that chat templates put around two messages
# Tokens of an answer, before any was seen: an object with a label and a sentence, an entity with its type.
_LABEL, _ENTITY, _OBJECT = 32, 14, 12
_LABELS_EACH, _TYPES_EACH, _ENTITIES_EACH = 2.5, 4, 6
MENTIONS_EACH = {"en": 3.5, "zh": 2.9}
"""Mentions a text, before any answer was seen: those of the paper's stage 1, instances of typing over those of NER."""


def by_rule(words: str) -> float:
    """Return how many tokens words have, by the share of Chinese in them.

    >>> round(by_rule("The cat sat on the mat.")), round(by_rule("猫坐在垫子上。"))
    (5, 6)
    """
    chinese = len(_CHINESE.findall(words))
    return chinese * _PER_CHINESE + (len(words) - chinese) * _PER_OTHER


def counter(tokenizer: str | None) -> Count:
    """Return what counts tokens: a tokenizer, if there is one, else the rule.

    Raises:
        ConfigError: If the tokenizer cannot be read.
    """
    if tokenizer is None:
        return by_rule
    from tokenizers import Tokenizer

    path = Path(tokenizer)
    path = path / "tokenizer.json" if path.is_dir() else path
    try:
        loaded = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises plain ones
        raise ConfigError(
            f"teacher.tokenizer {str(path)!r} cannot be read ({error}): give a tokenizer.json, or leave it out."
        ) from error
    return lambda words: len(loaded.encode(words, add_special_tokens=False).ids)


class Expectation:
    """What a request will take, learnt from those that were answered.

    Args:
        config: The synthesis.
    """

    def __init__(self, config: SynthConfig) -> None:
        self._config = config
        self._count = lru_cache(maxsize=_REMEMBERED)(counter(config.teacher.tokenizer))
        self._counted: dict[tuple[str, str], float] = defaultdict(float)
        self._charged: dict[tuple[str, str], int] = defaultdict(int)
        self._completed: dict[tuple[str, str], int] = defaultdict(int)
        self._seen: dict[tuple[str, str], int] = defaultdict(int)

    def learn(self, request: Request, record: Record) -> None:
        """Take into account what a request took."""
        if record.charged and record.finish != "refused":
            group = request.task, request.text.language
            self._counted[group] += self._prompt(request)
            self._charged[group] += record.prompt_tokens
            self._completed[group] += record.completion_tokens
            self._seen[group] += 1

    def prompt_tokens(self, request: Request) -> float:
        """Return how many tokens a prompt has."""
        group = request.task, request.text.language
        ratio = self._charged[group] / self._counted[group] if self._charged[group] else 1.0
        return self._prompt(request) * ratio

    def completion_tokens(self, request: Request) -> float:
        """Return how many tokens the answer will have, on average."""
        group = request.task, request.text.language
        if self._seen[group]:
            return self._completed[group] / self._seen[group]
        misses = self._config.near_misses
        if request.task == "typing":
            return _OBJECT + len(request.mentions) * (_OBJECT + (_LABELS_EACH + misses) * _LABEL)
        own = _LABELS_EACH * _LABEL if request.task == "classify" else _ENTITIES_EACH * _ENTITY + _TYPES_EACH * _LABEL
        return _OBJECT + self._config.label_sets * (_OBJECT + own + misses * _LABEL)

    def seen(self, task: str, language: str) -> int:
        """Return from how many answers it has learnt."""
        return self._seen[task, language]

    def _prompt(self, request: Request) -> float:
        first, second = request.messages
        return _AROUND + self._count(first["content"]) + self._count(second["content"])
