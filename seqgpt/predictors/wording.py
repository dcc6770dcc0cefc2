"""How tasks are put to models that know neither tasks nor marks: one text, and words for each label."""

from __future__ import annotations

from collections.abc import Sequence

from seqgpt.about import wording
from seqgpt.errors import DataError
from seqgpt.tasks import AtomicTask


def require_classes(tasks: Sequence[AtomicTask], who: str) -> None:
    """Refuse, before anything is predicted, tasks that are no classification.

    Raises:
        DataError: If there is one.
    """
    for task in tasks:
        if task.kind != "classify":
            raise DataError(f"{who} cannot extract spans: evaluate it on classification tasks only.")


def text_of(text: str, task: AtomicTask) -> str:
    r"""Return a text with what the task is about behind it, each on a line of its own.

    >>> text_of("The battery lasts.", AtomicTask.classify(["good", "bad"], about="battery"))
    'The battery lasts.\nbattery'
    """
    return "\n".join([text, *(wording(one) for one in task.about)])


def label_words(task: AtomicTask) -> list[str]:
    """Return the words of each label, with its description if it has one.

    >>> label_words(AtomicTask.classify({"praise": "the writer is pleased", "complaint": ""}))
    ['praise (the writer is pleased)', 'complaint']
    """
    return [f"{label} ({task.descriptions[label]})" if label in task.descriptions else label for label in task.labels]
