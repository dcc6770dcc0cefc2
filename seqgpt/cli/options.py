"""What the commands of the command line have in common: the model, names, numbers, messages."""

from __future__ import annotations

import argparse
import math
import re
import sys
from typing import TYPE_CHECKING, NoReturn, get_args

from seqgpt.errors import LabelError
from seqgpt.options import Overlap

if TYPE_CHECKING:
    from seqgpt.model import SeqGPT


class Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong, as all other errors are said."""

    def error(self, message: str) -> NoReturn:
        """Say in one line what is wrong, and exit."""
        complain(f"{' '.join(message.split())}: see `{self.prog} --help`.")
        sys.exit(2)


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which model is asked."""
    parser.add_argument("--model", help="a folder or hub id (default: $SEQGPT_MODEL, or the bundled one)")
    parser.add_argument("--int8", action="store_true", help="compute with 8-bit weights: faster on a CPU, less exact")


def add_threshold(parser: argparse.ArgumentParser) -> None:
    """Add the option of the threshold."""
    parser.add_argument(
        "--threshold",
        type=probability,
        metavar="P",
        help="what the probability of a span, or of one label of several, must exceed (default: the model's own)",
    )


def add_overlap(parser: argparse.ArgumentParser) -> None:
    """Add the option of spans that overlap."""
    parser.add_argument(
        "--overlap",
        choices=get_args(Overlap),
        help="allow: all spans; flat: of those that overlap, the most probable (default: the model's own)",
    )


def count(value: str) -> int:
    """Read a number of 1 or more."""
    if not value.isdecimal() or not int(value):
        raise argparse.ArgumentTypeError(f"{value!r} is not a number of 1 or more")
    return int(value)


def probability(value: str) -> float:
    """Read a probability below 1."""
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{value!r} is no probability from 0 up, below 1")
    return number


def split_names(names: str, option: str) -> list[str]:
    """Read names that stand between commas; raise a ``LabelError`` if one is empty."""
    found = [name.strip() for name in re.split("[,，]", names)]
    if not all(found):
        raise LabelError(f'{option} is {names!r}: give names separated by commas, for example {option} "a,b".')
    return found


def model_path(options: argparse.Namespace) -> str:
    """Return the folder or hub id of the model that is asked."""
    from seqgpt.one_line import default_model_path

    return options.model or default_model_path()


def open_model(options: argparse.Namespace) -> SeqGPT:
    """Open the model that is asked."""
    from seqgpt.model import SeqGPT

    path = model_path(options)
    quiet_loading()
    if options.int8:
        return SeqGPT.from_pretrained(path, device="cpu").to_int8()
    return SeqGPT.from_pretrained(path)


def quiet_loading() -> None:
    """Hide the bars that transformers draws while it reads weights; its warnings stay."""
    import transformers

    transformers.utils.logging.disable_progress_bar()


def complain(message: str) -> None:
    """Say on standard error what is wrong."""
    print(f"seqgpt: {message}", file=sys.stderr, flush=True)  # noqa: T201


def print_line(line: str) -> None:
    """Write a result to standard output."""
    print(line, flush=True)  # noqa: T201
