"""Zero-shot classification by a model of natural-language inference, through the pipeline of transformers.

Source: Yin et al. 2019 (arXiv 1909.00161): a label holds if the text entails a hypothesis about it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm
from transformers import AutoModelForSequenceClassification, pipeline

from seqgpt.errors import ConfigError, ModelError
from seqgpt.predictors.local_encoder import open_encoder
from seqgpt.predictors.wording import label_words, require_classes, text_of
from seqgpt.results import Classification
from seqgpt.tasks import AtomicTask
from seqgpt.texts import check_text

HYPOTHESES: Mapping[str, str] = {"en": "This example is {}.", "zh": "这段话的内容是{}。"}
"""What is said of a label: the pipeline's own words, and the same for labels with Chinese in them."""

_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")


class ZeroShotPipeline:
    """Answers classification tasks with the ``zero-shot-classification`` pipeline of transformers.

    Labels that exclude one another share a probability of 1, a softmax over what speaks for each; of several labels
    each has the probability that its hypothesis is entailed rather than contradicted, and holds if that exceeds the
    threshold. Where "none of these" is an answer, it is given if the likeliest label would not hold by itself. What the
    model does not read of a long text is cut off at its end, and the result says so.

    Args:
        model: A sequence classifier, one of whose classes is named entailment.
        tokenizer: Its tokenizer, which knows how much it reads.
        hypotheses: What is said of a label, by language (``"en"``, ``"zh"``), with ``{}`` for the label.
        threshold: What the probability of one label of several must exceed.
        batch_size: Pairs of text and hypothesis that are computed together.

    Raises:
        ModelError: If no class is named entailment.
        ConfigError: If a hypothesis has no place for the label.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        hypotheses: Mapping[str, str] = HYPOTHESES,
        threshold: float = 0.5,
        batch_size: int = 16,
    ) -> None:
        if not any(str(name).lower().startswith("entail") for name in model.config.label2id):
            raise ModelError(
                "no class of the model is named 'entailment', so it is not of natural-language inference: name one "
                f"that is, or correct id2label in its config.json (now: {', '.join(map(str, model.config.label2id))})."
            )
        self.hypotheses = {**HYPOTHESES, **hypotheses}
        for hypothesis in self.hypotheses.values():
            if hypothesis.format("x") == hypothesis:
                raise ConfigError(f"the hypothesis {hypothesis!r} has no place for the label: put {{}} there.")
        self.model = model
        self.tokenizer = tokenizer
        self.threshold = threshold
        self.batch_size = batch_size
        self._pipeline: Any = pipeline(
            "zero-shot-classification", model=model, tokenizer=tokenizer, device=model.device
        )

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, device: str | None = None, **options: Any) -> ZeroShotPipeline:
        """Open a model of a folder.

        Args:
            folder: The folder.
            device: Where the model computes; a CPU by default.
            options: As in the constructor.

        Raises:
            ModelError: If there is no such model in the folder.
        """
        tokenizer, model = open_encoder(folder, AutoModelForSequenceClassification, device=device)
        return cls(model, tokenizer, **options)

    def predict_pairs(self, pairs: Sequence[tuple[str, AtomicTask]], *, progress: bool = False) -> list[Classification]:
        """Answer each classification task on its text.

        Raises:
            DataError: If a task is no classification; nothing is predicted then.
            TextError: If a text is empty.
        """
        require_classes([task for _, task in pairs], "a zero-shot pipeline")
        return [
            self._answer(check_text(text), task)
            for text, task in tqdm(pairs, desc="zero-shot", unit=" texts", disable=not progress)
        ]

    def _answer(self, text: str, task: AtomicTask) -> Classification:
        labels, premise = label_words(task), text_of(text, task)
        hypothesis = self.hypotheses["zh" if _CHINESE.search("".join(task.labels)) else "en"]
        apart = task.multi_label or task.none
        said = self._pipeline(
            premise,
            candidate_labels=labels,
            hypothesis_template=hypothesis,
            multi_label=apart,
            batch_size=self.batch_size,
        )
        score_of = {
            words: min(max(score, 0.0), 1.0) for words, score in zip(said["labels"], said["scores"], strict=True)
        }
        scores = {label: score_of[words] for label, words in zip(task.labels, labels, strict=True)}
        best = max(scores, key=scores.__getitem__)
        notes: dict[str, Any] = self._cut_off(premise, [hypothesis.format(words) for words in labels])
        if task.multi_label:
            held = tuple(label for label, score in scores.items() if score > self.threshold)
            return Classification.of(text, task, held, scores, **notes)
        if not task.none:
            return Classification.of(text, task, (best,), scores if len(labels) > 1 else {best: 1.0}, **notes)
        held = (best,) if scores[best] > self.threshold else ()
        share = scores[best] / (sum(scores.values()) or 1.0)
        return Classification.of(text, task, held, {label: score * share for label, score in scores.items()}, **notes)

    def _cut_off(self, premise: str, hypotheses: Sequence[str]) -> dict[str, Any]:
        """Return what a result notes if the model does not read all of a text."""
        longest = max(hypotheses, key=len)
        if len(self.tokenizer(premise, longest, verbose=False)["input_ids"]) <= self.tokenizer.model_max_length:
            return {}
        return {
            "truncated": True,
            "warnings": (
                f"the end of the text was not read: the model reads {self.tokenizer.model_max_length} tokens.",
            ),
        }
