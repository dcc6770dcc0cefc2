"""A task on a text as token ids: one prompt, and one branch for each label."""

from __future__ import annotations

from dataclasses import dataclass

from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.rendered import Mark
from seqgpt.tasks import AtomicTask
from seqgpt.templates import Template
from seqgpt.templates.marks import LABEL, NONE, choice, cue


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
        none: Single-label tasks: the whole answer "none of these"; empty if that is no answer.
    """

    text: str
    task: AtomicTask
    prompt: tuple[int, ...]
    branches: tuple[tuple[int, ...], ...]
    none: tuple[int, ...] = ()

    @property
    def longest(self) -> int:
        """Number of tokens of the prompt and its longest branch."""
        return len(self.prompt) + max(map(len, self.branches))


def make_plan(
    text: str, task: AtomicTask, vocabulary: Vocabulary, template: Template, like: Plan | None = None
) -> Plan:
    """Encode a task on a text, piece by piece, so that words never merge with marks or with one another.

    Args:
        text: The text.
        task: The task.
        vocabulary: The vocabulary of the model.
        template: The template of the model.
        like: A plan of the same task on another text, to share its branches.
    """
    prompt = encode_prompt(text, task, vocabulary, template)
    if like is not None:
        return Plan(text, task, prompt, like.branches, like.none)
    write = choice if task.single_label else cue
    branches = tuple(vocabulary.encode_pieces(write(label)) for label in task.labels)
    none = (vocabulary.mark(NONE),) if task.none else ()
    return Plan(text, task, prompt, branches, none)


def encode_prompt(text: str, task: AtomicTask, vocabulary: Vocabulary, template: Template) -> tuple[int, ...]:
    """Encode the prompt of any template."""
    prompt: list[int] = []
    encode = vocabulary.encode  # the text, and what is asked about it, are seen once
    for piece in template.prompt(task, text).pieces:
        if isinstance(piece, Mark):
            prompt.append(vocabulary.mark(piece))
            if piece == LABEL:
                encode = vocabulary.encode_label  # descriptions come again with every text
        else:
            prompt += encode(piece)
    return tuple(prompt)
