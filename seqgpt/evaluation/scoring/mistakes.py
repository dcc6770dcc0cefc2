"""What is wrong with a prediction, one mistake at a time: missed, wrong type, wrong boundary, invented."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from seqgpt.evaluation.scoring.pairing import pair_overlapping
from seqgpt.evaluation.scoring.scores import check_pairs
from seqgpt.grounding import by_label
from seqgpt.results import Classification, Extraction, Result, Span

MistakeKind = Literal["missed", "wrong type", "wrong boundary", "invented"]

KINDS: tuple[MistakeKind, ...] = ("missed", "wrong type", "wrong boundary", "invented")


@dataclass(frozen=True, slots=True)
class SpanMistake:
    """A span that is not as it should be.

    Attributes:
        gold: The span that should be; None if it is invented.
        predicted: The span that was predicted; None if it is missed.
    """

    gold: Span | None
    predicted: Span | None

    @property
    def kind(self) -> MistakeKind:
        """What is wrong: no span, the label, the place, or that there is one at all."""
        if self.predicted is None:
            return "missed"
        if self.gold is None:
            return "invented"
        return "wrong boundary" if self.gold.label == self.predicted.label else "wrong type"

    def to_dict(self) -> dict[str, Any]:
        """Return ``kind``, ``gold`` and ``predicted`` as plain JSON values."""
        spans = {"gold": self.gold, "predicted": self.predicted}
        return {"kind": self.kind, **{side: span.to_dict() if span else None for side, span in spans.items()}}


@dataclass(frozen=True, slots=True)
class ClassMistake:
    """A text whose labels are not as they should be.

    Attributes:
        gold: The labels that hold; empty for "none of these".
        predicted: The labels that were predicted.
    """

    gold: tuple[str, ...]
    predicted: tuple[str, ...]

    @property
    def kind(self) -> MistakeKind:
        """What is wrong: labels are lacking, or there are too many, or both."""
        if set(self.predicted) < set(self.gold):
            return "missed"
        return "invented" if set(self.gold) < set(self.predicted) else "wrong type"

    def to_dict(self) -> dict[str, Any]:
        """Return ``kind``, ``gold`` and ``predicted`` as plain JSON values."""
        return {"kind": self.kind, "gold": list(self.gold), "predicted": list(self.predicted)}


Mistake = SpanMistake | ClassMistake


def find_mistakes(gold: Sequence[Result], predicted: Sequence[Result]) -> list[tuple[Mistake, ...]]:
    """Return the mistakes of each text; none where the prediction is right.

    Of an extraction, spans with the right label, start and end are right. Of the others, those that overlap a gold span
    of their label have a wrong boundary, paired as ``partial_offset_f1`` does; then those
    at the very place of a gold span have a wrong type; what remains is missed or invented. So each span is in one
    mistake at most, missed + wrong type + wrong boundary + right spans are the gold ones, and with invented instead of
    missed the predicted ones. Mistakes stand in the order of the text.

    A classification has one mistake at most.

    Raises:
        DataError: If gold and predicted do not belong together.
    """
    check_pairs(gold, predicted)
    return [_mistakes(g, p) for g, p in zip(gold, predicted, strict=True)]


def count_by_kind(mistakes: Iterable[Iterable[Mistake]]) -> dict[MistakeKind, int]:
    """Count mistakes of all texts by kind, those that do not occur too."""
    counts = Counter(mistake.kind for one in mistakes for mistake in one)
    return {kind: counts[kind] for kind in KINDS}


def _mistakes(gold: Result, predicted: Result) -> tuple[Mistake, ...]:
    if isinstance(gold, Extraction) and isinstance(predicted, Extraction):
        return tuple(sorted(_span_mistakes(gold, predicted), key=_place))
    wanted, given = (one.labels if isinstance(one, Classification) else () for one in (gold, predicted))
    return (ClassMistake(wanted, given),) if set(wanted) != set(given) else ()


def _span_mistakes(gold: Extraction, predicted: Extraction) -> list[SpanMistake]:
    right = {_key(span) for span in gold.spans} & {_key(span) for span in predicted.spans}
    missed, invented = ([span for span in one.spans if _key(span) not in right] for one in (gold, predicted))
    wanted, given = by_label(missed), by_label(invented)
    pairs = [pair for label in wanted if label in given for pair in pair_overlapping(wanted[label], given[label])]
    paired = {_key(span) for pair in pairs for span in pair}
    here, there = (_by_place(span for span in spans if _key(span) not in paired) for spans in (missed, invented))
    pairs += [pair for place in here if place in there for pair in zip(here[place], there[place], strict=False)]
    held, said = {_key(g) for g, _ in pairs}, {_key(p) for _, p in pairs}
    return [
        *(SpanMistake(g, p) for g, p in pairs),
        *(SpanMistake(span, None) for span in missed if _key(span) not in held),
        *(SpanMistake(None, span) for span in invented if _key(span) not in said),
    ]


def _by_place(spans: Iterable[Span]) -> dict[tuple[int, int], list[Span]]:
    groups: dict[tuple[int, int], list[Span]] = {}
    for span in spans:
        groups.setdefault((span.start, span.end), []).append(span)
    return groups


def _key(span: Span) -> tuple[str, int, int]:
    return span.label, span.start, span.end


def _place(mistake: SpanMistake) -> tuple[int, int]:
    span = mistake.gold or mistake.predicted
    return (span.start, span.end) if span else (0, 0)
