"""``compat="released"``: what ``generate`` writes with the settings of the released code, read by the template."""

import pytest
import torch

from seqgpt.engine import released_code
from seqgpt.errors import ConfigError
from seqgpt.tasks import AtomicTask
from seqgpt.templates.released import ReleasedTemplate

TEXT = "  Tim Cook visited Shanghai. "
LABELS = [f"label {i}" for i in range(8)]


@pytest.fixture(autouse=True)
def short_answers(monkeypatch):
    monkeypatch.setattr(released_code, "MAX_NEW_TOKENS", 12)
    monkeypatch.setitem(released_code._GENERATION, "max_new_tokens", 12)


def by_hand(model, task, prompts):
    """Do what the released script does."""
    tokenizer = model.tokenizer
    tokenizer.padding_side = tokenizer.truncation_side = "left"
    inputs = tokenizer(prompts, return_tensors="pt", padding=True, truncation=True, max_length=1024)
    tokenizer.padding_side = tokenizer.truncation_side = "right"
    with torch.no_grad():
        outputs = model.model.generate(
            **inputs, num_beams=4, do_sample=False, max_new_tokens=12, repetition_penalty=2.0
        )
    return tokenizer.batch_decode(outputs[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)


@pytest.mark.parametrize("model_type", ["bloom", "gpt2"])
def test_an_extraction_is_that_of_the_released_code(model_type, released):
    model, task = released(model_type), AtomicTask.extract(LABELS)
    joined = ["，".join(LABELS[:4]), "，".join(LABELS[4:])]
    answers = by_hand(model, task, [f"输入: {TEXT.strip()}\n抽取: {labels}\n输出: [GEN]" for labels in joined])
    result = model.predict(TEXT, task, compat="released")
    assert result.raw == "\n".join(answers)
    assert result.spans == task.parse(result.raw, TEXT, template=ReleasedTemplate.name).spans
    assert result.truncated
    assert result.warnings[0] == "an answer was cut off after 12 tokens."


def test_a_classification_is_that_of_the_released_code(released):
    model, task = released("bloom"), AtomicTask.classify(["praise", "complaint"], none=True)
    (answer,) = by_hand(model, task, [f"输入: {TEXT.strip()}\n分类: praise，complaint\n输出: [GEN]"])
    assert model.predict([TEXT], task, compat="released")[0].raw == answer


def test_the_head_of_a_long_text_is_cut_off_and_the_result_says_so(released, monkeypatch):
    monkeypatch.setattr(released_code, "MAX_PROMPT_TOKENS", 30)
    result = released("bloom").predict("word " * 60, ["thing"], compat="released")
    assert result.truncated
    assert "tokens of the prompt were not read" in result.warnings[0]


def test_a_model_of_another_template_has_no_released_code(tiny):
    with pytest.raises(
        ConfigError, match="is for models of template 'seqgpt-560m', and this one is of 'seqgpt-marks-4'"
    ):
        tiny("bloom").predict("x", ["a"], compat="released")


def test_no_threshold_where_there_are_no_probabilities(released):
    with pytest.raises(ConfigError, match="computes no probabilities: leave threshold out"):
        released("bloom").predict("x", ["a"], compat="released", threshold=0.5)


def test_what_is_asked_about_is_read_by_the_released_code(released, monkeypatch):
    model, read = released("bloom"), []
    tokenizer = type(model.tokenizer)
    call = tokenizer.__call__
    monkeypatch.setattr(
        tokenizer, "__call__", lambda self, words, **named: read.append(words) or call(self, words, **named)
    )
    model.predict(TEXT, AtomicTask.extract(["employer"], about="Ann"), compat="released")
    assert all("\tAnn\n抽取: employer" in words[0] for words in read)
    assert read
