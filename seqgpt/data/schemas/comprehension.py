"""Reading comprehension: spans that answer a question, and multiple choice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from seqgpt.data.schemas.base import Reading, Row, Schema, checked_place, each, string_list
from seqgpt.errors import DataError
from seqgpt.grounding import ground
from seqgpt.questions import choice_question, reading_question
from seqgpt.results import Classification, Extraction
from seqgpt.texts import check_text


def answered_question(row: Row, _: Reading) -> Iterator[Extraction]:
    """Read a question to a text with its answer; one that cannot be answered has none.

    Of several annotators' answers the one that most of them gave is right, the first of those.
    """
    text, question, answers = check_text(row["context"]), row["question"], row["answers"]
    if not isinstance(question, str) or not isinstance(answers, Mapping):
        raise DataError(
            f"question and answers are {question!r} and {answers!r}: give a text, and {{text, answer_start}}."
        )
    given = [
        (answer, checked_place(answer, start, text, "answer")["start"])
        for answer, start in zip(answers["text"], answers["answer_start"], strict=True)
    ]
    best = [{"text": answer, "start": start} for (answer, start), _ in Counter(given).most_common(1)]
    yield ground(reading_question(question), {question: best}, text)


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


EXTRACTIVE_QA = Schema(("context", "question", "answers"), {"reading": each(answered_question)}, labelled=False)
MULTIPLE_CHOICE = Schema(
    ("question", "choices", "answer"), {"choice": each(chosen_option)}, optional=("context",), labelled=False
)
