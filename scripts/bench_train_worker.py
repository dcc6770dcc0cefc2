"""One way to train, in a process of its own, for bench_train.py.

It reads requests from standard input and writes answers to standard output, one JSON object a line each, in order. The
first names a way and a folder with what there is to train; then ``step`` makes a step of the way's own Trainer, from
fetching the examples to the optimizer, and answers with what it took. The Trainer waits inside its callback meanwhile.

Nothing of seqgpt is imported but for its own way, so TRL can have an environment of its own.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import IO, Any, cast

import torch
import transformers
from torch.nn.utils.rnn import pad_sequence
from torch.utils.flop_counter import FlopCounterMode
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, TrainerCallback

IGNORED = -100
MICRO_BATCH = 4
"""Examples that the padded ways compute together: more of them would be padded more, and take more memory."""

TRL_ROW = 512
"""Tokens of TRL's rows; on a CPU it attends over whole rows, so longer ones (1,024 is its default) take longer."""

Answer = dict[str, Any]


class Turns(TrainerCallback):
    """Lets a Trainer make a step for each request, and tells what it took.

    Args:
        requests: Where requests come from.
        answers: Where answers go to.
    """

    def __init__(self, requests: IO[str], answers: IO[str]) -> None:
        self._requests, self._answers = requests, answers
        self._counter: Any = None
        self._memory = self._wall = self._cpu = 0.0
        self._event: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Wait for the first request."""
        self._wait(control)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Tell what a step took, and wait for the next request."""
        answer: Answer = {}
        if self._event is not None:
            ended = _event()
            torch.cuda.synchronize()
            answer["gpu"] = self._event.elapsed_time(ended) / 1000
        answer |= {"wall": time.perf_counter() - self._wall, "cpu": time.process_time() - self._cpu}
        if self._counter is not None:
            self._counter.__exit__(None, None, None)
            answer["flops"] = self._counter.get_total_flops()
            self._counter = None
        answer |= {"held_mb": self._memory, "peak_mb": _peak()}
        print(json.dumps(answer), file=self._answers, flush=True)
        self._wait(control)

    def _wait(self, control: Any) -> None:
        line = self._requests.readline()
        if not line:
            control.should_training_stop = True
            return
        self._memory = _begin_peak()
        if json.loads(line).get("count"):
            self._counter = FlopCounterMode(display=False)
            self._counter.__enter__()
        if torch.cuda.is_available():
            self._event = _event()
        self._wall, self._cpu = time.perf_counter(), time.process_time()


def main() -> None:
    """Build the way that the first request names, and train as long as requests come."""
    torch.set_num_threads(1)
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what Trainers print is no answer
    request = json.loads(sys.stdin.readline())
    trainer, said = WAYS[request["way"]](Path(request["folder"]), request["bf16"])
    trainer.add_callback(Turns(sys.stdin, answers))
    print(json.dumps({**said, "before_mb": _begin_peak()}), file=answers, flush=True)
    trainer.train()


def _arguments(folder: Path, *, bf16: bool, batch: int, accumulate: int = 1, **given: Any) -> dict[str, Any]:
    return {
        "output_dir": str(folder / f"run-{os.getpid()}"),
        "use_cpu": not torch.cuda.is_available(),
        "bf16": bf16,
        "per_device_train_batch_size": batch,
        "gradient_accumulation_steps": accumulate,
        "max_steps": 1_000_000,  # until requests end
        "learning_rate": 1e-4,
        "logging_steps": 1_000_000,
        "disable_tqdm": True,
        "save_strategy": "no",
        "report_to": "none",
        **given,
    }


def _model(folder: Path) -> Any:
    torch.manual_seed(0)
    return AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))


def _rows(folder: Path) -> list[dict[str, list[int]]]:
    """Return prompt and answer of each example as tokens."""
    return list(json.loads((folder / "rows.json").read_text(encoding="utf-8")))


