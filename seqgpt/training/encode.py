"""Examples as trees with targets: what a model reads, what it should say where, and what else it might have said."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from seqgpt.engine.constraint import ChoiceConstraint, SpanConstraint, SpanWriter
from seqgpt.engine.plan import Plan, make_plan
from seqgpt.engine.tree import Tree
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.examples import Example
from seqgpt.grounding import by_label
from seqgpt.rendered import Mark
from seqgpt.results import Classification, Extraction
from seqgpt.templates import Template
from seqgpt.templates.marks import END, NEXT, NONE, SKIP, YES, write_spans


@dataclass(frozen=True)
class Target:
    """One token that a model should say.

    Attributes:
        offset: Position within the branch after which it is said; -1 is the last token of the prompt.
        token: The token.
        allowed: All tokens that prediction would allow here, this one included; empty for the whole vocabulary.
    """

    offset: int
    token: int
    allowed: tuple[int, ...]


@dataclass(frozen=True)
class Encoded:
    """An example for training.

    Attributes:
        tree: What the model reads.
        targets: For each branch of the tree, what it should say.
    """

    tree: Tree
    targets: tuple[tuple[Target, ...], ...]


def encode(example: Example, vocabulary: Vocabulary, template: Template) -> Encoded:
    """Encode an example exactly as prediction would read and constrain it.

    A single-label task has one branch, its right answer; the other tasks have one for each label.
    """
    plan = make_plan(example.text, example.task, vocabulary, template)
    marks = {mark: vocabulary.mark(mark) for mark in (NONE, SKIP, NEXT, END, YES)}
    gold = example.gold
    if isinstance(gold, Extraction):
        branches = _spans(plan, gold, vocabulary, marks)
    elif example.task.multi_label:
        branches = _judgements(plan, gold, marks)
    else:
        branches = [_choice(plan, gold, marks)]
    return Encoded(Tree(plan.prompt, [ids for ids, _ in branches]), tuple(targets for _, targets in branches))


def _spans(
    plan: Plan, gold: Extraction, vocabulary: Vocabulary, marks: Mapping[Mark, int]
) -> list[tuple[tuple[int, ...], tuple[Target, ...]]]:
    constraint = SpanConstraint(plan.text, vocabulary)
    groups = by_label(gold.spans)
    branches = []
    for label, cue in zip(plan.task.labels, plan.branches, strict=True):
        answer = vocabulary.encode_pieces(write_spans(groups.get(label, []), plan.text))
        allowed = _options(answer, SpanWriter(constraint, marks))
        targets = tuple(
            Target(len(cue) - 1 + i, token, options)
            for i, (token, options) in enumerate(zip(answer, allowed, strict=True))
        )
        branches.append((cue + answer[:-1], targets))
    return branches


def _judgements(
    plan: Plan, gold: Classification, marks: Mapping[Mark, int]
) -> list[tuple[tuple[int, ...], tuple[Target, ...]]]:
    both = (marks[YES], marks[NONE])
    return [
        (cue, (Target(len(cue) - 1, marks[YES] if label in gold.labels else marks[NONE], both),))
        for label, cue in zip(plan.task.labels, plan.branches, strict=True)
    ]


def _choice(plan: Plan, gold: Classification, marks: Mapping[Mark, int]) -> tuple[tuple[int, ...], tuple[Target, ...]]:
    none = (marks[NONE],)
    trie = ChoiceConstraint([*plan.branches, none] if plan.task.none else plan.branches)
    answer = plan.branches[plan.task.labels.index(gold.labels[0])] if gold.labels else none
    targets = tuple(Target(i - 1, token, trie.next_tokens(answer[:i])) for i, token in enumerate(answer))
    return answer[:-1], targets


def _options(answer: Sequence[int], writer: SpanWriter) -> list[tuple[int, ...]]:
    """Follow an answer with the grammar; where it leaves it (a gold span with white space at its edge), allow all."""
    allowed: list[tuple[int, ...]] = []
    for token in answer:
        options = tuple(writer.options())
        if token not in options:
            break
        allowed.append(options)
        writer.feed(token)
    return allowed + [()] * (len(answer) - len(allowed))
