"""What bench_train.py asks before it times anything: whether training in packed rows learns what plain rows teach.

    python scripts/bench_train_gate.py

Tiny models of random weights and bundled examples, several tasks on one text among them. Plain rows are each branch of
an example by itself behind its prompt, with no mask and no positions, through a model as transformers makes it.

    trained       what training computes: on a CPU block by block, where the model does that; against plain rows
    packed        rows of several examples and stems that they share under a mask, against plain rows
    kernel        one row of all of them, as one kernel computes it on a GPU, against plain rows; here by its reference
    shared        tasks on one text that share it, against the same tasks each with a text of its own
    selective     logits at the answers only, against those of all positions
    accumulated   two halves of a batch, against the batch
    two ranks     two processes (torchrun, gloo), against one
    resumed       a run that was stopped and went on, against one that was not: bit for bit

A difference is the largest one over the largest number of what it is compared with. In bfloat16 both are off from plain
rows in float32; there it is the root of the mean squared difference, over that which plain rows in bfloat16 have.
Gradients are those of the summed loss at the answers; those of each weight are compared by themselves, on the scale of
their largest, or of a hundredth of the model's largest where that is more: the key biases of GPT-2 and GPT-NeoX
have no gradient but rounding.
"""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from bench_predict import bundled_words
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from transformers import AutoModelForCausalLM, PreTrainedTokenizerBase

from seqgpt import AtomicTask, Example, SeqGPT, Trainer, TrainingArguments
from seqgpt.data.sample import load_sample
from seqgpt.engine.tree import TreeBatch
from seqgpt.templates.marks import MARKS, NONE
from seqgpt.tokenizer import train_tokenizer
from seqgpt.training.collate import NO_OPTION, answer_loss
from seqgpt.training.encode import Encoded, Target, encode

