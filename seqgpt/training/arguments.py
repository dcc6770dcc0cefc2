"""The arguments of a training run: those of transformers, and the few that are ours."""

from __future__ import annotations

from dataclasses import dataclass, field

import transformers


@dataclass
class TrainingArguments(transformers.TrainingArguments):
    """The arguments of ``transformers.TrainingArguments``, some with other defaults, and ours.

    Attributes:
        max_labels: Most labels shown with one text in training; longer label sets are sampled anew every epoch.
        row_tokens: Examples of a batch are packed into rows of this many tokens.
        eval_batch: Number of texts that are predicted together in evaluation.
    """

    max_labels: int = field(default=24, metadata={"help": "Most labels shown with one text in training."})
    row_tokens: int = field(default=384, metadata={"help": "Examples of a batch are packed into rows of this length."})
    eval_batch: int = field(default=32, metadata={"help": "Number of texts predicted together in evaluation."})
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "Must stay False: our batches are not columns."}
    )
    logging_steps: float = field(default=50, metadata={"help": "Log the loss every so many steps."})
    report_to: str | list[str] | None = field(
        default="none", metadata={"help": "Where to log to: tensorboard, wandb, …"}
    )
    save_total_limit: int | None = field(default=2, metadata={"help": "Number of checkpoints to keep."})
    dataloader_pin_memory: bool = field(default=False, metadata={"help": "Pin memory of batches."})
