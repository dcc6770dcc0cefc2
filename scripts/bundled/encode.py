r"""Encode the raw text as token files that a language model is trained on.

    python scripts/bundled/encode.py --text ../shared/data/text --tokenizer runs/bundled/tokenizer \
        --output runs/bundled/tokens

Writes ``train.npy`` (uint16, documents of both languages in a seeded order, each ended by the end-of-text token),
``validation_en.npy``, ``validation_zh.npy``, and ``sources.json``: what was used under which licence.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from texts import LANGUAGES, Document, read_documents, shuffled, used
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from seqgpt.whole_file import write_file

_VALIDATION = 150  # documents of each language
_TOGETHER = 500  # documents encoded at once


def encode(documents: Sequence[Document], tokenizer: PreTrainedTokenizerBase) -> list[np.ndarray]:
    """Return the tokens of each document with the end of text; uint16."""
    end = np.array([tokenizer.eos_token_id], dtype=np.uint16)
    found = []
    for begin in range(0, len(documents), _TOGETHER):
        texts = [document.text for document in documents[begin : begin + _TOGETHER]]
        encoded = tokenizer(texts, add_special_tokens=False, split_special_tokens=True, return_attention_mask=False)
        found += [np.concatenate([np.array(ids, dtype=np.uint16), end]) for ids in encoded["input_ids"]]
    return found


def main() -> None:
    """Encode and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", type=Path, required=True, help="folder of en.parquet and zh.parquet")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    if len(tokenizer) > 2**16:
        raise SystemExit(f"{options.tokenizer} has {len(tokenizer)} tokens: at most {2**16} fit these files.")
    documents = shuffled(read_documents(options.text), seed=0)
    held_out = [one for language in LANGUAGES for one in [d for d in documents if d.language == language][:_VALIDATION]]
    chosen = set(map(id, held_out))
    training = [one for one in documents if id(one) not in chosen]
    options.output.mkdir(parents=True, exist_ok=True)
    encoded = encode(training, tokenizer)
    for language in LANGUAGES:
        some = encode([one for one in held_out if one.language == language], tokenizer)
        np.save(options.output / f"validation_{language}.npy", np.concatenate(some))
    np.save(options.output / "train.npy", np.concatenate(encoded))
    rows = used(training, [len(one) for one in encoded])
    write_file(options.output / "sources.json", json.dumps(rows, indent=1, ensure_ascii=False))
    for language in LANGUAGES:
        total = sum(row["tokens"] for row in rows if row["language"] == language)
        characters = sum(row["characters"] for row in rows if row["language"] == language)
        print(f"{language}: {total:,} tokens, {characters / total:.2f} characters each")


if __name__ == "__main__":
    main()
