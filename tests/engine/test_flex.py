"""A row that one kernel computes gives what padded rows and blocks give; where it does not, that is told.

Compiled, the kernel has no gradients on a CPU. So the row is computed by a reference there, which reads the same tiles
and asks the same function; and the kernel is compared with that reference by itself.
"""

import copy
import shutil
from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import flex_attention as library
from torch.nn.attention.flex_attention import create_mask

from seqgpt.engine import flex
from seqgpt.engine.forward import TreeForward
from seqgpt.engine.tree import PADDING, Tree, join_rows, lay_out, visible
from seqgpt.model import SeqGPT
from tests.engine.test_forward import TREES, close, plain
from tests.strategies import quick

KERNEL = ["llama", "qwen3", "gpt2", "gpt_neox"]
LONG = list(range(3, 103))
MANY = [
    *TREES,
    Tree([3, 4, 5, 8], [[7, 8], [12]]),
    Tree(LONG, [[7, 8, 9], [10]]),
    Tree([*LONG[:80], 5, 6], [[11, 12], [13]]),
    Tree(LONG[::-1], [[7, 8, 9], [10, 11]]),
]
CPU = torch.device("cpu")


def by_kernel(model):
    forward = TreeForward(model)
    forward.packing = "flex"
    assert forward.pack() == ""
    return forward


def still(model):
    """Return a copy that drops nothing out."""
    model = copy.deepcopy(model.model).train()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model


def learnt(forward, trees, row_tokens):
    """Return logits at all branch tokens, in the order of the trees, the loss, and the gradients of all weights."""
    batch = forward.training_batch(trees, row_tokens)
    logits = forward.model(**forward.inputs(batch), use_cache=False).logits
    found = torch.cat(
        [
            logits[place.row, place.branch : place.branch + len(branch)]
            for tree, places in zip(trees, batch.places, strict=True)
            for branch, place in zip(tree.branches, places, strict=True)
        ]
    )
    loss = nn.functional.cross_entropy(found, torch.arange(len(found)) % found.shape[1])
    forward.model.zero_grad()
    loss.backward()
    return found.detach(), loss.detach(), {name: weight.grad for name, weight in forward.model.named_parameters()}


@pytest.mark.slow
@pytest.mark.parametrize("row_tokens", [0, 120, 4096])
@pytest.mark.parametrize("model_type", KERNEL)
def test_loss_and_gradients_are_those_of_padded_rows_and_of_blocks(model_type, row_tokens, tiny):
    model = still(tiny(model_type))
    logits, loss, gradients = learnt(by_kernel(copy.deepcopy(model)), MANY, row_tokens)
    rows, blocks = TreeForward(copy.deepcopy(model)), TreeForward(copy.deepcopy(model))
    assert blocks.pack() == ""
    for other in (rows, blocks):
        expected, wanted, right = learnt(other, MANY, row_tokens)
        torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(loss, wanted, atol=1e-5, rtol=1e-5)
        for name, gradient in gradients.items():
            torch.testing.assert_close(gradient, right[name], atol=1e-5, rtol=1e-5, msg=name)


@pytest.mark.parametrize("model_type", KERNEL)
@torch.no_grad()
def test_each_branch_is_as_in_a_plain_row(model_type, tiny):
    model = tiny(model_type)
    forward = by_kernel(still(model))
    batch = forward.training_batch(MANY, row_tokens=150)
    assert batch.node.shape == (1, 3 * flex.TILE)
    logits = forward.model(**forward.inputs(batch), use_cache=False).logits
    for tree, places in zip(MANY, batch.places, strict=True):
        spots = [logits[p.row, p.branch : p.branch + len(b)] for p, b in zip(places, tree.branches, strict=True)]
        close([torch.cat(spots)], [plain(model, tree)])


@pytest.mark.slow
@pytest.mark.parametrize("row_tokens", [0, 4096])
def test_under_autocast_it_computes_as_rows_do(row_tokens, tiny):
    """Rotated queries and keys may have another type than values; the kernel takes one."""
    model = still(tiny("qwen3"))
    exact, _, _ = learnt(TreeForward(model), MANY, 0)
    forward = by_kernel(model)
    with torch.autocast("cpu", torch.bfloat16):
        row = learnt(forward, MANY, row_tokens)[0]
        forward.unpack()
        padded = learnt(forward, MANY, row_tokens)[0]
    assert (row - exact).square().mean() <= 1.3 * (padded - exact).square().mean()


trees = st.lists(
    st.builds(
        Tree,
        st.lists(st.integers(3, 5), min_size=1, max_size=90),
        st.lists(st.lists(st.integers(3, 9), min_size=1, max_size=20), max_size=4),
    ),
    min_size=1,
    max_size=6,
)


