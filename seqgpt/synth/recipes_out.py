"""From records to recipes: what was answered, cleaned, under one name for each label, as rows that recipes read.

For each language and task that has examples there is ``NAME_LANGUAGE_TASK.yaml`` and, beside it, a folder of that name
with ``train.jsonl`` and ``validation.jsonl``. Each file appears whole or not at all. The rows are those of the schemas
in ``seqgpt.data.schemas.own_labels``.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, TextIO

import yaml

from seqgpt.about import Place
from seqgpt.data.draws import draw
from seqgpt.errors import RunError
from seqgpt.synth.cleaning import Cleaned, CleanSet, clean_answer
from seqgpt.synth.config import TASKS, SynthConfig
from seqgpt.synth.label_space import LabelSpace
from seqgpt.synth.prompts import LANGUAGES
from seqgpt.synth.raw_texts import RawText
from seqgpt.synth.records import Record, Records
from seqgpt.synth.requests import MentionsOf, Request, plan
from seqgpt.whole_file import PART, to_disk, write_file

REJECTED_FILE = "rejected.jsonl"
LABELS_FILE = "labels.jsonl"
_SPLITS = ("train", "validation")
_SHAPES: dict[str, tuple[str, str, str, Sequence[str]]] = {  # schema, task, family, columns
    "classify": ("own-classes", "classify", "TC", ("text", "labels", "descriptions", "held")),
    "ner": ("own-types", "extract", "NER", ("text", "labels", "descriptions", "spans")),
    "typing": (
        "own-types-of-a-mention",
        "typing",
        "ET",
        ("text", "mention", "start", "labels", "descriptions", "held"),
    ),
}


@dataclass
class Outcome:
    """What the records gave.

    Attributes:
        examples: How many examples, by language and task.
        recipes: The recipes' files.
        rejected: How much was rejected, by reason.
        repaired: How often something was put right, by what it was.
        space: The labels.
        texts: How many texts gave an example.
    """

    examples: Counter[tuple[str, str]] = field(default_factory=Counter)
    recipes: list[Path] = field(default_factory=list)
    rejected: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)
    space: LabelSpace = field(default_factory=LabelSpace)
    texts: int = 0


def clean_record(request: Request, record: Record) -> Cleaned:
    """Clean the answer to a request."""
    text = request.text
    return clean_answer(record.content, record.finish, request.task, text.text, text.language, request.mentions)


def answered(
    config: SynthConfig, texts: Sequence[RawText], records: Records
) -> Iterator[tuple[Request, Cleaned, Record]]:
    """Yield the requests that were answered, with what became of their answers, in the order of the texts."""
    for request in plan(config, texts, mentions_in(records)):
        record = records.get(request.key)
        if record is not None:
            yield request, clean_record(request, record), record


def mentions_in(records: Records) -> MentionsOf:
    """Return what tells the mentions that the answer to a request of entities has."""

    def mentions_of(_: RawText, ner: Request) -> list[Place] | None:
        record = records.get(ner.key)
        return None if record is None else mentions_of_record(ner, record)

    return mentions_of


def mentions_of_record(ner: Request, record: Record) -> list[Place]:
    """Return the mentions that the answer to a request of entities has, where they stand."""
    return [Place(span.text, span.start) for one in clean_record(ner, record).sets for span in one.spans]


def write_recipes(config: SynthConfig, texts: Sequence[RawText], records: Records) -> Outcome:
    """Write all that the records have as recipes, what was rejected, and the labels.

    Raises:
        RunError: If a file cannot be written.
    """
    folder, written = Path(config.output_dir), Outcome()
    try:
        _count(config, texts, records, folder, written)
        _write_rows(config, texts, records, folder, written)
        write_file(folder / LABELS_FILE, "".join(_label_lines(written.space)))
    except OSError as error:
        raise RunError(
            f"cannot write into {folder}: {error.strerror}. The answers are kept: make room, and go on."
        ) from error
    return written


def _count(config: SynthConfig, texts: Sequence[RawText], records: Records, folder: Path, written: Outcome) -> None:
    """Count the labels of all answers, and write down what of them is rejected."""
    part = folder / f"_{REJECTED_FILE}{PART}"
    with part.open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        for request, cleaned, record in answered(config, texts, records):
            written.repaired.update(cleaned.repaired)
            for reason, what in cleaned.rejected:
                written.rejected[reason] += 1
                line = {"key": record.key, "task": request.task, "reason": reason, "what": what}
                file.write(json.dumps(line, ensure_ascii=False) + "\n")
            for one in cleaned.sets:
                for label, meaning in one.held.items():
                    written.space.add(request.text.language, request.task, label, meaning)
                for label, meaning in one.absent.items():
                    written.space.add(request.text.language, request.task, label, meaning, holds=False)
    to_disk(part)
    part.replace(folder / REJECTED_FILE)


def _write_rows(
    config: SynthConfig, texts: Sequence[RawText], records: Records, folder: Path, written: Outcome
) -> None:
    parts: dict[Path, TextIO] = {}
    with_examples = set()
    with ExitStack() as opened:
        for request, cleaned, _ in answered(config, texts, records):
            language = request.text.language
            held_out = draw("validation", request.text.id).random() < config.validation
            name = f"{config.name}_{language}_{request.task}"
            path = folder / name / f"{_SPLITS[held_out]}.jsonl"
            for number, one in enumerate(cleaned.sets):
                if path not in parts:
                    path.parent.mkdir(exist_ok=True)
                    part = path.with_name(f"_{path.name}{PART}")
                    parts[path] = opened.enter_context(part.open("w", encoding="utf-8", newline="\n"))
                described = draw("described", request.key, number).random() < config.described
                row = _row(request.text, one, written.space, described=described)
                parts[path].write(json.dumps(row, ensure_ascii=False) + "\n")
                written.examples[language, request.task] += 1
                with_examples.add(request.text.id)
    written.texts = len(with_examples)
    _put_in_place(config, folder, set(parts), written)


def _put_in_place(config: SynthConfig, folder: Path, written_files: set[Path], written: Outcome) -> None:
    """Give the rows their names, write the recipes, and take away what another choice of texts or tasks left."""
    for path in written_files:
        part = path.with_name(f"_{path.name}{PART}")
        to_disk(part)
        part.replace(path)
    for language, task in product(LANGUAGES, TASKS):
        name = f"{config.name}_{language}_{task}"
        recipe = folder / f"{name}.yaml"
        stale = {folder / name / f"{split}.jsonl" for split in _SPLITS} - written_files
        if written.examples[language, task]:
            write_file(recipe, _recipe(config, language, task))
            written.recipes.append(recipe)
        else:
            stale.add(recipe)
        for path in stale:
            path.unlink(missing_ok=True)


def _row(text: RawText, one: CleanSet, space: LabelSpace, *, described: bool) -> dict[str, Any]:
    """Return the row of an example; labels in an order that says nothing."""
    language = text.language
    held = {space.name(language, label): meaning for label, meaning in one.held.items()}
    absent = {space.name(language, label): meaning for label, meaning in one.absent.items()}
    asked = held | {label: meaning for label, meaning in absent.items() if label not in held}
    labels = sorted(asked)
    draw("order", text.id, *labels).shuffle(labels)
    meanings = [asked[label] or space.description(language, label) for label in labels]
    row: dict[str, Any] = {"text": text.text}
    if one.about:
        row |= {"mention": one.about.text, "start": one.about.start}
    row |= {"labels": labels, "descriptions": meanings if described else []}
    if one.task == "ner":
        spans = [{"label": space.name(language, s.label), "text": s.text, "start": s.start} for s in one.spans]
        return row | {"spans": [span for i, span in enumerate(spans) if span not in spans[:i]]}
    return row | {"held": [label for label in labels if label in held]}


def _recipe(config: SynthConfig, language: str, task: str) -> str:
    schema, atomic, family, columns = _SHAPES[task]
    name = f"{config.name}_{language}_{task}"
    values = {
        "name": name,
        "version": 1,
        "source": f"{name}/{{split}}.jsonl",
        "schema": schema,
        "tasks": [atomic],
        "columns": {column: column for column in columns},
        "family": family,
        "language": language,
        "licence": config.licence,
        "citation": f"labels by {config.teacher.model}, prompts {config.prompts}",
        "synthetic": True,
    }
    return yaml.safe_dump(values, allow_unicode=True, sort_keys=False)


def _label_lines(space: LabelSpace) -> Iterator[str]:
    """Yield the labels, the most frequent of each language and task first."""
    for language, task in space.groups:
        held, absent = space.counts(language, task), space.absent_counts(language, task)
        for label in sorted({*held, *absent}, key=lambda one: (-held[one], -absent[one], one)):
            line = {
                "language": language,
                "task": task,
                "label": label,
                "holds": held[label],
                "near_miss": absent[label],
            }
            line["description"] = space.description(language, label)
            yield json.dumps(line, ensure_ascii=False) + "\n"
