"""How labels are shown: what each switch does, on hand-written and on real examples; and what it never does."""

import pickle
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.data.augmentation import (
    Augmentation,
    apply,
    choose_labels,
    held_numbers,
)
from seqgpt.data.draws import Draws, draw
from seqgpt.data.label_book import LabelBook, LabelEntry, implies, too_close
from seqgpt.data.recipe import load_recipe
from seqgpt.errors import ConfigError
from seqgpt.examples import Example
from seqgpt.results import Extraction
from tests.strategies import quick, results

PLAIN = LabelBook()
EXAMPLE = Example.from_dict(
    {
        "text": "a b",
        "task": "classify",
        "labels": {f"label {i}": f"meaning {i}" for i in range(20)},
        "none": True,
        "answer": ["label 7"],
        "id": "x",
        "family": "TC",
        "language": "en",
    }
)


def shown(example, options, seed=0, epoch=0, book=PLAIN):
    return apply(example, choose_labels(example, book, options, draw(seed, epoch, example.id, "labels").random))


def few(example, most=24, **where):
    return shown(example, Augmentation(most), **where)


def test_the_same_draw_gives_the_same_labels():
    assert few(EXAMPLE, 5, seed=3, epoch=2) == few(EXAMPLE, 5, seed=3, epoch=2)


def test_draws_are_the_same_in_every_process():
    assert draw(0, 0, "x", "labels").random() == 0.5585527847662408
    assert draw(0, 1, "中", "mentions").random() == 0.41757942588352825


def test_draws_that_begin_alike_are_those_of_their_purposes():
    many = Draws(0, "labels", "中")
    same = pickle.loads(pickle.dumps(many))  # noqa: S301  (as worker processes get it)
    assert [many.uniform(n)() for n in (0, 7, 7)] == [same.uniform(n)() for n in (0, 7, 7)]
    assert len({numbers.uniform(n)() for n in range(1000) for numbers in (many, Draws(1, "labels", "中"))}) == 2000


def test_seed_epoch_and_id_all_matter():
    other = Example(EXAMPLE.gold, "y")
    orders = {few(EXAMPLE).task.labels, few(EXAMPLE, seed=1).task.labels, few(EXAMPLE, epoch=1).task.labels}
    assert len(orders | {few(other).task.labels}) == 4


def test_long_label_sets_are_sampled_anew_every_epoch():
    sets = [frozenset(few(EXAMPLE, 4, epoch=epoch).task.labels) for epoch in range(40)]
    assert all(len(labels) == 4 and "label 7" in labels for labels in sets)
    assert len(set(sets)) > 30
    assert frozenset.union(*sets) == set(EXAMPLE.task.labels)


def test_everything_else_of_the_example_stays():
    example = few(EXAMPLE, 3)
    assert (example.id, example.family, example.language, example.text) == ("x", "TC", "en", "a b")
    assert example.task.none
    assert example.task.descriptions == {label: f"meaning {label[6:]}" for label in example.task.labels}


def test_labels_that_take_no_room_are_all_kept():
    bare = {"text": "a b", "task": "classify", "labels": [f"label {i}" for i in range(20)], "answer": ["label 7"]}
    assert len(few(Example.from_dict(bare), 4).task.labels) == 20
    assert len(few(Example.from_dict(bare | {"multi_label": True}), 4).task.labels) == 4


def test_absent_labels_that_are_shown_stand_for_all_of_them():
    labels = [f"label {i}" for i in range(12)]
    record = {"text": "a b", "task": "extract", "labels": labels, "answer": {"label 3": ["a"]}, "id": "x"}
    example = Example.from_dict(record)
    counts = Counter()
    for epoch in range(600):
        chosen = choose_labels(example, PLAIN, Augmentation(5), draw(0, epoch, "x").random)
        counts.update(dict.fromkeys(chosen.words, chosen.absent_weight(12, [3])))
    assert counts.pop("label 3") == 600 * 11 / 4  # shown every time
    assert sum(counts.values()) == 600 * 11
    assert dict(counts) == pytest.approx(dict.fromkeys(counts, 600), rel=0.2)


