"""``seqgpt evaluate | compare``: how good predictors are, on whatever data, and whether one is better than another."""

from __future__ import annotations

import argparse
import shlex
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from seqgpt.cli.options import (
    add_model,
    add_overlap,
    add_threshold,
    complain,
    count,
    model_path,
    open_model,
    print_line,
    quiet_loading,
    split_names,
)
from seqgpt.errors import ConfigError
from seqgpt.examples import OnBadRow

if TYPE_CHECKING:
    from seqgpt.evaluation.suites import Suite
    from seqgpt.predictors.open import Opened


def add_evaluate(commands: Any) -> None:
    """Add ``evaluate`` and ``compare`` to the command line."""
    evaluate = commands.add_parser("evaluate", help="measure a model, and others beside it, on data sets")
    add_model(evaluate)
    add_threshold(evaluate)
    add_overlap(evaluate)
    evaluate.add_argument("--suite", metavar="NAME", help="a shipped suite, such as zero_shot_en, or a YAML file")
    evaluate.add_argument("--recipes", help="recipes, patterns, JSONL files or 'sample', separated by commas")
    evaluate.add_argument("--families", help="only recipes of these families, such as NER,RE")
    evaluate.add_argument("--languages", help="only recipes of these languages, such as zh")
    evaluate.add_argument(
        "--tasks", choices=["main", "all"], help="the main task of each recipe, or all (default: main)"
    )
    evaluate.add_argument("--split", help="train, validation or test (default: test)")
    evaluate.add_argument("--limit", type=count, help="most examples of each, a seeded choice")
    evaluate.add_argument("--data-root", metavar="DIR", help="folder of the data sets (default: $SEQGPT_DATA)")
    evaluate.add_argument(
        "--predictor",
        action="append",
        default=[],
        metavar="[NAME=]KIND:WHERE",
        help="another one: model:DIR, free:DIR, zero-shot:DIR, embeddings:DIR, command:PROGRAM …; may be repeated",
    )
    evaluate.add_argument(
        "--retry-failed", action="store_true", help="ask those texts again on which a predictor failed before"
    )
    evaluate.add_argument("--baselines", action="store_true", help="also fit and measure the trivial baselines")
    evaluate.add_argument(
        "--on-bad-row",
        choices=get_args(OnBadRow),
        default="error",
        help="skip: leave out rows that are wrong or too long, and count them (default: error)",
    )
    evaluate.add_argument(
        "--output",
        metavar="DIR|FILE.json",
        help="keep predictions in a folder, where who is interrupted goes on, and write reports; or the report alone",
    )
    evaluate.set_defaults(run=_evaluate)

    compare = commands.add_parser("compare", help="say whether one predictor is better than another on the same texts")
    compare.add_argument("first", metavar="DIR", help="the --output folder of an evaluation")
    compare.add_argument("second", metavar="DIR", nargs="?", help="that of another (default: the same)")
    compare.add_argument("--of", metavar="A,B", help="a predictor of each (default: the first of each)")
    compare.add_argument(
        "--output", metavar="FILE.html", help="write a page with the texts that only one answers rightly"
    )
    compare.set_defaults(run=_compare)


def _evaluate(options: argparse.Namespace) -> None:
    from seqgpt.evaluation.baselines import fit_baselines
    from seqgpt.evaluation.evaluation import open_evaluation, run_evaluation
    from seqgpt.evaluation.files import to_json, write_report, write_reports
    from seqgpt.evaluation.sets import open_sets
    from seqgpt.evaluation.tables import family_table, headline_table

    directory, file = _output(options)
    if options.retry_failed and directory is None:
        raise ConfigError("--retry-failed needs the folder of an evaluation: name it with --output.")
    options.goes_on = directory is not None
    suite = _suite(options)
    sets = open_sets(
        suite.find(),
        split=suite.split,
        limit=suite.limit,
        data_root=options.data_root,
        on_bad_row=options.on_bad_row,
    )
    rivals = {}
    if options.baselines:
        rivals = fit_baselines(sets, data_root=options.data_root, on_bad_row=options.on_bad_row)
        without = [one.name for one in sets if one.name not in rivals]
        if without:
            complain(f"no baselines of {', '.join(without)}: there is no training split, or they are questions")
    with ExitStack() as stack:
        opened = _open_predictors(options, stack)
        evaluation = run_evaluation(
            {name: one.predictor for name, one in opened.items()},
            sets,
            rivals=rivals,
            directory=directory,
            about={name: one.about for name, one in opened.items()},
            command=shlex.join(["seqgpt", *sys.argv[1:]]),
            retry_failed=options.retry_failed,
        )
    try:
        print_line(headline_table(evaluation))
        if len(sets) > 1:
            print_line(f"\n{family_table(evaluation)}")
    finally:  # whoever reads the table, `head` for example, may have gone
        if directory:
            write_reports(open_evaluation(directory, finished=False), directory)  # with what was there before
            complain(f"the report is {directory / 'report.html'}")
        if file:
            write_report(file, to_json(evaluation))


