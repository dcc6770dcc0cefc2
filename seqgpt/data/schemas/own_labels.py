"""Rows that bring their own labels: those that hold, and those that were looked for and do not.

So the labels that a teacher model wrote for a text are asked of this text. Labels and descriptions are lists of one
length, for a column of mappings would have a field for every label of the file.
"""

from __future__ import annotations

from collections.abc import Iterator

from seqgpt.data.schemas.base import Reading, Row, Schema, checked_place, each, string_list
from seqgpt.data.schemas.spans import spans_of
from seqgpt.errors import DataError
from seqgpt.questions import typing_question
from seqgpt.results import Classification, Extraction
from seqgpt.tasks import AtomicTask
from seqgpt.texts import check_text


def own_classes(row: Row, _: Reading) -> Iterator[Classification]:
    """Read a text with labels of its own, of which any number hold."""
    task = AtomicTask.classify(_asked(row), multi_label=True)
    yield Classification.of(check_text(row["text"]), task, tuple(string_list(row, "held")))


def own_types(row: Row, _: Reading) -> Iterator[Extraction]:
    """Read a text with types of its own, and the spans of some of them."""
    text = check_text(row["text"])
    yield Extraction.of(text, AtomicTask.extract(_asked(row)), spans_of(row, text))


def own_types_of_a_mention(row: Row, _: Reading) -> Iterator[Classification]:
    """Read a mention in a text with types of its own, of which any number hold."""
    text = check_text(row["text"])
    place = checked_place(row["mention"], row["start"], text, "mention")
    task = typing_question(place, _asked(row), multi_label=True)
    yield Classification.of(text, task, tuple(string_list(row, "held")))


def _asked(row: Row) -> dict[str, str]:
    """Return the labels of a row, each with its description, which may be empty."""
    labels = string_list(row, "labels")
    descriptions = string_list(row, "descriptions") if row.get("descriptions") else [""] * len(labels)
    if len(descriptions) != len(labels) or len(set(labels)) != len(labels):
        raise DataError(
            f"the row has {len(set(labels))} different labels of {len(labels)}, and {len(descriptions)} descriptions: "
            "give each label once, and one description for each, or none at all."
        )
    return dict(zip(labels, descriptions, strict=True))


OWN_CLASSES = Schema(
    ("text", "labels", "held"), {"classify": each(own_classes)}, optional=("descriptions",), labelled=False
)
OWN_TYPES = Schema(
    ("text", "labels", "spans"), {"extract": each(own_types)}, optional=("descriptions",), labelled=False
)
OWN_TYPES_OF_A_MENTION = Schema(
    ("text", "mention", "start", "labels", "held"),
    {"typing": each(own_types_of_a_mention)},
    optional=("descriptions",),
    labelled=False,
)
