"""An evaluation as one HTML page: tables, plots and mistakes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from seqgpt.evaluation.evaluation import Entry, Evaluation
from seqgpt.evaluation.families import by_family
from seqgpt.evaluation.pages.bars import Share, legend, scale, whiskers
from seqgpt.evaluation.pages.frame import number, page, row, table
from seqgpt.evaluation.pages.listing import key
from seqgpt.evaluation.pages.markup import Html, element, joined
from seqgpt.evaluation.pages.section import search_words, section
from seqgpt.evaluation.sets import HEADLINES
from seqgpt.evaluation.tables import LANGUAGES

_MOST_TEXTS = 50  # with mistakes, of a set and predictor
_MOST_TEXTS_OF_ALL = 5000  # a page of some megabytes
_FEW = 5  # sets that need no search


def to_html(evaluation: Evaluation) -> str:
    """Return an evaluation as one HTML page, which needs nothing beside it."""
    sets = list(evaluation.by_set().values())
    places = {name: i for i, name in enumerate(evaluation.predictors)}
    most = max(1, min(_MOST_TEXTS, _MOST_TEXTS_OF_ALL // max(len(evaluation.entries), 1)))
    search = element("input", type="search", id="search", placeholder="set, family, language", aria_label="search")
    return page(
        "Evaluation",
        _about(evaluation.about),
        element("h2", "Data sets"),
        element("p", "In percent, with 95 % intervals from a bootstrap over texts where there are any.", class_="note"),
        legend(places),
        element("div", search, class_="tools", hidden=True) if len(sets) > _FEW else "",
        _headlines(sets, places),
        _families(evaluation, places) if len(sets) > 1 else "",
        element("h2", "Each data set"),
        key(),
        *(section(i, entries, places, most) for i, entries in enumerate(sets)),
    )


def _about(about: Mapping[str, object]) -> Html:
    """Say what was evaluated, where and with what."""
    lines = {name: value for name, value in about.items() if not isinstance(value, Mapping)}
    predictors = about.get("predictors")
    for name, one in predictors.items() if isinstance(predictors, Mapping) else ():
        if isinstance(one, Mapping):
            lines[name] = ", ".join(f"{key} {value}" for key, value in one.items())
    shown = (joined(element("dt", name), element("dd", value)) for name, value in lines.items() if value != "")
    return element("dl", *shown, class_="about")


def _headlines(sets: Sequence[Mapping[str, Entry]], places: Mapping[str, int]) -> Html:
    """Show the one number of each predictor on each set."""
    rows = []
    for i, entries in enumerate(sets):
        of = next(iter(entries.values())).of
        metric = HEADLINES[of.kind]
        shares = {name: (one.report.headline, one.report.intervals.get(metric)) for name, one in entries.items()}
        title = element("a", of.name, href=f"#set{i}")
        rows.append(_row(title, len(of.examples), metric, shares, places, data_search=search_words(of)))
    return table(["data set", "n", "metric", scale(), *places], rows, name="headline", left=(0, 2), plot=3, sort=True)


def _families(evaluation: Evaluation, places: Mapping[str, int]) -> Html:
    rows = []
    for group in by_family(evaluation):
        means = {name: group.mean(name) for name in places}
        shares: dict[str, Share] = {name: (mean, None) for name, mean in means.items() if mean is not None}
        of = "all" if group.family is None else group.family or "–"
        title = joined(of, " ", element("small", LANGUAGES.get(group.language, group.language)))
        rows.append(_row(title, len(group.sets), group.metric, shares, places, class_="all" if of == "all" else None))
    return joined(
        element("h2", "By family and language"),
        element("p", "Means over data sets, each counting the same.", class_="note"),
        table(["family", "sets", "metric", scale(), *places], rows, name="headline", left=(0, 2), plot=3, sort=True),
    )


def _row(
    title: Html, n: int, metric: str, shares: Mapping[str, Share], places: Mapping[str, int], **attributes: object
) -> Html:
    best = max(value for value, _ in shares.values()) if len(places) > 1 and shares else None
    return row(
        title,
        element("td", n, class_="n"),
        element("td", metric, class_="left metric"),
        element("td", whiskers({places[name]: share for name, share in shares.items()}), class_="plot"),
        *(
            number(*shares[name], place=place, best=shares[name][0] == best)
            if name in shares
            else element("td", "–", class_="soft")
            for name, place in places.items()
        ),
        **attributes,
    )
