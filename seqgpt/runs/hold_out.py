"""Holding out a share of examples: a seeded choice in which every answer has its share, and no text on both sides."""

from __future__ import annotations

from collections.abc import Sequence

from seqgpt.data.augmentation import held_numbers
from seqgpt.data.draws import draw
from seqgpt.examples import Example


def hold_out(examples: Sequence[Example], share: float, *, seed: int) -> tuple[list[Example], list[Example]]:
    """Part examples into those that are kept and those that are held out, each in their order.

    Texts are drawn, not examples: all tasks on a text go together, and so does what is there twice. Texts with the same
    labels in their answers give the same share of themselves, as far as they can be divided.

    Args:
        examples: The examples.
        share: The share of the texts that is held out, from 0 up, below 1; what is no whole number is rounded down.
        seed: Decides which.

    >>> from seqgpt.data.sample import load_sample
    >>> [len(part) for part in hold_out(load_sample("train"), 0.2, seed=0)]
    [256, 64]
    """
    answers: dict[str, set[str]] = {}
    for example in examples:
        labels = example.task.labels
        answers.setdefault(example.text, set()).update(labels[i] for i in held_numbers(example))
    texts = list(answers)
    draw(seed, "hold out").shuffle(texts)
    texts.sort(key=lambda text: sorted(answers[text]))  # stable: of the same labels, they stay shuffled
    held = {text for i, text in enumerate(texts) if int((i + 1) * share) > int(i * share)}
    return [one for one in examples if one.text not in held], [one for one in examples if one.text in held]
