"""How fast training is, after a gate: whether it learns what plain rows teach (bench_train_gate.py).

    python scripts/bench_train.py --quick                       # the gate, and one small cell
    python3.11 -m venv .venv-trl
    .venv-trl/bin/pip install $(grep '^torch==' scripts/trl-requirements.txt)  # first: others want any version
    .venv-trl/bin/pip install -r scripts/trl-requirements.txt
    python scripts/bench_train.py --trl-python .venv-trl/bin/python --output train.json

A cell is a vocabulary, the share of answers among the tokens, and how many tasks each text has: ``16k:8:2``. Ways to
train the same examples, each with its own Trainer, from fetching examples to the optimizer:

    padded           transformers' Trainer: prompt and whole answer as one padded row, loss on all tokens
    completion       the same, loss on answers only, examples of like length together
    trl              TRL's SFTTrainer: packed, loss on answers only, computed in tiles from the hidden states
    trl-compact      the same, with logits at answers only, which TRL itself does on GPUs alone
    seqgpt           this library's Trainer

and ``-bf16`` behind those that compute in bfloat16 (autocast). All have the model of random weights and the optimizer
(AdamW); a step reads all examples of the cell and ends with one step of the optimizer. Padded ways and TRL do that in
parts, whose gradients they accumulate. Real tokens are those of prompt and whole answer of each example, a text once
for each of its tasks: the same number for all ways, whatever they compute. Operations are counted by torch, where a way
computes them by what torch counts (in-place products of TRL's loss are left out).

Each way has a process of its own, which computes only while the others wait. Steps are interleaved: each repeat makes
one of each way. Quoted are medians; a ratio is the median of the ratios within repeats, with the lowest and the
highest. Time is that of the processor, on one thread, or that of a GPU by CUDA events. Memory is the most that a
process held while it trained less what it held before, so gradients and the optimizer's state are in it; "in a step"
is less what it held between steps. bench_train_worker.py is such a process.
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
import tempfile
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

import torch
from bench_predict import SIZES, build_model, commit, draw_labels, draw_spans, machine, make_text
from bench_train_gate import gate
from bench_train_gate import table as gate_table
from tqdm.auto import tqdm
from transformers import AutoConfig

from seqgpt import Example, SeqGPT, write_jsonl
from seqgpt.engine.plan import encode_prompt

WAYS = (
    "padded",
    "completion-bf16",
    "trl",
    "trl-bf16",
    "trl-compact",
    "trl-compact-bf16",
    "seqgpt",
    "seqgpt-bf16",
)

SHAPE: dict[str, Any] = {
    "model_type": "qwen3",
    "hidden_size": 256,
    "num_hidden_layers": 4,
    "intermediate_size": 768,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "tie_word_embeddings": True,
    "max_position_embeddings": 1024,
}
"""3.4 million parameters in the layers: a step at a vocabulary of 250,000 takes seconds on one thread, not minutes."""

VOCABULARIES = {"16k": 16_000, "250k": 250_000}
EXAMPLES = {"16k": 8, "250k": 4}
"""Examples of a step; where logits of all positions take seconds, fewer."""

TEXT_TOKENS = (60, 340)
MOST_LABELS = 24
CLASSIFY_EVERY = 4
"""One task in so many is a classification; of its answer's length nothing can be chosen."""

CELLS = ",".join(f"{v}:{share}:{tasks}" for v in VOCABULARIES for share in (4, 8, 20) for tasks in (1, 2, 4))


class Cell(NamedTuple):
    """A vocabulary by its name, the wanted share of answers in percent, and how many tasks each text has."""

    vocabulary: str
    share: int
    tasks: int


class Worker:
    """A process that trains in one way.

    Args:
        python: The Python of its environment.
        way: The way.
        folder: What there is to train.
    """

    def __init__(self, python: str, way: str, folder: Path) -> None:
        command = [python, str(Path(__file__).with_name("bench_train_worker.py"))]
        self._log = (folder / f"{way}.log").open("w+", encoding="utf-8")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        self.way = way
        plain = way.removesuffix("-bf16")
        self._send({"way": plain, "bf16": way != plain, "folder": str(folder)})
        self.said: dict[str, Any] = {}

    def wait(self) -> None:
        """Wait until it is ready to train."""
        self.said = self._receive()

    def step(self, *, count: bool = False) -> dict[str, Any]:
        """Make a step, and count its operations where asked, which takes longer."""
        self._send({"count": count})
        return self._receive()

    def close(self) -> None:
        """End the process."""
        cast(IO[str], self._process.stdin).close()
        self._process.wait()
        self._log.close()

    def _send(self, request: dict[str, Any]) -> None:
        with contextlib.suppress(BrokenPipeError):  # then there is no answer either
            print(json.dumps(request), file=self._process.stdin, flush=True)

    def _receive(self) -> dict[str, Any]:
        answer = cast(IO[str], self._process.stdout).readline()
        if not answer:
            self._log.seek(0)
            sys.exit(f"bench_train: {self.way} ended:\n{self._log.read()[-3000:]}")
        return dict(json.loads(answer))


