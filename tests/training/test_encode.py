"""What is trained is what is predicted: the same prompt, the same branches, the same options, and the right answers."""

import pytest
from hypothesis import given

from seqgpt.data.sample import load_sample
from seqgpt.engine.constraint import SpanConstraint
from seqgpt.engine.plan import make_plan
from seqgpt.examples import Example
from seqgpt.results import Span
from seqgpt.templates.marks import END, choice, write_span
from seqgpt.training.encode import encode
from tests.strategies import quick, results


@pytest.fixture(scope="module")
def parts(still_model):
    return still_model.vocabulary, still_model.template


def check(example, vocabulary, template):
    """Check everything that must hold of an encoded example."""
    encoded = encode(example, vocabulary, template)
    plan = make_plan(example.text, example.task, vocabulary, template)
    assert tuple(encoded.tree.prompt) == plan.prompt
    for branch, targets in zip(encoded.tree.branches, encoded.targets, strict=True):
        offsets = [target.offset for target in targets]
        assert offsets == sorted(set(offsets))
        assert all(-1 <= offset < len(branch) for offset in offsets)
        for target in targets:
            assert len(set(target.options)) == len(target.options)
            assert target.right <= set(target.options)
            assert not target.one_of or len(target.right) == 1
    if example.task.kind == "classify" and not example.task.multi_label:
        (branch,), (targets,) = encoded.tree.branches, encoded.targets
        answer = vocabulary.encode_pieces(template.answer(example.task, example.gold, example.text).pieces)
        assert tuple(token for target in targets for token in target.right) == answer
        assert tuple(branch) == answer[:-1]
        assert [target.offset for target in targets] == list(range(-1, len(branch)))
        assert plan.branches == tuple(vocabulary.encode_pieces(choice(label)) for label in example.task.labels)
    elif example.task.kind == "classify":
        assert tuple(map(tuple, encoded.tree.branches)) == plan.branches
        held = [label for label, (target,) in zip(example.task.labels, encoded.targets, strict=True) if target.right]
        assert tuple(held) == example.gold.labels
    else:
        assert spelt(encoded, plan, vocabulary) == {
            (label, vocabulary.encode_pieces(write_span(span, example.text)))
            for label in example.task.labels
            for span in map(stripped, example.gold[label])
            if span.text
        }


def spelt(encoded, plan, vocabulary):
    """Return every answer that the targets call right, by following them as prediction would."""
    right = {
        (tuple(branch[: target.offset + 1])): target
        for branch, targets in zip(encoded.tree.branches, encoded.targets, strict=True)
        for target in targets
    }
    constraint, end = SpanConstraint(plan.text, vocabulary), vocabulary.mark(END)
    answers = set()

    def follow(label, cue, tokens):
        states = constraint.path(tokens)
        state = states[-1] if states else None
        options = {*constraint.following(state), *([end] if state and constraint.place(state) else [])}
        target = right.pop(cue + tokens)
        assert set(target.options) == options
        for token in target.right:
            if token == end:
                answers.add((label, (*tokens, end)))
            else:
                follow(label, cue, (*tokens, token))

    for label, cue in zip(plan.task.labels, plan.branches, strict=True):
        follow(label, cue, ())
    assert not right  # nothing is asked that no answer leads to
    return answers


def stripped(span):
    text = span.text.strip()
    start = span.start + len(span.text) - len(span.text.lstrip())
    return Span(span.label, text, start, start + len(text))


@quick
@given(gold=results)
def test_any_example_spells_its_answer(parts, gold):
    check(Example(gold), *parts)


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_bundled_examples(parts, split):
    for example in load_sample(split):
        check(example, *parts)


def test_the_eight_examples(parts, eight):
    for example in eight:
        check(example, *parts)


def test_beginnings_that_spans_share_are_asked_once(parts):
    vocabulary, template = parts
    gold = {"text": "a b c b", "task": "extract", "labels": ["x"], "answer": {"x": ["a", "a b", "b", "b"]}}
    encoded = encode(Example.from_dict(gold), vocabulary, template)
    assert len(encoded.tree.branches) == 4
    root, *_ = encoded.targets[0]
    assert root.right == {vocabulary.encode(" a")[0], vocabulary.encode(" b")[0]}
    assert all(target.offset > root.offset for targets in encoded.targets[1:] for target in targets)


def test_a_label_without_spans_is_asked_how_they_would_begin(parts):
    gold = {"text": "a b", "task": "extract", "labels": ["x"], "answer": {}}
    ((target,),) = encode(Example.from_dict(gold), *parts).targets
    assert not target.right
    assert target.options


def test_labels_that_do_not_hold_count_what_is_said(parts):
    gold = {"text": "a b", "task": "extract", "labels": ["x", "y"], "answer": {"x": ["a"]}}
    (begins, ends), (absent,) = encode(Example.from_dict(gold), *parts, absent_weight=2.5).targets
    assert (begins.weight, ends.weight, absent.weight) == (1, 1, 2.5)
    gold = {"text": "a b", "task": "classify", "multi_label": True, "labels": ["x", "y"], "answer": ["y"]}
    (absent,), (held,) = encode(Example.from_dict(gold), *parts, absent_weight=2.5).targets
    assert (held.weight, absent.weight) == (1, 2.5)


def test_marks_as_words_are_words(parts):
    vocabulary, template = parts
    text = "<|none|> and <|end|>"
    gold = {"text": text, "task": "extract", "labels": ["<|is|>"], "answer": {"<|is|>": ["<|end|>", "<|none|>"]}}
    check(Example.from_dict(gold), vocabulary, template)


def test_labels_that_begin_alike_are_told_apart(parts):
    record = {"text": "x", "task": "classify", "labels": ["人", "人名", "人名字"], "answer": ["人名"]}
    vocabulary, template = parts
    encoded = encode(Example.from_dict(record), vocabulary, template)
    assert max(len(target.options) for target in encoded.targets[0]) >= 2
    check(Example.from_dict(record), vocabulary, template)
