"""A teacher behind an OpenAI-compatible URL: hosted, vLLM, llama.cpp, ``transformers serve``.

Only what all of them have is used: ``POST /chat/completions`` with messages, and ``response_format`` where it is known.

Source: the API reference of OpenAI (chat completions, structured outputs); RFC 9110, 10.2.3 (Retry-After).
"""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

import httpx2

from seqgpt.errors import ConfigError, did_you_mean
from seqgpt.synth.config import TeacherConfig
from seqgpt.synth.requests import Request
from seqgpt.synth.teacher import Completion, PassingError, TeacherError, completion_of
from seqgpt.version import __version__

_PATH = "/chat/completions"
_FORMATS = ("schema", "object", "text")
_NO_SUCH_FORMAT = (400, 422, 500, 501)  # 500: llama.cpp (ggml-org/llama.cpp#9522)
_OF_FORMATS = ("response_format", "json_schema", "json_object", "grammar", "guided", "structured output")
_PASSING = (408, 409, 425, 429)
_CONNECTIONS = 8  # of a pool, which looks through all of them for each request: 64 cost a third of a millisecond
_CONNECT_S = 10.0  # for a connection; later than that, nobody is there
_KEY_LENGTH = 8  # shorter ones are words, which messages may well have
_MOST_SAID = 200  # characters of what a server says


class HttpTeacher:
    """Asks a server.

    Args:
        config: Which one, and how.
    """

    def __init__(self, config: TeacherConfig) -> None:
        """Read the key from the environment; nothing is asked yet.

        Raises:
            ConfigError: If the variable of the key is not set, or a variable names a proxy that cannot be used.
        """
        self._config = config
        self._url = config.url.rstrip("/").removesuffix(_PATH)
        self._key = os.environ.get(config.api_key_env, "").strip() if config.api_key_env else ""
        if config.api_key_env and not self._key:
            raise ConfigError(
                f"the environment variable {config.api_key_env}, which teacher.api_key_env names, is not set: set it."
            )
        if not (self._key.isascii() and self._key.isprintable()):
            raise ConfigError(f"the key in {config.api_key_env} has characters that no key has: set it again.")
        self._format: str = "schema" if config.answers == "auto" else config.answers
        self._headers = httpx2.Headers({"Content-Type": "application/json", "User-Agent": f"seqgpt/{__version__}"})
        if self._key:
            self._headers["Authorization"] = f"Bearer {self._key}"
        try:
            self._endpoint = httpx2.URL(self._url + _PATH)
        except httpx2.InvalidURL as error:
            raise ConfigError(f"teacher.url is {self._url!r}, which is none ({error}): correct it.") from error
        self._clients = _clients(config)
        self._turns = itertools.cycle(self._clients)

    async def complete(self, request: Request) -> Completion:
        """Answer a request.

        Raises:
            PassingError: If the server could not this time.
            TeacherError: If it never will.
        """
        while True:
            used = self._format
            try:
                async with asyncio.timeout(self._config.timeout_s):
                    response = await self._post(json.dumps(request.body(used), ensure_ascii=False).encode())
            except TimeoutError as error:
                raise PassingError(f"no answer within {self._config.timeout_s:g} s") from error
            except (
                httpx2.ConnectError,
                httpx2.ConnectTimeout,
                httpx2.UnsupportedProtocol,
                httpx2.InvalidURL,
            ) as error:
                raise PassingError("no connection", unreachable=True) from error
            except httpx2.HTTPError as error:
                raise PassingError("connection broken") from error
            if response.status_code == httpx2.codes.OK:
                return _completion(response)
            if not self._falls_back(response, used):
                return await self._refusal(response)

    async def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            await client.aclose()

    async def _post(self, body: bytes) -> httpx2.Response:
        """Send a request, from the pool whose turn it is; made by hand, for nothing is to be merged into it."""
        return await next(self._turns).send(httpx2.Request("POST", self._endpoint, headers=self._headers, content=body))

    def _falls_back(self, response: httpx2.Response, used: str) -> bool:
        """Tell whether the request is asked again in a form that the server knows."""
        if response.status_code not in _NO_SUCH_FORMAT or self._config.answers != "auto" or used == _FORMATS[-1]:
            return False
        if not any(word in response.text.lower() for word in _OF_FORMATS):
            return False
        if self._format == used:  # else another request has found out already
            self._format = _FORMATS[_FORMATS.index(used) + 1]
        return True

    async def _refusal(self, response: httpx2.Response) -> Completion:
        """Return the record of a request that is refused for good; raise what is wrong with all, or only now."""
        status, (code, said) = response.status_code, _error(response)
        if status in (401, 403):
            named = f"the key in {self._config.api_key_env}" if self._config.api_key_env else "requests without a key"
            raise TeacherError(
                f"{self._url} does not accept {named} (status {status}): set the environment variable that "
                "teacher.api_key_env names to a key of this server."
            )
        if status == 402 or code in ("insufficient_quota", "billing_hard_limit_reached"):
            raise TeacherError(f"the account at {self._url} has no credit left: add some, and go on.")
        if status == 404 or code == "model_not_found":
            raise TeacherError(await self._unknown())
        if status in _PASSING or status >= 500:
            raise PassingError(f"status {status}", wait_s=_retry_after(response.headers))
        if status < 400:
            raise TeacherError(f"{self._url} answers with status {status}, no answer: give the URL that it leads to.")
        return Completion(f"status {status}: {self._scrubbed(said)}", 0, 0, "refused")

    async def _unknown(self) -> str:
        """Say that the model or the URL is unknown, with what the server has."""
        names = await self._models()
        if not names:
            model = self._config.model
            return f"{self._url}{_PATH} is not there, or has no model {model!r}: correct teacher.url or teacher.model."
        if self._config.model in names:
            return f"{self._url}{_PATH} is not there: correct teacher.url."
        hint = did_you_mean(self._config.model, names)
        listed = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
        return (
            f"the server does not know the model {self._config.model!r}.{hint} It has {listed}: correct teacher.model."
        )

    async def _models(self) -> list[str]:
        try:
            async with asyncio.timeout(min(10.0, self._config.timeout_s)):
                listed = (await self._clients[0].get(self._url + "/models", headers=self._headers)).json()["data"]
            return sorted(str(one["id"]) for one in listed)
        except (httpx2.HTTPError, TimeoutError, ValueError, KeyError, TypeError):
            return []

    def _scrubbed(self, said: str) -> str:
        """Return what a server says without the key, which it may repeat."""
        said = " ".join(said.split())
        return (said.replace(self._key, "…") if len(self._key) >= _KEY_LENGTH else said)[:_MOST_SAID]


