"""What of a teacher's answer holds water; all else is rejected, each with its reason.

A label set that is left is one example: its mentions stand in the text, its labels are labels, and its near misses are
not what holds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from seqgpt.about import Place
from seqgpt.data.label_book import implies
from seqgpt.results import Span
from seqgpt.synth.alignment import Found, find_mention
from seqgpt.synth.answers import LabelSet, Said, read_answer
from seqgpt.synth.label_space import merge_key, normalise
from seqgpt.texts import HAN, half_surrogate

REFUSED = "answer: refused"
NO_JSON = "answer: not JSON"
CUT_OFF = "answer: cut off"
NO_SET = "label set: nothing left of it"
NOT_ASKED = "mention: not asked"
NOT_THERE = "mention: not in the text"
IN_A_WORD = "mention: only part of a word"
NO_MENTION = "mention: empty"
EMPTY = "label: empty"
A_SENTENCE = "label: a sentence"
THE_MENTION = "label: the mention itself"
THE_TEXT = "label: the text itself"
SAYS_NOTHING = "label: says nothing"
OTHER_LANGUAGE = "label: in the other language"
NO_LABEL = "label: no words"
HOLDS_TOO = "near miss: holds too"

REASONS: Mapping[str, str] = {
    REFUSED: "the teacher would not answer",
    NO_JSON: "nothing could be read, even after repair",
    CUT_OFF: "max_tokens was too small: the last label set is incomplete",
    NO_SET: "after all other rejections",
    NOT_ASKED: "types of a mention that was not given",
    NOT_THERE: "not even with other case, width, accents, quotes or spaces",
    IN_A_WORD: "its letters stand only within longer words",
    NO_MENTION: "",
    EMPTY: "",
    A_SENTENCE: "more than eight words or fifteen Chinese characters, or the marks of a sentence",
    THE_MENTION: "a type that repeats what it is of",
    THE_TEXT: "a class that repeats the text",
    SAYS_NOTHING: "other, unknown, none and the like",
    OTHER_LANGUAGE: "Chinese for an English text, or no Chinese for a Chinese one",
    NO_LABEL: "numbers, marks or code",
    HOLDS_TOO: "the same as a label that holds, also by another set of the answer, or implied by one",
}
"""Every reason for a rejection, with what it means."""

_REPAIRED = "answer repaired"
_ALIGNED = "mention aligned"
_REMEMBERED = 100_000  # labels, most of which come again and again
_MANY_WORDS, _MANY_CHARACTERS = 8, 15
_SENTENCE = re.compile(r"[。！？；\n]|[.!?;]\s|\w\w[.!?]$")
_CODE = re.compile(r"[{}\[\]<>=\\|]")
_LETTERS = re.compile(r"[^\W\d_]")
_NOTHING = re.compile(
    r"(?i)^(others?|none|n/?a|null|unknown|unspecified|misc(ellaneous)?|labels?|type|class|category|entity|"
    r"near miss(es)?|none of (these|the above)|其他|其它|其余|未知|无|没有|不详|标签|类型|类别|实体)$"
)


@dataclass(frozen=True)
class CleanSet:
    """A label set that became an example.

    Attributes:
        task: ``"classify"``, ``"ner"`` or ``"typing"``.
        held: The labels that hold, with what they mean; of entities, the types.
        absent: The near misses, with what they mean.
        spans: The mentions, of entities.
        about: The mention whose types these are, of typing.
    """

    task: str
    held: Mapping[str, str]
    absent: Mapping[str, str]
    spans: tuple[Span, ...] = ()
    about: Place | None = None


@dataclass
class Cleaned:
    """What became of an answer.

    Attributes:
        sets: What is left.
        rejected: Reason and what was rejected, in the words of the teacher.
        repaired: How often something was put right, by what it was.
    """

    sets: list[CleanSet] = field(default_factory=list)
    rejected: list[tuple[str, Any]] = field(default_factory=list)
    repaired: Counter[str] = field(default_factory=Counter)

    def reject(self, reason: str, what: Any) -> None:
        """Note a rejection."""
        self.rejected.append((reason, what))


def clean_answer(
    content: str, finish: str, task: str, text: str, language: str, mentions: Sequence[Place] = ()
) -> Cleaned:
    """Clean an answer.

    Args:
        content: The answer.
        finish: Why it ended.
        task: What was asked.
        text: The text.
        language: The language of the text, in which labels must be.
        mentions: The mentions whose types were asked.
    """
    cleaned = Cleaned()
    if finish in ("refused", "content_filter") or not (content.strip() or finish == "length"):
        cleaned.reject(REFUSED, content)
        return cleaned
    sets, plain = read_answer(content, task)
    if finish == "length":
        cleaned.reject(CUT_OFF, content[-80:])
    if sets is None:
        if finish != "length":
            cleaned.reject(NO_JSON, content)
        return cleaned
    cleaned.repaired[_REPAIRED] += not plain
    for given in sets:
        clean_set(given, task, text, language, mentions, cleaned)
    cleaned.sets = [kept for one in cleaned.sets if (kept := _without_contradiction(one, cleaned))]
    return cleaned


def clean_set(
    given: LabelSet, task: str, text: str, language: str, mentions: Sequence[Place], cleaned: Cleaned
) -> None:
    """Clean one label set, and add what is left of it to ``cleaned``."""
    about: Place | None = None
    spans: tuple[Span, ...] = ()
    if task == "typing":
        about = next((place for place in mentions if merge_key(place.text) == merge_key(given.mention)), None)
        if about is None:
            cleaned.reject(NOT_ASKED, given.mention)
            return
    itself = {merge_key(about.text): THE_MENTION} if about else {merge_key(text): THE_TEXT}
    if task == "ner":
        spans = _spans(given.entities, text, language, cleaned)
        meanings = {merge_key(one.label): one.description for one in given.labels}
        held = {span.label: meanings.get(merge_key(span.label), "") for span in spans}
    else:
        held = _labels(given.labels, language, itself, cleaned)
    absent = _near_misses(given.near_misses, held, language, itself, cleaned)
    if held or (task == "ner" and absent):
        cleaned.sets.append(CleanSet(task, _described(held, language), _described(absent, language), spans, about))
    else:
        cleaned.reject(NO_SET, given.mention)


@lru_cache(maxsize=_REMEMBERED)
def wrong_label(label: str, language: str) -> str:
    """Return why a label, as it is written now, is none; an empty string if it is one."""
    chinese = bool(HAN.search(label))
    if not label:
        return EMPTY
    if half_surrogate(label) is not None or not _LETTERS.search(label) or _CODE.search(label):
        return NO_LABEL
    if _SENTENCE.search(label) or (len(label) > _MANY_CHARACTERS if chinese else len(label.split()) > _MANY_WORDS):
        return A_SENTENCE
    if _NOTHING.match(label):
        return SAYS_NOTHING
    return OTHER_LANGUAGE if chinese != (language == "zh") else ""


def _labels(given: Sequence[Said], language: str, itself: Mapping[str, str], cleaned: Cleaned) -> dict[str, str]:
    """Return labels as they are written now, each once, with what they mean."""
    kept: dict[str, str] = {}
    keys: set[str] = set()
    for one in given:
        label = normalise(one.label)
        reason = _wrong(one.label, label, language) or itself.get(merge_key(label), "")
        if reason:
            cleaned.reject(reason, one.label)
        elif merge_key(label) not in keys:
            keys.add(merge_key(label))
            kept[label] = one.description
    return kept


def _wrong(written: str, label: str, language: str) -> str:
    """Return why a label is none; the marks of a sentence are seen as they were written."""
    return (
        A_SENTENCE if label and len(label) > 30 and _SENTENCE.search(written.strip()) else wrong_label(label, language)
    )


def _without_contradiction(given: CleanSet, cleaned: Cleaned) -> CleanSet | None:
    """Return a label set without those near misses that hold by another set of the answer; None if nothing is left."""
    others = [label for one in cleaned.sets if one is not given and one.about == given.about for label in one.held]
    wrong = {miss for miss in given.absent if _holds(miss, others)}
    for miss in sorted(wrong):
        cleaned.reject(HOLDS_TOO, miss)
    if not given.held and len(wrong) == len(given.absent):
        cleaned.reject(NO_SET, "")
        return None
    return replace(given, absent={label: words for label, words in given.absent.items() if label not in wrong})


def _holds(label: str, held: Iterable[str]) -> bool:
    """Tell whether a label holds where others do: it means the same as one of them, or is its parent."""
    key = merge_key(label)
    return any(merge_key(one) == key or implies(one, label) for one in held)


def _near_misses(
    given: Sequence[Said], held: Mapping[str, str], language: str, itself: Mapping[str, str], cleaned: Cleaned
) -> dict[str, str]:
    kept = {}
    for label, meaning in _labels(given, language, itself, cleaned).items():
        if _holds(label, held):
            cleaned.reject(HOLDS_TOO, label)
        else:
            kept[label] = meaning
    return kept


def _spans(entities: Sequence[tuple[str, str]], text: str, language: str, cleaned: Cleaned) -> tuple[Span, ...]:
    """Return every place of every mention under its type; of one within longer ones, where it is alone."""
    found: dict[tuple[str, str], Found] = {}
    names: dict[str, str] = {}  # one spelling of a type in an answer
    for mention, kind in entities:
        label = normalise(kind)
        reason = NO_MENTION if not mention.strip() else _wrong(kind, label, language)
        if not reason and merge_key(label) == merge_key(mention):
            reason = THE_MENTION
        place = Found(()) if reason else find_mention(mention, text)
        if not reason and not place.places:
            reason = IN_A_WORD if place.inside_words else NOT_THERE
        if reason:
            cleaned.reject(reason, [mention, kind])
            continue
        cleaned.repaired[_ALIGNED] += not place.exact
        found[names.setdefault(merge_key(label), label), mention.strip()] = place
    taken = [(one.start, one.start + len(one.text)) for place in found.values() for one in place.places]
    spans = {
        Span(label, one.text, one.start, one.start + len(one.text))
        for (label, _), place in found.items()
        for one in _alone(place.places, taken)
    }
    return tuple(sorted(spans, key=lambda span: (span.start, span.end, span.label)))


def _alone(places: Sequence[Place], taken: Sequence[tuple[int, int]]) -> Sequence[Place]:
    """Return those places that are not within a longer mention; all of them if all are."""
    alone = [
        one
        for one in places
        if not any(
            start <= one.start and one.start + len(one.text) <= end and end - start > len(one.text)
            for start, end in taken
        )
    ]
    return alone or places


def _described(labels: Mapping[str, str], language: str) -> dict[str, str]:
    """Return labels with those descriptions that say more than their names, in the language of the text."""
    return {label: _meaning(label, words, language) for label, words in labels.items()}


def _meaning(label: str, words: str, language: str) -> str:
    words = " ".join(words.split())
    fits = bool(HAN.search(words)) == (language == "zh") and half_surrogate(words) is None
    return words if fits and merge_key(words) != merge_key(label) else ""
