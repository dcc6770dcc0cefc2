"""Asks a teacher many requests at a time: at its pace, again where it failed, and no further than the money goes."""

from __future__ import annotations

import asyncio
import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from tqdm.auto import tqdm

from seqgpt.synth.config import SynthConfig
from seqgpt.synth.pace import Pace
from seqgpt.synth.prices import Price
from seqgpt.synth.records import Record, Records
from seqgpt.synth.requests import Request
from seqgpt.synth.teacher import Completion, PassingError, Teacher, TeacherError
from seqgpt.synth.tokens import Expectation

_LONGEST_WAIT_S = 60.0
_MOST_FAILED = 20  # requests one after another, each after all its retries: then nobody is there
_MOST_REFUSED = 5  # of the first requests: then the server takes none such

OnAnswer = Callable[[Request, Record], int]
"""Looks at an answer when it comes; returns how much of it is rejected."""


class Asking:
    """Asks requests, and keeps count.

    Attributes:
        spent: What the records and the answers so far cost; 0 without a price.
        failed: How many requests were given up for now, by reason; they are asked again when the run goes on.
        retried: How often a request was asked again, by reason.
        stopped: Why no more is asked, if there is more: ``"max_cost"``, ``"interrupted"`` or ``"failed"``.
    """

    def __init__(
        self,
        config: SynthConfig,
        teacher: Teacher,
        records: Records,
        expectation: Expectation,
        price: Price | None,
        on_answer: OnAnswer = lambda *_: 0,
    ) -> None:
        self.failed: Counter[str] = Counter()
        self.retried: Counter[str] = Counter()
        self.stopped = ""
        self.spent = cost_of(records, price)
        self._config, self._teacher, self._records = config, teacher, records
        self._expectation, self._price, self._on_answer = expectation, price, on_answer
        self._pace = Pace(config.teacher.requests_per_minute, config.teacher.tokens_per_minute)
        self._reserved = 0.0
        self._in_a_row = self._answered = self._rejected = 0
        self._bar: tqdm[Any] | None = None
        self._broken: TeacherError | None = None

    async def ask(self, requests: Sequence[Request], *, title: str = "ask", progress: bool = True) -> None:
        """Ask requests.

        Raises:
            TeacherError: If the teacher answers none of them.
            RunError: If an answer cannot be written.
        """
        if not requests or self.stopped:
            return
        coming = iter(requests)
        with tqdm(total=len(requests), desc=title, unit=" requests", disable=not progress) as bar, self._until_told():
            self._bar = bar
            if not self._answered:  # the first alone: a wrong key or model is found out once
                await self._work([next(coming)])
            try:
                async with asyncio.TaskGroup() as workers:
                    for _ in range(min(self._config.teacher.concurrency, len(requests))):
                        workers.create_task(self._work(coming))
            except BaseExceptionGroup as errors:
                raise errors.exceptions[0] from None
        if self._broken:
            raise self._broken

    async def _work(self, coming: Iterable[Request]) -> None:
        for request in coming:
            if self.stopped:
                return
            try:
                await self._ask_one(request)
            except TeacherError as error:  # of all requests; but those under way are paid, and are waited for
                self._broken = self._broken or error
                self.stopped = "failed"

    async def _ask_one(self, request: Request) -> None:
        prompt, completion = self._expectation.prompt_tokens(request), self._expectation.completion_tokens(request)
        cost = self._price.cost(prompt, completion) if self._price else 0.0
        limit = self._config.max_cost
        if limit is not None and self.spent + self._reserved + cost > limit:
            self.stopped = self.stopped or "max_cost"
            return
        self._reserved += cost
        try:
            answer = await self._retrying(request, prompt + completion)
        finally:
            self._reserved -= cost
        if answer is not None:
            self._keep(request, answer, round(prompt), round(completion))
        self._show()

    async def _retrying(self, request: Request, tokens: float) -> Completion | None:
        """Return the answer; None if there was none after all retries, or the run was told to stop."""
        teacher = self._config.teacher
        for attempt in range(teacher.retries + 1):
            await self._pace.wait(tokens)
            if self.stopped in ("interrupted", "failed"):  # while this request waited: it is not under way
                return None
            try:
                answer = await self._teacher.complete(request)
            except PassingError as error:
                self._check_there(error)
                if attempt == teacher.retries or self.stopped:
                    self._give_up(error)
                    return None
                self.retried[error.reason] += 1
                if error.wait_s is not None:
                    self._pace.pause(error.wait_s)
                    if self._bar is not None:
                        self._bar.set_postfix_str(f"waits {error.wait_s:.0f} s, as the teacher asks ({error.reason})")
                wait = min(teacher.backoff_s * 2**attempt, _LONGEST_WAIT_S) * random.uniform(0.5, 1)  # noqa: S311
                await asyncio.sleep(max(wait, error.wait_s or 0.0))
            else:
                self._in_a_row = 0
                return answer
        return None

    def _check_there(self, error: PassingError) -> None:
        if error.unreachable and not self._answered:
            why = " ".join(str(error.__cause__ or "").split()) or error.reason
            raise TeacherError(
                f"nobody answers at {self._config.teacher.url} ({why}): start the server, or correct teacher.url."
            ) from error

    def _give_up(self, error: PassingError) -> None:
        self.failed[error.reason] += 1
        self._in_a_row += 1
        if self._in_a_row >= _MOST_FAILED and not self.stopped:
            raise TeacherError(
                f"{self._config.teacher.url} fails on every request ({error.reason}), {_MOST_FAILED} in a row: see "
                "what it says, and go on later. What was answered is kept."
            ) from error

    def _keep(self, request: Request, answer: Completion, prompt: int, completion: int) -> None:
        if answer.finish == "refused" and not self._answered:  # perhaps of all requests alike: then none is recorded
            self.failed["refused"] += 1
            if self.failed["refused"] == _MOST_REFUSED:
                raise TeacherError(
                    f"{self._config.teacher.url} refuses every request ({answer.content}): correct teacher.model, "
                    "teacher.parameters or teacher.answers."
                )
            return
        said = answer.prompt_tokens is not None and answer.completion_tokens is not None
        record = Record(
            request.key,
            request.task,
            request.text.language,
            answer.content,
            answer.finish,
            answer.prompt_tokens if answer.prompt_tokens is not None else prompt,
            answer.completion_tokens if answer.completion_tokens is not None else completion,
            said,
        )
        self._records.add(record)
        self._answered += 1
        self.spent += self._price.cost(record.prompt_tokens, record.completion_tokens) if self._price else 0.0
        self._pace.correct(record.prompt_tokens + record.completion_tokens - prompt - completion)
        self._expectation.learn(request, record)
        self._rejected += self._on_answer(request, record)

    def _show(self) -> None:
        if self._bar is None:
            return
        notes = [f"cost {self.spent:.4f}"] if self._price else []
        notes += [f"{self._rejected} rejected", f"{sum(self.retried.values())} retries"]
        notes += [f"{sum(self.failed.values())} failed"] if self.failed else []
        self._bar.set_postfix_str(", ".join(notes), refresh=False)
        self._bar.update(1)

    @contextmanager
    def _until_told(self) -> Iterator[None]:
        """Let Ctrl-C stop new requests and wait for those under way, for they are paid; twice stops at once.

        Only the main thread has signals, and Windows has no handlers of loops: elsewhere Ctrl-C stops at once.
        """
        if sys.platform == "win32" or threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()

        def stop() -> None:
            self.stopped = "interrupted"
            loop.remove_signal_handler(signal.SIGINT)
            print("\nwaiting for the requests under way; Ctrl-C again stops at once", file=sys.stderr)  # noqa: T201

        loop.add_signal_handler(signal.SIGINT, stop)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGINT)


def cost_of(records: Records, price: Price | None) -> float:
    """Return what records cost."""
    if price is None:
        return 0.0
    return sum(
        price.cost(total.prompt_tokens, total.completion_tokens, batch=batch)
        for (_, _, batch), total in records.totals.items()
    )
