"""A server: what it is sent, and what is said when it will not answer; over real HTTP."""

import asyncio
import json
import re
import socket
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from seqgpt.errors import ConfigError
from seqgpt.synth import ScriptedTeacher, synthesize
from seqgpt.synth.answers import ANSWER_SCHEMAS
from seqgpt.synth.http_teacher import _retry_after
from seqgpt.synth.scripted import scripted_answer
from seqgpt.synth.teacher import PassingError, TeacherError
from tests.synth.conftest import written
from tests.synth.local_server import serve

KEY = "sk-very-secret-0123456789"


def bodies(server):
    return [body for body in server.state.bodies if "messages" in body]


def test_what_is_sent(make, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    with serve(key=KEY) as server:
        config = make(url=server.url + "/", api_key_env="MY_KEY", parameters={"temperature": 0.1, "top_k": 3}, limit=2)
        synthesize(config, progress=False)
    for body in bodies(server):
        assert set(body) == {"model", "messages", "temperature", "top_k", "response_format"}
        assert body["response_format"]["json_schema"]["schema"] in ANSWER_SCHEMAS.values()
    assert len(bodies(server)) == 6


@pytest.mark.slow
@pytest.mark.parametrize(
    ("answers", "formats", "expected"),
    [
        ("auto", ("json_schema", "json_object"), "json_schema"),
        ("auto", ("json_object",), "json_object"),
        ("auto", (), None),
        ("object", ("json_schema", "json_object"), "json_object"),
        ("text", ("json_schema", "json_object"), None),
    ],
)
def test_the_form_of_answers_that_a_server_knows_is_found_once(make, answers, formats, expected):
    with serve(formats=formats) as server:
        summary = synthesize(make(url=server.url, answers=answers, limit=4), progress=False)
    used = [body.get("response_format", {}).get("type") for body in bodies(server)]
    tried = {"json_schema": 0, "json_object": 1, None: 2}[expected] if answers == "auto" else 0
    assert used[tried:] == [expected] * 12
    assert len(used) == 12 + tried
    assert summary.requests == 12


@pytest.mark.slow
@pytest.mark.parametrize("status", [422, 500, 501])
def test_a_form_may_be_unknown_with_another_status(make, status):
    with serve(formats=(), unknown_format=status) as server:
        summary = synthesize(make(url=server.url, limit=4), progress=False)
    assert (len(bodies(server)), summary.requests, summary.retried) == (14, 12, {})


def test_answers_that_no_form_holds(make):
    """Servers may take a schema and not keep to it: what is said around the JSON is read over."""
    say = lambda messages: f"Sure!\n```json\n{json.dumps(scripted_answer(messages))}\n```"  # noqa: E731
    with serve(answer=say) as server:
        summary = synthesize(make("fenced", url=server.url, limit=4), progress=False)
    assert summary.written.repaired["answer repaired"] == 12
    plain = make("plain", limit=4)
    synthesize(plain, teacher=ScriptedTeacher(), progress=False)
    assert written(plain.output_dir) == written(make("fenced").output_dir)


def test_no_request_is_asked_before_the_server_wants_to_be_left_alone_no_longer(make, monkeypatch, capsys):
    """Of all that are asked: what was slept is what a request waited, the others included. And it is said."""
    slept, calls, sleep = [], [], asyncio.sleep

    async def note(seconds, *rest):
        slept.append(seconds)
        await sleep(0, *rest)

    def busy_once(messages):
        calls.append(messages)
        if len(calls) == 3:
            raise PassingError("status 429", wait_s=70.0)
        return scripted_answer(messages)

    monkeypatch.setattr(asyncio, "sleep", note)
    synthesize(make(concurrency=2, limit=4), teacher=ScriptedTeacher(busy_once))
    assert "waits 70 s, as the teacher asks (status 429)" in capsys.readouterr().err
    assert sum(seconds > 69 for seconds in slept) >= 2
    assert len(calls) == 13


@pytest.mark.slow
@pytest.mark.parametrize("said", ["sk-wrong-secret-987654321", None])
def test_a_wrong_key_is_told_in_one_sentence_and_stands_nowhere(make, monkeypatch, capfd, said):
    if said:
        monkeypatch.setenv("MY_KEY", said)
    with serve(key=KEY) as server:
        config = make(url=server.url, api_key_env="MY_KEY" if said else "")
        with pytest.raises(
            TeacherError, match=r"does not accept .* \(status 401\): set the environment variable"
        ) as told:
            synthesize(config)
    assert len(bodies(server)) == 1  # it is found out once
    everything = str(told.value) + "".join(capfd.readouterr())
    everything += "".join(path.read_text("utf-8") for path in Path(config.output_dir).rglob("*") if path.is_file())
    assert KEY not in everything
    assert "secret" not in everything
    assert "\n" not in str(told.value)


@pytest.mark.slow
def test_a_key_that_a_server_repeats_is_in_no_record(make, monkeypatch):
    monkeypatch.setenv("MY_KEY", KEY)
    with serve(key=KEY, refuses="霜降") as server:
        config = make(url=server.url, api_key_env="MY_KEY")
        summary = synthesize(config, progress=False)
    assert summary.written.rejected["answer: refused"] == 2
    everything = "".join(path.read_text("utf-8") for path in Path(config.output_dir).rglob("*.*l*") if path.is_file())
    assert "your key is …" in everything
    assert KEY not in everything


def test_a_key_that_is_not_set(make, monkeypatch):
    monkeypatch.delenv("MY_KEY", raising=False)
    with pytest.raises(ConfigError, match=r"MY_KEY, which teacher.api_key_env names, is not set: set it"):
        synthesize(make(api_key_env="MY_KEY"))


def test_a_key_that_no_header_can_hold_is_not_repeated(make, monkeypatch):
    monkeypatch.setenv("MY_KEY", "sk-secret-密钥")
    with pytest.raises(ConfigError, match="the key in MY_KEY has characters that no key has") as told:
        synthesize(make(api_key_env="MY_KEY"))
    assert "secret" not in str(told.value)


def test_a_url_that_is_none(make):
    with pytest.raises(ConfigError, match=r"teacher\.url is 'http://a:b/v1', which is none"):
        synthesize(make(url="http://a:b/v1"))


def test_a_server_that_refuses_everything(make):
    with serve(refuses="role") as server:
        with pytest.raises(TeacherError, match=r"refuses every request \(status 400: refused.*correct teacher\.model"):
            synthesize(make(url=server.url), progress=False)
        server.behaviour.refuses = ""
        assert synthesize(make(url=server.url, limit=4), progress=False).requests == 12


def test_nobody_answers(make):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    with pytest.raises(TeacherError, match=rf"nobody answers at {re.escape(url)} \(.*\): start the server"):
        synthesize(make(url=url), progress=False)


def test_nobody_takes_a_connection_up(make, monkeypatch):
    """What listens and says nothing (here, to TLS) is nobody, long before an answer would be late."""
    monkeypatch.setattr("seqgpt.synth.http_teacher._CONNECT_S", 0.2)
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/v1"
        with pytest.raises(TeacherError, match=rf"nobody answers at {re.escape(url)} \(no connection\): start"):
            synthesize(make(url=url), progress=False)


def test_a_proxy_that_is_none(make, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "foo://me:secret@h")
    with pytest.raises(ConfigError, match=r"^the environment names a proxy .*: correct HTTP_PROXY.*$") as told:
        synthesize(make())
    assert "secret" not in str(told.value)


def test_an_unknown_model(make):
    with serve(models=("teacher", "qwen3-8b", "qwen3-32b")) as server:
        with pytest.raises(
            TeacherError, match=r"does not know the model 'qwen-8b'\. Did you mean 'qwen3-8b'.* It has "
        ):
            synthesize(make(url=server.url, model="qwen-8b"), progress=False)
        with pytest.raises(TeacherError, match="/chat/completions is not there"):
            synthesize(make(url=server.url.removesuffix("/v1") + "/v2"), progress=False)


def test_a_server_that_fails_always_is_given_up(make):
    with serve(faults={"500": 1.0}) as server:
        config = make(url=server.url, retries=1)
        with pytest.raises(TeacherError, match=r"fails on every request \(status 500\), 20 in a row.* is kept"):
            synthesize(config, progress=False)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3),
        ({"retry-after": "3", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({}, None),
    ],
)
def test_how_long_a_server_wants_to_be_left_alone(headers, seconds):
    assert _retry_after(headers) == seconds


def test_a_date_until_which_a_server_wants_to_be_left_alone():
    assert 50 < _retry_after({"retry-after": formatdate(time.time() + 60, usegmt=True)}) <= 60
    assert _retry_after({"retry-after": formatdate(time.time() - 60, usegmt=True)}) == 0


def test_a_server_that_does_not_say_what_it_charges(make):
    with serve(usage=False) as server:
        summary = synthesize(make(url=server.url, limit=2, price={"input": 1, "output": 1}), progress=False)
    records = [json.loads(line) for line in (Path(make().output_dir) / "records.jsonl").read_text("utf-8").splitlines()]
    assert all(not record["charged"] and record["prompt_tokens"] > 100 for record in records)
    assert summary.cost > 0
