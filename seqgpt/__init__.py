"""Open-domain language understanding in English and Chinese: any label set, exact spans and scores, from a causal LM.

    import seqgpt
    from seqgpt import AtomicTask, SeqGPT

    model = SeqGPT.from_pretrained()  # the model that comes with the library; or a folder, or a hub id
    model.predict("Tim Cook visited Shanghai.", AtomicTask.extract(["person", "place"]))
    seqgpt.predict("Tim Cook visited Shanghai.", ["person", "place"])
    seqgpt.predict("Tim Cook visited Shanghai.", seqgpt.composite.relations({"person": ["destination"]}))

Tasks, templates, results and examples need no torch and are loaded at once; model, training and the readers of data
sets are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from seqgpt import composite
from seqgpt.errors import (
    AnswerError,
    ConfigError,
    DataError,
    GroundingError,
    LabelError,
    ModelError,
    RunError,
    SeqGPTError,
    TextError,
)
from seqgpt.examples import Example, read_jsonl, write_jsonl
from seqgpt.results import Classification, Extraction, Result, Span, result_from_dict
from seqgpt.tasks import AtomicTask
from seqgpt.version import __version__

if TYPE_CHECKING:
    from seqgpt.data.own import read_dataset
    from seqgpt.model import SeqGPT
    from seqgpt.one_line import predict
    from seqgpt.runs.tune import tune
    from seqgpt.training.arguments import TrainingArguments
    from seqgpt.training.trainer import Trainer

__all__ = [
    "AnswerError",
    "AtomicTask",
    "Classification",
    "ConfigError",
    "DataError",
    "Example",
    "Extraction",
    "GroundingError",
    "LabelError",
    "ModelError",
    "Result",
    "RunError",
    "SeqGPT",
    "SeqGPTError",
    "Span",
    "TextError",
    "Trainer",
    "TrainingArguments",
    "__version__",
    "composite",
    "predict",
    "read_dataset",
    "read_jsonl",
    "result_from_dict",
    "tune",
    "write_jsonl",
]

_LOADED_LATER = {
    "SeqGPT": "seqgpt.model",
    "predict": "seqgpt.one_line",
    "read_dataset": "seqgpt.data.own",
    "Trainer": "seqgpt.training.trainer",
    "TrainingArguments": "seqgpt.training.arguments",
    "tune": "seqgpt.runs.tune",
}


def __getattr__(name: str) -> Any:
    if name not in _LOADED_LATER:
        raise AttributeError(f"module 'seqgpt' has no attribute {name!r}")
    return getattr(import_module(_LOADED_LATER[name]), name)


def __dir__() -> list[str]:
    return __all__
