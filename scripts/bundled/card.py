r"""Write the card of the model that comes with the library: what it is made of, what it can do, where it fails.

    python scripts/bundled/card.py --work runs/bundled --model seqgpt/bundled

reads the runs and evaluations that scripts/train_bundled.sh left in the work folder, asks the model a few hand-written
texts, and writes README.md and curves.png beside it. No number in the card is typed by hand.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelCardData
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from seqgpt.configs import config_dir
from seqgpt.data.mixture import find_sources
from seqgpt.data.mixture_config import MixtureConfig
from seqgpt.data.recipe import list_recipes, load_recipe
from seqgpt.data.sample import load_sample
from seqgpt.data.source import split_source
from seqgpt.evaluation.evaluation import Evaluation, open_evaluation
from seqgpt.evaluation.scoring import find_mistakes
from seqgpt.evaluation.tables import LANGUAGES, family_table, headline_table, percent, to_table
from seqgpt.model import SeqGPT
from seqgpt.results import Classification, Result
from seqgpt.runs.config import load_stages
from seqgpt.training.checkpoints import STATE_FILE, last_checkpoint, step_of

CARD, CURVES = "README.md", "curves.png"

_FAILURES = 8
_USE = """\
import seqgpt

result = seqgpt.predict("Tim Cook visited Shanghai.", ["person", "place"])
print([(span.label, span.text, span.start, span.end, span.score) for span in result.spans])
"""
_INTENDED = """\
For a first look at the library, for tests and demonstrations without a network, and as the start of a small model of
your own (`seqgpt.tune`): short English and Chinese texts, labels in everyday words. What it was trained on it does at
the level of the tables below; labels that are new to it, it often gets wrong. Look at the probabilities, and tune it on
your own examples before you rely on it. Not for decisions about people; not for long documents, other languages, or
questions that need knowledge or reasoning: of those it answers little better than chance."""


@cache
def mixtures() -> dict[str, MixtureConfig]:
    """Return what each stage is trained on, by its name, in order."""
    stages = load_stages(config_dir() / "train" / "bundled.yaml")
    return {Path(stage.output_dir).name: stage.mixture for stage in stages if stage.mixture is not None}


def history(folder: Path) -> list[dict[str, Any]]:
    """Return what a run logged: that of its last checkpoint."""
    last = last_checkpoint(folder)
    if last is None:
        raise SystemExit(f"{folder} has no checkpoint: train first.")
    found: list[dict[str, Any]] = json.loads((last / STATE_FILE).read_text(encoding="utf-8"))["log_history"]
    return found


def draw_curves(runs: Mapping[str, Sequence[dict[str, Any]]], path: Path) -> None:
    """Draw the loss of each run, side by side."""
    figure = Figure(figsize=(3.6 * len(runs), 2.8), layout="constrained")
    FigureCanvasAgg(figure)
    for i, (title, logged) in enumerate(runs.items()):
        axes = figure.add_subplot(1, len(runs), i + 1)
        points = [(one["step"], float(one["loss"])) for one in logged if "loss" in one]
        axes.plot(*zip(*points, strict=True), color="#2f6fb0", linewidth=1)
        losses = sorted(loss for _, loss in points)
        axes.set_ylim(0.95 * losses[0], losses[int(0.97 * len(losses))])  # the first steps would flatten the rest
        axes.set(title=title, xlabel="step", ylabel="loss")
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=90, format="png")


def text_table(sources: Iterable[dict[str, Any]]) -> str:
    """Return the raw text by source."""
    rows = [[one["source"], one["language"], f"{one['tokens']:,}", one["licence"]] for one in sources]
    return to_table(["source", "language", "tokens", "licence"], rows, left=(0, 1, 3))


def data_table() -> str:
    """Return the data sets with the stages in which they are, and their licences."""
    stages: dict[str, list[str]] = {}
    for stage, mixture in mixtures().items():
        for source in find_sources(mixture):
            of = stages.setdefault(split_source(source)[0].name, [])
            if stage not in of:
                of.append(stage)
    recipes = [load_recipe(name) for name in sorted(stages)]
    rows = [
        [
            one.name + " (labelled by a model)" * one.synthetic,
            one.language,
            one.family,
            ", ".join(stages[one.name]),
            one.licence,
        ]
        for one in recipes
    ]
    return to_table(
        ["data set", "language", "family", "stage", "licence, as its source states it"], rows, left=range(5)
    )


def left_out() -> str:
    """Return what was left out, but for what is held out: name and licence."""
    recipes = [load_recipe(name) for name in list_recipes() if name not in trained_on()]
    rows = [[one.name, one.licence] for one in recipes if not one.held_out and not one.conflicts]
    return to_table(["data set", "licence, as its source states it"], rows, left=(0, 1))


def in_mixture(evaluation: Evaluation, *, used: bool) -> Evaluation:
    """Return that part of an evaluation whose data sets are trained on, or the rest."""
    return Evaluation(
        [one for one in evaluation.entries if (split_source(one.of.source)[0].name in trained_on()) == used],
        evaluation.about,
    )


@cache
def trained_on() -> frozenset[str]:
    """Return the names of the data sets of all stages."""
    return frozenset(
        split_source(source)[0].name for mixture in mixtures().values() for source in find_sources(mixture)
    )


def calibration_table(evaluations: Iterable[Evaluation]) -> str:
    """Return the expected calibration error of each language and kind, mean over data sets."""
    errors: dict[tuple[str, str], list[float]] = {}
    for evaluation in evaluations:
        for entry in evaluation.entries:
            errors.setdefault((entry.of.language, entry.of.kind), []).append(entry.report.reliability.error)
    rows = [
        [LANGUAGES.get(language, language or "–"), kind, str(len(found)), percent(statistics.fmean(found))]
        for (language, kind), found in sorted(errors.items())
    ]
    return to_table(["language", "kind", "sets", "expected calibration error"], rows, left=(0, 1))


def failures(model: SeqGPT) -> str:
    """Return texts, written for this project, that the model was not trained on and gets wrong."""
    examples = load_sample("test")
    answers = model.predict_pairs([(one.text, one.task) for one in examples])
    found = find_mistakes([one.gold for one in examples], answers)
    wrong = [
        f"- {example.text}  \n  said: {said(answer)}; right: {said(example.gold)}"
        for example, answer, mistakes in zip(examples, answers, found, strict=True)
        if mistakes
    ]
    return "\n".join(wrong[:: max(len(wrong) // _FAILURES, 1)][:_FAILURES])


def said(result: Result) -> str:
    """Return what a result says in one line."""
    if isinstance(result, Classification):
        return ", ".join(result.labels) or "none of these"
    return "; ".join(f"{span.label} = {span.text}" for span in result.spans) or "nothing found"


def speed(path: Path) -> dict[str, float]:
    """Return seconds to open the model, and texts a second, each with one to eight labels, on one thread."""
    torch.set_num_threads(1)
    started = time.perf_counter()
    model = SeqGPT.from_pretrained(path)
    opened = time.perf_counter() - started
    pairs = [(one.text, one.task) for one in load_sample("test")]
    rates = []
    for _ in range(5):
        started = time.perf_counter()
        model.predict_pairs(pairs)
        rates.append(len(pairs) / (time.perf_counter() - started))
    return {"seconds to open": opened, "texts a second": statistics.median(rates[1:])}


def main() -> None:
    """Read the command line and write the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="the folder of scripts/train_bundled.sh")
    parser.add_argument("--model", type=Path, required=True, help="the packed model; the card is written beside it")
    options = parser.parse_args()
    work, folder = options.work, options.model
    language_model, stages = work / "language_model", work / "stages"
    model = SeqGPT.from_pretrained(folder)
    config: Any = model.model.config
    evaluated = {
        name: open_evaluation(work / "evaluations" / name) for name in ("in_domain", "zero_shot_en", "zero_shot_zh")
    }
    runs = {"language_model": language_model} | {name: stages / name for name in mixtures()}
    draw_curves({name: history(run) for name, run in runs.items()}, folder / CURVES)
    texts = json.loads((work / "tokens" / "sources.json").read_text(encoding="utf-8"))
    steps = {name: step_of(last_checkpoint(run) or run) for name, run in runs.items()}
    constant, falling = steps.pop("language_model"), step_of(last_checkpoint(language_model / "decayed") or work)
    times = speed(folder)
    size = sum(file.stat().st_size for file in folder.iterdir() if file.name not in (CARD, CURVES))
    head = ModelCardData(
        language=["en", "zh"],
        license="other",
        license_name="see-training-data",
        library_name="seqgpt",
        tags=[
            "information-extraction",
            "named-entity-recognition",
            "seqgpt",
            "text-classification",
            "zero-shot-classification",
        ],
        pipeline_tag="token-classification",
        model_name="seqgpt bundled",
    )
    parts = [
        f"---\n{head.to_yaml()}\n---",
        "# The model that comes with seqgpt",
        f"{sum(one.numel() for one in model.model.parameters()) / 1e6:.1f} million parameters ({config.model_type}, "
        f"{config.hidden_size} wide, {config.num_hidden_layers} layers, a bilingual byte-level vocabulary of "
        f"{config.vocab_size:,}), {size / 1e6:.0f} MB on disk. Trained from random weights "
        "by `scripts/train_bundled.sh`, on a CPU.",
        f"```python\n{_USE}```",
        "## Intended use",
        _INTENDED,
        "## What it does",
        "Test splits, in percent, means over data sets; in brackets 95 % intervals over texts. `seqgpt evaluate "
        "--suite …` gives them again.",
        "### On data sets whose training split it saw",
        family_table(in_mixture(evaluated["in_domain"], used=True)),
        "### On data sets that it did not see, though they are like some that it saw",
        "Those whose licence keeps them out of training, or that are noisy.",
        family_table(in_mixture(evaluated["in_domain"], used=False)),
        "### On held-out data sets",
        *(
            f"{headline_table(evaluated[name])}\n\n{family_table(evaluated[name])}"
            for name in ("zero_shot_en", "zero_shot_zh")
        ),
        "### Whether its probabilities mean what they say",
        f"Temperatures {model.calibration.choice:.2f} (labels that exclude one another) and "
        f"{model.calibration.single:.2f} (spans, labels of several); threshold {model.threshold:.2f} of spans, "
        f"{model.class_threshold:.2f} of labels of several; overlap {model.overlap}. "
        "Fitted on validation splits of training sets.",
        calibration_table(evaluated.values()),
        "### How fast it is",
        f"On one thread: opened in {times['seconds to open']:.1f} seconds; {times['texts a second']:.0f} short texts "
        "a second.",
        "## Where it fails",
        "Of hand-written texts that it was not trained on:",
        failures(model),
        "## How it was trained",
        f"As a language model for {constant + falling:,} steps, the learning rate falling in the last "
        f"{falling:,}; then "
        + ", ".join(f"{count:,} steps of `{name}`" for name, count in steps.items())
        + ". All settings: `configs/train/bundled.yaml`, `scripts/bundled/model.json`.",
        f"![Loss of the language model and of the stages]({CURVES})",
        "## Data sets",
        "Held-out sets were not used, nor what forbids commercial use, derived works, or any use but research. "
        "Of many sets no licence is known: nothing that is known forbids them. Whether licences of data bind a model "
        "that was trained on it is for its user to judge.",
        data_table(),
        "Left out for their licence, or as noisy:",
        left_out(),
        "## Raw text",
        "Texts of test splits of some data sets above come from the same places; held-out sets were kept out of it.",
        text_table(texts),
    ]
    (folder / CARD).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"the card: {folder / CARD}")


if __name__ == "__main__":
    main()
