"""What comes out: always grounded and well formed, whoever shares the batch, and what plain computing finds too."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.engine import first_pass, spans
from seqgpt.engine.decoder import Decoder
from seqgpt.engine.forward import Stepper, TreeForward
from seqgpt.engine.plan import make_plan
from seqgpt.options import Thresholds
from seqgpt.results import Classification
from seqgpt.tasks import AtomicTask
from seqgpt.templates.marks import lead
from tests.alike import assert_alike
from tests.engine import reference
from tests.strategies import label_sets, quick, tasks, texts

TEXTS = [
    "Tim Cook visited Shanghai.",
    "杰克逊和罗德曼去了上海，杰克逊先走。",
    "a a a ab ab",
    "血压 120/80，服用阿司匹林。 Blood pressure is fine.",
    "👨‍👩‍👧 e\u0301te\r\nplage\t🇨🇳",
    "中丫中七",
    "x",
    "<|none|> is <|end|> of it",
]
SPANS = AtomicTask.extract(["person", "地点", "<|none|>"])
ONE = AtomicTask.classify(["good", "good news", "坏", "bad"], name="one")
ONE_OR_NONE = AtomicTask.classify(["good", "good news", "坏", "bad"], none=True, name="one or none")
SEVERAL = AtomicTask.classify({"praise": "pleased", "抱怨": ""}, multi_label=True, name="several")
TASKS = [SPANS, ONE, ONE_OR_NONE, SEVERAL]


@pytest.mark.slow
@quick
@given(asked=st.lists(st.tuples(texts, tasks()), min_size=1, max_size=4), seed=st.integers(0, 2))
def test_every_answer_is_grounded_and_well_formed(asked, seed, tiny):
    results = tiny("qwen3", seed).predict_pairs(asked)
    for (text, task), result in zip(asked, results, strict=True):
        assert (result.text, result.task) == (text, task)  # the results check all else themselves
        if isinstance(result, Classification):
            assert set(result.scores) == set(task.labels)
            assert all(0 <= score <= 1 for score in result.scores.values())
            assert not result.truncated
        else:
            assert all(span.text == span.text.strip() and 0.5 < span.score <= 1 for span in result.spans)


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ["qwen3", "gpt2", "bloom", "mistral"])
def test_a_batch_equals_one_by_one(model_type, tiny):
    model = tiny(model_type)
    together = model.predict(TEXTS, TASKS, batch_size=8)
    for text, results in zip(TEXTS, together, strict=True):
        for task in TASKS:
            assert_alike(results[task.name], model.predict(text, task, batch_size=1))


def test_other_tasks_and_labels_in_the_batch_change_nothing(tiny):
    model = tiny("qwen3", 1)
    pairs = [(text, task) for text in TEXTS[:3] for task in (*TASKS, AtomicTask.extract(["date"]))]
    for (text, task), result in zip(pairs, model.predict_pairs(pairs, batch_size=32), strict=True):
        assert_alike(result, model.predict(text, task))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_rows_equal_trees(seed, tiny):
    model = tiny("qwen3", seed)
    rows = TreeForward(model.model)
    rows.layout = "rows"
    plans = [make_plan(text, task, model.vocabulary, model.template) for text in TEXTS[:5] for task in TASKS]
    found = [Decoder(forward, model.vocabulary, model.max_positions).answer(plans) for forward in (model.forward, rows)]
    for one, other in zip(*found, strict=True):
        assert_alike(one, other)


def counting(forward, monkeypatch):
    """Record of each first pass how many rows it has, and of how many tokens it wants logits."""
    passes, start = [], forward.start

    def recorded(batch, keep, tokens):
        passes.append((len(keep), int(keep.sum())))
        return start(batch, keep, tokens)

    monkeypatch.setattr(forward, "start", recorded)
    return passes


@pytest.mark.slow
@pytest.mark.parametrize("most", [1, 3, 5])
def test_rows_are_computed_a_few_at_once(most, tiny, monkeypatch):
    model = tiny("mistral")
    expected = model.predict(TEXTS[:3], TASKS)
    passes = counting(model.forward, monkeypatch)
    monkeypatch.setattr(first_pass, "MAX_ROWS", most)
    for results, wanted in zip(model.predict(TEXTS[:3], TASKS), expected, strict=True):
        for task in TASKS:
            assert_alike(results[task.name], wanted[task.name])
    assert len(passes) > 1
    assert max(rows for rows, _ in passes) == most


@pytest.mark.slow
@pytest.mark.parametrize(("tokens", "cells"), [(8, 2**25), (2048, 4000), (8, 1)])
def test_label_sets_of_any_size_are_computed_in_parts(tokens, cells, tiny, monkeypatch):
    """The prompt is read again for every part; what is said is the same."""
    model = tiny("qwen3")
    labels = [f"label number {i}" for i in range(12)]
    tasks = [AtomicTask.extract(labels), AtomicTask.classify(labels), AtomicTask.classify(labels, multi_label=True)]
    texts = ["Tim Cook visited Shanghai.", "杰克逊去了上海。"]
    whole = model.predict(texts, {str(i): task for i, task in enumerate(tasks)}, threshold=0.7)
    monkeypatch.setattr(first_pass, "MAX_BRANCH_TOKENS", tokens)
    monkeypatch.setattr(first_pass, "MAX_CELLS", cells)
    parts = model.predict(texts, {str(i): task for i, task in enumerate(tasks)}, threshold=0.7)
    for one, other in zip(whole, parts, strict=True):
        for name in one:
            assert_alike(one[name], other[name])


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ["qwen3", "mistral"])
def test_a_batch_has_no_more_cells_than_masks_may_have(model_type, tiny, monkeypatch):
    model, shapes = tiny(model_type), []
    start, task = model.forward.start, AtomicTask.extract([f"label number {i}" for i in range(12)])
    whole = model.predict(TEXTS, task, threshold=0.7)
    monkeypatch.setattr(
        model.forward, "start", lambda batch, *rest: shapes.append(batch.node.shape) or start(batch, *rest)
    )
    monkeypatch.setattr(first_pass, "MAX_CELLS", 20_000)
    for one, other in zip(model.predict(TEXTS, task, threshold=0.7), whole, strict=True):
        assert_alike(one, other)
    assert len(shapes) > 1
    assert all(rows == 1 or rows * tokens**2 <= 20_000 for rows, tokens in shapes)


def test_of_whole_labels_only_the_tokens_that_tell_them_apart_are_computed(tiny, monkeypatch):
    model = tiny("qwen3")
    passes = counting(model.forward, monkeypatch)
    model.predict("x", ONE)
    answers = make_plan("x", ONE, model.vocabulary, model.template).branches
    nodes = {answer[:i] for answer in answers for i in range(len(answer))}
    parting = [node for node in nodes if len({a[len(node)] for a in answers if a[: len(node)] == node}) > 1]
    assert passes == [(1, len(parting))]
    assert len(parting) < sum(map(len, answers))
    model.predict("x", AtomicTask.classify(["only"]))
    assert len(passes) == 1


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_raw_answer_means_the_result(seed, tiny):
    for text, results in zip(TEXTS, tiny("qwen3", seed).predict(TEXTS, TASKS), strict=True):
        for task in TASKS:
            result = results[task.name]
            if result.truncated:
                assert result.raw == ""
                continue
            assert type(result.raw) is str
            read = task.parse(result.raw, text)
            if isinstance(result, Classification):
                assert read.labels == result.labels
            else:
                spans, again = ([(s.label, s.start, s.end) for s in one.spans] for one in (result, read))
                assert again == spans


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ["qwen3", "gpt_neox", "gpt2", "bloom"])
@pytest.mark.parametrize("text", ["Tim is in 上海.", "a a ab", "中丫中七", "é🙂\r\né"])
def test_spans_are_those_of_the_reference(model_type, text, tiny):
    model = tiny(model_type)
    result = model.predict(text, SPANS)
    for label, expected in reference.extract(model, text, SPANS).items():
        assert {(span.start, span.end): span.score for span in result[label]} == pytest.approx(expected, abs=1e-4)


@pytest.mark.slow
@quick
@given(text=st.text(alphabet="ab 中丫", min_size=1, max_size=5).filter(str.strip), labels=label_sets)
def test_spans_are_those_of_the_reference_for_any_text(text, labels, tiny):
    task = AtomicTask.extract(labels[:2])
    result = tiny("llama").predict(text, task)
    assert not result.truncated
    for label, expected in reference.extract(tiny("llama"), text, task).items():
        assert {(span.start, span.end) for span in result[label]} == set(expected)


@pytest.mark.parametrize("model_type", ["qwen3", "llama", "bloom"])
def test_class_scores_are_those_of_the_reference(model_type, tiny):
    model = tiny(model_type)
    for text in TEXTS[:4]:
        for task in (ONE, ONE_OR_NONE, SEVERAL):
            expected = reference.classify(model, text, task)
            none = expected.pop(None, 0.0)
            result = model.predict(text, task)
            assert result.scores == pytest.approx(expected, abs=1e-4)
            if task.multi_label:
                assert set(result.labels) == {label for label, score in expected.items() if score > 0.5}
            else:
                assert sum(result.scores.values()) == pytest.approx(1 - none, abs=1e-5)
                best = max(expected, key=expected.__getitem__)
                assert result.labels == (() if none > expected[best] else (best,))


def test_a_single_label_is_certain(tiny):
    result = tiny("qwen3").predict("x", AtomicTask.classify(["only"]))
    assert result.scores == {"only": 1.0}
    assert result.labels == ("only",)


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ["qwen3", "gpt2", "bloom"])
def test_reading_ahead_changes_nothing_but_the_number_of_passes(model_type, tiny, monkeypatch):
    model, text = tiny(model_type), "Tim Cook 去了上海。a a a a a a a a"
    passes = []
    run = Stepper.run
    monkeypatch.setattr(Stepper, "run", lambda *args, **kwargs: passes.append(0) or run(*args, **kwargs))
    found = {}
    for ahead in (0, 1, 3, 16):
        monkeypatch.setattr(spans, "MAX_AHEAD", ahead)
        passes.clear()
        found[ahead] = model.predict(text, SPANS, threshold=0.3), len(passes)
    for result, needed in found.values():
        assert_alike(result, found[0][0])
        assert needed <= found[0][1]
    assert model_type != "qwen3" or found[3][1] < found[0][1]


@pytest.mark.slow
@pytest.mark.parametrize("bound", ["MAX_PATHS", "MAX_PATHS_OF_A_TEXT", "MAX_READ_AT_ONCE", "MAX_READ"])
def test_what_is_bounded_does_not_depend_on_the_batch(bound, tiny, monkeypatch):
    model = tiny("gpt_neox")
    monkeypatch.setattr(spans, bound, 12)
    together = model.predict(TEXTS, SPANS, threshold=0.3, batch_size=16)
    assert any(result.truncated for result in together)
    for text, result in zip(TEXTS, together, strict=True):
        assert_alike(result, model.predict(text, SPANS, threshold=0.3))


@pytest.mark.slow
def test_however_much_is_likely_little_is_read(tiny, monkeypatch):
    """At threshold 0 every beginning is followed, until the bounds."""
    model, read = tiny("qwen3"), []
    feed = Stepper.feed

    def counted(self, continuations, *rest):
        read.append(sum(len(one.tokens) for one in continuations))
        return feed(self, continuations, *rest)

    monkeypatch.setattr(Stepper, "feed", counted)
    text, labels = "Tim Cook visited Shanghai, 杰克逊去了上海。" * 2, [f"label {i}" for i in range(8)]
    result = model.predict(text, labels, threshold=0)
    assert result.truncated
    assert max(read) <= spans.MAX_READ_AT_ONCE + spans.MAX_DRAFTS["cpu"]
    assert sum(read) <= spans.MAX_READ + spans.MAX_READ_AT_ONCE


def test_a_span_that_is_too_long_is_left_out_and_says_so(tiny, monkeypatch):
    model, text = tiny("gpt_neox"), "Tim Cook 去了上海。"
    model.threshold = 0.02
    whole = model.predict(text, SPANS)
    assert not whole.truncated
    lengths = {span: len(model.vocabulary.encode(lead(span.text))) for span in whole.spans}
    limit = max(lengths.values()) - 1
    monkeypatch.setattr(spans, "MAX_SPAN_TOKENS", limit)
    cut = model.predict(text, SPANS)
    assert cut.truncated
    assert {span for span, length in lengths.items() if length <= limit} <= set(cut.spans) < set(whole.spans)
    for label in {span.label for span in set(whole.spans) - set(cut.spans)}:
        assert f"a span of {label!r} was not found: it has more than {limit} tokens." in cut.warnings


def test_only_the_likeliest_beginnings_are_followed(tiny, monkeypatch):
    model, text = tiny("gpt_neox"), "Tim Cook 去了上海。"
    monkeypatch.setattr(spans, "MAX_PATHS", 1)
    result = model.predict(text, SPANS)
    assert result.truncated
    assert any(
        "may be missing: more were likely than are followed at once (1 of a label" in warning
        for warning in result.warnings
    )


def test_a_span_that_the_model_has_no_positions_for_is_left_out(tiny):
    model, text = tiny("gpt_neox"), "Tim Cook 去了上海。"
    plan = make_plan(text, AtomicTask.extract(["person"]), model.vocabulary, model.template)
    (result,) = Decoder(model.forward, model.vocabulary, plan.longest + 1).answer([plan], Thresholds(0.05))
    assert result.warnings == ("a span of 'person' was not found: it has more than 1 tokens.",)
