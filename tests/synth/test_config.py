"""Configs of a synthesis: what is wrong is told, all at once, and keys are never repeated."""

from pathlib import Path

import pytest

from seqgpt.errors import ConfigError
from seqgpt.synth.config import load_synth_config
from seqgpt.synth.prices import find_price
from seqgpt.synth.prompts import LANGUAGES, LATEST, PROMPTS, render
from seqgpt.synth.scripted import scripted_answer, task_of

GOLDEN = Path(__file__).parent.parent / "golden" / f"{LATEST}.txt"
GOOD = """\
output_dir: out
texts: {paths: [a.jsonl]}
teacher: {url: "http://127.0.0.1:8000/v1", model: m}
"""


def load(tmp_path, text, *overrides):
    file = tmp_path / "synth.yaml"
    file.write_text(text, encoding="utf-8")
    return load_synth_config(file, overrides)


@pytest.mark.parametrize("name", ["local", "hosted"])
def test_shipped_configs(name):
    config = load_synth_config(name)
    assert find_price(config.teacher.model, config.teacher.price) is not None


def test_overrides(tmp_path):
    config = load(tmp_path, GOOD, "texts.limit=3", "teacher.parameters={top_k: 2}", "tasks=[ner]", "max_cost=1")
    assert (config.texts.limit, config.teacher.parameters, config.tasks, config.max_cost) == (
        3,
        {"top_k": 2},
        ["ner"],
        1,
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("paths", "path", r"unknown key 'texts.path' \(line 2\)\. Did you mean 'paths'"),
        ("output_dir: out", "output: out", "key 'output_dir' is missing"),
        ("output_dir: out", "output_dir: out\nmodel: m", "unknown key 'model' .* Did you mean 'teacher.model'"),
        ("output_dir: out", "output_dir: out\ntasks: [nre]", "unknown task 'nre'. Did you mean 'ner'"),
        ("output_dir: out", "output_dir: out\ntasks: [typing]", "task typing needs mentions"),
        (
            "output_dir: out",
            "output_dir: out\nprompts: seqgpt-synth-9",
            "unknown prompts 'seqgpt-synth-9'. Did you mean",
        ),
        ("output_dir: out", "output_dir: out\nname: a/b", "'name' is 'a/b': use letters"),
        ("output_dir: out", "output_dir: out\nmax_cost: many", "'max_cost' is 'many': give a number"),
        ("model: m", "model: m, answers: json", "'teacher.answers' is 'json': give auto or schema or object or text"),
        ("model: m", "model: m, parameters: {n: 3}", "'parameters' holds 'n', which is set elsewhere or fixed"),
        ("model: m", "model: m, concurrency: 0", "concurrency is 0: give at least 1"),
        ("model: m", "model: m, price: {input: 1}", "output of a price is None"),
        (
            "model: m",
            "model: m, price: {inputs: 1, output: 1}",
            "unknown key 'inputs' of a price. Did you mean 'input'",
        ),
        ("model: m", "model: m, parameters: {seed: 2024-01-01}", "'parameters' cannot be sent as JSON"),
        ("http:", "ftp:", "'url' is no http address"),
        ("texts: {paths: [a.jsonl]}\n", "", "key 'texts' is missing"),
        ("paths: [a.jsonl]", "paths: [a.jsonl], languages: [de]", "unknown language 'de': use en or zh"),
        ("output_dir: out", "output_dir: out\nlabel_sets: 0", "label_sets is 0: give at least 1"),
        ("output_dir: out", "output_dir: out\ndescribed: 2", "described is 2: give a share"),
    ],
)
def test_what_is_wrong_is_told(tmp_path, old, new, message):
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, GOOD.replace(old, new))


@pytest.mark.parametrize(
    "line",
    [
        "api_key_env: sk-secret-123",
        'api_key: "sk-secret-123"',
        'url: "http://me:sk-secret-123@h/v1"',
        'url: "http://h/v1?key=sk-secret-123"',
    ],
)
def test_a_key_in_the_config_is_refused_and_not_repeated(tmp_path, line):
    text = f"output_dir: out\ntexts: {{paths: [a.jsonl]}}\nteacher:\n  model: m\n  url: http://127.0.0.1\n  {line}\n"
    if line.startswith("url"):
        text = text.replace("  url: http://127.0.0.1\n", "")
    with pytest.raises(ConfigError) as told:
        load(tmp_path, text)
    assert "api_key_env" in str(told.value)
    assert "secret" not in str(told.value)


def test_an_override_that_sets_nothing(tmp_path):
    with pytest.raises(
        ConfigError, match=r"'limit=3' sets nothing that a synthesis has: write, for example, texts.limit"
    ):
        load(tmp_path, GOOD, "limit=3")


def test_prices():
    assert find_price("gpt-4o-mini-2024-07-18") == find_price("gpt-4o-mini")
    assert find_price("gpt-4o-mini-audio") is None
    assert find_price("any", {"input": 1, "output": 2}).cost(1e6, 1e6) == 3
    assert find_price("gpt-4o-mini").cost(1e6, 0, batch=True) == find_price("gpt-4o-mini").cost(1e6, 0) / 2


# Prompts


def all_prompts():
    parts = []
    for language in LANGUAGES:
        text = {"en": "Ann met {Bob} in {text}.", "zh": "张伟在{text}教书。"}[language]
        for task in PROMPTS[LATEST][language]:
            messages = render(LATEST, language, task, text, mentions=["Ann", '"Bob"'] if task == "typing" else ())
            parts += [f"== {language} {task} {message['role']}\n{message['content']}" for message in messages]
    return "\n\n".join(parts) + "\n"


def test_a_version_of_the_prompts_is_never_edited():
    """After a new version is made, and only then: ``python -m tests.synth.test_config``."""
    assert all_prompts() == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("task", ["classify", "ner", "typing"])
def test_a_script_knows_what_it_is_asked(language, task):
    messages = render(LATEST, language, task, "张伟，Ann.", mentions=["Ann"] if task == "typing" else ())
    assert task_of(messages) == (language, task)
    assert scripted_answer(messages) == scripted_answer(messages)


if __name__ == "__main__":
    GOLDEN.write_text(all_prompts(), encoding="utf-8")
