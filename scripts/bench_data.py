"""How fast training data comes: the whole mixture from stores, beside the same examples encoded anew.

    python scripts/bench_data.py                                   # everything that recipes read
    python scripts/bench_data.py --sources cluener,trec --examples 5000

The first run encodes all sources (a millisecond an example) and keeps that in the cache. What is timed then, in one
process and one thread: drawing the labels of an example and assembling it from its store; and, for some of the same
examples, reading them from their parquet files, converting and encoding them. Prints examples per second (median and
spread of the repeats), their ratio, and the most memory that the process held.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import time

import torch

from seqgpt import SeqGPT
from seqgpt.data.augmentation import Augmentation, choose_labels
from seqgpt.data.draws import draw
from seqgpt.data.label_book import LabelBook
from seqgpt.data.mixture_config import MixtureConfig
from seqgpt.data.sample import load_sample
from seqgpt.data.source import read_source
from seqgpt.templates.marks import MARKS
from seqgpt.tokenizer import train_tokenizer
from seqgpt.training.encode import encode
from seqgpt.training.garbage import few_collections
from seqgpt.training.mixture_set import MixtureSet, open_mixture

ALL = Augmentation(
    max_labels=8, negatives=True, foreign=1, all_negative=0.1, descriptions=0.15, opaque=0.05, translated=0.1
)
_FEW = 20  # sources that are encoded anew
_EACH = 50  # examples of each


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description="How fast training data comes.")
    parser.add_argument("--sources", default="*", help="recipes, separated by commas (default: all)")
    parser.add_argument("--examples", type=int, default=100_000, help="examples of an epoch (default: 100,000)")
    parser.add_argument("--repeats", type=int, default=3, help="epochs that are timed (default: 3)")
    parser.add_argument("--vocab-size", type=int, default=16_000, help="size of the tokenizer (default: 16,000)")
    options = parser.parse_args()
    torch.set_num_threads(1)
    model = _model(options.sources.split(","), options.vocab_size)
    config = MixtureConfig(sources=options.sources.split(","), examples=options.examples)
    plain = open_mixture(config, model, seed=0, augmentation=Augmentation(max_labels=8))
    members = [member for member in plain.mixture.members if member.count]
    kept = sum(len(member.kept) for member in members)
    print(f"{len(members)} sources, {kept:,} examples; an epoch has {len(plain):,}")
    rates = {
        "labels as they are": _epochs(plain, options.repeats),
        "all augmentation": _epochs(
            MixtureSet(plain.mixture, plain.stores, model, seed=0, augmentation=ALL), options.repeats
        ),
    }
    anew = _anew([member.source for member in members[:: max(len(members) // _FEW, 1)]], model)
    for name, found in rates.items():
        middle, spread = statistics.median(found), (max(found) - min(found)) / statistics.median(found)
        print(f"{name}: {middle:,.0f} examples/s (spread {spread:.2f}), {middle / anew:.1f}x encoding anew")
    print(f"encoding anew: {anew:,.0f} examples/s")
    print(f"most memory: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GB")


def _model(sources: list[str], vocab_size: int) -> SeqGPT:
    """Return a model whose vocabulary knows some of the texts; nothing is computed with it."""
    words = [example.text for example in load_sample("train")]
    for name in ("msra_ner", "bc5cdr", "trec", "waimai_10k") if sources == ["*"] else sources:
        words += [example.text for example in read_source(name, "train", limit=3000)]
    tokenizer = train_tokenizer(words, vocab_size, list(MARKS))
    config = {"model_type": "llama", "hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1}
    return SeqGPT.from_config({**config, "num_attention_heads": 2, "max_position_embeddings": 2048}, tokenizer)


def _epochs(training_set: MixtureSet, repeats: int) -> list[float]:
    """Return examples per second of each epoch; the first, in which labels are seen anew, is not timed."""
    rates = []
    with few_collections():  # as training has it
        for epoch in range(repeats + 1):
            training_set.set_epoch(epoch)
            began = time.process_time()
            for index in range(len(training_set)):
                training_set[index]
            rates.append(len(training_set) / (time.process_time() - began))
    return rates[1:]


def _anew(sources: list[str], model: SeqGPT) -> float:
    """Return examples per second where each is read, converted, augmented and encoded."""
    total, began = 0, time.perf_counter()
    for source in sources:
        for example in read_source(source, "train", limit=_EACH):
            shown = choose_labels(example, LabelBook(), ALL, draw(0, 0, example.id).random)
            encode(example, model.vocabulary, model.template, shown)
            total += 1
    return total / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
