"""How fast prediction is beside GLiNER and GLiNER2 of equal size, all with random weights.

    python3.11 -m venv .venv-peers
    .venv-peers/bin/pip install $(grep '^torch==' scripts/peers-requirements.txt)  # first: others want any version
    .venv-peers/bin/pip install -r scripts/peers-requirements.txt
    python scripts/bench_peers.py --peers-python .venv-peers/bin/python --output peers.json

A ratio is the peer's time divided by that of seqgpt: above 1, seqgpt is faster. The peers need an older transformers,
so they run in a process and an environment of their own (bench_peers_worker.py), which computes only while this one
waits. Each repeat times all of them one after another, and gives one ratio of each peer; quoted are the medians of the
ratios and, in brackets, the lowest and the highest. Time is that of the processor, on one thread of each process, which
is the time that passes on a machine that does nothing else. What is measured is a whole call as a user makes it, text
in, result out, in fp32, with the peers' defaults and none of their optional accelerators.

Size: the 25M model of bench_predict.py. The peers have an encoder of six layers and as many embeddings, and their
feed-forward layers are as wide as gives them as many parameters as seqgpt has, heads and embeddings included
(``--equal encoder``: as gives so many to the encoder alone, with the heads on top). The heads of GLiNER2 take more than
a third of what is not embeddings, so it is 320 wide and not 384.

Spans: what seqgpt finds is scripted as in bench_predict.py, and the script's own time is taken off; "sparse" is a span
for every fourth label, "dense" one for each. From random weights the peers find hundreds of spans or none, depending on
their threshold; it is such that they find none, which costs them the least, and not less than three in a text. GLiNER2
scores spans only where it predicts that there are some, so it is made to predict that.

Words: GLiNER and GLiNER2 cut English into words by a regular expression. A run of Chinese is one word to that, so
there both cut it into characters, which GLiNER2 has a setting for.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import torch
from bench_predict import Scripted, build_model, bundled_words, commit, draw_labels, machine, make_example, places
from tqdm.auto import tqdm

from seqgpt import AtomicTask, Example, SeqGPT

PEERS = {"gliner": ("extract",), "gliner2": ("extract", "classify"), "gliner2-boundary": ("extract", "classify")}
"""The peers, and the tasks that they have."""

SECONDS = 0.3
"""What is over sooner is called several times in a row, so that each time measured is at least about as long."""

Way = Callable[[int], float]
"""Makes so many calls and returns the seconds of one."""


class Cell(NamedTuple):
    """What is asked, and of how many texts."""

    language: str
    kind: str
    density: str
    labels: int
    tokens: int
    batch: int


class Worker:
    """The process in which the peers run.

    Args:
        python: The Python of their environment.
    """

    def __init__(self, python: str) -> None:
        command = [python, str(Path(__file__).with_name("bench_peers_worker.py"))]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._requests, self._answers = cast(IO[str], process.stdin), cast(IO[str], process.stdout)

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Send a request and wait for its answer.

        Raises:
            SystemExit: If the process ended.
        """
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            print(json.dumps({"do": do, **request}), file=self._requests, flush=True)
        answer = self._answers.readline()
        if not answer:
            sys.exit("bench_peers: the peers' process ended, see above; has it all of scripts/peers-requirements.txt?")
        return dict(json.loads(answer))


