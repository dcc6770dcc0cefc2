"""What is trained is what is predicted: the same prompt, the same branches, and answers that the grammar allows."""

import pytest
from hypothesis import given

from seqgpt.data.sample import load_sample
from seqgpt.engine.plan import make_plan
from seqgpt.examples import Example
from seqgpt.results import Extraction
from seqgpt.templates.marks import choice, cue
from seqgpt.training.encode import encode
from tests.strategies import quick, results


@pytest.fixture(scope="module")
def parts(still_model):
    return still_model.vocabulary, still_model.template


def check(example, vocabulary, template):
    """Check everything that must hold of an encoded example; return whether its grammar was never left."""
    encoded = encode(example, vocabulary, template)
    plan = make_plan(example.text, example.task, vocabulary, template)
    answer = vocabulary.encode_pieces(template.answer(example.task, example.gold, example.text).pieces)
    assert tuple(encoded.tree.prompt) == plan.prompt
    if example.task.kind == "classify" and not example.task.multi_label:
        (branch,), (targets,) = encoded.tree.branches, encoded.targets
        assert tuple(target.token for target in targets) == answer
        assert tuple(branch) == answer[:-1]
        assert [target.offset for target in targets] == list(range(-1, len(branch)))
        assert plan.branches == tuple(vocabulary.encode_pieces(choice(label)) for label in example.task.labels)
        assert not example.gold.labels or answer == plan.branches[example.task.labels.index(example.gold.labels[0])]
    else:
        spelt = []
        assert plan.branches == tuple(vocabulary.encode_pieces(cue(label)) for label in example.task.labels)
        for begun, branch, targets in zip(plan.branches, encoded.tree.branches, encoded.targets, strict=True):
            said = tuple(target.token for target in targets)
            assert tuple(branch) == begun + said[:-1]
            assert [target.offset for target in targets] == list(range(len(begun) - 1, len(branch)))
            spelt += [*begun, *said]
        assert tuple(spelt) == answer
    for target in (target for targets in encoded.targets for target in targets):
        assert not target.allowed or target.token in target.allowed
        assert len(set(target.allowed)) == len(target.allowed)
    return all(target.allowed for targets in encoded.targets for target in targets)


@quick
@given(gold=results)
def test_any_example_spells_its_answer(parts, gold):
    inside = check(Example(gold), *parts)
    spans = gold.spans if isinstance(gold, Extraction) else ()
    assert inside or any(span.text != span.text.strip() for span in spans)


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_bundled_examples_never_leave_the_grammar(parts, split):
    assert all(check(example, *parts) for example in load_sample(split))


def test_the_eight_examples(parts, eight):
    assert all(check(example, *parts) for example in eight)


def test_a_span_with_white_space_at_its_edge_is_learnt_without_the_grammar(parts):
    gold = {"text": "a b c", "task": "extract", "labels": ["x", "y"], "answer": {"x": ["b "], "y": ["b"]}}
    encoded = encode(Example.from_dict(gold), *parts)
    free, bound = ([not target.allowed for target in targets] for targets in encoded.targets)
    assert any(free)
    assert not any(bound)


def test_marks_as_words_are_words(parts):
    vocabulary, template = parts
    text = "<|none|> and <|end|>"
    gold = {"text": text, "task": "extract", "labels": ["<|is|>"], "answer": {"<|is|>": ["<|end|>", "<|none|>"]}}
    check(Example.from_dict(gold), vocabulary, template)


def test_labels_that_begin_alike_are_told_apart(parts):
    record = {"text": "x", "task": "classify", "labels": ["人", "人名", "人名字"], "answer": ["人名"]}
    vocabulary, template = parts
    encoded = encode(Example.from_dict(record), vocabulary, template)
    assert max(len(target.allowed) for target in encoded.targets[0]) >= 2
    check(Example.from_dict(record), vocabulary, template)