def test_one_absent_label_is_shown_at_least():
    record = {"text": "a b", "task": "extract", "labels": list("vwxyz"), "answer": {"x": ["a"], "z": ["b"]}}
    example = Example.from_dict(record)
    chosen = choose_labels(example, PLAIN, Augmentation(2), draw(0).random)
    assert len(chosen.kept) == 3
    assert chosen.absent_weight(5, [2, 4]) == 3
    full = Example.from_dict(record | {"labels": ["x", "z"]})
    chosen = choose_labels(full, PLAIN, Augmentation(2), draw(0).random)
    assert chosen.words
    assert chosen.absent_weight(2, [0, 1]) == 0  # of nothing


@quick
@given(gold=results, most=st.integers(1, 6), epoch=st.integers(0, 3))
def test_the_answer_stays_and_the_right_labels_are_kept(gold, most, epoch):
    example = few(Example(gold, "x"), most, epoch=epoch)
    held = {span.label for span in gold.spans} if isinstance(gold, Extraction) else set(gold.labels)
    labels = set(example.task.labels)
    assert held <= labels <= set(gold.task.labels)
    if gold.task.descriptions or not gold.task.single_label:
        assert len(labels) <= min(len(gold.task.labels), max(most, len(held) + 1))
        assert len(labels) >= min(len(gold.task.labels), len(held) + 1)
    else:
        assert labels == set(gold.task.labels)
    if isinstance(gold, Extraction):
        assert set(example.gold.spans) == set(gold.spans)
    else:
        assert set(example.gold.labels) == set(gold.labels)


@quick
@given(
    gold=results,
    epoch=st.integers(0, 9),
    switch=st.sampled_from(["all_negative", "descriptions", "opaque", "translated"]),
)
def test_whatever_is_shown_is_answered_right(gold, epoch, switch):
    example = Example(gold, "x")
    chosen = choose_labels(example, PLAIN, Augmentation(4, **{switch: 1.0}), draw(epoch).random)
    result = apply(example, chosen)
    assert result.text == gold.text
    assert result.task.about == gold.task.about
    own = {word: gold.task.labels[i] for i, word in zip(chosen.kept, chosen.words, strict=True)}
    if isinstance(gold, Extraction):
        wanted = {(span.label, span.start, span.end) for span in gold.spans if span.label in own.values()}
        assert {(own[span.label], span.start, span.end) for span in result.gold.spans} == wanted
    else:
        assert {own[label] for label in result.gold.labels} == set(gold.labels) & set(own.values())
        assert result.gold.labels or result.task.none or result.task.multi_label


# On real sets: what each switch does


@pytest.fixture(scope="module")
def real(data_root):
    """Examples and label books of real recipes."""

    def read(name, task=None, n=400):
        recipe = load_recipe(name)
        examples = recipe.examples("train", task=task, limit=n, data_root=data_root)
        counts = Counter(e.task.labels[i] for e in examples for i in held_numbers(e))
        entries = recipe.label_entries(task or recipe.tasks[0])
        return examples, LabelBook(entries, recipe.language, counts, closed=bool(entries))

    return read


shared = pytest.mark.shared


def rate(examples, book, options, holds):
    return sum(holds(e, shown(e, options, book=book)) for e in examples) / len(examples)


@shared
def test_without_switches_labels_are_those_of_the_recipe(real):
    examples, book = real("cluener")
    assert rate(examples, book, Augmentation(99), lambda e, s: set(e.task.labels) == set(s.task.labels)) == 1
    assert rate(examples, book, Augmentation(99), lambda e, s: e.task.labels == s.task.labels) < 0.05  # shuffled


