"""What a synthesis has come to: totals as in the paper, labels and their frequencies, rejections, tokens and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from seqgpt.synth.asking import cost_of
from seqgpt.synth.cleaning import REASONS
from seqgpt.synth.config import SynthConfig
from seqgpt.synth.label_space import LabelSpace
from seqgpt.synth.prices import Price
from seqgpt.synth.raw_texts import RawTexts
from seqgpt.synth.records import Records, Totals

if TYPE_CHECKING:
    from seqgpt.synth.recipes_out import Outcome

TASK_NAMES = {"classify": "classification", "typing": "entity typing", "ner": "NER"}
_LANGUAGE_NAMES = {"en": "En", "zh": "Zh"}
_ORDER = [(language, task) for language in _LANGUAGE_NAMES for task in TASK_NAMES]
_MOST_FREQUENT = 8
_COLOURS = ("#2f6fb0", "#d1702a", "#3a8f5c", "#b5445a", "#7c5bb0", "#8a6d3b")


def to_markdown(config: SynthConfig, texts: RawTexts, written: Outcome, records: Records, price: Price | None) -> str:
    """Return the report."""
    parts = [
        f"# {config.name}: labels by {config.teacher.model}, prompts {config.prompts}",
        totals_table(written.examples, written.space),
        _frequencies(written.space),
        _requests(records, price),
        rejections_table(written.rejected, written.repaired),
        _texts(texts, written.texts),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def totals_table(examples: Mapping[tuple[str, str], int], space: LabelSpace) -> str:
    """Return instances and labels by language and task, in the shape of the paper's table of stage 1."""
    groups = [group for group in _ORDER if examples.get(group)]
    labels = {group: len(_held(space, *group)) for group in groups}
    rows = [[_LANGUAGE_NAMES[group[0]], TASK_NAMES[group[1]], examples[group], labels[group]] for group in groups]
    total = ["all", "", sum(examples[group] for group in groups), sum(labels.values())]
    return _table(["language", "task", "instances", "labels"], [*rows, total])


def rejections_table(rejected: Counter[str], repaired: Counter[str]) -> str:
    """Return what was rejected, and what was put right."""
    if not rejected:
        table = "Nothing was rejected."
    else:
        rows = [[reason, count, REASONS.get(reason, "")] for reason, count in rejected.most_common()]
        table = _table(["rejected", "times", "which is"], rows)
    right = ", ".join(f"{what} {count:,}×" for what, count in repaired.most_common() if count)
    return f"{table}\n\nPut right: {right}." if right else table


def draw_labels(space: LabelSpace, path: Path) -> None:
    """Draw how often labels hold, the most frequent first; nothing is written without labels.

    Args:
        space: The labels.
        path: The PNG file.
    """
    curves = {group: sorted(_held(space, *group).values(), reverse=True) for group in _ORDER}
    if not any(curves.values()):
        return
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.4), layout="constrained")
    FigureCanvasAgg(figure)  # draws without a screen
    axes = figure.add_subplot()
    for (group, counts), colour in zip(curves.items(), _COLOURS, strict=True):
        if counts:
            name = f"{_LANGUAGE_NAMES[group[0]]} {TASK_NAMES[group[1]]} ({len(counts):,})"
            axes.loglog(range(1, len(counts) + 1), counts, color=colour, label=name, marker=".", markersize=3)
    axes.set_xlabel("rank of the label")
    axes.set_ylabel("examples in which it holds")
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize=8)
    part = path.with_name(f"_{path.name}.part")
    figure.savefig(part, dpi=110, format="png")
    part.replace(path)


def _held(space: LabelSpace, language: str, task: str) -> Counter[str]:
    return +space.counts(language, task)


def _frequencies(space: LabelSpace) -> str:
    rows = []
    for language, task in _ORDER:
        counts, absent = _held(space, language, task), space.absent_counts(language, task)
        if counts:
            once = sum(count == 1 for count in counts.values())
            most = ", ".join(f"{label} {count}" for label, count in counts.most_common(_MOST_FREQUENT))
            name = f"{_LANGUAGE_NAMES[language]} {TASK_NAMES[task]}"
            rows.append([name, sum(counts.values()), f"{once / len(counts):.0%}", len(absent), most])
    merged = ", ".join(f"{_LANGUAGE_NAMES[language]} {count:,}" for language, count in space.merged.items())
    if not rows:
        return ""
    table = _table(["", "labels that hold, all together", "hold once only", "near misses", "most frequent"], rows)
    return f"{table}\n\nSpellings that were merged with a more frequent one: {merged}."


def _requests(records: Records, price: Price | None) -> str:
    sums: dict[tuple[str, str], list[Totals]] = {}
    for (language, task, _), total in records.totals.items():
        sums.setdefault((language, task), []).append(total)
    rows: list[Sequence[object]] = []
    for language, task in _ORDER:
        if (language, task) in sums:
            found = sums[language, task]
            name = f"{_LANGUAGE_NAMES[language]} {TASK_NAMES[task]}"
            keys = ("requests", "prompt_tokens", "completion_tokens")
            rows.append([name, *(sum(getattr(one, key) for one in found) for key in keys)])
    cost = f"Cost: {cost_of(records, price):,.4f}." if price else "Cost: no price is known for this model."
    return f"{_table(['', 'requests', 'prompt tokens', 'answer tokens'], rows)}\n\n{cost}"


def _texts(texts: RawTexts, used: int) -> str:
    out = ", ".join(f"{count:,} {reason}" for reason, count in texts.left_out.most_common())
    said = f"{len(texts.texts):,} texts, of which {used:,} gave an example." + (f" Left out: {out}." if out else "")
    if texts.unguarded:
        said += f" Not guarded, for their test texts are not there: {', '.join(texts.unguarded)}."
    return said


def _table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    lines = [names, ["---:" if isinstance(cell, int) else "---" for cell in (rows[0] if rows else names)]]
    lines += [[f"{cell:,}" if isinstance(cell, int) else str(cell).replace("|", "\\|") for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
