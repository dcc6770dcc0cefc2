"""How a text is read: whole and with all labels; or, where that is too long, in parts and with labels in groups."""

from __future__ import annotations

from dataclasses import replace
from operator import itemgetter
from typing import NamedTuple, Protocol

from seqgpt.about import Place
from seqgpt.engine.groups import Group, groups
from seqgpt.engine.plan import Plan
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.engine.windows import MAX_WINDOW_TOKENS, OVERLAP, Window, holding, windows
from seqgpt.errors import TextError, shown
from seqgpt.options import MaxLength
from seqgpt.tasks import AtomicTask

MAX_SPAN_TOKENS = 256
"""Tokens that a span may have; as in the released model's settings (max_new_tokens)."""

LEAST_WINDOW = 4 * OVERLAP
"""Tokens that a part of a text must have room for."""

_REMEMBERED = 16  # tasks whose groups are remembered
_AT_EDGES = 4  # tokens that words may need more where other words stand around them


class Part(NamedTuple):
    """A part of a text, and what the model reads of it."""

    window: Window
    plan: Plan


class MakePlan(Protocol):
    """Encodes a task on a text."""

    def __call__(self, text: str, task: AtomicTask, like: Plan | None = None) -> Plan:
        """Return the plan; ``like`` is one of the same task on another text, to share what is the same."""


class Reader:
    """Decides in which parts a model reads a text.

    Args:
        plan: Encodes a task on a text.
        vocabulary: The model's tokenizer.
        max_positions: Number of positions that the model knows.
    """

    def __init__(self, plan: MakePlan, vocabulary: Vocabulary, max_positions: int) -> None:
        self._plan = plan
        self._vocabulary = vocabulary
        self._max_positions = max_positions
        self._groups: dict[tuple[AtomicTask, int], list[Group]] = {}

    def groups(self, text: str, task: AtomicTask, max_length: MaxLength) -> list[Group]:
        """Return the groups in which labels are described: all of them together, if they fit beside the text.

        Else a group has half of the room, and the text the other half.
        """
        most = self.most(task, max_length)
        # Cheap questions first: a character is four bytes at most, and no token is shorter than a byte.
        if (
            not task.descriptions
            or max_length == "error"
            or 4 * (sum(len(label) + len(task.descriptions.get(label, "")) + 1 for label in task.labels)) <= most // 2
            or sum(self._size(task, label) for label in task.labels) <= most // 2
            or self._plan(text, task).longest <= most
        ):
            return [Group(task.labels, task)]
        if (task, most) not in self._groups:
            if len(self._groups) >= _REMEMBERED:
                self._groups.clear()
            self._groups[task, most] = groups(task, lambda label: self._size(task, label), most // 2)
        return self._groups[task, most]

    def _size(self, task: AtomicTask, label: str) -> int:
        if label not in task.descriptions:
            return 0
        words = (label, task.descriptions[label])
        return sum(len(self._vocabulary.encode_label(each)) + 2 for each in words)

    def parts(self, text: str, task: AtomicTask, max_length: MaxLength, like: Plan | None = None) -> list[Part]:
        """Return the parts in which a text is read: the whole text, if it fits.

        Args:
            text: The text.
            task: The task.
            max_length: What becomes of a text that does not fit.
            like: A plan of the same task on another text.

        Raises:
            TextError: If it does not fit and ``max_length`` is ``"error"``, or labels leave no room for any part.
        """
        whole = self._plan(text, task, like)
        most = self.most(task, max_length)
        if whole.longest <= (min(most, MAX_WINDOW_TOKENS) if max_length == "chunk" else most):
            return [Part(Window(0, text), whole)]
        if max_length == "error":
            raise TextError(
                f"text and labels have {whole.longest} tokens, and the model reads {most}: shorten or split the text "
                f"that begins {text[:30]!r}, or let it be read in parts with max_length chunk."
            )
        room = most - (whole.longest - len(self._vocabulary.encode(text))) - _AT_EDGES
        if room < LEAST_WINDOW:
            raise TextError(
                f"labels and task have {most - room} tokens, and the model reads {most} with the text: "
                f"{_advice(whole, most - room)}."
            )
        cut = windows(
            text,
            lambda words: len(self._vocabulary.encode(words)),
            min(room, MAX_WINDOW_TOKENS) if max_length == "chunk" else room,
        )
        read = cut[:1] if max_length == "truncate" else holding(cut, task.about)
        return [Part(window, self._plan(window.text, seen_from(window, task), whole)) for window in read]

    def most(self, task: AtomicTask, max_length: MaxLength) -> int:
        """Return how many tokens prompt and labels may have; where there is a choice, spans are left room."""
        for_answers = min(MAX_SPAN_TOKENS, self._max_positions // 8) if task.kind == "extract" else 0
        return self._max_positions - 1 - (for_answers if max_length == "chunk" else 0)


def seen_from(window: Window, task: AtomicTask) -> AtomicTask:
    """Return a task as it is asked of a part of its text: places by what they are there, or by their words alone."""
    if not any(isinstance(one, Place) for one in task.about):
        return task
    return replace(task, about=tuple(window.place(one) for one in task.about))


def _advice(plan: Plan, beside: int) -> str:
    """Say what to do about labels that leave no room for a text."""
    longest, tokens = max(zip(plan.task.labels, map(len, plan.branches), strict=False), key=itemgetter(1))
    if 2 * tokens > beside and len(plan.branches) == len(plan.task.labels):
        return f"shorten label {shown(longest)}, which has {tokens} of them"
    if plan.task.descriptions:
        return "describe fewer labels at once, or in fewer words"
    return "ask for fewer labels at once"
