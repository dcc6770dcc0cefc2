"""GLiNER2 as a worker of `seqgpt evaluate --predictor`, in an environment of its own.

The environment is that of gliner_worker.py::

    seqgpt evaluate … --predictor "command:.venv-peers/bin/python scripts/predictors/gliner2_worker.py FOLDER"

FOLDER has config.json, weights and tokenizer, as `save_pretrained` leaves them; nothing is downloaded. Chinese is cut
into characters, which GLiNER2 has a setting for. Of labels that exclude one another each has its share of a softmax, of
several each a probability of its own.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from gliner2 import AutoExtractor
from worker_protocol import Found, Labels, serve


class Gliner2:
    """A GLiNER2 model, whichever head it has."""

    def __init__(self, folder: Path, threshold: float, device: str) -> None:
        self.model: Any = AutoExtractor.from_pretrained(str(folder), map_location=device).eval()
        self.threshold = threshold

    def extract(self, texts: list[str], asked: Labels) -> list[list[Found]]:
        """Return the spans of each text."""
        self._speak(asked)
        answers = self.model.batch_extract_entities(
            texts,
            asked.described,
            batch_size=len(texts),
            threshold=self.threshold,
            include_confidence=True,
            include_spans=True,
        )
        return [
            [
                {"label": label, "start": span["start"], "end": span["end"], "score": min(span["confidence"], 1.0)}
                for label, spans in answer["entities"].items()
                for span in spans
            ]
            for answer in answers
        ]

    def classify(self, texts: list[str], asked: Labels) -> list[dict[str, float]]:
        """Return how likely each label is."""
        self._speak(asked)
        apart = asked.multi_label or asked.none
        question = {
            "labels": asked.described,
            "multi_label": True,  # else only the best one is told
            "cls_threshold": 0.0,
            "class_act": "sigmoid" if apart else "softmax",
        }
        answers = self.model.batch_classify_text(
            texts, {"class": question}, batch_size=len(texts), include_confidence=True
        )
        return [{one["label"]: one["confidence"] for one in answer["class"]} for answer in answers]

    def _speak(self, asked: Labels) -> None:
        self.model.set_word_splitter("char" if asked.chinese else "whitespace")


def main() -> int:
    """Answer questions until there are no more."""
    parser = argparse.ArgumentParser(description="Answers questions of seqgpt.predictors.Command with GLiNER2.")
    parser.add_argument("folder", type=Path, help="where the model lies")
    parser.add_argument("--threshold", type=float, default=0.5, help="least probability (default: 0.5)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=8, help="texts computed together (default: 8)")
    options = parser.parse_args()
    if not (options.folder / "config.json").is_file():
        parser.error(f"{options.folder} is not a model of GLiNER2, because it has no config.json")
    peer = Gliner2(options.folder, options.threshold, options.device)
    return serve(peer, threshold=options.threshold, batch_size=options.batch_size)


if __name__ == "__main__":
    sys.exit(main())
