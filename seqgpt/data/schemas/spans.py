"""Tagged tokens, lists of spans, and types of given mentions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from seqgpt.data.schemas.base import Reading, Row, Schema, checked_place, each, string_list
from seqgpt.data.tags import ground_tags
from seqgpt.errors import DataError
from seqgpt.questions import typing_question
from seqgpt.results import Classification, Extraction, Span
from seqgpt.tasks import AtomicTask
from seqgpt.texts import check_text


def tagged_tokens(row: Row, reading: Reading) -> Iterator[Extraction]:
    """Read tokens with one tag each, and their text where there is a column for it."""
    tokens, tags = string_list(row, "tokens"), string_list(row, "tags")
    text = check_text(row["text"]) if "text" in row else None
    text, found = ground_tags(tokens, tags, language=reading.language, text=text, scheme=reading.tag_scheme)
    spans = tuple(replace(span, label=reading.name(span.label)) for span in found)
    yield Extraction.of(check_text(text), AtomicTask.extract(reading.words), spans)


def span_list(row: Row, reading: Reading) -> Iterator[Extraction]:
    """Read a text with its spans, which may nest and overlap."""
    text = check_text(row["text"])
    spans = (replace(span, label=reading.name(span.label)) for span in spans_of(row, text))
    yield Extraction.of(text, AtomicTask.extract(reading.words), tuple(dict.fromkeys(spans)))


def spans_of(row: Row, text: str) -> list[Span]:
    """Return the spans that a row lists, under the labels that it gives them.

    Raises:
        DataError: If they are no list, or one does not stand where it says.
    """
    given = row["spans"]
    if not isinstance(given, list):
        raise DataError(f"the spans are {given!r}: give a list of {{label, text, start}}.")
    spans = []
    for span in given:
        place = checked_place(span["text"], span["start"], text, f"span of {span['label']!r}")
        spans.append(Span(span["label"], place["text"], place["start"], place["start"] + len(place["text"])))
    return spans


def types_of_spans(extraction: Extraction, reading: Reading) -> Iterator[Classification]:
    """Ask for the type of each span of an extraction, as if its place were given."""
    labels: dict[tuple[int, str], list[str]] = {}
    for span in extraction.spans:
        labels.setdefault((span.start, span.text), []).append(span.label)
    for (start, text), held in labels.items():
        if len(held) > 1 and not reading.multi_label:
            raise DataError(f"{text!r} has the labels {', '.join(held)}: say multi_label: true in the recipe.")
        task = typing_question({"text": text, "start": start}, reading.words, multi_label=reading.multi_label)
        yield Classification.of(extraction.text, task, tuple(held))


def _typing_of_tokens(row: Row, reading: Reading) -> Iterable[Classification]:
    return (typed for extraction in tagged_tokens(row, reading) for typed in types_of_spans(extraction, reading))


def _typing_of_spans(row: Row, reading: Reading) -> Iterable[Classification]:
    return (typed for extraction in span_list(row, reading) for typed in types_of_spans(extraction, reading))


def typed_mention(row: Row, reading: Reading) -> Iterator[Classification]:
    """Read a mention in a text with its types."""
    text = check_text(row["text"])
    place = checked_place(row["mention"], row["start"], text, "mention")
    task = typing_question(place, reading.words, multi_label=reading.multi_label)
    yield Classification.of(text, task, reading.single(string_list(row, "labels"), "mention"))


SEQUENCE_LABELLING = Schema(
    ("tokens", "tags"),
    {"extract": each(tagged_tokens), "typing": each(_typing_of_tokens)},
    optional=("text",),
    classes="tags",
)
SPAN_EXTRACTION = Schema(("text", "spans"), {"extract": each(span_list), "typing": each(_typing_of_spans)})
ENTITY_TYPING = Schema(
    ("text", "mention", "start", "labels"), {"typing": each(typed_mention)}, optional=("end",), classes="labels"
)
