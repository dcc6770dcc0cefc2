"""Run a study: train models that differ in one thing, evaluate them alike, and show what came of it.

    python scripts/study.py label_list --output runs/studies/label_list
    python scripts/study.py configs/studies/label_list.yaml --output runs/quick run.training.max_steps=20

A study is a file of configs/studies (study_config.py says what may stand there), or one of your own. Every variant is
a run in a folder of its own, and an evaluation beside it: who is interrupted goes on, and nothing that is finished is
done again. At the end the folder holds study.md, study.json and study.png. --large takes the setting for a GPU.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple
from urllib.parse import quote

from study_config import Study, Variant, load_study
from study_forms import in_form, predictor_of, template_of
from study_report import Outcome, write_reports
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from seqgpt import Example, SeqGPT, SeqGPTError
from seqgpt.cli.options import quiet_loading
from seqgpt.data.mixture import find_sources
from seqgpt.data.source import read_source
from seqgpt.errors import DataError, RunError
from seqgpt.evaluation.evaluation import open_evaluation, run_evaluation
from seqgpt.evaluation.sets import EvalSet, open_sets
from seqgpt.examples import BadRows
from seqgpt.model_files import SETTINGS_FILE
from seqgpt.runs.config import RunConfig
from seqgpt.runs.directory import is_finished
from seqgpt.runs.run import run_stages
from seqgpt.templates.marks import MARKS
from seqgpt.tokenizer import train_tokenizer
from seqgpt.training.say import say

_VOCABULARY_EXAMPLES = 50_000
_START, _EVALUATION, _STUDY = "start", "evaluation", "study.name"


class Cell(NamedTuple):
    """A variant with one seed, and the folder of its run and evaluation."""

    variant: Variant
    seed: int
    folder: Path


def run_study(study: Study, directory: Path) -> list[Outcome]:
    """Run what of a study is not finished, and leave its reports.

    Raises:
        RunError: If the folder holds something else.
        SeqGPTError: As training and evaluation do.
    """
    _make_folder(directory, study)
    sets = {
        group: open_sets(suite.find(), split=suite.split, limit=suite.limit) for group, suite in study.evaluate.items()
    }
    cells = [
        Cell(variant, seed, directory / quote(variant.name, safe=" ") / f"seed-{seed}")
        for seed in study.seeds
        for variant in study.variants
    ]
    outcomes = []
    for number, cell in enumerate(cells, 1):
        say(f"{study.name}: {cell.variant.name}, seed {cell.seed} ({number} of {len(cells)})")
        stages = _stages(cell)
        with in_form(cell.variant.form):
            finished = is_finished(stages[-1])
            known = _answered(cell, sets) if finished else None
            if known is None:
                if not finished:
                    _train(study, cell, stages, directory)
                known = _evaluate(cell, SeqGPT.from_pretrained(stages[-1].output_dir), sets)
            outcomes.append(known)
    write_reports(study, outcomes, directory)
    return outcomes


def _stages(cell: Cell) -> list[RunConfig]:
    """Return the runs of a cell, each with the model that it begins with in a folder."""
    first, *later = cell.variant.in_folder(cell.folder, cell.seed)
    form = cell.variant.form
    if form or first.model.config:
        start = Path(first.output_dir).parent / _START  # beside it, so that the folder may be moved
        first = replace(first, model=replace(first.model, path=str(start), config=None))
    stages = [first, *later]
    if form == "sequential_lines":  # a run would answer with branches
        stages = [replace(one, data=replace(one.data, eval=[])) for one in stages]
    return stages


def _train(study: Study, cell: Cell, stages: Sequence[RunConfig], directory: Path) -> None:
    """Train the model of a cell."""
    first, form = cell.variant.in_folder(cell.folder, cell.seed)[0], cell.variant.form
    if form or first.model.config:
        start = Path(str(stages[0].model.path))
        if not (start / SETTINGS_FILE).exists():
            _make_start(study, first, cell.seed, template_of(form), directory).save_pretrained(start)
    run_stages(stages)


def _make_start(study: Study, run: RunConfig, seed: int, template: str | None, directory: Path) -> SeqGPT:
    """Return the model that a run begins with."""
    if run.model.path:
        return SeqGPT.from_pretrained(run.model.path, template=template)
    tokenizer = _vocabulary(study, run.model.vocab_size, directory / f"vocabulary-{run.model.vocab_size}")
    plain = SeqGPT.from_config(run.model.config or {}, tokenizer, seed=seed)
    return SeqGPT(plain.model, plain.tokenizer, template=template, trained=False)


def _make_folder(directory: Path, study: Study) -> None:
    """Make the folder of a study, or see that it is of this one.

    Raises:
        RunError: If it holds something else.
    """
    mark = directory / _STUDY
    if mark.exists():
        there = mark.read_text(encoding="utf-8").strip()
        if there != study.name:
            raise RunError(f"{directory} holds the study {there!r}: name another folder.")
        return
    if directory.exists() and any(directory.iterdir()):
        raise RunError(f"{directory} holds something that is no study: name another folder.")
    directory.mkdir(parents=True, exist_ok=True)
    mark.write_text(f"{study.name}\n", encoding="utf-8")


def _vocabulary(study: Study, size: int, folder: Path) -> PreTrainedTokenizerBase:
    """Return a tokenizer of the texts and labels of all variants; it is trained once."""
    if not folder.exists():
        stages = [stage for variant in study.variants for stage in variant.stages]
        sources = dict.fromkeys(source for stage in stages for source in _sources(stage))
        most = max(_VOCABULARY_EXAMPLES // len(sources), 1)
        examples = [one for source in sources for one in _read(source, "train", most, stages[0])]
        words = [one.text for one in examples] + [label for one in examples for label in one.task.labels]
        with TemporaryDirectory(dir=folder.parent) as made:
            train_tokenizer(words, size, list(MARKS)).save_pretrained(f"{made}/vocabulary")
            Path(made, "vocabulary").rename(folder)
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)
    return tokenizer


def _sources(run: RunConfig) -> Iterable[str]:
    return find_sources(run.mixture) if run.mixture else run.data.train


def _read(source: str, split: str, limit: int | None, run: RunConfig) -> list[Example]:
    data = run.data
    bad = BadRows()
    return read_source(source, split, limit=limit, data_root=data.root, on_bad_row=data.on_bad_row, bad_rows=bad)


def _evaluate(cell: Cell, model: SeqGPT, sets: Mapping[str, Sequence[EvalSet]]) -> Outcome:
    """Return what the model of a cell answers; what it answered before is read."""
    last = cell.variant.stages[-1]
    held_out = [_read(source, "validation", last.data.eval_limit, last) for source in last.data.eval]
    predictor = predictor_of(cell.variant.form, model, held_out)
    info = model.info()
    about = {key: info[key] for key in ("architecture", "parameters", "template")} | {"seed": cell.seed}
    found = {
        group: run_evaluation(
            {cell.variant.name: predictor}, members, directory=_folder(cell, group), about={cell.variant.name: about}
        )
        for group, members in sets.items()
    }
    return Outcome(cell.variant, cell.seed, info["parameters"], found)


def _answered(cell: Cell, sets: Mapping[str, Sequence[EvalSet]]) -> Outcome | None:
    """Return what the model of a cell answered before, without opening it; None if something is not answered yet."""
    try:
        found = {group: open_evaluation(_folder(cell, group)) for group in sets}
    except DataError:  # there is none, or it was interrupted
        return None
    if any(_asked([entry.of for entry in found[group].entries]) != _asked(members) for group, members in sets.items()):
        return None
    parameters = next(iter(found.values())).about["predictors"][cell.variant.name]["parameters"]
    return Outcome(cell.variant, cell.seed, parameters, found)


def _asked(sets: Sequence[EvalSet]) -> dict[str, list[dict[str, Any]]]:
    """Return the examples of each set, as they are written."""
    return {one.name: [example.to_dict() for example in one.examples] for one in sets}


def _folder(cell: Cell, group: str) -> Path:
    return cell.folder / _EVALUATION / quote(group, safe=" ")


def main() -> int:
    """Run a study, and print its tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", help="the name of a shipped study, or a YAML file")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="values in place of those of the file")
    parser.add_argument("--output", required=True, type=Path, metavar="DIR", help="folder of the study")
    parser.add_argument("--large", action="store_true", help="the setting for a GPU")
    options = parser.parse_intermixed_args()
    quiet_loading()
    try:
        study = load_study(options.study, options.overrides, large=options.large)
        run_study(study, options.output)
    except SeqGPTError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; the study goes on when it is started again.", file=sys.stderr)
        return 130
    print((options.output / "study.md").read_text(encoding="utf-8"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
