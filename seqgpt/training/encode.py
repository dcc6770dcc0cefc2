"""Examples as trees with targets: what a model reads, what it is asked where, and what is right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from seqgpt.engine.constraint import ChoiceConstraint, SpanConstraint
from seqgpt.engine.plan import Plan, make_plan
from seqgpt.engine.tree import Tree
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.examples import Example
from seqgpt.grounding import by_label
from seqgpt.results import Classification, Extraction, Span
from seqgpt.templates import Template
from seqgpt.templates.marks import END, YES, write_span

Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Target:
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


@dataclass(frozen=True)
class Encoded:
    """An example for training.

    Attributes:
        tree: What the model reads.
        targets: For each branch of the tree, what is asked.
    """

    tree: Tree
    targets: tuple[tuple[Target, ...], ...]


_Branches = list[tuple[Tokens, tuple[Target, ...]]]


def encode(example: Example, vocabulary: Vocabulary, template: Template, *, absent_weight: float = 1.0) -> Encoded:
    """Encode an example exactly as prediction would read and constrain it.

    A single-label task has one branch, its right answer; the others have one for each label, and for each span of a
    label after its first. A span is learnt without the white space at its edges, which no prediction has.

    Args:
        example: The example.
        vocabulary: The vocabulary of the model.
        template: The template of the model.
        absent_weight: What the question of a label counts that does not hold; of one that holds, it is 1.
    """
    plan = make_plan(example.text, example.task, vocabulary, template)
    gold = example.gold
    if isinstance(gold, Extraction):
        branches = _spans(plan, gold, vocabulary, absent_weight)
    elif example.task.single_label:
        branches = [_choice(plan, gold)]
    else:
        branches = _judgements(plan, gold, vocabulary, absent_weight)
    return Encoded(Tree(plan.prompt, [ids for ids, _ in branches]), tuple(targets for _, targets in branches))


def _spans(plan: Plan, gold: Extraction, vocabulary: Vocabulary, absent_weight: float) -> _Branches:
    constraint = SpanConstraint(plan.text, vocabulary)
    groups = by_label(gold.spans)
    branches = []
    for label, cue in zip(plan.task.labels, plan.branches, strict=True):
        stripped = dict.fromkeys(_strip(span) for span in groups.get(label, []) if span.text.strip())
        answers = [vocabulary.encode_pieces(write_span(span, plan.text)) for span in stripped]
        branches += (
            _paths(cue, answers, constraint, vocabulary.mark(END))
            if answers
            else [_absent(cue, constraint, absent_weight)]
        )
    return branches


def _absent(cue: Tokens, constraint: SpanConstraint, weight: float) -> tuple[Tokens, tuple[Target, ...]]:
    """Return the branch of a label without spans: only how they would begin is asked."""
    return cue, (Target(len(cue) - 1, tuple(constraint.following(None)), frozenset(), weight=weight),)


def _paths(cue: Tokens, answers: Sequence[Tokens], constraint: SpanConstraint, end: int) -> _Branches:
    """Return a branch for each span; what follows a beginning that several spans share is asked once."""
    following: dict[Tokens, set[int]] = {(): set()}
    for answer in answers:
        for i, token in enumerate(answer):
            following.setdefault(answer[:i], set()).add(token)
    branches = []
    for answer in answers:
        states = [None, *constraint.path(answer[:-1])]
        targets = []
        for i, written in enumerate(states):
            if answer[:i] in following:
                ends = (end,) if written and constraint.place(written) else ()
                right = frozenset(following.pop(answer[:i]))
                targets.append(Target(len(cue) - 1 + i, (*ends, *constraint.following(written)), right))
        branches.append((cue + answer[:-1], tuple(targets)))
    return branches


def _strip(span: Span) -> Span:
    start = span.start + len(span.text) - len(span.text.lstrip())
    text = span.text.strip()
    return Span(span.label, text, start, start + len(text))


def _judgements(plan: Plan, gold: Classification, vocabulary: Vocabulary, absent_weight: float) -> _Branches:
    yes = (vocabulary.mark(YES),)
    branches: _Branches = []
    for label, cue in zip(plan.task.labels, plan.branches, strict=True):
        holds = label in gold.labels
        right = frozenset(yes if holds else ())
        branches.append((cue, (Target(len(cue) - 1, yes, right, weight=1.0 if holds else absent_weight),)))
    return branches


def _choice(plan: Plan, gold: Classification) -> tuple[Tokens, tuple[Target, ...]]:
    trie = ChoiceConstraint([*plan.branches, plan.none] if plan.none else plan.branches)
    answer = plan.branches[plan.task.labels.index(gold.labels[0])] if gold.labels else plan.none
    targets = tuple(
        Target(i - 1, trie.next_tokens(answer[:i]), frozenset([token]), one_of=True) for i, token in enumerate(answer)
    )
    return answer[:-1], targets
