"""What a person sees while a model is trained."""

from __future__ import annotations

import sys
import time
from typing import Any

import transformers
from accelerate.utils import gather_object
from tqdm.auto import tqdm

from seqgpt.training.evaluate_sets import headline_of


class Throughput:
    """Counts the tokens that are read, padding left out, and the time that training takes, without evaluations."""

    def __init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """Begin anew."""
        self._tokens, self._began = 0, time.perf_counter()

    def add(self, tokens: int) -> None:
        """Count tokens."""
        self._tokens += tokens

    def take(self) -> float:
        """Return the tokens per second of all processes since the last time, and begin anew."""
        tokens = sum(gather_object([self._tokens]))
        seconds = time.perf_counter() - self._began
        self.restart()
        return tokens / seconds if seconds else 0.0


class TrainingProgress(transformers.TrainerCallback):
    """A progress bar on standard error with the time left, loss and tokens per second; a line for every evaluation."""

    def __init__(self) -> None:
        self._bar: Any = None

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Open the bar."""
        if state.is_world_process_zero:
            self._bar = tqdm(
                total=state.max_steps, initial=state.global_step, desc="train", unit="step", file=sys.stderr
            )

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        """Show the loss, or what an evaluation found."""
        if self._bar is None or logs is None:
            return
        if "loss" in logs:
            shown = {"loss": f"{float(logs['loss']):.3f}", "epoch": f"{float(logs.get('epoch', 0)):.2f}"}
            if "tokens_per_second" in logs:
                shown["tokens/s"] = f"{logs['tokens_per_second']:,.0f}"
            self._bar.set_postfix(shown)
        found = {key[5:]: value for key, value in logs.items() if key.startswith("eval_")}
        headline = [f"{key} {value:.3f}" for key, value in found.items() if headline_of(key) or key == "score"]
        if headline:
            tqdm.write(f"step {state.global_step}: {', '.join(headline)}", file=sys.stderr)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Close the bar."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
