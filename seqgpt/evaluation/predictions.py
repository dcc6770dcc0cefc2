"""Predictions as lines of a file, so that nothing is predicted twice: who is interrupted goes on."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from tqdm.auto import tqdm

from seqgpt.errors import DataError, RunError, SeqGPTError
from seqgpt.evaluation.predictor import FreeAnswer, LostError, Predictor, no_answer
from seqgpt.evaluation.scoring import check_pairs
from seqgpt.examples import Example
from seqgpt.results import Result, result_from_dict
from seqgpt.whole_file import write_file

# Texts that are predicted together: the first block, and as many more as take so many seconds, which is what an
# interruption loses.
_FIRST, _MOST, _SECONDS = 16, 512, 5.0


class CannotAnswerError(RunError):
    """A predictor fails on all texts: it is not made for such tasks, or is broken."""


@dataclass(frozen=True)
class Prediction:
    """What a predictor said to one example.

    Attributes:
        result: Its answer; one that says nothing if it failed.
        malformed: Some of what a model wrote freely could not be read.
        ungrounded: How many strings that it gave as spans are not in the text.
        error: What the predictor raised; empty if nothing.
        seconds: Wall-clock time: its share of that of the examples that were predicted with it.
    """

    result: Result
    malformed: bool = False
    ungrounded: int = 0
    error: str = ""
    seconds: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the prediction as plain JSON values, without text and task, which its example has."""
        record = {key: value for key, value in self.result.to_dict().items() if key not in ("text", "task", "asked")}
        notes = {key: getattr(self, key) for key in ("malformed", "ungrounded", "error") if getattr(self, key)}
        return {"result": record, **notes, "seconds": self.seconds}

    @classmethod
    def from_dict(cls, record: dict[str, Any], example: Example) -> Prediction:
        """Rebuild what :meth:`to_dict` made of a prediction for an example.

        Raises:
            DataError: If it is no prediction, or cannot be one of this example.
        """
        asked = {"text": example.text, "task": example.task.kind, "asked": example.task.to_dict()}
        try:
            return cls(result_from_dict(record.pop("result") | asked), **record)
        except (SeqGPTError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"a prediction that is none of its example ({error})") from error

    def to_json(self) -> str:
        """Return the prediction as JSON; numbers of numpy and torch are numbers."""
        return json.dumps(self.to_dict(), ensure_ascii=False, default=_number)


