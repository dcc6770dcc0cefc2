"""``seqgpt predict``: texts and tasks in, one JSON object a line out."""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, get_args

from seqgpt.cli.options import add_model, add_overlap, add_threshold, count, open_model, print_line, split_names
from seqgpt.composite import CompositeTask, Record, schema
from seqgpt.errors import DataError, GroundingError, LabelError, SeqGPTError, TextError, shown
from seqgpt.examples import QUESTION_KEYS, check_keys, notes_of, parse_records, read_records
from seqgpt.options import MaxLength
from seqgpt.results import Result
from seqgpt.tasks import AtomicTask
from seqgpt.texts import check_text

_PREDICT_AT_ONCE = 512
_TASK_KEYS = {"task", "labels", "multi_label", "none", "about", "name"}  # a line with any of them has a task of its own


class Question(NamedTuple):
    """A text with its task, what else of its line is given back with the answer, and where it stands."""

    text: str
    task: CompositeTask[Any]
    notes: dict[str, Any]
    where: str


def add_predict(commands: Any) -> None:
    """Add ``predict`` to the command line."""
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
    add_model(predict)
    add_threshold(predict)
    predict.add_argument("--input", metavar="FILE", help="JSONL, an object with 'text' a line; - for standard input")
    add_overlap(predict)
    predict.add_argument(
        "--max-length",
        choices=get_args(MaxLength),
        default="chunk",
        help="texts longer than the model reads: read in parts, refuse, or cut off (default: chunk)",
    )
    predict.add_argument(
        "--format", choices=["json", "text"], default="json", help="one JSON object a line, or for people"
    )
    predict.add_argument("--batch-size", type=count, default=16, help="texts computed together (default: 16)")
    predict.set_defaults(run=_predict)


def _predict(options: argparse.Namespace) -> None:
    questions = _questions(options)  # all are checked before any model is loaded
    model = open_model(options)
    for question in questions:  # and their lengths before any is answered
        try:
            model.check_length(question.text, question.task, max_length=options.max_length)
        except (TextError, GroundingError) as error:
            raise type(error)(f"{question.where}{error}") from error
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
            print_line(_shown(result, question.notes, options.format))


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
    labels = split_names(options.labels, "--labels")
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


def _shown(result: Result | Record, notes: dict[str, Any], form: str) -> str:
    if form == "json":
        return json.dumps(notes | result.to_dict(), ensure_ascii=False)
    return result.to_terminal(color=sys.stdout.isatty()) + "\n"