def main() -> int:
    """Run the grid; print a table, and write JSON where asked."""
    options = _options()
    if shutil.which(options.peers_python) is None:
        sys.exit(f"bench_peers: there is no Python at {options.peers_python!r}: see --help for how to make one.")
    os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false")
    torch.set_num_threads(1)
    torch.manual_seed(0)
    worker = Worker(options.peers_python)
    versions = worker.ask("versions")
    model = build_model("25m", "float32")
    sizes = {"seqgpt": _size(model), **_build_peers(worker, options, _size(model)["parameters"])}
    for name, size in sizes.items():
        print(_size_line(name, size), flush=True)
    rows = []
    for cell in tqdm(_cells(options), desc="bench", unit="cell", file=sys.stderr):
        rows.append(_measure(model, worker, cell, list(sizes)[1:], options.repeats))
        print(_line(rows[-1]), flush=True)
    summary = _summary(rows)
    for row in summary:
        print(_summary_line(row))
    if options.output:
        record = {
            "machine": {**machine(), "peers": versions},
            "commit": commit(),
            "repeats": options.repeats,
            "equal": options.equal,
            "sizes": sizes,
            "summary": summary,
            "cells": rows,
        }
        with open(options.output, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=2)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers-python", default=".venv-peers/bin/python", metavar="PATH")
    parser.add_argument("--peers", default="gliner,gliner2", help=f"of {', '.join(PEERS)}")
    parser.add_argument("--encoders", default="deberta-v2", help="of the peers: deberta-v2, as released, and bert")
    parser.add_argument("--equal", default="total", choices=["total", "encoder"], help="which parameters are as many")
    parser.add_argument("--languages", default="en,zh")
    parser.add_argument("--kinds", default="extract,classify")
    parser.add_argument("--densities", default="sparse,dense")
    parser.add_argument("--labels", default="12")
    parser.add_argument("--tokens", default="30,100,400", help="of the texts")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--output", metavar="FILE.json")
    return parser.parse_args()


def _cells(options: argparse.Namespace) -> list[Cell]:
    return [
        Cell(language, kind, density, labels, tokens, batch)
        for language, kind in product(options.languages.split(","), options.kinds.split(","))
        for density in (options.densities.split(",") if kind == "extract" else ["-"])
        for labels in map(int, options.labels.split(","))
        for tokens in map(int, options.tokens.split(","))
        for batch in map(int, options.batches.split(","))
    ]


def _build_peers(worker: Worker, options: argparse.Namespace, parameters: int) -> dict[str, dict[str, Any]]:
    """Have the peers built with so many parameters; return how they came out, by name."""
    sizes = {}
    for peer, encoder in product(options.peers.split(","), options.encoders.split(",")):
        name = f"{peer}/{encoder}"
        asked = {"name": name, "peer": peer, "encoder": encoder, "equal": options.equal, "parameters": parameters}
        sizes[name] = worker.ask("build", **asked, words=bundled_words())
    return sizes


def _size(model: SeqGPT) -> dict[str, Any]:
    total = sum(weight.numel() for weight in model.model.parameters())
    embeddings = sum(weight.numel() for weight in model.model.get_input_embeddings().parameters())
    config = model.model.config
    return {
        "parameters": total,
        "parameters_without_embeddings": total - embeddings,
        "encoder_parameters": total,
        "hidden_size": config.hidden_size,
        "layers": config.num_hidden_layers,
        "intermediate_size": config.intermediate_size,
    }


def _measure(model: SeqGPT, worker: Worker, cell: Cell, peers: list[str], repeats: int) -> dict[str, Any]:
    draw = random.Random(str(tuple(cell)))  # noqa: S311 (not for secrets)
    labels = draw_labels(draw, cell.language, cell.labels)
    by_text: dict[str, Example] = {}  # the script tells them apart by their texts
    while len(by_text) < cell.batch:
        example = make_example(model, draw, cell.language, cell.kind, cell.density, labels, cell.tokens)
        by_text[example.text] = example
    examples = list(by_text.values())
    tokens: dict[str, float] = {}
    ways: dict[str, Way] = {"seqgpt": _own_way(model, examples, tokens)}
    for name in peers:
        if cell.kind in PEERS[name.partition("/")[0]]:
            ways[name] = _peers_way(worker, name, cell, examples, tokens)
    for run in ways.values():
        run(1)  # warms up
    calls = {name: max(1, round(SECONDS / run(1))) for name, run in ways.items()}
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, run in ways.items():
            times[name].append(run(calls[name]))
    return {**cell._asdict(), "ways": {name: _describe(name, times, tokens) for name in ways}}


