"""Classification: accuracy, F1 of labels, and of the answer "none of these"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from seqgpt.errors import DataError
from seqgpt.evaluation.scoring.scores import F1Scores, Score, item_f1
from seqgpt.results import Classification


@dataclass(frozen=True)
class ClassScores:
    """Accuracy and F1 of a classification.

    Attributes:
        accuracy: Share of the texts whose predicted labels are exactly the gold ones: the one label, or all of a
            multi-label task. To abstain is right exactly where the gold answer is "none of these".
        f1: F1 over pairs of text and label. Abstaining predicts no pair: it lowers recall, never precision, and is
            no label of the mean. Without abstention, single-label micro F1 equals accuracy.
        abstention: The answer "none of these" itself, counted like a label.
        right_by_text: Whether the labels of each text are exactly the gold ones, in order.
    """

    accuracy: float
    f1: F1Scores
    abstention: Score
    right_by_text: tuple[bool, ...] = field(repr=False)


def class_scores(gold: Sequence[Classification], predicted: Sequence[Classification]) -> ClassScores:
    """Score classifications, single-label or multi-label.

    Raises:
        DataError: If gold and predicted do not belong together, or there are none.
    """
    f1 = item_f1(gold, predicted, lambda one: ((label, True) for label in one.labels))
    if not gold:
        raise DataError("there is no text to score: give at least one.")
    right = tuple(set(g.labels) == set(p.labels) for g, p in zip(gold, predicted, strict=True))
    abstention = Score(
        sum(g.abstained and p.abstained for g, p in zip(gold, predicted, strict=True)),
        sum(p.abstained for p in predicted),
        sum(g.abstained for g in gold),
    )
    return ClassScores(sum(right) / len(gold), f1, abstention, right)