FAMILIES: dict[str, dict[str, Any]] = {
    "llama": {"num_key_value_heads": 2, "num_attention_heads": 4, "intermediate_size": 128},
    "qwen3": {"num_key_value_heads": 2, "num_attention_heads": 4, "intermediate_size": 128, "head_dim": 16},
    "gpt2": {"n_head": 4, "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "gpt_neox": {"num_attention_heads": 4, "intermediate_size": 128},
    "bloom": {"n_head": 4},
}
SIZE = {"hidden_size": 64, "num_hidden_layers": 2, "initializer_range": 0.1}  # so that attention is not even

FP32 = 1e-5
"""Most that float32 may be off."""

BF16 = 1.1
"""Most that bfloat16 may be off, in multiples of what plain rows in bfloat16 are off; a tenth is chance."""

ROW_TOKENS = 256
STEPS = 6


class Check(NamedTuple):
    """What was compared, how far it is off, and how far it may be."""

    name: str
    model: str
    what: str
    off: float
    limit: float

    @property
    def holds(self) -> bool:
        """Whether it is near enough; no number is not."""
        return self.off <= self.limit


class Computed(NamedTuple):
    """The logits of all targets [N, V], and the gradient of each weight."""

    logits: Tensor
    gradients: dict[str, Tensor]


def gate() -> list[Check]:
    """Run all checks."""
    torch.set_num_threads(1)
    checks = list(chain.from_iterable(_check_family(family) for family in FAMILIES))
    with tempfile.TemporaryDirectory() as folder:
        return [*checks, *_check_runs(Path(folder))]


def table(checks: Sequence[Check]) -> str:
    """Return checks as a Markdown table."""
    lines = ["| check | model | what | off by | at most | |", "|---|---|---|---:|---:|---|"]
    for check in checks:
        verdict = "" if check.holds else "**differs**"
        lines.append(
            f"| {check.name} | {check.model} | {check.what} | {check.off:.2g} | {check.limit:.2g} | {verdict} |"
        )
    return "\n".join(lines)


def main() -> int:
    """Print all checks; or be one process of a run, where a folder is given."""
    if len(sys.argv) > 1:
        _train(Path(sys.argv[1]), per_device_train_batch_size=8 // int(os.environ.get("WORLD_SIZE", "1")))
        return 0
    checks = gate()
    print(table(checks))
    return int(not all(check.holds for check in checks))


def _check_family(family: str) -> list[Check]:
    """Compare what a model computes of packed rows with what it computes of plain ones."""
    model = _build(family)
    stock = cast(Any, AutoModelForCausalLM).from_config(model.model.config)  # which nothing of ours has touched
    stock.load_state_dict(model.model.state_dict())
    stock.train()
    model.model.train()
    examples = [encode(example, model.vocabulary, model.template) for example in _examples()]
    none = model.vocabulary.mark(NONE)
    plain = partial(_plain, stock, examples, none)
    packed = partial(_packed, model, examples, none)
    expected = plain()
    found = packed()
    with _trained(model):
        trained = packed()
    compared = [
        ("trained", trained, expected),
        ("packed", found, expected),
        ("shared", found, packed(share_stems=False)),
        ("selective", found, packed(selective=False)),
    ]
    if family != "bloom":  # which no kernel computes
        with _by_kernel(model):
            compared.append(("kernel", packed(), expected))
    checks = []
    for name, one, other in compared:
        checks.append(Check(name, family, "logits, fp32", _off(one.logits, other.logits), FP32))
        checks.append(Check(name, family, "gradients, fp32", _gradients_off(one, other), FP32))
    with torch.autocast("cpu", torch.bfloat16):
        stock_bf16, rows_bf16 = plain(), packed()
        with _trained(model):
            blocks_bf16 = packed()
        found_bf16 = [("trained", blocks_bf16), ("packed", rows_bf16)]
        if family != "bloom":
            with _by_kernel(model):
                found_bf16.append(("kernel", packed()))
    for name, one in found_bf16:
        logits = _rms(one.logits - expected.logits) / _rms(stock_bf16.logits - expected.logits)
        checks.append(Check(name, family, "logits, bf16 / stock bf16", logits, BF16))
        off, stock_off = (_rms(_flat(both) - _flat(expected)) for both in (one, stock_bf16))
        checks.append(Check(name, family, "gradients, bf16 / stock bf16", off / stock_off, BF16))
    return checks


def _build(family: str) -> SeqGPT:
    return SeqGPT.from_config({"model_type": family, **SIZE, **FAMILIES[family]}, copy.deepcopy(_tokenizer()))


@cache
def _tokenizer() -> PreTrainedTokenizerBase:
    return train_tokenizer(bundled_words(), 1000, list(MARKS))


def _examples() -> list[Example]:
    """Return bundled examples, and one more task on the texts of some."""
    bundled = list(load_sample("train")[::20])
    praise = AtomicTask.classify(["praise", "complaint"], none=True)
    again = [{"text": example.text, **praise.to_dict(), "answer": []} for example in bundled[::2]]
    return [*bundled, *map(Example.from_dict, again)]


def _plain(model: nn.Module, examples: Sequence[Encoded], none: int) -> Computed:
    """Compute each branch in a row of its own, with no mask and no positions."""
    logits = []
    for example in examples:
        prompt = example.tree.prompt
        for branch, targets in zip(example.tree.branches, example.targets, strict=True):
            row = model(input_ids=torch.tensor([[*prompt, *branch]]), use_cache=False).logits[0, len(prompt) - 1 :]
            logits += [row[target.offset + 1] for target in targets]
    return _learn(model, torch.stack(logits), examples, none)


@contextmanager
def _trained(model: SeqGPT) -> Iterator[None]:
    """Compute as a Trainer does on a CPU."""
    model.forward.pack()
    try:
        yield
    finally:
        model.forward.unpack()


@contextmanager
def _by_kernel(model: SeqGPT) -> Iterator[None]:
    """Compute as a Trainer does on a GPU."""
    model.forward.packing = "flex"
    reason = model.forward.pack()
    if reason:
        sys.exit(f"bench_train_gate: {reason}")
    try:
        yield
    finally:
        model.forward.unpack()
        model.forward.packing = None


def _packed(
    seqgpt: SeqGPT, examples: Sequence[Encoded], none: int, *, share_stems: bool = True, selective: bool = True
) -> Computed:
    """Compute all examples in packed rows, as training does."""
    trees = [example.tree for example in examples]
    batch = seqgpt.forward.packed(seqgpt.forward.batch(trees, row_tokens=ROW_TOKENS, share_stems=share_stems))
    spots = _spots(examples, batch)
    keep = torch.zeros_like(batch.node, dtype=torch.bool)
    keep[tuple(torch.tensor(spots).T)] = True
    arguments = seqgpt.forward.inputs(batch)
    model = cast(nn.Module, seqgpt.model)
    if selective:
        logits = model(**arguments, logits_to_keep=keep, use_cache=False).logits
    else:
        logits = model(**arguments, use_cache=False).logits
    logits = logits if logits.dim() == 2 else logits[keep]
    rank = {spot: i for i, spot in enumerate(sorted(spots))}
    return _learn(model, logits[[rank[spot] for spot in spots]], examples, none)


def _spots(examples: Sequence[Encoded], batch: TreeBatch) -> list[tuple[int, int]]:
    """Return row and column of each target, in the order of the examples."""
    return [
        (place.row, place.branch + target.offset if target.offset >= 0 else place.prompt)
        for example, places in zip(examples, batch.places, strict=True)
        for place, targets in zip(places, example.targets, strict=True)
        for target in targets
    ]


def _learn(model: nn.Module, logits: Tensor, examples: Sequence[Encoded], none: int) -> Computed:
    """Go back from the summed loss."""
    targets: list[Target] = [target for e in examples for targets in e.targets for target in targets]
    options = [torch.tensor(target.options) for target in targets]
    right = [torch.tensor([token in target.right for token in target.options]) for target in targets]
    model.zero_grad()
    losses: Any = answer_loss(
        logits,
        pad_sequence(options, batch_first=True, padding_value=NO_OPTION),
        pad_sequence(right, batch_first=True),
        torch.tensor([target.one_of for target in targets]),
        torch.tensor([target.weight for target in targets]),
        none,
    )
    losses.sum().backward()
    gradients = {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}
    return Computed(logits.detach().float(), gradients)


def _off(one: Tensor, other: Tensor, scale: float = 0.0) -> float:
    return float((one - other).abs().max()) / max(float(other.abs().max()), scale)


def _gradients_off(one: Computed, other: Computed) -> float:
    least = 0.01 * max(float(gradient.abs().max()) for gradient in other.gradients.values())
    return max(_off(one.gradients[name], gradient, least) for name, gradient in other.gradients.items())


def _flat(computed: Computed) -> Tensor:
    return torch.cat([gradient.flatten() for gradient in computed.gradients.values()])


def _rms(difference: Tensor) -> float:
    return float(difference.square().mean().sqrt())


def _check_runs(folder: Path) -> list[Check]:
    """Compare runs of the trainer that must learn the same."""
    one = _train(folder / "one")
    halves = _train(folder / "halves", per_device_train_batch_size=4, gradient_accumulation_steps=2)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", __file__]
    done = subprocess.run([*command, str(folder / "two")], check=False, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"bench_train_gate: two processes did not train:\n{done.stderr}")
    two = SeqGPT.from_pretrained(folder / "two")
    saving: dict[str, Any] = {"optim": "adamw_torch", "save_strategy": "steps", "save_steps": STEPS // 2}
    straight = _train(folder / "straight", **saving)
    last = f"checkpoint-{STEPS // 2}"
    shutil.copytree(folder / "straight" / last, folder / "resumed" / last)
    resumed = _train(folder / "resumed", folder / "resumed" / last, **saving)
    return [
        Check("accumulated", "qwen3", "weights", _weights_off(halves, one), FP32),
        Check("two ranks", "qwen3", "weights", _weights_off(two, one), FP32),
        Check("resumed", "qwen3", "weights, bit for bit", _weights_off(resumed, straight), 0.0),
    ]


def _train(folder: Path, checkpoint: Path | None = None, **given: Any) -> SeqGPT:
    """Train a tiny model for a few steps; what a run learns depends on its batches only."""
    fields: dict[str, Any] = {
        "output_dir": str(folder),
        "use_cpu": True,
        "disable_tqdm": True,
        "save_strategy": "no",
        "per_device_train_batch_size": 8,
        "max_steps": STEPS,
        "max_labels": 2,
        "optim": "sgd",
        "learning_rate": 0.1 if "optim" not in given else 1e-3,
        "ddp_find_unused_parameters": False,
    }
    model = _build("qwen3")
    Trainer(model, TrainingArguments(**{**fields, **given}), load_sample("train")[:16]).train(
        resume_from_checkpoint=str(checkpoint) if checkpoint else None
    )
    return model


def _weights_off(one: SeqGPT, other: SeqGPT) -> float:
    weights = dict(other.model.named_parameters())
    return max(_off(weight.detach(), weights[name].detach()) for name, weight in one.model.named_parameters())


if __name__ == "__main__":
    sys.exit(main())
