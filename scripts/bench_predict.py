"""How fast prediction is, in multiples of one teacher-forced pass over prompt and answer (the floor).

    python scripts/bench_predict.py                      # a small grid, minutes on one core
    python scripts/bench_predict.py --sizes 25m,560m --labels 3,12,50,150 --tokens 30,100,400,1000 --output bench.json

Three ways to the same answers, interleaved in one process on one thread, with random weights and bundled texts:

    seqgpt      the engine; what it decides is scripted by gold answers, all that it computes is computed
    floor       the whole answer is given: one pass over prompt and answer, with the logits of the answer
    released    what the released script does: label chunks of six, each with its prompt, all in one batch, 4 beams, its
                repetition penalty; 64 tokens, where it allows 256
    stopping    the same, but it stops exactly where the longest answer ends

Times are medians over the repeats, with the spread (max - min) / median: of CPU time, on one thread, or on a GPU by
CUDA events. The time that the script itself takes is measured and taken off. Peak memory is that of the process, the
model included (Linux), or of the GPU.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import platform
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, cast

import torch
import transformers
from torch import Tensor
from tqdm.auto import tqdm

from seqgpt import AtomicTask, Classification, Example, Extraction, Result
from seqgpt.data.sample import load_sample
from seqgpt.engine.constraint import SpanConstraint
from seqgpt.engine.decoder import Decoder
from seqgpt.engine.forward import TreeForward
from seqgpt.engine.plan import Plan, make_plan
from seqgpt.model import SeqGPT
from seqgpt.model_files import build
from seqgpt.templates.marks import MARKS, NONE
from seqgpt.templates.released import ReleasedTemplate, chunks
from seqgpt.tokenizer import train_tokenizer
from seqgpt.training.encode import encode

SIZES: dict[str, dict[str, Any]] = {
    "25m": {
        "model_type": "qwen3",
        "vocab_size": 32_000,
        "hidden_size": 384,
        "num_hidden_layers": 6,
        "intermediate_size": 1152,
        "num_attention_heads": 6,
        "num_key_value_heads": 6,
        "head_dim": 64,
        "tie_word_embeddings": True,
        "max_position_embeddings": 4096,
    },
    "71m": {"model_type": "bloom", "vocab_size": 64_000, "hidden_size": 640, "n_layer": 6, "n_head": 10},
    "560m": {"model_type": "bloom", "vocab_size": 250_880, "hidden_size": 1024, "n_layer": 24, "n_head": 16},
}
"""25 million parameters; the small BLOOM of the design; the real shape of SeqGPT-560M."""

SPANS_PER_LABEL = {"sparse": 0.25, "dense": 1.0}
BEAMS = 4
NEW_TOKENS = 64


class Scripted(TreeForward):
    """Computes all that a model computes, and says what gold answers say.

    Args:
        model: The model.
        examples: Texts with gold answers.
        clock: What the script's own time is measured with, in seconds.

    Attributes:
        seconds: Time that the script itself took.
        passes: Number of forward passes.
        tokens: Number of tokens in them, without padding.
    """

    def __init__(
        self, model: SeqGPT, examples: Iterable[Example], clock: Callable[[], float] = time.process_time
    ) -> None:
        super().__init__(model.model)
        self.clock = clock
        self.seconds = 0.0
        self.passes = self.tokens = 0
        self._none = model.vocabulary.mark(NONE)
        self._gold: dict[tuple[int, ...], dict[tuple[int, ...], frozenset[int]]] = {}
        for example in examples:
            encoded = encode(example, model.vocabulary, model.template)
            self._gold[tuple(encoded.tree.prompt)] = {
                tuple(branch[: target.offset + 1]): target.right
                for branch, targets in zip(encoded.tree.branches, encoded.targets, strict=True)
                for target in targets
            }
        self._written: dict[tuple[int, int], list[int]] = {}
        self._step: tuple[Tensor, Tensor, Sequence[Tensor]] | None = None

    def arguments(
        self, ids: Tensor, positions: Tensor, node: Tensor, ancestors: Sequence[Tensor], *keys: Tensor
    ) -> dict[str, Any]:
        """Note what is read, by which node, and what it sees."""
        self._step = ids, node, ancestors
        return super().arguments(ids, positions, node, ancestors, *keys)

    def run(self, arguments: dict[str, Any], keep: Tensor, tokens: Tensor | None = None, **options: Any) -> Tensor:
        """Compute the logits, then replace them by the script's: 20 for what is right, 0 for *none*, -20 else."""
        logits = super().run(arguments, keep, tokens, **options)
        if self._step is None or tokens is None:
            return logits
        if logits.is_cuda:
            torch.cuda.synchronize()  # so that what is taken off is no time of the GPU's
        began = self.clock()
        ids, node, ancestors = self._step
        root, cue = ancestors[0], ancestors[-1]
        self.passes += 1
        self.tokens += int((node >= 0).sum())
        if ids.shape[1] == arguments["attention_mask"].shape[-1]:
            self._written.clear()
        said = torch.full(logits.shape, -20.0, dtype=logits.dtype)
        said[:, tokens == self._none] = 0.0
        row = 0
        for b in range(len(ids)):
            columns = zip(*(part[b].tolist() for part in (ids, node, root, cue, keep)), strict=True)
            for column, (token, n, r, c, kept) in enumerate(columns):
                if n < 0:
                    continue
                before = [] if c == r else self._written[b, c]
                self._written.setdefault((b, n), [*before]).append(token)
                if kept and n != r:
                    right = self._gold[tuple(self._written[b, r])].get(tuple(self._written[b, n]), frozenset())
                    said[row, torch.isin(tokens, torch.tensor(sorted(right)))] = 20.0
                row += int(keep[b, column])
        said = said.to(logits.device)
        self.seconds += self.clock() - began
        return said


