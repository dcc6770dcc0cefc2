import base64
import hashlib
import json
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from seqgpt.display import visible
from seqgpt.evaluation.evaluation import Entry, Evaluation
from seqgpt.evaluation.pages.evaluation_page import to_html
from seqgpt.evaluation.pages.listing import listing, mistakes_jsonl, wrong_answers
from seqgpt.evaluation.pages.plots import heat_map, reliability_diagram
from seqgpt.evaluation.predictions import Prediction
from seqgpt.evaluation.report import make_report
from seqgpt.evaluation.scoring import Bin, Confusion, Reliability, find_mistakes
from seqgpt.evaluation.sets import EvalSet
from seqgpt.examples import Example
from seqgpt.results import Classification, Extraction, Span
from seqgpt.tasks import AtomicTask
from tests.pages import Page, words_of
from tests.strategies import classifications, extractions, quick, words

HOSTILE = "</script><script>alert(1)</script>\x00\x1b[31m<!-- \u202e\" onload='x' & \ud800".encode(
    "utf-8", "replace"
).decode()
NAMES = AtomicTask.extract(["person", "place"])
TONE = AtomicTask.classify(["praise", "complaint"], none=True)


def entry(pairs, *, name="a set", predictor="model", kind=None, error="", intervals=False):
    """An entry of pairs of gold and predicted results."""
    kind = kind or pairs[0][0].task.kind
    of = EvalSet(name, name, kind, [Example(gold, family="NER", language="zh") for gold, _ in pairs])
    predictions = [Prediction(result, error=error, seconds=0.5) for _, result in pairs]
    return Entry(of, predictor, predictions, make_report(of, predictions, intervals=intervals))


def extraction(text, *spans, task=NAMES):
    return Extraction.of(text, task, [Span(label, text[i:j], i, j, score) for label, i, j, score in spans])


@st.composite
def span_pairs(draw):
    gold = draw(extractions())
    places = st.tuples(st.sampled_from(gold.task.labels), st.integers(0, len(gold.text) - 1), st.integers(1, 4))
    drawn = [(label, i, min(i + n, len(gold.text)), 0.25) for label, i, n in draw(st.lists(places, max_size=6))]
    kept = draw(st.lists(st.sampled_from(gold.spans), max_size=4)) if gold.spans else []
    same = [(span.label, span.start, span.end, 0.75) for span in kept]
    return gold, extraction(gold.text, *drawn, *same, task=gold.task)


@st.composite
def class_pairs(draw):
    gold = draw(classifications())
    task = gold.task
    most = len(task.labels) if task.multi_label else 1
    least = 0 if task.multi_label or task.none else 1
    labels = draw(st.lists(st.sampled_from(task.labels), min_size=least, max_size=most, unique=True))
    return gold, Classification.of(gold.text, task, tuple(labels))


pairs = st.one_of(st.lists(span_pairs(), min_size=1, max_size=4), st.lists(class_pairs(), min_size=1, max_size=4))


@pytest.mark.slow
@given(pairs, words, words)
@example([(Classification.of(HOSTILE, TONE, ("praise",)), Classification.of(HOSTILE, TONE, ()))], HOSTILE, HOSTILE[2:])
@quick
def test_nothing_of_what_is_shown_is_markup(pairs, name, predictor):
    made = to_html(Evaluation([entry(pairs, name=name, predictor=predictor, error=HOSTILE)], {name: predictor}))
    page = Page(made)
    assert [at for tag, at in page.elements if tag == "script"] == [{}]
    assert not {key for _, at in page.elements for key in at if key.startswith("on") or key in ("src", "srcset")}
    assert all(at["href"].startswith("#") for at in page.of("a"))
    assert not page.of("link") + page.of("img") + page.of("iframe") + page.of("object") + page.of("base")
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f]", made)
    read = "".join(page.words)
    assert visible(name) in read
    assert visible(predictor) in read


@pytest.mark.slow
@given(st.lists(span_pairs(), min_size=1, max_size=4))
@quick
def test_every_mistake_is_listed(pairs):
    made = Page(to_html(Evaluation([entry(pairs)])))
    found = find_mistakes(*zip(*pairs, strict=True))
    kinds = [mistake.kind for some in found for mistake in some]
    # each has a line, with its symbol, and a mark in the text
    assert sorted(at["class"] for at in made.of("b") if at.get("class")) == sorted(
        f"{kind.replace(' ', '-')}-ink" for kind in kinds
    )
    articles = made.of("article")
    assert [set(at["data-kinds"].split()) for at in articles] == [
        {mistake.kind.replace(" ", "-") for mistake in some} for some in found if some
    ]
    read = "".join(made.words)
    for mistake in (mistake for some in found for mistake in some):
        for span in (mistake.gold, mistake.predicted):
            assert span is None or visible(f"{span.label} {span.text}") in read


@pytest.mark.slow
@given(st.lists(span_pairs(), min_size=1, max_size=4))
@quick
def test_marks_leave_texts_as_they_are(pairs):
    made = listing(entry(pairs), 50)
    shown = [
        re.sub("<sub.*?</sub>", "", text, flags=re.DOTALL)
        for text in re.findall('"text".*?>(.*?)</p>', made, re.DOTALL)
    ]
    wrong = [gold.text for gold, predicted in pairs if {*map(_key, gold.spans)} != {*map(_key, predicted.spans)}]
    assert [words_of(text) for text in shown] == [visible(text) for text in wrong]


def _key(span):
    return span.label, span.start, span.end


