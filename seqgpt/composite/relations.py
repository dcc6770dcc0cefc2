"""Relations: heads by their types, then everything to which each head has its relations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from seqgpt.composite.base import Steps, distinct, extractions, label_sets, notes
from seqgpt.composite.result import CompositeResult, Plain
from seqgpt.questions import tail_question
from seqgpt.results import Span
from seqgpt.tasks import AtomicTask, Labels


@dataclass(frozen=True)
class Relation(Plain):
    """A head has a relation to a tail.

    Attributes:
        head: The span that has the relation; its label is the type.
        relation: The relation.
        tail: The span to which it has it; its label is the relation.
        score: Probability of head and tail together.
    """

    head: Span
    relation: str
    tail: Span
    score: float


@dataclass(frozen=True, repr=False)
class Relations(CompositeResult):
    """All relations that were found in a text.

    Attributes:
        relations: By head, then in the order of the relations, then of the text.
        heads: All heads, those without a relation too.
    """

    relations: tuple[Relation, ...]
    heads: tuple[Span, ...]


@dataclass(frozen=True)
class RelationTask:
    """Asks for relations; built by :func:`relations`."""

    asked: Mapping[str, Labels] = field(hash=False)
    name: str

    @property
    def labels(self) -> tuple[str, ...]:
        """The types of heads, and their relations."""
        return distinct(tuple(self.asked), *map(tuple, self.asked.values()))

    def steps(self, text: str) -> Steps[Relations]:
        """Ask for the heads, then for the tails of each."""
        (heads,) = yield from extractions([AtomicTask.extract(tuple(self.asked))])
        tails = yield from extractions([tail_question(head, self.asked[head.label]) for head in heads.spans])
        found = [
            Relation(head, tail.label, tail, head.score * tail.score)
            for head, answer in zip(heads.spans, tails, strict=True)
            for tail in answer.spans
        ]
        return Relations(text, tuple(found), heads.spans, **notes([heads, *tails]))


def relations(by_head: Mapping[str, Labels], *, name: str = "relations") -> RelationTask:
    """Ask which spans stand in which relations.

    Args:
        by_head: For each type of head, its relations: a list, or ``{relation: description}``.
        name: The key of the result when several tasks are asked at once.

    Raises:
        LabelError: If a type has no relations, or a label is empty or repeated.

    >>> relations({"person": ["employer", "birthplace"]}).labels
    ('person', 'employer', 'birthplace')
    """
    return RelationTask(label_sets(by_head, "the relations", "{'person': ['employer', 'birthplace']}"), name)