def main() -> int:
    """Run the grid; print a table, and write JSON where asked."""
    options = _options()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    cells = [
        (size, dtype, language, kind, density, labels, tokens, batch)
        for size in options.sizes.split(",")
        for dtype in options.dtypes.split(",")
        for language in options.languages.split(",")
        for kind in options.kinds.split(",")
        for density in (options.densities.split(",") if kind == "extract" else ["-"])
        for labels in map(int, options.labels.split(","))
        for tokens in map(int, options.tokens.split(","))
        for batch in map(int, options.batches.split(","))
    ]
    models: dict[tuple[str, str], SeqGPT] = {}
    rows = []
    for cell in tqdm(cells, desc="bench", unit="cell", file=sys.stderr):
        if cell[:2] not in models:
            models = {cell[:2]: build_model(*cell[:2], options.device)}
        rows.append(_measure(models[cell[:2]], cell, options.repeats, released=not options.no_released))
        print(_line(rows[-1]), flush=True)
    if options.output:
        record = {"machine": machine(), "commit": commit(), "repeats": options.repeats, "cells": rows}
        with open(options.output, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=2)
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="25m", help=f"of {', '.join(SIZES)}")
    parser.add_argument("--dtypes", default="float32", help="float32, bfloat16, int8")
    parser.add_argument("--languages", default="en,zh")
    parser.add_argument("--kinds", default="extract,classify")
    parser.add_argument("--densities", default="sparse,dense")
    parser.add_argument("--labels", default="12")
    parser.add_argument("--tokens", default="100", help="of the texts")
    parser.add_argument("--batches", default="1,8")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--no-released", action="store_true", help="leave out the released way, which takes longest")
    parser.add_argument("--output", metavar="FILE.json")
    return parser.parse_args()


def build_model(size: str, dtype: str, device: str = "cpu") -> SeqGPT:
    """Build a model of random weights, with a tokenizer of the bundled texts."""
    tokenizer = train_tokenizer(bundled_words(), 16_000, list(MARKS))
    special = {"pad_token_id": tokenizer.pad_token_id, "bos_token_id": None, "eos_token_id": tokenizer.eos_token_id}
    model = SeqGPT(build(SIZES[size], vocab_size=len(tokenizer), **special), tokenizer)
    number_type = torch.float32 if dtype == "int8" else getattr(torch, dtype)
    cast(torch.nn.Module, model.model).to(device, number_type).eval()
    return model.to_int8() if dtype == "int8" else model


