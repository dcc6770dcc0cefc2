"""8-bit weights: nearly what float32 says, on every family, and nothing that would be lost."""

import copy

import pytest
import torch
from torch import nn

from seqgpt import fingerprint
from seqgpt.engine.int8 import is_quantized
from seqgpt.errors import ModelError
from seqgpt.model import SeqGPT
from seqgpt.tasks import AtomicTask
from seqgpt.training.arguments import TrainingArguments
from seqgpt.training.trainer import Trainer

TONE = AtomicTask.classify(["good", "bad", "neither"])
TEXTS = ["Tim Cook visited Shanghai.", "杰克逊去了上海。"]


@pytest.fixture
def int8(tiny):
    def build(model_type):
        model = tiny(model_type)
        own = SeqGPT(copy.deepcopy(model.model), model.tokenizer)
        return own.to_int8()

    return build


@pytest.mark.parametrize("model_type", ["qwen3", "llama", "gpt2", "gpt_neox", "bloom"])
def test_scores_are_nearly_those_of_float32(model_type, int8, tiny):
    model = int8(model_type)
    assert model.info()["dtype"] == "int8"
    assert model.info()["parameters"] == tiny(model_type).info()["parameters"]
    assert model.forward.layout == tiny(model_type).forward.layout
    for one, other in zip(model.predict(TEXTS, TONE), tiny(model_type).predict(TEXTS, TONE), strict=True):
        assert one.scores == pytest.approx(other.scores, abs=0.15)
        assert one.scores != other.scores


def test_weights_are_rounded_once(int8):
    model = int8("qwen3")
    assert model.to_int8() is model
    with pytest.raises(ModelError, match="the model has int8 weights already: open it again for nf4"):
        model.to_nf4()


def test_rounded_weights_are_counted_and_known(int8, tiny):
    """PyTorch does not count them among the parameters."""
    for model_type in ("llama", "gpt2"):
        model, exact = int8(model_type), tiny(model_type)
        assert fingerprint.size(model.model) == fingerprint.size(exact.model) == exact.info()["parameters"]
        assert repr(SeqGPT(model.model, model.tokenizer)) == repr(model) == repr(exact)
        other = copy.deepcopy(exact.model)
        with torch.no_grad():
            next(weight for name, weight in other.named_parameters() if "mlp" in name).add_(0.1)
        known, of_other = (
            fingerprint.take(one, exact.tokenizer).digest()
            for one in (model.model, SeqGPT(other, exact.tokenizer).to_int8().model)
        )
        assert known != of_other
        assert known == fingerprint.take(int8(model_type).model, exact.tokenizer).digest()


def test_rounded_weights_under_an_adapter_are_counted(tiny, tmp_path):
    tiny("llama").save_pretrained(tmp_path / "model")
    exact, rounded = (SeqGPT.from_pretrained(tmp_path / "model").add_lora(r=2) for _ in range(2))
    assert fingerprint.size(rounded.to_int8().model) == fingerprint.size(exact.model)


def test_all_layers_but_the_output_embeddings_have_8_bits(int8):
    model = int8("gpt2").model
    left = [layer for layer in model.modules() if isinstance(layer, nn.Linear)]
    assert left == [model.get_output_embeddings()]
    assert is_quantized(model)


def test_bfloat16_becomes_float32_beside_8_bits(tiny):
    model = SeqGPT(copy.deepcopy(tiny("llama").model).bfloat16(), tiny("llama").tokenizer).to_int8()
    assert model.predict(TEXTS[0], TONE).labels
    assert SeqGPT(model.model, model.tokenizer).quantized == "int8"


def test_once_is_enough(int8):
    model = int8("qwen3")
    before = model.predict(TEXTS[0], TONE)
    assert model.to_int8().predict(TEXTS[0], TONE) == before


def test_8_bit_weights_are_neither_saved_nor_trained(int8, tmp_path):
    model = int8("qwen3")
    with pytest.raises(ModelError, match=r"save the model before to_int8\(\)"):
        model.save_pretrained(tmp_path / "model")
    assert not (tmp_path / "model").exists()
    with pytest.raises(ModelError, match="int8 weights cannot be trained"):
        Trainer(model, TrainingArguments(str(tmp_path)), [])


def test_a_model_elsewhere_than_on_a_cpu_is_refused(tiny):
    with torch.device("meta"):
        model = SeqGPT(copy.deepcopy(tiny("llama").model), tiny("llama").tokenizer)
    _ = model.forward
    model.model.to("meta")
    with pytest.raises(ModelError, match="8-bit weights are for CPUs, and the model is on meta: pass device='cpu'"):
        model.to_int8()
