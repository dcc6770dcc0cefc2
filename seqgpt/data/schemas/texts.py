"""Classes of texts and of pairs of texts."""

from __future__ import annotations

from collections.abc import Iterator

from seqgpt.data.schemas.base import Reading, Row, Schema, each, string_list
from seqgpt.errors import DataError
from seqgpt.questions import pair_question
from seqgpt.results import Classification
from seqgpt.tasks import AtomicTask
from seqgpt.texts import check_text


def one_class(row: Row, reading: Reading) -> Iterator[Classification]:
    """Read a text with one class."""
    task = AtomicTask.classify(reading.words, none=reading.abstains)
    yield Classification.of(check_text(row["text"]), task, reading.single([str(row["label"])], "text"))


def several_classes(row: Row, reading: Reading) -> Iterator[Classification]:
    """Read a text with any number of classes."""
    task = AtomicTask.classify(reading.words, multi_label=True)
    yield Classification.of(check_text(row["text"]), task, reading.names(string_list(row, "labels")))


def class_of_a_pair(row: Row, reading: Reading) -> Iterator[Classification]:
    """Read two texts with one class: how the second stands to the first."""
    second = row["text_pair"]
    if not isinstance(second, str) or not second.strip():
        raise DataError(f"the text_pair is {second!r}: give a text.")
    task = pair_question(second, reading.words, none=reading.abstains)
    yield Classification.of(check_text(row["text"]), task, reading.single([str(row["label"])], "text"))


TEXT_CLASSIFICATION = Schema(("text", "label"), {"classify": each(one_class)}, classes="label", abstains=True)
MULTI_LABEL = Schema(("text", "labels"), {"classify": each(several_classes)}, classes="labels")
TEXT_PAIRS = Schema(("text", "text_pair", "label"), {"classify": each(class_of_a_pair)}, classes="label", abstains=True)
