"""Which labels of an example are shown in training, in which order, and what they count.

What is drawn is a function of (seed, epoch, example id, purpose) alone, so that a resumed run sees what an
uninterrupted one would, and the number of workers makes no difference.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping

from seqgpt.examples import Example
from seqgpt.results import Classification, Extraction


def draw(seed: int, epoch: int, example_id: str, purpose: str) -> random.Random:
    """Return the random generator of one example in one epoch, another one for each purpose."""
    key = hashlib.blake2b(f"{seed}/{epoch}/{example_id}/{purpose}".encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(key, "big"))  # noqa: S311 (not for secrets)


def shuffle_labels(example: Example, random_: random.Random, max_labels: int) -> Example:
    """Shuffle an example's labels; of long label sets keep the right ones and a random choice of the others.

    Labels that take no room, those of a single-label task without descriptions, are all kept.

    Args:
        example: The example.
        random_: Its random generator.
        max_labels: Most labels to keep; more only where as many hold, for one that does not hold is kept at least.
    """
    labels = list(example.task.labels)
    random_.shuffle(labels)
    return _with_first(example, labels, max_labels)


def longest_labels(example: Example, size: Mapping[str, int], max_labels: int) -> Example:
    """Return the longest that :func:`shuffle_labels` might return, whatever it draws.

    Args:
        example: The example.
        size: How long each label is.
        max_labels: As there.
    """
    return _with_first(example, sorted(example.task.labels, key=lambda label: -size[label]), max_labels)


def absent_weight(example: Example, shown: Example) -> float:
    """Return how many absent labels of an example each one stands for that is shown.

    So the summed loss is, in expectation, the same however many are shown, and an absent label counts as often as it is
    absent. (What is logged is the mean over the questions that were asked, which are fewer.)
    """
    held = len(_held(example))
    return (len(example.task.labels) - held) / max(len(shown.task.labels) - held, 1)


def _with_first(example: Example, labels: list[str], max_labels: int) -> Example:
    """Keep the right labels, and the first of the others, at least one."""
    if len(labels) > max_labels and (example.task.descriptions or not example.task.single_label):
        held = _held(example)
        others = [label for label in labels if label not in held]
        kept = held.union(others[: max(max_labels - len(held), 1)])
        labels = [label for label in labels if label in kept]
    task = example.task.with_labels(labels)
    gold = example.gold
    shuffled = (
        Extraction.of(gold.text, task, gold.spans)
        if isinstance(gold, Extraction)
        else Classification.of(gold.text, task, gold.labels)
    )
    return Example(shuffled, example.id, example.family, example.language)


def _held(example: Example) -> set[str]:
    gold = example.gold
    return {span.label for span in gold.spans} if isinstance(gold, Extraction) else set(gold.labels)