@shared
def test_translated_names(real):
    examples, book = real("cluener")
    options = Augmentation(99, translated=0.3)
    english = set(load_recipe("cluener").label_names("en").values())
    assert rate(examples, book, options, lambda _, s: set(s.task.labels) == english) == pytest.approx(0.3, abs=0.07)
    (one,) = [e for e in examples if e.gold.spans][:1]
    names = load_recipe("cluener").labels
    to_english = {named["zh"]: named["en"] for named in names.values()}
    said = shown(one, Augmentation(99, translated=1.0), book=book)
    assert {(to_english[s.label], s.text) for s in one.gold.spans} == {(s.label, s.text) for s in said.gold.spans}


@shared
def test_triggers_are_translated_as_events(real):
    examples, book = real("duee_triggers", n=5)
    said = shown(examples[0], Augmentation(99, translated=1.0), book=book)
    assert all(label.endswith(" event") for label in said.task.labels)


@shared
def test_descriptions(real):
    examples, book = real("trec")
    options = Augmentation(99, descriptions=0.15)
    described = rate(examples, book, options, lambda _, s: len(s.task.descriptions) == 6)
    assert described == pytest.approx(0.15, abs=0.06)
    assert rate(examples, book, Augmentation(99), lambda _, s: bool(s.task.descriptions)) == 0


@shared
def test_opaque_names_come_with_descriptions(real):
    examples, book = real("cluener")
    own = set(examples[0].task.labels)

    def opaque(_, s):
        return not own & set(s.task.labels) and set(s.task.descriptions) == set(s.task.labels)

    assert rate(examples, book, Augmentation(99, opaque=0.5), opaque) == pytest.approx(0.5, abs=0.08)
    said = shown(examples[0], Augmentation(99, opaque=1.0), book=book)
    assert "游戏" in said.task.descriptions.values()  # what has no description is described by its name


@shared
def test_all_negative_examples(real):
    examples, book = real("wnut_17")
    having = [e for e in examples if e.gold.spans]
    lost = rate(having, book, Augmentation(99, all_negative=0.5), lambda _, s: not s.gold.spans)
    assert lost == pytest.approx(0.5, abs=0.1)
    topics, book = real("trec")
    options = Augmentation(99, all_negative=0.2)
    assert not any(e.task.none for e in topics)
    none = rate(topics, book, options, lambda e, s: s.gold.abstained and e.gold.labels[0] not in s.task.labels)
    allowed = rate(topics, book, options, lambda e, s: s.task.none and s.gold.labels == e.gold.labels)
    assert none == pytest.approx(0.2, abs=0.06)
    assert allowed == pytest.approx(0.16, abs=0.06)  # else "none" would always be right where it is possible


@shared
def test_frequent_and_like_labels_are_shown_as_absent_more_often(real):
    examples, book = real("hwu64_slots", n=800)
    even, chosen = Counter(), Counter()
    for counts, negatives in ((even, False), (chosen, True)):
        for e in examples:
            options = Augmentation(6, negatives=negatives)
            picked = choose_labels(e, book, options, draw(0, 0, e.id).random)
            counts.update(e.task.labels[i] for i in picked.kept if i not in held_numbers(e))
    frequent = {label for label, _ in Counter(book._counts).most_common(10)}
    share = [sum(c[label] for label in frequent) / c.total() for c in (even, chosen)]
    assert share[1] > 1.5 * share[0]
    assert len(set(chosen)) > 50  # none is never shown


@shared
def test_hard_negatives_are_like_what_holds(real):
    examples, book = real("hwu64_slots", n=400)
    table = book.table(examples[0].task.labels)
    rank = {False: [], True: []}
    for example in examples:
        held = held_numbers(example)
        if len(held) == 1:
            for negatives, ranks in rank.items():
                shown = choose_labels(
                    example, book, Augmentation(6, negatives=negatives), draw(0, 0, example.id).random
                )
                ranks += [table.alike(held[0]).index(i) for i in shown.kept if i not in held]
    nearest = [sum(place <= 3 for place in ranks) / len(ranks) for ranks in rank.values()]
    assert nearest[1] > 2 * nearest[0]


