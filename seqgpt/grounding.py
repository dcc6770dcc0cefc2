"""Where answers stand in a text: from strings to spans with offsets.

No normalisation anywhere: a lower-cased or composed copy of a text has other offsets (``"İ".lower()`` is two code
points), so strings are compared as they are.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from seqgpt.errors import GroundingError, did_you_mean
from seqgpt.results import Extraction, Span
from seqgpt.tasks import AtomicTask

Mention = str | Mapping[str, Any] | Span
"""A span as users write it: the string, ``{"text": …, "start": …}``, or a ``Span``."""

_KEYS = ("text", "start", "end")


def occurrences(string: str, text: str) -> list[int]:
    """Return every index at which ``string`` stands in ``text``, overlapping ones too.

    >>> occurrences("aa", "aaa")
    [0, 1]
    """
    found, start = [], text.find(string)
    while start >= 0 and string:
        found.append(start)
        start = text.find(string, start + 1)
    return found


def locate(
    label: str, strings: Sequence[str], text: str, *, taken: Collection[tuple[int, int]] = ()
) -> tuple[list[Span], list[str]]:
    """Ground the strings of one label: the n-th mention of a string is its n-th occurrence in the text.

    A span is ``"ambiguous"`` if its string occurs more often than it is mentioned.

    Args:
        label: The label that the strings answer.
        strings: The strings, in the order of the answer.
        text: The text in which they stand.
        taken: The ``(start, end)`` of occurrences that are mentioned already, by their offsets.

    Returns:
        The spans, and the strings that do not occur (often enough) in the text.

    >>> locate("who", ["Ann", "Bob"], "Ann, Ann and Al")
    ([Span(label='who', text='Ann', start=0, end=3, score=1.0, status='ambiguous')], ['Bob'])
    """
    mentions = Counter(strings)
    places = {
        string: [start for start in occurrences(string, text) if (start, start + len(string)) not in taken]
        for string in mentions
    }
    used: Counter[str] = Counter()
    spans, lost = [], []
    for string in strings:
        nth, starts = used[string], places[string]
        used[string] += 1
        if nth >= len(starts):
            lost.append(string)
            continue
        sure = mentions[string] >= len(starts)
        start = starts[nth]
        spans.append(Span(label, string, start, start + len(string), status="exact" if sure else "ambiguous"))
    return spans, lost


def ground(task: AtomicTask, answer: Mapping[str, Sequence[Mention]], text: str) -> Extraction:
    """Turn ``{label: [mention, …]}`` into an ``Extraction``.

    Mentions with a start are placed first; strings then take the occurrences that are left, from first to last.

    Raises:
        GroundingError: If a mention is not in the text, or not at its start.
        LabelError: If a label was not asked.

    >>> ground(AtomicTask.extract(["who"]), {"who": ["Ann", {"text": "Ann", "start": 0}]}, "Ann and Ann")
    Extraction(who='Ann'[0:3] 1.00, who='Ann'[8:11] 1.00; absent: none)
    """
    spans: list[Span] = []
    for label, mentions in answer.items():
        task.require(label)
        read = [_read_mention(label, mention) for mention in mention_list(label, mentions)]
        placed = [_place(label, string, start, text) for string, start in read if start is not None]
        strings = [string for string, start in read if start is None]
        found, lost = locate(label, strings, text, taken={(span.start, span.end) for span in placed})
        if lost:
            raise GroundingError(_not_found(label, lost[0], text))
        spans += placed + found
    return Extraction.of(text, task, tuple(spans))


def mention_list(label: str, mentions: object) -> Sequence[Mention]:
    """Return the mentions of a label if they are a list; raise a ``GroundingError`` if it is one mention alone."""
    if isinstance(mentions, (str, Mapping, Span)) or not isinstance(mentions, Iterable):
        raise GroundingError(f"the spans of {label!r} must be a list, not {mentions!r}: write [] or [span, …].")
    return tuple(mentions)


def by_label(spans: Iterable[Span]) -> dict[str, list[Span]]:
    """Group spans by label, each group sorted by ``(start, end)``."""
    groups: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        groups.setdefault(span.label, []).append(span)
    return groups


def _read_mention(label: str, mention: Mention) -> tuple[str, int | None]:
    if isinstance(mention, Span):
        mention = {"text": mention.text, "start": mention.start, "end": mention.end}
    elif isinstance(mention, str):
        mention = {"text": mention}
    if not isinstance(mention, Mapping) or not isinstance(mention.get("text"), str):
        raise GroundingError(f'a span of {label!r} must be a string or {{"text": …, "start": …}}, not {mention!r}.')
    for key in mention:
        if key not in _KEYS:
            raise GroundingError(
                f"unknown key {key!r} in a span of {label!r}.{did_you_mean(str(key), _KEYS)} "
                f"Known keys: {', '.join(_KEYS)}."
            )
    string, start, end = mention["text"], mention.get("start"), mention.get("end")
    if not string:
        raise GroundingError(f"a span of {label!r} is empty: leave it out.")
    for name, value in (("start", start), ("end", end)):
        if not (value is None or type(value) is int):
            raise GroundingError(f"{name} of {string!r} of {label!r} is {value!r}: give a whole number of characters.")
    if end is not None and (start is None or start + len(string) != end):
        raise GroundingError(
            f"span {string!r} of {label!r} has {len(string)} characters, which does not fit {start}:{end}: "
            "correct start and end, or leave end out."
        )
    return string, start


def _place(label: str, string: str, start: int, text: str) -> Span:
    end = start + len(string)
    if start < 0 or text[start:end] != string:
        raise GroundingError(
            f"span {string!r} of {label!r} is not in the text at {start}:{end} (found {text[max(start, 0) : end]!r}): "
            "give its right start, counted in characters."
        )
    return Span(label, string, start, end)


def _not_found(label: str, string: str, text: str) -> str:
    seen = len(occurrences(string, text))
    if seen:
        return (
            f"span {string!r} of {label!r} is listed more often than it stands in the text ({seen}×): "
            "list it once for each place."
        )
    near = re.search(re.escape(string), text, re.IGNORECASE)
    hint = f" The text has {near[0]!r}." if near else ""
    return f"span {string!r} of {label!r} is not in the text: copy it from the text, letter by letter.{hint}"
