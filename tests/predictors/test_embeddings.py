import json

import pytest
import torch

from seqgpt.errors import ConfigError, DataError, ModelError
from seqgpt.predictors.embeddings import SentenceEmbeddings, pool
from seqgpt.tasks import AtomicTask

LABELS = ["sport", "war", "praise"]
TEXTS = ["we won", "the war", "a", "we lost the war we won ( x y z )"]


def as_in_the_model_card(peer, text):
    """The embedding of one text alone, in the plainest way."""
    with torch.no_grad():
        hidden = peer.model(**peer.tokenizer(text, return_tensors="pt")).last_hidden_state[0]
    mean = hidden.mean(0)
    return mean / mean.norm()


def pooling(folder, **config):
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(config))


def test_embeddings_are_means_of_length_one_whatever_is_computed_with_them(encoder):
    peer = SentenceEmbeddings.from_pretrained(encoder(), batch_size=3)
    for text, vector in zip(TEXTS, peer.embed(TEXTS), strict=True):
        assert torch.allclose(vector, as_in_the_model_card(peer, text), atol=1e-5)


def test_the_nearest_label_is_the_answer(encoder):
    peer = SentenceEmbeddings.from_pretrained(encoder(), scale=5.0)
    task = AtomicTask.classify(LABELS)
    for text, result in zip(TEXTS, peer.predict_pairs([(text, task) for text in TEXTS]), strict=True):
        near = torch.stack([as_in_the_model_card(peer, label) @ as_in_the_model_card(peer, text) for label in LABELS])
        assert list(result.scores.values()) == pytest.approx((5 * near).softmax(0).tolist(), abs=1e-4)
        assert result.label == LABELS[int(near.argmax())]


@pytest.mark.slow
@pytest.mark.parametrize("threshold", [-1.0, 0.5, 0.7, 1.1])
def test_labels_that_need_not_hold_have_a_threshold(encoder, threshold):
    peer = SentenceEmbeddings.from_pretrained(encoder(), threshold=threshold)
    several = AtomicTask.classify(LABELS, multi_label=True)
    one_or_none = AtomicTask.classify(LABELS, none=True)
    for text in TEXTS:
        all_of_them, one = peer.predict_pairs([(text, several), (text, one_or_none)])
        near = torch.stack([as_in_the_model_card(peer, label) @ as_in_the_model_card(peer, text) for label in LABELS])
        assert all_of_them.labels == tuple(label for label, x in zip(LABELS, near, strict=True) if x > threshold)
        assert all((all_of_them.scores[label] > 0.5) == (label in all_of_them.labels) for label in LABELS)
        assert one.abstained == all_of_them.abstained
        assert one.abstained == (one.none_score > max(one.scores.values()))


def test_descriptions_and_what_is_asked_about_are_read(encoder):
    peer = SentenceEmbeddings.from_pretrained(encoder())
    task = AtomicTask.classify({"sport": "we won", "war": ""}, about="the x")
    (result,) = peer.predict_pairs([("a", task)])
    text = as_in_the_model_card(peer, "a\nthe x")
    near = [as_in_the_model_card(peer, words) @ text for words in ("sport (we won)", "war")]
    assert list(result.scores.values()) == pytest.approx((20 * torch.stack(near)).softmax(0).tolist(), abs=1e-4)


def test_pooling_is_what_the_folder_says(encoder):
    folder = encoder()
    for said, expected in (
        ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, "cls"),
        ({"pooling_mode_max_tokens": True}, "max"),
        ({"pooling_mode": "mean"}, "mean"),
    ):
        pooling(folder, word_embedding_dimension=16, **said)
        assert SentenceEmbeddings.from_pretrained(folder).pooling == expected
    modules = [("", "Transformer"), ("2_Pool", "Pooling"), ("3", "Normalize")]
    listed = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for path, kind in modules]
    (folder / "modules.json").write_text(json.dumps(listed))
    assert SentenceEmbeddings.from_pretrained(folder).pooling == "mean"
    (folder / "sentence_bert_config.json").write_text('{"max_seq_length": 8}')
    (result,) = SentenceEmbeddings.from_pretrained(folder).predict_pairs([(TEXTS[3], AtomicTask.classify(LABELS))])
    assert "the model reads 8 tokens" in result.warnings[0]


@pytest.mark.parametrize("mode", ["mean", "cls", "max"])
@pytest.mark.parametrize("left", [True, False])
def test_padding_does_not_count(mode, left):
    hidden, padding = torch.randn(1, 3, 4), torch.full((1, 2, 4), 9.0)
    parts, ones, zeros = [hidden, padding], torch.ones(1, 3), torch.zeros(1, 2)
    masks = [ones, zeros]
    if left:
        parts, masks = parts[::-1], masks[::-1]
    assert torch.allclose(pool(torch.cat(parts, 1), torch.cat(masks, 1), mode), pool(hidden, ones, mode))


def test_what_cannot_be_done(encoder):
    folder = encoder()
    with pytest.raises(ConfigError, match="pooling is 'sum'"):
        SentenceEmbeddings.from_pretrained(folder, pooling="sum")
    with pytest.raises(DataError, match="cannot extract spans"):
        SentenceEmbeddings.from_pretrained(folder).predict_pairs([("a", AtomicTask.extract(["x"]))])
    pooling(folder, pooling_mode_lasttoken=True)
    with pytest.raises(ModelError, match="pools by pooling_mode_lasttoken"):
        SentenceEmbeddings.from_pretrained(folder)
    pooling(folder, pooling_mode_mean_tokens=True, pooling_mode_max_tokens=True)
    with pytest.raises(ModelError, match="pools by mean and max"):
        SentenceEmbeddings.from_pretrained(folder)
    (folder / "modules.json").write_text('[{"path": "2_Dense", "type": "sentence_transformers.models.Dense"}]')
    with pytest.raises(ModelError, match="has a part 'Dense'"):
        SentenceEmbeddings.from_pretrained(folder)


def test_a_causal_language_model_is_told_what_it_is(tiny, tmp_path):
    folder = tmp_path / "causal"
    tiny("gpt2").save_pretrained(folder)
    with pytest.warns(UserWarning, match=r"causal' is a causal language model \(GPT2LMHeadModel\) and nothing says"):
        peer = SentenceEmbeddings.from_pretrained(folder)
    assert len(peer.predict_pairs([("a", AtomicTask.classify(LABELS))])) == 1
    (folder / "modules.json").write_text("[]")  # sentence-transformers saved it: an encoder, whatever it began as
    SentenceEmbeddings.from_pretrained(folder)
