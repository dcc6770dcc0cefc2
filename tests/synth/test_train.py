"""What a synthesis writes is what the first stage trains on."""

import pytest
import yaml

from seqgpt import SeqGPT
from seqgpt.data.mixture import build_mixture, find_sources
from seqgpt.data.mixture_config import MixtureConfig
from seqgpt.runs.config import load_stages
from seqgpt.runs.run import run_stages
from seqgpt.synth import ScriptedTeacher, synthesize

MODEL = {
    "model_type": "qwen3",
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "intermediate_size": 64,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "max_position_embeddings": 512,
}


@pytest.fixture
def recipes(make):
    return [str(path) for path in synthesize(make(), teacher=ScriptedTeacher(), progress=False).written.recipes]


@pytest.mark.slow
@pytest.mark.parametrize("mixes", [False, True])
def test_a_tiny_model_trains_a_few_steps(recipes, tmp_path, mixes):
    training = {
        "max_steps": 3,
        "use_cpu": True,
        "per_device_train_batch_size": 4,
        "logging_steps": 1,
        "foreign_labels": 1,
    }
    reads = {"mixture": {"sources": recipes}} if mixes else {"data": {"train": recipes}}
    config = {"output_dir": str(tmp_path / "run"), "model": {"config": MODEL, "vocab_size": 500}}
    file = tmp_path / "run.yaml"
    file.write_text(yaml.safe_dump({**config, **reads, "stages": {"pretrain": {"training": training}}}))
    run_stages(load_stages(file))
    assert (
        SeqGPT.from_pretrained(tmp_path / "run" / "pretrain").predict("Ann met Bob.", ["regional company"]) is not None
    )


@pytest.mark.slow
def test_it_is_data_that_a_model_labelled(recipes):
    config = MixtureConfig(sources=recipes)
    assert find_sources(config) == sorted(recipes)
    mixture = build_mixture(config)
    assert {member.path[:2] for member in mixture.members} == {
        (language, family) for language in ("en", "zh") for family in ("TC", "NER", "ET")
    }