def bundled_words() -> list[str]:
    """Return all texts and labels that come with the library."""
    examples = [*load_sample("train"), *load_sample("test")]
    return [example.text for example in examples] + [label for e in examples for label in e.task.labels]


def _measure(model: SeqGPT, cell: tuple[Any, ...], repeats: int, *, released: bool) -> dict[str, Any]:
    size, dtype, language, kind, density, n_labels, n_tokens, batch = cell
    draw = random.Random(str(cell))  # noqa: S311 (not for secrets)
    examples = [
        make_example(model, draw, language, kind, density, draw_labels(draw, language, n_labels), n_tokens)
        for _ in range(batch)
    ]
    plans = [make_plan(example.text, example.task, model.vocabulary, model.template) for example in examples]
    forward = Scripted(model, examples)
    decoder = Decoder(forward, model.vocabulary, model.max_positions)
    spent = _watch_constraint()
    ways: dict[str, Callable[[], Any]] = {
        "floor": lambda: _floor(model, examples, plans),
        "seqgpt": lambda: decoder.answer(
            [make_plan(e.text, e.task, model.vocabulary, model.template) for e in examples]
        ),
    }
    if released:
        prompts, longest = _chunks(model, examples)
        ways["released"] = lambda: _generate(model, prompts, NEW_TOKENS)
        ways["stopping"] = lambda: _generate(model, prompts, longest)
    times: dict[str, list[float]] = {name: [] for name in ways}
    constraint = []
    for repeat in range(repeats + 1):  # the first warms up
        for name, run in ways.items():
            forward.seconds, forward.passes, forward.tokens, spent[0] = 0.0, 0, 0, 0.0
            result, taken = _timed(run, forward.device)
            taken -= forward.seconds
            if name == "seqgpt":
                passes, tokens = forward.passes, forward.tokens
                constraint += [spent[0]] if repeat else []
                if kind == "extract" and list(map(places, result)) != [places(e.gold) for e in examples]:
                    raise RuntimeError("the script was not followed: the bench measures something else")
            if repeat:
                times[name].append(taken)
    peaks = {name: _peak_memory(run, forward.device) for name, run in ways.items()}
    median = {name: statistics.median(values) for name, values in times.items()}
    return {
        "size": size,
        "dtype": dtype,
        "language": language,
        "kind": kind,
        "density": density,
        "labels": n_labels,
        "text_tokens": n_tokens,
        "batch": batch,
        "seconds": median,
        "spread": {name: (max(values) - min(values)) / median[name] for name, values in times.items()},
        "floors": median["seqgpt"] / median["floor"],
        "released_floors": median["released"] / median["floor"] if released else None,
        "stopping_floors": median["stopping"] / median["floor"] if released else None,
        "texts_per_second": batch / median["seqgpt"],
        "peak_mb": peaks,
        "passes": passes,
        "tokens_per_text": tokens / batch,
        "constraint_ms_per_text": 1000 * statistics.median(constraint) / batch,
        "constraint_share": statistics.median(constraint) / median["seqgpt"],
    }


def _timed(run: Callable[[], Any], device: torch.device) -> tuple[Any, float]:
    """Run, and return the result and the seconds that it took."""
    if device.type != "cuda":
        began = time.process_time()
        return run(), time.process_time() - began
    event: Any = torch.cuda.Event
    begin, end = event(enable_timing=True), event(enable_timing=True)
    begin.record()
    result = run()
    end.record()
    torch.cuda.synchronize()
    return result, begin.elapsed_time(end) / 1000


