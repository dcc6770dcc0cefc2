"""What is taken for what: counts of gold and predicted labels, as data for a heat map."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from seqgpt.errors import DataError
from seqgpt.evaluation.scoring.mistakes import SpanMistake, find_mistakes
from seqgpt.evaluation.scoring.scores import asked_labels, check_pairs
from seqgpt.results import Classification, Extraction, Result

Pair = tuple[str | None, str | None]
"""A gold and a predicted label; None for none."""


@dataclass(frozen=True)
class Confusion:
    """How often each gold label was predicted as each label.

    Attributes:
        labels: The labels that occur on either side, in the order of the tasks; None, for none, is last if it occurs.
        rows: For each of them as gold, how often each was predicted.
    """

    labels: tuple[str | None, ...]
    rows: tuple[tuple[int, ...], ...]

    def to_dict(self) -> dict[str, Any]:
        """Return ``labels`` and ``rows`` as plain JSON values."""
        return {"labels": list(self.labels), "rows": [list(row) for row in self.rows]}


def class_confusion(gold: Sequence[Classification], predicted: Sequence[Classification]) -> Confusion:
    """Count the texts of single-label tasks by gold and predicted label; None stands for "none of these".

    Raises:
        DataError: If gold and predicted do not belong together, or a task is multi-label.
    """
    check_pairs(gold, predicted)
    for i, (g, p) in enumerate(zip(gold, predicted, strict=True)):
        if g.task.multi_label or p.task.multi_label:
            raise DataError(f"text {i} may have several labels: confusion is counted where labels exclude one another.")
    return _confusion(gold, ((g.label, p.label) for g, p in zip(gold, predicted, strict=True)))


def span_confusion(gold: Sequence[Extraction], predicted: Sequence[Extraction]) -> Confusion:
    """Count spans by gold and predicted label.

    On the diagonal stand the right spans, off it those with a wrong type (:func:`find_mistakes`): the same place,
    another label. All others, missed, invented or with a wrong boundary, stand under None. So a row sums to the gold
    spans of its label, and a column to the predicted ones.

    Raises:
        DataError: If gold and predicted do not belong together.
    """
    pairs: list[Pair] = []
    for g, p, mistakes in zip(gold, predicted, find_mistakes(gold, predicted), strict=True):
        held = {(span.label, span.start, span.end) for span in p.spans}
        pairs += [(span.label, span.label) for span in g.spans if (span.label, span.start, span.end) in held]
        for mistake in mistakes:
            if isinstance(mistake, SpanMistake):
                pairs += _of_mistake(mistake)
    return _confusion(gold, pairs)


def _of_mistake(mistake: SpanMistake) -> list[Pair]:
    wanted, given = (span.label if span else None for span in (mistake.gold, mistake.predicted))
    return [(wanted, None), (None, given)] if mistake.kind == "wrong boundary" else [(wanted, given)]


def _confusion(gold: Sequence[Result], pairs: Iterable[Pair]) -> Confusion:
    counts = Counter(pairs)
    seen = {label for pair in counts for label in pair}
    labels = tuple(label for label in (*asked_labels(gold), None) if label in seen)
    return Confusion(labels, tuple(tuple(counts[wanted, given] for given in labels) for wanted in labels))
