"""A predictor in a process of its own: in another environment, another language, or both.

The process reads questions from standard input and writes answers to standard output, one JSON object a line each::

    {"id": 1, "text": "…", "task": "extract", "labels": ["person"], "more": 2}
    {"id": 1, "spans": [{"label": "person", "start": 0, "end": 3, "score": 0.9}]}

A question is a text with its task as the library's JSONL files have it (:mod:`seqgpt.examples`), a number, and in
``more`` how many questions follow before an answer is waited for, so that it may answer several together. The answers
come in any order. One has ``spans`` (offsets in characters) or ``labels`` with ``scores`` for all labels or none; or
``error``, one sentence. It may say what :class:`~seqgpt.evaluation.predictor.FreeAnswer` does: ``malformed``,
``ungrounded``. The process ends when its input does.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from threading import Event, Thread, Timer
from typing import IO, Any

from tqdm.auto import tqdm

from seqgpt.errors import ConfigError, DataError, RunError, SeqGPTError, did_you_mean, shown
from seqgpt.evaluation.predictor import FreeAnswer, LostError
from seqgpt.results import Classification, Extraction, Result, Span
from seqgpt.tasks import AtomicTask
from seqgpt.texts import check_text

_KEYS = ("id", "spans", "labels", "scores", "error", "malformed", "ungrounded")
_MOST_STARTS = 20  # in succession, of a process that ends before it answers
_FIRST_STARTS = 3  # of one that has never answered
_SECONDS_TO_END = 10.0


class Command:
    """Answers tasks through a process, which is started at the first question and ended by ``close``.

    If it ends in between, the questions that it has not answered fail, and it is started again for the next ones; if
    it does so again and again without an answer, it is left. What it writes to standard error is seen.

    Args:
        arguments: The program and its arguments, such as ``["python", "worker.py", "FOLDER"]``.
        seconds: How long it may take for one answer; then it is ended, and the questions that it has not answered fail.

    Raises:
        ConfigError: If there are none.
    """

    def __init__(self, arguments: Sequence[str], *, seconds: float = 900.0) -> None:
        if isinstance(arguments, str) or not arguments:
            raise ConfigError(f"a command is a list of a program and its arguments, not {arguments!r}.")
        self.arguments = [*arguments]
        self.seconds = seconds
        self._process: subprocess.Popen[bytes] | None = None
        self._asked = 0
        self._vain = 0  # starts since its last answer
        self._has_answered = False

    def predict_pairs(self, pairs: Sequence[tuple[str, AtomicTask]], *, progress: bool = False) -> list[FreeAnswer]:
        """Answer each task on its text.

        Raises:
            RunError: If the process cannot be started, ends before it has answered, or says that it failed.
            DataError: If an answer is not of the protocol.
            TextError: If a text is empty.
        """
        numbers = range(self._asked + 1, self._asked + len(pairs) + 1)
        self._asked += len(pairs)
        asked = dict(zip(numbers, ((check_text(text), task) for text, task in pairs), strict=True))
        questions = [
            {"id": number, "text": text, **task.to_dict(), "more": numbers[-1] - number}
            for number, (text, task) in asked.items()
        ]
        answers: dict[int, dict[str, Any]] = {}
        with tqdm(total=len(asked), desc="command", unit=" texts", disable=not progress) as bar:
            for answer in self._exchange(questions):
                answers[_number(answer, asked, answers)] = answer
                bar.update()
        for number, answer in answers.items():
            if "error" in answer:
                text, _ = asked[number]
                raise RunError(f"{self._name} failed on the text {shown(text)}: {answer['error']}")
        return [self._read(*asked[number], answers[number]) for number in numbers]

    def close(self) -> None:
        """End the process; it may finish what it does."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in filter(None, (process.stdin, process.stdout)):
            with contextlib.suppress(OSError):  # of what it has not read
                pipe.close()
        try:
            process.wait(_SECONDS_TO_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def __enter__(self) -> Command:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def _name(self) -> str:
        return f"the command {shown(' '.join(self.arguments))}"

    def _exchange(self, questions: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
        """Write all questions, and yield as many answers; if anything goes wrong, the process is ended."""
        if not questions:
            return
        process = self._started()
        lines = "".join(json.dumps(question) + "\n" for question in questions).encode()
        writer = Thread(target=_write, args=(process.stdin, lines), daemon=True)  # both may wait for the other to read
        writer.start()
        whole = False
        try:
            for _ in questions:
                yield self._next(process)
                self._vain, self._has_answered = 0, True
            whole = True
        finally:
            if not whole:
                process.kill()
                self.close()
            writer.join()

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.close()
        if self._vain >= (_MOST_STARTS if self._has_answered else _FIRST_STARTS):
            raise LostError(
                f"{self._name} ended {self._vain} times before it answered anything: see what it wrote to standard "
                "error, or run it by hand."
            )
        self._vain += 1
        try:
            self._process = subprocess.Popen(  # noqa: S603 (whoever evaluates names the program)
                self.arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE
            )
        except OSError as error:
            raise LostError(f"cannot start {self._name}: {error.strerror}. Check its path.") from error
        return self._process

    def _next(self, process: subprocess.Popen[bytes]) -> dict[str, Any]:
        late = Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = Timer(self.seconds, end)
        timer.start()
        try:
            line = process.stdout.readline() if process.stdout else b""
        finally:
            timer.cancel()
        if not line.endswith(b"\n"):
            code = process.wait()
            if late.is_set():
                raise RunError(f"{self._name} was ended: it had no answer in {self.seconds:g} seconds.")
            how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
            raise RunError(f"{self._name} {how} before it had answered: see what it wrote to standard error.")
        try:
            answer = json.loads(line)
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise DataError(
                f"{self._name} wrote {shown(line.decode(errors='replace').rstrip())}, which is no JSON object: it must "
                "write answers to standard output, and nothing else."
            )
        for key in answer:
            if key not in _KEYS:
                raise DataError(
                    f"{self._name} wrote an answer with an unknown key {key!r}.{did_you_mean(str(key), _KEYS)} "
                    f"Known keys: {', '.join(_KEYS)}."
                )
        return answer

    def _read(self, text: str, task: AtomicTask, answer: dict[str, Any]) -> FreeAnswer:
        try:
            read = _spans if task.kind == "extract" else _classes
            malformed, ungrounded = answer.get("malformed", False), answer.get("ungrounded", 0)
            if not isinstance(malformed, bool) or type(ungrounded) is not int or ungrounded < 0:
                raise DataError("malformed must be true or false, and ungrounded a count.")
            return FreeAnswer(read(text, task, answer), malformed, ungrounded)
        except SeqGPTError as error:
            raise DataError(f"{self._name} answered {shown(answer)} to {shown(text)}: {error}") from error


def _write(pipe: IO[bytes] | None, lines: bytes) -> None:
    with contextlib.suppress(OSError, ValueError):  # it has ended, which its reader finds out
        if pipe:
            pipe.write(lines)
            pipe.flush()


def _number(answer: Mapping[str, Any], asked: Mapping[int, object], answered: Mapping[int, object]) -> int:
    number = answer.get("id")
    if type(number) is not int or number not in asked:
        raise DataError(f"an answer has the id {number!r}, which was not asked: give back that of its question.")
    if number in answered:
        raise DataError(f"the question with id {number} was answered twice: answer it once.")
    return number


def _spans(text: str, task: AtomicTask, answer: Mapping[str, Any]) -> Result:
    spans = answer.get("spans")
    if not isinstance(spans, list):
        raise DataError("the answer to an extraction needs spans, a list.")
    found = []
    for span in spans:
        if not isinstance(span, dict) or not {"label", "start", "end"} <= span.keys() <= {*Span.__slots__}:
            raise DataError(f"a span is {shown(span)}: give label, start and end, and score if there is one.")
        start, end = span["start"], span["end"]
        if type(start) is not int or type(end) is not int or not 0 <= start < end <= len(text):
            raise DataError(f"{start!r}:{end!r} is not in the text, which has {len(text)} characters.")
        found.append(Span.from_dict({"text": text[start:end], **span}))
    return Extraction.of(text, task, found)


def _classes(text: str, task: AtomicTask, answer: Mapping[str, Any]) -> Result:
    labels, scores = answer.get("labels"), answer.get("scores")
    if not isinstance(labels, list):
        raise DataError("the answer to a classification needs labels, a list.")
    for label in labels:
        task.require(label)
    if scores is None:
        return Classification.of(text, task, tuple(labels))
    held = [label for label in task.labels if label in labels]
    record = {"text": text, "task": task.kind, "asked": task.to_dict(), "labels": held, "abstained": not held}
    return Classification.from_dict({**record, "scores": scores})
