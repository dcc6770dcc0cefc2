"""The language model of the bundled model: every token once, a stopped run ends as another one, the rate falls last."""

import json
import warnings

import numpy as np
import pytest
import torch
from language_model import Blocks, main, new_model, renew_unseen
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from seqgpt import SeqGPT
from seqgpt.training.checkpoints import last_checkpoint
from tests.conftest import tiny_config


@pytest.fixture
def command(tmp_path, tokenizer):
    """The arguments of a tiny run, but for its output."""
    draw = np.random.default_rng(0)
    for name, size in {"train": 4000, "validation_en": 100, "validation_zh": 100}.items():
        np.save(tmp_path / f"{name}.npy", draw.integers(20, 60, size).astype(np.uint16))
    tokenizer.save_pretrained(tmp_path / "tokenizer")
    (tmp_path / "model.json").write_text(json.dumps({**tiny_config("llama"), "tie_word_embeddings": True}))
    given = {"tokens": tmp_path, "tokenizer": tmp_path / "tokenizer", "config": tmp_path / "model.json"}
    return [
        *(word for name, path in given.items() for word in (f"--{name}", str(path))),
        *["--block", "16", "--blocks", "2", "--warmup", "2", "--save-steps", "3", "--eval-steps", "100"],
    ]


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Was asked to gather along dimension 0")
        yield


def weights(folder):
    return load_file(folder / "model.safetensors")


def test_blocks_are_every_token_once_and_the_next_ones():
    tokens = np.arange(101, dtype=np.uint16)
    blocks = Blocks(tokens, 10)
    seen = torch.stack([blocks[i]["input_ids"] for i in range(len(blocks))])
    assert sorted(seen.flatten().tolist()) == list(range(100))
    assert all((blocks[i]["labels"] == blocks[i]["input_ids"] + 1).all() for i in range(len(blocks)))


def test_blocks_may_begin_later():
    tokens = np.arange(101, dtype=np.uint16)
    here, later = Blocks(tokens, 10), Blocks(tokens, 10, first=7)
    assert [later[i]["input_ids"][0] for i in range(4)] == [here[i]["input_ids"][0] for i in (7, 8, 9, 0)]


def test_given_embeddings_are_where_it_starts(tmp_path, command, tokenizer):
    width = tiny_config("llama")["hidden_size"]
    table = np.random.default_rng(0).normal(size=(len(tokenizer), width)).astype(np.float32)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    table[5] = 0  # a token that never came
    np.save(tmp_path / "embeddings.npy", table)
    model = new_model(tmp_path / "model.json", tokenizer, tmp_path / "embeddings.npy")
    found = model.get_input_embeddings().weight.detach()
    assert found.data_ptr() == model.get_output_embeddings().weight.data_ptr()
    cosines = torch.nn.functional.cosine_similarity(found, torch.from_numpy(table))
    assert torch.allclose(cosines[torch.arange(len(found)) != 5], torch.ones(len(found) - 1))
    assert found[5].any()


@pytest.mark.slow
def test_a_stopped_run_ends_like_another_one(tmp_path, command):
    main([*command, "--output", str(tmp_path / "whole"), "--steps", "6"])
    main([*command, "--output", str(tmp_path / "parts"), "--steps", "3"])
    main([*command, "--output", str(tmp_path / "parts"), "--steps", "6"])
    one, other = (weights(tmp_path / name / "checkpoint-6") for name in ("whole", "parts"))
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_the_last_steps_lower_the_rate_and_leave_a_model_that_opens(tmp_path, command):
    run = [*command, "--output", str(tmp_path / "run")]
    with pytest.raises(SystemExit, match="has no checkpoint to finish"):
        main([*run, "--decay", "4"])
    main([*run, "--steps", "3"])
    main([*run, "--decay", "4"])
    decayed = tmp_path / "run" / "decayed"
    log = json.loads((last_checkpoint(decayed) / "trainer_state.json").read_text())
    assert log["global_step"] == 4
    assert AutoModelForCausalLM.from_pretrained(decayed).config.tie_word_embeddings
    assert not SeqGPT.from_pretrained(decayed).trained
    assert last_checkpoint(tmp_path / "run").name == "checkpoint-3"  # goes on as if nothing had been finished


def test_tokens_that_never_came_begin_anew(tmp_path, command, tokenizer):
    model = new_model(tmp_path / "model.json", tokenizer, None)
    weight = model.get_input_embeddings().weight
    before = weight.detach().clone()
    with torch.no_grad():
        weight[[3, 4]] = -1.0  # as it is with tokens that are never right
    renew_unseen(model, np.array([i for i in range(len(weight)) if i not in (3, 4)], dtype=np.uint16))
    seen = torch.ones(len(weight), dtype=torch.bool)
    seen[[3, 4]] = False
    assert torch.equal(weight[seen], before[seen])
    assert torch.nn.functional.cosine_similarity(weight[3], weight[4], dim=0) < 0.8
    assert weight[3].std().item() == pytest.approx(before.std().item(), rel=0.5)


@pytest.mark.slow
def test_it_stops_in_time(tmp_path, command):
    main([*command, "--output", str(tmp_path / "run"), "--minutes", "0"])
    assert last_checkpoint(tmp_path / "run").name == "checkpoint-1"
