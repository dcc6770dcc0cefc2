"""Model cards: what a hub reads of them, and what a person does."""

from types import SimpleNamespace

import pytest
from huggingface_hub import ModelCard
from transformers import trainer as theirs

from seqgpt import Trainer
from seqgpt.training.model_card import CardSource, describe_source, model_card

CREATIVE = CardSource("a", 1200, ("en",), "CC BY 4.0", "org/a")


def test_the_front_matter_can_be_read_again():
    sources = [CREATIVE, CardSource("b|c", 3, ("zh", "en"), "unknown (research use)", synthetic=True)]
    metrics = {"eval_b_offset_f1": 0.51239, "eval_b_precision": 0.1, "eval_accuracy": 1.0, "eval_score": 0.75}
    card = ModelCard(str(model_card("me/it", sources, base_model="Qwen/Qwen3-0.6B", metrics=metrics, steps=4000)))
    data = card.data.to_dict()
    assert data["language"] == ["en", "zh"]
    assert data["license"] == "other"
    assert data["base_model"] == "Qwen/Qwen3-0.6B"
    assert data["datasets"] == ["org/a"]
    assert data["library_name"] == "seqgpt"
    results = {(one.dataset_name, one.metric_type): one.metric_value for one in card.data.eval_results}
    assert results == {("b", "f1"): 0.5124, ("held-out examples", "accuracy"): 1.0}
    assert "| a | 1,200 | en | CC BY 4.0 |" in card.text
    assert "| b\\|c (labelled by a model) | 3 | zh, en | unknown (research use) |" in card.text
    assert "| b_offset_f1 | 0.512 |" in card.text
    assert 'SeqGPT.from_pretrained("me/it")'.replace('"', "'") in card.text
    assert "4,000 steps" in card.text


@pytest.mark.parametrize(
    ("licences", "expected"),
    [(["CC BY 4.0"], "cc-by-4.0"), (["MIT", "MIT"], "mit"), (["MIT", "CC BY 4.0"], "other"), (["unknown"], "other")],
)
def test_the_licence(licences, expected):
    card = model_card("x", [CardSource(str(i), 1, licence=licence) for i, licence in enumerate(licences)])
    assert card.data.license == expected


def test_recipes_state_their_licences():
    told = describe_source("cluener:typing", "cluener:typing", 5, [])
    assert (told.name, told.examples, told.languages) == ("cluener:typing", 5, ("zh",))
    assert told.licence
    assert describe_source("sample", "sample", 5, ["en"]).licence == "Apache-2.0"
    assert describe_source("mine.jsonl", "mine", 5, ["en"]).licence == "unknown"


@pytest.mark.slow
def test_a_model_is_pushed_with_its_card(model, eight, arguments, tmp_path, monkeypatch):
    pushed = []

    class Hub:
        def create_repo(self, name, **_):
            return SimpleNamespace(repo_id=f"me/{name}")

        def upload_folder(self, *, repo_id, folder_path, ignore_patterns, **_):
            card = tmp_path / "run" / "README.md"  # not there yet when a checkpoint is pushed
            pushed.append((repo_id, card.read_text() if card.exists() else "", ignore_patterns))
            return SimpleNamespace(is_done=lambda: True, done=lambda: True)

    monkeypatch.setattr(theirs, "hf_api", Hub)
    trainer = Trainer(model, arguments(push_to_hub=True, save_strategy="steps", save_steps=2), {"mine": eight})
    trainer.train()
    trainer.push_to_hub()
    assert len(pushed) >= 2
    repo, text, ignored = pushed[-1]
    assert repo == "me/run"
    assert "| mine | 8 |" in text
    assert "_*" in ignored
    assert "library_name: seqgpt" in text
