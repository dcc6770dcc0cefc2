"""Answers to many questions: descriptions in groups, long texts in parts, plans of like length computed together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tqdm.auto import tqdm

from seqgpt.calibration import LOWEST, Calibration
from seqgpt.engine.decoder import Decoder
from seqgpt.engine.groups import unite
from seqgpt.engine.plan import Plan
from seqgpt.engine.reading import Part, Reader
from seqgpt.engine.sequential import SequentialDecoder
from seqgpt.engine.windows import Window, cut_off, join
from seqgpt.errors import told_of
from seqgpt.options import MaxLength, Options, Thresholds
from seqgpt.results import Result
from seqgpt.tasks import AtomicTask
from seqgpt.texts import check_text

Pairs = Sequence[tuple[str, AtomicTask]]
"""Texts, and what is asked of each."""


class Answering:
    """Answers tasks on texts of any length.

    Args:
        reader: Decides what is read at once.
        decoder: Answers what is read at once.
    """

    def __init__(self, reader: Reader, decoder: Decoder | SequentialDecoder) -> None:
        self._reader = reader
        self._decoder = decoder

    def answer(
        self,
        pairs: Pairs,
        numbers: Sequence[int | None],
        options: Options,
        *,
        own: Thresholds,
        calibration: Calibration,
        progress: bool,
    ) -> list[Result]:
        """Answer each pair.

        Args:
            pairs: Texts and tasks.
            numbers: The number of each pair's text, as the caller counts; None if there is only one.
            options: What the caller chose.
            own: The thresholds where the caller chose none.
            calibration: The temperatures of the scores.
            progress: Show a progress bar, if there is more than one batch.

        Raises:
            TextError: If a text is empty, or too long to be read even in parts.
        """
        asked = []
        for number, (text, task) in zip(numbers, pairs, strict=True):
            with told_of(number):
                asked.append(self._reader.groups(check_text(text), task, options.max_length))
        each = [(text, group.task) for (text, _), members in zip(pairs, asked, strict=True) for group in members]
        those = [number for number, members in zip(numbers, asked, strict=True) for _ in members]
        parts = self._parts(each, those, options.max_length)
        plans = [plan for members in parts for _, plan in members]
        least = _least(options.thresholds(own), calibration)
        computed = iter(self._compute(plans, options.batch_size, least, progress=progress))
        answered = iter(
            _whole(
                text,
                task,
                [part.window for part in members],
                [calibration.result(next(computed)) for _ in members],
                options.max_length,
            )
            for (text, task), members in zip(each, parts, strict=True)
        )
        results = []
        for (text, task), members in zip(pairs, asked, strict=True):
            found = [next(answered) for _ in members]
            results.append(unite(text, task, members, found) if len(members) > 1 else found[0])
        return results

    def _parts(self, pairs: Pairs, numbers: Sequence[int | None], max_length: MaxLength) -> list[list[Part]]:
        """Return for each pair the parts in which its text is read."""
        parts: list[list[Part]] = []
        planned: dict[int, Plan] = {}  # the last plan of each task
        for number, (text, task) in zip(numbers, pairs, strict=True):
            with told_of(number):
                parts.append(self._reader.parts(text, task, max_length, planned.get(id(task))))
                planned[id(task)] = parts[-1][-1].plan
        return parts

    def _compute(self, plans: Sequence[Plan], batch_size: int, least: Thresholds, *, progress: bool) -> list[Result]:
        """Answer plans, those of like length together."""
        results: dict[int, Result] = {}
        quiet = not progress or len(plans) <= batch_size
        with tqdm(total=len(plans), desc="predict", unit="text", disable=quiet) as bar:
            for members in _batches(plans, batch_size):
                answers = self._decoder.answer([plans[i] for i in members], least)
                results.update(zip(members, answers, strict=True))
                bar.update(len(members))
        return [results[i] for i in range(len(plans))]


def _least(thresholds: Thresholds, calibration: Calibration) -> Thresholds:
    """Return what uncalibrated probabilities must exceed.

    What was too unlikely to be looked at when the temperatures were fitted stays so, unless less is asked.
    """

    def least(threshold: float) -> float:
        raw = calibration.raw(threshold)
        return raw if calibration.single == 1 else max(raw, min(LOWEST, threshold))

    by_label = {label: least(threshold) for label, threshold in thresholds.by_label.items()}
    return Thresholds(least(thresholds.spans), least(thresholds.classes), by_label)


def _whole(
    text: str, task: AtomicTask, windows: Sequence[Window], results: Sequence[Result], max_length: MaxLength
) -> Result:
    """Return the result of a text from those of its parts."""
    if windows[0].text == text:
        return results[0]
    if max_length == "truncate" and windows[0].text != text.strip():
        return cut_off(text, task, windows[0], results[0])
    return join(text, task, windows, results)


def _batches(plans: Sequence[Plan], batch_size: int) -> Iterator[list[int]]:
    """Group plans of like length, the longest first, so that little is padding and memory peaks at once."""
    order = sorted(range(len(plans)), key=lambda i: -len(plans[i].prompt) - sum(map(len, plans[i].branches)))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]
