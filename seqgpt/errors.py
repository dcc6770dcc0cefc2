"""Every error that seqgpt raises on purpose.

    SeqGPTError                 the root: catch this one to catch all
    ├── LabelError              labels that are empty, repeated, unknown or that a template cannot write
    ├── TextError               a text that is empty, not text, or longer than the model reads
    ├── GroundingError          a span that is not in its text
    ├── AnswerError             an answer that is not of its template's language
    ├── DataError               a file or a row that cannot be read
    ├── ConfigError             a recipe or a run config with unknown keys or wrong values
    ├── ModelError              a folder that is not a model, or a model of another template
    └── RunError                a run directory that cannot be used

All but the last two are also ``ValueError``: they speak of an argument's value.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

_MOST_SHOWN = 100  # characters of a value in a message


class SeqGPTError(Exception):
    """The root of all errors that seqgpt raises on purpose."""


class LabelError(SeqGPTError, ValueError):
    """Labels that are empty, repeated, unknown, or that a template cannot write."""


class TextError(SeqGPTError, ValueError):
    """A text that is empty, not text, or longer than the model reads."""


class GroundingError(SeqGPTError, ValueError):
    """A span that is not in its text."""


class AnswerError(SeqGPTError, ValueError):
    """An answer that is not of its template's language."""


class DataError(SeqGPTError, ValueError):
    """A file or a row that cannot be read."""


class ConfigError(SeqGPTError, ValueError):
    """A recipe or a run config with unknown keys or wrong values."""


class ModelError(SeqGPTError):
    """A folder that is not a model, or a model of another template."""


class RunError(SeqGPTError):
    """A run directory that cannot be used."""


def shown(value: object) -> str:
    """Return how a message shows a value that someone gave: ``repr``, in its middle cut where it is long.

    >>> shown("person"), len(shown("person" * 1000)) < 100
    ("'person'", True)
    """
    full = repr(value)
    return full if len(full) <= _MOST_SHOWN else f"{full[: _MOST_SHOWN - 20]} … {full[-10:]}"


@contextmanager
def told_of(number: int | None) -> Iterator[None]:
    """Say in an error which text it is of; nothing for None, where there is only one.

    >>> with told_of(2):
    ...     raise TextError("the text is empty.")
    Traceback (most recent call last):
    seqgpt.errors.TextError: text 2: the text is empty.
    """
    try:
        yield
    except (TextError, GroundingError) as error:
        if number is None:
            raise
        raise type(error)(f"text {number}: {error}") from None


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" Did you mean 'labels'?"`` for the known word nearest to ``word``, or an empty string.

    >>> did_you_mean("lables", ["labels", "text"])
    " Did you mean 'labels'?"
    >>> did_you_mean("zzz", ["labels", "text"])
    ''
    """
    if len(word) > _MOST_SHOWN:
        return ""
    near = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f" Did you mean {near[0]!r}?" if near else ""
