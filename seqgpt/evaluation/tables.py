"""An evaluation as Markdown: what a person reads first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from seqgpt.evaluation.evaluation import Entry, Evaluation
from seqgpt.evaluation.families import by_family
from seqgpt.evaluation.scoring.bootstrap import Interval
from seqgpt.evaluation.sets import HEADLINES

LANGUAGES = {"en": "English", "zh": "Chinese"}


def headline_table(evaluation: Evaluation) -> str:
    """Return the one number of each predictor on each set, in percent, with its interval, as a Markdown table."""
    names = evaluation.predictors
    head = ["data set", "n", "metric", *map(_cell, names), *(["seconds"] if len(names) == 1 else [])]
    rows = []
    for name, entries in evaluation.by_set().items():
        some = next(iter(entries.values()))
        headlines = [entry.report.headline for entry in entries.values()]
        best = max(headlines) if headlines.count(max(headlines)) == 1 else None
        cells = [_shown(entries.get(one), best if len(names) > 1 else None) for one in names]
        seconds = [f"{some.report.seconds:.1f}"] if len(names) == 1 else []
        rows.append([_cell(name), str(len(some.of.examples)), HEADLINES[some.of.kind], *cells, *seconds])
    return to_table(head, rows, left=(0, 2))


def family_table(evaluation: Evaluation) -> str:
    """Return the mean of the headlines of each family and language, and of all, in percent, as a Markdown table."""
    names = evaluation.predictors
    rows = []
    for group in by_family(evaluation):
        language = LANGUAGES.get(group.language, group.language or "–")
        about = ["all" if group.family is None else group.family or "–", language, group.metric, str(len(group.sets))]
        means = [(group.mean(name), group.interval(name)) for name in names]
        rows.append([*map(_cell, about), *("–" if mean is None else percent(mean, of) for mean, of in means)])
    return to_table(["family", "language", "metric", "sets", *map(_cell, names)], rows, left=(0, 1, 2))


def metric_tables(evaluation: Evaluation) -> Iterator[str]:
    """Yield for each set all its metrics, in percent, a column for each predictor, under a heading."""
    for name, entries in evaluation.by_set().items():
        some = next(iter(entries.values()))
        metrics = list(dict.fromkeys(metric for entry in entries.values() for metric in entry.report.shares))
        rows = [[metric, *(_metric(entry, metric) for entry in entries.values())] for metric in metrics]
        rows += [["texts per second", *(f"{entry.report.texts_per_second:.1f}" for entry in entries.values())]]
        rows += [["failed", *(str(entry.report.failed) for entry in entries.values())]]
        about = ", ".join(filter(None, [some.of.family, LANGUAGES.get(some.of.language, some.of.language)]))
        heading = f"### {name}" + (f" ({about})" if about else "")
        table = to_table([f"{len(some.of.examples)} texts", *map(_cell, entries)], rows)
        yield f"{heading}\n\n{table}"


def label_tables(evaluation: Evaluation) -> Iterator[str]:
    """Yield for each predictor on each set the F1 of its labels by each metric, in percent, most gold answers first."""
    for name, entries in evaluation.by_set().items():
        for predictor, entry in entries.items():
            first, by_metric = entry.report.per_label, entry.report.per_label_by
            ranked = sorted(first, key=lambda label: -first[label].support)
            rows = [
                [_cell(label), str(first[label].support), *(percent(some[label].f1) for some in by_metric.values())]
                for label in ranked
            ]
            if rows:
                yield f"### {name}, {predictor}\n\n{to_table(['label', 'gold', *by_metric], rows)}"


def to_markdown(evaluation: Evaluation) -> str:
    """Return the whole evaluation as Markdown."""
    parts = [
        "# Evaluation",
        *_about(evaluation.about),
        "In percent; in brackets 95 % intervals (bootstrap over texts).",
        headline_table(evaluation),
        "## By family and language",
        "Means over data sets, each counting the same.",
        family_table(evaluation),
        "## By data set",
        *metric_tables(evaluation),
    ]
    by_label = [*label_tables(evaluation)]
    if by_label:
        parts += ["## By label", "F1 in percent; labels that are neither gold nor predicted are left out.", *by_label]
    return "\n\n".join(parts) + "\n"


def to_table(head: Sequence[str], rows: Sequence[Sequence[str]], *, left: Sequence[int] = (0,)) -> str:
    """Lay rows out as a Markdown table; columns are aligned right but for those that are named."""
    rule = ["---" if i in left else "---:" for i in range(len(head))]
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, rule, *rows))


def percent(value: float, interval: Interval | None = None) -> str:
    """Return a share in percent, with its interval if it has one.

    >>> percent(0.5852), percent(0.5852, Interval(0.5852, 0.531, 0.632))
    ('58.5', '58.5 (53.1–63.2)')
    """
    between = f" ({100 * interval.low:.1f}–{100 * interval.high:.1f})" if interval else ""
    return f"{100 * value:.1f}{between}"


def _shown(entry: Entry | None, best: float | None) -> str:
    if entry is None:
        return "–"
    report = entry.report
    said = percent(report.headline, report.intervals.get(HEADLINES[entry.of.kind]))
    return f"**{said}**" if report.headline == best else said


def _metric(entry: Entry, metric: str) -> str:
    report = entry.report
    return percent(report.shares[metric], report.intervals.get(metric)) if metric in report.shares else "–"


def _about(about: Mapping[str, object]) -> Iterator[str]:
    lines = [f"- {key}: {value}" for key, value in about.items() if not isinstance(value, Mapping)]
    predictors = about.get("predictors")
    for name, one in predictors.items() if isinstance(predictors, Mapping) else ():
        lines.append(f"- {name}: {', '.join(f'{key} {value}' for key, value in one.items())}")
    if lines:
        yield "\n".join(lines)


def _cell(words: str) -> str:
    return words.replace("|", "\\|").replace("\n", " ")
