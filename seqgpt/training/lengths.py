"""Examples that are longer than a model reads: found before anything is trained, and cheaply.

Nothing is tokenized that cannot be too long by its number of bytes: no token is shorter than one.
"""

from __future__ import annotations

from collections.abc import Mapping

from seqgpt.data.augmentation import Shown, held_numbers
from seqgpt.examples import Example
from seqgpt.model import SeqGPT
from seqgpt.templates.marks import cue, lead
from seqgpt.training.encode import encode


def example_too_long(model: SeqGPT, example: Example, max_labels: int) -> str:
    """Say what is wrong with an example that cannot be trained on; an empty string if it can, in every epoch.

    Of a long label set other labels are shown in every epoch. The longest that might be shown together are counted.
    """
    prompt = model.template.prompt(example.task, example.text)
    answer = model.template.answer(example.task, example.gold, None)
    if len(prompt.encode()) + len(answer.encode()) < model.max_positions:
        return ""
    vocabulary, labels, descriptions = model.vocabulary, example.task.labels, example.task.descriptions
    size = {
        label: sum(len(vocabulary.encode_label(lead(words))) + 1 for words in (label, descriptions.get(label)) if words)
        for label in labels
    }
    widest = encode(example, vocabulary, model.template, _longest(example, size, max_labels))
    branches = [*map(len, widest.tree.branches)]
    if not example.task.single_label:  # every label begins a branch, described or not
        branches += [len(vocabulary.encode_pieces(cue(label))) for label in labels] if descriptions else []
    longest = len(widest.tree.prompt) + max(branches)
    if longest < model.max_positions:
        return ""
    return (
        f"example {example.id} has up to {longest} tokens, and the model reads {model.max_positions - 1}: "
        "shorten its text, lower max_labels, or leave it out."
    )


def _longest(example: Example, size: Mapping[str, int], max_labels: int) -> Shown:
    """Return the longest that may be shown of a label set, whatever is drawn."""
    task, held = example.task, held_numbers(example)
    others = sorted(set(range(len(task.labels))) - set(held), key=lambda i: -size[task.labels[i]])
    few = bool(task.descriptions) or not task.single_label
    kept = [*held, *(others[: max(max_labels - len(held), 1)] if few else others)]
    words = tuple(task.labels[i] for i in kept)
    return Shown(tuple(kept), words, tuple(task.descriptions.get(word, "") for word in words), none=task.none)