def _clients(config: TeacherConfig) -> list[httpx2.AsyncClient]:
    """Return as many pools of connections as the concurrency needs."""
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=None)
    timeout = httpx2.Timeout(None, connect=min(_CONNECT_S, config.timeout_s))
    pools = -(-config.concurrency // _CONNECTIONS)
    try:
        context = httpx2.create_ssl_context()
        return [httpx2.AsyncClient(verify=context, timeout=timeout, limits=limits) for _ in range(pools)]
    except (ImportError, ValueError, OSError, httpx2.InvalidURL) as error:  # of a proxy, or of certificates
        raise ConfigError(
            "the environment names a proxy or certificates that cannot be used: correct HTTP_PROXY, HTTPS_PROXY, "
            "ALL_PROXY and SSL_CERT_FILE (a socks proxy needs the package socksio), or unset them."
        ) from error


def _completion(response: httpx2.Response) -> Completion:
    try:
        return completion_of(response.json())
    except ValueError as error:
        raise PassingError("malformed response") from error


def _error(response: httpx2.Response) -> tuple[str, str]:
    """Return code and message of an error, in whichever way the server writes them."""
    try:
        body = response.json()
    except ValueError:
        return "", response.text
    error = body.get("error", body) if isinstance(body, Mapping) else body
    if isinstance(error, Mapping):
        return str(error.get("code") or ""), str(error.get("message") or error.get("detail") or "")
    return "", str(error)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds a server wants to be left alone; it says seconds, milliseconds or a date."""
    milliseconds, said = headers.get("retry-after-ms"), headers.get("retry-after")
    try:
        seconds = float(milliseconds) / 1000 if milliseconds else float(said) if said else None
        return max(seconds, 0.0) if seconds is not None and math.isfinite(seconds) else None
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(said or "").timestamp() - time.time(), 0.0)
    except ValueError:
        return None
