"""What a study found, as a table, a picture and numbers.

The number of a group of data sets is the mean of their headlines. Its interval says how much it would vary with other
texts: the texts of each set are drawn anew with replacement, a thousand times, the same ones for all variants. So two
variants are compared on the same texts. It does not say how much it would vary with other seeds.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from study_config import Study, Variant

from seqgpt.evaluation.evaluation import Entry, Evaluation
from seqgpt.evaluation.scoring.bootstrap import DRAWS, Interval
from seqgpt.evaluation.scoring.measures import measure
from seqgpt.evaluation.sets import HEADLINES
from seqgpt.evaluation.tables import percent, to_table
from seqgpt.training.curves import _COLOURS, _INK, _PALE, _fonts, _plain
from seqgpt.version import __version__
from seqgpt.whole_file import write_file

Floats = NDArray[np.float64]


class Outcome(NamedTuple):
    """What one variant with one seed answered, by the group of data sets."""

    variant: Variant
    seed: int
    parameters: int
    evaluations: Mapping[str, Evaluation]


@dataclass(frozen=True, eq=False)
class Number:
    """A share from 0 to 1.

    Attributes:
        value: The share.
        draws: (DRAWS,) What it would be on other texts.
        seeds: What it is with each seed, if there are several.
    """

    value: float
    draws: Floats
    seeds: Sequence[float] = field(default_factory=list)

    @property
    def interval(self) -> Interval:
        """The 95 % interval over texts."""
        low, high = np.quantile(self.draws, (0.025, 0.975))
        return Interval(self.value, float(low), float(high))

    def less(self, other: Number) -> Number:
        """Return how much more this is than another, on the same texts."""
        return Number(self.value - other.value, self.draws - other.draws)

    def to_dict(self) -> dict[str, Any]:
        """Return the number as plain JSON values."""
        return self.interval.to_dict() | {"seeds": list(self.seeds)}


def mean(numbers: Sequence[Number]) -> Number:
    """Return the mean of numbers on texts that are drawn independently, or are the same."""
    return Number(sum(one.value for one in numbers) / len(numbers), np.mean([one.draws for one in numbers], axis=0))


def headline(entry: Entry) -> Number:
    """Return the headline of a predictor on a set, with what it would be on other texts."""
    sides = [example.gold for example in entry.of.examples], [one.result for one in entry.predictions]
    counts = measure(entry.of.kind, *sides).counts[HEADLINES[entry.of.kind]]
    generator = np.random.default_rng([counts.n, *entry.of.name.encode()])  # of another set, other texts
    times = generator.multinomial(counts.n, np.full(counts.n, 1 / counts.n), size=DRAWS)
    return Number(counts.value, np.array([counts.weighted(weights.astype(np.float64)) for weights in times]))


@dataclass(frozen=True)
class Found:
    """A variant, all seeds together.

    Attributes:
        variant: The variant.
        parameters: Of its model.
        groups: The number of each group of data sets.
        sets: The number of each data set, by group and name.
    """

    variant: Variant
    parameters: int
    groups: Mapping[str, Number]
    sets: Mapping[tuple[str, str], Number]


def gather(outcomes: Sequence[Outcome]) -> list[Found]:
    """Put the seeds of each variant together."""
    by_variant: dict[str, list[Outcome]] = {}
    for one in outcomes:
        by_variant.setdefault(one.variant.name, []).append(one)
    found = []
    for several in by_variant.values():
        each = [_sets(one) for one in several]
        sets = {key: _over_seeds([one[key] for one in each]) for key in each[0]}
        groups = {
            group: _over_seeds([mean([one[key] for key in one if key[0] == group]) for one in each])
            for group in several[0].evaluations
        }
        found.append(Found(several[0].variant, several[0].parameters, groups, sets))
    return found


def _sets(outcome: Outcome) -> dict[tuple[str, str], Number]:
    return {
        (group, entry.of.name): headline(entry)
        for group, evaluation in outcome.evaluations.items()
        for entry in evaluation.entries
    }


def _over_seeds(numbers: Sequence[Number]) -> Number:
    together = mean(numbers)
    return Number(together.value, together.draws, [one.value for one in numbers] if len(numbers) > 1 else [])


def write_reports(study: Study, outcomes: Sequence[Outcome], directory: Path) -> None:
    """Write ``study.md``, ``study.json`` and ``study.png``."""
    found = gather(outcomes)
    machine = f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores"
    record = {
        "study": study.name,
        "large": study.large,
        "seeds": list(study.seeds),
        "seqgpt": __version__,
        "machine": machine,
        "variants": [
            {
                "name": one.variant.name,
                "x": one.variant.x,
                "form": one.variant.form,
                "parameters": one.parameters,
                "groups": {
                    group: number.to_dict()
                    | {"sets": {key[1]: each.to_dict() for key, each in one.sets.items() if key[0] == group}}
                    for group, number in one.groups.items()
                },
            }
            for one in found
        ],
    }
    write_file(directory / "study.json", json.dumps(record, ensure_ascii=False, indent=2) + "\n")
    draw(study, found, directory / "study.png")
    write_file(directory / "study.md", to_markdown(study, outcomes, found, f"seqgpt {__version__}, {machine}"))


def to_markdown(study: Study, outcomes: Sequence[Outcome], found: Sequence[Found], made: str) -> str:
    """Return the tables of a study."""
    groups = list(found[0].groups)
    spread = "; means over seeds, the least and the most in square brackets" if len(study.seeds) > 1 else ""
    rows = [
        [_cell(one.variant.name), f"{one.parameters / 1e6:.1f} M", *(_shown(one.groups[group]) for group in groups)]
        for one in found
    ]
    first, *others = found
    against = [
        [_cell(one.variant.name), *(_signed(one.groups[group].less(first.groups[group])) for group in groups)]
        for one in others
    ]
    head = [f"{_cell(group)} ({_metrics(outcomes[0].evaluations[group])})" for group in groups]
    compared = [f"Differences from “{first.variant.name}”, on the same texts:", to_table(["", *head], against)]
    names = list(first.sets)
    kinds = {(g, e.of.name): e.of for g, evaluation in outcomes[0].evaluations.items() for e in evaluation.entries}
    by_set = [
        [
            _cell(group),
            _cell(name),
            str(len(kinds[group, name].examples)),
            HEADLINES[kinds[group, name].kind],
            *(_shown(one.sets[group, name]) for one in found),
        ]
        for group, name in names
    ]
    setting = "Large" if study.large else "Default"
    parts = [
        f"# {study.title}",
        study.question,
        f"{setting} setting, seeds {', '.join(map(str, study.seeds))}; {made}. In percent; in brackets 95 % intervals "
        f"(bootstrap over texts){spread}. A group's number is the mean of its sets.",
        to_table(["", "parameters", *head], rows),
        *(compared if study.plot.kind != "heatmap" else []),  # of which no row is the one to start from
        "By data set:",
        to_table(
            ["group", "data set", "n", "metric", *(_cell(one.variant.name) for one in found)], by_set, left=(0, 1, 3)
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _metrics(evaluation: Evaluation) -> str:
    kinds = dict.fromkeys(HEADLINES[entry.of.kind] for entry in evaluation.entries)
    return ", ".join(kinds)


def _shown(number: Number) -> str:
    seeds = f" [{percent(min(number.seeds))}–{percent(max(number.seeds))}]" if number.seeds else ""
    return percent(number.value, number.interval) + seeds


def _signed(number: Number) -> str:
    value, low, high = (f"{100 * one:+.1f}" for one in (number.value, number.interval.low, number.interval.high))
    return f"{value} ({low} to {high})".replace("-", "−")


def _cell(words: str) -> str:
    return words.replace("|", "\\|")


def draw(study: Study, found: Sequence[Found], path: Path) -> None:
    """Draw a study as a PNG."""
    with rc_context({"font.family": _fonts(), "text.parse_math": False, "text.usetex": False, "font.size": 9}):
        width = 7.5 if study.plot.kind != "heatmap" else 2.5 + 1.1 * len(found[0].groups)
        height = 4.0 if study.plot.kind != "heatmap" else 1.6 + 0.6 * len(found)
        figure = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(figure)  # draws without a screen
        axes = figure.add_subplot()
        {"line": _lines, "bars": _bars, "heatmap": _heatmap}[study.plot.kind](axes, study, found)
        axes.set_title(_plain(study.title), loc="left", fontsize=11, fontweight="bold", color=_INK)
        axes.tick_params(colors=_INK, labelsize=8, length=2, color=_PALE)
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(_PALE)
        figure.savefig(path, dpi=110, format="png")


def _lines(axes: Axes, study: Study, found: Sequence[Found]) -> None:
    ordered = sorted(found, key=lambda one: one.variant.x or 0)
    x = [one.variant.x or 0 for one in ordered]
    for group, colour in zip(found[0].groups, _colours(len(found[0].groups)), strict=True):
        numbers = [one.groups[group] for one in ordered]
        intervals = [one.interval for one in numbers]
        low, high = [100 * one.low for one in intervals], [100 * one.high for one in intervals]
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        values = [100 * one.value for one in numbers]
        axes.plot(x, values, color=colour, linewidth=1.8, marker="o", markersize=4, label=_plain(group))
    if study.plot.log:
        axes.set_xscale("log")
    axes.set_xticks(x, [f"{one:g}" for one in x])
    axes.minorticks_off()
    axes.set_xlabel(_plain(study.plot.x), color=_INK)
    _finish(axes)


def _bars(axes: Axes, study: Study, found: Sequence[Found]) -> None:
    groups = list(found[0].groups)
    width = 0.8 / len(found)
    for i, (one, colour) in enumerate(zip(found, _colours(len(found)), strict=True)):
        places = [place - 0.4 + width * (i + 0.5) for place in range(len(groups))]
        intervals = [one.groups[group].interval for group in groups]
        values = [100 * one.value for one in intervals]
        errors = [[100 * (i.value - i.low) for i in intervals], [100 * (i.high - i.value) for i in intervals]]
        axes.bar(places, values, width * 0.92, color=colour, label=_plain(one.variant.name))
        axes.errorbar(
            places, values, yerr=np.array(errors).clip(min=0), fmt="none", ecolor=_INK, elinewidth=1, capsize=2
        )
    axes.set_xticks(range(len(groups)), [_plain(group) for group in groups])
    axes.set_xlabel(_plain(study.plot.x), color=_INK)
    _finish(axes)


def _heatmap(axes: Axes, study: Study, found: Sequence[Found]) -> None:
    groups = list(found[0].groups)
    values = np.array([[100 * one.groups[group].value for group in groups] for one in found])
    # A column's sets are easier or harder than another's: a colour says how good a row is within its column.
    span = np.ptp(values, axis=0)
    shades = (values - values.min(axis=0)) / np.where(span > 0, span, 1)
    axes.imshow(shades, cmap="Blues", vmin=0, vmax=2, aspect="auto")
    for row, column in np.ndindex(*values.shape):
        axes.text(column, row, f"{values[row, column]:.1f}", ha="center", va="center", fontsize=9, color=_INK)
    axes.set_xticks(range(len(groups)), [_plain(group) for group in groups])
    axes.set_yticks(range(len(found)), [_plain(one.variant.name) for one in found])
    axes.set_ylabel("trained on", color=_INK)
    axes.set_xlabel(_plain(study.plot.x or "tested on; colours within a column"), color=_INK)


def _finish(axes: Axes) -> None:
    axes.set_ylabel("%", color=_INK)
    axes.set_ylim(bottom=0)
    axes.grid(axis="y", color="#eceef1", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(fontsize=8, frameon=True, framealpha=0.8, edgecolor="none", loc="best")


def _colours(number: int) -> list[str]:
    return [_COLOURS[i % len(_COLOURS)] for i in range(number)]
