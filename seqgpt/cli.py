"""The command line: ``seqgpt predict | train | evaluate``. Results go to standard output, all else to standard error."""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from seqgpt import __version__
from seqgpt.errors import DataError, LabelError, SeqGPTError
from seqgpt.examples import parse_record
from seqgpt.results import Result
from seqgpt.tasks import AtomicTask, check_text

_PREDICT_AT_ONCE = 512


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code: 0, 2 for wrong input, 130 if interrupted."""
    parsed = _parser().parse_args(arguments)
    try:
        parsed.run(parsed)
    except SeqGPTError as error:
        print(f"seqgpt: {error}", file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        print("seqgpt: interrupted; a training run goes on when it is started again.", file=sys.stderr)  # noqa: T201
        return 130
    except BrokenPipeError:  # the reader of our output, `head` for example, has seen enough
        sys.stderr.close()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="seqgpt", description="Classes and spans for any label set, in English and Chinese."
    )
    parser.add_argument("--version", action="version", version=f"seqgpt {__version__}")
    commands = parser.add_subparsers(required=True, metavar="predict | train | evaluate")

    predict = commands.add_parser("predict", help="classify texts, or extract spans from them")
    predict.add_argument("text", nargs="*", metavar="TEXT", help="texts; or use --input")
    predict.add_argument(
        "--task", choices=["extract", "classify"], help="the task for all texts without one of their own"
    )
    predict.add_argument("--labels", default="", help="its labels, separated by commas")
    predict.add_argument("--multi-label", action="store_true", help="classify: several labels may hold")
    predict.add_argument("--none", action="store_true", help='classify: "none of these" is an answer')
    predict.add_argument("--model", help="a folder or hub id (default: $SEQGPT_MODEL, or runs/demo)")
    predict.add_argument("--input", metavar="FILE", help="JSONL, an object with 'text' a line; - for standard input")
    predict.add_argument(
        "--format", choices=["json", "text"], default="json", help="one JSON object a line, or for people"
    )
    predict.add_argument("--batch-size", type=int, default=16, help="texts computed together (default: 16)")
    predict.set_defaults(run=_predict)

    train = commands.add_parser("train", help="train a model from a config; an interrupted run goes on")
    train.add_argument("config", metavar="CONFIG.yaml", help="a file, or the name of a shipped config such as real_cpu")
    train.add_argument("overrides", nargs="*", metavar="key=value", help="for example training.num_train_epochs=1")
    train.set_defaults(run=_train)

    evaluate = commands.add_parser("evaluate", help="measure a model on recipes")
    evaluate.add_argument("--model", required=True, help="a folder or hub id")
    evaluate.add_argument("--recipes", required=True, help="recipe names or JSONL files, separated by commas")
    evaluate.add_argument("--split", default="test", help="train, validation or test (default: test)")
    evaluate.add_argument("--limit", type=int, help="most examples of each recipe, a seeded choice")
    evaluate.add_argument("--data-root", metavar="DIR", help="folder of the data sets (default: $SEQGPT_DATA)")
    evaluate.add_argument("--baselines", action="store_true", help="also fit and measure the trivial baselines")
    evaluate.add_argument("--output", metavar="FILE.json", help="write the full report here")
    evaluate.set_defaults(run=_evaluate)
    return parser


def _predict(options: argparse.Namespace) -> None:
    questions = _questions(options)
    from seqgpt.model import SeqGPT, default_model_path

    model = SeqGPT.from_pretrained(options.model or default_model_path())
    for start in range(0, len(questions), _PREDICT_AT_ONCE):
        part = questions[start : start + _PREDICT_AT_ONCE]
        pairs = [(text, task) for text, task, _ in part]
        results = model.predict_pairs(
            pairs, batch_size=options.batch_size, progress=len(questions) > options.batch_size
        )
        for result, (_, _, extra) in zip(results, part, strict=True):
            _print(_shown(result, extra, options.format))


def _train(options: argparse.Namespace) -> None:
    from seqgpt.configs import config_dir
    from seqgpt.training.config import load_run_config
    from seqgpt.training.run import run_training

    shipped = config_dir() / "train" / f"{options.config}.yaml"
    path = shipped if shipped.is_file() and not Path(options.config).is_file() else Path(options.config)
    config = load_run_config(path, options.overrides)
    run_training(config)
    _print(config.output_dir)


def _evaluate(options: argparse.Namespace) -> None:
    from seqgpt.evaluation.compare import compare, to_table
    from seqgpt.model import SeqGPT

    model = SeqGPT.from_pretrained(options.model)
    comparisons = compare(
        model,
        _split_names(options.recipes, "--recipes"),
        split=options.split,
        limit=options.limit,
        data_root=options.data_root,
        baselines=options.baselines,
    )
    if options.output:
        report = {
            "model": options.model,
            "info": model.info(),
            "split": options.split,
            "limit": options.limit,
            "data_sets": [comparison.to_dict() for comparison in comparisons],
        }
        Path(options.output).write_text(json.dumps(report, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    _print(to_table(comparisons))


def _questions(options: argparse.Namespace) -> list[tuple[str, AtomicTask, dict[str, Any]]]:
    """Read every text with its task, and what else stands in its line, before any model is loaded."""
    if bool(options.text) == bool(options.input):
        raise DataError("give texts as arguments, or --input FILE.jsonl (- for standard input).")
    task = _task(options) if options.task or options.labels else None
    if options.text:
        return [(check_text(text), _given(task), {}) for text in options.text]
    if options.input == "-":
        lines: Iterable[bytes] = sys.stdin.buffer
        return _read_questions(lines, "standard input", task)
    try:
        with Path(options.input).open("rb") as file:
            return _read_questions(file, options.input, task)
    except OSError as error:
        raise DataError(f"cannot read {options.input}: {error.strerror}. Check the path.") from error


def _read_questions(
    lines: Iterable[bytes], source: str, task: AtomicTask | None
) -> list[tuple[str, AtomicTask, dict[str, Any]]]:
    questions = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        record = parse_record(line)
        try:
            if isinstance(record, DataError):
                raise record
            if "text" not in record:
                raise DataError("key 'text' is missing: every line needs one.")
            own = AtomicTask.from_dict(record) if "task" in record and "labels" in record else _given(task)
            extra = {"id": record["id"]} if "id" in record else {}
            questions.append((check_text(record["text"]), own, extra))
        except SeqGPTError as error:
            raise DataError(f"{source}, line {number}: {error}") from error
    return questions


def _given(task: AtomicTask | None) -> AtomicTask:
    if task is None:
        raise LabelError('no task is given: add, for example, --task extract --labels "person,place".')
    return task


def _task(options: argparse.Namespace) -> AtomicTask:
    if not options.task:
        raise LabelError("--labels needs --task extract or --task classify.")
    labels = _split_names(options.labels, "--labels")
    if options.task == "extract":
        if options.multi_label or options.none:
            raise LabelError("--multi-label and --none belong to --task classify: leave them out.")
        return AtomicTask.extract(labels)
    return AtomicTask.classify(labels, multi_label=options.multi_label, none=options.none)


def _split_names(names: str, option: str) -> list[str]:
    found = [name.strip() for name in re.split("[,，]", names)]
    if not all(found):
        raise LabelError(f'{option} is {names!r}: give names separated by commas, for example {option} "a,b".')
    return found


def _shown(result: Result, extra: dict[str, Any], form: str) -> str:
    if form == "json":
        return json.dumps(extra | result.to_dict(), ensure_ascii=False)
    return result.to_terminal(color=sys.stdout.isatty()) + "\n"


def _print(line: str, file: IO[str] | None = None) -> None:
    print(line, file=file or sys.stdout, flush=True)


if __name__ == "__main__":
    sys.exit(main())
