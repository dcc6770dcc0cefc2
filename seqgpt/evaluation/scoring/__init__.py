"""What a prediction is worth: every measure, by the task that it measures.

Pure functions over gold and predicted results, pairwise in the same order.

    extraction       offset_f1, string_f1, partial_offset_f1, partial_string_f1, absence_f1, span_confusion
    classification   class_scores, class_confusion
    reading          reading_scores
    of each          reliability, calibration_error, find_mistakes

How sure their numbers are says :mod:`seqgpt.evaluation.scoring.bootstrap`.
"""

from seqgpt.evaluation.scoring.classes import ClassScores, class_scores
from seqgpt.evaluation.scoring.confusion import Confusion, class_confusion, span_confusion
from seqgpt.evaluation.scoring.mistakes import (
    ClassMistake,
    Mistake,
    MistakeKind,
    SpanMistake,
    count_by_kind,
    find_mistakes,
)
from seqgpt.evaluation.scoring.reading import ReadingScores, reading_scores
from seqgpt.evaluation.scoring.reliability import Bin, Reliability, calibration_error, reliability
from seqgpt.evaluation.scoring.scores import F1Scores, R, Score, check_pairs
from seqgpt.evaluation.scoring.spans import absence_f1, offset_f1, partial_offset_f1, partial_string_f1, string_f1

__all__ = [
    "Bin",
    "ClassMistake",
    "ClassScores",
    "Confusion",
    "F1Scores",
    "Mistake",
    "MistakeKind",
    "R",
    "ReadingScores",
    "Reliability",
    "Score",
    "SpanMistake",
    "absence_f1",
    "calibration_error",
    "check_pairs",
    "class_confusion",
    "class_scores",
    "count_by_kind",
    "find_mistakes",
    "offset_f1",
    "partial_offset_f1",
    "partial_string_f1",
    "reading_scores",
    "reliability",
    "span_confusion",
    "string_f1",
]
