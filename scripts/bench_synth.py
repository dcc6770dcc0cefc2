"""Measure a synthesis against a server on this machine: overhead, what is lost when it is killed, and its estimate.

    python scripts/bench_synth.py [--requests 10000]

1. Overhead: processor time of this process for each request, at 64 at a time, with everything: key, HTTP, record,
   cleaning; and the wall-clock time, in which the server has its share of the processor.
2. Killed: about 10,000 requests of which 5 % fail (429, 500, too slow, cut off, malformed, evenly), and the process is
   killed (SIGKILL) after a third and after two thirds. Lost are requests without a record at the end; repeated are
   those that the server answered again although their record had been written.
3. Estimate: tokens that were estimated beforehand, and after the answers to 100 texts, against what was charged.

The server is tests/synth/local_server.py, a process of its own; the teacher's answers mean nothing. One JSON object is
written to standard output.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import random
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from seqgpt.data.sample import load_sample
from seqgpt.synth.asking import Asking
from seqgpt.synth.config import SynthConfig, load_synth_config
from seqgpt.synth.http_teacher import HttpTeacher
from seqgpt.synth.raw_texts import read_texts
from seqgpt.synth.recipes_out import clean_record
from seqgpt.synth.run import estimate_run, opened, pending, synthesize
from seqgpt.synth.tokens import Expectation

ROOT = Path(__file__).resolve().parent.parent
CONCURRENCY = 64
REQUESTS_A_TEXT = 3  # one of each task


def main() -> None:
    """Run the three measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, help="of the run that is killed (default: 10000)")
    parser.add_argument("--repeats", type=int, default=3, help="of the measurement of overhead (default: 3)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        texts = _texts(work, max(options.requests // REQUESTS_A_TEXT + 1, 400))
        found = {
            "python": platform.python_version(),
            "processor": platform.processor() or platform.machine(),
            "commit": _git("rev-parse", "--short", "HEAD"),
            "overhead": [_overhead(work, texts, repeat) for repeat in range(options.repeats)],
            "killed": _killed(work, texts, options.requests),
            "estimate": _estimate(work, texts),
        }
    print(json.dumps(found, indent=2))


def _overhead(work: Path, texts: Path, repeat: int = 0) -> dict[str, float]:
    with _server(work, "--latency", "0.02") as url:
        config = _config(work, f"overhead{repeat}", texts, url, limit=1000, tasks=["classify", "ner"])
        teacher = HttpTeacher(config.teacher)
        with opened(config) as records:
            found = read_texts(config.texts).texts
            asking = Asking(
                config,
                teacher,
                records,
                Expectation(config),
                None,
                lambda request, record: len(clean_record(request, record).rejected),
            )

            async def run() -> None:
                await asking.ask(pending(config, found, records), progress=False)
                await teacher.close()

            wall, processor = time.perf_counter(), time.process_time()
            asyncio.run(run())
            wall, processor = time.perf_counter() - wall, time.process_time() - processor
            number = len(records)
        stats = _stats(url)
    return {
        "requests": number,
        "concurrency": CONCURRENCY,
        "at_once_at_the_server": stats["at_once"],
        "processor_ms_per_request": round(1000 * processor / number, 3),
        "wall_ms_per_request": round(1000 * wall / number, 3),
    }


def _killed(work: Path, texts: Path, requests: int) -> dict[str, Any]:
    with _server(work, "--faults", "0.05", "--slow", "4") as url:
        config = _config(work, "killed", texts, url, limit=requests // REQUESTS_A_TEXT + 1)
        records, file = Path(config.output_dir) / "records.jsonl", work / "killed.yaml"
        unrecorded, killed_at = 0, []
        for share in (1 / 3, 2 / 3):
            process = subprocess.Popen(
                [sys.executable, "-m", "seqgpt", "synthesize", str(file)],
                cwd=ROOT,
                stderr=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )
            while _lines(records) < share * requests:
                if process.poll() is not None:
                    raise RuntimeError("the synthesis ended before it was killed")
                time.sleep(0.02)
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(1.0)  # the server finishes what was under way
            stats = _stats(url)
            killed_at.append(_lines(records))
            unrecorded = stats["answered"] - killed_at[-1]
        began = time.perf_counter()
        summary = synthesize(config, progress=False)
        seconds = time.perf_counter() - began
        with opened(config) as read:
            lost = len(pending(config, summary.texts.texts, read))
        keys = [json.loads(line)["key"] for line in records.read_text(encoding="utf-8").splitlines()]
        stats = _stats(url)
    return {
        "requests": len(set(keys)),
        "killed_after_records": killed_at,
        "faults": stats["failed"],
        "lost": lost,
        "recorded_twice": len(keys) - len(set(keys)),
        "answered_twice": stats["answered_twice"],
        "of_these_under_way_when_killed": unrecorded,
        "repeated_after_their_record": stats["answered_twice"] - unrecorded,
        "failed_after_all_retries": summary.failed.total(),
        "seconds_of_the_last_part": round(seconds, 1),
    }


def _estimate(work: Path, texts: Path) -> dict[str, Any]:
    tokenizer = _tokenizer(work, texts)
    found: dict[str, Any] = {}
    with _server(work, "--tokenizer", str(tokenizer)) as url:
        config = _config(work, "estimate", texts, url, limit=1000)
        exact = _config(work, "exact", texts, url, limit=1000, tokenizer=str(tokenizer))
        estimates = {"before, by rule": estimate_run(config), "before, with the tokenizer": estimate_run(exact)}
        pilot = _config(work, "pilot", texts, url, limit=100, output_dir=config.output_dir)
        synthesize(pilot, progress=False)
        paid = _stats(url)
        estimates["after 100 texts, by rule"] = estimate_run(config)
        synthesize(config, progress=False)
        charged = _stats(url)
    for name, estimated in estimates.items():
        before = paid if name.startswith("after") else {"prompt_tokens": 0, "completion_tokens": 0}
        found[name] = {}
        for kind in ("prompt_tokens", "completion_tokens"):
            said = before[kind] + sum(getattr(part, kind) for part in estimated.parts.values())
            found[name][kind] = {"estimated": round(said), "charged": charged[kind], "off": _off(said, charged[kind])}
        total = sum(one["estimated"] for one in found[name].values())
        found[name]["all"] = _off(total, charged["prompt_tokens"] + charged["completion_tokens"])
    return found


def _off(said: float, charged: float) -> str:
    return f"{said / charged - 1:+.1%}"


def _config(work: Path, name: str, texts: Path, url: str, **options: Any) -> SynthConfig:
    """Write a config, and read it."""
    values = {
        "output_dir": options.get("output_dir", str(work / name)),
        "tasks": options.get("tasks", ["classify", "ner", "typing"]),
        "texts": {"paths": [str(texts)], "limit": options["limit"], "data_root": str(work)},
        "teacher": {
            "url": url,
            "model": "teacher",
            "concurrency": CONCURRENCY,
            "timeout_s": 2,
            "price": {"input": 1, "output": 1},
            **({"tokenizer": options["tokenizer"]} if "tokenizer" in options else {}),
        },
    }
    file = work / f"{name}.yaml"
    file.write_text(yaml.safe_dump(values), encoding="utf-8")
    return load_synth_config(file)


def _texts(work: Path, number: int) -> Path:
    """Write texts in both languages, of the words of the bundled examples."""
    rng = random.Random(0)  # noqa: S311  (texts, no secrets)
    examples = load_sample("train")
    english = [word for example in examples if example.language == "en" for word in example.text.split()]
    chinese = [piece for example in examples if example.language == "zh" for piece in example.text.split("，")]
    file = work / "texts.jsonl"
    with file.open("w", encoding="utf-8") as lines:
        for i in range(number):
            if i % 2:
                text = " ".join(rng.choices(english, k=rng.randint(15, 120)))
            else:
                text = "，".join(rng.choices(chinese, k=rng.randint(4, 25))) + "。"
            lines.write(json.dumps({"text": text}, ensure_ascii=False) + "\n")
    return file


def _tokenizer(work: Path, texts: Path) -> Path:
    """Train a byte-level tokenizer on the texts and on the bundled examples: what the server charges by."""
    tokenizer: Any = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer: Any = trainers.BpeTrainer(vocab_size=16_000, show_progress=False)
    words = [json.loads(line)["text"] for line in texts.read_text(encoding="utf-8").splitlines()]
    tokenizer.train_from_iterator([*words, *(example.text for example in load_sample("train"))], trainer)
    path = work / "tokenizer.json"
    tokenizer.save(str(path))
    return path


@contextmanager
def _server(work: Path, *arguments: str) -> Iterator[str]:
    """Run the server; its URL."""
    port_file = work / "port"
    port_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "tests.synth.local_server", "--port-file", str(port_file), *arguments]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        while not (port_file.exists() and port_file.read_text()):
            if process.poll() is not None:
                raise RuntimeError("the server did not start")
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port_file.read_text()}/v1"
    finally:
        process.kill()
        process.wait()


def _stats(url: str) -> dict[str, Any]:
    with urllib.request.urlopen(url.removesuffix("/v1") + "/stats") as response:  # noqa: S310  (on this machine)
        found: dict[str, Any] = json.loads(response.read())
    return found


def _lines(file: Path) -> int:
    return file.read_bytes().count(b"\n") if file.exists() else 0


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip()


if __name__ == "__main__":
    main()
