"""Train a tiny model on the bundled examples, and show what it says of texts that it has not seen.

Run by `make demo`. The first run trains (minutes on a CPU) into runs/demo; later runs show the model that is there.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch

from seqgpt import Classification, Example, Extraction, Result, SeqGPTError
from seqgpt.configs import config_dir
from seqgpt.data.sample import load_sample
from seqgpt.evaluation.baselines import fit_baselines
from seqgpt.evaluation.evaluation import run_evaluation
from seqgpt.evaluation.sets import open_sets
from seqgpt.evaluation.tables import headline_table
from seqgpt.model import SeqGPT
from seqgpt.model_files import SETTINGS_FILE
from seqgpt.runs.config import load_run_config
from seqgpt.runs.run import run_training

_LEARNT = ("NER", "TC")
_SHOWN = ("NER", "SA", "SF", "ID", "RE")


def main() -> int:
    """Train if needed, then show; return the exit code."""
    try:
        _show(_model())
    except SeqGPTError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    return 0


def _model() -> SeqGPT:
    # So small a model gains little from a second thread, and on a busy machine threads that wait cost far more.
    torch.set_num_threads(1)
    config = load_run_config(config_dir() / "train" / "demo.yaml")
    folder = Path(config.output_dir)
    if (folder / SETTINGS_FILE).is_file():
        print(f"Using the model in {folder} (delete the folder to train again).")
        return SeqGPT.from_pretrained(folder)
    n = len(load_sample("train"))
    print(f"Training a tiny model from random weights on {n} bundled examples in English and Chinese …")
    started = time.perf_counter()
    model = run_training(config)
    print(f"Trained in {time.perf_counter() - started:.0f} seconds; the model is in {folder}.")
    return model


def _show(model: SeqGPT) -> None:
    print(f"\n{model!r}\n")
    print("Texts that it was trained on, which so small a model learns by heart:\n")
    _answers(model, _choice(load_sample("train"), _LEARNT))
    print("Held-out texts, as the model answers them, and the gold answers:\n")
    _answers(model, _choice(load_sample("test"), _SHOWN))
    print("All held-out texts, in percent, beside trivial baselines:\n")
    sets = open_sets(["sample"])
    print(headline_table(run_evaluation({"model": model}, sets, rivals=fit_baselines(sets))))
    print(
        f"\nSo much a model of this size learns from {len(load_sample('train'))} examples and nothing else.\n"
        "configs/train/real_cpu.yaml trains on real data; see README.md for your own labels.\n"
        'Try: .venv/bin/seqgpt predict --task extract --labels "person,place" "Tim Cook visited Shanghai."'
    )


def _answers(model: SeqGPT, examples: list[Example]) -> None:
    color = sys.stdout.isatty()
    for example in examples:
        result = model.predict(example.text, example.task)
        print(f"{example.family} ({example.language}) {result.to_terminal(color=color)}")
        print("  right" if _said(result) == _said(example.gold) else f"  wrong; gold: {_brief(example.gold)}")
        print()


def _choice(examples: list[Example], families: tuple[str, ...]) -> list[Example]:
    """Take the first example of each family in each language."""
    return [
        next(example for example in examples if (example.family, example.language) == (family, language))
        for family in families
        for language in ("en", "zh")
    ]


def _said(result: Result) -> set[object]:
    if isinstance(result, Classification):
        return set(result.labels)
    return {(span.label, span.start, span.end) for span in result.spans}


def _brief(gold: Result) -> str:
    if isinstance(gold, Extraction):
        return ", ".join(f"{span.label} = {span.text!r}" for span in gold.spans) or "no spans"
    return ", ".join(gold.labels) or "none of these"


if __name__ == "__main__":
    sys.exit(main())
