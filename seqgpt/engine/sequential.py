"""Answers of models that were trained on whole answers, such as the released SeqGPT.

Such a model has learnt to write the line of a label below the lines of others, so lines are written one after another:
what is known beforehand (labels, line ends) is put in, and what is free is the likeliest, token by token, of what a
well-formed answer may have. Labels come in chunks of at most six, each with a prompt of its own, as in the released
code. What the prompts begin with, the text, is read once; then the chunks are written side by side.
"""

from __future__ import annotations

import math
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import torch
from torch import Tensor

from seqgpt.engine.choice import Choice
from seqgpt.engine.first_pass import Asked, FirstPass, Logits, Part, batches, columns_of
from seqgpt.engine.forward import Continuation, Stepper, TreeForward
from seqgpt.engine.lines import Line, LineConstraint
from seqgpt.engine.plan import Plan, encode_prompt
from seqgpt.engine.reading import MAX_SPAN_TOKENS
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.errors import ModelError
from seqgpt.grounding import locate
from seqgpt.options import Thresholds
from seqgpt.results import Classification, Extraction, Result, Span
from seqgpt.tasks import AtomicTask
from seqgpt.templates.released import JOINER, LINE_END, NONE, SEPARATOR, ReleasedTemplate, chunks, cue

_RELEASED = ReleasedTemplate()
_WRITTEN = Thresholds(0.0, 0.0)  # what is written counts, likely or not


def make_plan(text: str, task: AtomicTask, vocabulary: Vocabulary) -> Plan:
    """Encode a task on a text.

    Of an extraction, each branch is what the prompt of a chunk of labels ends with, and the cue of its first label. Of
    a classification, each is the answer that consists of one label.
    """
    if task.kind == "extract":
        parts = chunks(task.labels)
        prompts = [encode_prompt(text, task.with_labels(labels), vocabulary, _RELEASED) for labels in parts]
        shared = _shared([prompt[:-1] for prompt in prompts])
        first = [vocabulary.encode_label(cue(labels[0])) for labels in parts]
        branches = tuple(prompt[shared:] + words for prompt, words in zip(prompts, first, strict=True))
        return Plan(text, task, prompts[0][:shared], branches)
    prompt = encode_prompt(text, task, vocabulary, _RELEASED)
    end = (_end_of_answer(vocabulary),)
    none = vocabulary.encode_label(NONE) + end if task.none or task.multi_label else ()
    return Plan(text, task, prompt, tuple(vocabulary.encode_label(label) + end for label in task.labels), none)


def _shared(prompts: Sequence[tuple[int, ...]]) -> int:
    """Return how many tokens all prompts begin with."""
    parting = (i for i, tokens in enumerate(zip(*prompts, strict=False)) if len(set(tokens)) > 1)
    return next(parting, min(map(len, prompts)))


def _end_of_answer(vocabulary: Vocabulary) -> int:
    end = vocabulary.tokenizer.eos_token_id
    if not isinstance(end, int):
        raise ModelError("the tokenizer names no end of a text (eos_token), which ends an answer: set it.")
    return end


