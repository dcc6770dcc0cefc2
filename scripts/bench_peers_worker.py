"""Times GLiNER and GLiNER2 for bench_peers.py, which starts it in an environment of their own.

It reads requests from standard input and writes answers to standard output, one JSON object a line each, in order.
Nothing of seqgpt is imported: the two need other versions of transformers.

Models have random weights. None is loaded, and no tokenizer: a byte-level one is trained on the words that a request
brings.
"""

from __future__ import annotations

import copy
import json
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

import gliner
import gliner2
import torch
import transformers
from gliner.config import UniEncoderSpanConfig
from gliner.model import UniEncoderSpanGLiNER
from gliner2 import ExtractorConfig, GLiNER2
from gliner2.inference.engine import BoundaryExtractor
from gliner2.processing.word_splitter import CharLevelSplitter, WhitespaceTokenSplitter
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
from transformers import CONFIG_MAPPING, PreTrainedTokenizerFast

VOCABULARY = 32_000
"""Rows of the embeddings, as in the 25M model of seqgpt; the tokenizers of both sides have fewer tokens."""

HIDDEN_SIZES = (384, 320, 256)
"""Widths of encoders, the preferred first: as wide as the 25M model of seqgpt, if that leaves enough for the rest."""

LAYERS = 6
POSITIONS = 1024

THRESHOLD = 0.9
"""Random weights give all spans probabilities near 0.5, so none is likelier: to find very many costs GLiNER more."""

ENCODERS: dict[str, dict[str, Any]] = {
    "deberta-v2": {  # as microsoft/deberta-v3-small, which the released models have in this or a larger size
        "relative_attention": True,
        "position_buckets": 256,
        "norm_rel_ebd": "layer_norm",
        "share_att_key": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_biased_input": False,
        "type_vocab_size": 0,
    },
    "bert": {},
}


class Gliner:
    """GLiNER: its span model, with a head two thirds as wide as the encoder, as in gliner_small-v2.1."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, encoder: dict[str, Any]) -> None:
        config = UniEncoderSpanConfig(
            encoder_config=encoder,
            hidden_size=encoder["hidden_size"] // 3 * 2,
            max_len=POSITIONS,
            vocab_size=VOCABULARY,
            class_token_index=0,
        )
        tokenizer.add_tokens([config.ent_token, config.sep_token], special_tokens=True)
        config.class_token_index = tokenizer.convert_tokens_to_ids(config.ent_token)
        self.model = UniEncoderSpanGLiNER(config, tokenizer=tokenizer).eval()
        self.encoder = self.model.model.token_rep_layer.bert_layer.model
        self._splitters = {"en": self.model.data_processor.words_splitter, "zh": _characters}

    def speak(self, language: str) -> None:
        """Split words as the language does."""
        self.model.data_processor.words_splitter = self._splitters[language]

    def extract(self, texts: list[str], labels: list[str]) -> Any:
        """Return the spans of each text."""
        return self.model.inference(texts, labels, threshold=THRESHOLD, batch_size=len(texts))


class Gliner2:
    """GLiNER2 with its first head, over all spans of up to eight words; the released models have it."""

    architecture = "span"
    kind: Any = GLiNER2

    def __init__(self, tokenizer: PreTrainedTokenizerFast, encoder: dict[str, Any]) -> None:
        config = ExtractorConfig(model_name="", architecture=self.architecture)
        fields = {name: value for name, value in encoder.items() if name != "model_type"}
        encoder_config = CONFIG_MAPPING[encoder["model_type"]](**fields)
        self.model = self.kind(config, encoder_config=encoder_config, tokenizer=tokenizer).eval()
        self.encoder = self.model.encoder
        self.encoder.resize_token_embeddings(VOCABULARY, mean_resizing=False)
        self._count_one()

    def _count_one(self) -> None:
        """Let it predict one set of spans for each text, as a trained model does; with none it would score no span."""
        last = self.model.count_pred[-1]
        torch.nn.init.zeros_(last.weight)
        last.bias.data = torch.nn.functional.one_hot(torch.tensor(1), len(last.bias)).float()

    def speak(self, language: str) -> None:
        """Split words as the language does."""
        self.model.set_word_splitter("char" if language == "zh" else "whitespace")

    def extract(self, texts: list[str], labels: list[str]) -> Any:
        """Return the spans of each text."""
        return self.model.batch_extract_entities(
            texts, labels, batch_size=len(texts), threshold=THRESHOLD, include_confidence=True, include_spans=True
        )

    def classify(self, texts: list[str], labels: list[str]) -> Any:
        """Return the one label of each text."""
        return self.model.batch_classify_text(texts, {"topic": labels}, batch_size=len(texts), include_confidence=True)


class Gliner2Boundary(Gliner2):
    """GLiNER2 with its newer head, which scores boundaries first."""

    architecture = "boundary"
    kind = BoundaryExtractor

    def _count_one(self) -> None:
        """Do nothing: this head scores spans whatever it counts."""


PEERS: dict[str, Callable[[PreTrainedTokenizerFast, dict[str, Any]], Any]] = {
    "gliner": Gliner,
    "gliner2": Gliner2,
    "gliner2-boundary": Gliner2Boundary,
}


def main() -> int:
    """Answer requests until there are no more."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what the peers print is no answer
    torch.set_num_threads(1)
    built: dict[str, Any] = {}
    for line in sys.stdin:
        request = json.loads(line)
        do, name = request.pop("do"), request.pop("name", "")
        answer: dict[str, Any]
        if do == "build":
            built[name] = _build(**request)
            answer = _describe(built[name])
        elif do == "time":
            answer = _time(built[name], **request)
        else:
            answer = _versions()
        print(json.dumps(answer), file=answers, flush=True)
    return 0


