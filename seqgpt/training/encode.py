"""Examples as trees with targets: what a model reads, what it is asked where, and what is right.

In two steps, of which the first costs most and is the same in every epoch:

    example ─ read_answers → what of it does not depend on how its labels are shown: ``Answers``
            ─ assemble     → with the labels as they are shown: ``Encoded``
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import zip_longest
from typing import Any, NamedTuple

from seqgpt.data.augmentation import Shown
from seqgpt.engine.constraint import SpanConstraint
from seqgpt.engine.plan import encode_prompt
from seqgpt.engine.tree import Tree
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.examples import Example
from seqgpt.grounding import by_label
from seqgpt.results import Extraction, Span
from seqgpt.tasks import TaskKind
from seqgpt.templates import Template
from seqgpt.templates.marks import (
    ANSWER,
    END,
    LABEL,
    MEANS,
    NONE,
    YES,
    choice,
    cue,
    lead,
    opening,
    write_span,
)

Tokens = Sequence[int]

_NOTHING: frozenset[int] = frozenset()
_CHOICES = 10_000  # answers of whole label sets that are remembered
_TASKS: list[tuple[TaskKind, bool]] = [("extract", False), ("classify", False), ("classify", True)]  # and single_label


class Target(NamedTuple):
    """A question to the model: which of some tokens come next.

    Attributes:
        offset: Position within the branch after which it is asked; -1 is the last token of the prompt.
        options: The tokens that prediction would allow here.
        right: Those of them that are right.
        one_of: Exactly one is right; else any number may be, and each is a question by itself.
        weight: What the question counts in the loss.
    """

    offset: int
    options: Tokens
    right: frozenset[int]
    one_of: bool = False
    weight: float = 1.0


_target = partial(tuple.__new__, Target)
"""``Target`` from a tuple of all its fields: four times as fast, and an example has dozens."""

_Choice = tuple[tuple[int, ...], tuple[Target, ...]]


class Encoded(NamedTuple):
    """An example for training.

    Attributes:
        tree: What the model reads.
        targets: For each branch of the tree, what is asked.
        source: What the example's source is called, by which its loss is counted; empty if it has none.
    """

    tree: Tree
    targets: tuple[tuple[Target, ...], ...]
    source: str = ""


Step = tuple[int, Tokens, Tokens]
"""A question within a span: after how many of its tokens, which may follow there, and which do in some span."""


class SpanPath(NamedTuple):
    """A span as tokens, without its end mark, and what is asked along them beside how spans begin."""

    tokens: Tokens
    steps: Sequence[Step]


class LabelSpans(NamedTuple):
    """The spans of a label: the tokens with which they begin, and each of them."""

    begins: Tokens
    paths: Sequence[SpanPath]


class Answers(NamedTuple):
    """What of an example does not depend on how its labels are shown.

    Attributes:
        kind: The kind of its task.
        single_label: Whether its labels exclude one another.
        prompt: What is read of text and task before the mark of the task.
        held: The numbers of the labels that hold.
        begins: Extraction: the tokens with which a span may begin.
        spans: Extraction: what each label that holds is answered with.
    """

    kind: TaskKind
    single_label: bool
    prompt: Tokens
    held: Sequence[int]
    begins: Tokens = ()
    spans: Sequence[LabelSpans] = ()


def encode(
    example: Example,
    vocabulary: Vocabulary,
    template: Template,
    shown: Shown | None = None,
    *,
    absent_weight: float = 1.0,
) -> Encoded:
    """Encode an example exactly as prediction would read and constrain it.

    A single-label task has one branch, its right answer; the others have one for each label, and for each span of a
    label after its first. A span is learnt without the white space at its edges, which no prediction has.

    Args:
        example: The example.
        vocabulary: The vocabulary of the model.
        template: The template of the model.
        shown: How its labels are shown; by default as they are.
        absent_weight: What the question of a label counts that does not hold; of one that holds, it is 1.
    """
    task = example.task
    as_it_is = Shown(
        tuple(range(len(task.labels))),
        task.labels,
        tuple(task.descriptions.get(label, "") for label in task.labels),
        none=task.none,
    )
    return assemble(
        read_answers(example, vocabulary, template),
        shown or as_it_is,
        LabelTokens(vocabulary),
        absent_weight=absent_weight,
    )


def read_answers(example: Example, vocabulary: Vocabulary, template: Template) -> Answers:
    """Encode what of an example does not depend on how its labels are shown."""
    task, gold = example.task, example.gold
    plain = task.with_labels(task.labels[:1]).without_descriptions()
    prompt = encode_prompt(example.text, plain, vocabulary, template)
    prompt = prompt[: prompt.index(vocabulary.mark(opening(task.kind, single_label=task.single_label)))]
    if not isinstance(gold, Extraction):
        held = [i for i, label in enumerate(task.labels) if label in set(gold.labels)]
        return Answers(task.kind, task.single_label, prompt, held)
    constraint, end = SpanConstraint(example.text, vocabulary), vocabulary.mark(END)
    groups = by_label(gold.spans)
    held, spans = [], []
    for i, label in enumerate(task.labels):
        stripped = dict.fromkeys(_strip(span) for span in groups.get(label, []) if span.text.strip())
        if stripped:
            held.append(i)
            written = [vocabulary.encode_pieces(write_span(span, example.text)) for span in stripped]
            spans.append(_label_spans(written, constraint, end))
    return Answers(task.kind, False, prompt, held, tuple(constraint.following(None)), spans)


def assemble(
    answers: Answers, shown: Shown, words: LabelTokens, *, absent_weight: float = 1.0, source: str = ""
) -> Encoded:
    """Put an example of a source together with its labels as they are shown."""
    prompt = [*answers.prompt, words.openings[answers.kind, answers.single_label]]
    if any(shown.descriptions):
        for word, description in zip(shown.words, shown.descriptions, strict=True):
            prompt += words.described(word, description) if description else ()
    if shown.none:
        prompt.append(words.none)
    prompt.append(words.answer)
    if not answers.single_label:
        branches, several = _labels(answers, shown, words, absent_weight)
        return Encoded(Tree(prompt, branches), several, source)
    held, kept = answers.held, shown.kept  # at most one holds
    right = kept.index(held[0]) if held and held[0] in kept else len(kept)
    branch, targets = words.choice(shown.words, shown.none, right)
    return Encoded(Tree(prompt, [branch]), (targets,), source)


class LabelTokens:
    """Labels as token ids, remembered: the same ones come again and again.

    Args:
        vocabulary: The vocabulary of the model.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.none, self.answer = vocabulary.mark(NONE), vocabulary.mark(ANSWER)
        self.yes = (vocabulary.mark(YES),)
        self.openings = {(kind, single): vocabulary.mark(opening(kind, single_label=single)) for kind, single in _TASKS}
        self._label, self._means = vocabulary.mark(LABEL), vocabulary.mark(MEANS)
        self._cues: dict[str, tuple[int, ...]] = {}
        self._answers: dict[str, tuple[int, ...]] = {}
        self._leads: dict[str, tuple[int, ...]] = {}
        self._choices: dict[tuple[int, bool, int], tuple[tuple[str, ...], _Choice]] = {}

    def cue(self, label: str) -> tuple[int, ...]:
        """Return what begins a label's own answer."""
        found = self._cues.get(label)
        if found is None:
            found = _bound(self._cues)[label] = self._vocabulary.encode_pieces(cue(label))
        return found

    def described(self, label: str, description: str) -> tuple[int, ...]:
        """Return what a prompt says of a label."""
        return (self._label, *self._lead(label), self._means, *self._lead(description))

    def choice(self, labels: tuple[str, ...], none: bool, right: int) -> _Choice:
        """Return the answer of a task whose labels exclude one another: its branch, and what is asked along it.

        Args:
            labels: The labels.
            none: Whether "none of these" is an answer.
            right: The number of the right label; their number for "none of these".
        """
        key = (id(labels), none, right)  # many labels take long to hash; what is remembered keeps its object alive
        found = self._choices.get(key)
        if found is None:
            answers = [self._answer(label) for label in labels]
            answers += [(self.none,)] if none else []
            found = _bound(self._choices, _CHOICES)[key] = (labels, _choice(answers, answers[right]))
        return found[1]

    def _answer(self, label: str) -> tuple[int, ...]:
        found = self._answers.get(label)
        if found is None:
            found = _bound(self._answers)[label] = self._vocabulary.encode_pieces(choice(label))
        return found

    def _lead(self, words: str) -> tuple[int, ...]:
        found = self._leads.get(words)
        if found is None:
            found = _bound(self._leads)[words] = self._vocabulary.encode(lead(words))
        return found