@pytest.mark.slow
@shared
@pytest.mark.parametrize("source", ["duie_et", "maintie_et", "re_docred_sentence:tail", "hwu64_slots"])
@pytest.mark.parametrize("negatives", [False, True])
def test_no_synonym_or_parent_of_what_holds_is_shown_as_absent(real, source, negatives):
    name, _, task = source.partition(":")
    examples, book = real(name, task or None, n=300)
    for example in examples:
        labels, held = example.task.labels, held_numbers(example)
        shown = choose_labels(example, book, Augmentation(8, negatives=negatives), draw(example.id).random)
        for i in shown.kept:
            assert i in held or not any(implies(labels[j], labels[i], book) for j in held)


@shared
def test_right_options_are_not_left_out_where_a_wrong_one_would_then_be_right(real):
    examples, book = real("cosmosqa_valid", n=100)
    options = Augmentation(6, all_negative=1.0)
    assert all(shown(e, options, book=book).gold.labels == e.gold.labels for e in examples)
    record = {"text": "a b", "task": "classify", "labels": ["praise", "blame", "Other"], "answer": ["praise"]}
    kept = shown(Example.from_dict(record), options)
    assert (kept.gold.labels, kept.task.none) == (("praise",), False)


@shared
def test_questions_of_other_texts_are_asked_as_absent(real):
    examples, book = real("cmrc2018", n=50)
    options = Augmentation(6, foreign=2)
    others = {e.task.labels[0] for e in examples}
    for example in examples:
        said = shown(example, options, book=book)
        own = example.task.labels[0]
        assert own in said.task.labels
        assert set(said.task.labels) <= others
        assert {span.label for span in said.gold.spans} <= {own}
    asked = [len(shown(e, options, book=book).task.labels) for e in examples]
    assert sum(asked) / len(asked) > 2
    assert all(len(shown(e, Augmentation(6), book=book).task.labels) == 1 for e in examples)


@pytest.mark.parametrize(
    ("label", "other", "close"),
    [
        ("person", "Persons", True),
        ("date", "start date", True),
        ("start date", "date", True),
        ("开始日期", "日期", True),
        ("person", "place", False),
        ("人物", "地点", False),
        ("art", "party", False),
        ("film", "motion picture", True),
    ],
)
def test_a_synonym_or_parent_of_a_label_that_holds_is_never_a_negative(label, other, close):
    names = {"film": {"en": "film", "zh": "电影"}, "motion picture": {"en": "motion picture", "zh": "电影"}}
    book = LabelBook({word: LabelEntry(named) for word, named in names.items()})
    assert too_close(label, [other], book) is close


def test_questions_that_the_same_text_answers_are_never_asked_as_absent():
    book = LabelBook(counts={"who": 5, "where": 5, "when": 5}, closed=False)
    record = {"text": "a b", "task": "extract", "labels": ["who"], "answer": {"who": ["a"]}}
    example = Example.from_dict(record)
    drawn = {
        label
        for n in range(100)
        for label in choose_labels(example, book, Augmentation(6, foreign=3), draw(n).random, near=("where",)).foreign
    }
    assert drawn == {"when"}


def test_foreign_labels_are_never_too_close_to_own_ones():
    pool = ["person", "persons", "famous person", "place", "date", "year"]
    book = LabelBook(counts=dict.fromkeys(pool, 3), closed=False)
    record = {"text": "a b", "task": "extract", "labels": ["person"], "answer": {"person": ["a"]}}
    example = Example.from_dict(record)
    drawn = Counter(
        label
        for epoch in range(200)
        for label in choose_labels(example, book, Augmentation(6, foreign=3), draw(epoch).random).foreign
    )
    assert set(drawn) == {"place", "date", "year"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"all_negative": 1.5}, "all_negative is 1.5: give a probability"),
        ({"descriptions": 0.6, "opaque": 0.6}, "may sum to 1 at most"),
        ({"descriptions": 2.0}, "described_labels is 2.0: give a probability"),
        ({"max_labels": 0}, "max_labels is 0: give at least 1"),
        ({"foreign": -1}, "foreign_labels is -1: give at least 0"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ConfigError, match=message):
        Augmentation(**options)
