r"""Train the bundled model as a plain causal language model on token files.

    python scripts/bundled/language_model.py --tokens runs/bundled/tokens --tokenizer runs/bundled/tokenizer \
        --output runs/bundled/language_model --minutes 120

The learning rate stays constant until the minutes are over, or the run is stopped; the same command goes on from the
last checkpoint. The last steps, in which the rate falls to zero, are a call of their own, from wherever the run is:

    python scripts/bundled/language_model.py … --decay 600

which leaves the finished model in ``OUTPUT/decayed``.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import transformers
from sampled_loss import sampled_loss
from torch.nn.functional import cross_entropy
from torch.utils.data import Dataset, Subset
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from seqgpt.model import SeqGPT
from seqgpt.training.checkpoints import last_checkpoint, step_of
from seqgpt.training.optimizer import CombinedOptimizer, muon_and_adamw
from seqgpt.training.resumable import ResumableTrainer

_DRAWN = 1024  # tokens of the vocabulary, beside those of a batch
_EVAL_BLOCKS = 120  # of each language


class Blocks(Dataset[dict[str, torch.Tensor]]):
    """Tokens in blocks of one length, in a seeded order.

    Args:
        tokens: The tokens, uint16 ``[N]``.
        length: Tokens of a block.
        first: The number of the block, in the seeded order, that is the first one here.
    """

    def __init__(self, tokens: np.ndarray, length: int, first: int = 0) -> None:
        self._tokens, self._length, self._first = tokens, length, first
        self._order = np.random.default_rng(0).permutation((len(tokens) - 1) // length)

    def __len__(self) -> int:
        return len(self._order)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        begin = int(self._order[(self._first + index) % len(self)]) * self._length
        block = torch.from_numpy(self._tokens[begin : begin + self._length + 1].astype(np.int64))
        return {"input_ids": block[:-1], "labels": block[1:]}


class LanguageModelTrainer(ResumableTrainer):
    """Trains with the sampled loss, and evaluates with the exact one."""

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Return the mean loss of a batch of blocks."""
        network: Any = self.accelerator.unwrap_model(model)
        labels = inputs["labels"].flatten()
        with self.accelerator.autocast():
            hidden = network.base_model(input_ids=inputs["input_ids"], use_cache=False).last_hidden_state.flatten(0, 1)
            weights = network.get_output_embeddings().weight
            if model.training:
                loss = sampled_loss(hidden, weights, labels, _DRAWN, seed=self.state.global_step)
            else:
                loss = cross_entropy(torch.nn.functional.linear(hidden, weights).float(), labels)
        return (loss, {"loss": loss}) if return_outputs else loss

    def get_batch_samples(self, *given: Any) -> tuple[list[dict[str, Any]], None]:
        """Return the batches of a step; the mean of their means is the mean, for all have as many tokens."""
        return super().get_batch_samples(*given)[0], None


