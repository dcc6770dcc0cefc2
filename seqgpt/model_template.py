"""What a template asks of a model: its marks among the tokens, and what holds where nothing is saved."""

from __future__ import annotations

from typing import cast

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from seqgpt.engine.forward import embedding_rows
from seqgpt.errors import ModelError
from seqgpt.model_files import Settings
from seqgpt.options import DEFAULT_THRESHOLD
from seqgpt.templates import Template, get_template
from seqgpt.templates.marks import MARKS, MarksTemplate
from seqgpt.templates.released import GEN, ReleasedTemplate
from seqgpt.tokenizer import add_marks


def known_template(name: str | None) -> Template:
    """Return the template of a model by name; the library's own by default.

    Raises:
        ModelError: If this version has no such template.
    """
    try:
        return get_template(name)
    except ModelError as error:
        raise ModelError(
            f"the model is of template {name!r}, which this version of seqgpt does not know: open it with the version "
            "that saved it, or train it again."
        ) from error


def default_settings(template: str) -> Settings:
    """Return the settings of a trained model that has none; what the released one writes counts, likely or not."""
    threshold = 0.0 if template == ReleasedTemplate.name else DEFAULT_THRESHOLD
    return Settings(template, threshold=threshold, class_threshold=threshold)


def prepare(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, template: Template) -> None:
    """Give a model and its tokenizer what a template needs.

    Raises:
        ModelError: If the model cannot have been trained on the template.
    """
    if isinstance(template, MarksTemplate):
        _give_marks(model, tokenizer)
    else:
        _check_begin_of_answer(tokenizer)


def _give_marks(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Add the marks to tokenizer and model; a new mark starts as the mean of the words that name it."""
    added = add_marks(tokenizer, MARKS)
    size = embedding_rows(model)
    if len(tokenizer) > size:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        for mark, words in MARKS.items():
            index = cast(int, tokenizer.convert_tokens_to_ids(str(mark)))
            if mark not in added and index < size:
                continue
            ids = tokenizer(words, add_special_tokens=False)["input_ids"]
            # One table if input and output embeddings are tied: then the second assignment repeats the first.
            for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
                for table in layer.parameters():  # the weight, and the bias of the few that have one
                    table[index] = table[ids].mean(dim=0)


def _check_begin_of_answer(tokenizer: PreTrainedTokenizerBase) -> None:
    """Raise a ``ModelError`` if a tokenizer lacks the mark of the released template; see that no words become it."""
    if str(GEN) not in tokenizer.get_vocab():
        raise ModelError(
            f"the tokenizer has no token {GEN}, which begins the answers of template {ReleasedTemplate.name!r}: open a "
            "model that was trained with it, or leave template out."
        )
    add_marks(tokenizer, [GEN])
