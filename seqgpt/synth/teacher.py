"""What a teacher is: it answers a request, or says in which way it cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

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


def completion_of(body: Any) -> Completion:
    """Read the body of a chat completion, as servers send it and batch files hold it.

    Raises:
        ValueError: If it is none.
    """
    try:
        choice, usage = body["choices"][0], body.get("usage") or {}
        message = choice["message"]
        content = message.get("content") or ""
        prompt, completion = _whole(usage.get("prompt_tokens")), _whole(usage.get("completion_tokens"))
        refused = message.get("refusal") and not content
        finish = "content_filter" if refused else str(choice.get("finish_reason") or "stop")
    except (KeyError, IndexError, TypeError, AttributeError) as error:
        raise ValueError("no chat completion") from error
    if not isinstance(content, str):
        raise ValueError("the content of a chat completion is no string")
    return Completion(content, prompt, completion, finish)


def _whole(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


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