def main() -> int:
    """Run the gate, then the cells; print tables, and write JSON where asked."""
    options = _options()
    os.environ.update(OMP_NUM_THREADS="1", TOKENIZERS_PARALLELISM="false", PYTHONWARNINGS="ignore")
    torch.set_num_threads(1)
    checks = [] if options.no_gate else gate()
    if checks:
        print(gate_table(checks), flush=True)
        if not all(check.holds for check in checks):
            print("bench_train: training differs from plain rows, so nothing is timed.", file=sys.stderr)
            return 1
    ways = options.ways.split(",")
    if shutil.which(options.trl_python) is None:
        print(f"bench_train: no Python at {options.trl_python!r}, so TRL is left out; see --help.", file=sys.stderr)
        ways = [way for way in ways if not way.startswith("trl")]
    model = build_model("25m", "float32")
    rows: list[dict[str, Any]] = []
    for cell in tqdm(_cells(options), desc="bench", unit="cell", file=sys.stderr):
        rows.append(_measure(model, cell, ways, options))
        print(_lines(rows[-1]), flush=True)
        if options.output:  # as soon as there is one more
            record = {
                "machine": machine(),
                "commit": commit(),
                "repeats": options.repeats,
                "size": options.size,
                "gate": [check._asdict() for check in checks],
                "cells": rows,
            }
            Path(options.output).write_text(json.dumps(record, indent=2), encoding="utf-8")
    print(_table(rows))
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", default=CELLS, help="vocabulary:share:tasks, separated by commas")
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--trl-python", default=".venv-trl/bin/python", metavar="PATH")
    parser.add_argument("--size", default="small", choices=["small", "25m"], help="25m is that of bench_predict.py")
    parser.add_argument("--repeats", type=int, default=3, help="steps of each way that are timed, after one that warms")
    parser.add_argument("--no-gate", action="store_true", help="time only")
    parser.add_argument("--quick", action="store_true", help="one cell, one repeat")
    parser.add_argument("--peak-tflops", type=float, help="of a GPU in bfloat16, to tell the share of it")
    parser.add_argument("--output", metavar="FILE.json")
    options = parser.parse_args()
    if options.quick:
        options.cells, options.repeats = "16k:8:2", 1
    return options


def _cells(options: argparse.Namespace) -> list[Cell]:
    split = (cell.split(":") for cell in options.cells.split(","))
    return [Cell(vocabulary, int(share), int(tasks)) for vocabulary, share, tasks in split]


def _measure(model: SeqGPT, cell: Cell, ways: list[str], options: argparse.Namespace) -> dict[str, Any]:
    examples = _examples(model, cell)
    tokens = [_tokens(model, example) for example in examples]
    total = sum(map(_length, tokens))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_jsonl(folder / "examples.jsonl", examples)
        (folder / "rows.json").write_text(json.dumps([{"prompt": p, "answer": a} for p, a in tokens]))
        model.tokenizer.save_pretrained(folder)
        shape = SIZES["25m"] if options.size == "25m" else SHAPE
        pad = model.tokenizer.pad_token_id
        config = AutoConfig.for_model(**{**shape, "vocab_size": VOCABULARIES[cell.vocabulary], "pad_token_id": pad})
        config.save_pretrained(folder)
        workers = [Worker(options.trl_python if way.startswith("trl") else sys.executable, way, folder) for way in ways]
        for worker in workers:
            worker.wait()
        counted = [worker.step(count=True) for worker in workers]  # which warms up
        steps: list[list[dict[str, Any]]] = [[] for _ in workers]
        for _ in range(options.repeats):
            for taken, worker in zip(steps, workers, strict=True):
                taken.append(worker.step())
        for worker in workers:
            worker.close()
    clock = "gpu" if "gpu" in steps[0][0] else "cpu"
    base = [step[clock] for step in steps[0]]
    return {
        **cell._asdict(),
        "examples": len(examples),
        "tokens": total,
        "answer_share": sum(len(answer) for _, answer in tokens) / total,
        "clock": clock,
        "ways": {
            worker.way: _describe(worker, first, taken, base, total, clock, options.peak_tflops)
            for worker, first, taken in zip(workers, counted, steps, strict=True)
        },
    }


