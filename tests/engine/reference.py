"""The engine again, slow and plain: brute force over all strings of a text, one label and one token at a time."""

import torch

from seqgpt.engine.plan import Plan, make_plan
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.grounding import occurrences
from seqgpt.model import SeqGPT
from seqgpt.options import DEFAULT_THRESHOLD
from seqgpt.tasks import AtomicTask
from seqgpt.templates.marks import END, NONE, SKIP, YES, lead

Offsets = tuple[int, int]


class Grammar:
    """What may be said of a text after ``written`` bytes of a span and ``skips`` skip marks."""

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.none, self.skip, self.end = (vocabulary.mark(mark) for mark in (NONE, SKIP, END))
        strings = {text[i:j] for i in range(len(text)) for j in range(i + 1, len(text) + 1)}
        self.places = {
            lead(string).encode(): [(start, start + len(string)) for start in occurrences(string, text)]
            for string in strings
            if string == string.strip()
        }

    def options(self, written: bytes, skips: int) -> set[int]:
        options = set()
        if not skips:
            rests = {string[len(written) :] for string in self.places if string.startswith(written)}
            options = {
                self.vocabulary.token_of[rest[:length]]
                for rest in rests
                for length in range(1, len(rest) + 1)
                if rest[:length] in self.vocabulary.token_of
            }
        if self.place(written, skips):
            options.add(self.end)
        if self.place(written, skips + 1):
            options.add(self.skip)
        return options

    def place(self, written: bytes, skips: int) -> Offsets | None:
        places = self.places.get(written, [])
        return places[skips] if skips < len(places) else None


def plain_logits(model: SeqGPT, ids: list[int]) -> torch.Tensor:
    """[T, V]: one row, no padding, no cache, no mask."""
    with torch.no_grad():
        return model.model(input_ids=torch.tensor([ids], device=model.model.device), use_cache=False).logits[0].float()


def extract(
    model: SeqGPT, text: str, task: AtomicTask, threshold: float = DEFAULT_THRESHOLD
) -> dict[str, dict[Offsets, float]]:
    """Return for each label its spans with their scores."""
    plan = make_plan(text, task, model.vocabulary, model.template)
    grammar = Grammar(text, model.vocabulary)
    return {
        label: _spans(model, [*plan.prompt, *cue], grammar, threshold)
        for label, cue in zip(task.labels, plan.branches, strict=True)
    }


def _spans(model: SeqGPT, cue: list[int], grammar: Grammar, threshold: float) -> dict[Offsets, float]:
    found: dict[Offsets, float] = {}

    def follow(tokens: list[int], written: bytes, skips: int, probability: float) -> None:
        logits = plain_logits(model, [*cue, *tokens])[-1]
        for token in grammar.options(written, skips):
            grown = probability * float((logits[token] - logits[grammar.none]).sigmoid())
            if grown <= threshold:
                continue
            if token == grammar.end:
                place = grammar.place(written, skips)
                found[place] = max(grown, found.get(place, 0.0))
            else:
                more = model.vocabulary.bytes_of[token]
                follow([*tokens, token], written + more, skips + (token == grammar.skip), grown)

    follow([], b"", 0, 1.0)
    return found


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
