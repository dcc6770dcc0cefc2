"""A predictor that knows some facts, and keeps what it was asked."""

from dataclasses import replace

from seqgpt.about import wording
from seqgpt.composite.base import run
from seqgpt.grounding import ground
from seqgpt.results import Classification, Extraction


class Fake:
    """Answers by rule: ``facts`` holds ``(*what is asked about, label)``, with the spans of an extraction."""

    def __init__(self, facts, warnings=()):
        self.facts = facts
        self.warnings = warnings
        self.waves = []

    def predict(self, texts, task):
        """Ask one task of several texts; return their results."""
        numbers = [None] if len(texts) == 1 else range(1, len(texts) + 1)
        return run([(text, task) for text in texts], numbers, self._ask)

    @property
    def asked(self):
        """The tasks of each wave, whatever their texts."""
        return [[task for _, task, _ in wave] for wave in self.waves]

    def _ask(self, wave):
        self.waves.append(list(wave))
        return [self._answer(text, task) for text, task, _ in wave]

    def _answer(self, text, task):
        about = tuple(map(wording, task.about))
        notes = {"truncated": bool(self.warnings), "warnings": tuple(self.warnings)}
        if task.kind == "extract":
            known = {label: [s for s in self.facts.get((*about, label), ()) if s in text] for label in task.labels}
            spans = [replace(span, score=0.5) for span in ground(task, known, text).spans]
            return Extraction.of(text, task, spans, **notes)
        held = [label for label in task.labels if (*about, label) in self.facts]
        if task.single_label and not task.none:
            held = held[:1] or [task.labels[0]]
        scores = {label: 0.75 if label in held else 0.25 / len(task.labels) for label in task.labels}
        return Classification.of(text, task, tuple(held), scores, **notes)
