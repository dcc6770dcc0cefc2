"""The library's own answer language: every structural mark is one special token, so nothing is ambiguous.

The prompt has the shape of the paper's (text, task, labels, begin of answer), each part opened by its mark::

    <|text|> Tim Cook visited Shanghai.<|extract|><|label|> person<|label|> place<|label|> date<|answer|>

and the answer has one part for each label, which says something of that label only::

    extraction      person<|is|> Tim Cook<|end|> place<|is|> Shanghai<|end|> date<|is|><|none|>
    several labels  praise<|is|><|yes|> complaint<|is|><|none|>
    one label       praise<|end|>          or, where "none of these" is allowed, <|none|>

Spans of a label stand in text order, ``(start, end)`` ascending, separated by ``<|next|>``. A string stands for its
first occurrence after the span before it; ``<|skip|>`` in front passes over one occurrence. So any set of spans of any
text is written in exactly one way, and read back with its offsets.

Words that do not begin with a character of a script without spaces are led by one space, because the vocabularies of
causal language models hold words in that form (a label, a span and the same words in the text are the same tokens).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from seqgpt.errors import AnswerError, GroundingError
from seqgpt.grounding import by_label, occurrences
from seqgpt.rendered import Mark, Piece, Rendered, is_mark
from seqgpt.results import Classification, Extraction, Result, Span
from seqgpt.tasks import AtomicTask
from seqgpt.templates.base import Gold, gold_labels, gold_spans, gold_strings

TEXT, EXTRACT, CLASSIFY, SELECT = Mark("<|text|>"), Mark("<|extract|>"), Mark("<|classify|>"), Mark("<|select|>")
LABEL, MEANS, ANSWER = Mark("<|label|>"), Mark("<|means|>"), Mark("<|answer|>")
IS, NEXT, SKIP, END = Mark("<|is|>"), Mark("<|next|>"), Mark("<|skip|>"), Mark("<|end|>")
NONE, YES = Mark("<|none|>"), Mark("<|yes|>")

MARKS: dict[Mark, str] = {
    TEXT: "text 文本",
    EXTRACT: "extract 抽取",
    CLASSIFY: "classify 分类",
    SELECT: "select 选择",
    LABEL: "label 标签",
    MEANS: "means 意思",
    ANSWER: "answer 输出",
    IS: "is 是",
    NEXT: "and 和",
    SKIP: "skip 跳过",
    END: "end 结束",
    NONE: "none 无",
    YES: "yes 有",
}
"""Every mark, with the words whose mean embedding a pre-trained model starts it from."""

# Scripts written without spaces: CJK punctuation, kana, Han (with extensions) and full-width forms. Hangul has spaces.
NO_SPACE_BEFORE = re.compile(
    "[\u3000-\u30ff\u3100-\u312f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]"
)


def lead(words: str) -> str:
    """Put the space in front of words that are written with one.

    >>> lead("person"), lead("人物")
    (' person', '人物')
    """
    return words if NO_SPACE_BEFORE.match(words) else " " + words


def unlead(words: str) -> str:
    """Undo :func:`lead`."""
    return words[1:] if words.startswith(" ") else words


class MarksTemplate:
    """The lossless template ``seqgpt-marks-1``."""

    name = "seqgpt-marks-1"

    def prompt(self, task: AtomicTask, text: str) -> Rendered:
        """Render text, task and label list, up to the mark that begins the answer."""
        pieces: list[Piece] = [TEXT, lead(text), opening(task)]
        for label in task.labels:
            pieces += [LABEL, lead(label)]
            if label in task.descriptions:
                pieces += [MEANS, lead(task.descriptions[label])]
        if task.none:
            pieces.append(NONE)
        return Rendered.join([*pieces, ANSWER])

    def answer(self, task: AtomicTask, gold: Gold, text: str | None) -> Rendered:
        """Render the answers of all labels, one after another."""
        if task.kind == "extract":
            lines = _extraction_lines(task, gold, text)
            return Rendered.join(p for label in task.labels for p in (*cue(label), *lines[label]))
        result = gold_labels(task, gold, text)
        if task.multi_label:
            return Rendered.join(
                p for label in task.labels for p in (*cue(label), YES if label in result.labels else NONE)
            )
        return Rendered.join(choice(result.labels[0]) if result.labels else [NONE])

    def parse(self, task: AtomicTask, answer: str, text: str) -> Result:
        """Read an answer; every label must be answered once, in any order."""
        pieces, raw = Rendered.read(answer).pieces, str(answer)
        if task.kind == "extract":
            lines = _read_lines(task, pieces, (NONE, END))
            spans = [span for label, line in lines.items() for span in read_spans(label, line, text)]
            return Extraction.of(text, task, tuple(spans), raw=raw)
        if task.multi_label:
            held = [label for label, line in _read_lines(task, pieces, (NONE, YES)).items() if _read_yes(label, line)]
            return Classification.of(text, task, tuple(held), raw=raw)
        return Classification.of(text, task, _read_choice(task, pieces), raw=raw)


def opening(task: AtomicTask) -> Mark:
    """Return the mark that opens the label list, one for each kind of answer."""
    if task.kind == "extract":
        return EXTRACT
    return SELECT if task.multi_label else CLASSIFY


def cue(label: str) -> tuple[Piece, ...]:
    """Return what begins a label's own answer: it is known beforehand, so a model never has to write it."""
    return lead(label), IS


