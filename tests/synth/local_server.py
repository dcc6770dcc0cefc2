"""An OpenAI-compatible server on this machine that answers from the script of ``ScriptedTeacher``, and fails as told.

Real HTTP over a loopback connection, kept alive, any number of requests at a time. In a test it runs in a thread:

    with serve(faults={"500": 0.1}) as server:
        … server.url …
        assert server.state.answered[…] == 1

For a bench it is a process of its own, which outlives its clients and tells at ``/stats`` what it did:

    python -m tests.synth.local_server --port-file port --faults 0.05
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from seqgpt.synth.scripted import scripted_answer

FAULTS = ("429", "500", "slow", "cut", "malformed")
"""Too many requests; an error of the server; no answer for long; a body that ends too soon; a body that is no JSON."""

Headers = dict[str, str]


@dataclass
class Behaviour:
    """What a server does.

    Attributes:
        faults: The share of requests that fail in each way; a request that is asked again may fail again.
        broken: The share of answers whose content is broken JSON; these count as answered, and are charged.
        answer: From messages to the content of an answer.
        count: From words to tokens.
        models: The models that it knows.
        key: The key that it wants, if any.
        formats: The kinds of ``response_format`` that it knows.
        unknown_format: The status with which it says that it does not know one.
        refuses: A word; requests with it in their messages get a status 400.
        latency_s: How long each answer takes.
        slow_s: How long a slow one takes.
        retry_after: What it says with a status 429.
        usage: It says how many tokens it charged.
    """

    faults: Mapping[str, float] = field(default_factory=dict)
    broken: float = 0.0
    answer: Callable[[list[dict[str, str]]], Any] = scripted_answer
    count: Callable[[str], int] = lambda words: len(words.encode()) // 3
    models: tuple[str, ...] = ("teacher",)
    key: str = ""
    formats: tuple[str, ...] = ("json_schema", "json_object")
    unknown_format: int = 400
    refuses: str = ""
    latency_s: float = 0.0
    slow_s: float = 30.0
    retry_after: str = "0.02"
    usage: bool = True


@dataclass
class State:
    """What a server did.

    Attributes:
        asked: Requests by a hash of their messages.
        answered: Those of them that got a whole answer with status 200.
        failed: Faults by kind.
        prompt_tokens: What was charged for prompts.
        completion_tokens: What was charged for answers.
        bodies: The requests as they came; of a server in a thread only.
        at_once: Most requests at a time.
    """

    asked: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    completion_tokens: int = 0
    bodies: list[dict[str, Any]] = field(default_factory=list)
    headers: list[Headers] = field(default_factory=list)
    at_once: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain JSON values."""
        return {
            "asked": self.asked.total(),
            "different": len(self.answered),
            "answered": self.answered.total(),
            "answered_twice": sum(count - 1 for count in self.answered.values() if count > 1),
            "failed": dict(self.failed),
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "at_once": self.at_once,
        }