def _own_way(model: SeqGPT, examples: list[Example], tokens: dict[str, float]) -> Way:
    """Return how seqgpt predicts; what it decides is scripted by gold answers, all that it computes is computed."""
    own = SeqGPT(model.model, model.tokenizer)
    own.forward = forward = Scripted(model, examples, time.process_time)
    texts, task = [example.text for example in examples], examples[0].task

    def run(calls: int) -> float:
        forward.seconds, forward.tokens = 0.0, 0
        began = time.process_time()
        for _ in range(calls):
            results = own.predict(texts, task, batch_size=len(texts))
        seconds = time.process_time() - began - forward.seconds
        tokens["seqgpt"] = forward.tokens / calls / len(texts)
        if task.kind == "extract" and list(map(places, results)) != [places(e.gold) for e in examples]:
            raise RuntimeError("the script was not followed: the bench measures something else")
        return seconds / calls

    return run


def _peers_way(worker: Worker, name: str, cell: Cell, examples: list[Example], tokens: dict[str, float]) -> Way:
    """Return how a peer predicts."""
    task: AtomicTask = examples[0].task
    texts = [example.text for example in examples]
    request = {"kind": cell.kind, "language": cell.language, "texts": texts, "labels": list(task.labels)}

    def run(calls: int) -> float:
        answer = worker.ask("time", name=name, calls=calls, **request)
        tokens[name] = answer["tokens_per_text"]
        return float(answer["seconds"])

    return run


def _describe(name: str, times: dict[str, list[float]], tokens: dict[str, float]) -> dict[str, Any]:
    median = statistics.median(times[name])
    ratios = [peers / own for peers, own in zip(times[name], times["seqgpt"], strict=True)]
    return {
        "seconds": median,
        "spread": (max(times[name]) - min(times[name])) / median,
        "tokens_per_text": tokens[name],
        "ratio": statistics.median(ratios),
        "lowest_ratio": min(ratios),
        "highest_ratio": max(ratios),
    }


def _summary(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return for each task and peer the geometric mean of the ratios, the lowest and the highest."""
    ratios: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        for name, way in row["ways"].items():
            if name != "seqgpt":
                ratios.setdefault((row["kind"], name), []).append(way["ratio"])
    return [
        {
            "kind": kind,
            "peer": name,
            "cells": len(values),
            "ratio": statistics.geometric_mean(values),
            "lowest_ratio": min(values),
            "highest_ratio": max(values),
        }
        for (kind, name), values in sorted(ratios.items())
    ]


def _size_line(name: str, size: dict[str, Any]) -> str:
    return (
        f"{name:27} {size['parameters'] / 1e6:5.1f}M parameters, "
        f"{size['parameters_without_embeddings'] / 1e6:5.1f}M without embeddings; {size['layers']} layers, "
        f"{size['hidden_size']} wide, feed-forward {size['intermediate_size']}"
    )


def _line(row: dict[str, Any]) -> str:
    own = row["ways"]["seqgpt"]
    peers = [f"{name} {_ratio(way)}" for name, way in row["ways"].items() if name != "seqgpt"]
    return (
        f"{row['language']} {row['kind']:8} {row['density']:6} {row['labels']:3} labels {row['tokens']:4} tokens "
        f"batch {row['batch']}: {1000 * own['seconds']:6.1f} ms (spread {own['spread']:.2f}); {'; '.join(peers)}"
    )


def _summary_line(row: dict[str, Any]) -> str:
    return f"{row['kind']:8} {row['peer']:27} {_ratio(row)} in {row['cells']} cells (geometric mean, lowest, highest)"


def _ratio(way: dict[str, Any]) -> str:
    return f"{way['ratio']:.2f} [{way['lowest_ratio']:.2f}, {way['highest_ratio']:.2f}]"


if __name__ == "__main__":
    sys.exit(main())
