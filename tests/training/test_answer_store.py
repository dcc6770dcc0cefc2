"""What is read from a store and put together is what encoding the example would give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.data.augmentation import Augmentation, apply, choose, choose_labels, held_numbers
from seqgpt.data.draws import draw
from seqgpt.data.label_book import LabelBook
from seqgpt.data.recipe import load_recipe
from seqgpt.data.sample import load_sample
from seqgpt.examples import Example
from seqgpt.training.answer_store import AnswerStore, write_store
from seqgpt.training.encode import LabelTokens, assemble, encode
from tests.strategies import quick, results

VARIANTS = [
    Augmentation(4),
    Augmentation(4, negatives=True, foreign=1, all_negative=0.3),
    Augmentation(6, descriptions=0.4, opaque=0.3, translated=0.3),
]
REAL = [
    "cluener",
    "cluener:typing",
    "cmeee",
    "trec",
    "ocnli",
    "go_emotions",
    "duie_sample",
    "duie_sample:tail",
    "fewfc",
    "fewfc:type",
    "fewfc:arguments",
    "figer_gold",
    "cmrc2018",
    "c3",
]


def plain(encoded):
    """Return an encoded example as plain values, targets in no order."""
    targets = [
        [(t.offset, sorted(t.options), sorted(t.right), t.one_of, t.weight) for t in branch]
        for branch in encoded.targets
    ]
    return list(encoded.tree.prompt), [list(branch) for branch in encoded.tree.branches], targets


def near(example, examples):
    """Return the labels of the other examples of a text that are not among its own."""
    others = dict.fromkeys(label for other in examples if other.text == example.text for label in other.task.labels)
    return [label for label in others if label not in example.task.labels]


def check(examples, folder, model, book=None):
    write_store(folder, examples, model.vocabulary, model.template, 10_000)
    store, words = AnswerStore(folder), LabelTokens(model.vocabulary)
    assert len(store) == len(examples)
    book = book or LabelBook(counts=store.counts, closed=store.closed)
    for options in VARIANTS:
        for i, example in enumerate(examples):
            stored = store[i]
            assert tuple(stored.asked.labels) == example.task.labels
            assert list(stored.answers.held) == held_numbers(example)
            beside = near(example, examples)
            assert list(stored.asked.near) == beside
            shown = choose(stored.asked, stored.answers.held, book, options, draw(i, "labels").random)
            assert shown == choose_labels(example, book, options, draw(i, "labels").random, beside)
            weight = shown.absent_weight(len(stored.asked.labels), stored.answers.held)
            put_together = assemble(stored.answers, shown, words, absent_weight=weight)
            assert plain(put_together) == plain(
                encode(apply(example, shown), model.vocabulary, model.template, absent_weight=weight)
            )
            if not any(shown.descriptions) and options is VARIANTS[0]:
                assert put_together.tree.longest <= store.longest[i]


@pytest.mark.slow
def test_bundled_examples(still_model, tmp_path):
    check(load_sample("train"), tmp_path / "store", still_model)


@pytest.mark.slow
@quick
@given(golds=st.lists(results, min_size=1, max_size=4))
def test_any_examples(golds, still_model, tmp_path_factory):
    examples = [Example(gold, str(i)) for i, gold in enumerate(golds)]
    check(examples, tmp_path_factory.mktemp("any") / "store", still_model)


@pytest.mark.slow
@pytest.mark.shared
@pytest.mark.parametrize("source", REAL)
def test_real_examples(source, still_model, tmp_path, data_root):
    name, _, task = source.partition(":")
    recipe = load_recipe(name)
    examples = recipe.examples("train", task=task or None, limit=12, data_root=data_root)
    entries = recipe.label_entries(task or recipe.tasks[0])
    counts = {label: i for i, label in enumerate(examples[0].task.labels)}
    check(examples, tmp_path / "store", still_model, LabelBook(entries, recipe.language, counts, closed=bool(entries)))


def test_a_store_without_examples_is_empty(still_model, tmp_path):
    write_store(tmp_path / "store", [], still_model.vocabulary, still_model.template, 100)
    assert len(AnswerStore(tmp_path / "store")) == 0
