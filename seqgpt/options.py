"""What a prediction may be told, and what it is asked: the arguments of ``predict``, checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, TypedDict, cast, get_args

from seqgpt.composite.base import CompositeTask, R
from seqgpt.composite.literal import SchemaLiteral, is_literal
from seqgpt.composite.schema import schema
from seqgpt.errors import ConfigError, LabelError, did_you_mean, shown
from seqgpt.tasks import AtomicTask, Labels

Threshold = float | Mapping[str, float]
"""One threshold for all labels, or those of some labels."""

Overlap = Literal["allow", "flat"]
"""Whether spans may overlap; of those that do, ``flat`` keeps the most probable."""

DEFAULT_THRESHOLD = 0.5
"""A span is found, and a label of several holds, if it is likelier than this."""

MaxLength = Literal["chunk", "error", "truncate"]
"""What becomes of a text that is longer than the model reads."""

Compat = Literal["released"]
"""Whose computation is repeated instead of the library's own: that of the released code of SeqGPT."""

AnyTask = CompositeTask[Any]
"""An ``AtomicTask``, or a composite task."""

TaskLike = AnyTask | Labels | SchemaLiteral
"""A task; the labels of an extraction, as a list or ``{label: description}``; or a nested literal."""

Tasks = Sequence[CompositeTask[R]] | Mapping[str, CompositeTask[R]]
"""Several tasks to ask of the same text; the results stand under the tasks' names, or under the keys."""


class Thresholds(NamedTuple):
    """What probabilities must exceed.

    Attributes:
        spans: Those of spans.
        classes: Those of one label of several.
        by_label: Those of labels that have one of their own.
    """

    spans: float = DEFAULT_THRESHOLD
    classes: float = DEFAULT_THRESHOLD
    by_label: Mapping[str, float] = MappingProxyType({})

    def of(self, task: AtomicTask) -> dict[str, float]:
        """Return those of the labels of a task."""
        other = self.spans if task.kind == "extract" else self.classes
        return {label: self.by_label.get(label, other) for label in task.labels}


class OptionKeywords(TypedDict, total=False):
    """The options of a prediction as keyword arguments, for type checkers."""

    threshold: Threshold | None
    overlap: Overlap | None
    max_length: MaxLength
    batch_size: int
    compat: Compat | None


@dataclass(frozen=True)
class Options:
    """The options of a prediction; see :meth:`seqgpt.model.SeqGPT.predict`.

    Raises:
        ConfigError: If a value is none that the option may have.
    """

    threshold: Threshold | None = None
    overlap: Overlap | None = None
    max_length: MaxLength = "chunk"
    batch_size: int = 16
    compat: Compat | None = None

    def __post_init__(self) -> None:
        if isinstance(self.threshold, Mapping):
            for label, value in self.threshold.items():
                check_probability(f"the threshold of {shown(label)}", value)
        elif self.threshold is not None:
            check_probability("threshold", self.threshold)
        known_values = {
            "overlap": (None, *get_args(Overlap)),
            "max_length": get_args(MaxLength),
            "compat": (None, *get_args(Compat)),
        }
        for name, known in known_values.items():
            value = getattr(self, name)
            if value not in known:
                raise ConfigError(f"{name} is {shown(value)}: use {' or '.join(map(repr, known))}.")
        if not isinstance(self.batch_size, int) or isinstance(self.batch_size, bool) or self.batch_size < 1:
            raise ConfigError(f"batch_size is {self.batch_size!r}: give a whole number from 1 up.")
        if self.compat and self.threshold is not None:
            raise ConfigError(f"compat={self.compat!r} computes no probabilities: leave threshold out.")
        if self.compat and self.max_length != "chunk":
            raise ConfigError(f"compat={self.compat!r} cuts off the head of a long text: leave max_length out.")

    def thresholds(self, own: Thresholds) -> Thresholds:
        """Return the thresholds that were chosen, a model's own where none was."""
        if self.threshold is None:
            return own
        if isinstance(self.threshold, Mapping):
            return own._replace(by_label=dict(self.threshold))
        return Thresholds(self.threshold, self.threshold)

    def check_labels(self, tasks: Iterable[AnyTask]) -> None:
        """Raise a ``LabelError`` if a threshold is of a label that none of the tasks asks for."""
        if not isinstance(self.threshold, Mapping):
            return
        labels: Set[str] = {label for task in tasks for label in task.labels}
        for label in self.threshold:
            if label not in labels:
                hint = did_you_mean(str(label), sorted(labels))
                raise LabelError(
                    f"a threshold is given for {shown(label)}, which no task asks for.{hint} "
                    "Ask for it, or leave it out."
                )


def check_probability(name: str, value: object) -> None:
    """Raise a ``ConfigError`` unless a value is a probability below 1."""
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 1:
        raise ConfigError(f"{name} is {shown(value)}: give a probability from 0 up, below 1.")


def as_task(task: TaskLike) -> AnyTask:
    """Return a task as it is, labels as an extraction, and a nested literal as a schema."""
    if isinstance(task, CompositeTask):
        return task
    return schema(cast(SchemaLiteral, task)) if is_literal(task) else AtomicTask.extract(cast(Labels, task))


def by_name(task: TaskLike | Tasks[Any]) -> dict[str, AnyTask] | None:
    """Return several tasks by name, or None for a single task.

    Raises:
        LabelError: If some of them are no tasks, or two have one name.
    """
    if isinstance(task, CompositeTask | str) or not isinstance(task, Sequence | Mapping):
        return None
    members = list(task.values()) if isinstance(task, Mapping) else list(task)
    if not any(isinstance(member, CompositeTask) for member in members):
        return None
    if not all(isinstance(member, CompositeTask) for member in members):
        raise LabelError(
            "several tasks must all be built: each with AtomicTask.extract, AtomicTask.classify or a function of "
            "seqgpt.composite, such as schema."
        )
    tasks = cast("list[AnyTask]", members)
    names = [str(name) for name in task] if isinstance(task, Mapping) else [one.name for one in tasks]
    for name, times in Counter(names).items():
        if times > 1:
            raise LabelError(f"two tasks are named {shown(name)}: give name= to each, or pass {{name: task}}.")
    return dict(zip(names, tasks, strict=True))
