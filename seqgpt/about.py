"""What a task is about, where it is not the whole text: words, or a place in the text.

The sentence that a text may entail, the question that options answer, the aspect that is praised, the two mentions
between which a relation holds: the text is read with these beside it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Protocol, runtime_checkable

from seqgpt.errors import GroundingError, LabelError, shown
from seqgpt.texts import half_surrogate


class Place(NamedTuple):
    """A string of the text, and the index of its first character."""

    text: str
    start: int


@runtime_checkable
class Placed(Protocol):
    """Whatever stands somewhere in the text, such as a ``Span``."""

    @property
    def text(self) -> str:
        """The string."""

    @property
    def start(self) -> int:
        """Index of its first character."""


About = str | Place
"""Words; or a place, where it matters which occurrence of a string is meant."""

AboutLike = str | Placed | Mapping[str, Any]
"""What users write: words, a ``Span``, or ``{"text": …, "start": …}``."""


def as_about(given: AboutLike | Iterable[AboutLike]) -> tuple[About, ...]:
    """Read what a task is about: one thing, or several in order.

    Raises:
        LabelError: If one is empty, or neither words nor a place.

    >>> as_about("battery life"), as_about([{"text": "Ann", "start": 4}, "Bob"])
    (('battery life',), (Place(text='Ann', start=4), 'Bob'))
    """
    if isinstance(given, str | Placed | Mapping):
        return (_read(given),)
    if not isinstance(given, Iterable):
        raise LabelError(f"about is {shown(given)}: give words, a span, or a list of these.")
    return tuple(_read(one) for one in given)


def wording(about: About) -> str:
    """Return the words alone, wherever they stand."""
    return about.text if isinstance(about, Place) else about


def check_places(about: Iterable[About], text: str) -> None:
    """Raise a ``GroundingError`` for the first place that is not in a text."""
    for one in about:
        if isinstance(one, Place) and not text.startswith(one.text, one.start):
            raise GroundingError(
                f"{one.text!r}, which the task is about, is not in the text at {one.start}: give its right start, "
                "counted in characters."
            )


def about_to_json(about: tuple[About, ...]) -> list[str | dict[str, Any]]:
    """Return what a task is about as plain JSON values, which :func:`as_about` reads back."""
    return [one._asdict() if isinstance(one, Place) else one for one in about]


def _read(given: object) -> About:
    if isinstance(given, Mapping):
        text, start = given.get("text"), given.get("start")
        unknown = set(given) - {"text", "start", "end"}
    elif isinstance(given, str):
        text, start, unknown = given, None, set()
    elif isinstance(given, Placed):
        text, start, unknown = given.text, given.start, set()
    else:
        text, start, unknown = None, None, set()
    if not isinstance(text, str) or unknown or not (start is None or (type(start) is int and start >= 0)):
        raise LabelError(
            f'a task cannot be about {shown(given)}: give words, a span, or {{"text": …, "start": …}}, where start is '
            "the index of its first character."
        )
    if not text.strip():
        raise LabelError("what a task is about is empty: name it, or leave about out.")
    if half_surrogate(text) is not None:
        raise LabelError(f"about {shown(text)} has half of a surrogate pair: decode it with errors='replace' first.")
    return text if start is None else Place(text, start)
