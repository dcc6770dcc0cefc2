"""Forms of prompt and answer that the library does not have, so that studies can compare them with its own.

The library lists no labels in the prompt, and answers each label as if the others were not there. The paper lists them
behind the text, and each line of an answer sees the lines before it. Here are:

    list_after         labels behind the text      <|text|> …<|extract|><|label|> person<|label|> place<|answer|>
    list_before        labels before the text      <|extract|><|label|> person<|label|> place<|text|> …<|answer|>
    sequential_lines   a line sees those before    …<|answer|> person<|is|> Ann<|end|> place<|is|> …

A form is a template of its own name, known only within :func:`in_form`, where training encodes with it too. So a model
of a form can be opened nowhere else, and nothing takes it for one of the library's own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from unittest.mock import patch

from seqgpt import AtomicTask, Classification, Example, Extraction, Result, SeqGPT, templates
from seqgpt.data.augmentation import Shown, apply
from seqgpt.engine.decoder import Decoder
from seqgpt.engine.plan import Plan, encode_prompt, make_plan
from seqgpt.engine.tree import Tree
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.errors import TextError
from seqgpt.evaluation.decision import Decision, mean_f1
from seqgpt.evaluation.predictor import Predictor
from seqgpt.options import DEFAULT_THRESHOLD, Thresholds
from seqgpt.rendered import Mark, Piece, Rendered
from seqgpt.templates import MarksTemplate
from seqgpt.templates.base import Template
from seqgpt.templates.marks import (
    ANSWER,
    END,
    LABEL,
    MEANS,
    NONE,
    YES,
    cue,
    lead,
    opening,
    write_spans,
)
from seqgpt.training import training_set
from seqgpt.training.encode import Encoded, Target, encode

Tokens = tuple[int, ...]

_TEXTS_AT_ONCE = 32
_CANDIDATES = (0.05, 0.15, 0.25, 0.35, 0.5)  # thresholds; each costs an answer to all texts


class ListAfter(MarksTemplate):
    """The library's template, with all labels listed behind the text, as the paper's prompt has them."""

    name = "study-list-after"

    def prompt(self, task: AtomicTask, text: str) -> Rendered:
        """Render text, task and all labels."""
        about = _before_task(super().prompt(task, text), task)
        return Rendered.join([*about, _opening(task), *_listed(task), ANSWER])


class ListBefore(MarksTemplate):
    """The library's template, with task and labels before the text, so that they can be read once for many texts."""

    name = "study-list-before"

    def prompt(self, task: AtomicTask, text: str) -> Rendered:
        """Render task, all labels and text."""
        about = _before_task(super().prompt(task, text), task)
        return Rendered.join([_opening(task), *_listed(task), *about, ANSWER])


class SequentialLines(MarksTemplate):
    """The library's template, for models whose lines see the lines before them."""

    name = "study-sequential-lines"


def _opening(task: AtomicTask) -> Mark:
    return opening(task.kind, single_label=task.single_label)


def _before_task(prompt: Rendered, task: AtomicTask) -> Sequence[Piece]:
    """Return what of a prompt is about the text: all that comes before the mark of the task."""
    return prompt.pieces[: prompt.pieces.index(_opening(task))]


def _listed(task: AtomicTask) -> list[Piece]:
    pieces: list[Piece] = []
    for label in task.labels:
        means = task.descriptions.get(label)
        pieces += [LABEL, lead(label), *((MEANS, lead(means)) if means else ())]
    return [*pieces, NONE] if task.none else pieces


def encode_listed(
    example: Example,
    vocabulary: Vocabulary,
    template: Template,
    shown: Shown | None = None,
    *,
    absent_weight: float = 1.0,
) -> Encoded:
    """Encode an example as :func:`seqgpt.training.encode.encode` does, with the labels that are shown in the prompt."""
    encoded = encode(example, vocabulary, template, shown, absent_weight=absent_weight)
    task = (apply(example, shown) if shown else example).task
    return encoded._replace(tree=Tree(encode_prompt(example.text, task, vocabulary, template), encoded.tree.branches))


def encode_sequentially(
    example: Example,
    vocabulary: Vocabulary,
    template: Template,
    shown: Shown | None = None,
    *,
    absent_weight: float = 1.0,
) -> Encoded:
    """Encode an example so that the line of each label stands behind the gold lines of the labels before it.

    What is asked is what :func:`seqgpt.training.encode.encode` asks. The first branch has the lines of all labels, each
    other one the lines before a label and one further span of it.
    """
    apart = encode(example, vocabulary, template, shown, absent_weight=absent_weight)
    if example.task.single_label:
        return apart
    lines: list[int] = []
    length = 0  # of what of the lines is asked of
    asked: list[Target] = []
    branches: list[Sequence[int]] = []
    targets: list[tuple[Target, ...]] = []
    coming = deque(zip(apart.tree.branches, apart.targets, strict=True))
    for label in (*shown.words, *shown.foreign) if shown else example.task.labels:
        begun = vocabulary.encode_pieces(cue(label))
        own = []
        while coming and tuple(coming[0][0][: len(begun)]) == begun:
            own.append(coming.popleft())
        before = len(lines)
        for number, (branch, questions) in enumerate(own):
            behind = [question._replace(offset=before + question.offset) for question in questions]
            if number:
                branches.append((*lines[:before], *branch))
                targets.append(tuple(behind))
            else:
                asked += behind
                length = before + len(branch)
                lines += begun
            lines += _said(branch[len(begun) :], questions[0], example.task, vocabulary)
    return apart._replace(tree=Tree(apart.tree.prompt, [lines[:length], *branches]), targets=(tuple(asked), *targets))


