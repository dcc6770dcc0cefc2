"""The library's own answer language: every structural mark is one special token, so nothing is ambiguous.

The prompt has the shape of the paper's (text, task, begin of answer), each part opened by its mark::

    <|text|> Tim Cook visited Shanghai.<|extract|><|answer|>

and the answer has one part for each label, which begins with the label and says something of that label only::

    extraction      person<|is|> Tim Cook<|end|> Ann<|end|> place<|is|> Shanghai<|end|> date<|is|><|none|>
    several labels  praise<|is|><|yes|> complaint<|is|><|none|>
    one label       praise<|end|>          or, where "none of these" is allowed, <|none|>

The spans of a label are a set: each is written by itself, and means the same whatever stands before it. A string
stands for its first occurrence in the text; each ``<|skip|>`` after it passes over one. Written in text order,
``(start, end)`` ascending, any set of spans of any text has exactly one answer, and is read back with its offsets.

The labels are not listed in the prompt, as they are in the paper's: so what is said of a label does not depend on which
others are asked, nor how many. Only labels with a description stand there, to say what they mean::

    <|text|> The soup was cold.<|classify|><|label|> praise<|means|> the guest is pleased<|answer|>

What a task is about stands behind the text, so that tasks on one text begin alike; the place of a string is told by
skips, as in an answer::

    <|text|> Ann met Bob, and Ann left.<|about|> Ann<|skip|><|about|> Bob<|classify|><|answer|>

Words that do not begin with a character of a script without spaces are led by one space, because the vocabularies of
causal language models hold words in that form (a label, a span and the same words in the text are the same tokens).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from seqgpt.about import Place, Placed, wording
from seqgpt.errors import AnswerError, GroundingError
from seqgpt.grounding import by_label, occurrences
from seqgpt.rendered import Mark, Piece, Rendered, is_mark
from seqgpt.results import Classification, Extraction, Result, Span
from seqgpt.tasks import AtomicTask, TaskKind
from seqgpt.templates.base import Gold, gold_labels, gold_spans, gold_strings

TEXT, ABOUT = Mark("<|text|>"), Mark("<|about|>")
EXTRACT, CLASSIFY, SELECT = Mark("<|extract|>"), Mark("<|classify|>"), Mark("<|select|>")
LABEL, MEANS, ANSWER = Mark("<|label|>"), Mark("<|means|>"), Mark("<|answer|>")
IS, SKIP, END = Mark("<|is|>"), Mark("<|skip|>"), Mark("<|end|>")
NONE, YES = Mark("<|none|>"), Mark("<|yes|>")

MARKS: dict[Mark, str] = {
    TEXT: "text 文本",
    ABOUT: "about 关于",
    EXTRACT: "extract 抽取",
    CLASSIFY: "classify 分类",
    SELECT: "select 选择",
    LABEL: "label 标签",
    MEANS: "means 意思",
    ANSWER: "answer 输出",
    IS: "is 是",
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
    """The lossless template ``seqgpt-marks-4``."""

    name = "seqgpt-marks-4"

    def prompt(self, task: AtomicTask, text: str) -> Rendered:
        """Render text, task and what labels mean, up to the mark that begins the answer.

        Raises:
            GroundingError: If the task is about a place that is not in the text.
        """
        pieces: list[Piece] = [TEXT, lead(text)]
        for about in task.about:
            pieces += [ABOUT, lead(wording(about)), *(_skips(about, text) if isinstance(about, Place) else ())]
        pieces.append(opening(task.kind, single_label=task.single_label))
        for label in task.labels:
            if label in task.descriptions:
                pieces += [LABEL, lead(label), MEANS, lead(task.descriptions[label])]
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
            held = frozenset(result.labels)
            return Rendered.join(p for label in task.labels for p in (*cue(label), YES if label in held else NONE))
        return Rendered.join(choice(result.labels[0]) if result.labels else [NONE])

    def parse(self, task: AtomicTask, answer: str, text: str) -> Result:
        """Read an answer; every label must be answered once, in any order."""
        pieces, raw = Rendered.read(answer).pieces, str(answer)
        if task.kind == "extract":
            lines = _read_lines(task, pieces)
            spans = [span for label, line in lines.items() for span in read_spans(label, line, text)]
            return Extraction.of(text, task, tuple(spans), raw=raw)
        if task.multi_label:
            held = [label for label, line in _read_lines(task, pieces).items() if _read_yes(label, line)]
            return Classification.of(text, task, tuple(held), raw=raw)
        return Classification.of(text, task, _read_choice(task, pieces), raw=raw)


def opening(kind: TaskKind, *, single_label: bool) -> Mark:
    """Return the mark of a task, one for each kind of answer."""
    if kind == "extract":
        return EXTRACT
    return CLASSIFY if single_label else SELECT


def cue(label: str) -> tuple[Piece, ...]:
    """Return what begins a label's own answer: it is known beforehand, so a model never has to write it."""
    return lead(label), IS


