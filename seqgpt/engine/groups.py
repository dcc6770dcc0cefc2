"""Descriptions of labels that are longer than a model reads: asked in groups, and the results of the groups as one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from seqgpt.results import Classification, Extraction, Result
from seqgpt.tasks import AtomicTask


class Group(NamedTuple):
    """Labels that are described together, and the task that asks for them."""

    labels: tuple[str, ...]
    task: AtomicTask


def groups(task: AtomicTask, size: Callable[[str], int], room: int) -> list[Group]:
    """Cut a task into groups of labels.

    Labels that exclude one another are all asked each time, so that their probabilities compare; of the others, those
    of the group.

    Args:
        task: The task.
        size: Counts the tokens with which a label is described.
        room: Most tokens of the descriptions of a group; one that is longer makes a group by itself.
    """
    members: list[list[str]] = []
    used = 0
    for label in task.labels:
        tokens = size(label)
        if not members or used + tokens > room:
            members.append([])
            used = 0
        members[-1].append(label)
        used += tokens
    return [Group(tuple(labels), _describing(task, labels)) for labels in members]


def _describing(task: AtomicTask, labels: Sequence[str]) -> AtomicTask:
    if not task.single_label:
        return task.with_labels(labels)
    return replace(
        task, descriptions={label: task.descriptions[label] for label in labels if label in task.descriptions}
    )


def unite(text: str, task: AtomicTask, asked: Sequence[Group], results: Sequence[Result]) -> Result:
    """Make one result of those of a task's groups.

    Of labels that exclude one another, each has the probability from the group in which it is described, all together
    scaled to a sum of 1; that of "none of these" is the mean.
    """
    warnings = dict.fromkeys(warning for result in results for warning in result.warnings)
    note = f"labels were described in {len(results)} groups: together they are longer than the model reads."
    notes: dict[str, Any] = {"warnings": (note, *warnings), "truncated": any(result.truncated for result in results)}
    if task.kind == "extract":
        spans = [span for result in results if isinstance(result, Extraction) for span in result.spans]
        return Extraction.of(text, task, spans, **notes)
    classified = [result for result in results if isinstance(result, Classification)]
    scores = {
        label: result.scores[label] for group, result in zip(asked, classified, strict=True) for label in group.labels
    }
    if task.multi_label:
        return Classification.of(text, task, tuple(x for result in classified for x in result.labels), scores, **notes)
    none = sum(max(1 - sum(result.scores.values()), 0.0) for result in classified) / len(results) if task.none else 0.0
    total = sum(scores.values()) or 1.0
    scores = {label: min(score * (1 - none) / total, 1.0) for label, score in scores.items()}
    best = max(scores, key=lambda label: scores[label])
    return Classification.of(text, task, () if none > scores[best] else (best,), scores, **notes)