@dataclass
class _Writing:
    """The lines of one chunk of labels, as far as they are written.

    Attributes:
        labels: The labels.
        constraint: What may be written.
        line: How far it is written.
        options: The tokens that may come next, and where they lead; empty if none is to come.
        row: Its row in the batch.
        node: Its node there.
        root: The node of its prompt.
        position: Position of the first token that the model has not read yet.
        unread: Those tokens.
        tokens: Number of tokens of this line that the model chose.
        log_score: Log probability of the span that is being written.
        found: Each span's label, string and probability.
        warnings: What was not written to its end.
    """

    labels: tuple[str, ...]
    constraint: LineConstraint
    line: Line
    options: dict[int, Line] = field(default_factory=dict)
    row: int = 0
    node: int = 0
    root: int = 0
    position: int = 0
    unread: list[int] = field(default_factory=list)
    tokens: int = 0
    log_score: float = 0.0
    found: list[tuple[str, str, float]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def choose(self, odds: Mapping[int, float]) -> None:
        """Write the likeliest token, and what then comes whatever the model would say."""
        token = max(odds, key=odds.__getitem__)
        ends = [end for end in (self.constraint.line_end, self.constraint.separator) if end in odds]
        string = self.constraint.string(self.line)
        if token in ends and string:
            probability = math.exp(self.log_score) * sum(math.exp(odds[end]) for end in ends)
            self.found.append((self.labels[self.line.done], string, min(probability, 1.0)))
        self.log_score = 0.0 if token in ends else self.log_score + odds[token]
        self.tokens = 0 if token == self.constraint.line_end else self.tokens + 1
        self.unread.append(token)
        self.line = self.options[token]
        if self.tokens > MAX_SPAN_TOKENS:
            label = self.labels[self.line.done]
            self.warnings.append(f"the line of {label!r} was cut off: it has more than {MAX_SPAN_TOKENS} tokens.")
            self.unread.append(self.constraint.line_end)
            self.line, self.tokens, self.log_score = self.line.next_line(), 0, 0.0
        while self.line.forced:
            ((token, self.line),) = self.constraint.following(self.line).items()
            self.unread.append(token)
        self.look()

    def look(self) -> None:
        """Find out which tokens may come next."""
        self.options = self.constraint.following(self.line)

    def stop(self) -> None:
        """Leave the lines that are not complete."""
        lost = ", ".join(map(repr, self.labels[self.line.done :]))
        self.warnings.append(f"the lines of {lost} were not written to their end: the model reads no more.")
        self.options = {}

    def take(self) -> Continuation:
        """Return what the model is to read, which it then has."""
        unread, self.unread = self.unread, []
        taken = Continuation(self.row, self.node, (self.root,), self.position, unread)
        self.position += len(unread)
        return taken


@dataclass
class _Chunks(Asked):
    """An extraction while it is being answered.

    Attributes:
        constraint: What may be written.
        chunks: The lines of each chunk of labels.
    """

    constraint: LineConstraint
    chunks: list[_Writing]

    def result(self, least: Mapping[str, float]) -> Extraction:
        """Return the spans that are likelier than a threshold, each where it stands in the text."""
        text, task = self.plan.text, self.plan.task
        warnings = [warning for writing in self.chunks for warning in writing.warnings]
        truncated = bool(warnings)
        found: dict[str, list[tuple[str, float]]] = {label: [] for label in task.labels}
        for label, string, probability in chain.from_iterable(writing.found for writing in self.chunks):
            found[label].append((string, probability))
        spans: list[Span] = []
        for label, strings in found.items():
            scores: dict[str, deque[float]] = defaultdict(deque)
            for string, probability in strings:
                scores[string].append(probability)
            placed, lost = locate(label, [string for string, _ in strings], text)
            spans += [replace(span, score=scores[span.text].popleft()) for span in placed]
            warnings += [
                f"the model answered {string!r} for {label!r} more often than it stands in the text."
                for string in dict.fromkeys(lost)
            ]
        likely = [span for span in spans if span.score > least[span.label]]
        raw = "".join(_line(label, [string for string, _ in strings]) for label, strings in found.items())
        return Extraction.of(text, task, likely, truncated=truncated, warnings=tuple(warnings), raw=raw)


def _line(label: str, strings: Sequence[str]) -> str:
    return f"{cue(label)} {SEPARATOR.join(strings) or NONE}{LINE_END}"


class _List:
    """The answer to a multi-label task, as far as it is written: the labels that hold, one after another.

    A label's score is the highest probability with which it was reached and came next.
    """

    def __init__(self, whole: Plan) -> None:
        self._whole = whole
        self._scores = dict.fromkeys(whole.task.labels, 0.0)
        self._held: list[str] = []
        self._reached = 1.0
        self._open = True
        self._warnings: tuple[str, ...] = ()
        self._written: tuple[int, ...] = whole.prompt

    def open(self, max_positions: int) -> bool:
        """Tell whether a label may still be added."""
        longest = max((len(self._whole.branches[i]) for i in self._left()), default=0)
        if self._open and len(self._written) + longest > max_positions:
            self._warnings = ("labels may be missing: the model reads no more.",)
            self._open = False
        return self._open

    def plan(self, joiner: tuple[int, ...]) -> Plan:
        """Return what may come next: each label that is left, as the last one or with others behind it, or none."""
        left = self._left()
        last = [self._whole.branches[i] for i in left]
        more = [branch[:-1] + joiner for branch in last] if len(left) > 1 else []
        task = AtomicTask.classify([self._whole.task.labels[i] for i in left])
        none = () if self._held else self._whole.none
        return Plan(self._whole.text, task, self._written, (*last, *more), none)

    def read(self, choice: Choice) -> None:
        """Take the most probable label of those that may come next, or none."""
        branches, labels = choice.plan.branches, choice.plan.task.labels
        probabilities = [choice.probability(branch) for branch in branches]
        both = [sum(probabilities[i :: len(labels)]) for i in range(len(labels))]
        for label, probability in zip(labels, both, strict=True):
            self._scores[label] = max(self._scores[label], min(self._reached * probability, 1.0))
        best = max(range(len(labels)), key=both.__getitem__)
        if choice.plan.none and choice.probability(choice.plan.none) > both[best]:
            self._open = False
            return
        self._held.append(labels[best])
        chosen = max(range(best, len(branches), len(labels)), key=probabilities.__getitem__)
        self._open = chosen != best
        self._written += branches[chosen]
        self._reached *= probabilities[chosen]

    def result(self, least: Mapping[str, float]) -> Classification:
        """Return the labels that were written and are likelier than a threshold."""
        plan = self._whole
        return Classification.of(
            plan.text,
            plan.task,
            tuple(label for label in self._held if self._scores[label] > least[label]),
            self._scores,
            truncated=bool(self._warnings),
            warnings=self._warnings,
            raw=JOINER.join(self._held) or NONE,
        )

    def _left(self) -> list[int]:
        return [i for i, label in enumerate(self._whole.task.labels) if label not in self._held]


class SequentialDecoder:
    """Answers plans with a model that was trained on whole answers.

    Args:
        forward: The model.
        vocabulary: Its tokenizer.
        max_positions: Number of positions that the model knows.
    """

    def __init__(self, forward: TreeForward, vocabulary: Vocabulary, max_positions: int) -> None:
        self._forward = forward
        self._vocabulary = vocabulary
        self._max_positions = max_positions

    @torch.no_grad()
    def answer(self, plans: Sequence[Plan], thresholds: Thresholds = _WRITTEN) -> list[Result]:
        """Answer each plan.

        Args:
            plans: The plans.
            thresholds: What the probability of a span, or a label, must exceed that the model has written.
        """
        results: dict[int, Result] = {}
        chunked = {i: self._chunks(plan) for i, plan in enumerate(plans) if plan.task.kind == "extract"}
        for parts in batches(list(chunked.values()), self._forward):
            self._write(parts)
        least = [thresholds.of(plan.task) for plan in plans]
        for i, asked in chunked.items():
            results[i] = asked.result(least[i])
        single = {i: Choice.of(plan) for i, plan in enumerate(plans) if plan.task.single_label}
        self._choose(list(single.values()))
        for i, choice in single.items():
            result = choice.result()
            results[i] = replace(result, raw=JOINER.join(result.labels) or NONE)
        several = {i: _List(plan) for i, plan in enumerate(plans) if plan.task.multi_label}
        self._write_lists(list(several.values()))
        for i, labels in several.items():
            results[i] = labels.result(least[i])
        return [results[i] for i in range(len(plans))]

    def _chunks(self, plan: Plan) -> _Chunks:
        constraint = LineConstraint(plan.text, self._vocabulary)
        writings = []
        for labels in chunks(plan.task.labels):
            line = constraint.begin(labels)  # its first cue stands in the branch
            writings.append(_Writing(labels, constraint, line._replace(forced=())))
        return _Chunks(plan, [[len(branch)] for branch in plan.branches], constraint, writings)

    def _write(self, parts: Sequence[Part]) -> None:
        """Run the first pass over some chunks, and write all their lines side by side."""
        writings = [part.asked.chunks[i] for part in parts for i in part.branches if isinstance(part.asked, _Chunks)]
        for writing in writings:
            writing.look()
        first = FirstPass(self._forward, parts, (token for writing in writings for token in writing.options))
        for writing, spot, begin in zip(writings, chain.from_iterable(first.spots), _begins(parts), strict=True):
            writing.row, writing.position = spot[0], begin
            writing.node, writing.root = int(first.batch.node[spot]), int(first.batch.root[spot])
        rows: Sequence[int] = list(chain.from_iterable(first.rows))
        logits = first.logits
        while writings:
            odds = logits.odds(rows, [list(writing.options) for writing in writings])
            for writing, values in zip(writings, odds, strict=True):
                writing.choose(dict(zip(writing.options, values.tolist(), strict=True)))
                if writing.options and writing.position + len(writing.unread) > self._max_positions:
                    writing.stop()
            writings = [writing for writing in writings if writing.options]
            if writings:
                columns = columns_of(token for writing in writings for token in writing.options)
                rows, logits = range(len(writings)), Logits(_feed(writings, first.stepper, columns), columns)

    def _choose(self, choices: Sequence[Choice]) -> None:
        """Let the model choose among whole answers."""
        for parts in batches(choices, self._forward):
            asked = [(part, part.asked) for part in parts if isinstance(part.asked, Choice)]
            first = FirstPass(self._forward, parts, (token for part, choice in asked for token in choice.options(part)))
            for (part, choice), rows in zip(asked, first.rows, strict=True):
                choice.read(part, rows, first.logits)

    def _write_lists(self, lists: Sequence[_List]) -> None:
        """Write the labels of multi-label tasks, one after another, until the model rather ends the answer.

        The prompt is read again for each label that holds: they are few.
        """
        joiner = self._vocabulary.encode_label(JOINER)
        coming = list(lists)
        while coming := [one for one in coming if one.open(self._max_positions)]:
            choices = [Choice.of(one.plan(joiner)) for one in coming]
            self._choose(choices)
            for one, choice in zip(coming, choices, strict=True):
                one.read(choice)


def _begins(parts: Sequence[Part]) -> Iterator[int]:
    """Yield the position behind each branch."""
    return (len(part.asked.plan.prompt) + len(part.asked.plan.branches[i]) for part in parts for i in part.branches)


def _feed(writings: Sequence[_Writing], stepper: Stepper, tokens: Tensor) -> Tensor:
    """Let the model read what is new; return the logits [N, U] behind it."""
    if stepper.layout == "rows":
        stepper.select([writing.row for writing in writings])
        for row, writing in enumerate(writings):
            writing.row = row
    return stepper.feed([writing.take() for writing in writings], tokens)
