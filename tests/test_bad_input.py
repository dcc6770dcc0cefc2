"""Strange, hostile and huge input through ``predict``: an exact result or one clear error, in bounded memory."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt import AtomicTask
from seqgpt.data.sample import load_sample
from seqgpt.errors import SeqGPTError
from seqgpt.results import result_from_dict
from tests.engine import reference
from tests.strategies import quick, tasks, texts

ROOT = Path(__file__).resolve().parent.parent
HALF = "\ud83d"
HUGE = "ab " * 350_000  # more than a megabyte
ODD_TEXTS = {
    "zero-width": "a\u200bb\u2060上\ufeff海\u200d",
    "nothing but zero-width": "\u200b\u200d\ufeff",
    "control": "\x00a\x07\x1b[31mb\x7f\x9b",
    "combining": "\u0301e\u0301\u0323\u0301",
    "right to left": "a\u202eb\u202c",
    "no characters": "\ufffe\ue000\U0010ffff\u0378",
    "white space of all kinds": "\x1ca\x85b\u2028c\u3000d\u00a0",
    "labels": "person 地点",
}
ODD_LABELS = ["person", "地点", "person\u200b", "\u200b", "\x00", "per", "<|end|>"]
SEED = 4  # of random weights that open few enough spans
PREFIXES = ["人", "人名", "人名字", "人 名", "人\n", "人\u200b"]


# Exact results: those of brute force over all strings of the text and all labels


@pytest.mark.slow
@pytest.mark.parametrize("text", ODD_TEXTS.values(), ids=ODD_TEXTS)
def test_odd_characters_are_characters_like_others(text, tiny):
    model, task = tiny("qwen3", SEED), AtomicTask.extract(ODD_LABELS)
    result = model.predict(text, task, threshold=0.1)
    assert result.spans
    assert not result.truncated
    assert result_from_dict(json.loads(json.dumps(result.to_dict()))) == result
    for label, expected in reference.extract(model, text, task, threshold=0.1).items():
        assert {(span.start, span.end): span.score for span in result[label]} == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("text", ["person", "地点 person"])
def test_a_label_may_stand_in_the_text_and_be_its_own_span(text, tiny):
    model, task = tiny("qwen3", SEED), AtomicTask.extract(["person", "地点"])
    result = model.predict(text, task, threshold=0.005)
    assert not result.truncated
    assert ("person", "person") in {(span.label, span.text) for span in result.spans}
    for label, expected in reference.extract(model, text, task, threshold=0.005).items():
        assert {(span.start, span.end): span.score for span in result[label]} == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("labels", [PREFIXES, PREFIXES[::-1], ODD_LABELS])
@pytest.mark.parametrize("options", [{}, {"none": True}, {"multi_label": True}], ids=str)
def test_labels_that_are_prefixes_of_others_win_by_their_probability_only(labels, options, tiny):
    model, task = tiny("llama"), AtomicTask.classify(labels, **options)
    result = model.predict("王芳", task)
    expected = reference.classify(model, "王芳", task)
    none = expected.pop(None, 0.0)
    assert result.scores == pytest.approx(expected, abs=1e-4)
    if not task.multi_label:
        assert sum(result.scores.values()) == pytest.approx(1 - none, abs=1e-5)


@pytest.mark.slow
def test_ten_thousand_exclusive_labels_share_one_probability(tiny):
    labels = [f"label number {i}" for i in range(10_000)]
    result = tiny("qwen3").predict("Tim Cook visited 上海.", AtomicTask.classify(labels))
    assert sum(result.scores.values()) == pytest.approx(1, abs=1e-4)
    assert result.label == max(result.scores, key=result.scores.__getitem__)


@pytest.fixture(scope="module")
def narrow():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("seqgpt.engine.reading.MAX_WINDOW_TOKENS", 16)
        yield


@pytest.mark.slow
@quick
@given(text=st.lists(texts, min_size=1, max_size=4).map("\n ".join), task=tasks(), flat=st.booleans())
def test_any_text_may_be_read_in_parts(text, task, flat, tiny, narrow):
    result = tiny("qwen3", 1).predict(text, task, threshold=0.2, overlap="flat" if flat else "allow")
    assert (result.text, result.task) == (text, task)  # the results check all else themselves
    assert not any("no more" in warning for warning in result.warnings)
    assert result_from_dict(json.loads(json.dumps(result.to_dict()))) == result


# One clear error: one line that names the place and shows no more of the value than is needed


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "task", "words"),
    [
        (HUGE + HALF, ["a"], f"the text has half of a surrogate pair at {len(HUGE)}: decode it"),
        (["x", HALF], ["a"], "text 2: the text has half of a surrogate pair at 0: decode it"),
        ("x", [HUGE + HALF], "has half of a surrogate pair: decode it"),
        ("x", {"a": HUGE + HALF}, "the description of 'a' has half of a surrogate pair: decode it"),
        (" \n\u3000" * 400_000, ["a"], "the text is empty: give"),
        ("\x1c\x85\u2028", ["a"], "the text is empty: give"),
        ("x", [HUGE], r"have \d+ tokens, and the model reads \d+ with the text: shorten label 'ab ab"),
        ("x", AtomicTask.classify(["a", HUGE]), "shorten label 'ab ab"),
        ("x", {"a": HUGE}, "describe fewer labels at once, or in fewer words"),
        ("x", [HUGE, HUGE], "is given twice: give each label once"),
        ("x", HUGE, "labels must be a list or a dict, not the string 'ab ab"),
        ("x", [[HUGE]], r"a label must be a string, not \['ab ab"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else None,
)
def test_what_cannot_be_answered_is_one_short_error(text, task, words, tiny):
    with pytest.raises(SeqGPTError, match=words) as caught:
        tiny("qwen3").predict(text, task)
    assert len(str(caught.value)) < 400
    assert "\n" not in str(caught.value)
    str(caught.value).encode()


@pytest.mark.parametrize("options", [{"threshold": {HUGE: 0.5}}, {"threshold": {"a" + HALF: 0.5}}, {"overlap": HUGE}])
def test_options_that_cannot_be_are_one_short_error(options, tiny):
    with pytest.raises(SeqGPTError) as caught:
        tiny("qwen3").predict("x", ["a"], **options)
    assert len(str(caught.value)) < 400
    str(caught.value).encode()


def test_a_text_that_cannot_be_read_is_named_wherever_texts_come_from(tiny):
    model, task = tiny("qwen3"), AtomicTask.extract(["a"])
    for answers in (
        lambda: list(model.predict_iter(iter(["x", HALF]), task)),
        lambda: model.predict_pairs([("x", task), (HALF, task)]),
    ):
        with pytest.raises(SeqGPTError, match=r"^text 2: the text has half of a surrogate pair at 0"):
            answers()


# Bounded time and memory


MEASURED = """\
import json, resource, sys, time, torch
from seqgpt import AtomicTask, SeqGPT

