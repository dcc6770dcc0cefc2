"""The bundled examples: English and Chinese, all ten task families, written for this project.

They make the demo and the tests work without any other data. Four fifths are for training; the held-out fifth has the
same mix of families and languages.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from seqgpt.examples import Example, read_jsonl

_FOLDER = Path(__file__).resolve().parent.parent / "sample"


def load_sample(split: Literal["train", "test"]) -> list[Example]:
    """Return the bundled examples of one split."""
    examples = read_jsonl(_FOLDER / f"{split}.jsonl")
    return [Example(e.gold, f"sample/{split}/{e.id}", e.family, e.language) for e in examples]
