"""Numbers as marks and bars on one scale from 0 to 100 %, a lane for each predictor; drawn by the page's styles."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from seqgpt.evaluation.pages.markup import Html, element
from seqgpt.evaluation.scoring.bootstrap import Difference, Interval

_SHAPES = 6
_PALE = 5
Share = tuple[float, Interval | None]
"""A share from 0 to 1, and its interval if it has one."""


def mark(number: int) -> Html:
    """Return the mark of a predictor, by its place: colour and shape tell them apart, six of each."""
    return element("i", class_=f"mark {_of(number)}")


def whiskers(shares: Mapping[int, Share]) -> Html:
    """Draw the shares of predictors, by their places, each as a mark on its lane, with its interval as a line."""
    lanes = []
    for number, (value, interval) in shares.items():
        between = f";--l:{_number(interval.low)};--h:{_number(interval.high)}" if interval else ""
        lanes.append(element("i", class_=f"lane {_of(number)}", style=f"--v:{_number(value)}{between}"))
    return element("div", *lanes, class_="whiskers", aria_hidden="true")


def whisker_of(difference: Difference, widest: float, *, sure: bool) -> Html:
    """Draw how much better the second of two predictors is, with its interval; 0 is in the middle.

    Args:
        difference: The second's number less the first's.
        widest: Where the scale ends on both sides.
        sure: Whether it counts as one; it has the mark of the better predictor then, and a pale one otherwise.
    """
    at, low, high = (0.5 + one / widest / 2 for one in (difference.value, difference.low, difference.high))
    return whiskers({(int(difference.value > 0) if sure else _PALE): (at, Interval(at, low, high))})


def bars(shares: Mapping[int, float], titles: Mapping[int, str] = MappingProxyType({})) -> Html:
    """Draw the shares of predictors, by their places, each as a bar with its number in percent at the end."""
    lanes = [
        element(
            "i",
            element("b", f"{100 * share:.1f}"),
            class_=f"bar {_of(number)}",
            style=f"--v:{_number(share)}",
            title=titles.get(number),
        )
        for number, share in shares.items()
    ]
    return element("div", *lanes, class_="bars")


def legend(places: Mapping[str, int]) -> Html:
    """Name predictors beside their marks."""
    return element("p", *(element("span", mark(i), " ", name) for name, i in places.items()), class_="legend")


def scale() -> Html:
    """Write the numbers of the scale above the marks."""
    return element("div", *(element("i", at) for at in (0, 25, 50, 75, 100)), class_="scale", aria_hidden="true")


def _of(number: int) -> str:
    return f"p{number % _SHAPES}"


def _number(share: float) -> str:
    return f"{100 * share:.4g}"
