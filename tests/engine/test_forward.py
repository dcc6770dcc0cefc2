"""A tree computes what its branches compute one by one, whatever the architecture; where it does not, rows are used."""

from types import SimpleNamespace

import pytest
import torch
from transformers.masking_utils import create_causal_mask

from seqgpt.engine.forward import PROMPT_ATTENTION, TreeForward
from seqgpt.engine.tree import Tree
from seqgpt.errors import ModelError
from seqgpt.model import SeqGPT
from tests.conftest import tiny_config

TREES = [
    Tree([3, 4, 5, 6], [[7, 8, 9], [10, 11], [12], [7, 8, 13]]),
    Tree([20, 21, 22, 23, 24, 25, 26], [[27], [28, 29]]),
    Tree([30], [[31, 32, 33, 34, 35]]),
]
EXACT = ["llama", "qwen3", "qwen2", "gpt2", "gpt_neox"]


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
    with torch.no_grad():
        logits = forward.logits(batch, keep)
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


@pytest.mark.parametrize("model_type", [*EXACT, "bloom", "mistral"])
def test_padded_rows_equal_plain_rows(model_type, tiny):
    model = tiny(model_type)
    close(at_branches(forced(model, "rows"), TREES), [plain(model, tree) for tree in TREES])


@pytest.mark.parametrize(
    ("model_type", "layout"),
    [*((one, "tree") for one in EXACT), *((one, "rows") for one in (*EXACT, "bloom", "mistral"))],
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
        logits = iter(stepper.run(ids, positions, node, torch.where(live, 0, -1), live))
        for i in range(3):
            if live[i, 0]:
                found[i].append(next(logits))
    expected = [plain(model, Tree(t.prompt, [[9, 8, 7, *more]])) for t, more in zip(trees, steps, strict=True)]
    close([torch.stack(rows) for rows in found], expected)


def test_bloom_uses_rows_and_says_why(tiny):
    model = tiny("bloom")
    assert model.info()["layout"] == "rows"
    assert model.info()["notes"] == [
        "bloom takes no positions; each label is computed in a row of its own, which is slower."
    ]


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


def whole(tokenizer, model_type):
    return SeqGPT.from_config({**tiny_config(model_type), PROMPT_ATTENTION: "whole"}, tokenizer)


@pytest.mark.parametrize("model_type", EXACT)
def test_whole_prompts_see_all_of_themselves_and_nothing_else(model_type, tokenizer):
    """The reference is the model under a mask written out for one tree with one branch."""
    model = whole(tokenizer, model_type)
    found = at_branches(model.forward, TREES, row_tokens=64)
    for tree, logits in zip(TREES, found, strict=True):
        expected = []
        for branch in tree.branches:
            ids = torch.tensor([[*tree.prompt, *branch]])
            length, prompt = ids.shape[1], len(tree.prompt)
            seen = torch.ones(length, length).tril().bool()
            seen[:prompt, :prompt] = True
            mask = torch.zeros(1, 1, length, length).masked_fill(~seen, torch.finfo(torch.float32).min)
            with torch.no_grad():
                expected.append(model.model(input_ids=ids, attention_mask=mask, use_cache=False).logits[0, prompt:])
        close([logits], [torch.cat(expected)])


def test_whole_prompts_differ_from_causal_ones(tokenizer, tiny):
    causal, seeing = tiny("qwen3"), whole(tokenizer, "qwen3")
    assert not torch.allclose(*(at_branches(m.forward, TREES[:1])[0] for m in (causal, seeing)), atol=1e-3)


def test_whole_prompts_step_as_in_one_pass(tokenizer):
    forward = whole(tokenizer, "llama").forward
    tree = TREES[0]
    at_once = at_branches(forward, [Tree(tree.prompt, [[7, 8, 9]])])[0][-1]
    batch = forward.batch([Tree(tree.prompt, [[7, 8]])])
    _, stepper = forward.start(batch, batch.node >= 0)
    one = torch.ones(1, 1).long()
    last = stepper.run(9 * one, 6 * one, one, 0 * one, one.bool())[0]
    torch.testing.assert_close(last, at_once, atol=1e-5, rtol=1e-5)


def test_whole_prompts_need_trees(tokenizer):
    with pytest.raises(ModelError, match="set it to 'causal'"):
        _ = whole(tokenizer, "bloom").forward


def test_whole_prompts_are_saved_with_the_model(tokenizer, tmp_path):
    whole(tokenizer, "qwen3").save_pretrained(tmp_path)
    assert SeqGPT.from_pretrained(tmp_path).forward.whole_prompts
    with pytest.raises(ModelError, match="use 'causal' or 'whole'"):
        SeqGPT.from_config({**tiny_config("qwen3"), PROMPT_ATTENTION: "both"}, tokenizer)
    file = tmp_path / "config.json"
    file.write_text(file.read_text().replace('"whole"', '"both"'))
    with pytest.raises(ModelError, match="prompt_attention is 'both' in the model's config"):
        SeqGPT.from_pretrained(tmp_path)
