from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from seqgpt.data.root import find_data_root
from seqgpt.data.sample import load_sample
from seqgpt.errors import DataError
from tests.strategies import quick

if TYPE_CHECKING:  # torch is loaded by the tests that need it, not by those of the text core
    from transformers import PreTrainedTokenizerBase

    from seqgpt.model import SeqGPT

# Of all tests: machines are of many speeds, and no test asserts a time.
settings.register_profile("quick", quick)
settings.load_profile("quick")

_SHAPES: dict[str, dict[str, Any]] = {
    "qwen3": {"num_key_value_heads": 2, "head_dim": 8},
    "qwen2": {"num_key_value_heads": 2},
    "llama": {"num_key_value_heads": 2},
    "mistral": {"num_key_value_heads": 2, "head_dim": 8, "sliding_window": 16},
    "gpt_neox": {},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 512},
    "bloom": {"hidden_size": 32, "n_layer": 2, "n_head": 4},
}
_COMMON = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 512,
    "initializer_range": 0.2,  # so that answers are not all alike, and not all of a text is a span
}


def tiny_config(model_type: str) -> dict[str, Any]:
    """Return the config of a model of two layers and 32 dimensions."""
    common = {"initializer_range": 0.2} if model_type in ("gpt2", "bloom") else _COMMON
    return {"model_type": model_type, **common, **_SHAPES[model_type]}


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    """A byte-level tokenizer with the marks, trained on the bundled examples."""
    from seqgpt.templates.marks import MARKS
    from seqgpt.tokenizer import train_tokenizer

    examples = load_sample("train")
    words = [example.text for example in examples] + [label for e in examples for label in e.task.labels]
    return train_tokenizer(words, 600, list(MARKS))


@pytest.fixture(scope="session")
def tiny(tokenizer: PreTrainedTokenizerBase) -> Callable[..., SeqGPT]:
    """Models of random weights that count as trained: ``tiny("qwen3")``, and another one ``tiny("qwen3", seed=1)``."""
    from seqgpt.model import SeqGPT

    @cache
    def build(model_type: str, seed: int = 0) -> SeqGPT:
        model = SeqGPT.from_config(tiny_config(model_type), tokenizer, seed=seed)
        model.trained = True
        return model

    return build


@pytest.fixture(scope="session")
def released(tokenizer: PreTrainedTokenizerBase) -> Callable[..., SeqGPT]:
    """The same of the released template: ``released("bloom")``."""
    from seqgpt.model import SeqGPT
    from seqgpt.templates.released import GEN, ReleasedTemplate

    own = copy.deepcopy(tokenizer)
    own.add_special_tokens({"additional_special_tokens": [str(GEN)]})

    @cache
    def build(model_type: str, seed: int = 0) -> SeqGPT:
        model = SeqGPT.from_config(tiny_config(model_type), own, seed=seed).model
        return SeqGPT(model, own, template=ReleasedTemplate.name)

    return build


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Computed data goes to a folder of the tests, not to the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEQGPT_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The folder of the real data sets; tests that use it are marked ``shared`` and skip without it."""
    try:
        return find_data_root()
    except DataError as error:
        pytest.skip(f"the shared data is not here: {error}")
