"""All measures of a set at once, by how its answers are scored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seqgpt.evaluation.scoring import (
    Confusion,
    Mistake,
    R,
    Score,
    absence_f1,
    class_confusion,
    class_scores,
    find_mistakes,
    offset_f1,
    partial_offset_f1,
    partial_string_f1,
    reading_scores,
    span_confusion,
    string_f1,
)
from seqgpt.evaluation.scoring.bootstrap import Counts, macro_f1, mean, micro_f1
from seqgpt.evaluation.sets import Kind
from seqgpt.results import Classification, Extraction, Result

_FEW = 20  # texts, of which no label is asked often
_MOST_LABELS = 300  # a table of more is not read by anybody


@dataclass(frozen=True)
class Measured:
    """What predictions are worth.

    Attributes:
        metrics: Shares from 0 to 1, the headline first.
        counts: For metrics that get an interval, what was counted of each text.
        per_label: By metric, the headline's first: the score of each label that is gold or predicted; empty where most
            texts have labels of their own.
        abstention: The answer that nothing holds, counted like a label.
        confusion: What is taken for what; None where several labels may hold, most texts have labels of their own, or
            there are too many.
    """

    metrics: Mapping[str, float]
    counts: Mapping[str, Counts]
    per_label: Mapping[str, Mapping[str, Score]]
    abstention: Score
    confusion: Confusion | None = None


def measure(kind: Kind, gold: Sequence[Result], predicted: Sequence[Result]) -> Measured:
    """Return all measures of predictions, in the order of their texts."""
    if kind in ("classify", "multi_label"):
        return _classes(_only(Classification, gold), _only(Classification, predicted))
    wanted, given = _only(Extraction, gold), _only(Extraction, predicted)
    return _spans(wanted, given) if kind == "extract" else _answers(wanted, given)


def mistakes_of(kind: Kind, gold: Sequence[Result], predicted: Sequence[Result]) -> list[tuple[Mistake, ...]]:
    """Return the mistakes of each text; of a question that was answered rightly none, whatever else would be right."""
    found = find_mistakes(gold, predicted)
    if kind != "read":
        return found
    right = reading_scores(_only(Extraction, gold), _only(Extraction, predicted)).exact_by_text
    return [() if is_right else mistakes for is_right, mistakes in zip(right, found, strict=True)]


def _spans(gold: Sequence[Extraction], predicted: Sequence[Extraction]) -> Measured:
    offset, absence = offset_f1(gold, predicted), absence_f1(gold, predicted)
    found = {
        "offset_f1": offset,
        "string_f1": string_f1(gold, predicted),
        "partial_offset_f1": partial_offset_f1(gold, predicted),
        "partial_string_f1": partial_string_f1(gold, predicted),
    }
    shared = _share_labels(gold)
    metrics = {
        **{name: scores.micro.f1 for name, scores in found.items()},
        "precision": offset.micro.precision,
        "recall": offset.micro.recall,
        **({"macro_f1": offset.macro_f1, "string_macro_f1": found["string_f1"].macro_f1} if shared else {}),
        **_abstained("absent", absence.micro),
    }
    counts = {name: micro_f1(scores) for name, scores in found.items()}
    return Measured(
        metrics,
        counts | ({"macro_f1": macro_f1(offset)} if shared else {}),
        {name: scores.per_label for name, scores in found.items()} if shared else {},
        absence.micro,
        span_confusion(gold, predicted) if shared else None,
    )


def _classes(gold: Sequence[Classification], predicted: Sequence[Classification]) -> Measured:
    scores, shared = class_scores(gold, predicted), _share_labels(gold)
    exclusive = not any(result.task.multi_label for result in gold)
    found = {
        "accuracy": (scores.accuracy, mean(scores.right_by_text)),
        "micro_f1": (scores.f1.micro.f1, micro_f1(scores.f1)),
        **({"macro_f1": (scores.f1.macro_f1, macro_f1(scores.f1))} if shared else {}),
    }
    ranked = found if exclusive else {"micro_f1": found["micro_f1"], **found}
    return Measured(
        {name: value for name, (value, _) in ranked.items()} | _abstained("none", scores.abstention),
        {name: counts for name, (_, counts) in ranked.items()},
        {"f1": scores.f1.per_label} if shared else {},
        scores.abstention,
        class_confusion(gold, predicted) if shared and exclusive else None,
    )


def _answers(gold: Sequence[Extraction], predicted: Sequence[Extraction]) -> Measured:
    scores = reading_scores(gold, predicted)
    metrics = {
        "token_f1": scores.f1,
        "exact_match": scores.exact_match,
        **_abstained("unanswerable", scores.abstention),
    }
    counts = {"token_f1": mean(scores.f1_by_text), "exact_match": mean(scores.exact_by_text)}
    return Measured(metrics, counts, {}, scores.abstention)


def _abstained(name: str, score: Score) -> dict[str, float]:
    if not score.predicted and not score.support:
        return {}
    return {f"{name}_precision": score.precision, f"{name}_recall": score.recall}


def _share_labels(gold: Sequence[Result]) -> bool:
    """Tell whether texts have labels in common, so that labels can be compared: choices, for example, have none."""
    asked = Counter(label for result in gold for label in result.task.labels)
    return len(gold) < _FEW or (len(asked) <= _MOST_LABELS and asked.total() >= 2 * len(asked))


def _only(kind: type[R], results: Sequence[Result]) -> list[R]:
    return [result for result in results if isinstance(result, kind)]
