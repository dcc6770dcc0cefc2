"""Where answers stand in a text: from strings to spans with offsets.

No normalisation anywhere: a lower-cased or composed copy of a text has other offsets (``"İ".lower()`` is two code
points), so strings are compared as they are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seqgpt.errors import GroundingError, did_you_mean
from seqgpt.results import Extraction, Span
from seqgpt.tasks import AtomicTask

Mention = str | Mapping[str, Any] | Span
"""A span as users write it: the string, ``{"text": …, "start": …}``, or a ``Span``."""


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


def locate(label: str, strings: Sequence[str], text: str) -> tuple[list[Span], list[str]]:
    """Ground the strings of one label: the n-th mention of a string is its n-th occurrence in the text.

    A span is ``"ambiguous"`` if its string occurs more often than it is mentioned.

    Returns:
        The spans, and the strings that do not occur (often enough) in the text.
    """
    mentions = Counter(strings)
    places = {string: occurrences(string, text) for string in mentions}
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

    Raises:
        GroundingError: If a mention is not in the text, or not at its start.
        LabelError: If a label was not asked.
    """
    spans: list[Span] = []
    for label, mentions in answer.items():
        task.require(label)
        if isinstance(mentions, (str, Mapping)):
            raise GroundingError(f"the spans of {label!r} must be a list: write [{mentions!r}].")
        read = [_read_mention(label, mention) for mention in mentions]
        spans += [_place(label, string, start, text) for string, start in read if start is not None]
        found, lost = locate(label, [string for string, start in read if start is None], text)
        if lost:
            raise GroundingError(_not_found(label, lost[0], text))
        spans += found
    return Extraction.of(text, task, tuple(spans))


def by_label(spans: Iterable[Span]) -> dict[str, list[Span]]:
    """Group spans by label, each group sorted by ``(start, end)``."""
    groups: dict[str, list[Span]] = {}
    for span in sorted(spans, key=lambda span: (span.start, span.end)):
        groups.setdefault(span.label, []).append(span)
    return groups


def _read_mention(label: str, mention: Mention) -> tuple[str, int | None]:
    if isinstance(mention, Span):
        return mention.text, mention.start
    if isinstance(mention, str):
        string, start = mention, None
    else:
        unknown = [key for key in mention if key not in ("text", "start", "end")]
        if unknown or not isinstance(mention.get("text"), str):
            hint = did_you_mean(unknown[0], ["text", "start"]) if unknown else ""
            raise GroundingError(
                f'a span of {label!r} must be a string or {{"text": …, "start": …}}, not {mention!r}.{hint}'
            )
        string, start = mention["text"], mention.get("start")
    if not string:
        raise GroundingError(f"a span of {label!r} is empty: leave it out.")
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
        return f"span {string!r} of {label!r} is listed more often than the {seen} times it stands in the text: list it once for each."
    near = text.lower().find(string.lower())
    hint = f" The text has {text[near : near + len(string)]!r}." if near >= 0 and text.isascii() else ""
    return f"span {string!r} of {label!r} is not in the text: copy it from the text, letter by letter.{hint}"
