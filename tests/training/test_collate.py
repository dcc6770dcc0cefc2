"""Packing changes nothing: the loss of a batch is that of its examples one by one, in plain rows."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.data.sample import load_sample
from seqgpt.engine.forward import TreeForward
from seqgpt.examples import Example
from seqgpt.training.collate import NOT_ALLOWED, answer_loss, collate
from seqgpt.training.encode import encode
from tests.strategies import quick


@pytest.fixture(scope="module")
def encoded(still_model, eight):
    edge = {"text": "a b c", "task": "extract", "labels": ["x"], "answer": {"x": ["b "]}}
    examples = [*eight, Example.from_dict(edge), *load_sample("train")[:8]]
    return [encode(example, still_model.vocabulary, still_model.template) for example in examples]


def naive_losses(model, encoded):
    """Compute each target's loss in a row of its own, with no mask and no positions: the model as it comes."""
    losses = []
    for example in encoded:
        for branch, targets in zip(example.tree.branches, example.targets, strict=True):
            row = [*example.tree.prompt, *branch]
            odds = model.model(input_ids=torch.tensor([row])).logits[0]
            for target in targets:
                at = odds[len(example.tree.prompt) + target.offset]
                options = list(target.allowed) or list(range(len(at)))
                losses.append(-at[options].log_softmax(-1)[options.index(target.token)])
    return torch.stack(losses)


def batch_loss(model, forward, encoded, row_tokens):
    batch = collate(encoded, forward, row_tokens)
    logits = model.model(**forward.inputs(batch["batch"]), logits_to_keep=batch["keep"], use_cache=False).logits
    return answer_loss(logits, batch["labels"], batch["allowed"]), len(batch["labels"])


@pytest.mark.parametrize("layout", ["tree", "rows"])
@pytest.mark.parametrize("row_tokens", [0, 64, 300, 4096])
@torch.no_grad()
def test_a_batch_is_its_examples(still_model, encoded, layout, row_tokens):
    forward = TreeForward(still_model.model)
    assert forward.layout == "tree"
    forward.layout = layout
    expected = naive_losses(still_model, encoded)
    loss, n = batch_loss(still_model, forward, encoded, row_tokens)
    assert n == len(expected)
    assert torch.isclose(loss / n, expected.mean(), rtol=1e-5)


def test_gradients_are_the_same_too(model, encoded):
    few = [encoded[0], encoded[4], encoded[7], encoded[8]]
    loss, n = batch_loss(model, model.forward, few, 256)
    (loss / n).backward()
    packed = {name: weight.grad.clone() for name, weight in model.model.named_parameters()}
    model.model.zero_grad()
    naive_losses(model, few).mean().backward()
    for name, weight in model.model.named_parameters():
        assert torch.allclose(packed[name], weight.grad, atol=1e-6), name


def test_every_target_stands_where_it_is_said(still_model, encoded):
    batch = collate(encoded, still_model.forward, 200)
    assert batch["keep"].sum() == len(batch["labels"]) == sum(len(t) for e in encoded for t in e.targets)
    assert sorted(batch["labels"].tolist()) == sorted(t.token for e in encoded for ts in e.targets for t in ts)
    assert batch["shift_labels"] is batch["labels"]
    for token, allowed in zip(batch["labels"].tolist(), batch["allowed"].tolist(), strict=True):
        assert token in allowed or set(allowed) == {NOT_ALLOWED}


def brute_force(logits, labels, allowed):
    total = 0.0
    for row, label, options in zip(logits.double(), labels.tolist(), allowed.tolist(), strict=True):
        asked = [token for token in options if token != NOT_ALLOWED] or list(range(len(row)))
        total += float(row[asked].exp().sum().log() - row[label])
    return total


@quick
@given(n=st.integers(1, 6), vocabulary=st.integers(2, 12), seed=st.integers(0, 1000))
def test_answer_loss_is_brute_force(n, vocabulary, seed):
    random_ = random.Random(seed)  # noqa: S311
    torch.manual_seed(seed)
    logits = torch.randn(n, vocabulary, requires_grad=True)
    rows, labels = [], []
    for _ in range(n):
        options = random_.sample(range(vocabulary), random_.randint(0, vocabulary))
        labels.append(random_.choice(options or range(vocabulary)))
        rows.append(options + [NOT_ALLOWED] * (vocabulary - len(options)))
    loss = answer_loss(logits, torch.tensor(labels), torch.tensor(rows))
    assert float(loss.detach()) == pytest.approx(
        brute_force(logits.detach(), torch.tensor(labels), torch.tensor(rows)), abs=1e-4
    )
    loss.backward()
    assert logits.grad.isfinite().all()


def test_answer_loss_of_half_precision_is_summed_in_full():
    logits = torch.zeros(2000, 8, dtype=torch.bfloat16)
    loss = answer_loss(logits, torch.zeros(2000, dtype=torch.long), torch.full((2000, 1), NOT_ALLOWED))
    assert float(loss) == pytest.approx(2000 * torch.tensor(8.0).log().item(), rel=1e-5)
