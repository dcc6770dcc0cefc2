"""What cannot be in several processes is told before training begins; the rest of it is tested in two of them."""

import json
from contextlib import nullcontext
from types import SimpleNamespace

import pytest
import torch
from accelerate import DistributedType

from seqgpt.errors import ConfigError
from seqgpt.runs.config import DataConfig, ModelConfig, RunConfig
from seqgpt.training.processes import check_processes, check_sharding


def test_deepspeed_that_is_not_installed(arguments, tmp_path, monkeypatch):
    monkeypatch.setattr("seqgpt.training.processes.find_spec", lambda _: None)
    file = tmp_path / "ds.json"
    file.write_text(json.dumps({"zero_optimization": {"stage": 2}}))
    for given in (str(file), json.loads(file.read_text())):
        with pytest.raises(ConfigError, match=r"^deepspeed is set, and the package is not installed: pip install deep"):
            arguments(deepspeed=given)


@pytest.mark.parametrize("name", ["deepspeed", "fsdp_config"])
def test_files_that_cannot_be_read(arguments, tmp_path, name):
    with pytest.raises(ConfigError, match=rf"^{name} '.*none.json' cannot be read \(No such file .*\): check the path"):
        arguments(**{name: str(tmp_path / "none.json")})
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(ConfigError, match=rf"^{name} '.*bad.json' is no JSON \(Expecting .*\): correct it"):
        arguments(**{name: str(tmp_path / "bad.json")})


def test_fsdp_in_one_process(arguments):
    with pytest.raises(ConfigError, match="on GPUs only, not on CPUs: leave fsdp out"):
        arguments(fsdp=True)
    with pytest.raises(ConfigError, match="and this is the only one: start several with torchrun, or leave fsdp out"):
        check_processes(given(DistributedType.NO, fsdp=True, device=torch.device("cuda")))


def given(kind, **fields):
    """Stand in for arguments in several processes."""
    args = {"fsdp": None, "deepspeed": None, "muon_learning_rate": None} | fields
    args["accelerator_config"] = SimpleNamespace(split_batches=fields.get("split_batches", False))
    return SimpleNamespace(distributed_state=SimpleNamespace(distributed_type=kind), **args)


def test_batches_that_accelerate_would_split(arguments):
    with pytest.raises(ConfigError, match=r"^accelerator_config.split_batches is set: leave it out"):
        arguments(accelerator_config={"split_batches": True})


def test_processes_that_would_not_train_together(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    check_processes(given(DistributedType.NO))  # a scheduler set it; a launcher would have set the other one, too
    monkeypatch.setenv("LOCAL_RANK", "0")
    check_processes(given(DistributedType.MULTI_CPU))
    with pytest.raises(ConfigError, match=r"^2 processes were started, and each would train by itself: set use_cpu"):
        check_processes(given(DistributedType.NO))


def test_ways_to_share_weights_out_that_do_not_work():
    with pytest.raises(ConfigError, match="shares weights out on GPUs only, not on CPUs: leave fsdp out"):
        check_processes(given(DistributedType.MULTI_CPU, fsdp=True))
    check_processes(given(DistributedType.MULTI_GPU, fsdp=True))
    with pytest.raises(ConfigError, match="leave it out, or fsdp and deepspeed"):
        check_processes(given(DistributedType.MULTI_GPU, fsdp=True, muon_learning_rate=0.02))
    for stage in (2, 3):
        zero = SimpleNamespace(is_zero3=lambda stage=stage: stage == 3)
        args = given(DistributedType.DEEPSPEED, deepspeed="ds.json", hf_deepspeed_config=zero)
        with pytest.raises(ConfigError, match=r"ZeRO stage 3, .*: give stage 1 or 2") if stage == 3 else nullcontext():
            check_processes(args)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"fsdp_version": 1}, "the version of FSDP is 1: set it to 2"),
        ({"state_dict_type": "SHARDED_STATE_DICT"}, "checkpoints here are whole models: set it to FULL_STATE_DICT"),
        ({"activation_checkpointing": True}, "take it out there, and set the training argument activation_checkp"),
        ({"shared_marks": True}, "or train the whole model first and add LoRA to what it becomes"),
    ],
)
def test_how_weights_are_to_be_shared_out(wrong, sentence):
    right = {"fsdp_version": 2, "state_dict_type": "FULL_STATE_DICT", "activation_checkpointing": False}
    check_sharding(SimpleNamespace(**right), adapter=True, shared_marks=False)
    given = right | wrong
    with pytest.raises(ConfigError, match=sentence):
        check_sharding(SimpleNamespace(**given), adapter=True, shared_marks=given.pop("shared_marks", False))


def test_a_config_says_it_in_one_sentence():
    config = RunConfig("runs/none", ModelConfig(), DataConfig(), training={"deepspeed": "none.json"})
    with pytest.raises(ConfigError, match=r"^training: deepspeed 'none.json' cannot be read \(.*\): check the path\.$"):
        config.arguments()
