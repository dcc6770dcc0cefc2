"""A tree computes what its branches compute one by one, whatever the architecture; where it does not, rows are used."""

import copy
from types import SimpleNamespace

import pytest
import torch
from transformers.masking_utils import create_causal_mask

from seqgpt.engine import forward as forward_module
from seqgpt.engine.forward import TreeForward
from seqgpt.engine.tree import Tree
from seqgpt.errors import ModelError
from seqgpt.model import SeqGPT

TREES = [
    Tree([3, 4, 5, 6], [[7, 8, 9], [10, 11], [12], [7, 8, 13]]),
    Tree([20, 21, 22, 23, 24, 25, 26], [[27], [28, 29]]),
    Tree([30], [[31, 32, 33, 34, 35]]),
]
EXACT = ["llama", "qwen3", "qwen2", "gpt2", "gpt_neox", "bloom"]


def plain(model, tree):
    """Return the logits at the branch tokens, each branch in a plain row of its own."""
    rows = []
    with torch.no_grad():
        for branch in tree.branches:
            logits = model.model(input_ids=torch.tensor([[*tree.prompt, *branch]]), use_cache=False).logits[0]
            rows.append(logits[len(tree.prompt) :])
    return torch.cat(rows)


def at_branches(forward, trees, **options):
    """Return for each tree the logits at its branch tokens, all trees in one batch."""
    batch = forward.batch(trees, **options)
    keep = batch.node != -1
    logits, _ = forward.start(batch, keep)
    where = torch.full(keep.shape, -1)
    where[keep] = torch.arange(len(logits))
    return [
        torch.cat([logits[where[p.row, p.branch : p.branch + len(b)]] for p, b in zip(places, t.branches, strict=True)])
        for t, places in zip(trees, batch.places, strict=True)
    ]


def close(found, expected):
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


def forced(model, layout):
    forward = TreeForward(model.model)
    forward.layout = layout
    return forward


@pytest.mark.parametrize("model_type", EXACT)
def test_trees_equal_plain_rows(model_type, tiny):
    model = tiny(model_type)
    assert model.forward.layout == "tree"
    assert model.forward.note == ""
    close(at_branches(model.forward, TREES), [plain(model, tree) for tree in TREES])


@pytest.mark.parametrize("model_type", EXACT)
def test_trees_packed_in_one_row_equal_each_alone(model_type, tiny):
    forward = tiny(model_type).forward
    assert len(forward.batch(TREES, row_tokens=64).input_ids) == 1
    alone = [at_branches(forward, [tree])[0] for tree in TREES]
    close(at_branches(forward, TREES, row_tokens=64), alone)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("model_type", EXACT)
@torch.no_grad()
def test_batches_of_training_equal_plain_rows(model_type, packed, tiny):
    """Trees whose prompts begin alike share their stem; in blocks or in rows."""
    model = tiny(model_type)
    trees = [*TREES, Tree([3, 4, 5, 8], [[7, 8], [12]]), Tree([3, 4, 9], [[10, 7]]), TREES[0]]
    forward = TreeForward(copy.deepcopy(model.model))
    if packed:
        reason = forward.pack()
        assert reason == (
            "bloom computes attention by eager, not by exchangeable functions" if model_type == "bloom" else ""
        )
    batch = forward.training_batch(trees, row_tokens=20)
    assert len(batch.blocks) == (3 if forward.packs else 0)
    assert int((batch.node != -1).sum()) < sum(map(len, trees))
    logits = forward.model(**forward.inputs(batch), use_cache=False).logits
    for tree, places in zip(trees, batch.places, strict=True):
        spots = [logits[p.row, p.branch : p.branch + len(b)] for p, b in zip(places, tree.branches, strict=True)]
        close([torch.cat(spots)], [plain(model, tree)])


@pytest.mark.parametrize("model_type", [*EXACT, "mistral"])
def test_padded_rows_equal_plain_rows(model_type, tiny):
    model = tiny(model_type)
    close(at_branches(forced(model, "rows"), TREES), [plain(model, tree) for tree in TREES])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model_type", "layout"),
    [*((one, "tree") for one in EXACT), *((one, "rows") for one in (*EXACT, "mistral"))],
)
def test_stepping_with_the_cache_equals_one_pass(model_type, layout, tiny):
    """Branches of different lengths; one stops early, and the others go on over its padding."""
    model = tiny(model_type)
    forward = forced(model, layout)
    steps = [[40, 41, 42], [50], [60, 61]]  # what follows the only branch of each tree
    trees = [Tree(range(3, 3 + n), [[9, 8, 7]]) for n in (4, 19, 1)]  # one prompt is longer than mistral's window
    batch = forward.batch(trees)
    first, stepper = forward.start(batch, batch.node == 1)
    found = [list(first[3 * i : 3 * i + 3]) for i in range(3)]
    for step in range(3):
        live = torch.tensor([[step < len(wanted)] for wanted in steps])
        ids = torch.tensor([[wanted[step] if step < len(wanted) else 0] for wanted in steps])
        node = torch.where(live, 1, -1)
        positions = torch.tensor([[len(tree.prompt) + 3 + step] for tree in trees])
        logits = iter(stepper.run(ids, positions, node, [torch.where(live, 0, -1)], live))
        for i in range(3):
            if live[i, 0]:
                found[i].append(next(logits))
    expected = [plain(model, Tree(t.prompt, [[9, 8, 7, *more]])) for t, more in zip(trees, steps, strict=True)]
    close([torch.stack(rows) for rows in found], expected)