def _output(options: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Return the folder or the file that reports are written to, if any; complain before anything is predicted."""
    if not options.output:
        return None, None
    path = Path(options.output)
    if path.suffix != ".json":
        return path, None
    if path.is_dir():
        raise ConfigError(f"cannot write {path}: it is a folder. Name a file in it, or a folder of another ending.")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"cannot write {path}: there is no such folder. Make it first.")
    return None, path


def _compare(options: argparse.Namespace) -> None:
    from seqgpt.evaluation.evaluation import open_evaluation
    from seqgpt.evaluation.files import write_report
    from seqgpt.evaluation.pages.comparison_page import comparison_to_html
    from seqgpt.evaluation.significance import compare_evaluations, comparison_table, verdict

    names = split_names(options.of, "--of") if options.of else [None, None]
    if len(names) != 2:
        raise ConfigError(f"--of is {options.of!r}: name two predictors, for example --of model,dictionary.")
    if not options.second and names[0] == names[1]:
        raise ConfigError("nothing says what to compare: give two folders, or two predictors of one with --of A,B.")
    first = open_evaluation(options.first)
    second = open_evaluation(options.second) if options.second else first
    comparison = compare_evaluations(first, second, first=names[0], second=names[1])
    print_line(f"{comparison_table(comparison)}\n\n{verdict(comparison)}")
    if options.output:
        write_report(Path(options.output), comparison_to_html(comparison))


def _suite(options: argparse.Namespace) -> Suite:
    """Return what is evaluated on: a suite, or recipes, as far as the other options do not say otherwise."""
    import dataclasses

    from seqgpt.evaluation.suites import Suite, load_suite

    if not (options.suite or options.recipes or options.families or options.languages):
        raise ConfigError(
            "nothing says what to evaluate on: give, for example, --suite zero_shot_en or --recipes trec."
        )
    if options.suite and options.recipes:
        raise ConfigError("--suite and --recipes both say what to evaluate on: give one of them.")
    suite = load_suite(options.suite) if options.suite else Suite()
    values: dict[str, Any] = {
        key: split_names(getattr(options, option), f"--{option}")
        for key, option in (("sources", "recipes"), ("families", "families"), ("languages", "languages"))
        if getattr(options, option)
    }
    values |= {key: getattr(options, key) for key in ("tasks", "split", "limit") if getattr(options, key)}
    return dataclasses.replace(suite, **values)


def _open_predictors(options: argparse.Namespace, stack: ExitStack) -> dict[str, Opened]:
    """Open what is evaluated, by name; what is started for it ends with the stack."""
    from seqgpt.predictors.open import Opened, about_model, open_predictor

    named = dict(_name_of(given) for given in options.predictor)
    asks_model = bool(options.model) or not options.predictor
    if len(named) < len(options.predictor) or (asks_model and "model" in named):
        raise ConfigError("two predictors have one name: give them other ones, as in --predictor mine=model:runs/mine.")
    if not asks_model and (options.threshold is not None or options.int8 or options.overlap):
        raise ConfigError("--threshold, --overlap and --int8 are of the model of --model: name it, or leave them out.")
    found: dict[str, Opened] = {}
    if asks_model:
        model = open_model(options)
        if options.threshold is not None:
            model.threshold = model.class_threshold = options.threshold
        if options.overlap is not None:
            model.overlap = options.overlap
        found["model"] = Opened(model, about_model(model_path(options), model))
    quiet_loading()
    for name, place in named.items():
        found[name] = stack.enter_context(open_predictor(place))
    return found


def _name_of(given: str) -> tuple[str, str]:
    """Return the name of a predictor, and where it is; it is named by its kind and folder if nothing else is said."""
    name, equals, place = given.partition("=")
    if equals and ":" not in name:
        return name, place
    kind, _, argument = given.partition(":")
    return f"{kind}:{Path(argument.rstrip('/')).name}", given