@pytest.mark.slow
@given(pairs)
@quick
def test_lines_of_mistakes_hold_all(pairs):
    one = entry(pairs)
    records = [json.loads(line) for line in mistakes_jsonl(Evaluation([one]))]
    found = find_mistakes(*zip(*pairs, strict=True))
    assert [record["mistakes"] for record in records] == [
        json.loads(json.dumps([mistake.to_dict() for mistake in some])) for some in found if some
    ]
    for record in records:
        assert record["example"] == json.loads(json.dumps(one.of.examples[record["line"] - 1].to_dict()))
        assert (record["set"], record["predictor"]) == ("a set", "model")


def test_the_numbers_are_those_of_the_report():
    right, wrong = extraction("Ada in Rome", ("person", 0, 3, 0.9), ("place", 7, 11, 0.8)), extraction("Ada in Rome")
    some = [
        entry([(right, right)] * 30 + [(right, wrong)] * 10, intervals=True),
        entry([(right, wrong)] * 40, predictor="other"),
    ]
    page = Page(to_html(Evaluation(some)))
    read = " ".join("".join(page.words).split())
    report = some[0].report
    shown = report.intervals["offset_f1"]
    assert f"85.7{100 * shown.low:.1f}–{100 * shown.high:.1f}" in read
    for metric, value in report.metrics.items():
        interval = report.intervals.get(metric)
        between = f"{100 * interval.low:.1f}–{100 * interval.high:.1f}" if interval else ""
        assert f"{metric}{100 * value:.1f}{between}" in read
    styles = [at["style"] for at in page.of("i", "lane")]
    assert f"--v:85.71;--l:{100 * shown.low:.4g};--h:{100 * shown.high:.4g}" in styles
    assert [at["style"] for at in page.of("i", "bar")][-4:] == ["--v:85.71", "--v:0"] * 2
    assert "Mistakes of model: 10 of 40 texts with 20 mistakes" in read
    assert "Mistakes of other: 40 of 40 texts with 80 mistakes" in read


def test_a_choice_of_many_texts_is_listed():
    gold = [Classification.of(f"text {i}", TONE, ("praise",)) for i in range(80)]
    one = entry([(result, Classification.of(result.text, TONE, ("complaint",))) for result in gold])
    made = to_html(Evaluation([one]))
    assert made == to_html(Evaluation([one]))
    page = Page(made)
    assert len(page.of("article")) == 50
    assert "80 of 80 texts with 80 mistakes; 50 of these texts, a seeded choice, are shown" in "".join(page.words)


def test_long_texts_are_cut_where_nothing_is_marked():
    text = "x" * 1000 + "Ada" + "y" * 1000
    page = words_of(to_html(Evaluation([entry([(extraction(text, ("person", 1000, 1003, 1.0)), extraction(text))])])))
    assert "… 910 characters …" + "x" * 90 + "Ada" in page
    assert "y" * 90 + "… 910 characters …" in page
    assert "x" * 91 not in page


def test_an_answer_that_another_gold_answer_excuses_is_no_mistake():
    task = AtomicTask.extract(["who?"])
    gold = extraction("Ada or Ann", ("who?", 0, 3, 1.0), ("who?", 7, 10, 1.0), task=task)
    right, wrong = extraction("Ada or Ann", ("who?", 7, 10, 0.9), task=task), extraction("Ada or Ann", task=task)
    one = entry([(gold, right), (gold, wrong)], kind="read")
    assert [answer.line for answer in wrong_answers(one)] == [2]
    assert words_of(to_html(Evaluation([one]))).count("who?") == 1


def test_the_labels_with_most_answers_are_shown():
    task = AtomicTask.classify([f"label{i:02}" for i in range(40)])
    gold = [Classification.of("x", task, (f"label{i:02}",)) for i in range(40) for _ in range(i + 1)]
    page = words_of(to_html(Evaluation([entry([(result, result) for result in gold])])))
    assert "The 30 labels with most gold answers; 10 others are left out." in page


@pytest.mark.slow
@given(st.data())
@quick
def test_a_heat_map_keeps_every_count(data):
    n = data.draw(st.integers(1, 30))
    counts = st.tuples(*[st.integers(0, 3)] * n)
    labels = (*(f"label {i}" for i in range(n - 1)), data.draw(st.sampled_from([None, "last"])))
    rows = tuple(data.draw(counts) for _ in range(n))
    page = Page(heat_map(Confusion(labels, rows)))
    assert len(page.of("td")) == min(n, 22 if None in labels else 21) ** 2
    numbers = re.findall(r"<td[^>]*>(\d+)</td>", heat_map(Confusion(labels, rows)))
    assert sum(map(int, numbers)) == sum(map(sum, rows))


def test_a_reliability_diagram_says_its_counts():
    bins = Reliability((Bin(0.2, 0.3, 0.25, 0.5, 4), Bin(0.9, 1.0, 0.95, 0.9, 1234))).bins
    drawn = words_of(reliability_diagram(bins, 0))
    assert "4 answers: probability 25.0 %, right 50.0 %" in drawn
    assert "1234" in drawn


def test_only_the_script_of_the_page_may_run():
    made = to_html(Evaluation([entry([(extraction("x"), extraction("x"))])]))
    (script,) = re.findall("<script>(.*?)</script>", made, re.DOTALL)
    (allowed,) = [at["content"] for at in Page(made).of("meta") if at.get("http-equiv") == "Content-Security-Policy"]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert allowed == f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def test_sets_with_and_without_a_predictor():
    found, tone = extraction("Ada", ("person", 0, 3, 1.0)), Classification.of("x", TONE, ())
    some = [entry([(found, found)]), entry([(tone, tone)], name="tone", predictor="majority class")]
    page = Page(to_html(Evaluation(some)))
    assert len(page.of("details", "set")) == 2
    assert "By family and language" in "".join(page.words)
