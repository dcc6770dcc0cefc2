"""A task on a text as token ids: one prompt, and one branch for each label."""

from __future__ import annotations

from dataclasses import dataclass

from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.rendered import Mark
from seqgpt.tasks import AtomicTask
from seqgpt.templates import Template
from seqgpt.templates.marks import choice, cue


@dataclass(frozen=True)
class Plan:
    """What a model reads for one text and task.

    The prompt comes once. Each branch follows the prompt by itself, as if the others were not there::

        prompt ─┬─ " person" <|is|>      → spans or <|none|>
                └─ " place"  <|is|>      → spans or <|none|>

    Attributes:
        prompt: Token ids up to the mark that begins the answer.
        branches: For each label its token ids: for extraction and multi-label tasks what begins its answer, for
            single-label tasks its whole answer, end mark included.
    """

    text: str
    task: AtomicTask
    prompt: tuple[int, ...]
    branches: tuple[tuple[int, ...], ...]

    @property
    def longest(self) -> int:
        """Number of tokens of the prompt and its longest branch."""
        return len(self.prompt) + max(map(len, self.branches))


def make_plan(
    text: str, task: AtomicTask, vocabulary: Vocabulary, template: Template, *, like: Plan | None = None
) -> Plan:
    """Encode a task on a text, piece by piece, so that words never merge with marks or with one another.

    Args:
        text: The text.
        task: The task.
        vocabulary: The vocabulary of the model.
        template: The template of the model.
        like: A plan of the same task on another text, to share its branches.
    """
    prompt: list[int] = []
    for i, piece in enumerate(template.prompt(task, text).pieces):
        if isinstance(piece, Mark):
            prompt.append(vocabulary.mark(piece))
        else:  # the text comes first and is seen once; descriptions come again with every text
            prompt += vocabulary.encode(piece) if i < 2 else vocabulary.encode_label(piece)
    if like is not None:
        return Plan(text, task, tuple(prompt), like.branches)
    write = choice if task.single_label else cue
    branches = tuple(vocabulary.encode_pieces(write(label)) for label in task.labels)
    return Plan(text, task, tuple(prompt), branches)
