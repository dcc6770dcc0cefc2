"""Training in several processes: what cannot be, in one sentence each, before anything is trained.

accelerate passes over some of it in silence: told to share out the weights on a CPU it copies them, and of processes
that find no device in common each trains by itself.
"""

from __future__ import annotations

import json
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from accelerate import DistributedType

from seqgpt.errors import ConfigError

_INSTEAD = "use fsdp, or leave deepspeed out"


def check_plans(deepspeed: Any, fsdp_config: Any) -> None:
    """Check what transformers reads when it builds its arguments: files, and the package of DeepSpeed.

    Args:
        deepspeed: A DeepSpeed config, or its file.
        fsdp_config: A config of FSDP, or its file.

    Raises:
        ConfigError: If DeepSpeed is not installed, or a file cannot be read.
    """
    for name, given in (("deepspeed", deepspeed), ("fsdp_config", fsdp_config)):
        if isinstance(given, str):
            _check_json(name, Path(given))
    if deepspeed and find_spec("deepspeed") is None:
        raise ConfigError(f"deepspeed is set, and the package is not installed: pip install deepspeed, {_INSTEAD}.")


def check_processes(args: Any) -> None:
    """Check that the processes that were started train together, and in a way that this library can.

    Args:
        args: The arguments of the run, complete.

    Raises:
        ConfigError: If they do not.
    """
    started = int(os.environ.get("WORLD_SIZE", "1")) if "LOCAL_RANK" in os.environ else 1
    kind = args.distributed_state.distributed_type
    if started > 1 and kind == DistributedType.NO:
        raise ConfigError(
            f"{started} processes were started, and each would train by itself: set use_cpu to train on CPUs, or see "
            "that torch finds the GPUs."
        )
    if args.accelerator_config.split_batches:
        raise ConfigError("accelerator_config.split_batches is set: leave it out, processes share every batch evenly.")
    if args.fsdp and (kind == DistributedType.MULTI_CPU or (kind == DistributedType.NO and args.device.type == "cpu")):
        raise ConfigError("fsdp is set, and accelerate shares weights out on GPUs only, not on CPUs: leave fsdp out.")
    if args.fsdp and kind == DistributedType.NO:
        raise ConfigError(
            "fsdp shares weights out among processes, and this is the only one: start several with torchrun, or leave "
            "fsdp out."
        )
    if args.muon_learning_rate is not None and (args.fsdp or args.deepspeed):
        raise ConfigError("muon_learning_rate is for whole weight matrices: leave it out, or fsdp and deepspeed.")
    if args.deepspeed and args.hf_deepspeed_config.is_zero3():
        raise ConfigError(
            "deepspeed is set to ZeRO stage 3, in which no process ever has the whole model that its layout is tested "
            f"on: give stage 1 or 2, {_INSTEAD}."
        )


def check_sharding(plugin: Any, *, adapter: bool, shared_marks: bool) -> None:
    """Check how weights are to be shared out, whether arguments say it or what ``accelerate`` was configured to do.

    Args:
        plugin: accelerate's plugin for FSDP.
        adapter: An adapter is trained.
        shared_marks: It trains rows of a table that is both input and output embeddings.

    Raises:
        ConfigError: If it is in a way that does not work here.
    """
    if plugin.fsdp_version != 2:
        raise ConfigError(f"the version of FSDP is {plugin.fsdp_version}: set it to 2.")
    if "FULL" not in str(plugin.state_dict_type):
        raise ConfigError(
            "the state_dict_type of FSDP is SHARDED_STATE_DICT, and checkpoints here are whole models: set it to "
            "FULL_STATE_DICT."
        )
    if adapter and plugin.activation_checkpointing:  # which wraps layers in others that peft finds no adapter in
        raise ConfigError(
            "activation_checkpointing of fsdp_config keeps adapters from being saved: take it out there, and set "
            "the training argument activation_checkpointing."
        )
    if shared_marks:
        raise ConfigError(
            "fsdp cannot share out embeddings that are input and output at once while an adapter trains those of the "
            "marks: leave fsdp out, or train the whole model first and add LoRA to what it becomes."
        )


def _check_json(name: str, path: Path) -> None:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{name} {str(path)!r} cannot be read ({error.strerror}): check the path.") from error
    except ValueError as error:
        raise ConfigError(f"{name} {str(path)!r} is no JSON ({error}): correct it.") from error
