"""Tiny encoders of random weights in folders, as released ones lie there."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizerFast

WORDS = "this example is . 这 段 话 的 内 容 是 。 sport war praise complaint ( ) a the we won lost 体 育 战 争 x y z"


def save_tokenizer(folder: Path) -> None:
    vocabulary = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *WORDS.split()])
    (folder / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    tokenizer = BertTokenizerFast(vocab={word: i for i, word in enumerate(vocabulary)})
    tokenizer.save_pretrained(folder)


def config(**fields: object) -> BertConfig:
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
    return BertConfig(
        vocab_size=60, max_position_embeddings=34, initializer_range=0.3, attn_implementation="eager", **sizes, **fields
    )


@pytest.fixture
def encoder(tmp_path) -> Callable[..., Path]:
    """Save a sentence encoder to a folder of the test's own."""

    def save(seed: int = 0) -> Path:
        torch.manual_seed(seed)
        BertModel(config()).save_pretrained(tmp_path / "encoder")
        save_tokenizer(tmp_path / "encoder")
        return tmp_path / "encoder"

    return save


@pytest.fixture
def nli(tmp_path) -> Callable[..., Path]:
    """Save a model of inference to a folder of the test's own."""

    def save(*names: str) -> Path:
        torch.manual_seed(0)
        classes = dict(enumerate(names or ("contradiction", "neutral", "entailment")))
        fields = {"id2label": classes, "label2id": {name: i for i, name in classes.items()}}
        BertForSequenceClassification(config(**fields)).save_pretrained(tmp_path / "nli")
        save_tokenizer(tmp_path / "nli")
        return tmp_path / "nli"

    return save
