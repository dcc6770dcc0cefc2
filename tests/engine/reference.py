"""The engine again, slow and plain: brute force over all strings of a text, one label and one token at a time."""

import math

import torch

from seqgpt.engine.plan import Plan, make_plan
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.grounding import occurrences
from seqgpt.model import SeqGPT
from seqgpt.tasks import AtomicTask
from seqgpt.templates.marks import END, NEXT, NONE, SKIP, YES, lead

Offsets = tuple[int, int]


class Grammar:
    """What may be said of a text after ``spans``, ``skips`` skip marks and ``written`` bytes of another span."""

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.none, self.skip, self.next, self.end = (vocabulary.mark(mark) for mark in (NONE, SKIP, NEXT, END))
        strings = {text[i:j] for i in range(len(text)) for j in range(i + 1, len(text) + 1)}
        self.places = {
            lead(string).encode(): [(start, start + len(string)) for start in occurrences(string, text)]
            for string in strings
            if string == string.strip()
        }

    def later(self, after: Offsets) -> dict[bytes, list[Offsets]]:
        return {string: [p for p in places if p > after] for string, places in self.places.items()}

    def options(self, spans: list[Offsets], skips: int, written: bytes) -> set[int]:
        later = self.later(spans[-1] if spans else (-1, -1))
        strings = [string for string, places in later.items() if len(places) > skips]
        rests = {string[len(written) :] for string in strings if string.startswith(written)}
        options = {
            self.vocabulary.token_of[rest[:length]]
            for rest in rests
            for length in range(1, len(rest) + 1)
            if rest[:length] in self.vocabulary.token_of
        }
        if written:
            if b"" in rests:
                options.add(self.end)
                if any(self.later(later[written][skips]).values()):
                    options.add(self.next)
            return options
        if any(len(places) > skips + 1 for places in later.values()):
            options.add(self.skip)
        if not spans and not skips:
            options.add(self.none)
        return options

    def close(self, spans: list[Offsets], skips: int, written: bytes) -> Offsets:
        return self.later(spans[-1] if spans else (-1, -1))[written][skips]


def plain_logits(model: SeqGPT, ids: list[int]) -> torch.Tensor:
    """[T, V]: one row, no padding, no cache, no mask."""
    with torch.no_grad():
        return model.model(input_ids=torch.tensor([ids], device=model.model.device), use_cache=False).logits[0].float()


def extract(model: SeqGPT, text: str, task: AtomicTask) -> dict[str, list[tuple[Offsets, float]]]:
    """Return for each label its spans with their scores."""
    plan = make_plan(text, task, model.vocabulary, model.template)
    grammar = Grammar(text, model.vocabulary)
    return {
        label: _spans(model, [*plan.prompt, *cue], grammar)
        for label, cue in zip(task.labels, plan.branches, strict=True)
    }


def _spans(model: SeqGPT, ids: list[int], grammar: Grammar) -> list[tuple[Offsets, float]]:
    spans: list[Offsets] = []
    scores: list[float] = []
    skips, written, probability = 0, b"", 1.0
    while True:
        options = grammar.options(spans, skips, written)
        hidden = torch.full((len(grammar.vocabulary),), -math.inf)
        hidden[list(options)] = 0.0
        odds = (plain_logits(model, ids)[-1][: len(hidden)] + hidden).softmax(-1)
        if grammar.none in options:
            if odds[grammar.none] > 0.5:
                return []
            odds[grammar.none] = 0.0
        close = float(odds[grammar.end] + odds[grammar.next])
        marks = torch.tensor([grammar.end, grammar.next])
        if close >= float(odds.index_fill(0, marks, -1.0).max()):
            spans.append(grammar.close(spans, skips, written))
            scores.append(probability * close)
            token = grammar.next if odds[grammar.next] > odds[grammar.end] else grammar.end
            if token == grammar.end:
                return list(zip(spans, scores, strict=True))
            skips, written, probability = 0, b"", float(odds[token]) / close
        else:
            token = int(odds.index_fill(0, marks, -1.0).argmax())
            probability *= float(odds[token])
            skips += token == grammar.skip
            written += model.vocabulary.bytes_of[token]
        ids = [*ids, token]


def classify(model: SeqGPT, text: str, task: AtomicTask) -> dict[str | None, float]:
    """Return the probability of each label, and of none under None."""
    plan = make_plan(text, task, model.vocabulary, model.template)
    none, yes = model.vocabulary.mark(NONE), model.vocabulary.mark(YES)
    if task.multi_label:
        pairs = [
            plain_logits(model, [*plan.prompt, *cue])[-1][[yes, none]].softmax(-1)[0].item() for cue in plan.branches
        ]
        return dict(zip(task.labels, pairs, strict=True))
    answers: dict[str | None, tuple[int, ...]] = dict(zip(task.labels, plan.branches, strict=True))
    if task.none:
        answers[None] = (none,)
    return {label: _probability(model, plan, answer, list(answers.values())) for label, answer in answers.items()}


def _probability(model: SeqGPT, plan: Plan, answer: tuple[int, ...], answers: list[tuple[int, ...]]) -> float:
    logits = plain_logits(model, [*plan.prompt, *answer])[len(plan.prompt) - 1 :]
    product = 1.0
    for i, token in enumerate(answer):
        allowed = sorted({other[i] for other in answers if other[:i] == answer[:i]})
        product *= logits[i][allowed].softmax(-1)[allowed.index(token)].item()
    return product
