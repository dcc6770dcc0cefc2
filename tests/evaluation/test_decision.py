"""The best decision is the one that brute force finds best."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.evaluation.decision import CANDIDATES, Decision, best_decision, mean_f1
from seqgpt.evaluation.scoring import offset_f1
from seqgpt.results import Classification, Extraction, Span
from seqgpt.tasks import AtomicTask
from tests.strategies import quick

TASK = AtomicTask.extract(["a", "b"])
TEXT = "0123456789"


def spans(random_, n, scores):
    places = {(random_.choice("ab"), random_.randrange(10), random_.randint(1, 3)) for _ in range(n)}
    return [
        Span(label, TEXT[i : i + length], i, min(i + length, 10), random_.choice(scores))
        for label, i, length in sorted(places)
    ]


@quick
@given(seed=st.integers(0, 10**6))
def test_mean_f1_is_offset_f1_of_what_is_said_so(seed):
    random_ = random.Random(seed)  # noqa: S311
    gold = [Extraction.of(TEXT, TASK, spans(random_, 4, [1.0])) for _ in range(5)]
    predicted = [Extraction.of(TEXT, TASK, spans(random_, 6, [0.1, 0.3, 0.45, 0.8])) for _ in range(5)]
    by_hand = {}
    group = list(zip(gold, predicted, strict=True))
    for threshold in CANDIDATES:
        kept = [Extraction.of(TEXT, TASK, [s for s in p.spans if s.score > threshold]) for p in predicted]
        by_hand[Decision(threshold, 0.5, "allow")] = offset_f1(gold, kept).micro.f1
        by_hand[Decision(threshold, 0.5, "flat")] = offset_f1(gold, [one.flat() for one in kept]).micro.f1
    assert {one: mean_f1([group], one) for one in by_hand} == pytest.approx(by_hand)
    assert by_hand[best_decision([group], Decision(0.9, 0.5))] == pytest.approx(max(by_hand.values()))


def test_groups_count_alike_and_single_labels_not_at_all():
    several = AtomicTask.classify(["x", "y"], multi_label=True)
    one = AtomicTask.classify(["x", "y"])
    gold = Classification.of("t", several, ("x",))
    said = Classification.of("t", several, (), {"x": 0.3, "y": 0.2})
    single = (Classification.of("t", one, ("x",)), Classification.of("t", one, ("y",), {"x": 0.4, "y": 0.6}))
    former = Decision(0.4, 0.5, "flat")
    assert mean_f1([[(gold, said)], [single]], Decision(0.9, 0.25)) == 1.0
    assert best_decision([[(gold, said)], [single]], former) == (0.4, 0.25, "flat")
    missed = Extraction.of(TEXT, TASK, [Span("a", "1", 1, 2)]), Extraction.of(TEXT, TASK, [])
    assert mean_f1([[(gold, said)] * 9, [missed]], Decision(0.9, 0.25)) == 0.5
    found = Extraction.of(TEXT, TASK, [Span("a", "1", 1, 2)]), Extraction.of(TEXT, TASK, [Span("a", "1", 1, 2, 0.12)])
    assert best_decision([[(gold, said), found]], former) == (0.1, 0.25, "allow")  # each kind has its own


def test_without_anything_to_choose_from_it_stays():
    for former in (Decision(0.5, 0.5), Decision(0.33, 0.22, "flat")):
        assert best_decision([], former) == former
        assert mean_f1([], former) == 0.0
