"""Where else a run logs to (``report_to``): whether transformers knows it, and its package is there."""

from __future__ import annotations

from collections.abc import Sequence

from transformers.integrations.integration_utils import (
    INTEGRATION_TO_CALLBACK,
    get_available_reporting_integrations,
)

from seqgpt.errors import ConfigError, did_you_mean

_NOT_LISTED = ("azure_ml", "flyte")  # transformers does not say whether they are there


def check_reporting(names: Sequence[str]) -> None:
    """Refuse what cannot be logged to.

    Args:
        names: What ``report_to`` lists.

    Raises:
        ConfigError: If transformers does not know one, or its package is not installed.
    """
    there = get_available_reporting_integrations()
    for name in names:
        if name not in INTEGRATION_TO_CALLBACK:
            hint = did_you_mean(name, INTEGRATION_TO_CALLBACK) or f" Known are {', '.join(INTEGRATION_TO_CALLBACK)}."
            raise ConfigError(f"report_to is {name!r}, which transformers does not know.{hint}")
        if name not in there and name not in _NOT_LISTED:
            package = name.replace("_", "-")
            raise ConfigError(
                f"report_to is {name!r}, and its package is not there: pip install {package}, or leave it out."
            )
