"""The arguments of a training run: those of transformers, and the few that are ours."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import transformers

from seqgpt.data.augmentation import Augmentation
from seqgpt.errors import ConfigError
from seqgpt.training.processes import check_plans, check_processes
from seqgpt.training.reporting import check_reporting

_LEAST_LENGTH = 32  # tokens: of a part of a text, its labels and marks


@dataclass
class TrainingArguments(transformers.TrainingArguments):
    """The arguments of ``transformers.TrainingArguments``, some with other defaults, and ours.

    Attributes:
        max_labels: Most labels shown with one text in training, where each takes room (extraction, several labels,
            described labels). Of more, a choice is drawn anew every epoch: the right ones, and absent ones that count
            for those left out too.
        frequent_negatives: Choose the absent labels that are shown by how frequent they are and how like the right
            ones, not evenly.
        foreign_labels: Labels of other examples to show as absent, for each label of an example; where every example
            brings labels of its own.
        all_negative: Probability that the labels which hold are not shown, so that none does; and that "none of these"
            may be an answer where it is not.
        described_labels: Probability that the labels of an example are shown with descriptions, where they have some.
        opaque_labels: Probability that they are shown under names that say nothing, with descriptions that do.
        translated_labels: Probability that they are shown under names of another language, where they have some.
        max_length: Most tokens that a text is read with, prompt and longest answer branch together. Longer texts are
            cut, never labels or answers, and counted. None: what the model reads.
        row_tokens: Examples of a batch are packed into rows of this many tokens; 0 gives each a row of its own.
        batch_tokens: Tokens of a batch, about: examples are put together until they have so many, instead of
            ``per_device_train_batch_size`` of them. An epoch has the same number of batches every time. Texts are cut
            as by ``max_length``, so that prompt and longest answer branch are no more than that; an example that has
            more with all its branches is a batch by itself.
        replay_share: Share of the examples of an epoch that are replayed, where other data is given to replay.
        early_stopping_patience: Stop when so many evaluations in a row have not been better than the best; None goes on
            to the end. Needs ``load_best_model_at_end``, and evaluations.
        replace_mentions: Probability that a mention of a training text is replaced by another one of its label, anew in
            every epoch. For small models and few examples.
        spliced_mentions: Probability that what replaces a mention is put together of two others, the beginning of one
            and the end of the other: mentions that nobody has seen.
        muon_learning_rate: Learning rate of Muon, which then takes the weight matrices inside the layers, about ten
            times ``learning_rate``, which stays that of AdamW for all other weights. None: ``optim`` takes all. For
            models that start from random weights.
    """

    max_labels: int = field(default=24, metadata={"help": "Most labels shown with one text in training."})
    frequent_negatives: bool = field(default=False, metadata={"help": "Choose absent labels by frequency."})
    foreign_labels: int = field(default=0, metadata={"help": "Labels of other examples, for each of an example's own."})
    all_negative: float = field(default=0.0, metadata={"help": "Probability that right labels are not shown."})
    described_labels: float = field(default=0.0, metadata={"help": "Probability of labels with descriptions."})
    opaque_labels: float = field(default=0.0, metadata={"help": "Probability of names that say nothing."})
    translated_labels: float = field(default=0.0, metadata={"help": "Probability of names of another language."})
    max_length: int | None = field(default=None, metadata={"help": "Most tokens of an example; longer texts are cut."})
    row_tokens: int = field(default=384, metadata={"help": "Examples of a batch are packed into rows of this length."})
    batch_tokens: int | None = field(default=None, metadata={"help": "Tokens of a batch; None counts examples."})
    replay_share: float = field(default=0.2, metadata={"help": "Share of examples that are replayed, if any are."})
    early_stopping_patience: int | None = field(
        default=None, metadata={"help": "Evaluations that may be no better before training stops."}
    )
    replace_mentions: float = field(default=0.0, metadata={"help": "Probability that a mention is replaced."})
    spliced_mentions: float = field(default=0.0, metadata={"help": "Probability that it is put together of two."})
    muon_learning_rate: float | None = field(default=None, metadata={"help": "Learning rate of Muon; None for none."})
    per_device_eval_batch_size: int = field(default=32, metadata={"help": "Texts predicted together in evaluation."})
    remove_unused_columns: bool = field(
        default=False, metadata={"help": "Must stay False: our batches are not columns."}
    )
    logging_steps: float = field(default=50, metadata={"help": "Log the loss every so many steps."})
    logging_nan_inf_filter: bool = field(
        default=False, metadata={"help": "Needs not be True: a loss that is no number ends the run."}
    )
    restore_callback_states_from_checkpoint: bool = field(
        default=True, metadata={"help": "Early stopping goes on with the patience that it had left."}
    )
    report_to: str | list[str] | None = field(
        default="none", metadata={"help": "Where to log to: tensorboard, wandb, …"}
    )
    save_total_limit: int | None = field(default=2, metadata={"help": "Number of checkpoints to keep."})
    metric_for_best_model: str | None = field(
        default="score", metadata={"help": "What the best checkpoint is best at; score is the mean headline metric."}
    )
    seed: int = field(default=0, metadata={"help": "Seed of everything that is drawn."})
    fsdp: bool | str | None = field(  # type: ignore[assignment]  # transformers takes true, and does not say so
        default=None, metadata={"help": "Share weights out among processes (FSDP2)."}
    )
    dataloader_pin_memory: bool = field(default=False, metadata={"help": "Pin memory of batches."})

    @property
    def augmentation(self) -> Augmentation:
        """How labels are shown in training."""
        return Augmentation(
            self.max_labels,
            self.frequent_negatives,
            self.foreign_labels,
            self.all_negative,
            self.described_labels,
            self.opaque_labels,
            self.translated_labels,
        )

    @property
    def longest(self) -> int | None:
        """What examples are cut to: the less of ``max_length`` and ``batch_tokens``; None if there is neither."""
        return min((most for most in (self.max_length, self.batch_tokens) if most is not None), default=None)

    def __post_init__(self) -> None:
        self._check_precision()
        check_plans(self.deepspeed, self.fsdp_config)
        super().__post_init__()  # type: ignore[no-untyped-call]
        check_processes(self)
        check_reporting(self.report_to or [])
        self._check_batches()
        for name, most in (("max_length", self.max_length), ("batch_tokens", self.batch_tokens)):
            if most is not None and most < _LEAST_LENGTH:
                raise ConfigError(f"{name} is {most}: give at least {_LEAST_LENGTH} tokens, or leave it out.")
        if self.max_labels < 2:
            raise ConfigError(f"max_labels is {self.max_labels}: give at least 2, or there is nothing to choose from.")
        _ = self.augmentation  # which says what is wrong with it
        if self.label_smoothing_factor:
            raise ConfigError(
                f"label_smoothing_factor is {self.label_smoothing_factor}: leave it out, the loss does not use it."
            )
        if self.row_tokens < 0:
            raise ConfigError(f"row_tokens is {self.row_tokens}: give a number of tokens, or 0 for a row per example.")
        self._check_mentions()
        self._check_muon()

    def _check_mentions(self) -> None:
        for name in ("replace_mentions", "spliced_mentions"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} is {getattr(self, name)}: give a probability, from 0 to 1.")
        if self.spliced_mentions and not self.replace_mentions:
            raise ConfigError("spliced_mentions is of those that are replaced: set replace_mentions, or leave it out.")

    def _check_muon(self) -> None:
        if self.muon_learning_rate is None:
            return
        if self.muon_learning_rate <= 0:
            raise ConfigError(f"muon_learning_rate is {self.muon_learning_rate}: give more than 0, or leave it out.")
        optim = getattr(self.optim, "value", self.optim)
        if not optim.startswith("adamw_torch"):
            raise ConfigError(f"optim is {optim}: leave it out, Muon goes together with AdamW.")

    def _check_precision(self) -> None:
        if (self.bf16 or self.fp16) and not self.use_cpu and not torch.accelerator.is_available():
            raise ConfigError(
                f"{'bf16' if self.bf16 else 'fp16'} is set, and there is no GPU: set use_cpu to train on a CPU, or "
                "leave it out."
            )

    def _check_batches(self) -> None:
        if self.per_device_train_batch_size < 1:
            raise ConfigError(
                f"per_device_train_batch_size is {self.per_device_train_batch_size}: give at least 1, or batch_tokens."
            )
        if self.num_train_epochs <= 0 and self.max_steps <= 0:
            raise ConfigError(f"num_train_epochs is {self.num_train_epochs}: give more than 0, or max_steps.")
        if not 0 < self.replay_share < 1:
            raise ConfigError(f"replay_share is {self.replay_share}: give a share above 0 and below 1.")
        if self.early_stopping_patience is not None and not self.load_best_model_at_end:
            raise ConfigError("early_stopping_patience needs load_best_model_at_end: set it, or leave both out.")