def _peak_memory(run: Callable[[], Any], device: torch.device) -> float | None:
    """Run once more, and return the peak of memory meanwhile, in MB; None where the system does not say it."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        run()
        return torch.cuda.max_memory_allocated() / 2**20
    try:
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write("5")  # the peak begins anew
        run()
        with open("/proc/self/status", encoding="ascii") as file:
            peak = next(line for line in file if line.startswith("VmHWM:"))
    except OSError:
        return None
    return int(peak.split()[1]) / 1024


def places(result: Result) -> list[tuple[str, int, int]]:
    """Return label and offsets of each span."""
    return [(span.label, span.start, span.end) for span in result.spans] if isinstance(result, Extraction) else []


def draw_labels(draw: random.Random, language: str, n_labels: int) -> list[str]:
    """Draw labels of the bundled examples; numbers stand behind those that come again."""
    names = sorted({label for example in _pool(language) for label in example.task.labels})
    order = draw.sample(names, len(names))
    cycled = [(i, order[i % len(order)]) for i in range(n_labels)]
    return [f"{name} {i // len(names) + 1}" if i >= len(names) else name for i, name in cycled]


def make_example(
    model: SeqGPT, draw: random.Random, language: str, kind: str, density: str, labels: list[str], n_tokens: int
) -> Example:
    """Make a text of so many tokens from bundled ones, and spans of one to four words or characters."""
    text = make_text(model, draw, language, n_tokens)
    if kind == "classify":
        return Example.from_dict({"text": text, "task": kind, "labels": labels, "answer": [labels[0]]})
    answer = draw_spans(draw, text, language, density, labels)
    return Example.from_dict({"text": text, "task": kind, "labels": labels, "answer": answer})


def make_text(model: SeqGPT, draw: random.Random, language: str, n_tokens: int) -> str:
    """Make a text of so many tokens from bundled ones."""
    pool = _pool(language)
    text = ""
    while len(model.vocabulary.encode(text)) < n_tokens:
        text += (" " if text and language == "en" else "") + re.sub(r"[\t\r\n]", " ", draw.choice(pool).text)
    while len(model.vocabulary.encode(text)) > n_tokens:
        text = text[:-1]
    return text.rstrip()


def draw_spans(
    draw: random.Random, text: str, language: str, density: str, labels: list[str]
) -> dict[str, list[dict[str, Any]]]:
    """Draw spans of one to four words or characters for labels; no two of a label begin in the same place."""
    starts = [i for i in range(len(text) - 1) if language == "zh" or (i == 0 or text[i - 1] == " ")]
    answer: dict[str, list[dict[str, Any]]] = {}
    for label in labels:
        wanted = SPANS_PER_LABEL[density]
        for _ in range(int(wanted) + (draw.random() < wanted % 1)):
            start = draw.choice([i for i in starts if text[i].strip()])
            span = (
                text[start:][: draw.randint(1, 4)]
                if language == "zh"
                else " ".join(text[start:].split(" ")[: draw.randint(1, 3)])
            )
            span = span.strip()
            answer.setdefault(label, []).append({"text": span, "start": start})
    return {label: list({s["start"]: s for s in spans}.values()) for label, spans in answer.items()}


def _pool(language: str) -> list[Example]:
    return [example for example in load_sample("train") if example.language == language]


@torch.no_grad()
def _floor(model: SeqGPT, examples: list[Example], plans: list[Plan]) -> Tensor:
    """Run one pass over prompt and whole answer, with the logits at the answer."""
    rows = []
    for example, plan in zip(examples, plans, strict=True):
        said = example.task.answer(example.gold, example.text)
        rows.append((plan.prompt, model.vocabulary.encode_pieces(said.pieces)))
    width = max(len(prompt) + len(answer) for prompt, answer in rows)
    ids = torch.zeros(len(rows), width, dtype=torch.long)
    keep = torch.zeros(len(rows), width, dtype=torch.bool)
    mask = torch.zeros(len(rows), width, dtype=torch.long)
    for i, (prompt, answer) in enumerate(rows):
        tokens = torch.tensor([*prompt, *answer])
        ids[i, : len(tokens)] = tokens
        mask[i, : len(tokens)] = 1
        keep[i, len(prompt) - 1 : len(tokens) - 1] = True
    device = model.model.device
    logits: Tensor = model.model(
        input_ids=ids.to(device),
        attention_mask=None if mask.all() else mask.to(device),
        logits_to_keep=keep.to(device),
        use_cache=False,
    ).logits
    return logits


def _chunks(model: SeqGPT, examples: list[Example]) -> tuple[list[tuple[int, ...]], int]:
    """Return the prompts of all label chunks of all texts, and the length of the longest answer in its language."""
    prompts, longest = [], 1
    template = ReleasedTemplate()
    for example in examples:
        task = example.task
        for labels in chunks(task.labels) if task.kind == "extract" else [task.labels]:
            part = task.with_labels(labels)
            prompts.append(model.vocabulary.encode(str(template.prompt(part, example.text))))
            answer = template.answer(part, _only(example, part), None)
            longest = max(longest, len(model.vocabulary.encode(str(answer))))
    return prompts, longest


def _only(example: Example, task: AtomicTask) -> list[str] | dict[str, list[str]]:
    """Return what the gold answer says of some labels."""
    if isinstance(example.gold, Classification):
        return list(example.gold.labels)
    words: dict[str, list[str]] = {}
    for span in example.gold.spans:
        if span.label in task.labels:
            words.setdefault(span.label, []).append(span.text)
    return words


@torch.no_grad()
def _generate(model: SeqGPT, prompts: list[tuple[int, ...]], length: int) -> None:
    """Generate as the released script does, all prompts together, padded on the left."""
    width = max(map(len, prompts))
    ids = torch.tensor([[0] * (width - len(prompt)) + list(prompt) for prompt in prompts])
    mask = torch.tensor([[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts])
    model.model.generate(  # type: ignore[operator]
        ids.to(model.model.device),
        attention_mask=mask.to(model.model.device),
        num_beams=BEAMS,
        do_sample=False,
        repetition_penalty=2.0,
        max_new_tokens=length,
        min_new_tokens=length,
        pad_token_id=model.tokenizer.pad_token_id,
    )


def _watch_constraint() -> list[float]:
    """Count the seconds that span constraints take, in the one item of the list."""
    spent = [0.0]
    for name in ("__init__", "following", "ahead"):
        plain = getattr(SpanConstraint, name)
        plain = getattr(plain, "unwatched", plain)

        def watched(*args: Any, _plain: Callable[..., Any] = plain) -> Any:
            began = time.process_time()
            try:
                return _plain(*args)
            finally:
                spent[0] += time.process_time() - began

        watched.unwatched = plain  # type: ignore[attr-defined]
        setattr(SpanConstraint, name, watched)
    return spent


def _line(row: dict[str, Any]) -> str:
    others = [f"{row[key]:5.1f}" if row[key] else "    –" for key in ("stopping_floors", "released_floors")]
    return (
        f"{row['size']:>4} {row['dtype']:8} {row['language']} {row['kind']:8} {row['density']:6} "
        f"{row['labels']:3} labels {row['text_tokens']:4} tokens batch {row['batch']}: "
        f"{row['floors']:5.2f} floors (spread {row['spread']['seqgpt']:.2f}); "
        f"stopping {others[0]}, released {others[1]}; "
        f"{row['passes']:2} passes, {row['tokens_per_text']:5.0f} tokens a text, "
        f"constraint {row['constraint_ms_per_text']:.2f} ms ({100 * row['constraint_share']:.1f} %), "
        f"{row['texts_per_second']:.1f} texts a second"
        + (f", peak {row['peak_mb']['seqgpt']:.0f} MB" if row["peak_mb"]["seqgpt"] else "")
    )


def machine() -> dict[str, str | int]:
    """Say what was measured on: processor, threads, versions."""
    return {
        "processor": _processor(),
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }


def _processor() -> str:
    """Return the processor's name, or only its kind where the system does not say it."""
    with contextlib.suppress(OSError), open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.machine()


def commit() -> str:
    """Return the commit that is checked out."""
    done = subprocess.run(["git", "describe", "--always", "--dirty"], capture_output=True, text=True, check=False)
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
