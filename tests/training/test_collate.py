"""Packing changes nothing: the loss of a batch is that of its examples one by one, in plain rows."""

import random

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import logsigmoid
from torch.nn.utils.rnn import pad_sequence

from seqgpt.data.sample import load_sample
from seqgpt.engine.forward import TreeForward
from seqgpt.examples import Example
from seqgpt.templates.marks import NONE
from seqgpt.training.collate import NO_OPTION, answer_loss, collate, tokens_of
from seqgpt.training.encode import Target, encode
from tests.strategies import quick
from tests.training.conftest import EIGHT


@pytest.fixture(scope="module")
def encoded(still_model, eight):
    edge = {"text": "a b c", "task": "extract", "labels": ["x"], "answer": {"x": ["b "]}}
    again = {"text": EIGHT[0]["text"], "task": "classify", "labels": ["travel", "sport"], "answer": ["travel"]}
    examples = [*eight, *map(Example.from_dict, (edge, again, again)), *load_sample("train")[:8]]
    return [
        encode(example, still_model.vocabulary, still_model.template, absent_weight=1 + 0.5 * (i % 3))
        for i, example in enumerate(examples)
    ]


def naive_losses(model, encoded):
    """Compute each target's loss in a row of its own, with no mask and no positions: the model as it comes."""
    none = model.vocabulary.mark(NONE)
    losses = []
    for example in encoded:
        for branch, targets in zip(example.tree.branches, example.targets, strict=True):
            row = [*example.tree.prompt, *branch]
            odds = model.model(input_ids=torch.tensor([row])).logits[0, len(example.tree.prompt) - 1 :]
            losses += [target.weight * loss_of(odds[target.offset + 1], target, none) for target in targets]
    return torch.stack(losses)


def loss_of(logits, target, none):
    if target.one_of:
        (right,) = target.right
        options = list(target.options)
        return -logits[options].log_softmax(-1)[options.index(right)]
    signs = [1.0 if token in target.right else -1.0 for token in target.options]
    return -sum(
        logsigmoid(sign * (logits[token] - logits[none])) for sign, token in zip(signs, target.options, strict=True)
    )


def batch_loss(model, forward, encoded, row_tokens):
    batch = collate(encoded, forward, row_tokens)
    logits = model.model(**forward.inputs(batch["batch"]), logits_to_keep=batch["keep"], use_cache=False).logits
    none = model.vocabulary.mark(NONE)
    asked = (batch[key] for key in ("options", "right", "one_of", "weight"))
    return answer_loss(logits, *asked, none=none).sum(), len(batch["labels"])


@pytest.mark.slow
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
    few = [encoded[i] for i in (0, 4, 7, 8, 9, 10)]  # of which the first and the last two share their text
    loss, n = batch_loss(model, model.forward, few, 256)
    (loss / n).backward()
    packed = {name: weight.grad.clone() for name, weight in model.model.named_parameters()}
    model.model.zero_grad()
    naive_losses(model, few).mean().backward()
    for name, weight in model.model.named_parameters():
        assert torch.allclose(packed[name], weight.grad, atol=1e-6), name


def test_every_target_stands_where_it_is_asked(still_model, encoded):
    batch = collate(encoded, still_model.forward, 200)
    targets = [target for example in encoded for targets in example.targets for target in targets]
    assert batch["keep"].sum() == len(batch["labels"]) == len(targets)
    assert batch["shift_labels"] is batch["labels"]
    found = [
        (tuple(token for token in options if token != NO_OPTION), one_of)
        for options, one_of in zip(batch["options"].tolist(), batch["one_of"].tolist(), strict=True)
    ]
    assert sorted(found) == sorted((target.options, target.one_of) for target in targets)
    assert batch["right"].sum() == sum(len(target.right) for target in targets)
    assert not batch["right"][batch["options"] == NO_OPTION].any()


@quick
@given(n=st.integers(1, 6), vocabulary=st.integers(3, 12), seed=st.integers(0, 1000))
def test_answer_loss_is_brute_force(n, vocabulary, seed):
    random_ = random.Random(seed)  # noqa: S311
    torch.manual_seed(seed)
    logits = torch.randn(n, vocabulary, requires_grad=True)
    targets = []
    for _ in range(n):
        options = tuple(random_.sample(range(1, vocabulary), random_.randint(1, vocabulary - 1)))
        one_of = random_.random() < 0.5
        right = random_.sample(options, 1 if one_of else random_.randint(0, len(options)))
        targets.append(Target(0, options, frozenset(right), one_of, random_.random()))
    options = [torch.tensor(target.options) for target in targets]
    right = [torch.tensor([token in target.right for token in target.options]) for target in targets]
    loss = answer_loss(
        logits,
        pad_sequence(options, batch_first=True, padding_value=NO_OPTION),
        pad_sequence(right, batch_first=True),
        torch.tensor([target.one_of for target in targets]),
        torch.tensor([target.weight for target in targets]),
        0,
    ).sum()
    expected = sum(target.weight * loss_of(row, target, 0) for row, target in zip(logits, targets, strict=True))
    assert float(loss.detach()) == pytest.approx(float(expected.detach()), abs=1e-4)
    loss.backward()
    assert logits.grad.isfinite().all()


def test_the_logits_of_options_are_enough(model, encoded):
    """The same loss and the same gradients as with those of the whole vocabulary, which come back after it."""
    forward, none = TreeForward(model.model), model.vocabulary.mark(NONE)
    inputs = collate(encoded, forward, 300)
    options, *asked = (inputs[key] for key in ("options", "right", "one_of", "weight"))
    tokens, among, none_among = tokens_of(options, none)
    assert tokens[none_among] == none
    assert tokens[among[options != NO_OPTION]].equal(options[options != NO_OPTION])

    def learn(options, none):
        arguments = forward.inputs(inputs["batch"])
        logits = model.model(**arguments, logits_to_keep=inputs["keep"], use_cache=False).logits
        loss = answer_loss(logits, options, *asked, none).sum()
        return logits.shape[1], loss, torch.autograd.grad(loss, list(model.model.parameters()))

    with forward.only(tokens) as alone:
        assert alone
        width, loss, gradients = learn(among, none_among)
    whole, expected, right = learn(options, none)
    assert width == len(tokens) < whole == len(model.tokenizer)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradients, right, rtol=1e-4, atol=1e-4)


def test_where_logits_are_more_than_a_product_all_are_computed(model, encoded, monkeypatch):
    monkeypatch.setattr(TreeForward, "_head_is_plain", lambda _: False)
    with TreeForward(model.model).only(torch.tensor([1, 2])) as alone:
        assert not alone
        assert model.model(input_ids=torch.tensor([[3]])).logits.shape[-1] == len(model.tokenizer)


def test_answer_loss_of_half_precision_is_summed_in_full():
    logits = torch.zeros(2000, 8, dtype=torch.bfloat16)
    options = torch.arange(8).expand(2000, 8)
    first = (options == 0) & torch.ones(2000, 1, dtype=torch.bool)
    loss = answer_loss(logits, options, first, torch.ones(2000, dtype=torch.bool), torch.ones(2000), 7).sum()
    assert float(loss) == pytest.approx(2000 * torch.tensor(8.0).log().item(), rel=1e-5)


def test_no_examples_are_a_batch_of_which_nothing_is_asked(model):
    """A process without a share of a batch runs the model all the same, and adds nothing."""
    loss, asked = batch_loss(model, TreeForward(model.model), [], row_tokens=100)
    assert (loss.item(), asked) == (0.0, 0)
    loss.backward()
    assert all(not weight.grad.any() for weight in model.model.parameters())
