"""The command line: ``seqgpt predict | train | tune | evaluate | merge | data``.

Results go to standard output, all else to standard error.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn, get_args

from seqgpt import __version__
from seqgpt.cli_data import add_data
from seqgpt.composite import CompositeTask, Record, schema
from seqgpt.configs import config_dir
from seqgpt.errors import ConfigError, DataError, LabelError, SeqGPTError, TextError, did_you_mean, shown
from seqgpt.examples import QUESTION_KEYS, OnBadRow, check_keys, notes_of, parse_records, read_records
from seqgpt.options import MaxLength, Overlap
from seqgpt.results import Result
from seqgpt.tasks import AtomicTask
from seqgpt.texts import check_text

if TYPE_CHECKING:
    from seqgpt.model import SeqGPT

_PREDICT_AT_ONCE = 512
_TASK_KEYS = {"task", "labels", "multi_label", "none", "about", "name"}  # a line with any of them has a task of its own


class Question(NamedTuple):
    """A text with its task, what else of its line is given back with the answer, and where it stands."""

    text: str
    task: CompositeTask[Any]
    notes: dict[str, Any]
    where: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return its exit code: 0, 2 for wrong input, 130 if interrupted."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper) and stream.encoding.lower() not in ("utf-8", "utf8"):
            stream.reconfigure(encoding="utf-8")
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
        _complain(str(error))
        return 2
    except KeyboardInterrupt:
        more = "; the run goes on when it is started again." if options.run in (_train, _tune) else "."
        _complain(f"interrupted{more}")
        return 130
    except BrokenPipeError:  # the reader of our output, `head` for example, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains when it flushes at its end
    return 0


class _Parser(argparse.ArgumentParser):
    """A parser that says in one line what is wrong, as all other errors are said."""

    def error(self, message: str) -> NoReturn:
        _complain(f"{' '.join(message.split())}: see `{self.prog} --help`.")
        sys.exit(2)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="seqgpt", description="Classes and spans for any label set, in English and Chinese.")
    parser.add_argument("--version", action="version", version=f"seqgpt {__version__}")
    commands = parser.add_subparsers(metavar="predict | train | tune | evaluate | merge | data", parser_class=_Parser)

    predict = commands.add_parser("predict", help="classify texts, or extract spans from them")
    predict.add_argument("text", nargs="*", metavar="TEXT", help="texts; or use --input")
    predict.add_argument(
        "--task", choices=["extract", "classify"], help="the task for all texts without one of their own"
    )
    predict.add_argument("--labels", default="", help="its labels, separated by commas")
    predict.add_argument("--multi-label", action="store_true", help="classify: several labels may hold")
    predict.add_argument("--none", action="store_true", help='classify: "none of these" is an answer')
    predict.add_argument(
        "--schema", metavar="JSON", help="""instead of --task: labels in a tree, such as '{"person": ["employer"]}'"""
    )
    _add_model(predict)
    _add_threshold(predict)
    predict.add_argument("--input", metavar="FILE", help="JSONL, an object with 'text' a line; - for standard input")
    predict.add_argument(
        "--overlap", choices=get_args(Overlap), default="allow", help="flat: of spans that overlap, the most probable"
    )
    predict.add_argument(
        "--max-length",
        choices=get_args(MaxLength),
        default="chunk",
        help="texts longer than the model reads: read in parts, refuse, or cut off (default: chunk)",
    )
    predict.add_argument(
        "--format", choices=["json", "text"], default="json", help="one JSON object a line, or for people"
    )
    predict.add_argument("--batch-size", type=_count, default=16, help="texts computed together (default: 16)")
    predict.set_defaults(run=_predict)

    train = commands.add_parser("train", help="train a model from a config; an interrupted run goes on")
    train.add_argument("config", metavar="CONFIG.yaml", help="a file, or the name of a shipped config such as real_cpu")
    train.add_argument("overrides", nargs="*", metavar="key=value", help="for example training.num_train_epochs=1")
    train.add_argument("--dry-run", action="store_true", help="report data, batches and memory, and train nothing")
    train.set_defaults(run=_train)

    _add_tune(commands)

    evaluate = commands.add_parser("evaluate", help="measure a model on data sets")
    _add_model(evaluate)
    _add_threshold(evaluate)
    evaluate.add_argument("--recipes", required=True, help="recipe names, JSONL files or 'sample', separated by commas")
    evaluate.add_argument("--split", default="test", help="train, validation or test (default: test)")
    evaluate.add_argument("--limit", type=_count, help="most examples of each, a seeded choice")
    evaluate.add_argument("--data-root", metavar="DIR", help="folder of the data sets (default: $SEQGPT_DATA)")
    evaluate.add_argument("--baselines", action="store_true", help="also fit and measure the trivial baselines")
    evaluate.add_argument(
        "--on-bad-row",
        choices=get_args(OnBadRow),
        default="error",
        help="skip: leave out rows that are wrong or too long, and count them (default: error)",
    )
    evaluate.add_argument("--output", metavar="FILE.json", help="write the full report here")
    evaluate.set_defaults(run=_evaluate)

    merge = commands.add_parser("merge", help="make one model of an adapter and its base")
    merge.add_argument("adapter", metavar="ADAPTER", help="the folder or hub id of an adapter")
    merge.add_argument("--base", help="folder or hub id of its base, if that moved")
    merge.add_argument("--output", required=True, metavar="DIR", help="where the model is saved")
    merge.set_defaults(run=_merge)

    add_data(commands, _Parser)
    return parser


def _add_tune(commands: Any) -> None:
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
    tune.set_defaults(run=_tune)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="a folder or hub id (default: $SEQGPT_MODEL, or runs/demo)")
    parser.add_argument("--int8", action="store_true", help="compute with 8-bit weights: faster on a CPU, less exact")


def _add_threshold(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--threshold",
        type=_probability,
        metavar="P",
        help="what the probability of a span, or of one label of several, must exceed (default: the model's own)",
    )


def _count(value: str) -> int:
    if not value.isdecimal() or not int(value):
        raise argparse.ArgumentTypeError(f"{value!r} is not a number of 1 or more")
    return int(value)


def _probability(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number < 1:
        raise argparse.ArgumentTypeError(f"{value!r} is no probability from 0 up, below 1")
    return number


def _predict(options: argparse.Namespace) -> None:
    questions = _questions(options)  # all are checked before any model is loaded
    model = _open_model(options)
    for question in questions:  # and their lengths before any is answered
        try:
            model.check_length(question.text, question.task, max_length=options.max_length)
        except TextError as error:
            raise TextError(f"{question.where}{error}") from error
    for start in range(0, len(questions), _PREDICT_AT_ONCE):
        part = questions[start : start + _PREDICT_AT_ONCE]
        results = model.predict_pairs(
            [(question.text, question.task) for question in part],
            threshold=options.threshold,
            overlap=options.overlap,
            max_length=options.max_length,
            batch_size=options.batch_size,
            progress=len(questions) > options.batch_size,
        )
        for result, question in zip(results, part, strict=True):
            _print(_shown(result, question.notes, options.format))


def _train(options: argparse.Namespace) -> None:
    from seqgpt.runs.config import load_stages
    from seqgpt.runs.run import dry_run, run_stages

    stages = load_stages(_config_file(options.config), options.overrides)
    _quiet_loading()
    if options.dry_run:
        for name, report in dry_run(stages):
            _print(f"# {name}\n\n{report}")
        return
    run_stages(stages)
    _print(stages[-1].output_dir)


def _tune(options: argparse.Namespace) -> None:
    from seqgpt.runs.tune import tune

    try:
        held_out: Any = float(options.held_out)
    except (TypeError, ValueError):
        held_out = options.held_out
    _quiet_loading()
    tune(
        options.model,
        options.train,
        held_out,
        output_dir=options.output,
        column_mapping=dict(_pairs(options.columns.split(","), "--columns")) if options.columns else None,
        replay=_split_names(options.replay, "--replay") if options.replay else None,
        lora=not options.whole,
        **{key: _value(word) for key, word in _pairs(options.overrides, "key=value")},
    )
    _print(options.output)


def _value(word: str) -> Any:
    try:
        return json.loads(word)
    except json.JSONDecodeError:
        return word


def _pairs(words: Iterable[str], where: str) -> Iterator[tuple[str, str]]:
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or not value:
            raise ConfigError(f"{where}: {word!r} has no two parts: write, for example, learning_rate=1e-3.")
        yield key.strip(), value.strip()


def _evaluate(options: argparse.Namespace) -> None:
    from seqgpt.evaluation.compare import compare, to_table

    names = _split_names(options.recipes, "--recipes")
    if options.output:
        _check_writable(options.output)  # now, not after an hour of prediction
    path = _model_path(options)
    model = _open_model(options)
    if options.threshold is not None:
        model.threshold = options.threshold
    comparisons = compare(
        model,
        names,
        split=options.split,
        limit=options.limit,
        data_root=options.data_root,
        baselines=options.baselines,
        on_bad_row=options.on_bad_row,
    )
    _print(to_table(comparisons))
    if options.output:
        report = {
            "model": path,
            "info": model.info(),
            "split": options.split,
            "limit": options.limit,
            "data_sets": [comparison.to_dict() for comparison in comparisons],
        }
        _write(options.output, json.dumps(report, ensure_ascii=False, indent=2) + "\n")


def _merge(options: argparse.Namespace) -> None:
    import torch

    from seqgpt.model import SeqGPT

    _quiet_loading()
    model = SeqGPT.from_pretrained(options.adapter, base=options.base, device="cpu", dtype=torch.float32)
    model.merge_adapter().save_pretrained(options.output)
    _print(options.output)


def _model_path(options: argparse.Namespace) -> str:
    from seqgpt.one_line import default_model_path

    return options.model or default_model_path()


def _open_model(options: argparse.Namespace) -> SeqGPT:
    from seqgpt.model import SeqGPT

    path = _model_path(options)
    _quiet_loading()
    if options.int8:
        return SeqGPT.from_pretrained(path, device="cpu").to_int8()
    return SeqGPT.from_pretrained(path)


def _quiet_loading() -> None:
    """Hide the bars that transformers draws while it reads weights; its warnings stay."""
    import transformers

    transformers.utils.logging.disable_progress_bar()


def _config_file(name: str) -> Path:
    """Return the file of a config: itself, or a shipped one of that name."""
    path = Path(name)
    if path.is_file() or path.suffix:
        return path
    shipped = config_dir() / "train"
    if (shipped / f"{name}.yaml").is_file():
        return shipped / f"{name}.yaml"
    known = sorted(file.stem for file in shipped.glob("*.yaml"))
    raise ConfigError(
        f"there is no file {name!r}, and no shipped config of that name.{did_you_mean(name, known)} "
        f"Give the path of a YAML file, or one of {', '.join(known)}."
    )


def _questions(options: argparse.Namespace) -> list[Question]:
    if bool(options.text) == bool(options.input):
        raise DataError("give texts as arguments, or --input FILE.jsonl (- for standard input).")
    task = _task(options)
    if options.text:
        return [
            Question(check_text(text), _given(task), {}, f"text {number}: " if len(options.text) > 1 else "")
            for number, text in enumerate(options.text, start=1)
        ]
    if options.input == "-":
        return list(_read_questions(parse_records(sys.stdin.buffer), "standard input", task))
    return list(_read_questions(read_records(options.input), options.input, task))


def _read_questions(
    records: Iterable[tuple[int, dict[str, Any] | DataError]], source: str, task: CompositeTask[Any] | None
) -> Iterator[Question]:
    for number, record in records:
        where = f"{source}, line {number}: "
        try:
            if isinstance(record, DataError):
                raise record
            yield _question(record, task, where)
        except SeqGPTError as error:
            raise DataError(f"{where}{error}") from error


def _question(record: dict[str, Any], task: CompositeTask[Any] | None, where: str) -> Question:
    check_keys(record, QUESTION_KEYS)
    if "text" not in record:
        raise DataError("key 'text' is missing: every line needs one.")
    own = AtomicTask.from_dict(record) if not _TASK_KEYS.isdisjoint(record) else _given(task)
    return Question(check_text(record["text"]), own, notes_of(record), where)


def _given(task: CompositeTask[Any] | None) -> CompositeTask[Any]:
    if task is None:
        raise LabelError('no task is given: add, for example, --task extract --labels "person,place".')
    return task


def _task(options: argparse.Namespace) -> CompositeTask[Any] | None:
    """Return the task of the options, or None if they name none."""
    beside_task = options.labels or options.multi_label or options.none
    if options.schema is not None:
        if options.task or beside_task:
            raise LabelError("--schema is a task by itself: leave out --task, --labels, --multi-label and --none.")
        return _schema(options.schema)
    if not options.task:
        if beside_task:
            raise LabelError("--labels, --multi-label and --none need --task extract or --task classify: add it.")
        return None
    labels = _split_names(options.labels, "--labels")
    if options.task == "extract":
        if options.multi_label or options.none:
            raise LabelError("--multi-label and --none belong to --task classify: leave them out.")
        return AtomicTask.extract(labels)
    return AtomicTask.classify(labels, multi_label=options.multi_label, none=options.none)


def _schema(words: str) -> CompositeTask[Record]:
    try:
        literal = json.loads(words, object_pairs_hook=_once)
    except (json.JSONDecodeError, RecursionError) as error:
        example = """'{"person": ["employer"]}'"""
        raise LabelError(f"--schema is no JSON ({error}): write, for example, {example}.") from error
    return schema(literal)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Read an object in which no key stands twice; json would keep the last one and say nothing."""
    for key, times in Counter(key for key, _ in pairs).items():
        if times > 1:
            raise LabelError(f"label {shown(key)} is given twice: give each label once.")
    return dict(pairs)


