"""Models of whole answers: what is decoded is what a slow reference decodes, chunk by chunk, with plain rows."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.engine import sequential
from seqgpt.engine.forward import TreeForward
from seqgpt.engine.sequential import SequentialDecoder, make_plan
from seqgpt.model import SeqGPT
from seqgpt.tasks import AtomicTask
from seqgpt.templates.released import GEN, ReleasedTemplate, chunks
from tests.alike import assert_alike
from tests.strategies import quick, texts

MODEL_TYPES = ["bloom", "llama", "gpt2"]
LABELS = [f"label {i}" for i in range(7)]
FEW = AtomicTask.extract(["person", "place"])
MANY = AtomicTask.extract(LABELS)
ONE = AtomicTask.classify(["praise", "praise of food", "complaint"], none=True)
SEVERAL = AtomicTask.classify(["food", "price", "service"], multi_label=True)
TEXTS = ["Tim Cook visited Shanghai.", "杰克逊去了上海。", "a\tb\nNone c \n d", "aaa"]


@pytest.fixture(autouse=True)
def short_lines(monkeypatch):
    """A model of random weights may repeat itself for ever."""
    monkeypatch.setattr(sequential, "MAX_SPAN_TOKENS", 16)


class Reference:
    """Greedy decoding over all strings of a text, one chunk and one token at a time, without any cache."""

    def __init__(self, model: SeqGPT, text: str) -> None:
        self.model, self.text = model, text
        self.strings = {
            text[i:j].encode()
            for i in range(len(text))
            for j in range(i + 1, len(text) + 1)
            if text[i:j] == text[i:j].strip() and not set(text[i:j]) & set("\t\n")
        }

    def logits(self, ids):
        with torch.no_grad():
            return self.model.model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].float()

    def lines(self, labels):
        """Return the spans of each label: strings with their probabilities."""
        vocabulary = self.model.vocabulary
        prompt = ReleasedTemplate().prompt(AtomicTask.extract(labels), self.text)
        ids = [*vocabulary.encode(prompt.pieces[0]), vocabulary.mark(GEN)]
        found = {}
        for label in labels:
            ids += vocabulary.encode(f"{label}:")
            found[label], ids = self.line(ids)
        return found

    def line(self, ids):
        spans, first = [], True
        while True:
            string, score, last, ids = self.span(ids, first)
            if string:
                spans.append((string, score))
            if last == b"\n":
                return spans, ids
            first = False

    def span(self, ids, first):
        """Write one span, or ``None``, which only the first may be, with the tokens that it always has."""
        vocabulary = self.model.vocabulary
        whole = {b" " + string if first else string for string in self.strings}
        none = list(vocabulary.encode(" None")) if first else []
        tokens, log_score = [], 0.0
        while True:
            written = vocabulary.decode(tokens)
            rests = [string[len(written) :] for string in whole if string.startswith(written)]
            pieces = {rest[:n] for rest in rests for n in range(1, len(rest) + 1)}
            options = [vocabulary.token_of[piece] for piece in pieces if piece in vocabulary.token_of]
            if none[: len(tokens)] == tokens and len(tokens) < len(none):
                options.append(none[len(tokens)])
            is_none = bool(none) and tokens == none
            ends = [vocabulary.token_of[b"\n"]] if written in whole or is_none else []
            ends += [vocabulary.token_of[b"\t"]] if written in whole and not is_none else []
            allowed = sorted({*options, *ends})
            odds = dict(zip(allowed, self.logits(ids)[allowed].log_softmax(-1).tolist(), strict=True))
            best = max(odds, key=odds.__getitem__)
            ids = [*ids, best]
            if best in ends:
                score = math.exp(log_score) * sum(math.exp(odds[end]) for end in ends)
                return "" if is_none else written.strip().decode(), score, vocabulary.bytes_of[best], ids
            log_score += odds[best]
            tokens.append(best)


@pytest.mark.slow
@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize(("text", "task"), [(TEXTS[0], FEW), (TEXTS[1], MANY), (TEXTS[2], FEW), (TEXTS[3], MANY)])
def test_lines_are_those_of_the_reference(model_type, text, task, released):
    model = released(model_type)
    result = model.predict(text, task)
    if result.truncated:  # the reference would go on
        assert any("was cut off" in warning for warning in result.warnings)
        return
    expected = {}
    for labels in chunks(task.labels):
        expected |= Reference(model, text).lines(labels)
    lines = [f"{label}: " + ("\t".join(string for string, _ in expected[label]) or "None") for label in task.labels]
    assert result.raw == "".join(f"{line}\n" for line in lines)
    for label in task.labels:
        for span in result[label]:
            scores = [score for string, score in expected[label] if string == span.text]
            assert span.score in [pytest.approx(score, abs=1e-4) for score in scores]


@pytest.mark.slow
@quick
@given(text=texts.filter(lambda text: len(text) <= 30), seed=st.integers(0, 3))
def test_answers_are_grounded_for_any_text(text, seed, released):
    result = released("gpt2", seed).predict(text, FEW)
    for span in result.spans:
        assert text[span.start : span.end] == span.text
        assert not set(span.text) & set("\t\n")
    # The template reads these leniently, and so loses spans of them.
    if not (result.truncated or "None" in text or set(text) & set(";；:：")):
        assert FEW.parse(result.raw, text, template=ReleasedTemplate.name).spans == tuple(
            type(span)(span.label, span.text, span.start, span.end, 1.0, span.status) for span in result.spans
        )


@pytest.mark.slow
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_batch_says_what_each_text_says_alone(model_type, released):
    model = released(model_type)
    tasks = {"few": FEW, "many": MANY, "one": ONE, "several": SEVERAL}
    for text, results in zip(TEXTS, model.predict(TEXTS, tasks), strict=True):
        for name, task in tasks.items():
            assert_alike(results[name], model.predict(text, task))


@pytest.mark.slow
def test_rows_equal_trees(released):
    model = released("llama")
    rows = TreeForward(model.model)
    rows.layout = "rows"
    plans = [make_plan(text, task, model.vocabulary) for text in TEXTS for task in (FEW, MANY, ONE, SEVERAL)]
    trees, others = (
        SequentialDecoder(forward, model.vocabulary, model.max_positions).answer(plans)
        for forward in (model.forward, rows)
    )
    for one, other in zip(trees, others, strict=True):
        assert_alike(one, other)


def test_the_text_is_read_once_for_all_chunks(released):
    model = released("llama")
    text = "Tim Cook visited Shanghai. " * 20
    plan = make_plan(text, AtomicTask.extract([f"label {i}" for i in range(30)]), model.vocabulary)
    assert len(plan.branches) == 5
    assert len(plan.prompt) >= len(model.vocabulary.encode(text))
    prompts = [
        [*model.vocabulary.encode(ReleasedTemplate().prompt(AtomicTask.extract(labels), text).pieces[0])]
        for labels in chunks(plan.task.labels)
    ]
    for prompt, branch in zip(prompts, plan.branches, strict=True):
        assert [*plan.prompt, *branch][: len(prompt)] == prompt


@pytest.mark.slow
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_class_probabilities_are_those_of_whole_answers(model_type, released):
    model = released(model_type)
    vocabulary, end = model.vocabulary, (model.tokenizer.eos_token_id,)
    for text in TEXTS:
        result = model.predict(text, ONE)
        prompt = [*vocabulary.encode(ReleasedTemplate().prompt(ONE, text).pieces[0]), vocabulary.mark(GEN)]
        answers = [vocabulary.encode(words) + end for words in (*ONE.labels, "None")]
        for label, answer in zip(ONE.labels, answers, strict=False):
            probability = 1.0
            for i, token in enumerate(answer):
                allowed = sorted({other[i] for other in answers if other[:i] == answer[:i]})
                logits = Reference(model, text).logits([*prompt, *answer[:i]])[allowed]
                probability *= float(logits.softmax(-1)[allowed.index(token)])
            assert result.scores[label] == pytest.approx(probability, abs=1e-4)


def test_several_labels_are_written_until_the_answer_ends(released):
    for seed in range(4):
        model = released("gpt2", seed)
        for text in TEXTS:
            result = model.predict(text, SEVERAL)
            assert result.raw == ("，".join(sorted(result.labels, key=result.raw.index)) or "None")
            assert all(result.scores[label] > 0 for label in result.labels)
            assert SEVERAL.parse(result.raw, text, template=ReleasedTemplate.name).labels == result.labels


@pytest.mark.slow
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_text_that_leaves_no_room_for_several_labels_is_read_in_parts(model_type, released):
    model = released(model_type)
    for words in range(model.max_positions - 36, model.max_positions, 4 if model.max_positions <= 512 else 18):
        result = model.predict("a " * words, SEVERAL)
        assert set(result.scores) == set(SEVERAL.labels)


def test_several_labels_obey_a_threshold(released):
    for seed in range(4):
        model = released("llama", seed)
        for text in TEXTS:
            result = model.predict(text, SEVERAL)
            assert model.predict(text, SEVERAL, threshold=0.9).labels == tuple(
                label for label in result.labels if result.scores[label] > 0.9
            )
            if result.abstained:
                assert max(result.scores.values()) <= 0.5


def test_a_line_that_does_not_end_is_cut_off_and_says_so(released, monkeypatch):
    monkeypatch.setattr(sequential, "MAX_SPAN_TOKENS", 1)
    results = [released("gpt2", seed).predict(TEXTS[0], MANY) for seed in range(4)]
    cut = [result for result in results if result.truncated]
    assert cut
    assert all("it has more than 1 tokens" in result.warnings[0] for result in cut)


def test_the_model_s_last_position_ends_the_answer(released):
    model = released("llama")
    plan = make_plan(TEXTS[0], MANY, model.vocabulary)
    (result,) = SequentialDecoder(model.forward, model.vocabulary, plan.longest + 3).answer([plan])
    assert result.truncated
    assert any("the model reads no more" in warning for warning in result.warnings)
