"""Train the bundled model's tokenizer on raw text and on training texts and label names of its mixture.

python scripts/bundled/tokenizer.py --text ../shared/data/text --output runs/bundled/tokenizer
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from texts import evenly, read_documents, shuffled

from seqgpt.data.mixture import find_sources
from seqgpt.data.mixture_config import load_mixture_config
from seqgpt.data.recipe import load_recipe
from seqgpt.templates.marks import MARKS
from seqgpt.tokenizer import train_tokenizer

# A Chinese character is a word by itself, and says about as much as four English letters.
_CHARACTERS = {"en": 24_000_000, "zh": 6_000_000}


def recipe_texts(mixture: str, limit: int) -> Iterator[str]:
    """Yield texts and labels of training examples, at most so many of a recipe."""
    sources = find_sources(load_mixture_config(mixture))
    for name in sorted({source.partition(":")[0] for source in sources}):
        for example in load_recipe(name).examples("train", limit=limit):
            yield example.text
            yield from example.task.labels[:20]


def main() -> None:
    """Train and save it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="folder of en.parquet and zh.parquet")
    parser.add_argument("--mixture", default="bundled", help="whose training texts and labels are read too")
    parser.add_argument("--limit", type=int, default=500, help="examples of each of its recipes")
    parser.add_argument("--vocab-size", type=int, default=16_384)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    documents = evenly(shuffled(read_documents(options.text), seed=0), _CHARACTERS)
    words = [document.text for document in documents]
    words += recipe_texts(options.mixture, options.limit)
    tokenizer = train_tokenizer(words, options.vocab_size, list(MARKS))
    tokenizer.save_pretrained(options.output)
    print(f"{len(tokenizer)} tokens, from {sum(map(len, words)):,} characters: {options.output}")


if __name__ == "__main__":
    main()
