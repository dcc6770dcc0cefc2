"""How many tokens an example has at most, whichever of its labels are shown."""

from __future__ import annotations

from seqgpt.model import SeqGPT
from seqgpt.tasks import AtomicTask
from seqgpt.training.encode import Answers, LabelTokens


def most_tokens(model: SeqGPT, max_length: int | None) -> int:
    """Return how many tokens of prompt and longest branch are read in training: so many, or what the model reads."""
    reads = model.max_positions - 1
    return reads if max_length is None else min(max_length, reads)


def longest(answers: Answers, task: AtomicTask, words: LabelTokens, max_labels: int | None = None) -> int:
    """Return how many tokens prompt and longest branch of an example have at most, in any epoch.

    Of a long label set other labels are shown in every epoch. The longest that might be shown together are counted.

    Args:
        answers: The example, without its labels' words.
        task: Its task.
        words: The words of labels.
        max_labels: Most labels that are shown; None for all.
    """
    described = [
        len(words.described(label, task.descriptions[label])) if label in task.descriptions else 0
        for label in task.labels
    ]
    absent = sorted((size for i, size in enumerate(described) if i not in answers.held), reverse=True)
    shown = absent if max_labels is None else absent[: max(max_labels - len(answers.held), 1)]
    marks = 2 + task.none  # of the task, of the answer, of "none of these"
    prompt = len(answers.prompt) + marks + sum(described[i] for i in answers.held) + sum(shown)
    if task.single_label:
        return prompt + max((len(words.cue(task.labels[i])) - 1 for i in answers.held), default=0)
    cues = [len(words.cue(label)) for label in task.labels]
    spans = [
        cues[i] + len(path.tokens)
        for i, label in zip(answers.held, answers.spans, strict=False)  # classes have no spans
        for path in label.paths
    ]
    return prompt + max([*cues, *spans])