def _padded(folder: Path, bf16: bool, *, completion: bool) -> tuple[Any, Answer]:
    """Train on padded rows with transformers' own Trainer: on all tokens as they come, or on answers, by length."""
    data = [
        {"input_ids": [*row["prompt"], *row["answer"]], "labels": _labels(row, completion=completion)}
        for row in _rows(folder)
    ]
    given = {"train_sampling_strategy": "group_by_length"} if completion else {}
    batch = min(MICRO_BATCH, len(data))
    arguments = _arguments(folder, bf16=bf16, batch=batch, accumulate=-(-len(data) // batch), **given)
    trainer: Any = transformers.Trainer(
        model=_model(folder),
        args=transformers.TrainingArguments(**arguments),
        train_dataset=data,
        data_collator=_collate,
    )
    return trainer, {"attention": trainer.model.config._attn_implementation}


def _labels(row: dict[str, list[int]], *, completion: bool) -> list[int]:
    return [*([IGNORED] * len(row["prompt"]) if completion else row["prompt"]), *row["answer"]]


def _collate(examples: list[dict[str, list[int]]]) -> dict[str, torch.Tensor]:
    def padded(name: str, value: int) -> torch.Tensor:
        return pad_sequence([torch.tensor(e[name]) for e in examples], batch_first=True, padding_value=value)

    labels = padded("labels", IGNORED)
    mask = pad_sequence([torch.ones(len(e["labels"]), dtype=torch.long) for e in examples], batch_first=True)
    return {"input_ids": padded("input_ids", 0), "attention_mask": mask, "labels": labels}


def _trl(folder: Path, bf16: bool, *, compact: bool = False) -> tuple[Any, Answer]:
    """Train with TRL's SFTTrainer, packed, on answers; its loss comes from the hidden states, a tile at a time.

    Where there is no Triton, as on a CPU, TRL computes the logits of all positions. ``compact`` has it compute those of
    the answers only, as it does with Triton: no setting of its own, but what its way would be at its best.
    """
    import trl
    from datasets import Dataset
    from trl.trainer import utils

    if compact:
        utils._use_triton = lambda _device: True  # here it decides which positions count; the kernel asks its own
    tokenizer = AutoTokenizer.from_pretrained(folder)
    data = Dataset.from_list(
        [{"input_ids": [*r["prompt"], *r["answer"]], "labels": _labels(r, completion=True)} for r in _rows(folder)]
    )

    def build(rows: int) -> Any:
        arguments = _arguments(folder, bf16=bf16, batch=1, accumulate=rows, gradient_checkpointing=False)
        arguments |= {"packing": True, "max_length": TRL_ROW, "loss_type": "nll", "eos_token": tokenizer.eos_token}
        args = trl.SFTConfig(**arguments)
        return trl.SFTTrainer(_model(folder), args, train_dataset=data, processing_class=tokenizer)

    trainer = build(len(build(1).train_dataset))
    attention = trainer.model.config._attn_implementation
    return trainer, {"trl": trl.__version__, "attention": attention, "rows": len(trainer.train_dataset)}


def _seqgpt(folder: Path, bf16: bool) -> tuple[Any, Answer]:
    """Train with seqgpt's Trainer."""
    from seqgpt import SeqGPT, Trainer, TrainingArguments, read_jsonl

    examples = read_jsonl(folder / "examples.jsonl")
    model = SeqGPT(_model(folder), AutoTokenizer.from_pretrained(folder))
    trainer = Trainer(
        model, TrainingArguments(**_arguments(folder, bf16=bf16, batch=len(examples))), train_dataset=examples
    )
    return trainer, {"attention": model.model.config._attn_implementation}


WAYS: dict[str, Callable[[Path, bool], tuple[Any, Answer]]] = {
    "padded": partial(_padded, completion=False),
    "completion": partial(_padded, completion=True),
    "trl": _trl,
    "trl-compact": partial(_trl, compact=True),
    "seqgpt": _seqgpt,
}


def _event() -> Any:
    event = cast(Any, torch.cuda.Event)(enable_timing=True)
    event.record()
    return event


def _begin_peak() -> float:
    """Let the peak of memory begin anew; return what is held now, in MB."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return torch.cuda.memory_allocated() / 2**20
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")
    return _status("VmRSS:")


def _peak() -> float:
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    return _status("VmHWM:")


def _status(name: str) -> float:
    """Return a number of the process's status, in MB; not a number where the system does not say it."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as file:
        return int(next(line for line in file if line.startswith(name)).split()[1]) / 1024
    return float("nan")


if __name__ == "__main__":
    main()
