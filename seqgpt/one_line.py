"""``seqgpt.predict``: a prediction in one line, with a model that is opened at the first call."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Unpack, overload

from seqgpt.composite.base import CompositeTask, R
from seqgpt.composite.literal import SchemaLiteral
from seqgpt.composite.schema import Record
from seqgpt.model import SeqGPT
from seqgpt.model_files import BUNDLED, BUNDLED_FOLDER, expand, stamp
from seqgpt.options import OptionKeywords, TaskLike, Tasks
from seqgpt.results import Extraction
from seqgpt.tasks import Labels

_Where = str | Path | None


@overload
def predict(text: str, task: Labels, *, model: _Where = ..., **options: Unpack[OptionKeywords]) -> Extraction: ...  # type: ignore[overload-overlap]
@overload
def predict(text: str, task: CompositeTask[R], *, model: _Where = ..., **options: Unpack[OptionKeywords]) -> R: ...  # type: ignore[overload-overlap]
@overload
def predict(text: str, task: Tasks[R], *, model: _Where = ..., **options: Unpack[OptionKeywords]) -> dict[str, R]: ...  # type: ignore[overload-overlap]
@overload
def predict(  # type: ignore[overload-overlap]
    text: str, task: Tasks[Any], *, model: _Where = ..., **options: Unpack[OptionKeywords]
) -> dict[str, Any]: ...
@overload
def predict(text: str, task: SchemaLiteral, *, model: _Where = ..., **options: Unpack[OptionKeywords]) -> Record: ...  # type: ignore[overload-overlap]
@overload
def predict(  # type: ignore[overload-overlap]
    text: Sequence[str], task: Labels, *, model: _Where = ..., **options: Unpack[OptionKeywords]
) -> list[Extraction]: ...
@overload
def predict(
    text: Sequence[str], task: CompositeTask[R], *, model: _Where = ..., **options: Unpack[OptionKeywords]
) -> list[R]: ...
@overload
def predict(
    text: Sequence[str], task: Tasks[R], *, model: _Where = ..., **options: Unpack[OptionKeywords]
) -> list[dict[str, R]]: ...
@overload
def predict(
    text: Sequence[str], task: Tasks[Any], *, model: _Where = ..., **options: Unpack[OptionKeywords]
) -> list[dict[str, Any]]: ...
@overload
def predict(
    text: Sequence[str], task: SchemaLiteral, *, model: _Where = ..., **options: Unpack[OptionKeywords]
) -> list[Record]: ...
def predict(
    text: str | Sequence[str], task: TaskLike | Tasks[Any], *, model: _Where = None, **options: Unpack[OptionKeywords]
) -> Any:
    """Answer one or more tasks on one or more texts; the model stays open until another one is asked.

    Args:
        text: A text, or a list of texts.
        task: What :meth:`SeqGPT.predict` takes: a task, labels, a nested literal, or several tasks.
        model: A folder or hub id; by default ``SEQGPT_MODEL``, or the model that comes with the library.
        options: As in :meth:`SeqGPT.predict`.

    Returns:
        What :meth:`SeqGPT.predict` returns.
    """
    named = model or default_model_path()
    folder = BUNDLED_FOLDER if named == BUNDLED else expand(named)
    opened = _open(folder.resolve() if folder.exists() else named, stamp(folder))
    ask: Any = opened.predict  # mypy tries too few of the combinations
    return ask(text, task, **options)


@lru_cache(maxsize=1)
def _open(path_or_id: str | Path, _stamp: object) -> SeqGPT:
    """Open a model, or return the one that is open; another stamp means that it was saved again since."""
    return SeqGPT.from_pretrained(path_or_id)


def default_model_path() -> str:
    """Return the model to use where none is named: ``SEQGPT_MODEL``, or else the one that comes with the library."""
    return os.environ.get("SEQGPT_MODEL") or BUNDLED
