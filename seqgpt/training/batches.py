"""The batches of an epoch: of so many examples, or of so many tokens."""

from __future__ import annotations

import math

from seqgpt.training.arguments import TrainingArguments
from seqgpt.training.epoch_set import EpochSet
from seqgpt.training.example_batches import ExampleBatches
from seqgpt.training.token_batches import TokenBatches


def make_batches(examples: EpochSet, args: TrainingArguments, *, size: int) -> ExampleBatches | TokenBatches:
    """Cut the epochs of a training into batches, as the arguments want them.

    Args:
        examples: The examples.
        args: The arguments.
        size: How many examples a process reads at once, where not tokens are counted.
    """
    if args.batch_tokens is not None:
        return _of_tokens(examples, args, args.batch_tokens)
    return ExampleBatches(examples, size=size, processes=args.world_size, drop_last=args.dataloader_drop_last)


def _of_tokens(examples: EpochSet, args: TrainingArguments, budget: int) -> TokenBatches:
    processes = args.world_size
    if args.max_steps <= 0:
        epochs = math.ceil(args.num_train_epochs)
        return TokenBatches(examples, budget=budget, epochs=epochs, processes=processes)
    one = TokenBatches(examples, budget=budget, epochs=1, processes=processes)
    needed = args.max_steps * args.gradient_accumulation_steps * processes
    return TokenBatches(examples, budget=budget, epochs=math.ceil(needed / len(one)), processes=processes)
