import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seqeval.metrics import classification_report
from sklearn import metrics as sklearn_metrics

from seqgpt.data.tags import ground_tags
from seqgpt.errors import DataError
from seqgpt.evaluation.scoring import Score, class_scores, offset_f1, string_f1
from seqgpt.results import Classification, Extraction, Span
from seqgpt.tasks import AtomicTask

LABELS = ("A", "B", "C", "D")
SPANS = AtomicTask.extract(LABELS)
ONE = AtomicTask.classify(LABELS)
ONE_OR_NONE = AtomicTask.classify(LABELS, none=True)
MANY = AtomicTask.classify(LABELS, multi_label=True)


def extraction(tags):
    text, spans = ground_tags([chr(97 + i % 26) for i in range(len(tags))], tags, language="en")
    return Extraction.of(text, SPANS, tuple(spans))


def random_tags(rng, length):
    return [rng.choice(["O", "O", "B-A", "I-A", "B-B", "I-B", "B-C", "I-C"]) for _ in range(length)]


@pytest.mark.parametrize("seed", range(20))
def test_offset_f1_is_seqeval_s(seed):
    rng = random.Random(seed)  # noqa: S311
    gold = [random_tags(rng, rng.randint(1, 12)) for _ in range(rng.randint(1, 30))]
    predicted = [tags if rng.random() < 0.5 else random_tags(rng, len(tags)) for tags in gold]
    ours = offset_f1([extraction(tags) for tags in gold], [extraction(tags) for tags in predicted])
    theirs = classification_report(gold, predicted, output_dict=True, zero_division=0)
    for name, score in (("micro avg", ours.micro), *ours.per_label.items()):
        expected = theirs[name]
        assert (score.precision, score.recall, score.f1, score.support) == pytest.approx(
            (expected["precision"], expected["recall"], expected["f1-score"], expected["support"])
        )
    assert ours.macro_f1 == pytest.approx(theirs["macro avg"]["f1-score"])
    assert set(ours.per_label) == set(theirs) - {"micro avg", "macro avg", "weighted avg"}


def spans(text, *found):
    return Extraction.of(text, SPANS, tuple(Span(label, text[start:end], start, end) for label, start, end in found))


def test_string_f1_counts_a_string_once_a_text():
    text = "Ada met Ada"
    gold, predicted = [spans(text, ("A", 0, 3), ("A", 8, 11))], [spans(text, ("A", 8, 11), ("B", 0, 3))]
    assert offset_f1(gold, predicted).micro == Score(correct=1, predicted=2, support=2)
    assert string_f1(gold, predicted).micro == Score(correct=1, predicted=2, support=1)


def test_string_f1_does_not_mix_texts():
    gold = [spans("Ada", ("A", 0, 3)), spans("Ada ran")]
    predicted = [spans("Ada"), spans("Ada ran", ("A", 0, 3))]
    assert string_f1(gold, predicted).micro == Score(0, 1, 1)


def test_nothing_gold_and_nothing_predicted():
    scores = offset_f1([spans("a")], [spans("a")])
    assert (scores.micro, scores.macro_f1, scores.per_label) == (Score(0, 0, 0), 0.0, {})


def classes(task, labels):
    return [Classification.of(f"text {i}", task, tuple(held)) for i, held in enumerate(labels)]


@given(st.lists(st.tuples(st.sampled_from(LABELS), st.sampled_from(LABELS)), min_size=1, max_size=30))
def test_single_label_scores_are_sklearn_s(pairs):
    gold, predicted = [g for g, _ in pairs], [p for _, p in pairs]
    ours = class_scores(classes(ONE, gold), classes(ONE, predicted))
    assert ours.accuracy == ours.f1.micro.f1 == sklearn_metrics.accuracy_score(gold, predicted)
    assert ours.f1.macro_f1 == pytest.approx(
        sklearn_metrics.f1_score(gold, predicted, average="macro", zero_division=0)
    )
    p, r, f, n = sklearn_metrics.precision_recall_fscore_support(
        gold, predicted, labels=list(ours.f1.per_label), zero_division=0
    )
    assert [(s.precision, s.recall, s.f1, s.support) for s in ours.f1.per_label.values()] == [
        pytest.approx(row) for row in zip(p, r, f, n, strict=True)
    ]


CHOICE = st.sampled_from([*LABELS, ""])


@given(st.lists(st.tuples(CHOICE, CHOICE), min_size=1, max_size=30))
def test_abstaining_is_an_answer_but_no_label(pairs):
    gold, predicted = [g for g, _ in pairs], [p for _, p in pairs]
    ours = class_scores(classes(ONE_OR_NONE, gold), classes(ONE_OR_NONE, predicted))
    assert ours.accuracy == sklearn_metrics.accuracy_score(gold, predicted)
    present = [label for label in LABELS if label in gold or label in predicted]
    assert list(ours.f1.per_label) == present
    if present:
        for average, value in (("macro", ours.f1.macro_f1), ("micro", ours.f1.micro.f1)):
            expected = sklearn_metrics.f1_score(gold, predicted, labels=present, average=average, zero_division=0)
            assert value == pytest.approx(expected)
    assert ours.abstention == Score(sum(g == p == "" for g, p in pairs), predicted.count(""), gold.count(""))


SETS = st.sets(st.sampled_from(LABELS))


@given(st.lists(st.tuples(SETS, SETS), min_size=1, max_size=20))
def test_multi_label_scores_are_sklearn_s(pairs):
    ours = class_scores(classes(MANY, [g for g, _ in pairs]), classes(MANY, [p for _, p in pairs]))
    present = [label for label in LABELS if any(label in g | p for g, p in pairs)]
    matrices = [[[int(label in side) for label in LABELS] for side in sides] for sides in zip(*pairs, strict=True)]
    columns = [LABELS.index(label) for label in present]
    assert ours.accuracy == sum(g == p for g, p in pairs) / len(pairs)
    if present:
        for average, value in (("macro", ours.f1.macro_f1), ("micro", ours.f1.micro.f1)):
            expected = sklearn_metrics.f1_score(
                *map(np.array, matrices), labels=columns, average=average, zero_division=0
            )
            assert value == pytest.approx(expected)


@pytest.mark.parametrize(
    ("gold", "predicted", "message"),
    [
        ([spans("a")], [], "1 gold results have 0 predictions"),
        ([spans("a")], [spans("b")], "prediction 0 is of another text"),
        (classes(ONE, ["A"]), classes(AtomicTask.classify(["A", "Z"]), ["A"]), "prediction 0 was asked other labels"),
        ([spans("text 0")], classes(ONE, ["A"]), "prediction 0 is of task 'classify', its gold of 'extract'"),
    ],
)
def test_what_does_not_belong_together(gold, predicted, message):
    with pytest.raises(DataError, match=message):
        offset_f1(gold, predicted)


def test_no_texts():
    with pytest.raises(DataError, match="no text to score"):
        class_scores([], [])
