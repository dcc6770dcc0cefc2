"""Extraction: F1 of spans by place and by wording, exact and partial, and of the labels that are absent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from seqgpt.evaluation.scoring.pairing import best_assignment, pair_overlapping
from seqgpt.evaluation.scoring.scores import F1Scores, LabelScores, Score, f1_scores, item_f1
from seqgpt.evaluation.scoring.words import split_words
from seqgpt.grounding import by_label
from seqgpt.results import Extraction, Span


def offset_f1(gold: Sequence[Extraction], predicted: Sequence[Extraction]) -> F1Scores:
    """Score spans by position: one counts if label, start and end are all right.

    Each span of a text counts once; its score and status do not matter.

    Raises:
        DataError: If gold and predicted do not belong together.
    """
    return item_f1(gold, predicted, lambda one: ((span.label, (span.start, span.end)) for span in one.spans))


def string_f1(gold: Sequence[Extraction], predicted: Sequence[Extraction]) -> F1Scores:
    """Score spans by wording: one counts if label and string are right, wherever it stands.

    Each string counts once per text and label, however often it stands there; strings are compared as they are.

    Raises:
        DataError: If gold and predicted do not belong together.
    """
    return item_f1(gold, predicted, lambda one: ((span.label, span.text) for span in one.spans))


def partial_offset_f1(gold: Sequence[Extraction], predicted: Sequence[Extraction]) -> F1Scores:
    """Score spans by position, with half credit for the right label at an overlapping place.

    Of one label, gold and predicted spans are paired one to one so that the credit is highest: 1 for the same start
    and end, 1/2 for overlapping ones. ``correct`` is the credit.

    Source: the credits of MUC-5 (Chinchor and Sundheim 1993) and the scheme "partial" of SemEval-2013 task 9
    (Segura-Bedmar et al.), here within each label. By label it is what nervaluate calls ``partial`` of one entity type,
    wherever spans of one label do not overlap one another; the sum over labels is ``micro``. nervaluate's overall
    ``partial`` is another thing: it ignores labels.

    Raises:
        DataError: If gold and predicted do not belong together.
    """
    return f1_scores(gold, predicted, _count_overlaps)


def partial_string_f1(gold: Sequence[Extraction], predicted: Sequence[Extraction]) -> F1Scores:
    """Score spans by wording, with credit for the words that strings of one label have in common.

    Two strings with words g and p, as multisets, are alike to the degree 2 |g ∩ p| / (|g| + |p|); words are single
    characters in scripts without spaces. Of one label, the gold and predicted strings of a text are paired one to one
    so that the sum of these is highest. The sum is ``correct``: divided by the number of predicted strings it is the
    precision, by that of gold ones the recall.

    Source: the alignment of answer spans of DROP (Dua et al. 2019, arXiv 1903.00161), and precision and
    recall as in CEAF with φ4 (Luo 2005, "On coreference resolution performance metrics").

    Raises:
        DataError: If gold and predicted do not belong together.
    """
    return f1_scores(gold, predicted, _count_likeness)


def absence_f1(gold: Sequence[Extraction], predicted: Sequence[Extraction]) -> F1Scores:
    """Score the answer "this label is absent": precision is the share of labels said absent of a text that are.

    Raises:
        DataError: If gold and predicted do not belong together.
    """
    return item_f1(gold, predicted, lambda one: ((label, True) for label in one.absent))


def _count_overlaps(gold: Extraction, predicted: Extraction) -> LabelScores:
    wanted, given = by_label(gold.spans), by_label(predicted.spans)
    return {label: _credit(wanted.get(label, []), given.get(label, [])) for label in dict.fromkeys([*wanted, *given])}


def _credit(gold: Sequence[Span], predicted: Sequence[Span]) -> Score:
    """Count the spans of one label.

    To pair the same places first loses nothing: it takes its partners from at most two pairs, of half a credit each.
    """
    same = {(span.start, span.end) for span in gold} & {(span.start, span.end) for span in predicted}
    rest = [[span for span in spans if (span.start, span.end) not in same] for spans in (gold, predicted)]
    return Score(len(same) + len(pair_overlapping(*rest)) / 2, len(predicted), len(gold))


def _count_likeness(gold: Extraction, predicted: Extraction) -> LabelScores:
    wanted, given = _strings(gold), _strings(predicted)
    return {label: _likeness(wanted.get(label, []), given.get(label, [])) for label in dict.fromkeys([*wanted, *given])}


def _strings(result: Extraction) -> dict[str, list[str]]:
    return {label: list(dict.fromkeys(span.text for span in spans)) for label, spans in by_label(result.spans).items()}


def _likeness(gold: Sequence[str], predicted: Sequence[str]) -> Score:
    if set(gold) == set(predicted):
        return Score(len(gold), len(predicted), len(gold))
    wanted, given = ([Counter(split_words(string) or [string]) for string in strings] for strings in (gold, predicted))
    alike = np.array([[2 * (g & p).total() / (g.total() + p.total()) for p in given] for g in wanted])
    return Score(best_assignment(alike.reshape(len(gold), len(predicted))), len(predicted), len(gold))
