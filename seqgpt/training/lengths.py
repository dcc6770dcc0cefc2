"""What is longer than a model reads: found before anything is predicted or trained, and cheaply.

Nothing is tokenized that cannot be too long by its number of bytes: no token is shorter than one.
"""

from __future__ import annotations

from seqgpt.engine.plan import make_plan
from seqgpt.examples import Example
from seqgpt.model import SeqGPT
from seqgpt.tasks import AtomicTask

_MARKS_OF_A_BRANCH = 8  # bytes of the space and the mark around a label, at least


def question_too_long(model: SeqGPT, text: str, task: AtomicTask) -> str:
    """Say what is wrong with a question that the model cannot read; an empty string if it can."""
    branch = max(len(label.encode()) for label in task.labels) + _MARKS_OF_A_BRANCH
    if len(model.template.prompt(task, text).encode()) + branch < model.max_positions:
        return ""
    longest = make_plan(text, task, model.vocabulary, model.template).longest
    if longest < model.max_positions:
        return ""
    return (
        f"text and labels have {longest} tokens, and the model reads {model.max_positions - 1}: "
        "shorten or split the text, or ask for fewer labels at once."
    )


def most_tokens(model: SeqGPT, example: Example) -> int:
    """Return a bound on the tokens of an example and its answer."""
    prompt = model.template.prompt(example.task, example.text)
    answer = model.template.answer(example.task, example.gold, None)
    return len(prompt.encode()) + len(answer.encode())
