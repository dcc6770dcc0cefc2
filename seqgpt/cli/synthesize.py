"""``seqgpt synthesize``: stage-1 data from a teacher model; its estimate, its report, its batch files."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from seqgpt.cli.options import complain, print_line
from seqgpt.errors import ConfigError

_WORDS = """
  CONFIG.yaml [key=value …]      ask what is not answered yet, and write recipes and a report
  report CONFIG.yaml | DIR       write recipes and report from the answers that are there, and print the report
  recheck [RECIPE …]             clean data sets that other teachers labelled (default: all that are synthetic)
"""


def add_synthesize(commands: Any) -> None:
    """Add ``synthesize`` to the command line."""
    parser = commands.add_parser(
        "synthesize",
        help="label raw texts with a teacher model, as data for the first stage",
        description="Label raw texts with a teacher model behind an OpenAI-compatible URL.",
        epilog=_WORDS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("what", metavar="CONFIG.yaml | report | recheck", help="see below")
    parser.add_argument("overrides", nargs="*", metavar="…", help="for example texts.limit=100")
    way = parser.add_mutually_exclusive_group()
    way.add_argument("--estimate", action="store_true", help="tell requests, tokens and cost, and ask nobody")
    way.add_argument("--export", metavar="FILE.jsonl", help="write the requests as batch files, and ask nobody")
    way.add_argument("--import", metavar="FILE.jsonl", dest="imported", action="append", help="read a batch's answers")
    parser.add_argument("--data-root", metavar="DIR", help="folder of the data sets (default: $SEQGPT_DATA)")
    parser.set_defaults(run=_synthesize, goes_on=True)


def _synthesize(options: argparse.Namespace) -> None:
    if options.what in ("report", "recheck") and (options.estimate or options.export or options.imported):
        raise ConfigError(f"{options.what} takes none of --estimate, --export and --import: leave it out.")
    if options.what == "report":
        _report(options)
    elif options.what == "recheck":
        _recheck(options)
    else:
        _run(options)


def _run(options: argparse.Namespace) -> None:
    from seqgpt.synth.batch_files import export_batch, import_batch
    from seqgpt.synth.config import load_synth_config
    from seqgpt.synth.run import estimate_run, synthesize

    config = load_synth_config(options.what, [*options.overrides, *_data_root(options)])
    if options.estimate:
        print_line(estimate_run(config).to_markdown())
        return
    if options.export:
        for path, count in export_batch(config, Path(options.export)):
            print_line(f"{path}: {count} requests")
        return
    if options.imported:
        summary, counts = import_batch(config, [Path(one) for one in options.imported])
        complain(", ".join(f"{count} {what}" for what, count in counts.items()) or "the files are empty")
    else:
        summary = synthesize(config)
    print_line(summary.report)
    if summary.stopped == "max_cost":
        complain(f"stopped before spending more than max_cost, {config.max_cost:g}: raise it, and it goes on.")
    if summary.failed:
        said = ", ".join(f"{count} {reason}" for reason, count in summary.failed.items())
        complain(f"{summary.failed.total()} requests failed after all retries ({said}): run it again to ask them.")


def _data_root(options: argparse.Namespace) -> list[str]:
    return [f"texts.data_root={options.data_root}"] if options.data_root else []


def _report(options: argparse.Namespace) -> None:
    from seqgpt.synth.config import load_synth_config
    from seqgpt.synth.run import CONFIG_FILE, rewrite

    if len(options.overrides) != 1:
        raise ConfigError("report needs the config of a synthesis, or its folder: `seqgpt synthesize report DIR`.")
    path = Path(options.overrides[0])
    if path.is_dir() and not (path / CONFIG_FILE).is_file():
        raise ConfigError(f"{path} is not the folder of a synthesis, for it has no {CONFIG_FILE}: name its config.")
    config = load_synth_config(path / CONFIG_FILE if path.is_dir() else path, _data_root(options))
    print_line(rewrite(config).report)


def _recheck(options: argparse.Namespace) -> None:
    from seqgpt.synth.recheck import recheck, synthetic_recipes, to_markdown

    names = options.overrides or synthetic_recipes()
    print_line(to_markdown([recheck(name, options.data_root) for name in names]))


__all__ = ["add_synthesize"]
