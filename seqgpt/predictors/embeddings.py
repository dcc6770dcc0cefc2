"""Classification by sentence embeddings: the label whose words lie nearest to the text."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, cast, get_args

import torch
from torch import Tensor
from torch.nn.functional import normalize
from tqdm.auto import tqdm
from transformers import AutoModel

from seqgpt.errors import ConfigError, ModelError
from seqgpt.model_files import expand
from seqgpt.predictors.local_encoder import open_encoder, read_json
from seqgpt.predictors.wording import label_words, require_classes, text_of
from seqgpt.results import Classification
from seqgpt.tasks import AtomicTask
from seqgpt.texts import check_text

Pooling = Literal["mean", "cls", "max"]
"""How the vectors of tokens become one: their mean, that of the first token, or the largest value of each dimension."""

_POOLINGS: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
}
_MODULES = ("Transformer", "Pooling", "Normalize")
_CAUSAL = ("ForCausalLM", "LMHeadModel")
_REMEMBERED = 100_000


class SentenceEmbeddings:
    """Answers classification tasks with the cosine between the embeddings of text and label.

    Scores are a softmax over ``scale × cosine``; where "none of these" is an answer, it takes part with the threshold
    as its cosine. A label of several has the score σ(scale × (cosine - threshold)), and holds if its cosine exceeds the
    threshold. What a threshold is worth differs between models: choose it on training data. Prompts of a model's own,
    such as "query: ", are not added. What the model does not read of a long text is cut off at its end, and the result
    says so.

    Args:
        model: An encoder.
        tokenizer: Its tokenizer, which knows how much it reads.
        pooling: How the vectors of tokens become one.
        scale: What cosines are multiplied with, the inverse of a temperature; 20 as in training of such models.
        threshold: What a cosine must exceed where a label need not hold.
        batch_size: Texts that are computed together.

    Raises:
        ConfigError: If there is no such pooling.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        pooling: Pooling = "mean",
        scale: float = 20.0,
        threshold: float = 0.25,
        batch_size: int = 32,
    ) -> None:
        if pooling not in get_args(Pooling):
            raise ConfigError(f"pooling is {pooling!r}: use {', '.join(get_args(Pooling))}.")
        self.model = model
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.scale = scale
        self.threshold = threshold
        self.batch_size = batch_size
        self._labels: dict[str, Tensor] = {}

    @classmethod
    def from_pretrained(cls, folder: str | Path, *, device: str | None = None, **options: Any) -> SentenceEmbeddings:
        """Open an encoder of a folder, with what sentence-transformers says of its pooling and length, if it does.

        A causal language model that nothing says to be a sentence encoder is opened with a warning.

        Args:
            folder: The folder.
            device: Where the model computes; a CPU by default.
            options: As in the constructor.

        Raises:
            ModelError: If there is no such model in the folder, or it has parts that are not known here.
        """
        tokenizer, model = open_encoder(folder, AutoModel, device=device)
        path = expand(folder)
        _warn_of_causal(path, model.config.architectures)
        most = (read_json(path / "sentence_bert_config.json") or {}).get("max_seq_length")
        if isinstance(most, int):
            tokenizer.model_max_length = min(most, tokenizer.model_max_length)
        return cls(model, tokenizer, **{"pooling": _pooling(path), **options})

    def predict_pairs(self, pairs: Sequence[tuple[str, AtomicTask]], *, progress: bool = False) -> list[Classification]:
        """Answer each classification task on its text.

        Raises:
            DataError: If a task is no classification; nothing is predicted then.
            TextError: If a text is empty.
        """
        require_classes([task for _, task in pairs], "a sentence embedding")
        texts = [text_of(check_text(text), task) for text, task in pairs]
        vectors = self.embed(texts, progress=progress)
        cut = [length > self.tokenizer.model_max_length for length in self._lengths(texts)]
        self._learn(dict.fromkeys(words for _, task in pairs for words in label_words(task)))
        return [
            self._answer(text, task, vector, cut_off)
            for (text, task), vector, cut_off in zip(pairs, vectors, cut, strict=True)
        ]

    @torch.no_grad()
    def embed(self, texts: Sequence[str], *, progress: bool = False) -> Tensor:
        """Return an embedding of length 1 for each text: [N, D], on the CPU."""
        order = sorted(range(len(texts)), key=lambda i: -len(texts[i]))
        vectors: dict[int, Tensor] = {}
        with tqdm(total=len(texts), desc="embed", unit=" texts", disable=not progress) as bar:
            for start in range(0, len(order), self.batch_size):
                members = order[start : start + self.batch_size]
                inputs = self.tokenizer(
                    [texts[i] for i in members], padding=True, truncation=True, return_tensors="pt"
                ).to(self.model.device)
                hidden = self.model(**inputs).last_hidden_state
                pooled = pool(hidden, inputs["attention_mask"], self.pooling)
                vectors.update(zip(members, normalize(pooled.float(), dim=-1).cpu(), strict=True))
                bar.update(len(members))
        return torch.stack([vectors[i] for i in range(len(texts))]) if texts else torch.empty(0, 0)

    def _lengths(self, texts: Sequence[str]) -> Iterator[int]:
        return (len(ids) for ids in self.tokenizer(list(texts), verbose=False)["input_ids"]) if texts else iter(())

    def _learn(self, words: Sequence[str] | dict[str, None]) -> None:
        """Remember the embeddings of labels, which come again and again."""
        if len(self._labels) > _REMEMBERED:
            self._labels.clear()
        new = [one for one in words if one not in self._labels]
        self._labels.update(zip(new, self.embed(new), strict=True))

    def _answer(self, text: str, task: AtomicTask, vector: Tensor, cut_off: bool) -> Classification:
        cosines = torch.stack([self._labels[words] for words in label_words(task)]) @ vector
        if task.multi_label:
            chances = torch.sigmoid(self.scale * (cosines - self.threshold))
            held = [label for label, near in zip(task.labels, cosines > self.threshold, strict=True) if near]
        else:
            none = [torch.tensor([self.threshold])] if task.none else []
            chances = torch.cat([cosines, *none]).mul(self.scale).softmax(0)[: len(cosines)]
            best = int(cosines.argmax())
            held = [] if task.none and cosines[best] <= self.threshold else [task.labels[best]]
        most = self.tokenizer.model_max_length
        warnings = (f"the end of the text was not read: the model reads {most} tokens.",) if cut_off else ()
        scores = dict(zip(task.labels, chances.clamp(0, 1).tolist(), strict=True))
        return Classification.of(text, task, tuple(held), scores, truncated=cut_off, warnings=warnings)


