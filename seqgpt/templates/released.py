"""The released model's answer language (``DAMO-NLP/SeqGPT-560M``), written exactly and read leniently.

Prompt::

    输入: {text}
    抽取: {label1}，{label2}
    输出: [GEN]

Answer: ``label: span1<TAB>span2`` on a line of its own for each label, ``None`` for an absent label; a classification is the
bare label. The Chinese words are used for English text too.

The format is ambiguous by nature (a span ``"None"``, a TAB in a span, repeated strings), so spans that it cannot write
are refused, and spans that it cannot place are marked ``"ambiguous"``. How several classes are joined is not known;
they are joined like the labels of the prompt.

Source: inference code and model card of DAMO-NLP/SeqGPT-560M; line format as seen by users of the model.
"""

from __future__ import annotations

import re

from seqgpt.errors import GroundingError, LabelError
from seqgpt.grounding import by_label, locate
from seqgpt.rendered import Mark, Piece, Rendered
from seqgpt.results import Classification, Extraction, Result, Span
from seqgpt.tasks import AtomicTask
from seqgpt.templates.base import Gold, gold_labels, gold_spans, gold_strings

GEN = Mark("[GEN]")
_WORD = {"extract": "抽取", "classify": "分类"}
_JOINER = "，"
_NONE = "None"
_LINE_END = re.compile(r"[\n;；]")
_CLASS_JOINERS = re.compile(r"[，,\t\n;；]")


class ReleasedTemplate:
    """The template ``seqgpt-560m``."""

    name = "seqgpt-560m"

    def prompt(self, task: AtomicTask, text: str) -> Rendered:
        """Render the prompt, character by character as the released code does."""
        _check(task)
        words = f"输入: {text}\n{_WORD[task.kind]}: {_JOINER.join(task.labels)}\n输出: "
        return Rendered.join([words, GEN], escape=False)

    def answer(self, task: AtomicTask, gold: Gold, text: str | None) -> Rendered:
        """Render the answer; refuse spans that would be read as something else."""
        _check(task)
        if task.kind == "classify":
            labels = gold_labels(task, gold, text).labels
            return Rendered.join([_JOINER.join(labels) or _NONE], escape=False)
        strings = self._strings(task, gold, text)
        pieces: list[Piece] = []
        for label in task.labels:
            pieces.append(f"{label}: " + ("\t".join(strings.get(label, [])) or _NONE) + "\n")
        return Rendered.join(pieces, escape=False)

    def parse(self, task: AtomicTask, answer: str, text: str) -> Result:
        """Read an answer, forgiving: what cannot be used is left out, and a warning says so."""
        return (
            self._parse_extraction(task, answer, text)
            if task.kind == "extract"
            else self._parse_classes(task, answer, text)
        )

    def _strings(self, task: AtomicTask, gold: Gold, text: str | None) -> dict[str, list[str]]:
        if text is None and not isinstance(gold, Extraction):
            strings = gold_strings(task, gold)
        else:
            groups = by_label(gold_spans(task, gold, text or "").spans)
            strings = {label: [span.text for span in spans] for label, spans in groups.items()}
        for label, spans in strings.items():
            for span in spans:
                if span == _NONE or re.search(r"[\t\n]", span) or span != span.strip():
                    raise GroundingError(
                        f"template {self.name!r} cannot write the span {span!r} of {label!r}: use the default template, which can."
                    )
        return strings

    def _parse_extraction(self, task: AtomicTask, answer: str, text: str) -> Extraction:
        spans: list[Span] = []
        warnings: list[str] = []
        lines = [line for line in _LINE_END.split(answer.replace("\r\n", "\n")) if line.strip()]
        for line in lines:
            label, words = _split_line(task, line)
            if label is None:
                warnings.append(f"the model answered {line.strip()!r}, which is none of the labels.")
                continue
            strings = [string.strip() for string in words.split("\t")]
            found, lost = locate(label, [string for string in strings if string and string != _NONE], text)
            spans += found
            warnings += [f"the model answered {string!r} for {label!r}, which is not in the text." for string in lost]
        return Extraction.of(text, task, tuple(spans), warnings=tuple(warnings), raw=answer)

    def _parse_classes(self, task: AtomicTask, answer: str, text: str) -> Classification:
        whole = answer.strip().rstrip(";；")
        words = [whole] if whole in task.labels else [word.strip() for word in _CLASS_JOINERS.split(whole)]
        known = {label.strip(): label for label in task.labels}
        named = [known[word] for word in words if word in known]
        warnings = [
            f"the model answered {word!r}, which is none of the labels."
            for word in words
            if word not in (*known, _NONE, "")
        ]
        if len(named) > 1 and not task.multi_label:
            warnings.append(f"the model named {len(named)} labels where one was asked: the first is kept.")
            named = named[:1]
        return Classification.of(text, task, tuple(named), warnings=tuple(warnings), raw=answer)


def _split_line(task: AtomicTask, line: str) -> tuple[str | None, str]:
    for label in sorted(task.labels, key=len, reverse=True):
        match = re.match(rf"\s*{re.escape(label)}\s*[:：]", line)
        if match:
            return label, line[match.end() :]
    if len(task.labels) == 1 and not re.match(r"[^\t]{1,40}[:：] ", line):
        return task.labels[0], line  # the answer to a single question may come without its label
    return None, line


def _check(task: AtomicTask) -> None:
    for label in task.labels:
        if re.search(r"[，\n\t]", label) or label != label.strip() or label == _NONE:
            raise LabelError(
                f"template {ReleasedTemplate.name!r} cannot write the label {label!r} (a full-width comma, a tab, a line "
                "break, white space around it, or 'None'): rename it, or use the default template."
            )
    if task.descriptions:
        raise LabelError(
            f"template {ReleasedTemplate.name!r} has no place for descriptions: give each description as the label itself."
        )