def test_a_model_without_positions_uses_rows_and_says_why(tiny, monkeypatch):
    monkeypatch.setattr(forward_module, "take_biases", lambda _: None)
    forward = TreeForward(tiny("bloom").model)
    assert forward.layout == "rows"
    assert forward.note == "bloom takes no positions; each label is computed in a row of its own, which is slower."


def test_bloom_still_takes_plain_masks(tiny):
    model = tiny("bloom")
    assert model.info()["layout"] == "tree"
    ids = torch.tensor([[3, 4, 5, 6, 7]])
    with torch.no_grad():
        expected = model.model(input_ids=ids).logits
        found = model.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("model_type", EXACT)
def test_logits_of_a_few_tokens_are_those_of_all(model_type, tiny):
    forward = tiny(model_type).forward
    assert forward._has_plain_head
    batch = forward.batch(TREES)
    keep = batch.node > 0
    tokens = torch.tensor([3, 77, 140])
    few, _ = forward.start(batch, keep, tokens)
    every, _ = forward.start(batch, keep)
    torch.testing.assert_close(few, every[:, tokens], atol=1e-5, rtol=1e-5)


def test_a_head_that_does_more_than_multiply_is_used_whole(tiny, monkeypatch):
    model = tiny("qwen3").model
    run = type(model).forward

    def capped(self, *args, **kwargs):
        output = run(self, *args, **kwargs)
        output.logits = 0.5 * torch.tanh(output.logits)
        return output

    monkeypatch.setattr(type(model), "forward", capped)
    forward = TreeForward(model)
    assert not forward._has_plain_head
    batch = forward.batch(TREES)
    tokens = torch.tensor([3, 77, 140])
    few, _ = forward.start(batch, batch.node > 0, tokens)
    every, _ = forward.start(batch, batch.node > 0)
    torch.testing.assert_close(few, every[:, tokens])


@pytest.mark.slow
@pytest.mark.parametrize("window", [8, 16, 64, 256])
def test_an_architecture_that_counts_columns_uses_rows(window, tokenizer):
    config = {"model_type": "gpt_neo", "hidden_size": 32, "num_layers": 2, "num_heads": 4, "window_size": window}
    config |= {"attention_types": [[["global", "local"], 1]], "max_position_embeddings": 512}
    model = SeqGPT.from_config(config, tokenizer)
    assert model.forward.layout == "rows"
    model.model.config.attention_layers = ["global"] * 2  # as if it did not say so
    assert TreeForward(model.model).layout == "rows"


@pytest.mark.parametrize("model_type", ["llama", "gpt2", "gpt_neox"])
def test_what_is_tested_over_a_distance_is_found_right(model_type, tiny, monkeypatch):
    """With many branches between, as types are tested that are not among ours."""
    monkeypatch.setattr("seqgpt.engine.forward._TESTED", ())
    found = TreeForward(tiny(model_type).model)
    assert (found.layout, found.note, found.find_training_layout()) == ("tree", "", ("blocks", ""))


def test_a_sliding_window_uses_rows(tiny):
    assert tiny("mistral").forward.layout == "rows"
    assert "window" in tiny("mistral").forward.note


def test_a_model_that_ignores_the_tree_mask_uses_rows(tiny, monkeypatch):
    model = tiny("qwen3")

    def without_tree_mask(*args, **kwargs):
        if kwargs["attention_mask"] is not None and kwargs["attention_mask"].dim() == 4:
            kwargs["attention_mask"] = None
        return create_causal_mask(*args, **kwargs)

    monkeypatch.setattr("transformers.models.qwen3.modeling_qwen3.create_causal_mask", without_tree_mask)
    forward = TreeForward(model.model)
    assert forward.layout == "rows"
    assert forward.note.startswith("qwen3 computes trees differently from plain rows (by ")
    close(at_branches(forward, TREES), [plain(model, tree) for tree in TREES])


def test_a_model_that_refuses_the_tree_mask_uses_rows(tiny, monkeypatch):
    model = tiny("qwen3").model
    run = type(model).forward

    def refusing(self, attention_mask=None, position_ids=None, **kwargs):
        if attention_mask is not None and attention_mask.dim() == 4:
            raise ValueError("attention_mask must have two dimensions")
        return run(self, attention_mask=attention_mask, position_ids=position_ids, **kwargs)

    monkeypatch.setattr(type(model), "forward", refusing)
    forward = TreeForward(model)
    assert forward.note.startswith("qwen3 does not take trees (ValueError)")


def test_a_model_that_ignores_every_mask_is_refused(tiny, monkeypatch):
    model = tiny("qwen3").model
    run = type(model).forward

    def blind(self, attention_mask=None, position_ids=None, **kwargs):
        return run(self, position_ids=position_ids, **kwargs)

    monkeypatch.setattr(type(model), "forward", blind)
    with pytest.raises(ModelError, match="qwen3 computes padded rows differently from plain rows"):
        TreeForward(model)


def test_a_model_that_returns_all_logits_is_understood(tiny, monkeypatch):
    model = tiny("qwen3")
    expected = at_branches(model.forward, TREES)
    run = type(model.model).forward

    def all_logits(self, input_ids, attention_mask=None, position_ids=None, past_key_values=None, use_cache=None):
        return SimpleNamespace(
            logits=run(
                self,
                input_ids,
                attention_mask=attention_mask,
                position_ids=position_ids,
                past_key_values=past_key_values,
                use_cache=use_cache,
            ).logits
        )

    monkeypatch.setattr(type(model.model), "forward", all_logits)
    close(at_branches(TreeForward(model.model), TREES), expected)


def test_the_self_test_leaves_a_model_in_its_mode(tiny):
    model = tiny("llama").model
    model.train()
    try:
        TreeForward(model)
        assert model.training
    finally:
        model.eval()
