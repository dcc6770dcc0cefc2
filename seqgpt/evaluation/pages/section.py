"""One data set in the page of an evaluation: all measures, plots, and the mistakes of each predictor."""

from __future__ import annotations

from collections.abc import Mapping

from seqgpt.evaluation.evaluation import Entry
from seqgpt.evaluation.pages.bars import bars, legend, mark
from seqgpt.evaluation.pages.frame import number, row, table
from seqgpt.evaluation.pages.listing import listing
from seqgpt.evaluation.pages.markup import Html, element, joined
from seqgpt.evaluation.pages.plots import heat_map, reliability_diagram
from seqgpt.evaluation.report import Report
from seqgpt.evaluation.scoring import Score
from seqgpt.evaluation.sets import HEADLINES, EvalSet
from seqgpt.evaluation.tables import LANGUAGES

_MOST_LABELS = 30


def section(place: int, entries: Mapping[str, Entry], places: Mapping[str, int], most: int) -> Html:
    """Return the section of a data set; it is closed until a reader opens it.

    Args:
        place: Its place in the page.
        entries: The predictors on it.
        places: The place of each predictor, which gives its mark.
        most: Most texts with mistakes that are listed for each predictor.
    """
    of = next(iter(entries.values())).of
    about = " · ".join(filter(None, [of.family, language_of(of), f"{len(of.examples)} texts"]))
    own = {name: places[name] for name in entries}
    reports = {places[name]: entry.report for name, entry in entries.items()}
    heads = [element("span", mark(one), f" {100 * report.headline:.1f}") for one, report in reports.items()]
    return element(
        "details",
        element("summary", element("strong", of.name), element("span", about, class_="soft"), *heads),
        element(
            "div",
            legend(own) if len(own) > 1 else "",
            element("div", _metrics(entries), _lengths(reports, HEADLINES[of.kind]), class_="pair"),
            _labels(reports),
            _diagrams(entries, places),
            _confusions(entries),
            element("h3", "Mistakes"),
            *(listing(entry, most) for entry in entries.values()),
            id=f"set{place}",
        ),
        class_="set",
        data_search=search_words(of),
    )


def language_of(of: EvalSet) -> str:
    """Return the name of the language of a set."""
    return LANGUAGES.get(of.language, of.language)


def search_words(of: EvalSet) -> str:
    """Return what a set is found by."""
    return " ".join(filter(None, [of.name, of.family, of.language, language_of(of)]))


def _metrics(entries: Mapping[str, Entry]) -> Html:
    """Show all metrics, a column for each predictor."""
    reports = [entry.report for entry in entries.values()]
    names = dict.fromkeys(metric for report in reports for metric in report.shares)
    rows = [row(name, *(_share(report, name) for report in reports)) for name in names]
    if any(report.failed for report in reports):
        rows.append(row("texts that failed", *(report.failed for report in reports)))
    speeds = (f"{report.texts_per_second:.1f}" if report.seconds else "–" for report in reports)
    rows.append(row("texts per second", *speeds))
    return element("div", element("h3", "Metrics"), table(["", *entries], rows, name="narrow"))


def _share(report: Report, metric: str) -> Html:
    if metric not in report.shares:
        return element("td", "–", class_="soft")
    return number(report.shares[metric], report.intervals.get(metric))


def _lengths(reports: Mapping[int, Report], metric: str) -> Html:
    """Show the headline of shorter and of longer texts."""
    bins = [one.by_length for one in reports.values()]
    if not any(bins):
        return joined()
    rows = []
    for i, one in enumerate(bins[0]):
        shares = {place: report.by_length[i].headline for place, report in reports.items()}
        cells = (element("td", one.n), element("td", bars(shares), class_="plot"))
        rows.append(row(f"{one.shortest}–{one.longest}", *cells))
    heading = element("h3", f"{metric} by length of the text")
    return element("div", heading, table(["characters", "n", metric], rows, name="labels", plot=2), class_="grow")


def _labels(reports: Mapping[int, Report]) -> Html:
    """Show the F1 of labels, those with most gold answers first."""
    scores: dict[str, dict[int, Score]] = {}
    for place, report in reports.items():
        for label, score in report.per_label.items():
            scores.setdefault(label, {})[place] = score
    if not scores:
        return joined()
    support = {label: next(iter(some.values())).support for label, some in scores.items()}
    ranked = sorted(scores, key=lambda label: -support[label])
    rows = []
    for label in ranked[:_MOST_LABELS]:
        some = scores[label]
        titles = {
            place: f"precision {100 * one.precision:.1f}, recall {100 * one.recall:.1f}" for place, one in some.items()
        }
        plot = bars({place: one.f1 for place, one in some.items()}, titles)
        rows.append(row(label, element("td", support[label]), element("td", plot, class_="plot")))
    left_out = len(ranked) - len(rows)
    note = f"The {len(rows)} labels with most gold answers; {left_out} others are left out." if left_out else ""
    return joined(
        element("h3", "F1 by label"),
        element("p", note, class_="note") if note else "",
        table(["label", "gold", "F1"], rows, name="labels", plot=2),
    )


def _diagrams(entries: Mapping[str, Entry], places: Mapping[str, int]) -> Html:
    bins = {name: entry.report.reliability.bins for name, entry in entries.items()}
    made = {name: reliability_diagram(some, places[name]) for name, some in bins.items() if some}
    said = "How sure (across), and how often right (up), in percent; below, how many answers."
    return _figures("Calibration", said, made)


def _confusions(entries: Mapping[str, Entry]) -> Html:
    made = {name: heat_map(entry.report.confusion) for name, entry in entries.items() if entry.report.confusion}
    return _figures("Confusion", "Counts; the darker, the more of the row. Right answers are framed.", made)


def _figures(title: str, said: str, made: Mapping[str, Html]) -> Html:
    if not made:
        return joined()
    figures = (element("figure", element("figcaption", name), plot) for name, plot in made.items())
    return joined(
        element("h3", title), element("p", said, class_="note"), element("div", *figures, class_="pair figures")
    )
