"""The frame of all reports for browsers: one file, which needs nothing beside it."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from pathlib import Path

from seqgpt.evaluation.pages.bars import mark
from seqgpt.evaluation.pages.markup import Html, element, joined
from seqgpt.evaluation.scoring.bootstrap import Interval

_FOLDER = Path(__file__).resolve().parent


def page(title: str, *content: object) -> str:
    """Return a whole page, light or dark as the reader's system is.

    All can be read without its script, which filters and sorts. Nothing else may run or be loaded, whatever the
    content is.
    """
    styles, script = ((_FOLDER / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element(
            "meta",
            http_equiv="Content-Security-Policy",
            content=f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'",
        ),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("style", Html(styles)),
    )
    body = element("body", element("h1", title), *content, element("script", Html(script)))
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en')}\n"


def table(
    head: Sequence[object],
    rows: Sequence[Html],
    *,
    name: str = "",
    left: Sequence[int] = (0,),
    plot: int | None = None,
    sort: bool = False,
) -> Html:
    """Lay rows out as a table that scrolls where it is too wide.

    Args:
        head: The titles of the columns.
        rows: Elements ``tr``.
        name: Its styles.
        left: Columns aligned left.
        plot: A column of plots.
        sort: A click on a title sorts.
    """
    titles = [
        element(
            "th",
            one,
            scope="col",
            class_="left" if i in left else "plot" if i == plot else None,
            data_sort=("words" if i in left else "number") if sort and i != plot else None,
        )
        for i, one in enumerate(head)
    ]
    content = (element("thead", element("tr", *titles)), element("tbody", *rows))
    return element("div", element("table", *content, class_=name or None), class_="wide")


def row(title: object, *cells: object, **attributes: object) -> Html:
    """Return a row of a table; cells that are no ``td`` yet become one."""
    made = [cell if isinstance(cell, Html) and cell.startswith("<td") else element("td", cell) for cell in cells]
    return element("tr", element("th", title, scope="row"), *made, **attributes)


def number(share: float, interval: Interval | None, *, place: int | None = None, best: bool = False) -> Html:
    """Return a cell with a share in percent, its interval below, and the mark of the predictor at a place before it."""
    between = element("small", f"{100 * interval.low:.1f}–{100 * interval.high:.1f}") if interval else ""
    before = joined(mark(place), " ") if place is not None else ""
    return element("td", before, f"{100 * share:.1f}", between, class_="best" if best else None)