def _said(span: Sequence[int], first: Target, task: AtomicTask, vocabulary: Vocabulary) -> Tokens:
    """Return what a gold line says behind its label: a span, or whether the label holds."""
    if task.kind == "extract":
        return (*span, vocabulary.mark(END)) if span else (vocabulary.mark(NONE),)
    return (vocabulary.mark(YES if first.right else NONE),)


class LineByLine:
    """Answers label by label, the model's own earlier lines in front.

    Texts must be short: text and all lines together are read at once, and read again for every line.

    Args:
        model: A model that was trained so.
        threshold: What the probability of a span, or of one label of several, must exceed, in the lines that are
            read too.
    """

    def __init__(self, model: SeqGPT, threshold: float = DEFAULT_THRESHOLD) -> None:
        self.model = model
        self.threshold = threshold
        self._decoder = Decoder(model.forward, model.vocabulary, model.max_positions)

    def fit_threshold(self, groups: Sequence[Sequence[Example]]) -> None:
        """Take the threshold with the best mean F1 on some data sets; all texts are answered with each."""
        asked = [[one for one in group if not one.task.single_label] for group in groups]
        asked = [group for group in asked if group]

        def found(threshold: float) -> float:
            self.threshold = threshold
            answers = [self.predict_pairs([(one.text, one.task) for one in group]) for group in asked]
            gold = [[one.gold for one in group] for group in asked]
            groups = [list(zip(*pair, strict=True)) for pair in zip(gold, answers, strict=True)]
            return mean_f1(groups, Decision(threshold, threshold))

        if asked:
            self.threshold = max(_CANDIDATES, key=lambda threshold: (found(threshold), threshold))

    def predict_pairs(self, pairs: Sequence[tuple[str, AtomicTask]], *, progress: bool = False) -> list[Result]:
        """Answer each task on its text."""
        results: dict[int, Result] = {}
        alone = [i for i, (_, task) in enumerate(pairs) if task.single_label]
        results.update(zip(alone, self.model.predict_pairs([pairs[i] for i in alone]), strict=True))
        left = sorted((i for i, (_, task) in enumerate(pairs) if not task.single_label), key=lambda i: len(pairs[i][0]))
        for start in range(0, len(left), _TEXTS_AT_ONCE):
            members = left[start : start + _TEXTS_AT_ONCE]
            results.update(zip(members, self._write([pairs[i] for i in members]), strict=True))
        return [results[i] for i in range(len(pairs))]

    def _write(self, pairs: Sequence[tuple[str, AtomicTask]]) -> list[Result]:
        vocabulary, template = self.model.vocabulary, self.model.template
        written = [make_plan(text, task, vocabulary, template).prompt for text, task in pairs]
        answers: list[list[Result]] = [[] for _ in pairs]
        for number in range(max(len(task.labels) for _, task in pairs)):
            going = [i for i, (_, task) in enumerate(pairs) if number < len(task.labels)]
            plans = []
            for i in going:
                text, task = pairs[i]
                label = task.labels[number]
                plan = Plan(text, task.with_labels([label]), written[i], (vocabulary.encode_pieces(cue(label)),))
                if plan.longest >= self.model.max_positions:
                    raise TextError(f"text and lines have {plan.longest} tokens: take shorter texts, or fewer labels.")
                plans.append(plan)
            found = self._decoder.answer(plans, Thresholds(self.threshold, self.threshold))
            for i, plan, answer in zip(going, plans, found, strict=True):
                answers[i].append(answer)
                written[i] += plan.branches[0] + vocabulary.encode_pieces(_line(answer))
        return [_together(text, task, own) for (text, task), own in zip(pairs, answers, strict=True)]


def _line(answer: Result) -> list[Piece]:
    """Return what a line says behind its label."""
    if isinstance(answer, Extraction):
        return write_spans(answer.spans, answer.text)
    return [YES if answer.labels else NONE]


def _together(text: str, task: AtomicTask, answers: Sequence[Result]) -> Result:
    if task.kind == "extract":
        return Extraction.of(
            text, task, [one for each in answers if isinstance(each, Extraction) for one in each.spans]
        )
    several = [each for each in answers if isinstance(each, Classification)]
    scores = {label: score for each in several for label, score in each.scores.items()}
    return Classification.of(text, task, tuple(label for each in several for label in each.labels), scores)


Encode = Callable[..., Encoded]

FORMS: dict[str, tuple[MarksTemplate, Encode]] = {
    "list_after": (ListAfter(), encode_listed),
    "list_before": (ListBefore(), encode_listed),
    "sequential_lines": (SequentialLines(), encode_sequentially),
}
"""The forms by name: how a prompt is written, and how an example is encoded for training."""


@contextmanager
def in_form(name: str) -> Iterator[None]:
    """Know a form for a while: its template by name, and its encoding where examples are trained on.

    Mixtures are encoded without their labels, so a model of a form is trained on ``data.train``.

    Args:
        name: The form; empty for that of the library.
    """
    if not name:
        yield
        return
    template, encoding = FORMS[name]
    with (
        patch.dict(templates._TEMPLATES, {template.name: template}),
        patch.object(training_set, "encode", encoding),
    ):
        yield


def template_of(form: str) -> str | None:
    """Return the name of a form's template; None for that of the library."""
    return FORMS[form][0].name if form else None


def predictor_of(form: str, model: SeqGPT, held_out: Sequence[Sequence[Example]]) -> Predictor:
    """Return what answers with a model of a form.

    Args:
        form: The form.
        model: The model.
        held_out: Examples of several data sets, on which a threshold is chosen where the run could not do it.
    """
    if form != "sequential_lines":
        return model
    predictor = LineByLine(model)
    predictor.fit_threshold(held_out)
    return predictor
