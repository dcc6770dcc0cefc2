"""Single-label tasks: of all whole answers, the most probable, with every answer's probability."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from seqgpt.engine.constraint import ChoiceConstraint
from seqgpt.engine.first_pass import Asked, Logits, Part
from seqgpt.engine.plan import Plan
from seqgpt.results import Classification


@dataclass
class Choice(Asked):
    """A single-label plan while it is being answered.

    Its answers are a trie, and only where they part is anything asked.

    Attributes:
        trie: All whole answers.
        odds: At each node where answers part, the log probabilities of the tokens that may follow.
    """

    trie: ChoiceConstraint
    odds: dict[tuple[int, ...], dict[int, float]] = field(default_factory=dict)

    @classmethod
    def of(cls, plan: Plan) -> Choice:
        """Say at which tokens of a plan logits are wanted."""
        trie = ChoiceConstraint([*plan.branches, plan.none] if plan.none else plan.branches)
        return cls(plan, trie.branching()[: len(plan.branches)], trie)

    def options(self, part: Part) -> Iterator[int]:
        """Yield the tokens that may come next where logits are wanted."""
        return (token for node in part.written() for token in self.trie.next_tokens(node))

    def read(self, part: Part, rows: Sequence[int], logits: Logits) -> None:
        """Take what the model says from its rows of logits."""
        nodes = part.written()
        options = [self.trie.next_tokens(node) for node in nodes]
        for node, tokens, values in zip(nodes, options, logits.odds(rows, options), strict=True):
            self.odds[node] = dict(zip(tokens, values.tolist(), strict=True))

    def probability(self, answer: tuple[int, ...]) -> float:
        """Return the probability of a whole answer."""
        return math.exp(sum(self.odds[answer[:i]][answer[i]] for i in self.trie.parting(answer)))

    def result(self) -> Classification:
        """Return the most probable answer."""
        plan = self.plan
        scores = {
            label: self.probability(branch) for label, branch in zip(plan.task.labels, plan.branches, strict=True)
        }
        best = max(scores, key=lambda label: scores[label])
        abstain = bool(plan.none) and self.probability(plan.none) > scores[best]
        return Classification.of(plan.text, plan.task, () if abstain else (best,), scores)
