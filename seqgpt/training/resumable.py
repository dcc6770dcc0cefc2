"""transformers.Trainer, but a run that is killed at any moment goes on, and ends with the same weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import transformers
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR

from seqgpt.training.checkpoints import SAVING, STATE_FILE, clear_saving, publish, rotate, saved_or_told


class ResumableTrainer(transformers.Trainer):
    """A trainer whose checkpoints are there as a whole or not at all, and which goes on where the last one was."""

    _saving = False

    def _get_output_dir(self, trial: Any) -> str:
        directory: str = super()._get_output_dir(trial)
        return str(Path(directory) / SAVING) if self._saving else directory

    def _init_training_state(self, *given: Any, **named: Any) -> Any:
        """Look for the best checkpoint in the output directory, which may have been moved."""
        begun = super()._init_training_state(*given, **named)
        best = Path(str(self.args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.best_global_step}"
        if best.is_dir():
            self.state.best_model_checkpoint = str(best)
        return begun

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save a checkpoint that is there as a whole or not at all, and only then delete older ones."""
        directory = Path(self._get_output_dir(trial))
        with saved_or_told(f"step {self.state.global_step}: the checkpoint", directory):
            self._save_whole(directory, model, trial)
        if self.args.push_to_hub:
            super()._push_from_checkpoint(str(directory / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"))

    def _save_whole(self, directory: Path, model: Any, trial: Any) -> None:
        best = self.state.best_model_checkpoint
        if self.args.should_save:
            clear_saving(directory)
        self.accelerator.wait_for_everyone()
        self._saving = True
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self._saving = False
        name = f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        if self.state.best_model_checkpoint != best:  # it is this one
            self.state.best_model_checkpoint = str(directory / name)
        self.accelerator.wait_for_everyone()
        if self.args.should_save:
            self.state.save_to_json(str(directory / SAVING / name / STATE_FILE))
            place = publish(directory / SAVING / name, directory)
            rotate(place, self.args.save_total_limit, self.state.best_model_checkpoint)
            clear_saving(directory)
        self.accelerator.wait_for_everyone()

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """Wait until the checkpoint is where it stays."""

    def _run_epoch(self, *given: Any, **named: Any) -> None:
        """Train an epoch, unless the checkpoint that a run goes on from was its last."""
        if self.state.global_step >= self.state.max_steps or any(map(_stopped_early, self.callback_handler.callbacks)):
            self.control.should_training_stop = True
        else:
            super()._run_epoch(*given, **named)  # type: ignore[no-untyped-call]

    def _finalize_training(self, *given: Any, **named: Any) -> Any:
        """Delete no checkpoint: transformers would delete the last one here where one is kept and another is best."""
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            return super()._finalize_training(*given, **named)  # type: ignore[no-untyped-call]
        finally:
            self.args.save_total_limit = limit


def _stopped_early(callback: object) -> bool:
    return (
        isinstance(callback, transformers.EarlyStoppingCallback)
        and callback.early_stopping_patience_counter >= callback.early_stopping_patience
    )
