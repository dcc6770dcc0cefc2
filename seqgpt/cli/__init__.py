"""The command line: ``seqgpt predict | train | tune | merge | evaluate | compare | synthesize | data``.

Results go to standard output, all else to standard error.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper

from seqgpt.cli.data import add_data
from seqgpt.cli.evaluate import add_evaluate
from seqgpt.cli.options import Parser, complain
from seqgpt.cli.predict import add_predict
from seqgpt.cli.synthesize import add_synthesize
from seqgpt.cli.train import add_train
from seqgpt.errors import SeqGPTError
from seqgpt.version import __version__


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code: 0, 2 for wrong input, 130 if interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.encoding.lower() not in ("utf-8", "utf8"):
            stream.reconfigure(encoding="utf-8")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns that a kernel nobody asked for is not there
    parser = _parser()
    options, rest = parser.parse_known_args(arguments)
    if rest and not (hasattr(options, "overrides") and all("=" in word and word[0] != "-" for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    elif rest:  # argparse takes them before options only
        options.overrides += rest
    if not hasattr(options, "run"):
        parser.print_help()
        return 0
    try:
        with _short_warnings():
            options.run(options)
    except SeqGPTError as error:
        complain(str(error))
        return 2
    except KeyboardInterrupt:
        more = "; it goes on when it is started again." if getattr(options, "goes_on", False) else "."
        complain(f"interrupted{more}")
        return 130
    except BrokenPipeError:  # the reader of our output, `head` for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at its end
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = Parser(prog="seqgpt", description="Classes and spans for any label set, in English and Chinese.")
    parser.add_argument("--version", action="version", version=f"seqgpt {__version__}")
    commands = parser.add_subparsers(
        metavar="predict | train | tune | merge | evaluate | compare | synthesize | data", parser_class=Parser
    )

    add_predict(commands)
    add_train(commands)
    add_evaluate(commands)
    add_synthesize(commands)
    add_data(commands, Parser)
    return parser


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Show warnings as one line, without the place in the code that raised them."""
    before = warnings.showwarning
    warnings.showwarning = lambda message, *_, **__: complain(str(message))
    try:
        yield
    finally:
        warnings.showwarning = before
