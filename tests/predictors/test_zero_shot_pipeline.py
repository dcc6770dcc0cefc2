import pytest
import torch

from seqgpt.errors import ConfigError, DataError, ModelError, RunError, TextError
from seqgpt.evaluation.predictions import predict
from seqgpt.examples import Example
from seqgpt.predictors.zero_shot_pipeline import ZeroShotPipeline
from seqgpt.tasks import AtomicTask

ONE = AtomicTask.classify(["sport", "war", "praise"])
ONE_OR_NONE = AtomicTask.classify(["sport", "war", "praise"], none=True)
SEVERAL = AtomicTask.classify(["sport", "war", "praise"], multi_label=True)


def logits(peer, text, hypothesis):
    with torch.no_grad():
        return peer.model(**peer.tokenizer(text, hypothesis, return_tensors="pt")).logits[0]


def test_labels_that_exclude_one_another_share_a_softmax_of_entailment(nli):
    peer = ZeroShotPipeline.from_pretrained(nli())
    (result,) = peer.predict_pairs([("we won", ONE)])
    said = torch.stack([logits(peer, "we won", f"This example is {label}.")[2] for label in ONE.labels]).softmax(0)
    assert list(result.scores.values()) == pytest.approx(said.tolist(), abs=1e-5)
    assert result.labels == (ONE.labels[int(said.argmax())],)


def test_each_of_several_labels_is_entailed_or_contradicted(nli):
    peer = ZeroShotPipeline.from_pretrained(nli(), threshold=0.4)
    (result,) = peer.predict_pairs([("we won", SEVERAL)])
    said = [logits(peer, "we won", f"This example is {label}.")[[0, 2]].softmax(0)[1].item() for label in ONE.labels]
    assert list(result.scores.values()) == pytest.approx(said, abs=1e-5)
    assert result.labels == tuple(label for label, score in zip(ONE.labels, said, strict=True) if score > 0.4)


@pytest.mark.parametrize("threshold", [0.0, 0.5, 0.999])
def test_none_of_these_is_as_likely_as_the_best_label_is_not_entailed(nli, threshold):
    peer = ZeroShotPipeline.from_pretrained(nli(), threshold=threshold)
    (several,), (result,) = peer.predict_pairs([("we won", SEVERAL)]), peer.predict_pairs([("we won", ONE_OR_NONE)])
    best = max(several.scores.values())
    assert result.none_score == pytest.approx(1 - best, abs=1e-6)
    assert result.abstained == (best <= threshold)


def test_chinese_labels_have_a_chinese_hypothesis_and_what_is_asked_about_stands_behind_the_text(nli):
    peer = ZeroShotPipeline.from_pretrained(nli())
    task = AtomicTask.classify(["体育", "战争"], about="a")
    (result,) = peer.predict_pairs([("we won", task)])
    said = torch.stack([logits(peer, "we won\na", f"这段话的内容是{label}。")[2] for label in task.labels]).softmax(0)
    assert list(result.scores.values()) == pytest.approx(said.tolist(), abs=1e-5)


def test_labels_with_commas_and_braces_and_one_label_alone(nli):
    peer = ZeroShotPipeline.from_pretrained(nli())
    task = AtomicTask.classify({"war, {x}": "", "sport": "a {y} b"})
    (result, alone) = peer.predict_pairs([("we won", task), ("we won", AtomicTask.classify(["war"]))])
    assert set(result.scores) == {"war, {x}", "sport"}
    assert (alone.labels, alone.scores) == (("war",), {"war": 1.0})


def test_a_long_text_is_cut_off_and_that_is_said(nli):
    peer = ZeroShotPipeline.from_pretrained(nli())
    short, long = peer.predict_pairs([("we won", ONE), ("we won " * 40, ONE)])
    assert not short.truncated
    assert long.truncated
    assert "the model reads 32 tokens" in long.warnings[0]


def test_what_it_cannot_do_is_said_before_anything_is_predicted(nli):
    peer = ZeroShotPipeline.from_pretrained(nli())
    extract = AtomicTask.extract(["who"])
    peer._pipeline = None  # would fail
    with pytest.raises(DataError, match="cannot extract spans"):
        peer.predict_pairs([("we won", ONE), ("we won", extract)])
    with pytest.raises(TextError):
        peer.predict_pairs([("", ONE)])
    examples = [Example.from_dict({"text": "a", "task": "extract", "labels": ["who"], "answer": {}})] * 3
    with pytest.raises(RunError, match="fails on every text: DataError: a zero-shot pipeline cannot extract"):
        predict(peer, examples, name="x")


def test_models_that_are_none(nli, tmp_path, encoder):
    with pytest.raises(ModelError, match="no class of the model is named 'entailment'"):
        ZeroShotPipeline.from_pretrained(nli("good", "bad"))
    with pytest.raises(ModelError, match="there is no folder"):
        ZeroShotPipeline.from_pretrained(tmp_path / "nothing")
    with pytest.raises(ModelError, match=r"lack 2 parts, one of them 'classifier\.bias'"):
        ZeroShotPipeline.from_pretrained(encoder())
    with pytest.raises(ConfigError, match="has no place for the label"):
        ZeroShotPipeline.from_pretrained(nli(), hypotheses={"en": "It is so."})
