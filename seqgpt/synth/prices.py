"""What tokens cost: a table as data, or what a config says."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from seqgpt.configs import config_dir
from seqgpt.errors import ConfigError, did_you_mean

PRICES_FILE = "prices.yaml"
_DATE = re.compile(r"-\d{4}-\d{2}-\d{2}$")  # of a snapshot: gpt-4o-mini-2024-07-18
_PER = 1_000_000
_KEYS = ("input", "output", "batch")


@dataclass(frozen=True)
class Price:
    """What a million tokens cost.

    Attributes:
        input: Of prompts.
        output: Of answers.
        batch: The factor of both in batch files.
    """

    input: float
    output: float
    batch: float = 1.0

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Price:
        """Read a price.

        Raises:
            ConfigError: If a key is missing or unknown, or a value is no number of 0 or more.
        """
        for key in values:
            if key not in _KEYS:
                raise ConfigError(
                    f"unknown key {key!r} of a price.{did_you_mean(str(key), _KEYS)} Use input and output."
                )
        for key in _KEYS:
            value = values.get(key, 1.0 if key == "batch" else None)
            if not isinstance(value, int | float) or isinstance(value, bool) or value < 0:
                raise ConfigError(f"{key} of a price is {value!r}: give what a million tokens cost, 0 or more.")
        return cls(**values)

    def cost(self, prompt_tokens: float, completion_tokens: float, *, batch: bool = False) -> float:
        """Return what tokens cost.

        >>> Price(1.0, 2.0).cost(500_000, 500_000)
        1.5
        """
        factor = self.batch if batch else 1.0
        return factor * (prompt_tokens * self.input + completion_tokens * self.output) / _PER


def find_price(model: str, own: Mapping[str, Any] | None = None) -> Price | None:
    """Return the price of a model: the one given, else that of the shipped table; None if it has none.

    Raises:
        ConfigError: If a price is wrong.
    """
    if own is not None:
        return Price.of(own)
    table = yaml.safe_load((config_dir() / PRICES_FILE).read_text(encoding="utf-8"))
    known = _DATE.sub("", model)
    return Price.of(table[known]) if known in table else None