def _split_names(names: str, option: str) -> list[str]:
    found = [name.strip() for name in re.split("[,，]", names)]
    if not all(found):
        raise LabelError(f'{option} is {names!r}: give names separated by commas, for example {option} "a,b".')
    return found


def _shown(result: Result | Record, notes: dict[str, Any], form: str) -> str:
    if form == "json":
        return json.dumps(notes | result.to_dict(), ensure_ascii=False)
    return result.to_terminal(color=sys.stdout.isatty()) + "\n"


def _check_writable(path: str) -> None:
    file = Path(path)
    if not file.absolute().parent.is_dir():
        raise DataError(f"cannot write {path}: there is no such folder. Make it first.")
    there = file.exists()
    try:
        file.open("ab").close()
        if not there:
            file.unlink()
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}. Check the path.") from error


def _write(path: str, content: str) -> None:
    try:
        Path(path).write_text(content, encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}. Check the path.") from error


@contextmanager
def _short_warnings() -> Iterator[None]:
    """Show warnings as one line, without the place in the code that raised them."""
    before = warnings.showwarning
    warnings.showwarning = lambda message, *_, **__: _complain(str(message))
    try:
        yield
    finally:
        warnings.showwarning = before


def _complain(message: str) -> None:
    print(f"seqgpt: {message}", file=sys.stderr, flush=True)  # noqa: T201


def _print(line: str) -> None:
    print(line, flush=True)  # noqa: T201


if __name__ == "__main__":
    sys.exit(main())
