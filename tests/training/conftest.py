"""A tiny model in memory, and a handful of examples that it can learn by heart."""

import copy
import functools
import gc
from collections.abc import Callable, Iterator

import pytest
import transformers
from transformers import PreTrainedTokenizerBase

from seqgpt.data.sample import load_sample
from seqgpt.examples import Example
from seqgpt.model import SeqGPT
from seqgpt.templates.marks import MARKS
from seqgpt.tokenizer import train_tokenizer
from seqgpt.training.arguments import TrainingArguments
from seqgpt.training.progress import TrainingProgress

EIGHT = [
    {
        "text": "Tim Cook visited Shanghai, then Tim Cook flew home.",
        "task": "extract",
        "labels": ["person", "place", "date"],
        "answer": {"person": [{"text": "Tim Cook", "start": 32}], "place": ["Shanghai"]},
    },
    {"text": "Nobody came to the old harbour on Monday.", "task": "extract", "labels": ["person", "date"],
     "answer": {"date": ["Monday"]}},
    {"text": "乔丹在芝加哥出生，罗德曼也在芝加哥打球。", "task": "extract", "labels": ["人物", "地点", "时间"],
     "answer": {"人物": ["乔丹", "罗德曼"], "地点": [{"text": "芝加哥", "start": 3}, {"text": "芝加哥", "start": 14}]}},
    {"text": "今天天气很好，我们去公园散步吧。", "task": "extract", "labels": ["时间", "地点"],
     "answer": {"时间": ["今天"], "地点": ["公园"]}},
    {"text": "What a lovely little hotel, we will be back!", "task": "classify", "labels": ["praise", "complaint"],
     "answer": ["praise"]},
    {"text": "送餐太慢了，菜都凉了，非常失望。", "task": "classify", "labels": ["表扬", "投诉"], "answer": ["投诉"]},
    {"text": "The train to Leeds leaves at noon.", "task": "classify", "labels": ["praise", "complaint"], "none": True,
     "answer": []},
    {"text": "Cheap flights and a new stadium for the city.", "task": "classify",
     "labels": ["travel", "sport", "health"], "multi_label": True, "answer": ["travel", "sport"]},
]  # fmt: skip


def make_model(seed: int = 0, **config: object) -> SeqGPT:
    """Build a tiny model from random weights, the same for the same seed."""
    fields = {
        "model_type": "qwen3",
        "hidden_size": 64,
        "num_hidden_layers": 2,
        "intermediate_size": 128,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "tie_word_embeddings": True,
        "max_position_embeddings": 512,
    }
    if "model_type" in config:  # another type has other fields
        fields = {}
    return SeqGPT.from_config(fields | config, copy.deepcopy(_tokenizer()), seed=seed)


@functools.cache
def _tokenizer() -> PreTrainedTokenizerBase:
    words = [example.text for example in load_sample("train")]
    words += [label for example in load_sample("train") for label in example.task.labels]
    return train_tokenizer(words, 1000, list(MARKS))


class StopAt(transformers.TrainerCallback):
    """Saves a checkpoint after a step, and stops there."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: object, state: object, control: object, **_: object) -> None:
        if state.global_step == self.step:
            control.should_save = True
            control.should_training_stop = True


class Killed(Exception):  # noqa: N818
    """Stands for the signal that ends a process."""


@pytest.fixture
def kill(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Kill a run when it has saved the checkpoint of a step; saving itself may be cut, too."""

    def at(step: int, call: Callable[[], object], *, while_saving: bool = False) -> None:
        def killed(self: object, args: object, state: object, control: object, **_: object) -> None:
            if state.global_step == step:
                raise Killed

        with monkeypatch.context() as patch:
            if while_saving:
                patch.setattr(transformers.Trainer, "_save_rng_state", lambda *_: (_ for _ in ()).throw(Killed))
            else:
                patch.setattr(TrainingProgress, "on_save", killed, raising=False)
            with pytest.raises(Killed):
                call()

    return at


@pytest.fixture(scope="package", autouse=True)
def _fast_collection() -> Iterator[None]:
    """Every training run collects garbage, which takes a third of a second over all that torch has imported."""
    make_model()
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def _no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture takes half a second, as long as a training: those tests draw that are about pictures."""
    monkeypatch.setattr("seqgpt.training.trainer.draw_curves", lambda *_, **__: None)


@pytest.fixture
def model() -> SeqGPT:
    """A tiny model of its own for each test, which may train it."""
    return make_model()


@pytest.fixture(scope="session")
def still_model() -> SeqGPT:
    """A tiny model that no test changes."""
    return make_model()


@pytest.fixture(scope="session")
def eight() -> list[Example]:
    """Eight examples of every kind of task."""
    return [Example.from_dict(record | {"id": str(i)}) for i, record in enumerate(EIGHT)]


@pytest.fixture
def arguments(tmp_path) -> Callable[..., TrainingArguments]:
    """Training arguments for a few steps on a CPU, in a folder of the test's own."""

    def make(**given: object) -> TrainingArguments:
        fields = {
            "output_dir": str(tmp_path / "run"),
            "use_cpu": True,
            "disable_tqdm": True,
            "save_strategy": "no",
            "per_device_train_batch_size": 4,
            "max_steps": 4,
            "learning_rate": 3e-3,
            "logging_steps": 1,
        }
        return TrainingArguments(**(fields | given))

    return make
