"""The trainer: transformers.Trainer over atomic-task examples."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn, cast

import torch
import transformers
from torch.utils.data import DataLoader
from transformers.trainer import TRAINING_ARGS_NAME

from seqgpt.errors import ConfigError, DataError, RunError
from seqgpt.examples import Example
from seqgpt.model import SeqGPT
from seqgpt.model_files import Source
from seqgpt.results import Result
from seqgpt.run_lock import run_lock
from seqgpt.tasks import AtomicTask
from seqgpt.templates.marks import NONE
from seqgpt.training.arguments import TrainingArguments
from seqgpt.training.batches import make_batches
from seqgpt.training.checkpoints import clear_saving, last_checkpoint, saved_or_told
from seqgpt.training.collate import answer_loss, collate, tokens_of
from seqgpt.training.curves import CURVES_FILE, draw_curves
from seqgpt.training.digest import digest_examples
from seqgpt.training.encode import Encoded
from seqgpt.training.epoch_set import EpochSet
from seqgpt.training.evaluate_sets import evaluate_sets
from seqgpt.training.garbage import few_collections
from seqgpt.training.loss_by_source import LossBySource
from seqgpt.training.mixture_set import MixtureSet
from seqgpt.training.model_card import CARD_FILE, CardSource, model_card
from seqgpt.training.optimizer import muon_and_adamw
from seqgpt.training.output_directory import check_empty, make_directory
from seqgpt.training.preflight import PREFLIGHT_FILE, preflight
from seqgpt.training.processes import check_sharding
from seqgpt.training.progress import Throughput
from seqgpt.training.record import check_record, write_record
from seqgpt.training.replay import WithReplay
from seqgpt.training.resumable import ResumableTrainer
from seqgpt.training.say import say
from seqgpt.training.trainable import check_trainable
from seqgpt.training.training_set import UNNAMED, Examples, open_eval_sets, open_training_set
from seqgpt.whole_file import write_file


class Trainer(ResumableTrainer):
    """Trains a model on examples; the loss is on answers only.

    Everything that ``transformers.Trainer`` does (schedules, precision, devices, checkpoints, callbacks) works as
    there. Evaluation predicts, and reports F1 of spans and accuracy of classes. At the end the output directory holds a
    model that ``SeqGPT.from_pretrained`` opens.

    Args:
        model: The model to train; it is trained in place.
        args: The arguments of the run.
        train_dataset: Examples or a JSONL file; or several of them by name, whose losses are logged, too; or a mixture
            (:func:`seqgpt.training.mixture_set.open_mixture`).
        eval_dataset: Examples or a JSONL file to predict during training; or several of them by name.
        callbacks: Callbacks as in transformers.
        replay: Other examples, or files of them, by name if there are several: of these, ``args.replay_share`` of all
            examples are mixed in, other ones in every epoch, so that the model keeps what it knows.

    Attributes:
        seqgpt: The model.
        sources: What it is trained on, as its model card tells.
        base_model: The hub id of the model that it was before, for the card; None if it has none.
        left_out: What of the examples is not trained on, and why; sentences, for the report before the first step.
        owns_output_dir: The output directory belongs to a run, which knows what lies there, and has more to do after
            training before it calls :meth:`write_summary`.

    Raises:
        DataError: If there is nothing to train on or to evaluate, a file cannot be read, an example is none of ours,
            or one is longer than is read, and cannot be cut enough.
        ConfigError: If model or arguments are those of transformers alone.
        RunError: If the output directory cannot be made.
    """

    loss_is_scaled_for_ga = True  # by the number of answer tokens of all batches of a step

    def __init__(
        self,
        model: SeqGPT,
        args: TrainingArguments,
        train_dataset: Examples | Mapping[str, Examples] | MixtureSet,
        eval_dataset: Examples | Mapping[str, Examples] | None = None,
        callbacks: list[transformers.TrainerCallback] | None = None,
        *,
        replay: Examples | Mapping[str, Examples] | None = None,
    ) -> None:
        check_trainable(model, args)
        training_set: EpochSet = (
            train_dataset if isinstance(train_dataset, MixtureSet) else open_training_set(train_dataset, model, args)
        )
        if not len(training_set):
            raise DataError("there are no examples to train on: give at least one.")
        if replay is not None:
            others = open_training_set(replay, model, args)
            if not len(others):
                raise DataError("there are no examples to replay: give at least one, or leave replay out.")
            training_set = WithReplay(training_set, others, share=args.replay_share, seed=args.seed)
        for name, cut in training_set.cut.items() if args.process_index == 0 else ():
            say(f"{name}: {cut}")
        make_directory(Path(str(args.output_dir)))
        self.seqgpt = model
        self.left_out: Sequence[str] = ()
        self.owns_output_dir = False
        self.sources: Sequence[CardSource] = training_set.describe()
        self.base_model: str | None = None
        self._loss_by_source = LossBySource()
        self._throughput = Throughput()
        self._told_of_rows = False
        self._sources_of_step: Sequence[str] = ()
        if model.adapter is None and model.model.dtype in (torch.bfloat16, torch.float16):
            model.model.float()  # small steps would be rounded away; args.bf16 computes in bfloat16 all the same
        super().__init__(
            model=cast(Any, model.learner),
            args=args,
            train_dataset=training_set,
            eval_dataset=None if eval_dataset is None else cast(Any, open_eval_sets(eval_dataset, model)),
            data_collator=partial(collate, forward=model.forward, row_tokens=args.row_tokens),
            processing_class=model.tokenizer,
            callbacks=[*(callbacks or []), *_early_stopping(args), _TellEpoch(training_set)],
        )
        if self.is_fsdp_enabled:
            tied = bool(getattr(model.model, "all_tied_weights_keys", {}))
            shared = tied and model.adapter is not None and model.adapter.trains_marks
            plugin = self.accelerator.state.fsdp_plugin
            check_sharding(plugin, adapter=model.adapter is not None, shared_marks=shared)
        self.model_accepts_loss_kwargs = (
            True  # compute_loss takes num_items_in_batch, whatever the model's forward does
        )

    def train(
        self,
        resume_from_checkpoint: str | bool | None = None,
        trial: Any = None,
        ignore_keys_for_eval: list[str] | None = None,
    ) -> Any:
        """Train, and save the final model to the output directory.

        Beside the model it leaves there all arguments, a digest of the examples, the versions of libraries, a report of
        data, batches and memory, the curves, and a model card.

        Args:
            resume_from_checkpoint: A checkpoint to go on from; True for the last one in the output directory.
            trial: As in transformers.
            ignore_keys_for_eval: As in transformers.

        Raises:
            RunError: If the output directory holds something, and this call does not resume it; there is no checkpoint
                to resume, or it was begun with other arguments or examples; the loss is no number; or something cannot
                be saved.
        """
        directory = Path(str(self.args.output_dir))
        checkpoint = None if resume_from_checkpoint is True else resume_from_checkpoint or None
        if resume_from_checkpoint is True:
            last = last_checkpoint(directory)
            if last is None:
                raise RunError(f"output_dir {str(directory)!r} has no checkpoint to go on from: train from the start.")
            checkpoint = str(last)
        if checkpoint is None and not self.owns_output_dir:
            check_empty(directory)
        self.accelerator.wait_for_everyone()  # no process looks into what the first one writes next
        self._throughput.restart()
        with run_lock(directory, taken=self.is_world_process_zero() and not self.owns_output_dir):
            if self.args.should_save:
                clear_saving(directory)
            self._write_down(directory, checkpoint)
            return self._train(checkpoint, trial, ignore_keys_for_eval)

    def _write_down(self, directory: Path, checkpoint: str | None) -> None:
        """Leave what is known before the first step; of a run that goes on, see that it is what it was."""
        args, data = cast(TrainingArguments, self.args), self._digests()
        if checkpoint is not None:
            check_record(Path(checkpoint).parent, args, data)
        if self.is_world_process_zero():
            with saved_or_told("what is known before training", directory):
                write_record(directory, args, data)
                if checkpoint is None:
                    report = preflight(self)
                    say(report.summary)
                    write_file(directory / PREFLIGHT_FILE, str(report))

    def _digests(self) -> dict[str, str]:
        """Return a digest of the examples of each source, of evaluation sets too where these decide what is kept."""
        found = cast(EpochSet, self.train_dataset).digests()
        if self.args.load_best_model_at_end and self.eval_dataset is not None:
            sets = cast(Mapping[str, Sequence[Example]], self.eval_dataset)
            found |= {f"{name or UNNAMED}, evaluated,": digest_examples(examples) for name, examples in sets.items()}
        return found

    def write_summary(self) -> None:
        """Draw the curves and write the model card, of all that was logged until now."""
        directory = Path(str(self.args.output_dir))
        if self.is_world_process_zero():
            with saved_or_told("curves and model card", directory):
                draw_curves(self.state.log_history, directory / CURVES_FILE, title=directory.name)
                self.create_model_card()

    def _train(self, *given: Any) -> Any:
        if self.is_fsdp_enabled:
            self.seqgpt.forward.whole = self.seqgpt.learner
        with self._changing(), self.packed(), few_collections():
            output = super().train(*given)
        with saved_or_told("the model", Path(str(self.args.output_dir))):
            self.save_model(_internal_call=True)
        self.accelerator.wait_for_everyone()  # whoever opens it then finds it whole
        if self.seqgpt.adapter is None:
            self.seqgpt.source = Source(str(self.args.output_dir), None, {})
        if not self.owns_output_dir:
            self.write_summary()
        if self.args.push_to_hub:
            self.push_to_hub(commit_message="Model save", revision=self.args.hub_revision)
        return output

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Say of the model what holds while its weights change, and what holds after that, done or failed."""
        trained, self.seqgpt.trained = self.seqgpt.trained, True  # as the settings of checkpoints say
        if self.seqgpt.adapter is None:
            self.seqgpt.source = None
        try:
            yield
        except BaseException:
            self.seqgpt.trained = trained
            raise
        finally:
            # Without its wrapper the model computes as it will when it is opened, and another Trainer may wrap it anew.
            self.accelerator.unwrap_model(self.seqgpt.learner, keep_fp32_wrapper=False)
            self.seqgpt.learner._is_accelerate_prepared = False  # type: ignore[assignment]
            self.seqgpt.learner.eval()

    @contextmanager
    def packed(self) -> Iterator[str]:
        """Lay batches out as they are trained on, in one row where the model computes that exactly; yields why not."""
        forward = self.seqgpt.forward
        if forward.device.type != self.args.device.type:
            reason = "the model comes to its device when training begins, so that no kernel can be tried before"
        else:
            by_kernel = forward.device.type != "cpu"
            with self.accelerator.autocast() if by_kernel else nullcontext():  # the numbers that it will be given
                reason = forward.pack()
        if reason and not self._told_of_rows:
            self._told_of_rows = True
            say(f"{reason}: batches are padded rows, which takes more time")
        try:
            yield reason
        finally:
            forward.unpack()

    def get_train_dataloader(self) -> DataLoader[Encoded]:
        """Return the batches of an epoch: of so many examples, or of so many tokens."""
        args, examples = cast(TrainingArguments, self.args), cast(EpochSet, self.train_dataset)
        loader = DataLoader(
            examples,
            batch_sampler=make_batches(examples, args, size=self._train_batch_size),
            collate_fn=self.data_collator,
            num_workers=args.dataloader_num_workers,
            multiprocessing_context=args.dataloader_multiprocessing_context,
            persistent_workers=args.dataloader_persistent_workers,
            prefetch_factor=args.dataloader_prefetch_factor,
            pin_memory=args.dataloader_pin_memory,
            # Without one of its own it draws from that of dropout when workers are started: again in a resumed run.
            generator=torch.Generator(),
        )
        self.accelerator.dataloader_config.even_batches = False  # they are: as many for every process
        return cast("DataLoader[Encoded]", self.accelerator.prepare(loader))

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        """Create the optimizer that the arguments ask for."""
        args = cast(TrainingArguments, self.args)
        if self.optimizer is None and args.muon_learning_rate is not None:
            self.optimizer = muon_and_adamw(
                model if model is not None else self.seqgpt.model,
                muon_learning_rate=args.muon_learning_rate,
                learning_rate=args.learning_rate,
                weight_decay=args.weight_decay,
                betas=(args.adam_beta1, args.adam_beta2),
                eps=args.adam_epsilon,
            )
        return super().create_optimizer(model)

    def get_batch_samples(self, *given: Any) -> tuple[list[dict[str, Any]], torch.Tensor | int | None]:
        """Return the batches of a step, and how many answers they have in all processes."""
        batches, answers = super().get_batch_samples(*given)
        self._sources_of_step = list(dict.fromkeys(name for batch in batches for name in batch["sources"]))
        return batches, answers

    def training_step(
        self, model: torch.nn.Module, inputs: dict[str, Any], num_items_in_batch: torch.Tensor | int | None = None
    ) -> torch.Tensor:
        """Compute loss and gradients of a batch.

        Raises:
            RunError: If the loss is no number, before the optimizer makes a step.
        """
        self._throughput.add(inputs["tokens"])
        loss: torch.Tensor = super().training_step(model, inputs, num_items_in_batch)
        if not loss.isfinite():
            self._stop(f"the loss is {loss.item()}", inputs["sources"])
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        """Stop at gradients that are no numbers: a step would spoil the weights, and the next checkpoint."""
        norm = super()._get_grad_norm(model, grad_norm)  # type: ignore[no-untyped-call]
        scaled = self.accelerator.scaler is not None  # which leaves such a step out, and scales less from then on
        if norm is not None and not scaled and not torch.as_tensor(norm).isfinite():
            # Other processes are not asked: one whose loss was no number has stopped already, and would not answer.
            others = ["what other processes read"] if self.args.world_size > 1 else []
            self._stop(f"the norm of the gradients is {float(norm)}", [*self._sources_of_step, *others])
        return norm

    def _stop(self, what: str, sources: Sequence[str]) -> NoReturn:
        names = ", ".join(filter(None, sources))
        raise RunError(
            f"step {self.state.global_step + 1}: {what}, in a batch of {names or 'the examples given'}. Lower the "
            "learning rate, or look into these data; checkpoints that were saved before are as they were."
        )

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:
        """Run the trees of a batch and return the loss at the answers."""
        losses, outputs = self.answer_losses(model, inputs)
        if model.training:
            self._loss_by_source.add(losses, inputs["source"], inputs["sources"])
        loss = losses.sum() / (num_items_in_batch if num_items_in_batch is not None else len(inputs["labels"]))
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            loss = loss * self.accelerator.num_processes  # DDP averages over processes what was summed over all tokens
        return (loss, outputs) if return_outputs else loss

    def answer_losses(self, model: torch.nn.Module, inputs: dict[str, Any]) -> tuple[torch.Tensor, Any]:
        """Run the trees of a batch and return the loss of each of its N answers, [N], and what the model put out."""
        forward, none = self.seqgpt.forward, self.seqgpt.vocabulary.mark(NONE)
        options, right, one_of, weight = (inputs[key] for key in ("options", "right", "one_of", "weight"))
        tokens, options_among, none_among = tokens_of(options, none)
        with forward.only(tokens) as alone:
            outputs = model(**forward.inputs(inputs["batch"]), logits_to_keep=inputs["keep"], use_cache=False)
        # [N, U]; a model that does not know logits_to_keep gives [B, T, U].
        logits = outputs.logits if outputs.logits.dim() == 2 else outputs.logits[inputs["keep"]]
        if alone:
            options, none = options_among, none_among
        return answer_loss(logits, options, right, one_of, weight, none), outputs

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Log, and with the loss that of each source, ``loss/<source>``, and the tokens per second."""
        if "loss" in logs:
            logs["tokens_per_second"] = self._throughput.take()
            logs |= {f"loss/{name}": loss for name, loss in self._loss_by_source.take().items() if name}
        super().log(logs, start_time)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Estimate the operations of a step: six per token and weight (arXiv 2001.08361, section 2.1)."""
        tokens: int = inputs["batch"].input_ids.numel()
        return 6 * tokens * self.seqgpt.model.num_parameters(exclude_embeddings=True)

    def evaluate(
        self,
        eval_dataset: Any = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> dict[str, float]:
        """Predict the evaluation examples and report their metrics.

        Args:
            eval_dataset: As in the constructor; by default what was given there.
            ignore_keys: Not used.
            metric_key_prefix: What the names of the metrics begin with.

        Returns:
            ``eval_<metric>`` for one set of examples, ``eval_<name>_<metric>`` for several, and ``eval_score``, the
            mean of their headline metrics (``seqgpt.evaluation.sets.HEADLINES``: offset F1 for extraction, accuracy for
            one class, micro F1 for several, token F1 for reading);
            ``eval_family_<family>``, the mean of those of a task family, where examples have one. Where a set has
            several kinds of task, the metrics that they share are called ``extract_<metric>``, ``classify_<metric>``
            and so on.

        Raises:
            DataError: If there is nothing to evaluate.
        """
        sets: Any = self.eval_dataset if eval_dataset is None else open_eval_sets(eval_dataset, self.seqgpt)
        if not sets:
            raise DataError("there is nothing to evaluate: give eval_dataset to the Trainer or to this call.")
        began = time.perf_counter()
        was_training = self.seqgpt.model.training
        self.seqgpt.model.eval()
        predictor = _InBatches(self.seqgpt, self.args.per_device_eval_batch_size)
        try:
            metrics = evaluate_sets(predictor, sets, metric_key_prefix)
        finally:
            self.seqgpt.model.train(was_training)
            self._throughput.restart()
        metrics[f"{metric_key_prefix}_runtime"] = time.perf_counter() - began
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def create_model_card(
        self,
        language: str | None = None,
        license: str | None = None,  # noqa: A002
        tags: str | list[str] | None = None,
        model_name: str | None = None,
        finetuned_from: str | None = None,
        *others: Any,
        **more: Any,
    ) -> None:
        """Write ``README.md`` into the output directory, as it is done before a model is pushed to a hub.

        Args:
            language: Not used: the examples tell.
            license: Not used: the data sets tell.
            tags: Further tags.
            model_name: What the model is called; by default as its directory.
            finetuned_from: The hub id of the model that training started from; by default ``base_model``.
            others: Not used.
            more: Not used.
        """
        if not self.is_world_process_zero():
            return
        directory = Path(str(self.args.output_dir))
        evaluations = [entry for entry in self.state.log_history if "eval_score" in entry]
        card = model_card(
            str(self.args.hub_model_id or model_name or directory.name),
            self.sources,
            base_model=finetuned_from or self.base_model,
            metrics=evaluations[-1] if evaluations else None,
            steps=self.state.global_step,
            parameters=self.seqgpt.model.num_parameters(),
            tags=[tags] if isinstance(tags, str) else tags or [],
        )
        write_file(directory / CARD_FILE, str(card))

    def predict(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: a model predicts without its Trainer.

        Raises:
            ConfigError: Always.
        """
        raise ConfigError(
            "a Trainer does not predict: call trainer.seqgpt.predict(text, task) for answers, or "
            "trainer.evaluate(examples) for metrics."
        )

    def _issue_warnings_after_load(self, load_result: Any) -> None:
        """Say nothing of tied weights, which a checkpoint holds only once."""
        load_result.missing_keys[:] = list(self._untied(dict.fromkeys(load_result.missing_keys)))
        super()._issue_warnings_after_load(load_result)

    def _untied(self, named: dict[str, Any]) -> dict[str, Any]:
        """Leave out names of weights that are others, too; gathered from several processes, they look different."""
        tied = getattr(self.seqgpt.model, "all_tied_weights_keys", {})
        return {name: value for name, value in named.items() if name not in tied}

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        folder = Path(str(output_dir or self.args.output_dir))
        if self.seqgpt.adapter is None:
            super()._save(output_dir, state_dict and self._untied(state_dict))
        elif self.args.should_save:
            make_directory(folder)
            self.seqgpt.adapter.save(folder, state_dict)
        if self.args.should_save:
            (folder / TRAINING_ARGS_NAME).unlink(missing_ok=True)  # a pickle, which nothing here reads
            self.seqgpt.save_settings(folder)


class _TellEpoch(transformers.TrainerCallback):
    """Tells the training set which epoch begins.

    accelerate tells it too, but not in several processes nor in an epoch that is resumed in its middle.
    """

    def __init__(self, training_set: EpochSet) -> None:
        self._training_set = training_set

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._training_set.set_epoch(int(state.epoch or 0))


def _early_stopping(args: TrainingArguments) -> list[transformers.TrainerCallback]:
    patience = args.early_stopping_patience
    return [] if patience is None else [transformers.EarlyStoppingCallback(early_stopping_patience=patience)]


@dataclass(frozen=True)
class _InBatches:
    """A model that predicts a given number of texts together."""

    model: SeqGPT
    batch_size: int

    def predict_pairs(self, pairs: Sequence[tuple[str, AtomicTask]], *, progress: bool = False) -> list[Result]:
        return self.model.predict_pairs(pairs, batch_size=self.batch_size, progress=progress)
