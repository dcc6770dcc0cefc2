"""What a worker of `seqgpt.predictors.Command` reads and writes, for peers in environments without seqgpt.

A question and an answer are one JSON object a line each, described in seqgpt/predictors/command.py. Nothing of seqgpt
is imported here.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple, Protocol

_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")

Found = dict[str, Any]


class Labels(NamedTuple):
    """What is asked of texts that are answered together.

    Attributes:
        kind: ``"extract"`` or ``"classify"``.
        labels: The labels, each with its description, empty if it has none.
        multi_label: Several labels may hold.
        none: "None of these" is an answer.
        chinese: There is Chinese in the text: words are not parted by spaces.
    """

    kind: str
    labels: tuple[tuple[str, str], ...]
    multi_label: bool
    none: bool
    chinese: bool

    @property
    def names(self) -> list[str]:
        """The labels alone."""
        return [label for label, _ in self.labels]

    @property
    def described(self) -> Any:
        """The labels as peers take them: a list, or ``{label: description}``."""
        if not any(description for _, description in self.labels):
            return self.names
        return {label: description or label for label, description in self.labels}


class Peer(Protocol):
    """What answers."""

    def extract(self, texts: list[str], asked: Labels) -> list[list[Found]]:
        """Return the spans of each text: label, start, end, score."""

    def classify(self, texts: list[str], asked: Labels) -> list[dict[str, float]]:
        """Return for each text how likely each label is; with a sum of 1 if one has to hold, else each by itself."""


def serve(peer: Peer, *, threshold: float, batch_size: int) -> int:
    """Answer questions until there are no more; what a peer prints goes to standard error.

    Args:
        peer: What answers.
        threshold: What the probability of a label must exceed that need not hold.
        batch_size: Most texts that a peer is given at once.
    """
    answers, sys.stdout = sys.stdout, sys.stderr
    waiting: list[dict[str, Any]] = []
    for line in sys.stdin:
        waiting.append(json.loads(line))
        if waiting[-1].get("more"):
            continue
        for answer in _answers(peer, waiting, threshold, batch_size):
            print(json.dumps(answer), file=answers)
        answers.flush()
        waiting = []
    return 0


def _answers(peer: Peer, questions: list[dict[str, Any]], threshold: float, batch_size: int) -> Iterator[Found]:
    """Yield the answers; those of questions with the same labels are computed together."""
    for asked, members in groupby(sorted(questions, key=_asked), key=_asked):
        together = list(members)
        for start in range(0, len(together), batch_size):
            yield from _together(peer, asked, together[start : start + batch_size], threshold)


def _together(peer: Peer, asked: Labels, questions: list[dict[str, Any]], threshold: float) -> Iterator[Found]:
    texts = [_text(question) for question in questions]
    try:
        if asked.kind == "extract":
            said = [
                _within(spans, question) for spans, question in zip(peer.extract(texts, asked), questions, strict=True)
            ]
        else:
            said = [_class(scores, asked, threshold) for scores in peer.classify(texts, asked)]
    except Exception as error:  # a text may be too much for a peer: the others are answered all the same
        if len(questions) > 1:
            for question in questions:
                yield from _together(peer, asked, [question], threshold)
            return
        said = [{"error": f"{type(error).__name__}: {' '.join(str(error).split())}"}]
    for question, answer in zip(questions, said, strict=True):
        yield {"id": question["id"], **answer}


def _asked(question: dict[str, Any]) -> Labels:
    labels = question["labels"]
    described = tuple(labels.items()) if isinstance(labels, dict) else tuple((label, "") for label in labels)
    flags = bool(question.get("multi_label")), bool(question.get("none"))
    return Labels(question["task"], described, *flags, bool(_CHINESE.search(question["text"])))


def _text(question: dict[str, Any]) -> str:
    """Return the text, with what is asked about behind it, each on a line of its own."""
    about = [one["text"] if isinstance(one, dict) else one for one in question.get("about", [])]
    return "\n".join([question["text"], *about])


def _within(spans: list[Found], question: dict[str, Any]) -> Found:
    """Return the spans of the text itself; peers may cut white space into them."""
    text, kept = question["text"], []
    for span in spans:
        words = text[span["start"] : span["end"]]
        if span["end"] <= len(text) and words.strip():
            start = span["start"] + len(words) - len(words.lstrip())
            kept.append({**span, "start": start, "end": start + len(words.strip())})
    return {"spans": kept}


def _class(scores: dict[str, float], asked: Labels, threshold: float) -> Found:
    """Return the labels that hold; where none need, "none of these" is as likely as the best label is not."""
    scores = {label: min(max(scores.get(label, 0.0), 0.0), 1.0) for label in asked.names}
    best = max(scores, key=lambda label: scores[label])
    if asked.multi_label:
        return {"labels": [label for label, score in scores.items() if score > threshold], "scores": scores}
    if not asked.none:
        return {"labels": [best], "scores": scores}
    share = scores[best] / (sum(scores.values()) or 1.0)
    held = [best] if scores[best] > threshold else []
    return {"labels": held, "scores": {label: score * share for label, score in scores.items()}}
