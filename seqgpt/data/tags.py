"""Tags and tokens end here: what comes out are spans with character offsets.

All schemes in use share their letters, so one reader serves them all:

    ============ ======= ======== ===== ========
    scheme       begin   inside   end   single
    ============ ======= ======== ===== ========
    IO           I       I        I     I
    IOB1         I (B)   I        I     I (B)      B only after a span of the same label
    IOB2, BIO    B       I        I     B
    BIOES        B       I        E     S
    BILOU        B       I        L     U
    BMES         B       M        E     S
    BMEWO        B       M        E     W
    ============ ======= ======== ===== ========

Source: malformed sequences are read as by conlleval (CoNLL-2000 shared task): an inside or end tag that continues
nothing opens a span of its own, so nothing that is tagged is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Literal, NamedTuple, get_args

from seqgpt.errors import DataError
from seqgpt.results import Span

TagScheme = Literal["IO", "IOB1", "IOB2", "BIO", "BIOES", "BILOU", "BMES", "BMEWO"]
TAG_SCHEMES: tuple[TagScheme, ...] = get_args(TagScheme)

_LANGUAGES_WITHOUT_SPACES = ("zh", "ja", "th", "lo", "km", "my")
_ROLES = {"B": "B", "I": "I", "M": "I", "E": "E", "L": "E", "S": "S", "U": "S", "W": "S"}


class TokenSpan(NamedTuple):
    """A labelled run of tokens, half-open: ``tokens[start:end]``."""

    label: str
    start: int
    end: int


class _Letters(NamedTuple):
    begin: str
    inside: str
    end: str
    single: str


_LETTERS: dict[str, _Letters] = {
    "IO": _Letters("I", "I", "I", "I"),
    "IOB1": _Letters("I", "I", "I", "I"),
    "IOB2": _Letters("B", "I", "I", "B"),
    "BIO": _Letters("B", "I", "I", "B"),
    "BIOES": _Letters("B", "I", "E", "S"),
    "BILOU": _Letters("B", "I", "L", "U"),
    "BMES": _Letters("B", "M", "E", "S"),
    "BMEWO": _Letters("B", "M", "E", "W"),
}


def tags_to_spans(tags: Sequence[str], scheme: TagScheme | None = None) -> list[TokenSpan]:
    """Read the spans of a tag sequence.

    Args:
        tags: One tag a token: ``O``, or a letter, a hyphen and a label.
        scheme: The scheme, if only its letters are to be accepted; None accepts those of all. ``"IO"`` also reads
            bare labels (``PER``), which no other scheme has.

    Raises:
        DataError: If a tag is not of the scheme.

    >>> tags_to_spans(["B-PER", "I-PER", "O", "S-LOC"])
    [TokenSpan(label='PER', start=0, end=2), TokenSpan(label='LOC', start=3, end=4)]
    """
    spans: list[TokenSpan] = []
    start, current = 0, ""
    for i, tag in enumerate(tags):
        role, label = _read_tag(tag, scheme)
        opens = role in ("B", "S") or (role != "O" and label != current)
        if current and (opens or role == "O"):
            spans.append(TokenSpan(current, start, i))
            current = ""
        if opens:
            start, current = i, label
        if role in ("E", "S"):
            spans.append(TokenSpan(current, start, i + 1))
            current = ""
    if current:
        spans.append(TokenSpan(current, start, len(tags)))
    return spans


def spans_to_tags(spans: Sequence[TokenSpan], length: int, scheme: TagScheme) -> list[str]:
    """Write spans as the tags of ``length`` tokens.

    ``tags_to_spans`` reads back the same spans, sorted by start; except in IO, where neighbours of one label merge.

    Raises:
        DataError: If spans overlap, are empty or are not within the tokens.

    >>> spans_to_tags([TokenSpan("PER", 0, 2), TokenSpan("LOC", 3, 4)], 4, "BILOU")
    ['B-PER', 'L-PER', 'O', 'U-LOC']
    """
    letters = _LETTERS[scheme]
    tags = ["O"] * length
    previous = TokenSpan("", 0, 0)
    for span in sorted(spans, key=lambda span: span.start):
        if not previous.end <= span.start < span.end <= length:
            raise DataError(f"{span} overlaps {previous} or leaves the {length} tokens: tags hold flat spans only.")
        inner = [letters.inside] * (span.end - span.start - 2)
        run = [letters.begin, *inner, letters.end] if span.end - span.start > 1 else [letters.single]
        if scheme == "IOB1" and span.start == previous.end and span.label == previous.label:
            run[0] = "B"
        tags[span.start : span.end] = [f"{letter}-{span.label}" for letter in run]
        previous = span
    return tags


def join_tokens(tokens: Sequence[str], language: str) -> tuple[str, list[int]]:
    """Join tokens to a text: those of Chinese and other scripts without spaces by nothing, others by one space.

    Returns:
        The text, and the offset of each token's first character.

    >>> join_tokens(["New", "York"], "en")
    ('New York', [0, 4])
    """
    glue = "" if language.partition("-")[0] in _LANGUAGES_WITHOUT_SPACES else " "
    starts, start = [], 0
    for token in tokens:
        starts.append(start)
        start += len(token) + len(glue)
    return glue.join(tokens), starts


def align_tokens(tokens: Sequence[str], text: str) -> list[int]:
    """Find the tokens in their text, in order, with nothing but white space between them.

    Returns:
        The offset of each token's first character.

    Raises:
        DataError: If a token is not where it should be, or the text goes on after the last token.

    >>> align_tokens(["New", "York", "!"], "New  York!")
    [0, 5, 9]
    """
    starts, end = [], 0
    for i, token in enumerate(tokens):
        start = text.find(token, end)
        if start < 0 or text[end:start].strip():
            raise DataError(
                f"token {i} {token!r} does not align with the text, which goes on with {text[end : end + 20]!r}: "
                "correct the tokens, or leave the text column out of the recipe."
            )
        starts.append(start)
        end = start + len(token)
    if text[end:].strip():
        raise DataError(f"the text goes on with {text[end : end + 20]!r} after the last token: correct the tokens.")
    return starts


def ground_tags(
    tokens: Sequence[str],
    tags: Sequence[str],
    *,
    language: str,
    text: str | None = None,
    scheme: TagScheme | None = None,
) -> tuple[str, list[Span]]:
    """Turn a tagged sentence into a text and its spans, under the labels that the tags have.

    Args:
        tokens: The tokens.
        tags: One tag a token.
        language: Decides how tokens are joined where there is no text.
        text: The original text, if known; the tokens are aligned in it.
        scheme: The tag scheme, see :func:`tags_to_spans`.

    Raises:
        DataError: If there is not one tag a token, a token is empty, a tag is unknown or a token does not align.

    >>> ground_tags(["in", "New", "York"], ["O", "B-LOC", "I-LOC"], language="en")
    ('in New York', [Span(label='LOC', text='New York', start=3, end=11, score=1.0, status='exact')])
    """
    if len(tokens) != len(tags):
        raise DataError(f"{len(tokens)} tokens have {len(tags)} tags: give one tag a token.")
    if "" in tokens:
        raise DataError(f"token {list(tokens).index('')} is empty: leave it out, with its tag.")
    if text is None:
        text, starts = join_tokens(tokens, language)
    else:
        starts = align_tokens(tokens, text)
    spans = []
    for label, first, stop in tags_to_spans(tags, scheme):
        start, end = starts[first], starts[stop - 1] + len(tokens[stop - 1])
        spans.append(Span(label, text[start:end], start, end))
    return text, spans


@lru_cache(maxsize=4096)
def _read_tag(tag: str, scheme: TagScheme | None) -> tuple[str, str]:
    if tag == "O":
        return "O", ""
    letter, hyphen, label = tag.partition("-")
    if hyphen and label and letter in _ROLES and (scheme is None or letter in (*_LETTERS[scheme], *_extra(scheme))):
        return _ROLES[letter], label
    if scheme == "IO" and tag:
        return "I", tag
    known = sorted({*_LETTERS[scheme], *_extra(scheme)}) if scheme else list(_ROLES)
    raise DataError(
        f"tag {tag!r} is not of scheme {scheme or 'BIO or a relative of it'}: write O, or one of "
        f"{', '.join(known)}, a hyphen and a label."
    )


def _extra(scheme: TagScheme) -> tuple[str, ...]:
    return ("B",) if scheme == "IOB1" else ()
