"""Two optimizers as one: every weight is in one of them, and a run goes on exactly where it stopped."""

import pytest
import torch

from seqgpt.training.optimizer import CombinedOptimizer, muon_and_adamw
from tests.conftest import tiny_config


@pytest.fixture(params=["gpt2", "llama", "gpt_neox", "bloom", "qwen3"])
def network(request, tokenizer):
    from seqgpt.model import SeqGPT

    return SeqGPT.from_config(tiny_config(request.param), tokenizer).model


def build(network) -> CombinedOptimizer:
    return muon_and_adamw(
        network, muon_learning_rate=0.02, learning_rate=2e-3, weight_decay=0.1, betas=(0.9, 0.98), eps=1e-8
    )


def step(network, optimizer, seed):
    torch.manual_seed(seed)
    ids = torch.randint(20, (2, 8))
    network(input_ids=ids, labels=ids).loss.backward()
    optimizer.step()
    optimizer.zero_grad()


def test_every_weight_has_one_optimizer_and_matrices_of_layers_have_muon(network):
    muon, adamw = build(network).parts
    of_muon, of_adamw = ([w for group in part.param_groups for w in group["params"]] for part in (muon, adamw))
    assert sorted(map(id, of_muon + of_adamw)) == sorted(map(id, network.parameters()))
    names = {id(weight): name for name, weight in network.named_parameters()}
    assert of_muon
    assert all(weight.ndim == 2 for weight in of_muon)
    assert not any("embed" in names[id(w)] or "wte" in names[id(w)] or "wpe" in names[id(w)] for w in of_muon)
    assert not any(w.ndim != 2 for group in adamw.param_groups if group["weight_decay"] for w in group["params"])


def test_every_weight_moves(network):
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    step(network, build(network), 0)
    # What keys add to a query's scores is the same for all keys: their bias has no gradient.
    assert all(
        not torch.equal(before[name], weight)
        for name, weight in network.named_parameters()
        if "k_proj.bias" not in name
    )


def test_a_scheduler_sets_the_rate_of_both(network):
    optimizer = build(network)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.5**step)
    step(network, optimizer, 0)
    scheduler.step()
    assert {group["lr"] for part in optimizer.parts for group in part.param_groups} == {0.01, 1e-3}


def test_it_goes_on_from_its_state_as_if_never_stopped(tokenizer):
    from seqgpt.model import SeqGPT

    first, second = (SeqGPT.from_config(tiny_config("llama"), tokenizer, seed=3).model for _ in range(2))
    whole, begun = build(first), build(second)
    step(first, whole, 0)
    step(first, whole, 1)
    step(second, begun, 0)
    resumed = build(second)
    resumed.load_state_dict(begun.state_dict())
    step(second, resumed, 1)
    for one, other in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(one, other)
    assert len(resumed.state) == len(list(second.parameters()))