def _choice(answers: Sequence[tuple[int, ...]], answer: tuple[int, ...]) -> _Choice:
    """Return the branch of one of several answers, none of which begins with another, and what is asked along it."""
    targets = []
    for i, token in enumerate(answer):
        targets.append(Target(i - 1, tuple(dict.fromkeys([one[i] for one in answers])), frozenset((token,)), True))
        answers = [one for one in answers if one[i] == token]
    return answer[:-1], tuple(targets)


def _bound(memory: dict[Any, Any], most: int = 50_000) -> dict[Any, Any]:
    """Empty a memory that has become too large."""
    if len(memory) >= most:
        memory.clear()
    return memory


def _label_spans(answers: Sequence[tuple[int, ...]], constraint: SpanConstraint, end: int) -> LabelSpans:
    """Return the path of each span; what follows a beginning that several spans share is asked once."""
    following: dict[tuple[int, ...], dict[int, None]] = {}
    for answer in answers:
        for i, token in enumerate(answer):
            following.setdefault(answer[:i], {})[token] = None
    begins = tuple(following.pop(()))
    paths = []
    for answer in answers:
        steps = []
        for i, written in enumerate(constraint.path(answer[:-1]), start=1):
            if answer[:i] in following:
                ends = (end,) if constraint.place(written) else ()
                steps.append((i, (*ends, *constraint.following(written)), tuple(following.pop(answer[:i]))))
        paths.append(SpanPath(answer[:-1], steps))
    return LabelSpans(begins, paths)


