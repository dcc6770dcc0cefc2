"""Train a tiny model on the bundled examples, and show what it says of texts that it has not seen.

Run by `make demo`. The first run trains (minutes on a CPU) into runs/demo; later runs show the model that is there.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from pathlib import Path

import torch

from seqgpt import Classification, Example, Extraction, Result
from seqgpt.configs import config_dir
from seqgpt.data.sample import load_sample
from seqgpt.evaluation.report import by_kind, evaluate
from seqgpt.model import SeqGPT
from seqgpt.model_files import SETTINGS_FILE
from seqgpt.training.config import load_run_config
from seqgpt.training.run import run_training

_SHOWN = ("NER", "SA", "SF", "ID", "RE")


def main() -> None:
    """Train if needed, then show."""
    model = _model()
    held_out = load_sample("test")
    color = sys.stdout.isatty()
    print(f"\n{model!r}\n")
    print("Held-out texts, as the model answers them, and the gold answers:\n")
    for example in _choice(held_out):
        result = model.predict(example.text, example.task)
        print(f"{example.family} ({example.language}) {result.to_terminal(color=color)}")
        print("  right" if _same(result, example.gold) else f"  wrong; gold: {_brief(example.gold)}")
        print()
    _table(model, held_out)
    print(
        "\nThat is what a model of this size learns from 320 examples: the format and a few words, hardly the tasks.\n"
        "configs/train/real_cpu.yaml trains on real data; see README.md for your own labels.\n"
        'Try: seqgpt predict --task extract --labels "person,place" "Tim Cook visited Shanghai."'
    )


def _model() -> SeqGPT:
    # So small a model gains little from a second thread, and on a busy machine threads that wait cost far more.
    torch.set_num_threads(1)
    config = load_run_config(config_dir() / "train" / "demo.yaml")
    folder = Path(config.output_dir)
    if (folder / SETTINGS_FILE).is_file():
        print(f"Using the model in {folder} (delete the folder to train again).")
        return SeqGPT.from_pretrained(folder)
    print("Training a tiny model from random weights on 320 bundled examples in English and Chinese …")
    started = time.perf_counter()
    model = run_training(config)
    print(f"Trained in {time.perf_counter() - started:.0f} seconds; the model is in {folder}.")
    return model


def _choice(held_out: list[Example]) -> list[Example]:
    """Take the first held-out example of a few families in each language."""
    return [
        next(example for example in held_out if (example.family, example.language) == (family, language))
        for family in _SHOWN
        for language in ("en", "zh")
    ]


def _same(result: Result, gold: Result) -> bool:
    if isinstance(result, Classification):
        return result.labels == gold.labels if isinstance(gold, Classification) else False
    spans = {(span.label, span.start, span.end) for span in result.spans}
    return isinstance(gold, Extraction) and spans == {(span.label, span.start, span.end) for span in gold.spans}


def _brief(gold: Result) -> str:
    if isinstance(gold, Classification):
        return ", ".join(gold.labels) or "none of these"
    return ", ".join(f"{span.label} = {span.text!r}" for span in gold.spans) or "no spans"


def _table(model: SeqGPT, held_out: list[Example]) -> None:
    groups: dict[str, list[Example]] = defaultdict(list)
    for example in held_out:
        groups[example.family].append(example)
    print("family  kind      n   score                chance")
    for family, examples in sorted(groups.items()):
        for kind, members in by_kind(examples).items():
            report = evaluate(model, members, name=family, progress=False)
            metric = "offset F1" if kind == "extract" else "accuracy"
            options = [len(example.task.labels) + example.task.none for example in members]
            one_label = [count for count, e in zip(options, members, strict=True) if not e.task.multi_label]
            chance = sum(1 / count for count in one_label) / len(one_label) if kind == "classify" and one_label else 0.0
            print(
                f"{family:7} {kind:8} {report.n:2}   {100 * report.headline:5.1f} % {metric:10} {100 * chance:8.1f} %"
            )


if __name__ == "__main__":
    main()
