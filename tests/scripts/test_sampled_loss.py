"""The sampled loss is the exact one where all tokens are drawn, and right on average where few are."""

import pytest
import torch
from sampled_loss import sampled_loss
from torch.nn.functional import cross_entropy, linear


@pytest.fixture
def drawn_at_random():
    generator = torch.Generator().manual_seed(0)
    hidden, weights = (torch.randn(n, 8, generator=generator) for n in (50, 300))
    return hidden, weights, torch.randint(40, (50,), generator=generator)


def test_with_all_tokens_it_is_exact_and_so_are_its_gradients(drawn_at_random):
    hidden, weights, labels = drawn_at_random
    sampled, exact = (weights.clone().requires_grad_() for _ in range(2))
    one = sampled_loss(hidden, sampled, labels, drawn=300, seed=1)
    other = cross_entropy(linear(hidden, exact), labels)
    one.backward()
    other.backward()
    torch.testing.assert_close(one, other)
    torch.testing.assert_close(sampled.grad, exact.grad)


def test_with_few_tokens_it_is_right_on_average(drawn_at_random):
    hidden, weights, labels = drawn_at_random
    exact = cross_entropy(linear(hidden, 0.5 * weights), labels)
    losses = torch.stack([sampled_loss(hidden, 0.5 * weights, labels, drawn=30, seed=seed) for seed in range(200)])
    assert losses.std() > 0
    torch.testing.assert_close(losses.mean(), exact, rtol=0.02, atol=0)


def test_the_same_seed_draws_the_same(drawn_at_random):
    hidden, weights, labels = drawn_at_random
    one, other, another = (sampled_loss(hidden, weights, labels, drawn=30, seed=seed) for seed in (1, 1, 2))
    assert one == other != another


def test_a_batch_may_hold_the_whole_vocabulary(drawn_at_random):
    hidden, weights, _ = drawn_at_random
    labels = torch.arange(50)
    torch.testing.assert_close(
        sampled_loss(hidden, weights[:50], labels, drawn=10, seed=0),
        cross_entropy(linear(hidden, weights[:50]), labels),
    )
