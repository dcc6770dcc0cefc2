"""A synthesis from beginning to end: read texts, ask what is not answered yet, write recipes and a report."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from seqgpt.errors import ConfigError, RunError
from seqgpt.run_lock import run_lock
from seqgpt.synth.asking import Asking, cost_of
from seqgpt.synth.config import SynthConfig
from seqgpt.synth.estimate import Estimate, estimate
from seqgpt.synth.http_teacher import HttpTeacher
from seqgpt.synth.prices import Price, find_price
from seqgpt.synth.raw_texts import RawText, RawTexts, read_texts
from seqgpt.synth.recipes_out import Outcome, clean_record, mentions_in, write_recipes
from seqgpt.synth.records import RECORDS_FILE, Record, Records
from seqgpt.synth.report import draw_labels, to_markdown
from seqgpt.synth.requests import Request, plan
from seqgpt.synth.teacher import Teacher
from seqgpt.synth.tokens import Expectation
from seqgpt.whole_file import write_file

CONFIG_FILE = "synthesis.yaml"
REPORT_FILE = "report.md"
PLOT_FILE = "labels.png"


@dataclass(frozen=True)
class Summary:
    """What a synthesis has come to.

    Attributes:
        texts: The texts, and what was left out of them.
        written: What was written.
        requests: How many requests are answered, in all runs together.
        cost: What they cost; None if no price is known.
        failed: How many requests were given up for now, by reason: they are asked when the run goes on.
        retried: How often a request was asked again, by reason.
        stopped: ``"max_cost"`` if that is why requests are left.
        report: The report, as Markdown.
    """

    texts: RawTexts
    written: Outcome
    requests: int
    cost: float | None
    failed: Counter[str] = field(default_factory=Counter)
    retried: Counter[str] = field(default_factory=Counter)
    stopped: str = ""
    report: str = ""


def synthesize(config: SynthConfig, *, teacher: Teacher | None = None, progress: bool = True) -> Summary:
    """Label texts with a teacher, and write what it says as recipes; an interrupted synthesis goes on.

    Args:
        config: The synthesis.
        teacher: Who is asked; by default the server that the config names.
        progress: Show a progress bar on standard error.

    Raises:
        ConfigError: If ``max_cost`` is set and no price is known, or the variable of the key is not set.
        DataError: If texts or records cannot be read.
        RunError: If the teacher answers nothing at all, another run is writing, or the disk is full.
    """
    price = _price(config)
    teacher = teacher or HttpTeacher(config.teacher)
    with opened(config) as records:
        write_config(config)
        texts = read_texts(config.texts)
        asking = _wait_for(_ask_all(config, teacher, texts.texts, records, price, progress=progress))
        if asking.stopped == "interrupted":
            raise KeyboardInterrupt
        summary = finish(config, texts, records, price)
    return dataclasses.replace(summary, failed=asking.failed, retried=asking.retried, stopped=asking.stopped)


def rewrite(config: SynthConfig) -> Summary:
    """Write recipes and report from the answers that are there; nobody is asked."""
    with opened(config) as records:
        return finish(config, read_texts(config.texts), records, find_price(config.teacher.model, config.teacher.price))


def estimate_run(config: SynthConfig) -> Estimate:
    """Estimate what a synthesis will take; nobody is asked."""
    price = find_price(config.teacher.model, config.teacher.price)
    with opened(config) as records:
        return estimate(config, read_texts(config.texts).texts, records, price)


@contextmanager
def opened(config: SynthConfig) -> Iterator[Records]:
    """Open the records of a synthesis for this process alone.

    Raises:
        RunError: If another process has them, or they cannot be written.
        DataError: If they cannot be read.
    """
    folder = Path(config.output_dir)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"output_dir {str(folder)!r} cannot be made ({error.strerror}): choose another one.") from error
    with run_lock(folder), Records(folder / RECORDS_FILE) as records:
        yield records


def write_config(config: SynthConfig) -> None:
    """Keep the config beside what it makes.

    Raises:
        RunError: If it cannot be written.
    """
    path = Path(config.output_dir) / CONFIG_FILE
    try:
        write_file(path, yaml.safe_dump(dataclasses.asdict(config), allow_unicode=True, sort_keys=False))
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}. Make room, and go on.") from error


def finish(config: SynthConfig, texts: RawTexts, records: Records, price: Price | None) -> Summary:
    """Write recipes and report from the answers that are there.

    Raises:
        RunError: If a file cannot be written.
    """
    folder, written = Path(config.output_dir), write_recipes(config, texts.texts, records)
    report = to_markdown(config, texts, written, records, price)
    try:
        draw_labels(written.space, folder / PLOT_FILE)
        write_file(folder / REPORT_FILE, report)
    except OSError as error:
        raise RunError(f"cannot write into {folder}: {error.strerror}. Make room, and go on.") from error
    cost = None if price is None else cost_of(records, price)
    return Summary(texts, written, len(records), cost, report=report)


def pending(config: SynthConfig, texts: Sequence[RawText], records: Records) -> list[Request]:
    """Return the requests that can be asked now and are not answered, each once."""
    found: dict[str, Request] = {}
    for request in plan(config, texts, mentions_in(records)):
        if request.key not in records:
            found.setdefault(request.key, request)
    return list(found.values())


def _price(config: SynthConfig) -> Price | None:
    price = find_price(config.teacher.model, config.teacher.price)
    if price is None and config.max_cost is not None:
        raise ConfigError(
            f"max_cost is set, but no price is known for {config.teacher.model!r}: give teacher.price "
            "{input: …, output: …} per million tokens, or leave max_cost out."
        )
    return price


def _wait_for(asking: Coroutine[Any, Any, Asking]) -> Asking:
    """Run a coroutine to its end, also in a notebook, whose own loop is running in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(asking)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, asking).result()


async def _ask_all(
    config: SynthConfig,
    teacher: Teacher,
    texts: Sequence[RawText],
    records: Records,
    price: Price | None,
    *,
    progress: bool,
) -> Asking:
    """Ask in two rounds: typing comes second, for it needs the mentions that the first finds."""

    def rejections(request: Request, record: Record) -> int:
        return len(clean_record(request, record).rejected)

    asking = Asking(config, teacher, records, Expectation(config), price, rejections)
    try:
        asked: set[str] = set()  # what failed in the first round is left to the next run
        for title in ("label", "type mentions"):
            requests = [request for request in pending(config, texts, records) if request.key not in asked]
            asked.update(request.key for request in requests)
            await asking.ask(requests, title=title, progress=progress)
    finally:
        await teacher.close()
    return asking