torch.set_num_threads(1)
asked = json.load(sys.stdin)
model = SeqGPT.from_pretrained(sys.argv[1], device="cpu")
tasks = [AtomicTask.from_dict(record) for record in asked["tasks"]]
for task in tasks:
    model.predict("Warm up.", task.with_labels(task.labels[:1]))
before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
results = [model.predict(asked["text"], task, threshold=0.9) for task in tasks]
seconds = time.process_time() - began
grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
unit = 2**20 if sys.platform == "darwin" else 2**10
json.dump({"megabytes": grown / unit, "seconds": seconds, "results": [r.to_dict() for r in results]}, sys.stdout)
"""
PROSE = " ".join(example.text for example in load_sample("train"))
EXTRACT = {"task": "extract", "labels": ["person", "地点"]}
MANY = [f"label number {i}" for i in range(10_000)]
ALL = [{"task": "extract", "labels": MANY}, {"task": "classify", "labels": MANY, "multi_label": True}]


def repeated(text: str, size: int) -> str:
    """Repeat a text up to a number of bytes."""
    return (text * (size // len(text.encode()) + 1)).encode()[:size].decode(errors="ignore")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "tasks", "positions"),
    [
        (repeated(PROSE, 10**6), [EXTRACT], 512),
        ("." * 200_000, [{"task": "classify", "labels": ["a", "b"]}], 512),
        ("Tim Cook visited 上海.", ALL, 512),
        (repeated(PROSE, 50_000), [EXTRACT], 40_960),
    ],
    ids=["1 MB of prose", "200 KB of full stops", "10,000 labels", "a model that could read 40,960 tokens"],
)
def test_memory_is_bounded(text, tasks, positions, tiny, tmp_path):
    """Half a gigabyte above the model, whatever is asked: masks have up to some 170 MB, and there are a few of them."""
    pytest.importorskip("resource")
    tiny("qwen3").save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(config | {"max_position_embeddings": positions}))
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, str(tmp_path)],
        input=json.dumps({"text": text, "tasks": tasks}),
        check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    measured = json.loads(done.stdout)
    assert measured["megabytes"] < 512
    for record, task in zip(measured["results"], tasks, strict=True):
        result = result_from_dict(record)
        assert (result.text, list(result.task.labels)) == (text, task["labels"])
        assert len(text) < 1000 or result.warnings[0].startswith("the text was read in ")
