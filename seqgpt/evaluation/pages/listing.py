"""The mistakes of a predictor, text by text: highlighted for people, and as lines of JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from seqgpt.about import wording
from seqgpt.data.draws import draw
from seqgpt.display import segments
from seqgpt.evaluation.evaluation import Entry, Evaluation
from seqgpt.evaluation.pages.markup import Html, element, joined
from seqgpt.evaluation.predictions import Prediction
from seqgpt.evaluation.scoring import Mistake, MistakeKind, SpanMistake
from seqgpt.evaluation.scoring.measures import mistakes_of
from seqgpt.examples import Example
from seqgpt.grounding import by_label
from seqgpt.results import Classification, Extraction, Result, Span

SYMBOLS: dict[MistakeKind, tuple[str, str]] = {
    "missed": ("○", "a gold answer that was not given"),
    "wrong type": ("≠", "gold has another answer in its place"),
    "wrong boundary": ("↔", "overlaps a gold span of its label"),
    "invented": ("+", "gold has nothing like it"),
}
"""The kinds of mistakes, each with its symbol, since colour alone does not tell them apart, and what it means."""

_TICK = "✓"
_NOTHING = element("i", "nothing")
_AROUND = 90  # characters shown on each side of what is marked; longer stretches are cut
_BESIDE = 3  # times as many where nothing is marked
_WORDS = 120  # characters shown of a span in a list


class Wrong(NamedTuple):
    """An example that was answered wrongly: its line in the set, from 1, what was said, and the mistakes."""

    line: int
    example: Example
    prediction: Prediction
    mistakes: Sequence[Mistake]


class _Mark(NamedTuple):
    start: int
    end: int
    kind: str
    symbol: str  # empty: nothing is said at its end
    label: str


def wrong_answers(entry: Entry) -> list[Wrong]:
    """Return the examples on which a predictor made mistakes, in the order of the set."""
    gold, predicted = [one.gold for one in entry.of.examples], [said.result for said in entry.predictions]
    return [
        Wrong(i + 1, entry.of.examples[i], entry.predictions[i], mistakes)
        for i, mistakes in enumerate(mistakes_of(entry.of.kind, gold, predicted))
        if mistakes
    ]


def listing(entry: Entry, most: int) -> Html:
    """List texts with mistakes, highlighted, under a line that says how many there are.

    Args:
        entry: The predictor on the set.
        most: Most texts that are listed; if there are more, a seeded choice of them, in the order of the set.
    """
    wrong = wrong_answers(entry)
    count = sum(len(one.mistakes) for one in wrong)
    said = f": {len(wrong)} of {len(entry.of.examples)} texts with {count} mistakes"
    return texts(joined("Mistakes of ", element("b", entry.predictor), said), entry, wrong, most)


def texts(title: Html, entry: Entry, wrong: Sequence[Wrong], most: int) -> Html:
    """List some texts with mistakes, as :func:`listing` does, under a title."""
    chosen = wrong
    if len(wrong) > most:
        random = draw("listing", entry.of.name, entry.predictor)
        chosen = [wrong[i] for i in sorted(random.sample(range(len(wrong)), most))]
    cut = f"; {len(chosen)} of these texts, a seeded choice, are shown" if len(chosen) < len(wrong) else ""
    return element(
        "details",
        element("summary", title, cut),
        _tools(chosen) if len(chosen) > 1 else "",
        *(_article(one, entry.of.kind == "read") for one in chosen),
    )


def key() -> Html:
    """Say what the highlights mean."""
    shown = [
        element("span", element("mark", "words", class_=_name(kind)), _sub(kind, f"{symbol} {kind}"), " ", about)
        for kind, (symbol, about) in SYMBOLS.items()
    ]
    right = element("span", element("mark", "words", class_="right"), _sub("right", _TICK), " right")
    return element("p", *shown, right, class_="key")


def mistakes_jsonl(evaluation: Evaluation) -> Iterator[str]:
    """Yield every text with mistakes as a line of JSON, with its line break.

    Each has ``set``, ``predictor``, ``line`` (its place in the set, from 1), ``example`` (as in a JSONL file of
    examples, with the gold answer), ``predicted``, ``mistakes``, and ``error`` where the predictor raised something.
    """
    for entry in evaluation.entries:
        for one in wrong_answers(entry):
            record: dict[str, Any] = {
                "set": entry.of.name,
                "predictor": entry.predictor,
                "line": one.line,
                "example": one.example.to_dict(),
                "predicted": one.prediction.to_dict()["result"],
                "mistakes": [mistake.to_dict() for mistake in one.mistakes],
            }
            if one.prediction.error:
                record["error"] = one.prediction.error
            yield json.dumps(record, ensure_ascii=False) + "\n"


def _tools(chosen: Sequence[Wrong]) -> Html:
    """Offer to search the listing, and to leave out kinds of mistakes; without a script it is hidden."""
    there = {mistake.kind for one in chosen for mistake in one.mistakes}
    boxes = [
        element("label", element("input", type="checkbox", value=_name(kind), checked=True), f" {symbol} {kind}")
        for kind, (symbol, _) in SYMBOLS.items()
        if kind in there
    ]
    search = element("input", type="search", placeholder="words", aria_label="words in the listing")
    return element("div", search, *boxes, element("output"), class_="tools", hidden=True, data_listing=True)


def _article(wrong: Wrong, question: bool) -> Html:
    """Show a text with what is wrong, and the gold answer beneath."""
    example, said = wrong.example, wrong.prediction
    about = ", ".join(wording(one) for one in example.task.about)
    notes = [f"text {wrong.line}", *([f"about {about}"] if about else [])]
    asked = example.task.labels[0] if question else ""
    return element(
        "article",
        element("p", " · ".join(notes), class_="note"),
        element("p", asked, class_="asked", dir="auto") if asked else "",
        element("p", *_text(example, said.result, wrong.mistakes, asked), class_="text", dir="auto"),
        element(
            "ul",
            *(_item(mistake, said.result, asked) for mistake in wrong.mistakes),
            _gold(example.gold, said.result, asked),
            element("li", element("b", "!"), f"the predictor failed: {said.error}", class_="soft")
            if said.error
            else "",
            class_="what",
        ),
        data_kinds=" ".join(dict.fromkeys(_name(mistake.kind) for mistake in wrong.mistakes)),
    )


def _text(example: Example, predicted: Result, mistakes: Sequence[Mistake], asked: str) -> Iterator[Html]:
    """Yield the pieces of a text, marked; what lies far from any mark is left out, and told."""
    marks = _marks(predicted, mistakes)
    pieces = list(segments(len(example.text), [(mark.start, mark.end) for mark in marks]))
    for i, (start, end, covers, closes) in enumerate(pieces):
        inside = bool(covers)
        around = _AROUND if len(pieces) > 1 else _BESIDE * _AROUND
        before, after = around * (inside or i > 0), around * (inside or i + 1 < len(pieces))
        words = _shortened(example.text[start:end], before if len(pieces) > 1 else around, after)
        yield (
            element("mark", words, class_=" ".join(dict.fromkeys(_name(marks[j].kind) for j in covers)))
            if inside
            else words
        )
        for mark in (marks[j] for j in closes):
            if mark.symbol:
                label = "" if asked else f" {mark.label}"
                yield _sub(mark.kind, f"{mark.symbol}{label}")


def _marks(predicted: Result, mistakes: Sequence[Mistake]) -> list[_Mark]:
    """Return what is marked in a text; gold and predicted spans may overlap one another in any way."""
    if not isinstance(predicted, Extraction):
        return []
    marks = []
    wrong = set()
    for mistake in mistakes:
        if not isinstance(mistake, SpanMistake):
            continue
        wrong.add(mistake.predicted)
        shown = mistake.predicted or mistake.gold
        if shown:
            marks.append(_Mark(shown.start, shown.end, mistake.kind, SYMBOLS[mistake.kind][0], shown.label))
        if mistake.kind == "wrong boundary" and mistake.gold:
            marks.append(_Mark(mistake.gold.start, mistake.gold.end, "gold", "", mistake.gold.label))
    marks += [_Mark(span.start, span.end, "right", _TICK, span.label) for span in predicted.spans if span not in wrong]
    return sorted(marks)


def _shortened(words: str, before: int, after: int) -> Html:
    """Return the first and the last characters of a text, and how many there are between them, if they are many."""
    cut = len(words) - before - after
    if cut < _AROUND:
        return joined(words)
    told = element("i", f"… {cut} characters …", class_="cut")
    return joined(words[:before], told, words[len(words) - after :])


def _item(mistake: Mistake, predicted: Result, asked: str) -> Html:
    """Say in words what is wrong."""
    symbol = element("b", SYMBOLS[mistake.kind][0], class_=_ink(mistake.kind))
    if isinstance(mistake, SpanMistake):
        spans = [_span(span, predicted, asked) for span in (mistake.predicted, mistake.gold) if span]
        return element("li", symbol, f"{mistake.kind}: ", Html("; gold: ".join(spans)))
    return element("li", symbol, f"{mistake.kind}: ", _labels(mistake.predicted, predicted))


def _gold(gold: Result, predicted: Result, asked: str) -> Html:
    """Show the whole gold answer."""
    if isinstance(gold, Classification):
        shown = _labels(gold.labels, predicted)
    else:
        groups = by_label(gold.spans).items()
        shown = Html("; ".join(_quoted("" if asked else label, spans) for label, spans in groups)) or _NOTHING
    return element("li", element("b", "⚑"), "gold: ", shown, class_="soft")


def _labels(labels: Sequence[str], predicted: Result) -> Html:
    """Show labels with the probabilities that the predictor gave them."""
    scores = predicted.scores if isinstance(predicted, Classification) else {}
    return joined(", ".join(f"{label} {scores[label]:.2f}" for label in labels)) if labels else _NOTHING


def _span(span: Span, predicted: Result, asked: str) -> Html:
    """Show a span, with its probability if it was predicted."""
    sure = f" {span.score:.2f}" if isinstance(predicted, Extraction) and span in predicted.spans else ""
    return joined(_quoted("" if asked else span.label, [span]), sure)


def _quoted(label: str, spans: Sequence[Span]) -> Html:
    strings = dict.fromkeys(span.text for span in spans)
    words = Html(", ".join(element("q", _shortened(string, _WORDS, 0)) for string in strings))
    return joined(label, " ", words) if label else words


def _sub(kind: str, words: str) -> Html:
    return element("sub", words, class_=_ink(kind))


def _name(kind: str) -> str:
    return kind.replace(" ", "-")


def _ink(kind: str) -> str:
    return f"{_name(kind)}-ink"