def choice(label: str) -> tuple[Piece, ...]:
    """Return the whole answer of a single-label task."""
    return lead(label), END


def write_spans(spans: Iterable[Span], text: str) -> list[Piece]:
    """Render the spans of one label, in text order."""
    ordered = sorted(spans, key=lambda span: (span.start, span.end))
    return [piece for span in ordered for piece in write_span(span, text)] or [NONE]


def write_span(span: Span, text: str) -> list[Piece]:
    """Render one span, with a skip mark for every earlier occurrence of its string."""
    return [lead(span.text), *_skips(span, text), END]


def _skips(placed: Placed, text: str) -> list[Piece]:
    """Return a skip mark for every earlier occurrence of a string."""
    starts = occurrences(placed.text, text)
    if placed.start not in starts:
        raise GroundingError(
            f"{placed.text!r} is not in the text at {placed.start}: give its right start, counted in characters."
        )
    return [SKIP] * starts.index(placed.start)


def read_spans(label: str, pieces: Sequence[Piece], text: str) -> list[Span]:
    """Read what :func:`write_spans` wrote.

    Raises:
        AnswerError: If marks and words do not follow one another as they should, or a span is written twice.
        GroundingError: If a string does not occur, or not so often.
    """
    if len(pieces) == 1 and is_mark(pieces[0], NONE):
        return []
    if not pieces or not is_mark(pieces[-1], END):
        raise AnswerError(f"the answer of {label!r} does not end with {END}: give all of it.")
    spans: dict[Span, None] = {}
    string, skips = "", 0
    for piece in pieces:
        if not string and not is_mark(piece):
            string = unlead(piece)
        elif string and is_mark(piece, SKIP):
            skips += 1
        elif string and is_mark(piece, END):
            span = place(label, string, text, skips)
            if span in spans:
                raise AnswerError(f"span {string!r} of {label!r} is written twice: write it once for each place.")
            spans[span] = None
            string, skips = "", 0
        else:
            raise AnswerError(f"unexpected {str(piece)!r} in the answer of {label!r}: give an answer of this template.")
    return list(spans)


def place(label: str, string: str, text: str, skips: int) -> Span:
    """Return the occurrence of a string that its skip marks say."""
    starts = occurrences(string, text)
    if len(starts) <= skips:
        raise GroundingError(
            f"span {string!r} of {label!r} occurs {len(starts)}× in the text, and the answer means "
            f"occurrence {skips + 1}: give the text that was answered."
        )
    return Span(label, string, starts[skips], starts[skips] + len(string))


def _read_lines(task: AtomicTask, pieces: Sequence[Piece]) -> dict[str, Sequence[Piece]]:
    """Cut an answer into labels and what is said of them: a label is words with the mark ``IS`` behind them."""
    begins = [i - 1 for i in range(1, len(pieces)) if is_mark(pieces[i], IS) and not is_mark(pieces[i - 1])]
    if not begins or begins[0]:
        raise AnswerError(
            f"{str(Rendered.join(pieces[: begins[0]] if begins else pieces))!r} is not a label, {IS} and its answer: "
            "give all of an answer of this template."
        )
    lines: dict[str, Sequence[Piece]] = {}
    for begin, end in zip(begins, [*begins[1:], len(pieces)], strict=True):
        label = unlead(pieces[begin])
        task.require(label)
        if label in lines:
            raise AnswerError(f"label {label!r} is answered twice: keep one of the answers.")
        lines[label] = pieces[begin + 2 : end]
    for label in task.labels:
        if label not in lines:
            absent = Rendered.join([*cue(label), NONE])
            raise AnswerError(f"label {label!r} is not answered: write {str(absent)!r} if it is absent.")
    return lines


def _read_yes(label: str, line: Sequence[Piece]) -> bool:
    if len(line) != 1 or not is_mark(line[0], YES, NONE):
        raise AnswerError(
            f"the answer of {label!r} is {str(Rendered.join(line))!r}: it must be {YES} or {NONE}, and nothing else."
        )
    return is_mark(line[0], YES)


def _read_choice(task: AtomicTask, pieces: Sequence[Piece]) -> tuple[str, ...]:
    if task.none and len(pieces) == 1 and is_mark(pieces[0], NONE):
        return ()
    if len(pieces) != 2 or is_mark(pieces[0]) or not is_mark(pieces[1], END):
        raise AnswerError(
            f"{str(Rendered.join(pieces))!r} is not one label and {END}: give all of an answer of this template."
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
    return [piece for string in strings for piece in (lead(string), END)] or [NONE]
