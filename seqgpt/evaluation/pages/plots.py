"""What is confused with what, and how sure with how right, as plots: a heat map and a reliability diagram."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from seqgpt.evaluation.pages.markup import Html, element, joined
from seqgpt.evaluation.scoring import Bin, Confusion

_NONE = "none"
_MOST_CLASSES = 20
_SIZE, _COUNTS = 200, 34  # of the diagram, and of the bars of counts below it, in units of the drawing
_LEFT, _TOP = 30, 8
_BOTTOM = _TOP + _SIZE + 18 + _COUNTS


def heat_map(confusion: Confusion) -> Html:
    """Draw which labels were predicted for which: each row a gold label, the darker the more of the row.

    The labels with most gold answers have a row and a column of their own; the others share one.
    """
    support = dict(zip(confusion.labels, map(sum, confusion.rows), strict=True))
    ranked = sorted(confusion.labels, key=lambda label: (label is None, -support[label]))
    kept = ranked
    if len(ranked) > _MOST_CLASSES + 1:
        kept = [*ranked[:_MOST_CLASSES], *([None] if None in support else [])]
    place = {label: i for i, label in enumerate(kept)}
    others = len(kept)
    counts: Counter[tuple[int, int]] = Counter()
    for gold, row in zip(confusion.labels, confusion.rows, strict=True):
        for predicted, count in zip(confusion.labels, row, strict=True):
            counts[place.get(gold, others), place.get(predicted, others)] += count
    names = [_NONE if label is None else label for label in kept]
    names += [f"{len(ranked) - len(kept)} others"] if len(kept) < len(ranked) else []
    rest = {others, place.get(None, others)}
    titles = [element("th", element("span", name), title=name, class_=_rest(i in rest)) for i, name in enumerate(names)]
    rows = [
        element(
            "tr",
            element("th", name, scope="row", title=name, class_=_rest(i in rest)),
            *_cells([counts[i, j] for j in range(len(names))], None if i == others else i),
        )
        for i, name in enumerate(names)
    ]
    head = element("thead", element("tr", element("th", "gold ↓ predicted →"), *titles))
    return element("div", element("table", head, element("tbody", *rows), class_="heat"), class_="wide")


def _cells(counts: Sequence[int], right: int | None) -> list[Html]:
    total = sum(counts)
    return [
        element(
            "td",
            count or "",
            class_="right" if i == right and count else None,
            style=f"--c:{count / total:.2g}" if count else None,
        )
        for i, count in enumerate(counts)
    ]


def _rest(is_rest: bool) -> str | None:
    return "rest" if is_rest else None


def reliability_diagram(bins: Sequence[Bin], number: int) -> Html:
    """Draw how often answers of about one probability are right, and how many there are.

    Args:
        bins: The bins that hold any answer.
        number: The place of the predictor, which gives its colour.
    """
    grid = [
        joined(
            _text(_across(at), _TOP + _SIZE + 12, f"{100 * at:.0f}", "middle"),
            _text(_LEFT - 5, _up(at) + 3, f"{100 * at:.0f}", "end"),
        )
        for at in (0, 0.5, 1)
    ]
    most = max((one.count for one in bins), default=1)
    path = " ".join(f"{_at(_across(one.confidence))},{_at(_up(one.accuracy))}" for one in bins)
    return element(
        "svg",
        element("rect", class_="frame", x=_LEFT, y=_TOP, width=_SIZE, height=_SIZE),
        element("path", class_="ideal", d=f"M{_LEFT} {_TOP + _SIZE}L{_LEFT + _SIZE} {_TOP}"),
        *grid,
        element("polyline", class_="line", points=path),
        *(_bin(one, one.count / most) for one in bins),
        class_=f"reliability p{number % 6}",
        viewBox=f"0 0 {_LEFT + _SIZE + 12} {_BOTTOM + 14}",
        role="img",
        aria_label="reliability diagram: probability across, share that is right up, counts below",
    )


def _bin(one: Bin, high: float) -> Html:
    """Draw one bin: its point, how far that is from the ideal, and a bar of its count."""
    said = f"{one.count} answers: probability {100 * one.confidence:.1f} %, right {100 * one.accuracy:.1f} %"
    at, left, right = _across(one.confidence), _across(one.low), _across(one.high)
    return joined(
        element("path", class_="gap", d=f"M{_at(at)} {_at(_up(one.confidence))}V{_at(_up(one.accuracy))}"),
        element("circle", element("title", said), class_="dot", cx=_at(at), cy=_at(_up(one.accuracy)), r="4"),
        element(
            "rect",
            element("title", said),
            class_="count",
            x=_at(left + 1),
            y=_at(_BOTTOM - _COUNTS * high),
            width=_at(right - left - 2),
            height=_at(_COUNTS * high),
        ),
        _text((left + right) / 2, _BOTTOM + 9, str(one.count), "middle"),
    )


def _across(share: float) -> float:
    return _LEFT + _SIZE * share


def _up(share: float) -> float:
    return _TOP + _SIZE * (1 - share)


def _text(x: float, y: float, words: str, anchor: str) -> Html:
    return element("text", words, x=_at(x), y=_at(y), text_anchor=anchor)


def _at(number: float) -> str:
    return f"{number:.4g}"
