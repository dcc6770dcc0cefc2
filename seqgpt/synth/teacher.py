"""What a teacher is: it answers a request, or says in which way it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from seqgpt.errors import RunError

if TYPE_CHECKING:
    from seqgpt.synth.requests import Request


@dataclass(frozen=True)
class Completion:
    """What a teacher said to a request.

    Attributes:
        content: Its answer.
        prompt_tokens: What it charged for the prompt; None if it does not say.
        completion_tokens: What it charged for the answer; None if it does not say.
        finish: Why it stopped: ``"stop"``, ``"length"``, ``"content_filter"``; ``"refused"`` if it takes no such one.
    """

    content: str
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    finish: str = "stop"


class Teacher(Protocol):
    """Whoever labels: a server behind HTTP, or a script."""

    async def complete(self, request: Request) -> Completion:
        """Answer a request.

        Raises:
            PassingError: If it could not this time.
            TeacherError: If it never will.
        """

    async def close(self) -> None:
        """Let go of connections."""


class TeacherError(RunError):
    """A teacher that answers nothing at all: a wrong key, an unknown model, no server."""


class PassingError(Exception):
    """A teacher that could not answer this time: it was busy, broken, too slow, or cut off.

    Attributes:
        reason: In a few words, to count it.
        wait_s: How long it asked to be left alone; None if it did not.
        unreachable: No connection was made.
    """

    def __init__(self, reason: str, *, wait_s: float | None = None, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.wait_s = wait_s
        self.unreachable = unreachable
