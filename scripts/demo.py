"""Show what the model that comes with the library says of new texts, then teach it labels it has never seen.

Run by `make demo`. Nothing is downloaded. What is learnt goes to runs/demo, and is not learnt again in
a second run.
"""

from __future__ import annotations

import logging
import sys
import time
from pathlib import Path
from typing import Any

import torch
import transformers.utils.logging

import seqgpt
from seqgpt import AtomicTask, Classification, Example, SeqGPT, SeqGPTError
from seqgpt.composite import reading, schema
from seqgpt.model_files import SETTINGS_FILE

_HERE = Path(__file__).resolve().parent
_TUNED = Path("runs/demo")

_TEXTS = [
    (
        "The singer Adele will play three nights at Wembley Stadium in London next July, the BBC reports.",
        AtomicTask.extract(["person", "organization", "location", "date"]),
    ),
    (
        "王芳2019年从复旦大学毕业后，加入了位于深圳的华为公司。",
        AtomicTask.extract(["人物", "学校", "公司", "地点", "时间"]),
    ),
    (
        "wake me up at half past six tomorrow and play some jazz",
        AtomicTask.classify(["set an alarm", "play music", "weather", "book a restaurant"], multi_label=True),
    ),
    ("帮我订一张明天早上八点从上海到北京的高铁票", AtomicTask.extract(["出发地", "目的地", "日期", "时间"])),
    (
        "The battery lasts two days, but the screen is so dim that I cannot read it outside.",
        AtomicTask.extract(["praised feature", "criticized feature"]),
    ),
    ("房间很干净，前台态度也好，下次还会来。", AtomicTask.classify(["正面", "负面"])),
    (
        "The central bank raised interest rates by a quarter point to slow down inflation.",
        AtomicTask.classify(["sports", "economy", "technology", "entertainment"]),
    ),
    ("中国女排三比零战胜对手，挺进决赛。", AtomicTask.classify(["体育", "财经", "科技", "娱乐"])),
]
_RELATION = ("Marie Curie was born in Warsaw and taught at the University of Paris.", {"person": ["place of birth"]})
_EVENT = ("昨天下午，四川省雅安市发生6.1级地震，造成4人死亡。", {"地震": ["时间", "地点", "震级", "死亡人数"]})
_QUESTION = ("The Danube rises in the Black Forest and flows into the Black Sea.", "Where does the Danube rise?")


def main() -> int:
    """Show, tune, compare; return the exit code."""
    # So small a model gains little from a second thread, and on a busy machine threads that wait cost far more.
    torch.set_num_threads(1)
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)  # it warns that a kernel nobody asked for is not there
    try:
        _show()
        _compare()
    except SeqGPTError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    return 0


def _show() -> None:
    started = time.perf_counter()
    model = SeqGPT.from_pretrained()
    print(f"{model!r}, opened in {time.perf_counter() - started:.1f} seconds\n")
    started = time.perf_counter()
    asked: list[tuple[str, Any]] = [*_TEXTS, *((text, schema(literal)) for text, literal in (_RELATION, _EVENT))]
    for (_, task), result in zip(asked, model.predict_pairs(asked), strict=True):
        if isinstance(task, AtomicTask):
            print(f"{task.kind}: {', '.join(task.labels)}")
        print(f"{result.to_terminal(color=sys.stdout.isatty())}\n")
    text, question = _QUESTION
    print(f"{text}\n  {question} {model.predict(text, reading(question)).answer or 'no answer'}\n")
    print(f"{len(asked) + 1} texts and their tasks took {time.perf_counter() - started:.1f} seconds on one core.\n")


def _compare() -> None:
    train, test = (seqgpt.read_jsonl(_HERE / f"requests_{part}.jsonl") for part in ("train", "test"))
    labels = train[0].task.labels
    print(f"Labels of your own: a caretaker sorts what tenants write into {', '.join(labels)}.")
    if (_TUNED / SETTINGS_FILE).is_file():
        print(f"The model that learnt them is in {_TUNED} (delete the folder to tune it again).\n")
    else:
        print(f"{len(train)} examples, {len(train) // len(labels)} of each label, English and Chinese …\n")
    started = time.perf_counter()
    # All weights, at a high rate: so small a model learns more so than with an adapter.
    tuned = seqgpt.tune(SeqGPT.from_pretrained(), train, output_dir=_TUNED, lora=None, learning_rate=1e-3)
    print(f"\nTuned in {time.perf_counter() - started:.0f} seconds. On {len(test)} other texts:\n")
    gold = [label for one in test if isinstance(one.gold, Classification) for label in one.gold.labels]
    before, after = (_answers(model, test) for model in (SeqGPT.from_pretrained(), tuned))
    for example, label, old, new in zip(test, gold, before, after, strict=True):
        if old != new:
            print(f"  {example.text}\n    before: {_marked(old, label)}   after: {_marked(new, label)}")
    right = [sum(map(str.__eq__, gold, answers)) for answers in (before, after)]
    print(f"\n  right before: {right[0]} of {len(test)}; after: {right[1]}\n")
    print('Try: .venv/bin/seqgpt predict --task extract --labels "person,place" "Tim Cook visited Shanghai."')


def _answers(model: SeqGPT, examples: list[Example]) -> list[str]:
    """Return the label that a model gives to each example."""
    results: list[Any] = model.predict_pairs([(one.text, one.task) for one in examples])
    return [result.label for result in results]


def _marked(label: str, gold: str) -> str:
    return f"{'✓' if label == gold else '✗'} {label}"


if __name__ == "__main__":
    sys.exit(main())
