import json

import pytest

from seqgpt.errors import DataError
from seqgpt.evaluation.evaluation import Entry, Evaluation
from seqgpt.evaluation.pages.comparison_page import comparison_to_html
from seqgpt.evaluation.predictions import Prediction
from seqgpt.evaluation.report import make_report
from seqgpt.evaluation.scoring.bootstrap import mean, paired_test
from seqgpt.evaluation.sets import EvalSet
from seqgpt.evaluation.significance import compare_evaluations, comparison_table, verdict
from seqgpt.examples import Example
from seqgpt.results import Classification, Extraction, Span
from seqgpt.tasks import AtomicTask
from tests.pages import Page

TONE = AtomicTask.classify(["praise", "complaint"])
WHO = AtomicTask.extract(["who?"])
GOLD = [Classification.of(f"text {i}", TONE, ("praise",)) for i in range(40)]
FOUND = [Extraction.of(f"Ada {i}", WHO, [Span("who?", "Ada", 0, 3)]) for i in range(10)]


def entry(gold, right, *, name="tone", predictor="model", kind=None):
    """An entry whose answers are right on the first texts, and say the other label, or nothing, on the others."""
    of = EvalSet(name, name, kind or gold[0].task.kind, [Example(result) for result in gold])
    predictions = [Prediction(result if i < right else _wrong(result)) for i, result in enumerate(gold)]
    return Entry(of, predictor, predictions, make_report(of, predictions))


def _wrong(gold):
    if isinstance(gold, Extraction):
        return Extraction.of(gold.text, gold.task, ())
    return Classification.of(gold.text, gold.task, ("complaint",))


def test_the_difference_is_that_of_the_paired_bootstrap():
    comparison = compare_evaluations(Evaluation([entry(GOLD, 20)]), Evaluation([entry(GOLD, 35)]), seed=3)
    (contest,) = comparison.contests
    right = [mean([float(i < n) for i in range(40)]) for n in (35, 20)]
    assert contest.difference == paired_test(*right, seed=3)
    assert contest.difference.value == pytest.approx(15 / 40)
    assert [one.line for one in contest.only_second] == list(range(21, 36))
    assert not contest.only_first
    assert comparison.names == ("model (A)", "model (B)")
    record = json.loads(json.dumps(comparison.to_dict()))
    assert record["sets"][0]["only_second"] == list(range(21, 36))


@pytest.mark.parametrize("kind", ["extract", "read"])
def test_spans_and_answers(kind):
    one, other = (Evaluation([entry(FOUND, n, kind=kind)]) for n in (8, 4))
    (contest,) = compare_evaluations(one, other).contests
    assert contest.difference.value == pytest.approx(contest.second.report.headline - contest.first.report.headline)
    assert (len(contest.only_first), len(contest.only_second)) == (4, 0)


def test_equal_predictors_do_not_differ():
    one = Evaluation([entry(GOLD, 20)])
    (contest,) = compare_evaluations(one, one).contests
    assert (contest.difference.value, contest.difference.p) == (0.0, 1.0)
    assert not contest.only_first
    assert not contest.only_second


def test_only_sets_with_the_same_examples_are_compared():
    one = Evaluation([entry(GOLD, 20), entry(FOUND, 5, name="who"), entry(FOUND, 5, name="gone")])
    other = Evaluation([entry(GOLD, 39, predictor="b|c"), entry(FOUND[:5], 5, name="who", predictor="b|c")])
    comparison = compare_evaluations(one, other)
    assert [contest.first.of.name for contest in comparison.contests] == ["tone"]
    assert comparison.left_out == ["who", "gone"]
    lines = comparison_table(comparison).splitlines()
    assert len(lines) == 3
    assert lines[0].endswith("| only model | only b\\|c |")
    assert lines[2].startswith("| tone | 40 | accuracy | 50.0 | 97.5 | **+47.5** |")
    assert lines[2].endswith("| 0 | 19 |")
    assert verdict(comparison).startswith("Of 1 set, b|c is better on 1, model on 0, with p < 0.05")


def test_two_predictors_of_one_evaluation():
    one = Evaluation([entry(GOLD, 20), entry(GOLD, 10, predictor="<b>baseline")])
    comparison = compare_evaluations(one, one, first="<b>baseline", second="model")
    assert comparison.names == ("<b>baseline", "model")
    page = Page(comparison_to_html(comparison))
    read = "".join(page.words)
    assert "model against <b>baseline" in read
    assert "Only model is right on 10 texts; here is what <b>baseline said" in read
    assert len(page.of("article")) == 10
    assert "+25.0" in read


def test_nothing_to_compare():
    one, other = Evaluation([entry(GOLD, 20)]), Evaluation([entry(GOLD[:5], 2)])
    with pytest.raises(DataError, match="no data set with the same examples"):
        compare_evaluations(one, other)
    with pytest.raises(DataError, match=r"no predictor is named 'modle'\. Did you mean 'model'"):
        compare_evaluations(one, one, first="modle")
    with pytest.raises(DataError, match="without predictors"):
        compare_evaluations(Evaluation([]), one)


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_few_texts_prove_nothing(n):
    (contest,) = compare_evaluations(Evaluation([entry(GOLD[:n], 0)]), Evaluation([entry(GOLD[:n], n)])).contests
    assert contest.difference.p == pytest.approx(max(2 * 0.5**n, 1 / 1001))


def test_sets_of_other_names_with_the_same_examples_are_compared():
    one, other = Evaluation([entry(GOLD, 20, name="a.jsonl")]), Evaluation([entry(GOLD, 35, name="./a.jsonl")])
    comparison = compare_evaluations(one, other)
    assert [contest.first.of.name for contest in comparison.contests] == ["a.jsonl"]
    assert not comparison.left_out