@quick
@given(trees=trees, row_tokens=st.sampled_from([0, 100, 1000]), share=st.booleans())
def test_the_mask_says_what_rows_say_and_lists_all_tiles_that_are_needed(trees, row_tokens, share):
    rows = lay_out(trees, row_tokens=row_tokens, share_stems=share)
    batch = join_rows(rows, multiple_of=flex.TILE)
    tokens = batch.node.shape[1]
    mask = flex.mask_of(batch, CPU)
    found = create_mask(mask.mask_mod, 1, 1, tokens, tokens, CPU)[0, 0]
    expected = torch.zeros(tokens, tokens, dtype=torch.bool)
    start = 0
    for row, length in enumerate(batch.blocks):
        node, root, stem = (numbers[row : row + 1, :length] for numbers in (rows.node, rows.root, rows.stem))
        part = slice(start, start + length)
        expected[part, part] = visible(node, [root, stem], node, 0)[0]
        start += length
    assert start == (batch.node != PADDING).sum()
    assert torch.equal(found[:start], expected[:start])
    assert not found[start:, :start].any()
    assert found.diagonal().all()  # no token sees nothing: that would be no number
    seen = found.view(tokens // flex.TILE, flex.TILE, -1, flex.TILE).any(3).any(1)
    listed = _dense(mask.kv_num_blocks[0, 0], mask.kv_indices[0, 0])
    assert not (seen & ~listed).any()
    assert torch.equal(_dense(mask.q_num_blocks[0, 0], mask.q_indices[0, 0]).T, listed)


def _dense(counts, indices):
    """Return which tiles a list of them names: bool [n, n]."""
    found = torch.zeros(len(counts), len(counts), dtype=torch.bool)
    for row, (count, listed) in enumerate(zip(counts, indices, strict=True)):
        found[row, listed[:count].long()] = True
    return found


def case(rows, heads, width):
    """Return queries, keys and values of a row, and its mask."""
    batch = join_rows(lay_out(MANY[3:] * rows, row_tokens=200, share_stems=True), multiple_of=flex.TILE)
    generator = torch.Generator().manual_seed(rows)
    tensors = [
        torch.randn(1, n, batch.node.shape[1], width, generator=generator) for n in (heads[0], heads[1], heads[1])
    ]
    return tensors, flex.mask_of(batch, CPU)


def computed(kernel, tensors, mask, scale):
    tensors = [one.clone().requires_grad_() for one in tensors]
    output = kernel(*tensors, block_mask=mask, scale=scale, enable_gqa=tensors[0].shape[1] != tensors[1].shape[1])
    weights = torch.arange(output.numel()).sin().view_as(output)
    return [output.detach(), *torch.autograd.grad((output * weights).sum(), tensors)]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
@pytest.mark.parametrize("heads", [(4, 4), (4, 2), (6, 2)])
@pytest.mark.parametrize("scale", [None, 0.3])
def test_the_library_uncompiled_computes_the_reference_and_its_gradients(heads, scale, monkeypatch):
    monkeypatch.setattr(library, "_validate_device", lambda *_: None)  # it has them, and does not offer them
    tensors, mask = case(2, heads, 16)
    found = computed(library.flex_attention, tensors, mask, scale)
    for one, other in zip(found, computed(flex._reference, tensors, mask, scale), strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # in the compiler
@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler of C++ to compile the kernel with")
@torch.no_grad()
def test_the_kernel_compiled_computes_the_reference():
    """Rows of any number of tiles above one are computed by a kernel that is compiled once."""
    compiled = torch._dynamo.utils.counters["stats"]
    before = compiled["unique_graphs"]
    for rows in (3, 1, 2, 5):
        tensors, mask = case(rows, (4, 2), 16)
        expected = flex._reference(*tensors, block_mask=mask, scale=None, enable_gqa=True)
        found = flex._kernel()(*tensors, block_mask=mask, scale=None, enable_gqa=True)
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert compiled["unique_graphs"] - before == 1


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # in the compiler
@pytest.mark.skipif(shutil.which("g++") is None, reason="no compiler of C++ to compile the kernel with")
@torch.no_grad()
def test_a_model_computes_by_the_kernel_compiled_what_it_computes_of_plain_rows(tiny, monkeypatch):
    model = tiny("qwen3")
    forward = by_kernel(still(model))
    monkeypatch.setattr(flex, "_reference", flex._kernel())
    batch = forward.training_batch(MANY, row_tokens=150)
    logits = forward.model(**forward.inputs(batch), use_cache=False).logits
    for tree, places in zip(MANY, batch.places, strict=True):
        spots = [logits[p.row, p.branch : p.branch + len(b)] for p, b in zip(places, tree.branches, strict=True)]
        close([torch.cat(spots)], [plain(model, tree)])


def reason(model, monkeypatch=None, kernel=None):
    if kernel is not None:
        monkeypatch.setattr(flex, "_reference", kernel)
    forward = TreeForward(copy.deepcopy(model))
    forward.packing = "flex"
    before = forward.model.config._attn_implementation
    found = forward.find_training_layout()
    assert not forward.packs
    assert forward.model.config._attn_implementation == before
    return found


def test_what_was_found_is_told(tiny):
    model = copy.deepcopy(tiny("qwen3"))
    assert model.info()["training_layout"] == "blocks"
    model.forward.packing = "flex"
    assert (model.info()["training_layout"], model.info()["notes"]) == ("flex", [])


def test_bloom_keeps_its_own_way(tiny):
    why = "bloom computes attention by eager, not by exchangeable functions"
    assert reason(tiny("bloom").model) == ("tree", why)


def test_a_kernel_that_raises_is_not_used_and_the_reason_told(tiny, monkeypatch):
    class NoSuchCompilerError(Exception):
        pass

    def without_compiler(*_, **__):
        raise NoSuchCompilerError("there is no compiler\nand many lines more")

    model = tiny("qwen3")
    monkeypatch.setattr(flex, "_reference", without_compiler)
    why = "qwen3 does not take rows of one kernel (NoSuchCompilerError: there is no compiler)"
    assert reason(model.model) == ("tree", why)
    model = copy.deepcopy(model)
    model.forward.packing = "flex"
    assert model.info()["notes"] == [f"{why}; batches of training are padded rows, which takes more time."]


def all_is_seen(query, key, value, *, block_mask, **options):
    return nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True, **options)


def gradients_of_keys_are_lost(query, key, value, *, reference=flex._reference, **options):
    return reference(query, key.detach(), value, **options)


def it_is_no_number(query, key, value, *, reference=flex._reference, **options):
    return reference(query * torch.nan, key, value, **options)


@pytest.mark.parametrize("kernel", [all_is_seen, gradients_of_keys_are_lost, it_is_no_number])
def test_a_kernel_that_computes_something_else_is_not_used(kernel, tiny, monkeypatch):
    layout, why = reason(tiny("llama").model, monkeypatch, kernel)
    assert layout == "tree"
    assert why.startswith("llama computes rows of one kernel differently from padded rows (by ")


@pytest.mark.parametrize(
    "change",
    [
        {"stem": lambda batch: batch.root},  # what prompts share is not seen
        {"root": lambda batch: batch.stem},  # the rest of the prompt is not
        {"node": lambda batch: batch.node.clamp(max=1)},  # other branches are
        {"blocks": lambda batch: (sum(batch.blocks),)},  # other rows are
    ],
)
def test_a_wrong_mask_is_found(change, tiny, monkeypatch):
    mask_of = flex.mask_of

    def wrong(batch, device):
        return mask_of(replace(batch, **{name: of(batch) for name, of in change.items()}), device)

    monkeypatch.setattr(flex, "mask_of", wrong)
    assert "differently" in reason(tiny("llama").model)[1]


def test_a_tile_that_is_not_listed_is_found(tiny, monkeypatch):
    tiles = flex._tiles
    monkeypatch.setattr(flex, "_tiles", lambda *given: (torch.ones_like(tiles(*given)[0]), tiles(*given)[1]))
    assert "differently" in reason(tiny("llama").model)[1]


def test_attention_weights_that_are_dropped_out_are_left_to_rows(tokenizer):
    config = {"model_type": "gpt2", "hidden_size": 32, "n_layer": 2, "n_head": 4, "attn_pdrop": 0.1}
    model = SeqGPT.from_config(config, tokenizer).model
    before = torch.random.get_rng_state()
    layout, why = reason(model)
    assert layout == "tree"
    assert why.endswith("(ValueError: it drops out attention weights, which the kernel cannot do)")
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize("training", [False, True])
def test_it_leaves_a_model_as_it_was(training, tiny):
    model = copy.deepcopy(tiny("qwen3").model).train(training)
    assert reason(model) == ("flex", "")
    assert model.training is training
    assert all(weight.grad is None for weight in model.parameters())


def test_without_a_tree_mask_it_is_ordinary_attention(tiny):
    """Models predict between steps of training."""
    model = tiny("qwen3")
    forward = by_kernel(copy.deepcopy(model.model))
    with torch.no_grad():
        found = forward.model(input_ids=torch.tensor([LONG]), use_cache=False).logits
        expected = model.model(input_ids=torch.tensor([LONG]), use_cache=False).logits
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