class LocalServer:
    """Serves until its loop ends."""

    def __init__(self, behaviour: Behaviour, *, keep_bodies: bool = True) -> None:
        self.behaviour, self.state = behaviour, State()
        self.port = 0
        self._keep_bodies = keep_bodies
        self._now = 0
        self._random = random.Random(0)  # noqa: S311  (faults, no secrets)

    @property
    def url(self) -> str:
        """Where its interface begins."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def start(self) -> asyncio.Server:
        """Begin to listen on a free port."""
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        return server

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self._now += 1
                self.state.at_once = max(self.state.at_once, self._now)
                try:
                    await self._answer(first.split(" ")[1], headers, body, writer)
                finally:
                    self._now -= 1
        writer.close()

    async def _answer(self, path: str, headers: Headers, body: bytes, writer: asyncio.StreamWriter) -> None:
        does = self.behaviour
        if path == "/stats":
            return await _send(writer, 200, self.state.to_dict())
        if path == "/v1/models":
            return await _send(writer, 200, {"data": [{"id": name} for name in does.models]})
        if path != "/v1/chat/completions":
            return await _send(writer, 404, {"error": {"message": f"no such path: {path}"}})
        request = json.loads(body)
        mark = hashlib.sha256(json.dumps(request["messages"]).encode()).hexdigest()[:16]
        self.state.asked[mark] += 1
        if self._keep_bodies:
            self.state.bodies.append(request)
            self.state.headers.append(headers)
        refusal = self._refusal(request, headers)
        if refusal:
            return await _send(writer, *refusal)
        return await self._complete(request, mark, writer)

    def _refusal(self, request: dict[str, Any], headers: Headers) -> tuple[int, Any] | None:
        does, said = self.behaviour, headers.get("authorization", "").removeprefix("Bearer ")
        if does.key and said != does.key:
            return 401, {"error": {"message": f"Incorrect API key provided: {said}.", "code": "invalid_api_key"}}
        if request["model"] not in does.models:
            return 404, {"error": {"message": "no such model", "code": "model_not_found"}}
        kind = request.get("response_format", {}).get("type", "text")
        if kind not in (*does.formats, "text"):
            return does.unknown_format, {
                "error": {"message": f"response_format of type {kind} is not supported by this model"}
            }
        if does.refuses and does.refuses in json.dumps(request["messages"], ensure_ascii=False):
            return 400, {"error": {"message": f"refused; your key is {said}"}}
        return None

    async def _complete(self, request: dict[str, Any], mark: str, writer: asyncio.StreamWriter) -> None:
        does = self.behaviour
        fault = self._fault()
        if fault:
            self.state.failed[fault] += 1
        match fault:
            case "429":
                return await _send(writer, 429, {"error": {"message": "too many"}}, {"Retry-After": does.retry_after})
            case "500":
                return await _send(writer, 500, {"error": {"message": "internal"}})
            case "slow":
                await asyncio.sleep(does.slow_s)
                raise ConnectionError
            case "malformed":
                return await _send(writer, 200, b"<html>not what you asked for</html>")
        answer = does.answer(request["messages"])
        content = answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
        if self._random.random() < does.broken:
            content = content[: len(content) // 2]
        if does.latency_s:
            await asyncio.sleep(does.latency_s)
        prompt = sum(does.count(message["content"]) + 4 for message in request["messages"])
        completion = does.count(content)
        reply: dict[str, Any] = {
            "id": f"chatcmpl-{mark}",
            "object": "chat.completion",
            "model": request["model"],
            "choices": [
                {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop"},
            ],
        }
        if does.usage:
            reply["usage"] = {"prompt_tokens": prompt, "completion_tokens": completion}
        await _send(writer, 200, reply, cut=fault == "cut")
        if fault != "cut":
            self.state.answered[mark] += 1
            self.state.prompt_tokens += prompt
            self.state.completion_tokens += completion
        return None

    def _fault(self) -> str:
        drawn = self._random.random()
        for name, rate in self.behaviour.faults.items():
            if drawn < rate:
                return name
            drawn -= rate
        return ""


async def _send(
    writer: asyncio.StreamWriter, status: int, body: Any, headers: Headers | None = None, *, cut: bool = False
) -> None:
    said = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
    lines = {"Content-Type": "application/json", "Content-Length": str(len(said)), **(headers or {})}
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    writer.write(f"HTTP/1.1 {status} Said\r\n{head}\r\n".encode() + (said[: len(said) // 2] if cut else said))
    await writer.drain()
    if cut:
        raise ConnectionError


@contextmanager
def serve(**behaviour: Any) -> Iterator[LocalServer]:
    """Serve from a thread, for a while."""
    server = LocalServer(Behaviour(**behaviour))
    ready = threading.Event()
    loop = asyncio.new_event_loop()

    async def run() -> None:
        listening = await server.start()
        ready.set()
        with suppress(asyncio.CancelledError):
            await listening.serve_forever()

    def work() -> None:
        task = loop.create_task(run())
        loop.run_forever()
        task.cancel()
        for one in asyncio.all_tasks(loop):
            one.cancel()
        loop.run_until_complete(asyncio.gather(*asyncio.all_tasks(loop), return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def main() -> None:
    """Serve until ended."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port-file", type=Path, required=True, help="where the port is written to")
    parser.add_argument("--faults", type=float, default=0.0, help="share of requests that fail")
    parser.add_argument("--slow", type=float, default=30.0, help="seconds that a slow answer takes")
    parser.add_argument("--latency", type=float, default=0.0, help="seconds that every answer takes")
    parser.add_argument("--tokenizer", help="a tokenizer.json by which tokens are charged")
    options = parser.parse_args()
    count = Behaviour().count
    if options.tokenizer:
        from tokenizers import Tokenizer

        tokenizer = Tokenizer.from_file(options.tokenizer)
        count = lambda words: len(tokenizer.encode(words, add_special_tokens=False).ids)  # noqa: E731
    faults = {name: options.faults / len(FAULTS) for name in FAULTS}
    behaviour = Behaviour(faults=faults, slow_s=options.slow, latency_s=options.latency, count=count)

    async def run() -> None:
        server = LocalServer(behaviour, keep_bodies=False)
        listening = await server.start()
        options.port_file.write_text(str(server.port), encoding="utf-8")
        await listening.serve_forever()

    asyncio.run(run())


if __name__ == "__main__":
    main()
