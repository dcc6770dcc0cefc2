"""Reading comprehension: spans that answer a question, and multiple choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from seqgpt.data.schemas.base import Conversion, Reading, Row, Schema, checked_place, each, string_list
from seqgpt.errors import DataError
from seqgpt.grounding import ground
from seqgpt.questions import choice_question, reading_question
from seqgpt.results import Classification, Extraction
from seqgpt.texts import check_text


def answered_question(rows: Sequence[Row], _: Reading) -> Iterator[Extraction]:
    """Read a question to a text with its answers; one that cannot be answered has none.

    Several annotators may have answered, in one row or in several. Of answers that overlap, the one that most of them
    gave is right, the first of those; answers at other places are right too.
    """
    text, question = check_text(rows[0]["context"]), rows[0]["question"]
    if not isinstance(question, str):
        raise DataError(f"the question is {question!r}: give a text.")
    given: Counter[tuple[int, str]] = Counter()
    for row in rows:
        answers = row["answers"]
        if not isinstance(answers, Mapping) or len(answers["text"]) != len(answers["answer_start"]):
            raise DataError(f"the answers are {answers!r}: give {{text, answer_start}}, one start for each text.")
        for answer, start in zip(answers["text"], answers["answer_start"], strict=True):
            given[checked_place(answer, start, text, "answer")["start"], answer] += 1
    right: list[tuple[int, str]] = []
    for start, answer in sorted(given, key=lambda place: -given[place]):
        if all(start + len(answer) <= at or at + len(other) <= start for at, other in right):
            right.append((start, answer))
    yield ground(
        reading_question(question), {question: [{"text": answer, "start": start} for start, answer in right]}, text
    )


def chosen_option(row: Row, _: Reading) -> Iterator[Classification]:
    """Read a question, perhaps to a text, with options of which one is right; options that are alike are one."""
    options, answer = string_list(row, "choices"), row["answer"]
    if type(answer) is not int or not 0 <= answer < len(options):
        raise DataError(f"the answer is {answer!r}: give the index of one of the {len(options)} choices.")
    question, text = row["question"], row.get("context") or ""
    if not text.strip():
        question, text = "", question
    task = choice_question(question, tuple(dict.fromkeys(options)))
    yield Classification.of(check_text(text), task, (options[answer],))


EXTRACTIVE_QA = Schema(
    ("context", "question", "answers"),
    {"reading": Conversion(answered_question, group_by=("context", "question"))},
    labelled=False,
)
MULTIPLE_CHOICE = Schema(
    ("question", "choices", "answer"), {"choice": each(chosen_option)}, optional=("context",), labelled=False
)
