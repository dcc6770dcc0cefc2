"""The trainer: transformers.Trainer over atomic-task examples."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.utils.data import Dataset

from seqgpt.errors import DataError, RunError
from seqgpt.evaluation.report import by_kind, evaluate
from seqgpt.examples import Example, read_jsonl
from seqgpt.model import SeqGPT
from seqgpt.training.arguments import TrainingArguments
from seqgpt.training.collate import answer_loss, collate
from seqgpt.training.encode import Encoded, encode
from seqgpt.training.label_order import draw, shuffle_labels

RUN_FILE = "run.yaml"
"""In the output directory: the config of the run, where it was started from one."""

Examples = Sequence[Example] | str | Path
"""Examples, or the path of a JSONL file that holds them."""


class TrainingSet(Dataset[Encoded]):
    """Examples that are encoded as they are asked for, with labels drawn anew in every epoch."""

    def __init__(self, examples: Sequence[Example], model: SeqGPT, *, seed: int, max_labels: int) -> None:
        self._examples = examples
        self._model = model
        self._seed = seed
        self._max_labels = max_labels
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Tell which epoch comes; the Trainer calls this."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._examples)

    def __getitem__(self, index: int) -> Encoded:
        example = self._examples[index]
        random_ = draw(self._seed, self._epoch, example.id or str(index))
        shown = shuffle_labels(example, random_, self._max_labels)
        encoded = encode(shown, self._model.vocabulary, self._model.template)
        longest = len(encoded.tree.prompt) + max(map(len, encoded.tree.branches))
        if longest >= self._model.max_positions:
            raise DataError(
                f"example {example.id or index} has {longest} tokens, and the model reads {self._model.max_positions - 1}: "
                "shorten its text, lower max_labels, or leave it out."
            )
        return encoded


class Trainer(transformers.Trainer):
    """Trains a model on examples; the loss is on answers only.

    Everything that ``transformers.Trainer`` does (schedules, precision, devices, checkpoints, callbacks) works as there.
    Evaluation predicts, and reports F1 of spans and accuracy of classes. At the end the output directory holds a model
    that ``SeqGPT.from_pretrained`` opens.

    Args:
        model: The model to train; it is trained in place.
        args: The arguments of the run.
        train_dataset: Examples, or a JSONL file.
        eval_dataset: Examples or a JSONL file to predict during training; or several of them by name.
        callbacks: Callbacks as in transformers.

    Raises:
        DataError: If there is nothing to train on, or a file cannot be read.
    """

    def __init__(
        self,
        model: SeqGPT,
        args: TrainingArguments,
        train_dataset: Examples,
        eval_dataset: Examples | dict[str, Examples] | None = None,
        callbacks: list[transformers.TrainerCallback] | None = None,
    ) -> None:
        examples = _read(train_dataset)
        if not examples:
            raise DataError("there are no examples to train on: give at least one.")
        self.seqgpt = model
        named = eval_dataset if isinstance(eval_dataset, dict) else {"": eval_dataset} if eval_dataset else {}
        self._eval_examples = {name: _read(examples) for name, examples in named.items()}
        super().__init__(
            model=model.model,
            args=args,
            train_dataset=TrainingSet(examples, model, seed=args.seed, max_labels=args.max_labels),
            eval_dataset=[] if self._eval_examples else None,
            data_collator=lambda encoded: collate(encoded, model.forward, args.row_tokens),
            processing_class=model.tokenizer,
            compute_loss_func=_mean_answer_loss,
            callbacks=callbacks,
        )
        self.loss_is_scaled_for_ga = True

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train, and save the final model to the output directory.

        Raises:
            RunError: If the output directory holds another run, and this call does not resume it.
        """
        resume = kwargs.get("resume_from_checkpoint", args[0] if args else None)
        check_run_directory(Path(str(self.args.output_dir)), resuming=bool(resume))
        self.seqgpt.trained = True
        output = super().train(*args, **kwargs)
        self.seqgpt.model.eval()
        self.save_model()
        return output

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Run the trees of a batch and return the loss at the answers."""
        arguments = self.seqgpt.forward.inputs(inputs["batch"])
        outputs = model(**arguments, logits_to_keep=inputs["keep"], use_cache=False)
        loss = answer_loss(outputs.logits, inputs["labels"], inputs["allowed"])
        loss = loss / (num_items_in_batch if num_items_in_batch is not None else len(inputs["labels"]))
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # DDP averages over processes what was summed over all tokens
        return (loss, outputs) if return_outputs else loss

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,  # noqa: ARG002 (the signature is transformers')
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Predict the evaluation examples and report their metrics.

        Returns:
            ``eval_<metric>`` for one set of examples, ``eval_<name>_<metric>`` for several, and ``eval_score``, the mean
            of their headline metrics (offset F1 for extraction, accuracy for classification).
        """
        sets = self._eval_examples if eval_dataset is None or eval_dataset is self.eval_dataset else {"": eval_dataset}
        began = time.perf_counter()
        was_training = self.seqgpt.model.training
        self.seqgpt.model.eval()
        metrics: dict[str, float] = {}
        headlines = []
        for name, examples in sets.items():
            prefix = f"{metric_key_prefix}_{name}" if name else metric_key_prefix
            for members in by_kind(_read(examples)).values():
                report = evaluate(self.seqgpt, members, name=name or "eval", progress=False)
                metrics |= {f"{prefix}_{metric}": value for metric, value in report.metrics.items()}
                headlines.append(report.headline)
        self.seqgpt.model.train(was_training)
        metrics[f"{metric_key_prefix}_score"] = sum(headlines) / max(len(headlines), 1)
        metrics[f"{metric_key_prefix}_runtime"] = time.perf_counter() - began
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        if self.args.should_save:
            self.seqgpt.save_settings(Path(str(output_dir or self.args.output_dir)))


def check_run_directory(path: Path, *, resuming: bool) -> None:
    """Refuse to write into a directory that holds something else.

    Raises:
        RunError: If the directory is not empty and the run does not resume what is there.
    """
    if path.exists() and not path.is_dir():
        raise RunError(f"output_dir {str(path)!r} is a file: name a folder.")
    if not resuming and path.is_dir() and any(entry.name != RUN_FILE for entry in path.iterdir()):
        raise RunError(
            f"output_dir {str(path)!r} is not empty: choose another one, delete it, or go on with "
            "train(resume_from_checkpoint=True)."
        )


def _read(examples: Examples) -> Sequence[Example]:
    return read_jsonl(examples) if isinstance(examples, (str, Path)) else examples


def _mean_answer_loss(*_: Any, **__: Any) -> Callable[..., Any]:
    raise AssertionError("compute_loss computes the loss itself; this only makes the Trainer count the answer tokens")
