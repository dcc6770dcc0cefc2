"""How results look: coloured in a terminal, highlighted in a notebook."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

if TYPE_CHECKING:
    from seqgpt.results import Span

# Eight hues that stay readable behind dark and light text: (terminal style, HTML background).
_HUES = (
    ("black on bright_cyan", "#a6e3f5"),
    ("black on bright_yellow", "#f9e79f"),
    ("black on bright_green", "#b5e8b0"),
    ("black on bright_magenta", "#e8c1f0"),
    ("white on blue", "#b9cdf7"),
    ("black on bright_red", "#f5b7b1"),
    ("white on dark_green", "#cfe3c4"),
    ("black on orange3", "#f8c99b"),
)
_BAR = 20
# One visible character for each control character: rich would drop some (and so shift offsets) and print the others,
# with which a text could steer the terminal.
_VISIBLE = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"}
_VISIBLE |= {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)


def visible(words: str) -> str:
    """Replace control characters but tabs and line breaks by visible ones, one for one, so that offsets stay."""
    return words.translate(_VISIBLE)


def spans_to_terminal(
    text: str, labels: Sequence[str], spans: Sequence[Span], absent: Sequence[str], notes: Sequence[str], *, color: bool
) -> str:
    """Show a text with its spans in colour, and below it a line for each span."""
    shown = Text(visible(text))
    lines = []
    width = max((cell_len(_one_line(span.label)) for span in spans), default=0)
    hues = _hues(labels)
    for span in spans:
        style = hues[span.label][0]
        shown.stylize(style, span.start, span.end)
        about = f"  {span.start}:{span.end}  {span.score:.2f}" + (f"  {span.status}" if span.status != "exact" else "")
        lines.append(Text.assemble("  ", (_padded(span.label, width), style), "  ", repr(span.text), (about, "dim")))
    return _render([shown, *lines, *_absent_lines(absent), *_note_lines(notes)], color=color)


def classes_to_terminal(
    text: str, held: Sequence[str], scores: Mapping[str, float], notes: Sequence[str], *, color: bool
) -> str:
    """Show a text, and below it a bar for each label, the most probable first, with a tick where it holds."""
    width = max((cell_len(_one_line(label)) for label in scores), default=0)
    lines = [Text(visible(text))]
    holding = frozenset(held)
    for label, score in sorted(scores.items(), key=lambda item: -item[1]):
        style = "bold green" if label in holding else "dim"
        bar = "█" * round(score * _BAR)
        line = f"  {'✓' if label in holding else ' '} {_padded(label, width)}  {score:.2f} {bar}"
        lines.append(Text(line.rstrip(), style=style))
    if not held:
        lines.append(Text("  none of these", style="bold"))
    return _render([*lines, *_note_lines(notes)], color=color)


def tree_to_terminal(
    text: str,
    rows: Sequence[tuple[int, str, str, Span | None, float]],
    absent: Sequence[str],
    notes: Sequence[str],
    *,
    color: bool,
) -> str:
    """Show a text with its spans in colour, and below it a tree: depth, label, words, where they stand, score."""
    shown = Text(visible(text))
    lines = []
    hues = _hues(list(dict.fromkeys(label for _, label, *_ in rows)))
    for depth, label, words, span, score in rows:
        if span:
            shown.stylize(hues[label][0], span.start, span.end)
        place = f"  {span.start}:{span.end}" if span else ""
        named = ("  " * (depth + 1), (_one_line(label), hues[label][0]))
        lines.append(Text.assemble(*named, "  ", repr(words), (f"{place}  {score:.2f}", "dim")))
    return _render([shown, *lines, *_absent_lines(absent), *_note_lines(notes)], color=color)


def spans_to_html(
    text: str, labels: Sequence[str], spans: Sequence[Span], absent: Sequence[str], notes: Sequence[str]
) -> str:
    """Show a text with its spans highlighted; nested and overlapping spans share their highlight."""
    hues = _hues(labels)
    body = []
    for start, end, covers, closes in segments(len(text), [(span.start, span.end) for span in spans]):
        covering = [spans[i] for i in covers]
        words = html.escape(text[start:end]).replace("\n", "<br>")
        if covering:
            colour = hues[covering[-1].label][1]
            title = html.escape(", ".join(f"{s.label} {s.score:.2f}" for s in covering), quote=True)
            words = f'<mark style="background:{colour};padding:.1em .2em" title="{title}">{words}</mark>'
        closing = [html.escape(spans[i].label) for i in closes]
        body.append(words + (f"<sub>{', '.join(closing)}</sub>" if closing else ""))
    tail = f'<div style="opacity:.6">absent: {html.escape(", ".join(absent))}</div>' if absent else ""
    return f'<div style="line-height:2">{"".join(body)}</div>{tail}{_html_notes(notes)}'


def segments(length: int, places: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int, list[int], list[int]]]:
    """Cut a text wherever a place begins or ends, so that places may overlap.

    Args:
        length: Characters of the text.
        places: Where each begins and ends.

    Yields:
        Start and end of each piece, the indices of the places that cover it, and of those that end with it.
    """
    cuts = sorted({0, length, *(cut for place in places for cut in place)})
    begin: dict[int, list[int]] = {cut: [] for cut in cuts}
    stop: dict[int, list[int]] = {cut: [] for cut in cuts}
    for i, (start, end) in enumerate(places):
        begin[start].append(i)
        stop[end].append(i)
    covering: dict[int, None] = {}
    for start, end in pairwise(cuts):
        for i in stop[start]:
            del covering[i]
        covering.update(dict.fromkeys(begin[start]))
        yield start, end, sorted(covering), stop[end]


def classes_to_html(text: str, held: Sequence[str], scores: Mapping[str, float], notes: Sequence[str]) -> str:
    """Show a text, and a bar for each label, the most probable first."""
    rows = []
    holding = frozenset(held)
    for label, score in sorted(scores.items(), key=lambda item: -item[1]):
        weight = "bold" if label in holding else "normal"
        bar = f'<div style="background:{_HUES[0][1]};width:{score * 10:.2f}em;height:1em"></div>'
        rows.append(
            f'<tr style="font-weight:{weight}"><td>{html.escape(label)}</td><td>{score:.2f}</td><td>{bar}</td></tr>'
        )
    none = "" if held else "<div><b>none of these</b></div>"
    words = html.escape(text).replace("\n", "<br>")
    return f"<div>{words}</div><table>{''.join(rows)}</table>{none}{_html_notes(notes)}"


def _hues(labels: Sequence[str]) -> dict[str, tuple[str, str]]:
    return {label: _HUES[i % len(_HUES)] for i, label in enumerate(labels)}


def _one_line(words: str) -> str:
    return visible(words).replace("\n", "␊").replace("\t", "␉")


def _padded(label: str, width: int) -> str:
    """Pad a label to a width in terminal cells, of which a Chinese character takes two."""
    shown = _one_line(label)
    return shown + " " * (width - cell_len(shown))


def _absent_lines(absent: Sequence[str]) -> list[Text]:
    return [Text("  absent: " + _one_line(", ".join(absent)), style="dim")] if absent else []


def _note_lines(notes: Sequence[str]) -> list[Text]:
    return [Text(f"  note: {_one_line(note)}", style="yellow") for note in notes]


def _html_notes(notes: Sequence[str]) -> str:
    return "".join(f'<div style="color:#a60">note: {html.escape(note)}</div>' for note in notes)


def _render(lines: Sequence[Text], *, color: bool) -> str:
    console = Console(
        force_terminal=color,
        force_jupyter=False,
        no_color=not color,
        soft_wrap=True,
        color_system="256" if color else None,
        legacy_windows=False,
    )
    with console.capture() as capture:
        for line in lines:
            console.print(line)
    return capture.get().rstrip("\n")
