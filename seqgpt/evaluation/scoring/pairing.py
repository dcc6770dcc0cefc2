"""Which predicted span, or string, stands for which gold one, where they are only partly the same."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seqgpt.results import Span


def pair_overlapping(gold: Sequence[Span], predicted: Sequence[Span]) -> list[tuple[Span, Span]]:
    """Pair gold with predicted spans that overlap, each at most once, as many as can be.

    Of all spans that are left, the one that ends first is paired with the one that ends first of those that it
    overlaps. No other way pairs more: all that overlap the first hold its last character, so where another pairing
    gives these two other partners, those overlap each other as well.
    """
    waiting = sorted(
        (span.end, span.start, side, i) for side, spans in enumerate((gold, predicted)) for i, span in enumerate(spans)
    )
    longest = max((end - start for end, start, _, _ in waiting), default=0)
    pairs: list[tuple[Span, Span]] = []
    taken: set[tuple[int, int]] = set()
    for at, (end, _, side, i) in enumerate(waiting):
        if (side, i) in taken:
            continue
        for until, start, other, j in (waiting[later] for later in range(at + 1, len(waiting))):
            if until - longest >= end:
                break  # neither this one nor those that end later begin before the end
            if other != side and start < end and (other, j) not in taken:
                taken.add((other, j))
                pairs.append((gold[i], predicted[j]) if side == 0 else (gold[j], predicted[i]))
                break
    return pairs


def best_assignment(credit: NDArray[np.float64]) -> float:
    """Return the highest sum of credits, at most one from each row and one from each column.

    Rows are assigned one after another, each along the cheapest path that moves the earlier ones: Kuhn 1955, "The
    Hungarian method for the assignment problem", in the form of Jonker and Volgenant 1987.

    Args:
        credit: Rows by columns, none negative.
    """
    cost = -(credit if credit.shape[0] <= credit.shape[1] else credit.T)
    rows, columns = cost.shape
    row_of = np.full(columns, -1)
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    for new in range(rows):
        before = np.full(columns, -1)  # on the cheapest path, the column before each one
        length = np.full(columns, np.inf)
        reached = np.zeros(columns, dtype=bool)
        row, column, so_far = new, -1, 0.0
        while row >= 0:
            ahead = so_far + cost[row] - row_price[row] - column_price
            shorter = ~reached & (ahead < length)
            length[shorter], before[shorter] = ahead[shorter], column
            column = int(np.argmin(np.where(reached, np.inf, length)))
            so_far, reached[column], row = float(length[column]), True, int(row_of[column])
        row_price[new] += so_far
        moved = reached & (row_of >= 0)
        row_price[row_of[moved]] += so_far - length[moved]
        column_price[reached] -= so_far - length[reached]
        while column >= 0:
            previous = int(before[column])
            row_of[column] = row_of[previous] if previous >= 0 else new
            column = previous
    assigned = row_of >= 0
    return float(-cost[row_of[assigned], np.flatnonzero(assigned)].sum())
