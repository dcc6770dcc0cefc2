"""``seqgpt train | tune | merge``: models from configs, models on labels of one's own, adapters put on their base."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from seqgpt.cli.options import print_line, quiet_loading, split_names
from seqgpt.configs import find_config
from seqgpt.errors import ConfigError


def add_train(commands: Any) -> None:
    """Add ``train``, ``tune`` and ``merge`` to the command line."""
    train = commands.add_parser("train", help="train a model from a config; an interrupted run goes on")
    train.add_argument("config", metavar="CONFIG.yaml", help="a file, or the name of a shipped config such as real_cpu")
    train.add_argument("overrides", nargs="*", metavar="key=value", help="for example training.num_train_epochs=1")
    train.add_argument("--dry-run", action="store_true", help="report data, batches and memory, and train nothing")
    train.set_defaults(run=_train, goes_on=True)

    tune = commands.add_parser("tune", help="tune a model on labels of your own; an interrupted run goes on")
    tune.add_argument("model", metavar="MODEL", help="a folder or hub id")
    tune.add_argument("train", metavar="DATA", help="JSONL, as for predict with 'answer'; or parquet, CSV, TSV, CoNLL")
    tune.add_argument("overrides", nargs="*", metavar="key=value", help="for example learning_rate=1e-3")
    tune.add_argument("--output", required=True, metavar="DIR", help="where the model is saved")
    tune.add_argument("--held-out", metavar="DATA|SHARE", help="what to evaluate on: a file, or a share of DATA")
    tune.add_argument("--columns", default="", help="what columns are: 'review=text,stars=label'")
    tune.add_argument(
        "--replay", default="sample", help="other data, separated by commas; '' for none (default: sample)"
    )
    tune.add_argument("--whole", action="store_true", help="train all weights, not an adapter (LoRA)")
    tune.set_defaults(run=_tune, goes_on=True)

    merge = commands.add_parser("merge", help="make one model of an adapter and its base")
    merge.add_argument("adapter", metavar="ADAPTER", help="the folder or hub id of an adapter")
    merge.add_argument("--base", help="folder or hub id of its base, if that moved")
    merge.add_argument("--output", required=True, metavar="DIR", help="where the model is saved")
    merge.set_defaults(run=_merge)


def _train(options: argparse.Namespace) -> None:
    import torch.distributed

    from seqgpt.runs.config import load_stages
    from seqgpt.runs.run import dry_run, run_stages

    stages = load_stages(_config_file(options.config), options.overrides)
    quiet_loading()
    if options.dry_run:
        for name, report in dry_run(stages):
            print_line(f"# {name}\n\n{report}")
        return
    run_stages(stages)
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()  # as PyTorch asks of each process before it ends
    print_line(stages[-1].output_dir)


def _tune(options: argparse.Namespace) -> None:
    from seqgpt.runs.tune import tune

    try:
        held_out: Any = float(options.held_out)
    except (TypeError, ValueError):
        held_out = options.held_out
    quiet_loading()
    tune(
        options.model,
        options.train,
        held_out,
        output_dir=options.output,
        column_mapping=dict(_pairs(options.columns.split(","), "--columns", "review=text"))
        if options.columns
        else None,
        replay=split_names(options.replay, "--replay") if options.replay else None,
        lora=not options.whole,
        **{key: _value(word) for key, word in _pairs(options.overrides, "key=value", "learning_rate=1e-3")},
    )
    print_line(options.output)


def _merge(options: argparse.Namespace) -> None:
    import torch

    from seqgpt.model import SeqGPT

    output = Path(options.output)
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise ConfigError(f"--output {options.output!r} is not empty: name a new folder, or delete it.")
    quiet_loading()
    model = SeqGPT.from_pretrained(options.adapter, base=options.base, device="cpu", dtype=torch.float32)
    model.merge_adapter().save_pretrained(options.output)
    print_line(options.output)


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except json.JSONDecodeError:
        return word


def _pairs(words: Iterable[str], where: str, example: str) -> Iterator[tuple[str, str]]:
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or not value:
            raise ConfigError(f"{where}: {word!r} has no two parts: write, for example, {example}.")
        yield key.strip(), value.strip()


def _config_file(name: str) -> Path:
    """Return the file of a config: itself, or a shipped one of that name."""
    path = Path(name)
    return path if path.is_file() or path.suffix else find_config("train", name, "config")
