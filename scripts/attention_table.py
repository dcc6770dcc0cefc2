"""What the self-test finds of model types: which compute trees, and which blocks or rows of one kernel in training.

    python scripts/attention_table.py

prints the table of docs/training.md, with tiny models of random weights: it depends on the architecture, not on size.
What a kernel computes on a GPU is computed by its reference, on a CPU: whether it runs on a GPU is found out there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

from seqgpt.engine.forward import TreeForward
from seqgpt.errors import ModelError

_COMMON = {
    "vocab_size": 512,
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 1024,
    "pad_token_id": 0,
    "bos_token_id": 0,
    "eos_token_id": 0,
}
_OWN: dict[str, dict[str, Any]] = {
    "llama": {},
    "qwen2": {},
    "qwen3": {"head_dim": 16},
    "gpt2": {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 1024, "attn_pdrop": 0.0},
    "gpt_neox": {},
    "bloom": {"n_layer": 2, "n_head": 4},
    "mistral": {"sliding_window": None, "head_dim": 16},
    "phi": {"num_key_value_heads": None},
    "phi3": {},
    "gemma": {"head_dim": 16},
    "gemma2": {"head_dim": 16, "sliding_window": 32},
    "gemma3_text": {"head_dim": 16, "sliding_window": 32},
    "olmo2": {},
    "granite": {},
    "smollm3": {},
    "opt": {"word_embed_proj_dim": 64, "ffn_dim": 128},
    "gptj": {"n_embd": 64, "n_layer": 2, "n_head": 4, "rotary_dim": 8, "n_positions": 1024},
    "falcon": {},
    "mpt": {"d_model": 64, "n_layers": 2, "n_heads": 4, "max_seq_len": 1024},
}


def rows() -> Iterator[tuple[str, str, str, str, str]]:
    """Yield for each model type how prediction lays labels out, how training lays batches out on both, and why."""
    for name, own in _OWN.items():
        yield (name, *_found(name, own))


def _found(name: str, own: dict[str, Any]) -> tuple[str, str, str, str]:
    known = AutoConfig.for_model(name)
    fields = {key: value for key, value in {**_COMMON, **own}.items() if key in own or hasattr(known, key)}
    torch.manual_seed(0)
    auto: Any = AutoModelForCausalLM
    model = auto.from_config(AutoConfig.for_model(name, **fields)).eval()
    try:
        forward = TreeForward(model)
    except ModelError as error:
        return "refused", "–", "–", str(error)
    on_cpu, why = forward.find_training_layout()
    forward.packing = "flex"
    elsewhere, why_not_flex = forward.find_training_layout()
    return forward.layout, on_cpu, elsewhere, forward.note.partition(";")[0] or why or why_not_flex


def main() -> None:
    """Print the table."""
    logging.set_verbosity_error()
    print("| model type | prediction | training on a CPU | on a GPU, if the kernel runs | why |\n|---|---|---|---|---|")
    for row in rows():
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
