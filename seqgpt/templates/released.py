"""The released model's answer language (``DAMO-NLP/SeqGPT-560M``), written exactly and read leniently.

Prompt::

    输入: {text}
    抽取: {label1}，{label2}
    输出: [GEN]

Answer: ``label: span1<TAB>span2`` on a line of its own for each label, ``None`` for an absent label; a classification
is the bare label. The Chinese words are used for English text too.

The format is ambiguous by nature (a span ``"None"``, a TAB in a span, repeated strings), so what would be read as
something else is not written, and spans that cannot be placed are marked ``"ambiguous"``. How several classes are
joined is not known; they are joined like the labels of the prompt. The hosted successor of the model ends a label with
``;`` where the released one ends it with a line break: both are read.

Source: inference code and model card of DAMO-NLP/SeqGPT-560M; line format as seen by users of the model.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from seqgpt.about import wording
from seqgpt.errors import GroundingError, LabelError
from seqgpt.grounding import by_label, locate
from seqgpt.rendered import Mark, Rendered
from seqgpt.results import Classification, Extraction, Result, Span
from seqgpt.tasks import AtomicTask
from seqgpt.templates.base import Gold, Read, gold_labels, gold_spans, gold_strings

GEN = Mark("[GEN]")
SEPARATOR, LINE_END = "\t", "\n"
JOINER = "，"
NONE = "None"
LABELS_AT_ONCE = 6
"""Labels of one extraction; of more, the released code makes several prompts."""

_WORD = {"extract": "抽取", "classify": "分类"}
_ENDS = ";；"
_ENDS_WITHIN = re.compile(r"[;；]")
_CLASS_JOINERS = re.compile(r"[,\t\n;；]")
_NAMED = re.compile(r"[^\t]{1,40}(?::\s|：)")  # looks like a label, whether or not it was asked


class ReleasedTemplate:
    """The template ``seqgpt-560m``."""

    name = "seqgpt-560m"

    def prompt(self, task: AtomicTask, text: str) -> Rendered:
        """Render the prompt, character by character as the released code does."""
        _check(task)
        beside = "".join(f"{SEPARATOR}{wording(one)}" for one in task.about)
        words = f"输入: {text}{beside}\n{_WORD[task.kind]}: {JOINER.join(task.labels)}\n输出: "
        return Rendered.join([words, GEN], escape=False)

    def answer(self, task: AtomicTask, gold: Gold, text: str | None) -> Rendered:
        """Render the answer; refuse spans that would be read as something else."""
        _check(task)
        if task.kind == "classify":
            return Rendered.join([JOINER.join(gold_labels(task, gold, text).labels) or NONE], escape=False)
        strings = _gold(task, gold, text)
        lines = [f"{cue(label)} {_write(strings[label])}{LINE_END}" for label in task.labels]
        self._check_lines(task, strings, "".join(lines))
        return Rendered.join(lines, escape=False)

    def parse(self, task: AtomicTask, answer: str, text: str) -> Result:
        """Read an answer, forgiving: what cannot be used is left out, and a warning says so."""
        return self.read(task, answer, text).result

    def read(self, task: AtomicTask, answer: str, text: str) -> Read:
        """Read an answer as :meth:`parse` does, and count what is left out."""
        if task.kind == "extract":
            return _read_extraction(task, str(answer), text)
        return _read_classes(task, str(answer), text)

    def _check_lines(self, task: AtomicTask, strings: dict[str, list[str]], answer: str) -> None:
        read, *_ = _lines(task, answer, None)
        if read != strings:
            lost = (
                f"span {string!r} of {label!r}"
                for label, spans in strings.items()
                for string in spans
                if string not in read.get(label, [])
            )
            raise GroundingError(
                f"template {self.name!r} cannot write the {next(lost, 'spans of this answer')}, which would be read as "
                "something else: use the default template, which can."
            )


def chunks(labels: Sequence[str]) -> list[tuple[str, ...]]:
    """Cut the labels of an extraction into as few chunks as possible of nearly the same size, the larger ones first.

    >>> chunks(["a", "b", "c", "d", "e", "f", "g"])
    [('a', 'b', 'c', 'd'), ('e', 'f', 'g')]
    """
    number = -(-len(labels) // LABELS_AT_ONCE)
    size, larger = divmod(len(labels), number)
    starts = [i * size + min(i, larger) for i in range(number + 1)]
    return [tuple(labels[start:end]) for start, end in pairwise(starts)]


def cue(label: str) -> str:
    """Return what begins a label's line; the space behind it belongs to what follows.

    With the space, tokens would not be those of the whole line.
    """
    return f"{label}:"


def _gold(task: AtomicTask, gold: Gold, text: str | None) -> dict[str, list[str]]:
    if text is None and not isinstance(gold, Extraction):
        strings = gold_strings(task, gold)
    else:
        groups = by_label(gold_spans(task, gold, text).spans)
        strings = {label: [span.text for span in spans] for label, spans in groups.items()}
    return {label: strings.get(label, []) for label in task.labels}


def _write(strings: list[str]) -> str:
    return SEPARATOR.join(strings) or NONE


def _read_extraction(task: AtomicTask, answer: str, text: str) -> Read:
    strings, unknown, repeated = _lines(task, answer, text)
    malformed, ungrounded = bool(unknown) or repeated, 0
    spans: list[Span] = []
    warnings = [f"the model answered {line!r}, which is none of the labels." for line in unknown]
    for label in task.labels:
        if label not in strings:
            warnings.append(f"the model did not answer {label!r}: it is taken as absent.")
            malformed = True
            continue
        found, lost = locate(label, strings[label], text)
        spans += found
        strange = [string for string in lost if string not in text]
        ungrounded += len(strange)
        malformed |= len(strange) < len(lost)
        for string in dict.fromkeys(lost):
            why = "more often than it stands in the text" if string in text else "which is not in the text"
            warnings.append(f"the model answered {string!r} for {label!r}, {why}.")
    result = Extraction.of(text, task, tuple(spans), warnings=tuple(warnings), raw=answer)
    return Read(result, malformed, ungrounded)


def _lines(task: AtomicTask, answer: str, text: str | None) -> tuple[dict[str, list[str]], list[str], bool]:
    """Read the strings of each label that is answered, lines that name no label, and whether one is answered twice."""
    strings: dict[str, list[str]] = {}
    unknown: list[str] = []
    repeated = False
    for named, words in _cut(task, answer):
        found = list(_strings(words, text))
        label = named or _single_label(task, words, any(string in (text or "") for string in found))
        if label is None:
            unknown.append(words.strip())
        else:
            repeated |= label in strings
            strings.setdefault(label, []).extend(found)
    return strings, unknown, repeated


def _single_label(task: AtomicTask, words: str, grounded: bool) -> str | None:
    """Return the label of an answer that names none: the answer to a single question may come without it."""
    if len(task.labels) == 1 and (grounded or not _NAMED.match(words)):
        return task.labels[0]
    return None


def _cut(task: AtomicTask, answer: str) -> Iterator[tuple[str | None, str]]:
    """Cut an answer at the line ends, and where ``;`` stands before a label; None where no label is named."""
    names = "|".join(re.escape(label) for label in sorted(task.labels, key=len, reverse=True))
    label = re.compile(rf"\s*({names})\s*[:：]")
    next_label = re.compile(rf"[{_ENDS}]\s*(?=(?:{names})\s*[:：])")
    for line in answer.replace("\r\n", "\n").split("\n"):
        rest = line
        while rest.strip():
            named = label.match(rest)
            if named:
                rest = rest[named.end() :]
            cut = next_label.search(rest)
            words = rest[: cut.start()] if cut else rest
            if named or words.strip():
                yield (named[1] if named else None), words
            rest = rest[cut.end() :] if cut else ""


def _strings(words: str, text: str | None) -> Iterator[str]:
    """Yield the strings of one answer; one that is not in the text may be several that ``;`` parts."""
    for string in words.strip().rstrip(_ENDS).split("\t"):
        whole = text is None or string.strip() in text
        for part in [string] if whole else _ENDS_WITHIN.split(string):
            if part.strip() not in ("", NONE):
                yield part.strip()


def _read_classes(task: AtomicTask, answer: str, text: str) -> Read:
    words = list(_class_words(task, answer))
    named = list(dict.fromkeys(word for word in words if word in task.labels))
    warnings = [
        f"the model answered {word!r}, which is none of the labels."
        for word in words
        if word not in (*task.labels, NONE)
    ]
    if len(named) > 1 and not task.multi_label:
        warnings.append(f"the model named {len(named)} labels where one was asked: the first is kept.")
        named = named[:1]
    if not named and not (task.none or task.multi_label):
        warnings.append("the model named no label where one was asked.")
    result = Classification.of(text, task, tuple(named), warnings=tuple(warnings), raw=answer)
    once = len(words) == 1 or (task.multi_label and bool(named) and len(words) == len(named))
    return Read(result, bool(warnings) or not once, 0)


def _class_words(task: AtomicTask, answer: str) -> Iterator[str]:
    """Yield the words of an answer, cut no further than needed to find labels."""
    for whole in answer.split(JOINER):
        for word in (whole, whole.strip().rstrip(_ENDS)):
            if word.strip() in task.labels:
                yield word.strip()
                break
        else:
            yield from filter(None, (word.strip() for word in _CLASS_JOINERS.split(whole)))


def _check(task: AtomicTask) -> None:
    for label in task.labels:
        if re.search(r"[，\n\t]", label) or label != label.strip() or label == NONE:
            raise LabelError(
                f"template {ReleasedTemplate.name!r} cannot write the label {label!r} (a full-width comma, a tab, a "
                "line break, white space around it, or 'None'): rename it, or use the default template."
            )
    if task.descriptions:
        raise LabelError(
            f"template {ReleasedTemplate.name!r} has no place for descriptions: "
            "give each description as the label itself."
        )