def predict(
    predictor: Predictor,
    examples: Sequence[Example],
    *,
    name: str = "",
    file: Path | None = None,
    retry_failed: bool = False,
) -> list[Prediction]:
    """Predict examples, with a progress bar.

    What the predictor raises on one of them is noted, and counts as an answer that says nothing.

    Args:
        predictor: What answers.
        examples: The examples.
        name: Names them in messages and in the progress bar.
        file: Where predictions are written, block by block, and where those are read that are there.
        retry_failed: Ask those again on which the predictor failed before.

    Raises:
        DataError: If the file is of other examples.
        CannotAnswerError: If the predictor fails on all of the first examples, several of them.
        RunError: If the file cannot be written, or the predictor is gone for good.
    """
    if file:
        _cut_last_line(file)
    done = read_predictions(file, examples) if file else {}
    failed = [i for i, one in done.items() if one.error]
    if retry_failed and file and failed:
        done |= {i: _tolerantly(predictor, [examples[i]], name)[0] for i in failed}
        _rewrite(file, _lines(done, examples))
    left = [i for i in range(len(examples)) if i not in done]
    size = _FIRST
    with tqdm(total=len(examples), initial=len(done), desc=name, unit=" texts", leave=False) as bar:
        while left:
            started = time.perf_counter()
            now, left = left[:size], left[size:]
            some = [examples[i] for i in now]
            predicted = dict(
                zip(now, _tolerantly(predictor, some, name) if done else _first(predictor, some, name), strict=True)
            )
            if file:
                _append(file, _lines(predicted, examples))
            done |= predicted
            bar.update(len(now))
            fast = time.perf_counter() - started < _SECONDS
            size = min(2 * size, _MOST) if fast else max(size // 2, 1)
    return [done[i] for i in range(len(examples))]


def _first(predictor: Predictor, examples: Sequence[Example], name: str) -> list[Prediction]:
    """Predict the first examples, and find out whether the predictor can do that at all."""
    try:
        predicted = _tolerantly(predictor, examples, name)
    except LostError as error:
        raise CannotAnswerError(f"{name}: {error}") from error
    if len(predicted) > 1 and all(one.error for one in predicted):
        raise CannotAnswerError(f"{name}: the predictor fails on every text: {predicted[0].error}")
    return predicted


def answer(
    predictor: Predictor, examples: Sequence[Example], *, name: str = "", progress: bool = False
) -> list[Prediction]:
    """Predict examples together; whatever the predictor raises is raised.

    Raises:
        DataError: If an answer does not belong to its example.
    """
    started = time.perf_counter()
    pairs = [(example.text, example.task) for example in examples]
    answers = predictor.predict_pairs(pairs, progress=progress)
    seconds = (time.perf_counter() - started) / max(len(examples), 1)
    read = [one if isinstance(one, FreeAnswer) else FreeAnswer(one) for one in answers]
    try:
        check_pairs([example.gold for example in examples], [one.result for one in read])
    except DataError as error:
        raise DataError(f"{name}: {error}") from error
    return [Prediction(one.result, one.malformed, one.ungrounded, seconds=seconds) for one in read]


def _tolerantly(predictor: Predictor, examples: Sequence[Example], name: str) -> list[Prediction]:
    """Predict examples together; if that fails, each half of them."""
    started = time.perf_counter()
    try:
        # As it will be read from a file: what cannot be is the failure of its text, and not of the evaluation.
        said = [json.loads(one.to_json().encode()) for one in answer(predictor, examples, name=name)]
        return [Prediction.from_dict(one, example) for one, example in zip(said, examples, strict=True)]
    except LostError:
        raise
    except Exception as error:  # whatever a predictor raises: the other texts are predicted all the same
        half = len(examples) // 2
        if half:
            return [one for part in (examples[:half], examples[half:]) for one in _tolerantly(predictor, part, name)]
        (example,) = examples
        told = f"{type(error).__name__}: {' '.join(str(error).split())}".encode(errors="replace").decode()
        return [Prediction(no_answer(example.text, example.task), error=told, seconds=time.perf_counter() - started)]


def read_predictions(file: Path, examples: Sequence[Example]) -> dict[int, Prediction]:
    """Return the predictions that a file has, by the places of their examples, in order.

    A last line that was cut off is passed over.

    Raises:
        DataError: If one is not of these examples, or of one that has its prediction already.
    """
    if not file.exists():
        return {}
    written = file.read_bytes()
    whole = written[: written.rfind(b"\n") + 1]
    places: dict[str, list[int]] = {}
    for place, example in enumerate(examples):
        places.setdefault(_known_by(example), []).append(place)
    found = {}
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            record = json.loads(line)
            free = places.get(record.pop("example"))
            if not free:
                raise DataError("a line that belongs elsewhere, as if two evaluations had written it")
            place = free.pop(0)
            found[place] = Prediction.from_dict(record, examples[place])
        except (DataError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(
                f"{file}, line {number}: {error}. Delete the file: its texts are then asked again."
            ) from error
    return dict(sorted(found.items()))


def _cut_last_line(file: Path) -> None:
    """Take away a last line that is not whole, as a process that was killed leaves it."""
    if file.exists():
        written = file.read_bytes()
        os.truncate(file, written.rfind(b"\n") + 1)


def _lines(predicted: Mapping[int, Prediction], examples: Sequence[Example]) -> str:
    """Return predictions as lines, each with what its example is known by, so that none is taken for another's."""
    return "".join(
        f'{{"example": "{_known_by(examples[place])}", {one.to_json()[1:]}\n' for place, one in predicted.items()
    )


def _known_by(example: Example) -> str:
    """Return a short name of an example that another one has not, wherever it stands among others."""
    return hashlib.sha256(json.dumps(example.to_dict()).encode()).hexdigest()[:16]


def _append(file: Path, lines: str) -> None:
    try:
        with file.open("a", encoding="utf-8", newline="\n") as opened:
            opened.write(lines)
    except OSError as error:
        raise _unwritable(file, error) from error


def _rewrite(file: Path, lines: str) -> None:
    try:
        write_file(file, lines)
    except OSError as error:
        raise _unwritable(file, error) from error


def _unwritable(file: Path, error: OSError) -> RunError:
    return RunError(f"cannot write {file}: {error.strerror}. What was predicted before is kept: make room, and go on.")


def _number(value: Any) -> int | float:
    """Return a number of numpy or torch as one of Python."""
    if hasattr(value, "item"):
        return cast(float, value.item())
    raise TypeError(f"a {type(value).__name__} is no JSON value")
