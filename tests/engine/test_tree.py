"""How trees stand in rows, and who sees whom."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.engine.tree import PADDING, Place, Tree, additive, lay_out, visible
from tests.strategies import quick

A = Tree([10, 11], [[12, 13], [14]])
B = Tree([20], [[21]])

ids = st.lists(st.integers(1, 99), min_size=1, max_size=5)
trees = st.lists(st.builds(Tree, ids, st.lists(ids, min_size=1, max_size=4)), min_size=1, max_size=5)


def test_a_tree_has_a_row_of_its_own():
    batch = lay_out([A, B])
    assert batch.input_ids.tolist() == [[10, 11, 12, 13, 14], [20, 21, 0, 0, 0]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 2], [0, 1, 0, 0, 0]]
    assert batch.node.tolist() == [[0, 0, 1, 1, 2], [0, 1, -1, -1, -1]]
    assert batch.root.tolist() == [[0, 0, 0, 0, 0], [0, 0, -1, -1, -1]]
    assert batch.places == [[Place(0, 0, 2), Place(0, 0, 4)], [Place(1, 0, 1)]]


def test_trees_share_a_row_that_is_long_enough():
    batch = lay_out([B, A], row_tokens=8)
    assert batch.input_ids.tolist() == [[10, 11, 12, 13, 14, 20, 21]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 2, 0, 1]]
    assert batch.node.tolist() == [[0, 0, 1, 1, 2, 3, 4]]
    assert batch.root.tolist() == [[0, 0, 0, 0, 0, 3, 3]]
    assert batch.places == [[Place(0, 5, 6)], [Place(0, 0, 2), Place(0, 0, 4)]]


def test_rows_can_be_padded_on_the_left():
    batch = lay_out([A, B], pad_left=True)
    assert batch.input_ids.tolist() == [[10, 11, 12, 13, 14], [0, 0, 0, 20, 21]]
    assert batch.node[1].tolist() == [PADDING, PADDING, PADDING, 0, 1]
    assert batch.places[1] == [Place(1, 3, 4)]


def test_a_tree_longer_than_a_row_gets_a_row_of_its_own():
    batch = lay_out([A, B, B], row_tokens=4)
    assert batch.input_ids.tolist() == [[10, 11, 12, 13, 14], [20, 21, 20, 21, 0]]


@quick
@given(trees=trees, row_tokens=st.sampled_from([0, 6, 40]), pad_left=st.booleans())
def test_every_token_is_where_its_place_says(trees, row_tokens, pad_left):
    batch = lay_out(trees, row_tokens=row_tokens, pad_left=pad_left)
    assert int((batch.node != PADDING).sum()) == sum(map(len, trees))
    for tree, places in zip(trees, batch.places, strict=True):
        for branch, (row, prompt, column) in zip(tree.branches, places, strict=True):
            assert batch.input_ids[row, prompt : prompt + len(tree.prompt)].tolist() == tree.prompt
            assert batch.input_ids[row, column : column + len(branch)].tolist() == branch
            first = len(tree.prompt)
            assert batch.position_ids[row, column].item() == first
            assert batch.root[row, column] == batch.node[row, prompt]


@quick
@given(trees=trees, row_tokens=st.sampled_from([0, 40]))
def test_a_token_sees_its_prompt_and_what_came_before_in_its_branch(trees, row_tokens):
    batch = lay_out(trees, row_tokens=row_tokens)
    seen = visible(batch.node, [batch.root], batch.node, 0)
    for tree, places in zip(trees, batch.places, strict=True):
        for branch, (row, prompt, column) in zip(tree.branches, places, strict=True):
            for i in range(len(branch)):
                expected = {*range(prompt, prompt + len(tree.prompt)), *range(column, column + i + 1)}
                assert set(seen[row, column + i].nonzero().flatten().tolist()) == expected


def test_the_mask_has_no_infinities():
    mask = additive(torch.tensor([[[True, False]]]), torch.float16)
    assert mask.tolist() == [[[[0.0, torch.finfo(torch.float16).min]]]]
