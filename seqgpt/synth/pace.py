"""How fast a teacher may be asked: requests and tokens a minute, and pauses that it asks for."""

from __future__ import annotations

import asyncio

_MINUTE_S = 60.0


class Pace:
    """Lets requests through one after another, evenly, so that no minute has more than it may.

    Args:
        requests_per_minute: Most requests; any number if None.
        tokens_per_minute: Most tokens; any number if None.
    """

    def __init__(self, requests_per_minute: int | None = None, tokens_per_minute: int | None = None) -> None:
        self._per_request = _MINUTE_S / requests_per_minute if requests_per_minute else 0.0
        self._per_token = _MINUTE_S / tokens_per_minute if tokens_per_minute else 0.0
        self._request_free = self._tokens_free = self._paused = 0.0

    async def wait(self, tokens: float) -> None:
        """Wait until a request of about so many tokens may be asked."""
        start = -1.0
        while start < self._paused:  # a pause may have come while this request waited: then it waits its turn again
            now = asyncio.get_running_loop().time()
            start = max(now, self._request_free, self._tokens_free)
            self._request_free = start + self._per_request
            self._tokens_free = start + tokens * self._per_token
            if start > now:
                await asyncio.sleep(start - now)

    def correct(self, tokens: float) -> None:
        """Note that a request took so many tokens more than was said, or fewer."""
        self._tokens_free += tokens * self._per_token

    def pause(self, seconds: float) -> None:
        """Let nothing through for a while."""
        self._paused = max(self._paused, asyncio.get_running_loop().time() + seconds)
        self._request_free = max(self._request_free, self._paused)
        self._tokens_free = max(self._tokens_free, self._paused)
