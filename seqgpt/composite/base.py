"""What a composite task is: questions to one text, wave by wave, that become one result.

A wave is all that is asked before an answer is needed: the heads of relations first, then the tails of all heads. Many
tasks are asked side by side, so that a wave of all texts is one batch.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

from seqgpt.errors import LabelError, shown, told_of
from seqgpt.results import Classification, Extraction, Result
from seqgpt.tasks import AtomicTask, Labels
from seqgpt.texts import check_text

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")
R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)

Steps = Generator[Sequence[AtomicTask], Sequence[Result], R]
"""Atomic tasks out, wave by wave; their results in; one result at the end."""

Question = tuple[str, AtomicTask, int | None]
"""A text, what is asked of it, and the number of the text, if there are several."""


@runtime_checkable
class CompositeTask(Protocol[R_co]):
    """Whatever ``predict`` can ask: several questions with one result, of type ``R``.

    An ``AtomicTask`` is the trivial one. Write your own with these three members; the functions of
    :mod:`seqgpt.composite` build those of the library.
    """

    @property
    def name(self) -> str:
        """The key of the result when several tasks are asked at once."""

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels that may be asked for."""

    def steps(self, text: str) -> Generator[Sequence[AtomicTask], Sequence[Result], R_co]:
        """Yield what to ask of the text, wave by wave; be sent the results; return what they come to."""


def run(
    pairs: Sequence[tuple[str, CompositeTask[R]]],
    numbers: Sequence[int | None],
    ask: Callable[[Sequence[Question]], Sequence[Result]],
) -> list[R]:
    """Ask each task of its text, all of them side by side.

    Args:
        pairs: Texts and their tasks.
        numbers: The number of each text, as the caller counts; None if there is only one.
        ask: Answers a wave: what all tasks ask next.
    """
    waves = together([_of_text(text, task, number) for (text, task), number in zip(pairs, numbers, strict=True)])
    answers = None
    while True:
        try:
            asked = _go_on(waves, answers)
        except StopIteration as done:
            return cast("list[R]", done.value)
        answers = ask(asked)


def together(
    many: Sequence[Generator[Sequence[Asked], Sequence[Answer], R]],
) -> Generator[Sequence[Asked], Sequence[Answer], list[R]]:
    """Take the steps of many side by side: each wave asks what all of them ask next. No wave is empty."""
    results: dict[int, R] = {}
    heard: dict[int, Sequence[Answer] | None] = dict.fromkeys(range(len(many)))
    while heard:
        wave: dict[int, Sequence[Asked]] = {}
        for i, answers in heard.items():
            try:
                wave[i] = _go_on(many[i], answers)
            except StopIteration as done:
                results[i] = done.value
        asked = [each for some in wave.values() for each in some]
        answered = iter((yield asked) if asked else ())
        heard = {i: [next(answered) for _ in some] for i, some in wave.items()}
    return [results[i] for i in range(len(many))]


def _of_text(text: str, task: CompositeTask[R], number: int | None) -> Generator[list[Question], Sequence[Result], R]:
    """Say with each question of which text it is."""
    steps, answers = None, None
    while True:
        with told_of(number):
            steps = steps or task.steps(check_text(text))
            try:
                asked = _go_on(steps, answers)
            except StopIteration as done:
                return cast(R, done.value)
        answers = yield [(text, one, number) for one in asked]


def _go_on(
    steps: Generator[Sequence[Asked], Sequence[Answer], Any], answers: Sequence[Answer] | None
) -> Sequence[Asked]:
    return next(steps) if answers is None else steps.send(answers)


# What the composite tasks of the library have in common


def extractions(tasks: Sequence[AtomicTask]) -> Steps[list[Extraction]]:
    """Ask extractions; their results come with their type."""
    return cast("list[Extraction]", (yield tasks))


def classifications(tasks: Sequence[AtomicTask]) -> Steps[list[Classification]]:
    """Ask classifications; their results come with their type."""
    return cast("list[Classification]", (yield tasks))


def notes(answers: Sequence[Result]) -> dict[str, Any]:
    """Return what the reader of a composite result should know of its parts: each warning once."""
    return {
        "truncated": any(answer.truncated for answer in answers),
        "warnings": tuple(dict.fromkeys(warning for answer in answers for warning in answer.warnings)),
    }


def distinct(*labels: Sequence[str]) -> tuple[str, ...]:
    """Return labels of several label sets, each once."""
    return tuple(dict.fromkeys(label for some in labels for label in some))


def label_set(labels: Labels) -> Labels:
    """Return a copy of labels.

    Raises:
        LabelError: If one is empty or repeated, or they are something else.
    """
    AtomicTask.extract(labels)
    return dict(labels) if isinstance(labels, Mapping) else tuple(labels)


def label_sets(given: object, what: str, example: str, *, may_be_empty: bool = False) -> dict[str, Labels]:
    """Return a copy of ``{label: labels}``.

    Raises:
        LabelError: If it is something else, or a label is empty or repeated.
    """
    if not isinstance(given, Mapping):
        raise LabelError(f"{what} are {shown(given)}: give a dict, for example {example}.")
    label_set(tuple(given))
    read: dict[str, Labels] = {}
    for label, labels in given.items():
        try:
            read[label] = () if may_be_empty and labels in ((), [], {}) else label_set(labels)
        except LabelError as error:
            raise LabelError(f"under {shown(label)}: {error}") from None
    return read
