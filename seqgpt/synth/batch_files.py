"""Requests as files of OpenAI's Batch interface, and their answers back.

    {"custom_id": KEY, "method": "POST", "url": "/v1/chat/completions", "body": {…}}
    {"custom_id": KEY, "response": {"status_code": 200, "body": {…}}, "error": null}

Source: OpenAI's reference of the Batch interface: at most 50,000 requests and 200 MB a file.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from seqgpt.errors import DataError, RunError
from seqgpt.examples import read_records
from seqgpt.synth.config import SynthConfig
from seqgpt.synth.prices import find_price
from seqgpt.synth.raw_texts import RawText, read_texts
from seqgpt.synth.records import Record, Records
from seqgpt.synth.requests import Request
from seqgpt.synth.run import Summary, finish, opened, pending, write_config
from seqgpt.synth.teacher import completion_of

MOST_REQUESTS, MOST_BYTES = 50_000, 190_000_000
_URL = "/v1/chat/completions"


def export_batch(config: SynthConfig, path: Path, *, most_requests: int = MOST_REQUESTS) -> list[tuple[Path, int]]:
    """Write the requests that are not answered, in as many files as they need; nobody is asked.

    Typing of mentions that are still to be found is exported once the answers that find them are imported.

    Args:
        config: The synthesis.
        path: The file; further ones have ``-2``, ``-3`` in their names.
        most_requests: Most requests in a file.

    Returns:
        The files, each with the number of its requests.

    Raises:
        RunError: If a file cannot be written.
    """
    with opened(config) as records:
        write_config(config)
        requests = pending(config, read_texts(config.texts).texts, records)
    answers = "schema" if config.teacher.answers == "auto" else config.teacher.answers
    files: list[tuple[Path, int]] = []
    lines: list[str] = []
    size = 0
    for request in requests:
        line = _line(request, answers)
        if lines and (len(lines) == most_requests or size + len(line.encode()) > MOST_BYTES):
            files.append(_write(path, len(files), lines))
            lines, size = [], 0
        lines.append(line)
        size += len(line.encode())
    return [*files, _write(path, len(files), lines)] if lines else files


def import_batch(config: SynthConfig, paths: Sequence[Path]) -> tuple[Summary, Counter[str]]:
    """Read the answers of batch files into the records, and write recipes and report.

    Returns:
        The summary, and how many lines were read, by what became of them.

    Raises:
        DataError: If a file cannot be read.
        RunError: If the records cannot be written.
    """
    counts: Counter[str] = Counter()
    price = find_price(config.teacher.model, config.teacher.price)
    with opened(config) as records:
        texts = read_texts(config.texts)
        lines = [line for path in paths for line in read_records(path)]
        for _ in range(2):  # answers of typing are known once those of entities are
            lines = _take(config, texts.texts, records, lines, counts)
        counts["of other requests"] += len(lines)
        return finish(config, texts, records, price), +counts


def _line(request: Request, answers: str) -> str:
    line = {"custom_id": request.key, "method": "POST", "url": _URL, "body": request.body(answers)}
    return json.dumps(line, ensure_ascii=False) + "\n"


def _write(path: Path, number: int, lines: Sequence[str]) -> tuple[Path, int]:
    file = path if number == 0 else path.with_name(f"{path.stem}-{number + 1}{path.suffix}")
    try:
        file.write_text("".join(lines), encoding="utf-8")
    except OSError as error:
        raise RunError(f"cannot write {file}: {error.strerror}. Check the path, and make room.") from error
    return file, len(lines)


def _take(
    config: SynthConfig,
    texts: Sequence[RawText],
    records: Records,
    lines: Iterable[tuple[int, dict[str, Any] | DataError]],
    counts: Counter[str],
) -> list[tuple[int, dict[str, Any] | DataError]]:
    """Record the answers to requests that are open; return the lines of others."""
    asked = {request.key: request for request in pending(config, texts, records)}
    others: list[tuple[int, dict[str, Any] | DataError]] = []
    for number, line in lines:
        key = "" if isinstance(line, DataError) else str(line.get("custom_id", ""))
        if isinstance(line, DataError) or not key:
            counts["not a line of a batch"] += 1
        elif key in records:
            counts["answered before"] += 1
        elif key not in asked:
            others.append((number, line))
        else:
            record = _record(asked[key], line)
            counts["failed, to be asked again" if record is None else "answered"] += 1
            if record is not None:
                records.add(record)
    return others


def _record(request: Request, line: dict[str, Any]) -> Record | None:
    """Return the record of an answer; None if there is none."""
    response = line.get("response")
    if not isinstance(response, Mapping) or response.get("status_code") != 200:
        return None
    try:
        answer = completion_of(response.get("body"))
    except ValueError:
        return None
    return Record(
        request.key,
        request.task,
        request.text.language,
        answer.content,
        answer.finish,
        answer.prompt_tokens or 0,
        answer.completion_tokens or 0,
        answer.prompt_tokens is not None and answer.completion_tokens is not None,
        batch=True,
    )
