"""Typing: of which type each of some given mentions is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from seqgpt.about import About, AboutLike, Place, as_about, wording
from seqgpt.composite.base import Steps, classifications, label_set, notes
from seqgpt.composite.result import CompositeResult, Plain
from seqgpt.errors import GroundingError, LabelError, shown
from seqgpt.questions import typing_question
from seqgpt.tasks import Labels


@dataclass(frozen=True)
class TypedMention(Plain):
    """A mention with its types.

    Attributes:
        text: The mention, verbatim.
        start: Index of its first character in the text.
        end: Index after its last character.
        types: The types that hold; none where "none of these" is the answer.
        scores: Probability of each type.
    """

    text: str
    start: int
    end: int
    types: tuple[str, ...]
    scores: Mapping[str, float] = field(hash=False)

    @property
    def type(self) -> str | None:
        """The most probable of the types that hold; None if none does."""
        return max(self.types, key=lambda each: self.scores[each], default=None)


@dataclass(frozen=True, repr=False)
class Typing(CompositeResult):
    """The mentions of a text with their types, in the order in which they were given."""

    mentions: tuple[TypedMention, ...]


@dataclass(frozen=True)
class TypingTask:
    """Asks for the types of mentions; built by :func:`typing`."""

    types: Labels = field(hash=False)
    mentions: tuple[About, ...]
    multi_label: bool
    none: bool
    name: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The types."""
        return tuple(self.types)

    def steps(self, text: str) -> Steps[Typing]:
        """Ask for the types of all mentions at once."""
        places = [find(mention, text) for mention in self.mentions]
        answers = yield from classifications(
            [typing_question(place, self.types, multi_label=self.multi_label, none=self.none) for place in places]
        )
        typed = [
            TypedMention(*place, place.start + len(place.text), answer.labels, answer.scores)
            for place, answer in zip(places, answers, strict=True)
        ]
        return Typing(text, tuple(typed), **notes(answers))


def typing(
    types: Labels,
    mentions: AboutLike | Iterable[AboutLike],
    *,
    multi_label: bool = False,
    none: bool = False,
    name: str = "typing",
) -> TypingTask:
    """Ask of which type each mention is.

    Args:
        types: A list of types, or ``{type: description}``.
        mentions: Strings of the text, of which the first occurrence is meant; spans; or ``{"text": …, "start": …}``.
        multi_label: A mention may be of several types, or of none.
        none: A mention is of one type, or "none of these".
        name: The key of the result when several tasks are asked at once.

    Raises:
        LabelError: If there are no mentions, or a type is empty or repeated.

    >>> typing(["city", "person"], mentions=["Shanghai", "Tim Cook"]).labels
    ('city', 'person')
    """
    given = as_about(mentions)
    if not given:
        raise LabelError("there are no mentions: give at least one string of the text.")
    typing_question("mention", types, multi_label=multi_label, none=none)  # which checks that they go together
    return TypingTask(label_set(types), given, multi_label, none, name)


def find(mention: About, text: str) -> Place:
    """Return where a mention stands; of words without a place, their first occurrence.

    Raises:
        GroundingError: If it is not in the text.

    >>> find("Ann", "Bob and Ann")
    Place(text='Ann', start=8)
    """
    words = wording(mention)
    start = mention.start if isinstance(mention, Place) else text.find(words)
    if start < 0 or not text.startswith(words, start):
        where = f" at {start}" if start >= 0 else ""
        raise GroundingError(f"{shown(words)} is not in the text{where}: copy it from there, letter by letter.")
    return Place(words, start)
