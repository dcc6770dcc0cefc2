"""The reports of an evaluation as files."""

from __future__ import annotations

import json
from pathlib import Path

from seqgpt.errors import RunError
from seqgpt.evaluation.evaluation import Evaluation
from seqgpt.evaluation.pages.evaluation_page import to_html
from seqgpt.evaluation.pages.listing import mistakes_jsonl
from seqgpt.evaluation.tables import to_markdown
from seqgpt.whole_file import write_file


def write_reports(evaluation: Evaluation, directory: str | Path) -> None:
    """Write ``report.json`` and ``mistakes.jsonl`` for programs, ``report.md`` and ``report.html`` for people.

    Raises:
        RunError: If one cannot be written; what was predicted is kept.
    """
    reports = {
        "report.json": to_json(evaluation),
        "report.md": to_markdown(evaluation),
        "report.html": to_html(evaluation),
        "mistakes.jsonl": "".join(mistakes_jsonl(evaluation)),
    }
    for name, content in reports.items():
        write_report(Path(directory) / name, content)


def to_json(evaluation: Evaluation) -> str:
    """Return an evaluation as JSON, without examples and predictions."""
    return json.dumps(evaluation.to_dict(), ensure_ascii=False, indent=2) + "\n"


def write_report(file: Path, content: str) -> None:
    """Write one report.

    Raises:
        RunError: If that is not possible.
    """
    try:
        write_file(file, content)
    except OSError as error:
        raise RunError(
            f"cannot write {file}: {error.strerror}. Check the path, and make room; what was predicted into a folder "
            "is kept, and the same command goes on there."
        ) from error