def _describe(
    worker: Worker,
    first: dict[str, Any],
    steps: list[dict[str, Any]],
    base: list[float],
    tokens: int,
    clock: str,
    peak_tflops: float | None,
) -> dict[str, Any]:
    seconds = [step[clock] for step in steps]
    median = statistics.median(seconds)
    ratios = [one / own for one, own in zip(base, seconds, strict=True)]
    return {
        **worker.said,
        "seconds": seconds,
        "wall_seconds": [step["wall"] for step in steps],
        "tokens_per_second": tokens / median,
        "spread": (max(seconds) - min(seconds)) / median,
        "ratio": statistics.median(ratios),
        "lowest_ratio": min(ratios),
        "highest_ratio": max(ratios),
        "gflop": first["flops"] / 1e9,
        "share_of_peak": first["flops"] / median / (peak_tflops * 1e12) if peak_tflops else None,
        "train_mb": max(step["peak_mb"] for step in (first, *steps)) - worker.said["before_mb"],
        "step_mb": statistics.median(step["peak_mb"] - step["held_mb"] for step in steps),
    }


def _examples(model: SeqGPT, cell: Cell) -> list[Example]:
    """Make the examples of a cell: texts in turn English and Chinese, each with its tasks."""
    draw = random.Random(str(tuple(cell)))  # noqa: S311 (not for secrets)
    examples: list[Example] = []
    while len(examples) < EXAMPLES[cell.vocabulary]:
        language = ("en", "zh")[len(examples) // cell.tasks % 2]
        text = make_text(model, draw, language, draw.randint(*TEXT_TOKENS))
        for _ in range(cell.tasks):
            if len(examples) % CLASSIFY_EVERY == CLASSIFY_EVERY - 1:
                labels = draw_labels(draw, language, 4)
                record = {"text": text, "task": "classify", "labels": labels, "answer": labels[:1]}
                examples.append(Example.from_dict(record))
            else:
                examples.append(_extraction(model, draw, text, language, cell.share / 100))
    return examples


def _extraction(model: SeqGPT, draw: random.Random, text: str, language: str, share: float) -> Example:
    """Make a task of as many labels as it takes for answers to be so large a share; a quarter of them have a span."""
    labels = draw_labels(draw, language, MOST_LABELS)
    spans = draw_spans(draw, text, language, "sparse", labels)
    for count in range(1, MOST_LABELS + 1):
        answer = {label: spans[label] for label in labels[:count] if label in spans}
        record = {"text": text, "task": "extract", "labels": labels[:count], "answer": answer}
        example = Example.from_dict(record)
        _, said = tokens = _tokens(model, example)
        if len(said) >= share * _length(tokens):
            break
    return example


def _tokens(model: SeqGPT, example: Example) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return prompt and whole answer as tokens."""
    prompt = encode_prompt(example.text, example.task, model.vocabulary, model.template)
    answer = model.vocabulary.encode_pieces(example.task.answer(example.gold, example.text).pieces)
    return tuple(prompt), tuple(answer)


def _length(tokens: tuple[tuple[int, ...], tuple[int, ...]]) -> int:
    return sum(map(len, tokens))


def _lines(row: dict[str, Any]) -> str:
    lines = [
        f"{row['vocabulary']}, {100 * row['answer_share']:.1f} % answers, {row['tasks']} tasks a text: "
        f"{row['examples']} examples, {row['tokens']} real tokens"
    ]
    for name, way in row["ways"].items():
        lines.append(
            f"  {name:17} {way['tokens_per_second']:7.0f} tokens/s (spread {way['spread']:.2f}), "
            f"{_ratio(way)} x padded, {statistics.median(way['wall_seconds']):6.2f} s wall, {way['gflop']:6.0f} GFLOP, "
            f"{way['train_mb']:6.0f} MB, in a step {way['step_mb']:6.0f} MB"
            + (f", {100 * way['share_of_peak']:.1f} % of peak" if way["share_of_peak"] else "")
        )
    return "\n".join(lines)


def _table(rows: list[dict[str, Any]]) -> str:
    """Return a Markdown table of ratios and one of memory."""
    names = list(rows[0]["ways"])
    cells = [f"{row['vocabulary']}, {100 * row['answer_share']:.0f} %, {row['tasks']}" for row in rows]
    lines = ["", "| vocabulary, answers, tasks | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for cell, row in zip(cells, rows, strict=True):
        ways = row["ways"].values()
        lines.append(
            f"| {cell} | " + " | ".join([f"{_ratio(way)}, {way['tokens_per_second']:.0f}" for way in ways]) + " |"
        )
    lines += ["", "| memory, MB | " + " | ".join(names) + " |", "|---|" + "---:|" * len(names)]
    for cell, row in zip(cells, rows, strict=True):
        ways = row["ways"].values()
        lines.append(
            f"| {cell} | " + " | ".join(f"{way['train_mb']:.0f} ({way['step_mb']:.0f})" for way in ways) + " |"
        )
    return "\n".join(lines)


def _ratio(way: dict[str, Any]) -> str:
    return f"{way['ratio']:.2f} [{way['lowest_ratio']:.2f}, {way['highest_ratio']:.2f}]"


if __name__ == "__main__":
    sys.exit(main())
