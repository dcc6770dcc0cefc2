"""Whether examples of classification all have the same answer: then a model learns to say nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from seqgpt.examples import Example
from seqgpt.results import Extraction

_FEWEST = 5  # fewer with the same labels may agree by chance, where examples bring labels of their own


def one_class(named: Mapping[str, Sequence[Example]]) -> Iterator[str]:
    """Yield a sentence for each source and set of labels of which only one answer comes.

    Args:
        named: Examples by what their source is called.
    """
    for name, examples in named.items():
        answers: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
        for example in examples:
            if not isinstance(example.gold, Extraction):
                answers.setdefault(example.task.labels, []).append(tuple(example.gold.labels))
        for found in answers.values():
            if len(found) >= _FEWEST and len(set(found)) == 1:
                said = ", ".join(found[0]) or "none of the labels"
                where = f"{name}: " if name else ""
                yield f"{where}all {len(found)} examples are of one class, {said!r}: a model learns to say nothing else"
