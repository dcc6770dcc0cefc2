"""Tokenizers of many kinds, trained in memory."""

import json

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from seqgpt.data.sample import load_sample
from seqgpt.tokenizer import END_OF_TEXT

STYLES = ["byte-level", "NFC", "never", "first", "always", "prepend"]


def sentence_piece(style: str) -> PreTrainedTokenizerFast:
    """Llama's kind: ▁ for a space, <0x..> for bytes without a token; ``prepend`` is the form of Llama 2."""
    trained = Tokenizer(models.BPE())
    trained.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    texts = [example.text for example in load_sample("train")]
    trained.train_from_iterator(texts, trainers.BpeTrainer(vocab_size=1000, limit_alphabet=300, show_progress=False))
    spec = json.loads(trained.to_str())["model"]
    tokens = ["<unk>", *(f"<0x{byte:02X}>" for byte in range(256)), *spec["vocab"]]
    merges = [tuple(pair) for pair in spec["merges"]]
    built = Tokenizer(
        models.BPE({token: i for i, token in enumerate(tokens)}, merges, unk_token="<unk>", byte_fallback=True)
    )
    if style == "prepend":
        built.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    else:
        built.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=style, split=False)
    built.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return PreTrainedTokenizerFast(tokenizer_object=built, unk_token="<unk>", eos_token=END_OF_TEXT)
