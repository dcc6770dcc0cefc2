"""The curves of a run as one picture: loss, loss of each source, what evaluations found, learning rate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqgpt.training.evaluate_sets import headline_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CURVES_FILE = "curves.png"

Points = tuple[list[float], list[float]]
"""Steps, and what was logged at each."""

_MOST_SOURCES = 12  # small pictures; more would be too small to read
_MOST_METRICS = 8  # lines in one picture
_COLUMNS = 4
_WIDTH = 12 // _COLUMNS
_SCORE = "eval_score"
_CHINESE_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "PingFang SC", "Hiragino Sans GB", "Microsoft YaHei"),
    *("SimHei", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Noto Sans CJK JP", "Droid Sans Fallback"),
)
_INK, _PALE = "#30343b", "#c4c8ce"
_COLOURS = ("#2f6fb0", "#d1702a", "#3a8f5c", "#b5445a", "#7c5bb0", "#8a6d3b", "#3aa0a8", "#9a9a2a")


def draw_curves(history: Sequence[Mapping[str, Any]], path: Path, *, title: str = "") -> None:
    """Draw the curves of a run.

    Args:
        history: The ``log_history`` of the state of a Trainer; what was logged before a run was interrupted is in it.
        path: The PNG file to write. Nothing is written if no loss was logged.
        title: What stands above.
    """
    loss = _series(history, "loss")
    if not loss[0]:
        return
    import matplotlib as mpl

    with mpl.rc_context({"font.family": _fonts(), "text.parse_math": False, "text.usetex": False}):
        _draw(history, loss, title).savefig(path, dpi=110, format="png")


def _draw(history: Sequence[Mapping[str, Any]], loss: Points, title: str) -> Figure:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    all_sources, metrics = _of_sources(history), _of_evaluations(history)
    sources = dict(list(all_sources.items())[:_MOST_SOURCES]) if len(all_sources) > 1 else {}  # one is all
    rows = -(-len(sources) // _COLUMNS)
    figure = Figure(figsize=(12, 4.2 + 1.9 * rows), layout="constrained")
    FigureCanvasAgg(figure)  # draws without a screen
    grid = figure.add_gridspec(1 + rows, 12, height_ratios=[2.0] + [1.0] * rows)
    _draw_loss(figure.add_subplot(grid[0, :5] if metrics else grid[0, :7]), loss)
    if metrics:
        _draw_metrics(figure.add_subplot(grid[0, 5:9]), metrics)
    rate = figure.add_subplot(grid[0, 9:] if metrics else grid[0, 7:])
    _draw_learning_rate(rate, _series(history, "learning_rate"))
    places = [grid[1 + i // _COLUMNS, i % _COLUMNS * _WIDTH : (i % _COLUMNS + 1) * _WIDTH] for i in range(len(sources))]
    _draw_sources(figure, places, sources, loss)
    for axes in figure.axes:
        axes.set_xlim(0, loss[0][-1] * 1.02)
    if title:
        figure.suptitle(_plain(title), x=0.01, ha="left", fontsize=13, fontweight="bold", color=_INK)
    if 0 < len(sources) < len(all_sources):
        said = f"{len(sources)} of {len(all_sources)} sources: those seen most often, and of these those with most loss"
        figure.supxlabel(said, fontsize=8, color=_INK)
    return figure


def _series(history: Sequence[Mapping[str, Any]], key: str) -> Points:
    found = [(float(entry["step"]), float(entry[key])) for entry in history if key in entry]
    return [step for step, _ in found], [value for _, value in found]


def _of_sources(history: Sequence[Mapping[str, Any]]) -> dict[str, Points]:
    """Return the losses of sources: first those that were logged most often, of these first those with most loss."""
    names = dict.fromkeys(key for entry in history for key in entry if key.startswith("loss/"))
    found = {name.removeprefix("loss/"): _series(history, name) for name in names}
    return dict(sorted(found.items(), key=lambda one: (-len(one[1][0]), -_smooth(one[1][1])[-1], one[0])))


def _of_evaluations(history: Sequence[Mapping[str, Any]]) -> dict[str, Points]:
    """Return the headline metrics of evaluations, the mean of all first."""
    names = dict.fromkeys(key for entry in history for key in entry if key.startswith("eval_"))
    families = [name for name in names if name.startswith("eval_family_")]
    sets = [name for name in names if headline_of(name) and name not in families]
    some = families if len(sets) > _MOST_METRICS - 1 and families else sets
    chosen = [name for name in (_SCORE, *some) if name in names][:_MOST_METRICS]
    return {name.removeprefix("eval_").removeprefix("family_"): _series(history, name) for name in chosen}


def _draw_loss(axes: Axes, loss: Points) -> None:
    _style(axes, "loss of an answer")
    steps, values = loss
    axes.plot(steps, values, color=_PALE, linewidth=1.0)
    axes.plot(steps, _smooth(values), color=_COLOURS[0], linewidth=2.0, marker=_marker(loss))
    _write_last(axes, _smooth(values)[-1], 11)
    axes.set_ylim(bottom=0)


def _draw_metrics(axes: Axes, metrics: Mapping[str, Points]) -> None:
    _style(axes, "evaluation")
    for (name, (steps, values)), colour in zip(metrics.items(), _COLOURS, strict=False):
        score = name == "score"
        axes.plot(
            steps,
            values,
            marker="o",
            markersize=3.5,
            color=_INK if score else colour,
            linewidth=2.2 if score else 1.4,
            label=f"{_plain(_short(name, 24))}  {values[-1]:.3f}",
        )
    axes.set_ylim(-0.02, 1.02)
    axes.legend(fontsize=7.5, frameon=True, framealpha=0.8, edgecolor="none", loc="best")


def _draw_learning_rate(axes: Axes, rate: Points) -> None:
    _style(axes, "learning rate")
    axes.plot(*rate, color=_COLOURS[1], linewidth=1.8, marker=_marker(rate))
    axes.set_ylim(bottom=0)
    axes.yaxis.set_major_formatter("{x:g}")


def _draw_sources(figure: Figure, places: Sequence[Any], sources: Mapping[str, Points], all_: Points) -> None:
    """Draw a small picture for each source, with the loss of all behind it."""
    highest = max((max(_smooth(values)) for _, values in sources.values()), default=0.0)
    for place, (name, (steps, values)) in zip(places, sources.items(), strict=True):
        axes = figure.add_subplot(place)
        _style(axes, _plain(_short(name, 30)), small=True)
        axes.plot(all_[0], _smooth(all_[1]), color=_PALE, linewidth=1.2)
        smooth = _smooth(values)
        axes.plot(steps, smooth, color=_COLOURS[0], linewidth=1.6, marker=_marker((steps, values)))
        axes.set_ylim(0, highest * 1.05 or 1)
        _write_last(axes, smooth[-1], 8)


def _write_last(axes: Axes, value: float, size: float) -> None:
    place = axes.transAxes
    axes.text(0.98, 0.95, f"{value:.3g}", transform=place, ha="right", va="top", fontsize=size, color=_COLOURS[0])


def _marker(points: Points) -> str:
    return "o" if len(points[0]) == 1 else ""


def _style(axes: Axes, title: str, *, small: bool = False) -> None:
    axes.set_title(title, loc="left", fontsize=8.5 if small else 10.5, color=_INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(_PALE)
    axes.tick_params(colors=_INK, labelsize=7 if small else 8, length=2, color=_PALE)
    axes.grid(axis="y", color="#eceef1", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.margins(x=0.02)
    axes.locator_params(axis="x", nbins=4 if small else 5, integer=True)
    if not small:
        axes.set_xlabel("step", fontsize=8, color=_INK)


def _smooth(values: Sequence[float]) -> list[float]:
    """Return running means over about a fiftieth of a curve, which follow it and do not jump."""
    keep = 1 - 1 / max(len(values) / 50, 1)
    smooth, weight, total = [], 0.0, 0.0
    for value in values:
        total, weight = keep * total + value, keep * weight + 1
        smooth.append(total / weight)
    return smooth


def _short(name: str, most: int) -> str:
    return name if len(name) <= most else f"…{name[1 - most :]}"


def _fonts() -> list[str]:
    """Return the font of all pictures and, where there is one, one that has Chinese characters."""
    from matplotlib.font_manager import fontManager

    there = {font.name for font in fontManager.ttflist}
    return ["DejaVu Sans", *[name for name in _CHINESE_FONTS if name in there][:1]]


def _plain(name: str) -> str:
    """Return a name in characters that the fonts have, others as their code points."""
    from matplotlib.font_manager import FontProperties, findfont, get_font

    known = {code for font in _fonts() for code in get_font(findfont(FontProperties(family=font))).get_charmap()}
    return "".join(c if ord(c) in known else f"U+{ord(c):04X} " for c in name).strip()
