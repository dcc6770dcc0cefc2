"""A synthesis as a whole: whatever fails on the way, the same comes out, and nothing is asked twice."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from seqgpt.data.recipe import load_recipe
from seqgpt.errors import ConfigError, DataError, RunError
from seqgpt.examples import read_records
from seqgpt.results import Classification, check_grounded
from seqgpt.run_lock import run_lock
from seqgpt.synth import Completion, ScriptedTeacher, synthesize
from seqgpt.synth.batch_files import export_batch, import_batch
from seqgpt.synth.run import estimate_run, rewrite
from seqgpt.synth.scripted import scripted_answer
from seqgpt.synth.teacher import PassingError, TeacherError
from tests.synth.conftest import written
from tests.synth.local_server import FAULTS, serve

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def expected(make):
    """What comes out where nothing fails."""
    config = make("expected")
    synthesize(config, teacher=ScriptedTeacher(), progress=False)
    return written(config.output_dir)


# The same comes out


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 64])
def test_a_server_gives_what_a_script_gives(make, expected, concurrency):
    with serve(latency_s=0.002) as server:
        config = make(url=server.url, concurrency=concurrency)
        synthesize(config, progress=False)
    assert written(config.output_dir) == expected
    assert server.state.at_once <= concurrency


@pytest.mark.slow
def test_faults_change_nothing(make, expected):
    with serve(faults=dict.fromkeys(FAULTS, 0.08), slow_s=1.0) as server:
        config = make(url=server.url, timeout_s=0.3, retries=12)
        summary = synthesize(config, progress=False)
    assert written(config.output_dir) == expected
    assert set(server.state.failed) == set(FAULTS)
    assert summary.retried.total() == server.state.failed.total()
    assert set(server.state.answered.values()) == {1}
    assert not summary.failed


@pytest.mark.slow
def test_what_is_answered_is_never_asked_again(make, expected):
    teacher = ScriptedTeacher()
    for limit in (5, 20, None):
        synthesize(make(limit=limit), teacher=teacher, progress=False)
    assert written(make().output_dir) == expected
    assert max(Counter(json.dumps(messages) for messages in teacher.asked).values()) == 1
    assert rewrite(make()).report == synthesize(make(), teacher=ScriptedTeacher(_never), progress=False).report


def _never(_):
    raise AssertionError("it was asked")


@pytest.mark.slow
def test_in_a_notebook(make, expected):
    """There a loop is running already."""

    async def cell():
        return synthesize(make(), teacher=ScriptedTeacher(), progress=False)

    asyncio.run(cell())
    assert written(make().output_dir) == expected


@pytest.mark.slow
def test_requests_that_fail_for_now_are_asked_by_the_next_run(make, expected):
    calls = Counter()

    def sometimes(messages):
        calls[json.dumps(messages)] += 1
        if calls.total() % 3 == 0:
            raise PassingError("busy")
        return scripted_answer(messages)

    summary = synthesize(make(retries=0, concurrency=1), teacher=ScriptedTeacher(sometimes), progress=False)
    assert summary.failed == {"busy": calls.total() // 3}
    synthesize(make(), teacher=ScriptedTeacher(), progress=False)
    assert written(make().output_dir) == expected


@pytest.mark.slow
def test_batch_files_give_what_asking_gives(make, expected, tmp_path):
    """Two rounds, for typing needs the mentions; the answers come in another order, and one not at all at first."""
    config, rounds = make(price={"input": 1, "output": 1, "batch": 0.5}), []
    for number in range(3):
        asked = [
            line
            for path, _ in export_batch(config, tmp_path / f"{number}.jsonl", most_requests=30)
            for line in lines(path)
        ]
        rounds.append(len(asked))
        answers = [answer(line, failed=number == 0 and i == 3) for i, line in enumerate(asked)]
        file = tmp_path / f"answers{number}.jsonl"
        file.write_text("".join(json.dumps(one) + "\n" for one in reversed(answers)), encoding="utf-8")
        summary, counts = import_batch(config, [file, file])
        assert counts["answered"] == len(asked) - (number == 0)
    assert rounds[0] == 80
    assert rounds[1] >= 38
    assert export_batch(config, tmp_path / "none.jsonl") == []
    assert written(config.output_dir) == expected
    assert summary.cost == pytest.approx(summary.requests * (100 + 50) * 0.5 / 1e6)


def lines(path):
    return [line for _, line in read_records(path)]


def answer(line, *, failed):
    if failed:
        return {"custom_id": line["custom_id"], "response": {"status_code": 500, "body": {}}, "error": None}
    assert (line["method"], line["url"], line["body"]["model"]) == ("POST", "/v1/chat/completions", "teacher")
    message = {"content": json.dumps(scripted_answer(line["body"]["messages"]), ensure_ascii=False)}
    body = {
        "choices": [{"message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 100, "completion_tokens": 50},
    }
    return {"custom_id": line["custom_id"], "response": {"status_code": 200, "body": body}, "error": None}


def test_lines_of_a_batch_that_belong_elsewhere_are_counted(make, tmp_path):
    file = tmp_path / "answers.jsonl"
    file.write_text('{"custom_id": "other"}\nno json\n{}\n', encoding="utf-8")
    assert import_batch(make(), [file])[1] == {"of other requests": 1, "not a line of a batch": 2}


@pytest.mark.slow
@pytest.mark.parametrize("change", [{"choices": []}, {"choices": [{"message": {"content": [1]}}]}, {"usage": [1]}])
def test_answers_of_a_batch_that_are_none_are_asked_again(make, tmp_path, change):
    (path, _), *_ = export_batch(make(), tmp_path / "requests.jsonl")
    whole = answer(lines(path)[0], failed=False)
    whole["response"]["body"] |= change
    file = tmp_path / "answers.jsonl"
    file.write_text(json.dumps(whole) + "\n", encoding="utf-8")
    assert import_batch(make(), [file])[1] == {"failed, to be asked again": 1}


# Killed, interrupted, out of money, out of space


@pytest.mark.slow
def test_killed_and_started_again(make, expected, tmp_path):
    """No answer that is recorded is asked for again, and all are there in the end."""
    with serve(latency_s=0.05, faults={"500": 0.05}) as server:
        config = make(url=server.url)
        file = tmp_path / "config.yaml"
        synthesize(replace(config, texts=replace(config.texts, limit=1)), teacher=ScriptedTeacher(), progress=False)
        (Path(config.output_dir) / "synthesis.yaml").replace(file)
        values = yaml.safe_load(file.read_text())
        values["texts"]["limit"] = None
        values["teacher"]["concurrency"] = 4
        file.write_text(yaml.safe_dump(values))
        records = Path(config.output_dir) / "records.jsonl"
        recorded = []
        for least in (25, 60):
            process = subprocess.Popen(
                [sys.executable, "-m", "seqgpt", "synthesize", str(file)], cwd=ROOT, stderr=subprocess.DEVNULL
            )
            while records.read_bytes().count(b"\n") < least:
                assert process.poll() is None
                time.sleep(0.01)
            process.send_signal(signal.SIGKILL)
            process.wait()
            recorded.append(len(lines(records)))
        synthesize(config, progress=False)
    keys = [line["key"] for line in lines(records)]
    assert len(keys) == len(set(keys))
    assert recorded[0] < recorded[1] < len(keys)
    assert written(config.output_dir) == expected
    assert server.state.answered.total() - len(server.state.answered) <= 2 * 4  # of those that were under way


@pytest.mark.slow
def test_interrupted(make, expected):
    """The requests that are under way are waited for, for they are paid; no new ones are asked."""
    asked = []

    def script(messages):
        asked.append(messages)
        if len(asked) == 10:
            threading.Thread(target=os.kill, args=(os.getpid(), signal.SIGINT)).start()
        return scripted_answer(messages)

    class Slow(ScriptedTeacher):
        async def complete(self, request):
            done = await super().complete(request)
            await asyncio.sleep(0.02)
            return done

    with pytest.raises(KeyboardInterrupt):
        synthesize(make(), teacher=Slow(script), progress=False)
    assert len(lines(Path(make().output_dir) / "records.jsonl")) == len(asked) < 100
    synthesize(make(), teacher=ScriptedTeacher(), progress=False)
    assert written(make().output_dir) == expected


def test_what_waits_for_its_turn_is_not_asked_after_an_interruption(make):
    """It is not under way, and would be paid for nothing."""
    asked = []

    def script(messages):
        asked.append(messages)
        if len(asked) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return scripted_answer(messages)

    with pytest.raises(KeyboardInterrupt):
        synthesize(make(requests_per_minute=1200), teacher=ScriptedTeacher(script), progress=False)
    assert len(asked) == 3


@pytest.mark.slow
def test_a_teacher_that_breaks_while_others_are_answered(make, expected):
    """What is under way is paid, so it is waited for and recorded; then it is told what is wrong."""
    asked = []

    class Breaks(ScriptedTeacher):
        async def complete(self, request):
            asked.append(request.key)
            number = len(asked)
            await asyncio.sleep(0.01 if number == 12 else 0.05)
            if number == 12:
                raise TeacherError("no credit left")
            return await super().complete(request)

    with pytest.raises(TeacherError, match="no credit left"):
        synthesize(make(), teacher=Breaks(), progress=False)
    recorded = {line["key"] for line in lines(Path(make().output_dir) / "records.jsonl")}
    assert recorded == set(asked) - {asked[11]}
    assert len(asked) < 30
    synthesize(make(), teacher=ScriptedTeacher(), progress=False)
    assert written(make().output_dir) == expected


@pytest.mark.slow
@pytest.mark.parametrize("max_cost", [0.002, 0.02])
def test_no_more_is_spent_than_may_be(make, max_cost):
    said = lambda messages: Completion(json.dumps(scripted_answer(messages)), 400, 300)  # noqa: E731
    options = {"price": {"input": 1, "output": 2}, "max_cost": max_cost, "limit": 20}
    summary = synthesize(make(**options), teacher=ScriptedTeacher(said), progress=False)
    assert summary.stopped == "max_cost"
    assert max_cost * 0.4 < summary.cost <= max_cost
    again = synthesize(make(**options), teacher=ScriptedTeacher(_never), progress=False)
    assert again.cost == summary.cost
    more = synthesize(make(**options | {"max_cost": 1.0}), teacher=ScriptedTeacher(said), progress=False)
    assert (more.stopped, more.cost) == ("", pytest.approx(60 * 0.001, rel=0.02))


def test_max_cost_needs_a_price(make):
    with pytest.raises(ConfigError, match=r"max_cost is set, but no price is known for 'teacher': give teacher.price"):
        synthesize(make(max_cost=1.0), teacher=ScriptedTeacher())


@pytest.mark.slow
def test_a_full_disk_while_asking(make, expected, monkeypatch):
    write, count = os.write, []

    def full(number, line):
        count.append(1)
        if len(count) == 20:
            raise OSError(28, "No space left on device")
        return write(number, line)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(
            RunError, match=r"records\.jsonl: No space left on device\. What was answered before is kept"
        ):
            synthesize(make(), teacher=ScriptedTeacher(), progress=False)
    synthesize(make(), teacher=ScriptedTeacher(), progress=False)
    assert written(make().output_dir) == expected


@pytest.mark.slow
def test_a_full_disk_while_writing(make, expected, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("seqgpt.synth.recipes_out.to_disk", full)
        with pytest.raises(RunError, match=r"No space left on device\. The answers are kept: make room"):
            synthesize(make(), teacher=ScriptedTeacher(), progress=False)
    assert not list(Path(make().output_dir).glob("*/train.jsonl"))
    rewrite(make())
    assert written(make().output_dir) == expected


def test_one_run_at_a_time(make):
    folder = Path(make().output_dir)
    folder.mkdir()
    with run_lock(folder), pytest.raises(RunError, match="is in use by process"):
        synthesize(make(), teacher=ScriptedTeacher())


def test_records_with_a_broken_line(make):
    folder = Path(make().output_dir)
    folder.mkdir()
    (folder / "records.jsonl").write_text("{}\n{}\n")
    with pytest.raises(DataError, match="line 1 is no record"):
        synthesize(make(), teacher=ScriptedTeacher())


# What comes out


@pytest.mark.slow
def test_what_is_written_is_recipe_data(make):
    config = make(described=0.5, validation=0.2)
    summary = synthesize(config, teacher=ScriptedTeacher(), progress=False)
    assert len(summary.written.recipes) == 6
    described = 0
    for path in summary.written.recipes:
        recipe = load_recipe(path)
        assert recipe.synthetic
        assert recipe.splits() == ["train", "validation"]
        train, validation = recipe.examples("train"), recipe.examples("validation")
        language, task = path.stem.split("_")[1:]
        assert len(train) + len(validation) == summary.written.examples[language, task]
        assert {example.text for example in train}.isdisjoint(example.text for example in validation)
        for example in train:
            described += bool(example.task.descriptions)
            assert example.task.multi_label == isinstance(example.gold, Classification)
            for span in getattr(example.gold, "spans", ()):
                check_grounded(span, example.text)
    total = summary.written.examples.total()
    assert 0.35 * total < described < 0.65 * total


@pytest.mark.slow
def test_what_another_choice_of_tasks_left_is_taken_away_and_nothing_else(make):
    folder = Path(make().output_dir)
    synthesize(make(validation=0.5), teacher=ScriptedTeacher(), progress=False)
    (folder / "stage1_en_ner" / "mine.jsonl").write_text("")
    (folder / "stage1_my_ner.yaml").write_text("")
    synthesize(make(validation=0.0, tasks=["classify"]), teacher=ScriptedTeacher(_never), progress=False)
    left = {str(path.relative_to(folder)) for path in folder.rglob("stage1_*") if path.is_file()}
    left |= {str(path.relative_to(folder)) for path in folder.glob("*/*")}
    assert left == {
        "stage1_en_classify.yaml",
        "stage1_zh_classify.yaml",
        "stage1_en_classify/train.jsonl",
        "stage1_zh_classify/train.jsonl",
        "stage1_en_ner/mine.jsonl",
        "stage1_my_ner.yaml",
    }


def test_an_answer_in_the_other_language_gives_no_example(make):
    labels = [{"label": "新闻", "description": "一种文体"}]
    summary = synthesize(
        make(tasks=["classify"]),
        teacher=ScriptedTeacher(lambda _: {"sets": [{"labels": labels, "near_misses": []}]}),
        progress=False,
    )
    assert summary.written.examples == {("zh", "classify"): 20}
    assert summary.written.rejected["label: in the other language"] == 20
    rejected = lines(Path(make().output_dir) / "rejected.jsonl")
    assert Counter(line["reason"] for line in rejected) == summary.written.rejected


def test_given_mentions_are_typed_without_entities(make, tmp_path):
    file = tmp_path / "mentions.jsonl"
    file.write_text(json.dumps({"text": "Ann met Bob in Basel.", "who": ["Bob", "Ann"]}) + "\n")
    config = make()
    config = replace(config, tasks=["typing"], texts=replace(config.texts, paths=[str(file)], mentions="who"))
    teacher = ScriptedTeacher()
    summary = synthesize(config, teacher=teacher, progress=False)
    assert teacher.asked[0][1]["content"].endswith('Mentions: ["Ann", "Bob"]')
    assert summary.written.examples == {("en", "typing"): 2}


@pytest.mark.slow
def test_the_report_has_a_picture(make):
    summary = synthesize(make(price={"input": 1, "output": 1}), teacher=ScriptedTeacher(), progress=False)
    folder = Path(make().output_dir)
    assert (folder / "labels.png").read_bytes().startswith(b"\x89PNG")
    report = (folder / "report.md").read_text("utf-8")
    assert report == summary.report
    rows = [line for line in report.splitlines() if line.startswith(("| En ", "| Zh ", "| all "))][:7]
    assert [row.split(" | ")[1] for row in rows[:-1]] == ["classification", "entity typing", "NER"] * 2
    instances, labels = zip(
        *([int(cell.strip(" |").replace(",", "")) for cell in row.split(" | ")[2:]] for row in rows), strict=True
    )
    assert sum(instances[:-1]) == instances[-1] == summary.written.examples.total()
    assert sum(labels[:-1]) == labels[-1]
    assert sum(line["holds"] > 0 for line in lines(folder / "labels.jsonl")) == labels[-1]


# Estimates


@pytest.mark.slow
def test_an_estimate_that_has_seen_a_few_answers_is_near(make):
    with serve() as server:
        synthesize(make(url=server.url, limit=20), progress=False)
        paid = server.state.prompt_tokens + server.state.completion_tokens
        estimated = estimate_run(make(url=server.url))
        asked = server.state.asked.total()
        synthesize(make(url=server.url), progress=False)
    requests = sum(part.requests for part in estimated.parts.values())
    assert requests == pytest.approx(server.state.asked.total() - asked, abs=3)
    charged = server.state.prompt_tokens + server.state.completion_tokens - paid
    assert estimated.tokens == pytest.approx(charged, rel=0.15)  # of 20 texts; the bench has a thousand


@pytest.mark.slow
def test_an_estimate_asks_nobody_and_says_what_it_is(make):
    first = estimate_run(make(price={"input": 1, "output": 1}))
    assert first.cost == pytest.approx(first.tokens / 1e6)
    assert "A guess for en classify" in first.to_markdown()
    assert "No price is known" in estimate_run(make()).to_markdown()
    synthesize(make(), teacher=ScriptedTeacher(), progress=False)
    assert estimate_run(make()).tokens == 0
