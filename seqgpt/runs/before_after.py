"""What training changed: headline metrics before it, and after, also of what the model knew before."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from seqgpt.evaluation.report import evaluate
from seqgpt.evaluation.sets import HEADLINES, by_kind
from seqgpt.examples import Example
from seqgpt.model import SeqGPT
from seqgpt.whole_file import write_file

BEFORE_FILE = "before.json"
"""In a run directory: what was measured before training, for a run that goes on does not measure it again."""


class Measured(NamedTuple):
    """How well a model did: texts, the headline metric's name, and its value, 0 to 1."""

    n: int
    metric: str
    value: float


def measure(model: SeqGPT, examples: Mapping[str, Sequence[Example]]) -> dict[str, Measured]:
    """Evaluate a model on sets of examples by name, each kind of task by itself."""
    was_training = model.model.training
    model.model.eval()
    found: dict[str, Measured] = {}
    try:
        for name, own in examples.items():
            kinds = by_kind(own)
            for kind, members in kinds.items():
                with warnings.catch_warnings():  # what a model is before any training are guesses
                    warnings.filterwarnings("ignore", "this model is not trained on the template")
                    report = evaluate(model, members, name=name, progress=False)
                title = name if len(kinds) == 1 else f"{name} ({kind})"
                found[title] = Measured(report.n, HEADLINES[kind], report.headline)
    finally:
        model.model.train(was_training)
    return found


def write_before(directory: Path, measured: Mapping[str, Measured]) -> None:
    """Keep what was measured before training."""
    write_file(directory / BEFORE_FILE, json.dumps(measured, ensure_ascii=False, indent=2) + "\n")


def read_before(directory: Path) -> dict[str, Measured]:
    """Return what was measured before training."""
    kept = json.loads((directory / BEFORE_FILE).read_text(encoding="utf-8"))
    return {name: Measured(*values) for name, values in kept.items()}


def to_table(before: Mapping[str, Measured], after: Mapping[str, Measured]) -> str:
    """Return both as a Markdown table, in percent."""
    lines = ["| examples | n | metric | before | after | change |", "|---|---:|---|---:|---:|---:|"]
    for name, (n, metric, then) in before.items():
        now = after[name].value
        change = f"{100 * then:.1f} | {100 * now:.1f} | {100 * (now - then):+.1f}"
        lines.append(f"| {name} | {n} | {metric} | {change} |")
    return "\n".join(lines) + "\n"
