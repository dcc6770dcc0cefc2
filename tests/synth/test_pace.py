"""The pace: how many requests and tokens go through in a minute of a clock that only waiting moves on."""

import asyncio

import pytest

from seqgpt.synth import pace as pace_module
from seqgpt.synth.pace import Pace


class Clock:
    """Stands in for asyncio: its time is what was slept."""

    def __init__(self):
        self.now = 0.0

    def get_running_loop(self):
        return self

    def time(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds


@pytest.fixture
def clock(monkeypatch):
    found = Clock()
    monkeypatch.setattr(pace_module, "asyncio", found)
    return found


def times(clock, pace, tokens):
    async def run():
        passed = []
        for one in tokens:
            await pace.wait(one)
            passed.append(clock.now)
        return passed

    return asyncio.run(run())


@pytest.mark.parametrize(("requests", "tokens"), [(60, None), (None, 600), (120, 600), (6000, 600), (None, None)])
def test_no_minute_has_more_than_it_may(clock, requests, tokens):
    passed = times(clock, Pace(requests, tokens), [10] * 300)
    if requests is None and tokens is None:
        assert passed[-1] == 0
        return
    for start in passed:
        within = sum(start <= one < start + 60 for one in passed)
        assert requests is None or within <= requests
        assert tokens is None or 10 * within <= tokens
    least = min(requests or 10**9, (tokens or 10**9) / 10)
    assert passed[-1] == pytest.approx(299 * 60 / least)  # and is as fast as it may be


def test_tokens_that_were_not_foreseen_are_waited_for(clock):
    pace = Pace(None, 600)
    times(clock, pace, [10])
    pace.correct(50)
    assert times(clock, pace, [10]) == [pytest.approx(6)]


def test_a_pause_holds_for_all(clock):
    pace = Pace(600)
    pace.pause(5)
    assert times(clock, pace, [0, 0]) == pytest.approx([5, 5.1])