def pool(hidden: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Make one vector of those of a text's tokens.

    Args:
        hidden: [B, T, D].
        mask: [B, T]: 1 for tokens, 0 for padding.
        pooling: How.

    Returns:
        [B, D].
    """
    if pooling == "cls":
        return hidden[torch.arange(len(hidden)), mask.argmax(1)]  # the first, whichever side is padded
    if pooling == "max":
        return hidden.masked_fill(mask[..., None] == 0, -torch.inf).amax(1)
    kept = mask[..., None].to(hidden.dtype)
    return (hidden * kept).sum(1) / kept.sum(1).clamp(min=1e-9)


def _warn_of_causal(folder: Path, architectures: Sequence[str] | None) -> None:
    """Warn if a folder has a causal language model, unless sentence-transformers saved it."""
    kind = next((name for name in architectures or () if name.endswith(_CAUSAL)), "")
    if kind and not (folder / "modules.json").is_file():
        warnings.warn(
            f"{str(folder)!r} is a causal language model ({kind}) and nothing says that it was trained to embed "
            "sentences, so its answers are near guesses: name a sentence encoder, or use model: or free:.",
            stacklevel=3,
        )


def _pooling(folder: Path) -> Pooling:
    """Return the pooling of a folder of sentence-transformers; the mean if it says nothing."""
    modules = read_json(folder / "modules.json") or []
    path = "1_Pooling"
    for module in modules:
        kind = str(module.get("type", "")).rpartition(".")[2]
        if kind not in _MODULES:
            raise ModelError(
                f"{str(folder)!r} has a part {kind!r}, which is not known here: use a model of "
                f"sentence-transformers with {', '.join(_MODULES)} alone."
            )
        path = module.get("path", path) if kind == "Pooling" else path
    said = read_json(folder / path / "config.json") or {"pooling_mode": "mean"}
    modes = [name for name, value in said.items() if value is True and name.startswith("pooling_mode_")]
    chosen = said.get("pooling_mode") or " and ".join(_POOLINGS.get(mode, mode) for mode in modes) or "nothing"
    if chosen not in get_args(Pooling):
        raise ModelError(f"{str(folder)!r} pools by {chosen}, which is not known here: mean, cls or max alone is.")
    return cast(Pooling, chosen)
