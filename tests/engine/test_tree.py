"""How trees stand in rows, and who sees whom."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.engine.tree import PADDING, Place, Tree, additive, lay_out, visible
from tests.strategies import quick

A = Tree([10, 11], [[12, 13], [14]])
B = Tree([20], [[21]])

ids = st.lists(st.integers(1, 3) | st.integers(1, 99), min_size=1, max_size=5)
trees = st.lists(st.builds(Tree, ids, st.lists(ids, min_size=1, max_size=4)), min_size=1, max_size=5)


def test_a_tree_has_a_row_of_its_own():
    batch = lay_out([A, B])
    assert batch.input_ids.tolist() == [[10, 11, 12, 13, 14], [20, 21, 0, 0, 0]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 2], [0, 1, 0, 0, 0]]
    assert batch.node.tolist() == [[0, 0, 1, 1, 2], [0, 1, -1, -1, -1]]
    assert batch.root.tolist() == [[0, 0, 0, 0, 0], [0, 0, -1, -1, -1]]
    assert batch.places == [[Place(0, 1, 2), Place(0, 1, 4)], [Place(1, 0, 1)]]


def test_trees_share_a_row_that_is_long_enough():
    batch = lay_out([B, A], row_tokens=8)
    assert batch.input_ids.tolist() == [[10, 11, 12, 13, 14, 20, 21]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 2, 0, 1]]
    assert batch.node.tolist() == [[0, 0, 1, 1, 2, 3, 4]]
    assert batch.root.tolist() == [[0, 0, 0, 0, 0, 3, 3]]
    assert batch.places == [[Place(0, 5, 6)], [Place(0, 1, 2), Place(0, 1, 4)]]


def test_rows_can_be_padded_on_the_left():
    batch = lay_out([A, B], pad_left=True)
    assert batch.input_ids.tolist() == [[10, 11, 12, 13, 14], [0, 0, 0, 20, 21]]
    assert batch.node[1].tolist() == [PADDING, PADDING, PADDING, 0, 1]
    assert batch.places[1] == [Place(1, 3, 4)]


def test_rows_are_as_long_as_the_longest_tree():
    batch = lay_out([A, B, B], row_tokens=4)
    assert batch.input_ids.tolist() == [[10, 11, 12, 13, 14], [20, 21, 20, 21, 0]]


def test_rows_that_will_be_joined_are_not_filled_up_to_the_longest_tree():
    batch = lay_out([A, B, B], row_tokens=2, fill=False)
    assert batch.input_ids.tolist() == [[10, 11, 12, 13, 14], [20, 21, 0, 0, 0], [20, 21, 0, 0, 0]]


def test_prompts_that_begin_alike_share_their_stem():
    one, other = Tree([1, 2, 3, 8], [[4]]), Tree([1, 2, 3, 9], [[5], [6]])
    batch = lay_out([other, one, B], row_tokens=20, share_stems=True)
    assert batch.input_ids.tolist() == [[1, 2, 3, 8, 4, 9, 5, 6, 20, 21]]
    assert batch.position_ids.tolist() == [[0, 1, 2, 3, 4, 3, 4, 4, 0, 1]]
    assert batch.node.tolist() == [[0, 0, 0, 1, 2, 3, 4, 5, 6, 7]]
    assert batch.root.tolist() == [[0, 0, 0, 1, 1, 3, 3, 3, 6, 6]]
    assert batch.stem.tolist() == [[0, 0, 0, 0, 0, 0, 0, 0, 6, 6]]
    assert batch.places == [[Place(0, 5, 6), Place(0, 5, 7)], [Place(0, 3, 4)], [Place(0, 8, 9)]]


def test_what_is_asked_behind_a_prompt_is_shared_with_none():
    batch = lay_out([A, A], row_tokens=20, share_stems=True)
    assert batch.input_ids.tolist() == [[10, 11, 12, 13, 14, 11, 12, 13, 14]]
    assert batch.places[0][0].prompt != batch.places[1][0].prompt


def test_a_stem_is_shared_only_within_a_row():
    long = [Tree([1, 2, 3, 4, task], [[5]]) for task in range(6, 10)]
    batch = lay_out(long, row_tokens=8, share_stems=True)
    assert batch.input_ids.tolist() == [[1, 2, 3, 4, 6, 5, 7, 5], [1, 2, 3, 4, 8, 5, 9, 5]]


@quick
@given(trees=trees, row_tokens=st.sampled_from([0, 6, 40]), pad_left=st.booleans(), share_stems=st.booleans())
def test_a_token_sees_its_prompt_and_what_came_before_in_its_branch(trees, row_tokens, pad_left, share_stems):
    batch = lay_out(trees, row_tokens=row_tokens, pad_left=pad_left, share_stems=share_stems)
    tokens = int((batch.node != PADDING).sum())
    assert tokens <= sum(map(len, trees)) if share_stems else tokens == sum(map(len, trees))
    seen = visible(batch.node, [batch.root, batch.stem], batch.node, 0)
    for tree, places in zip(trees, batch.places, strict=True):
        for branch, (row, prompt, column) in zip(tree.branches, places, strict=True):
            begun = {column + i: [*tree.prompt, *branch[: i + 1]] for i in range(len(branch))}
            for spot, expected in ({prompt: tree.prompt} | begun).items():
                assert batch.input_ids[row, seen[row, spot]].tolist() == expected
                assert batch.position_ids[row, seen[row, spot]].tolist() == [*range(len(expected))]
            assert batch.root[row, column] == batch.node[row, prompt]


def test_the_mask_has_no_infinities():
    mask = additive(torch.tensor([[[True, False]]]), torch.float16)
    assert mask.tolist() == [[[[0.0, torch.finfo(torch.float16).min]]]]