def _versions() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "gliner": gliner.__version__,
        "gliner2": gliner2.__version__,
    }


def _build(peer: str, encoder: str, equal: str, parameters: int, words: list[str]) -> Any:
    """Build a peer with so many parameters.

    The depth is that of seqgpt's model; the feed-forward layers are as wide as the number of parameters wants. If that
    is less than twice the hidden size, because the heads take too much, the whole model is narrower.

    Args:
        peer: Which peer.
        encoder: Type of its encoder.
        equal: Whose parameters are counted: ``"total"``, of the whole model, or ``"encoder"``.
        parameters: How many there should be, embeddings included.
        words: What the tokenizer is trained on.
    """
    tokenizer = _train_tokenizer(words)

    def made(hidden: int, width: int) -> Any:
        torch.manual_seed(0)
        return PEERS[peer](copy.deepcopy(tokenizer), _encoder(encoder, hidden, width))

    def counted(hidden: int, width: int) -> int:
        model = made(hidden, width)
        return _size(model.model if equal == "total" else model.encoder)

    for hidden in HIDDEN_SIZES:
        narrow, wide = counted(hidden, 32), counted(hidden, 64)
        width = 32 + round((parameters - narrow) / (wide - narrow)) * 32
        if width >= 2 * hidden:
            return made(hidden, width)
    raise ValueError(f"{peer} has heads too large for {parameters} parameters")


def _encoder(encoder: str, hidden: int, width: int) -> dict[str, Any]:
    return {
        "model_type": encoder,
        "vocab_size": VOCABULARY,
        "hidden_size": hidden,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": hidden // 64,
        "intermediate_size": width,
        "max_position_embeddings": POSITIONS,
        **ENCODERS[encoder],
    }


def _train_tokenizer(texts: list[str]) -> PreTrainedTokenizerFast:
    """Train a byte-level tokenizer on single words and characters, as the peers cut texts; their case is left out."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    special = ["[PAD]", "[CLS]", "[SEP]", "[UNK]"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY // 2,
        special_tokens=special,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    splitters = WhitespaceTokenSplitter(), CharLevelSplitter()
    words = [word for text in texts for split in splitters for word, _, _ in split(text)]
    tokenizer.train_from_iterator(words, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 1), ("[SEP]", 2)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]", unk_token="[UNK]"
    )


def _characters(text: str) -> Any:
    """Split Chinese into characters, as GLiNER2 does; GLiNER itself has a dictionary for it, in another package."""
    return CharLevelSplitter()(text, lower=False)


def _describe(peer: Any) -> dict[str, int]:
    total, embeddings = _size(peer.model), _size(peer.encoder.get_input_embeddings())
    config = peer.encoder.config
    return {
        "parameters": total,
        "parameters_without_embeddings": total - embeddings,
        "encoder_parameters": _size(peer.encoder),
        "hidden_size": config.hidden_size,
        "layers": config.num_hidden_layers,
        "intermediate_size": config.intermediate_size,
    }


def _size(module: torch.nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())


def _time(peer: Any, kind: str, language: str, texts: list[str], labels: list[str], calls: int) -> dict[str, float]:
    """Return the seconds of processor time that a call takes, and the tokens that are read for a text."""
    tokens = [0]

    def count(_module: Any, arguments: tuple[torch.Tensor, ...]) -> None:
        tokens[0] += arguments[0].numel()

    peer.speak(language)
    run = getattr(peer, kind)
    hook = peer.encoder.get_input_embeddings().register_forward_pre_hook(count)
    began = time.process_time()
    for _ in range(calls):
        run(texts, labels)
    seconds = (time.process_time() - began) / calls
    hook.remove()
    return {"seconds": seconds, "tokens_per_text": tokens[0] / calls / len(texts)}


if __name__ == "__main__":
    sys.exit(main())