def choice(label: str) -> tuple[Piece, ...]:
    """Return the whole answer of a single-label task."""
    return lead(label), END


def write_spans(spans: Sequence[Span], text: str) -> list[Piece]:
    """Render the spans of one label, in text order, with a skip mark for every occurrence passed over."""
    pieces: list[Piece] = []
    before = (-1, -1)
    for span in spans:
        skipped = [s for s in occurrences(span.text, text) if before < (s, s + len(span.text)) < (span.start, span.end)]
        pieces += [NEXT] * bool(pieces) + [SKIP] * len(skipped) + [lead(span.text)]
        before = (span.start, span.end)
    return [*pieces, END] if pieces else [NONE]


def read_spans(label: str, pieces: Sequence[Piece], text: str) -> list[Span]:
    """Read what :func:`write_spans` wrote.

    Raises:
        AnswerError: If marks and words do not follow one another as they should.
        GroundingError: If a string does not occur (again) after the span before it.
    """
    if len(pieces) == 1 and is_mark(pieces[0], NONE):
        return []
    if not pieces or not is_mark(pieces[-1], END):
        raise AnswerError(f"the answer of {label!r} does not end with {END}: is it cut off?")
    spans: list[Span] = []
    before, skips = (-1, -1), 0
    expect_words = True
    for i, piece in enumerate(pieces):
        if expect_words and is_mark(piece, SKIP):
            skips += 1
        elif expect_words and not is_mark(piece):
            spans.append(place(label, unlead(piece), text, before, skips))
            before, skips, expect_words = (spans[-1].start, spans[-1].end), 0, False
        elif not expect_words and is_mark(piece, END if i == len(pieces) - 1 else NEXT):
            expect_words = True
        else:
            raise AnswerError(f"unexpected {str(piece)!r} in the answer of {label!r}: is it of another template?")
    return spans


def place(label: str, string: str, text: str, before: tuple[int, int], skips: int) -> Span:
    """Return the occurrence of a string that its place in the answer and its skip marks say."""
    later = [start for start in occurrences(string, text) if (start, start + len(string)) > before]
    if len(later) <= skips:
        raise GroundingError(f"span {string!r} of {label!r} does not occur in the text where the answer says it does.")
    return Span(label, string, later[skips], later[skips] + len(string))


def _read_lines(task: AtomicTask, pieces: Sequence[Piece], closing: tuple[Mark, ...]) -> dict[str, Sequence[Piece]]:
    lines: dict[str, Sequence[Piece]] = {}
    start = 0
    while start < len(pieces):
        stop = next((i for i in range(start, len(pieces)) if is_mark(pieces[i], *closing)), None)
        if stop is None or stop < start + 2 or is_mark(pieces[start]) or not is_mark(pieces[start + 1], IS):
            raise AnswerError(
                f"{str(Rendered.join(pieces[start:]))!r} is not a label, {IS} and its answer: "
                "is it cut off, or of another template?"
            )
        label = unlead(pieces[start])
        task.require(label)
        if label in lines:
            raise AnswerError(f"label {label!r} is answered twice: keep one of the answers.")
        lines[label] = pieces[start + 2 : stop + 1]
        start = stop + 1
    for label in task.labels:
        if label not in lines:
            absent = Rendered.join([*cue(label), NONE])
            raise AnswerError(f"label {label!r} is not answered: write {str(absent)!r} if it is absent.")
    return lines


def _read_yes(label: str, line: Sequence[Piece]) -> bool:
    if len(line) != 1:
        raise AnswerError(
            f"the answer of {label!r} is {str(Rendered.join(line))!r}: it must be {YES} or {NONE}, and nothing else."
        )
    return is_mark(line[0], YES)


def _read_choice(task: AtomicTask, pieces: Sequence[Piece]) -> tuple[str, ...]:
    if task.none and len(pieces) == 1 and is_mark(pieces[0], NONE):
        return ()
    if len(pieces) != 2 or is_mark(pieces[0]) or not is_mark(pieces[1], END):
        raise AnswerError(
            f"{str(Rendered.join(pieces))!r} is not one label and {END}: is it cut off, or of another template?"
        )
    return (unlead(pieces[0]),)


def _extraction_lines(task: AtomicTask, gold: Gold, text: str | None) -> dict[str, list[Piece]]:
    if text is None and not isinstance(gold, Extraction):
        strings = gold_strings(task, gold)
        return {label: _without_text(strings.get(label, [])) for label in task.labels}
    extraction = gold_spans(task, gold, text)
    groups = by_label(extraction.spans)
    return {label: write_spans(groups.get(label, []), extraction.text) for label in task.labels}


def _without_text(strings: Sequence[str]) -> list[Piece]:
    if not strings:
        return [NONE]
    pieces: list[Piece] = []
    for string in strings:
        pieces += [NEXT] * bool(pieces) + [lead(string)]
    return [*pieces, END]
