"""What can be trained: which models, and with which arguments."""

from __future__ import annotations

from seqgpt.errors import ConfigError, ModelError
from seqgpt.model import SeqGPT
from seqgpt.templates.marks import MarksTemplate
from seqgpt.training.arguments import TrainingArguments


def check_trainable(model: SeqGPT, args: TrainingArguments) -> None:
    """Refuse what the Trainer of transformers takes and ours does not, and models that cannot be trained.

    Raises:
        ConfigError: If model or arguments are those of transformers alone, or do not go together.
        ModelError: If the model is of another template, or has rounded weights and no adapter.
    """
    _check_kinds(model, args)
    if not isinstance(model.template, MarksTemplate):
        raise ModelError(
            f"models of template {model.template.name!r} can be asked, but not trained here: start from a plain "
            "causal language model, or from one of the library's own template."
        )
    if model.quantized and model.adapter is None:
        raise ModelError(
            f"{model.quantized} weights cannot be trained: open the model again, and leave "
            f"to_{model.quantized}() out, or call add_lora() before it."
        )
    if model.adapter is not None and args.muon_learning_rate is not None:
        raise ConfigError("muon_learning_rate is for whole weight matrices: leave it out for an adapter.")


def _check_kinds(model: object, args: object) -> None:
    """Refuse what the Trainer of transformers takes and this one does not."""
    if not isinstance(model, SeqGPT):
        raise ConfigError(
            f"the model is a {type(model).__name__}: wrap it, seqgpt.SeqGPT(model, tokenizer), or open its folder with "
            "seqgpt.SeqGPT.from_pretrained."
        )
    if not isinstance(args, TrainingArguments):
        raise ConfigError(
            f"args are {type(args).__module__.partition('.')[0]}.{type(args).__name__}: build them with "
            "seqgpt.TrainingArguments, which takes the same and has max_labels and row_tokens."
        )
