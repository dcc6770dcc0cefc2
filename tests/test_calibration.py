"""Temperatures: they recover what made probabilities too sure, and change no order."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.calibration import Calibration, fit
from seqgpt.errors import ConfigError
from seqgpt.results import Classification, Extraction, Span
from seqgpt.tasks import AtomicTask
from tests.strategies import quick

PEOPLE = AtomicTask.extract(["person"])
TONE = AtomicTask.classify(["a", "b", "c"], none=True)
TOPICS = AtomicTask.classify(["a", "b"], multi_label=True)
probabilities = st.floats(0.1, 0.9)
temperatures = st.floats(0.2, 5.0)


def powers(values, temperature):
    raised = [value ** (1 / temperature) for value in values]
    return [value / sum(raised) for value in raised]


@quick
@given(probability=probabilities, temperature=temperatures)
def test_raw_undoes_probability(probability, temperature):
    calibration = Calibration(single=temperature)
    assert calibration.raw(calibration.probability(probability)) == pytest.approx(probability, abs=1e-3)
    assert calibration.raw(0) == 0


@quick
@given(odds=st.lists(st.floats(0.05, 1.0), min_size=4, max_size=4), temperature=temperatures)
def test_choices_are_tempered_together_with_none(odds, temperature):
    total = sum(odds)
    scores = dict(zip("abc", [value / total for value in odds], strict=False))
    result = Calibration(choice=temperature).result(Classification.of("x", TONE, ("a",), scores))
    expected = powers([*scores.values(), odds[3] / total], temperature)
    assert [*result.scores.values(), result.none_score] == pytest.approx(expected, abs=1e-6)
    assert result.labels == ("a",)


def test_without_temperatures_nothing_changes():
    result = Classification.of("x", TONE, ("a",), {"a": 0.7, "b": 0.1, "c": 0.1})
    assert Calibration().result(result) is result


@pytest.mark.slow
@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_of_choices_is_found(true):
    draw = random.Random(0)  # noqa: S311
    pairs = []
    for _ in range(3000):
        logits = [draw.gauss(0, 2) for _ in range(4)]
        honest = [math.exp(z / true) for z in logits]
        (gold,) = draw.choices(["a", "b", "c", None], honest)
        odds = [math.exp(z) / sum(map(math.exp, logits)) for z in logits]
        labels = (gold,) if gold else ()
        predicted = Classification.of("x", TONE, ("a",), dict(zip("abc", odds, strict=False)))
        pairs.append((Classification.of("x", TONE, labels), predicted))
    found = fit(pairs)
    assert found.choice == pytest.approx(true, rel=0.1)
    assert found.single == 1


@pytest.mark.slow
@pytest.mark.parametrize("true", [0.5, 2.5])
@pytest.mark.parametrize("task", [PEOPLE, TOPICS])
def test_the_temperature_of_single_questions_is_found(true, task):
    draw = random.Random(0)  # noqa: S311
    pairs = []
    for _ in range(3000):
        z = draw.gauss(0, 2)
        holds = draw.random() < 1 / (1 + math.exp(-z / true))
        score = 1 / (1 + math.exp(-z))
        if task is PEOPLE:
            spans = [Span("person", "x", 0, 1)] if holds else []
            pairs.append(
                (Extraction.of("x", task, spans), Extraction.of("x", task, [Span("person", "x", 0, 1, score)]))
            )
        else:
            gold = Classification.of("x", task, ("a", "b") if holds else ())
            pairs.append((gold, Classification.of("x", task, (), {"a": score, "b": score})))
    found = fit(pairs)
    assert found.single == pytest.approx(true, rel=0.1)
    assert found.choice == 1


def test_without_evidence_temperatures_stay():
    assert fit([]) == Calibration()


@pytest.mark.parametrize("value", [0, -1, math.inf, math.nan, "1", True])
def test_temperatures_are_positive_numbers(value):
    with pytest.raises(ConfigError, match="temperature choice is"):
        Calibration(choice=value)