class StopAfter(transformers.TrainerCallback):
    """Stops, with a checkpoint, after so many minutes from the end of its first step."""

    def __init__(self, minutes: float, *, computing: bool) -> None:
        self._clock = time.process_time if computing else time.monotonic
        self._seconds = 60 * minutes
        self._end: float | None = None

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Look at the clock."""
        if self._end is None:
            self._end = self._clock() + self._seconds
        if self._clock() > self._end:
            control.should_training_stop = control.should_save = control.should_evaluate = True


def new_model(config: Path, tokenizer: Any, embeddings: Path | None) -> PreTrainedModel:
    """Return a model of random weights, but for embeddings that are given: ``[V, width]``, rows of length 1."""
    model = SeqGPT.from_config(json.loads(config.read_text()), tokenizer).model
    if embeddings:
        table = torch.from_numpy(np.load(embeddings))
        scale = model.config.initializer_range * table.shape[1] ** 0.5
        seen = table.norm(dim=1) > 0
        with torch.no_grad():
            cast(torch.nn.Embedding, model.get_input_embeddings()).weight[seen] = scale * table[seen]
    return model


def renew_unseen(model: PreTrainedModel, tokens: np.ndarray) -> None:
    """Give tokens that never come in the text, such as marks, random embeddings again, as long as others.

    They learnt nothing but not to come, all of them the same, which is in the way of whoever trains on them.
    """
    weight = cast(torch.nn.Embedding, model.get_input_embeddings()).weight
    unseen = torch.ones(len(weight), dtype=torch.bool)
    unseen[torch.from_numpy(np.unique(tokens).astype(np.int64))] = False
    fresh = torch.randn(weight.shape, generator=torch.Generator().manual_seed(0)) * weight[~unseen].std().item()
    with torch.no_grad():
        weight[unseen] = fresh[unseen].to(weight)


def optimizer_of(model: PreTrainedModel, options: argparse.Namespace) -> CombinedOptimizer:
    """Return Muon and AdamW; what is rare in the text does not decay meanwhile."""
    optimizer = muon_and_adamw(
        model,
        muon_learning_rate=options.muon_lr,
        learning_rate=options.lr,
        weight_decay=0.1,
        betas=(0.9, 0.98),
        eps=1e-10,
    )
    for group in optimizer.parts[1].param_groups:
        group["weight_decay"] = 0.0
    return optimizer


def read_options(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokens", type=Path, required=True, help="folder of train.npy, validation_*.npy")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="run directory; goes on from its last checkpoint")
    parser.add_argument("--config", type=Path, default=Path(__file__).with_name("model.json"))
    parser.add_argument("--embeddings", type=Path, help="what they start from; random if it is not given")
    parser.add_argument("--block", type=int, default=256, help="tokens of a block")
    parser.add_argument("--blocks", type=int, default=16, help="blocks of a step")
    parser.add_argument("--lr", type=float, default=3e-3, help="of the embeddings")
    parser.add_argument("--muon-lr", type=float, default=0.02)
    parser.add_argument("--warmup", type=int, default=100, help="steps")
    parser.add_argument("--steps", type=int, default=1_000_000, help="at most, with the warmup, without the decay")
    parser.add_argument("--minutes", type=float, help="of this call; by default until all steps are made")
    parser.add_argument("--cpu-minutes", action="store_true", help="count minutes of computing, for experiments")
    parser.add_argument("--decay", type=int, help="so many steps, from the last checkpoint, in which the rate falls")
    parser.add_argument("--save-steps", type=int, default=200)
    parser.add_argument("--eval-steps", type=int, default=200)
    parser.add_argument("--compile", action="store_true", help="1.3 times as fast on a CPU; needs a C++ compiler")
    return parser.parse_args(arguments)


def arguments_of(options: argparse.Namespace, output: Path) -> transformers.TrainingArguments:
    """Return the arguments of the trainer."""
    on_cpu = not torch.accelerator.is_available()
    return transformers.TrainingArguments(
        output_dir=str(output),
        max_steps=options.decay or options.steps,
        per_device_train_batch_size=options.blocks,
        per_device_eval_batch_size=options.blocks,
        train_sampling_strategy="sequential",
        dataloader_drop_last=True,
        dataloader_pin_memory=False,
        remove_unused_columns=False,
        prediction_loss_only=True,
        lr_scheduler_type="linear" if options.decay else "constant_with_warmup",
        warmup_steps=0 if options.decay else options.warmup,
        max_grad_norm=1.0,
        use_cpu=on_cpu,
        bf16=True,
        logging_steps=20,
        eval_strategy="steps",
        eval_steps=options.eval_steps,
        save_strategy="steps",
        save_steps=options.save_steps,
        save_total_limit=2,
        report_to="none",
        seed=0,
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """Train, or go on, or finish."""
    options = read_options(arguments)
    tokenizer = AutoTokenizer.from_pretrained(options.tokenizer)
    start = last_checkpoint(options.output)
    output = options.output / "decayed" if options.decay else options.output
    if options.decay and start is None:
        raise SystemExit(f"{options.output} has no checkpoint to finish: train first, without --decay.")
    checkpoint = last_checkpoint(output)
    origin = checkpoint or start
    model = (
        AutoModelForCausalLM.from_pretrained(origin)
        if origin
        else new_model(options.config, tokenizer, options.embeddings)
    )
    optimizer = optimizer_of(model, options)
    first = 0
    if options.decay and start:
        optimizer.load_state_dict(torch.load(start / "optimizer.pt", weights_only=True))
        first = step_of(start) * options.blocks
    if options.compile:
        model.base_model.compile(dynamic=False)
    blocks = {path.stem: np.load(path, mmap_mode="r") for path in sorted(options.tokens.glob("*.npy"))}
    train = Blocks(blocks.pop("train"), options.block, first)
    held_out = {name.removeprefix("validation_"): Blocks(tokens, options.block) for name, tokens in blocks.items()}
    validation = {name: Subset(one, range(min(len(one), _EVAL_BLOCKS))) for name, one in held_out.items()}
    trainer = LanguageModelTrainer(
        model=model,
        args=arguments_of(options, output),
        train_dataset=train,
        eval_dataset=validation,
        processing_class=tokenizer,
        optimizers=(optimizer, None),
        callbacks=[StopAfter(options.minutes, computing=options.cpu_minutes)] if options.minutes is not None else [],
    )
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if options.decay:
        renew_unseen(model, np.load(options.tokens / "train.npy", mmap_mode="r"))
        trainer.save_model()


if __name__ == "__main__":
    main()