def _strip(span: Span) -> Span:
    start = span.start + len(span.text) - len(span.text.lstrip())
    text = span.text.strip()
    return Span(span.label, text, start, start + len(text))


def _labels(
    answers: Answers, shown: Shown, words: LabelTokens, absent_weight: float
) -> tuple[list[Tokens], tuple[tuple[Target, ...], ...]]:
    """Return a branch for each label, and for each span after the first of a label."""
    extracts = answers.kind == "extract"
    begins = answers.begins if extracts else words.yes
    places = {number: place for place, number in enumerate(answers.held)}
    absent: dict[int, tuple[Target]] = {}  # by where it is asked: the same for all labels
    branches: list[Tokens] = []
    targets: list[tuple[Target, ...]] = []
    for number, word in zip_longest(shown.kept, (*shown.words, *shown.foreign)):
        cue = words.cue(word)
        asked = len(cue) - 1
        place = places.get(number)
        if place is None:
            branches.append(cue)
            if asked not in absent:
                absent[asked] = (_target((asked, begins, _NOTHING, False, absent_weight)),)
            targets.append(absent[asked])
        elif not extracts:
            branches.append(cue)
            targets.append((Target(asked, begins, frozenset(begins)),))
        else:
            spans = answers.spans[place]
            first = _target((asked, begins, frozenset(spans.begins), False, 1.0))
            for i, path in enumerate(spans.paths):
                later = [
                    _target((asked + offset, options, frozenset(right), False, 1.0))
                    for offset, options, right in path.steps
                ]
                branches.append((*cue, *path.tokens))
                targets.append(tuple(later) if i else (first, *later))
    return branches, tuple(targets)
