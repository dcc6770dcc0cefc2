"""A comparison of two predictors as one HTML page: differences with their intervals, and the texts that differ."""

from __future__ import annotations

from collections.abc import Iterator

from seqgpt.evaluation.pages.bars import legend, whisker_of
from seqgpt.evaluation.pages.frame import number, page, row, table
from seqgpt.evaluation.pages.listing import key, texts
from seqgpt.evaluation.pages.markup import Html, element, joined
from seqgpt.evaluation.pages.section import search_words
from seqgpt.evaluation.significance import SURE, Comparison, Contest, verdict

_MOST_TEXTS = 20  # of each set, on each side
_MOST_TEXTS_OF_ALL = 5000  # a page of some megabytes


def comparison_to_html(comparison: Comparison) -> str:
    """Return a comparison as one HTML page, which needs nothing beside it."""
    one, other = comparison.names
    widest = max((abs(end) for each in comparison.contests for end in _ends(each)), default=0.0) or 1.0
    most = max(1, min(_MOST_TEXTS, _MOST_TEXTS_OF_ALL // max(2 * len(comparison.contests), 1)))
    rows = [_row(i, contest, comparison.names, widest) for i, contest in enumerate(comparison.contests)]
    head = ["data set", "n", "metric", _scale(widest), one, other, "difference", "p", f"only {one}", f"only {other}"]
    left_out = f"Left out: {', '.join(comparison.left_out)}." if comparison.left_out else ""
    return page(
        f"{other} against {one}",
        element("p", verdict(comparison)),
        element("p", left_out, class_="note") if left_out else "",
        element(
            "p",
            f"In percent. A difference is {other} less {one}, with its 95 % interval; it is bold where p < {SURE}. "
            "The last columns count texts that only one of them answers rightly as a whole.",
            class_="note",
        ),
        legend({one: 0, other: 1}),
        table(head, rows, name="headline", left=(0, 2), plot=3, sort=True),
        element("h2", "Texts that differ"),
        key(),
        *(_section(i, contest, comparison.names, most) for i, contest in enumerate(comparison.contests)),
    )


def _row(place: int, contest: Contest, names: tuple[str, str], widest: float) -> Html:
    found, of = contest.difference, contest.first.of
    sure = found.p < SURE
    low, high = (f"{100 * end:+.1f}" for end in (found.low, found.high))
    return row(
        element("a", of.name, href=f"#set{place}"),
        element("td", len(of.examples), class_="n"),
        element("td", contest.metric, class_="left metric"),
        element("td", whisker_of(found, widest, sure=sure), class_="plot"),
        number(contest.first.report.headline, None, place=0),
        number(contest.second.report.headline, None, place=1),
        element(
            "td", f"{100 * found.value:+.1f}", element("small", f"{low} to {high}"), class_="best" if sure else None
        ),
        element("td", f"{found.p:.3f}", data_name="p"),
        element("td", len(contest.only_first), data_name=f"only {names[0]}"),
        element("td", len(contest.only_second), data_name=f"only {names[1]}"),
        data_search=search_words(of),
    )


def _section(place: int, contest: Contest, names: tuple[str, str], most: int) -> Html:
    one, other = names
    of = contest.first.of
    sides = ((one, other, contest.second, contest.only_first), (other, one, contest.first, contest.only_second))
    lists = (
        texts(
            joined("Only ", element("b", right), f" is right on {len(wrong)} texts; here is what {lost} said"),
            entry,
            wrong,
            most,
        )
        for right, lost, entry, wrong in sides
        if wrong
    )
    counts = f"{len(contest.only_first)} only {one}, {len(contest.only_second)} only {other}"
    return element(
        "details",
        element("summary", element("strong", of.name), element("span", counts, class_="soft")),
        element("div", *lists, id=f"set{place}"),
        class_="set",
        data_search=search_words(of),
    )


def _scale(widest: float) -> Html:
    ends = (f"{100 * share:+.0f}" if share else "0" for share in (-widest, 0.0, widest))
    return element("div", *(element("i", end) for end in ends), class_="scale", aria_hidden="true")


def _ends(contest: Contest) -> Iterator[float]:
    yield from (contest.difference.value, contest.difference.low, contest.difference.high)
