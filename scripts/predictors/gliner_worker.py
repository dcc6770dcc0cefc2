"""GLiNER as a worker of `seqgpt evaluate --predictor`, in an environment of its own.

    python3.11 -m venv .venv-peers
    .venv-peers/bin/pip install $(grep '^torch==' scripts/peers-requirements.txt)
    .venv-peers/bin/pip install -r scripts/peers-requirements.txt
    seqgpt evaluate … --predictor "command:.venv-peers/bin/python scripts/predictors/gliner_worker.py FOLDER"

FOLDER has gliner_config.json, weights and tokenizer, as `save_pretrained` leaves them; nothing is downloaded. GLiNER
extracts only. Its usual words are runs of letters, and a run of Chinese is one word to that, so Chinese is cut into
characters, unless the model has words of its own. Of a long text it reads as many words as its config says (max_len).
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gliner import GLiNER
from worker_protocol import Found, Labels, serve

_CHARACTERS = re.compile(r"[A-Za-z0-9@._+-]+|\S")


class Gliner:
    """A GLiNER model."""

    def __init__(self, folder: Path, threshold: float, nested: bool, device: str) -> None:
        self.model: Any = GLiNER.from_pretrained(str(folder), local_files_only=True, map_location=device).eval()
        self.threshold = threshold
        self.nested = nested
        self._words = self.model.data_processor.words_splitter
        self._cuts_at_spaces = self.model.config.words_splitter_type == "whitespace"

    def extract(self, texts: list[str], asked: Labels) -> list[list[Found]]:
        """Return the spans of each text."""
        characters = asked.chinese and self._cuts_at_spaces
        self.model.data_processor.words_splitter = _characters if characters else self._words
        found = self.model.inference(
            texts, asked.described, threshold=self.threshold, flat_ner=not self.nested, batch_size=len(texts)
        )
        return [[{key: span[key] for key in ("label", "start", "end", "score")} for span in spans] for spans in found]

    def classify(self, texts: list[str], asked: Labels) -> list[dict[str, float]]:
        """Refuse: GLiNER has no classes.

        Raises:
            ValueError: Always; the evaluation then leaves it out of the set, and says so.
        """
        raise ValueError("GLiNER extracts spans and does not classify texts: evaluate it on extraction.")


def _characters(text: str) -> Iterator[tuple[str, int, int]]:
    return ((match.group(), match.start(), match.end()) for match in _CHARACTERS.finditer(text))


def main() -> int:
    """Answer questions until there are no more."""
    parser = argparse.ArgumentParser(description="Answers questions of seqgpt.predictors.Command with GLiNER.")
    parser.add_argument("folder", type=Path, help="where the model lies")
    parser.add_argument("--threshold", type=float, default=0.5, help="least probability of a span (default: 0.5)")
    parser.add_argument("--nested", action="store_true", help="spans may overlap")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch-size", type=int, default=8, help="texts computed together (default: 8)")
    options = parser.parse_args()
    if not (options.folder / "gliner_config.json").is_file():
        parser.error(f"{options.folder} is not a model of GLiNER, because it has no gliner_config.json")
    peer = Gliner(options.folder, options.threshold, options.nested, options.device)
    return serve(peer, threshold=options.threshold, batch_size=options.batch_size)


if __name__ == "__main__":
    sys.exit(main())
