"""The model that users hold: opening, saving, asking, and what it says when something is wrong."""

import contextlib
import json
import pickle
import shutil
from itertools import pairwise
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch
from huggingface_hub.errors import (
    EntryNotFoundError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
)
from transformers import AutoConfig, AutoModelForCausalLM, BertConfig, BertModel, PreTrainedTokenizerFast

import seqgpt
from seqgpt import AtomicTask, Example, SeqGPT, model_files
from seqgpt.calibration import Calibration
from seqgpt.data.sample import load_sample
from seqgpt.engine import released_code
from seqgpt.engine.reading import Reader
from seqgpt.errors import ConfigError, DataError, LabelError, ModelError, TextError
from seqgpt.model_files import BUNDLED
from seqgpt.one_line import default_model_path, predict
from seqgpt.results import Classification, Extraction
from seqgpt.templates.marks import MARKS, YES
from seqgpt.tokenizer import END_OF_TEXT, PAD
from tests.alike import assert_alike
from tests.conftest import tiny_config

TEXTS = ["Tim Cook visited Shanghai.", "杰克逊先走。"]
PEOPLE = AtomicTask.extract(["person", "place"])
TONE = AtomicTask.classify(["praise", "complaint"], name="tone")
TOPICS = AtomicTask.classify(["praise", "complaint", "question"], multi_label=True)


@pytest.fixture(scope="module")
def model(tiny):
    return tiny("qwen3")


@pytest.fixture
def folder(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture(scope="module")
def plain_folder(tokenizer, tmp_path_factory):
    """A causal language model as anyone saves it: no marks, no seqgpt.json, weights tied or not by its own choice."""
    folder = tmp_path_factory.mktemp("plain")
    spec = json.loads(tokenizer.backend_tokenizer.to_str())
    spec["added_tokens"] = [token for token in spec["added_tokens"] if token["content"] in (PAD, END_OF_TEXT)]
    for mark in MARKS:
        spec["model"]["vocab"][f"unused{spec['model']['vocab'].pop(mark)}"] = tokenizer.convert_tokens_to_ids(mark)
    backend = type(tokenizer.backend_tokenizer).from_str(json.dumps(spec))
    PreTrainedTokenizerFast(tokenizer_object=backend, pad_token=PAD, eos_token=END_OF_TEXT).save_pretrained(folder)
    fields = tiny_config("llama") | {"vocab_size": 600, "eos_token_id": 1, "pad_token_id": 0}
    torch.manual_seed(0)
    AutoModelForCausalLM.from_config(AutoConfig.for_model(**fields)).save_pretrained(folder)
    return folder


# What predict returns


def test_one_text_and_one_task_give_one_result(model):
    assert isinstance(model.predict(TEXTS[0], PEOPLE), Extraction)
    assert isinstance(model.predict(TEXTS[0], TONE), Classification)


def test_labels_alone_ask_for_extraction(model):
    asked = model.predict(TEXTS[0], PEOPLE)
    assert model.predict(TEXTS[0], ["person", "place"]) == asked
    assert model.predict(TEXTS[0], ("person", "place")) == asked
    described = model.predict(TEXTS[0], {"person": "a human being", "place": ""})
    assert described.task == AtomicTask.extract({"person": "a human being", "place": ""})


def test_several_texts_give_a_list(model):
    for text, result in zip(TEXTS, model.predict(TEXTS, PEOPLE), strict=True):
        assert_alike(result, model.predict(text, PEOPLE))
    assert model.predict(iter(TEXTS), PEOPLE) == model.predict(TEXTS, PEOPLE)
    assert model.predict(TEXTS[:1], PEOPLE) == [model.predict(TEXTS[0], PEOPLE)]
    assert model.predict([], PEOPLE) == []
    assert model.predict([], [PEOPLE, TONE]) == []
    assert model.predict_pairs([]) == []


def test_several_tasks_give_a_dict_for_each_text(model):
    both = model.predict(TEXTS[0], [PEOPLE, TONE])
    assert list(both) == ["extract", "tone"]
    assert_alike(both["extract"], model.predict(TEXTS[0], PEOPLE))
    assert_alike(both["tone"], model.predict(TEXTS[0], TONE))
    named = model.predict(TEXTS, {"who": PEOPLE, "how": TONE})
    assert [list(results) for results in named] == [["who", "how"]] * 2
    assert_alike(named[0]["who"], both["extract"])
    assert list(model.predict(TEXTS[0], [TONE])) == ["tone"]


def test_a_model_in_training_mode_answers_without_dropout_and_stays_in_it(tokenizer):
    model = SeqGPT.from_config({**tiny_config("gpt2"), "embd_pdrop": 0.5, "resid_pdrop": 0.5}, tokenizer)
    model.trained = True
    expected = model.predict(TEXTS, [PEOPLE, TONE])
    model.model.train()
    assert model.predict(TEXTS, [PEOPLE, TONE]) == expected
    assert model.model.training
    with pytest.raises(TextError):
        model.predict("", PEOPLE)
    assert model.model.training


def test_results_do_not_depend_on_the_batch_size(model):
    expected = model.predict(TEXTS, PEOPLE)
    for size in (1, 2, 100):
        for one, other in zip(model.predict(TEXTS, PEOPLE, batch_size=size), expected, strict=True):
            assert_alike(one, other)


def test_progress_is_shown_only_where_it_is_asked_for_and_there_is_some(model, capsys):
    pairs = [(text, TONE) for text in TEXTS]
    model.predict(TEXTS, TONE)
    model.predict_pairs(pairs)
    model.predict_pairs(pairs, progress=True)
    assert capsys.readouterr() == ("", "")
    model.predict_pairs(pairs, batch_size=1, progress=True)
    assert "2/2" in capsys.readouterr().err


# What is wrong with what was asked


@pytest.mark.parametrize("text", ["", " \n", None, 5, b"bytes", {"text": "x"}, {"x"}, [""], ["x", None], "a\ud83d"])
def test_what_is_no_text_is_an_error(text, model):
    with pytest.raises(TextError):
        model.predict(text, PEOPLE)


@pytest.mark.parametrize("task", [[], {}, "person", None, 5, {"person"}, ["a", "a"], [""], [PEOPLE, "person"]])
def test_what_is_no_task_is_an_error(task, model):
    with pytest.raises(LabelError):
        model.predict("x", task)


def test_two_tasks_of_one_name_are_an_error(model):
    with pytest.raises(LabelError, match="two tasks are named 'extract': give name= to each"):
        model.predict("x", [PEOPLE, AtomicTask.extract(["date"])])


def test_of_several_texts_the_wrong_one_is_named(model):
    with pytest.raises(TextError, match=r"^text 3: the text is empty"):
        model.predict(["x", "y", " "], [PEOPLE, TONE])
    with pytest.raises(TextError, match=r"^text 2: text and labels have \d+ tokens"):
        model.predict_pairs([("x", PEOPLE), ("word " * 600, TONE)], max_length="error")
    with pytest.raises(TextError, match=r"^the text is empty"):
        model.predict([""], [PEOPLE, TONE])


@pytest.mark.parametrize("size", [0, -1, 1.5, "16", None, True])
def test_a_batch_must_hold_something(size, model):
    with pytest.raises(ConfigError, match=f"batch_size is {size!r}: give"):
        model.predict("x", PEOPLE, batch_size=size)


def test_a_text_that_is_too_long_is_an_error(model):
    with pytest.raises(TextError, match=r"have \d+ tokens, and the model reads 511: shorten .* that begins 'word word"):
        model.predict("word " * 600, PEOPLE, max_length="error")
    with pytest.raises(TextError, match="let it be read in parts"):
        model.predict("x", {f"label {i}": f"description number {i} " * 20 for i in range(20)}, max_length="error")
    with pytest.raises(TextError, match="describe fewer labels at once"):
        model.predict("x", {"a": "b", "long": "word " * 600})


DESCRIBED = {f"label {i}": f"description number {i} " * 4 for i in range(16)}


@pytest.mark.slow
@pytest.mark.parametrize("text", ["Tim Cook visited Shanghai.", "Tim Cook visited Shanghai. " * 24])
def test_long_descriptions_are_read_in_groups(text, model):
    """Of an extraction, or several labels, each label is answered as if its group were asked alone."""
    spans, several = AtomicTask.extract(DESCRIBED), AtomicTask.classify(DESCRIBED, multi_label=True)
    for task in (spans, several):
        asked = model.reader.groups(text, task, "chunk")
        assert 1 < len(asked) < len(DESCRIBED)
        assert [label for group in asked for label in group.labels] == list(task.labels)
        result = model.predict(text, task)
        assert result.warnings[0].startswith(f"labels were described in {len(asked)} groups")
        for labels, alone in ((group.labels, model.predict(text, group.task)) for group in asked):
            if task is spans:
                assert {s.start for s in result.spans if s.label in labels} == {s.start for s in alone.spans}
            else:
                assert {label: result.scores[label] for label in labels} == pytest.approx(alone.scores, abs=1e-4)


def test_groups_do_not_depend_on_what_was_asked_before(model):
    def groups(*ways):
        reader = Reader(model._plan, model.vocabulary, model.max_positions)
        return [reader.groups(TEXTS[0], task, way) for way in ways][-1]

    task = AtomicTask.extract({f"label {i}": f"description number {i} " * 4 for i in range(60)})
    assert groups("chunk") != groups("truncate")
    assert groups("truncate", "chunk") == groups("chunk")


def test_a_task_that_is_asked_in_groups_is_not_too_long(model):
    many = AtomicTask.extract({f"label {i}": f"description number {i} " * 4 for i in range(60)})
    model.check_length(TEXTS[0], many)
    assert "described in" in model.predict(TEXTS[0], many).warnings[0]
    with pytest.raises(TextError, match="describe fewer labels at once"):
        model.check_length("x", AtomicTask.extract({"a": "b", "long": "word " * 600}))


@pytest.mark.parametrize("none", [False, True])
def test_classes_with_long_descriptions_have_probabilities_that_compare(none, model):
    task = AtomicTask.classify(DESCRIBED, none=none)
    result = model.predict(TEXTS[0], task)
    assert "described in" in result.warnings[0]
    assert sum(result.scores.values()) == pytest.approx(1, abs=1e-5) or none
    assert sum(result.scores.values()) <= 1 + 1e-6
    assert result.labels in ((), (max(result.scores, key=result.scores.__getitem__),))
    assert model.predict([TEXTS[0], TEXTS[1]], task)[0] == result
    assert not model.predict(TEXTS[0], AtomicTask.classify(dict(list(DESCRIBED.items())[:2]))).warnings


SENTENCES = "Tim Cook visited Shanghai. 杰克逊去了上海。 Nothing else happened. "


def test_a_long_text_is_read_in_parts(model):
    text = SENTENCES * 20
    result = model.predict(text, ["person", "地点"], threshold=0.2)
    assert result.text == text
    assert result.warnings[0].startswith("the text was read in ")
    assert not result.truncated
    assert max(span.end for span in result.spans) > len(text) // 2
    short = model.predict(SENTENCES, ["person", "地点"], threshold=0.2)
    assert short.warnings == ()


def test_parts_are_no_longer_than_masks_may_be_whatever_the_model_could_read(model, monkeypatch):
    monkeypatch.setattr("seqgpt.engine.reading.MAX_WINDOW_TOKENS", 32)
    result = model.predict(SENTENCES * 3, TONE)
    assert result.warnings[0].startswith("the text was read in ")
    for max_length in ("error", "truncate"):  # who asks for all of it at once gets it
        assert not model.predict(SENTENCES * 3, TONE, max_length=max_length).warnings


@pytest.mark.parametrize("task", [AtomicTask.classify(["praise", "complaint"]), TOPICS])
def test_a_long_text_is_classified_in_parts(model, task):
    result = model.predict(SENTENCES * 20, task)
    assert result.warnings[0].startswith("the text was read in ")
    assert result.scores.keys() == set(task.labels)


def test_a_long_text_may_be_cut_off(model):
    result = model.predict(SENTENCES * 20, ["person"], threshold=0.7, max_length="truncate")
    assert result.truncated
    assert result.warnings[0].startswith("only the first ")


@pytest.mark.slow
@pytest.mark.parametrize("max_length", ["chunk", "truncate"])
def test_white_space_around_a_text_does_not_make_it_long(max_length, model):
    text, before = "Tim Cook visited Shanghai.", "\n \u3000" * 1000
    inner = model.predict(text, PEOPLE, threshold=0.05)
    result = model.predict(before + text + " \n" * 1000, PEOPLE, threshold=0.05, max_length=max_length)
    assert [(s.label, s.start - len(before), s.end - len(before)) for s in result.spans] == [
        (s.label, s.start, s.end) for s in inner.spans
    ]
    assert not result.truncated
    assert result.warnings[0].startswith("the white space around the text was not read")
    assert model.predict(before + text, TONE, max_length=max_length).scores == model.predict(text, TONE).scores


def test_a_text_behind_white_space_may_be_cut_off(model):
    text = "\n" * 500 + SENTENCES * 20
    result = model.predict(text, ["person"], threshold=0.1, max_length="truncate")
    assert result.truncated
    assert result.spans
    assert min(span.start for span in result.spans) >= 500


@pytest.mark.slow
def test_a_text_that_just_fits_is_read_whole(model):
    def fits(text):
        with contextlib.suppress(TextError):
            model.check_length(text, TONE, max_length="error")
            return True

    text = next(text for text in ("word " * n for n in range(512, 0, -1)) if fits(text))
    assert not model.predict(text, TONE, max_length="truncate").truncated
    assert not model.predict(text, TONE, max_length="error").warnings
    assert not model.predict(text, TONE, max_length="chunk").warnings
    with pytest.raises(TextError, match="let it be read in parts"):
        model.predict(text + "word word", TONE, max_length="error")


@pytest.mark.parametrize("option", ["overlap", "max_length"])
def test_options_have_known_values(model, option):
    with pytest.raises(ConfigError, match=f"{option} is 'nested': use (None or )?'"):
        model.predict("x", PEOPLE, **{option: "nested"})


@pytest.mark.slow
def test_flat_spans_do_not_overlap(model):
    text = "Tim Cook visited Shanghai, 杰克逊去了上海。"
    nested = model.predict(text, ["person", "地点"], threshold=0.05)
    flat = model.predict(text, ["person", "地点"], threshold=0.05, overlap="flat")
    assert set(flat.spans) < set(nested.spans)
    places = sorted((span.start, span.end) for span in flat.spans)
    assert all(one[1] <= other[0] for one, other in pairwise(places))
    for span in set(nested.spans) - set(flat.spans):
        rivals = [s for s in flat.spans if s.start < span.end and span.start < s.end]
        assert max(rival.score for rival in rivals) >= span.score


def test_whether_spans_overlap_is_the_models_own(model, tmp_path):
    text, asked = "Tim Cook visited Shanghai, 杰克逊去了上海。", ["person", "地点"]
    said = {kind: model.predict(text, asked, threshold=0.05, overlap=kind) for kind in ("allow", "flat")}
    own = SeqGPT(model.model, model.tokenizer, overlap="flat")
    own.save_pretrained(tmp_path)
    for one in (own, SeqGPT.from_pretrained(tmp_path)):
        assert one.info()["overlap"] == "flat"
        assert one.predict(text, asked, threshold=0.05) == said["flat"]
        assert one.predict(text, asked, threshold=0.05, overlap="allow") == said["allow"] != said["flat"]
    assert SeqGPT(model.model, model.tokenizer).predict(text, asked, threshold=0.05) == said["allow"]


@pytest.mark.slow
def test_texts_may_come_one_after_another(model):
    texts = [f"Tim Cook visited Shanghai {i} times." for i in range(70)]
    read = []

    def coming():
        for text in texts:
            read.append(text)
            yield text

    results = model.predict_iter(coming(), ["person"], batch_size=2)
    first = next(results)
    assert len(read) < len(texts)
    for one, other in zip([first, *results], model.predict(texts, ["person"]), strict=True):
        assert_alike(one, other)
    with pytest.raises(TextError, match="text 34: the text is empty"):
        list(model.predict_iter(["a"] * 33 + [""], ["person"], batch_size=2))


def test_what_cannot_be_calibrated_on_is_refused(model):
    with pytest.raises(DataError, match="nothing to calibrate on"):
        model.calibrate([])
    for wrong in ("mine.jsonl", ["Tim"]):
        with pytest.raises(DataError, match="calibrate takes a list of examples"):
            model.calibrate(wrong)


def test_calibration_does_not_bring_up_what_is_too_unlikely(model):
    heated = SeqGPT(model.model, model.tokenizer, calibration=Calibration(single=20.0))
    found = heated.predict("Tim Cook visited Shanghai.", ["person"], threshold=0.3)
    raw = model.predict("Tim Cook visited Shanghai.", ["person"], threshold=0.05)
    assert {(s.start, s.end) for s in found.spans} <= {(s.start, s.end) for s in raw.spans}


def test_many_texts_are_not_one_and_options_are_checked_at_once(model):
    with pytest.raises(TextError, match="predict_iter takes many texts"):
        model.predict_iter("Tim Cook", ["person"])
    with pytest.raises(ConfigError, match="overlap is 'flt'"):
        model.predict_iter(["a"], ["person"], overlap="flt")


@pytest.mark.slow
def test_calibration_changes_scores_and_no_answer(model, tmp_path, monkeypatch):
    monkeypatch.setattr("seqgpt.engine.spans.MAX_PATHS_OF_A_TEXT", 32)  # to a random model everything is likely
    examples = load_sample("train")[:12]
    pairs = [(example.text, example.task) for example in examples]
    copy = SeqGPT(model.model, model.tokenizer, threshold=0.3)
    before = copy.predict_pairs(pairs)
    found = copy.calibrate(examples)
    assert found == copy.calibration != Calibration()
    after = copy.predict_pairs(pairs)
    for one, other in zip(before, after, strict=True):
        if isinstance(one, Extraction):
            assert [(s.label, s.start, s.end) for s in one.spans] == [(s.label, s.start, s.end) for s in other.spans]
        else:
            assert one.labels == other.labels
    assert before != after
    copy.save_pretrained(tmp_path)
    opened = SeqGPT.from_pretrained(tmp_path)
    assert (opened.calibration, opened.threshold) == (found, copy.threshold)


def test_labels_without_descriptions_are_answered_the_same_whatever_else_is_asked(model):
    text, many = "Tim Cook visited Shanghai, 杰克逊去了上海。", ["person", *(f"label number {i}" for i in range(9))]
    alone = model.predict(text, ["person"], threshold=0.4).spans
    assert alone
    among = model.predict(text, many, threshold=0.4)["person"]
    assert [(span.start, span.end) for span in among] == [(span.start, span.end) for span in alone]
    assert [span.score for span in among] == pytest.approx([span.score for span in alone], abs=1e-5)


# Thresholds


def found(result):
    return {(span.label, span.start, span.end): span.score for span in result.spans}


def test_a_higher_threshold_finds_fewer_spans_with_the_same_scores(model):
    text, labels = "Tim Cook visited Shanghai, 杰克逊去了上海。", ["person", "地点"]
    before = found(model.predict(text, labels, threshold=0.05))
    assert before
    for threshold in (0.2, 0.5, 0.8):
        now = found(model.predict(text, labels, threshold=threshold))
        assert now == pytest.approx({place: score for place, score in before.items() if score > threshold}, abs=1e-5)


def test_labels_can_have_thresholds_of_their_own(model, monkeypatch):
    text, labels = "Tim Cook visited Shanghai, 杰克逊去了上海。", ["person", "地点"]
    low, high = (found(model.predict(text, labels, threshold=threshold)) for threshold in (0.1, 0.6))
    mixed = found(model.predict(text, labels, threshold={"person": 0.1, "地点": 0.6}))
    assert mixed.keys() == {p for p in low if p[0] == "person"} | {p for p in high if p[0] == "地点"}
    monkeypatch.setattr(model, "threshold", 0.6)
    assert found(model.predict(text, labels, threshold={"person": 0.1})).keys() == mixed.keys()
    assert found(model.predict(text, labels)).keys() == high.keys()


def test_labels_of_several_hold_above_the_threshold(model):
    task = AtomicTask.classify(["praise", "complaint", "question"], multi_label=True)
    scores = model.predict("Tim Cook visited Shanghai.", task).scores
    for threshold in (0.0, 0.4, 0.6, 0.99):
        result = model.predict("Tim Cook visited Shanghai.", task, threshold=threshold)
        assert result.labels == tuple(label for label, score in scores.items() if score > threshold)


def test_spans_and_labels_of_several_have_thresholds_of_their_own(model, tmp_path):
    several = AtomicTask.classify(["praise", "complaint", "question"], multi_label=True)
    text = "Tim Cook visited Shanghai."
    own = SeqGPT(model.model, model.tokenizer, threshold=0.05, class_threshold=0.4)
    own.save_pretrained(tmp_path)
    for one in (own, SeqGPT.from_pretrained(tmp_path)):
        assert one.predict(text, PEOPLE) == model.predict(text, PEOPLE, threshold=0.05)
        assert one.predict(text, several) == model.predict(text, several, threshold=0.4)
        assert one.predict(text, several, threshold=0.05) == model.predict(text, several, threshold=0.05)
    assert model.predict(text, several, threshold=0.4) != model.predict(text, several, threshold=0.05)
    settings = json.loads((tmp_path / "seqgpt.json").read_text())
    del settings["class_threshold"]  # as files were that had one threshold
    (tmp_path / "seqgpt.json").write_text(json.dumps(settings))
    assert SeqGPT.from_pretrained(tmp_path).class_threshold == 0.05


def test_a_threshold_is_saved_with_the_model(model, tmp_path, monkeypatch):
    monkeypatch.setattr(model, "threshold", 0.25)
    model.save_pretrained(tmp_path / "saved")
    assert SeqGPT.from_pretrained(tmp_path / "saved").threshold == 0.25


@pytest.mark.parametrize("threshold", [1, -0.1, "half", True, float("nan")])
def test_what_is_no_threshold_is_refused(model, threshold):
    with pytest.raises(ConfigError, match="give a probability from 0 up, below 1"):
        model.predict("x", ["a"], threshold=threshold)
    with pytest.raises(ConfigError, match="the threshold of 'a' is"):
        model.predict("x", ["a"], threshold={"a": threshold})


def test_a_threshold_of_no_label_is_refused(model):
    with pytest.raises(LabelError, match=r"given for 'persn', which no task asks for. Did you mean 'person'\?"):
        model.predict("x", ["person"], threshold={"persn": 0.3})
    with pytest.raises(LabelError, match="a threshold is given for '', which"):
        model.predict("x", ["person"], threshold={"": 0.3})


# What a model is


def test_info_says_what_a_model_is(model):
    assert model.info() == {
        "architecture": "qwen3",
        "parameters": 57024,
        "dtype": "float32",
        "vocabulary_size": 600,
        "template": "seqgpt-marks-4",
        "threshold": 0.5,
        "class_threshold": 0.5,
        "overlap": "allow",
        "max_positions": 512,
        "layout": "tree",
        "training_layout": "blocks",
        "notes": [],
    }
    assert repr(model) == "SeqGPT(qwen3, 0.1M parameters, template 'seqgpt-marks-4')"


def test_the_same_seed_gives_the_same_weights(tokenizer, model):
    before = torch.get_rng_state()
    again, other = (SeqGPT.from_config(tiny_config("qwen3"), tokenizer, seed=seed) for seed in (0, 1))
    assert torch.equal(torch.get_rng_state(), before)
    weight = model.model.get_input_embeddings().weight
    assert torch.equal(again.model.get_input_embeddings().weight, weight)
    assert not torch.equal(other.model.get_input_embeddings().weight, weight)


def test_positions_are_known_or_taken_from_the_tokenizer(tiny):
    assert tiny("gpt2").max_positions == 512
    assert tiny("bloom").max_positions == 2048


@pytest.mark.slow
def test_a_config_must_name_a_known_type(tokenizer):
    with pytest.raises(ModelError, match="names no model_type"):
        SeqGPT.from_config({}, tokenizer)
    with pytest.raises(ModelError, match=r"no model_type 'qwen33'\. Did you mean 'qwen3'\?"):
        SeqGPT.from_config({"model_type": "qwen33"}, tokenizer)
    with pytest.raises(ModelError, match="cannot build a model of type 't5'"):
        SeqGPT.from_config({"model_type": "t5"}, tokenizer)
    with pytest.raises(ModelError, match="cannot build a model of type 'llama'"):
        SeqGPT.from_config({"model_type": "llama", "num_attention_heads": "many"}, tokenizer)


def test_a_misspelt_field_of_a_config_is_an_error(tokenizer):
    with pytest.raises(ModelError, match=r"'llama' has no field 'hiden_size'\. Did you mean 'hidden_size'\?"):
        SeqGPT.from_config({"model_type": "llama", "hiden_size": 32}, tokenizer)


def test_a_model_without_the_mark_of_the_released_template(model):
    with pytest.raises(ModelError, match=r"the tokenizer has no token \[GEN\], which begins the answers of template"):
        SeqGPT(model.model, model.tokenizer, template="seqgpt-560m")


# Saving and opening


def test_a_saved_model_gives_the_same_results(model, folder):
    opened = SeqGPT.from_pretrained(folder)
    assert opened.trained
    assert opened.info() == model.info()
    tasks = [PEOPLE, TONE, AtomicTask.classify(["a", "b"], multi_label=True, name="several")]
    assert opened.predict(TEXTS, tasks) == model.predict(TEXTS, tasks)
    assert SeqGPT.from_pretrained(str(folder), device="cpu", dtype=torch.float64).model.dtype == torch.float64


def test_the_released_model_is_known_by_its_tokenizer(released, tmp_path):
    model = released("bloom")
    model.model.save_pretrained(tmp_path / "plain")
    model.tokenizer.save_pretrained(tmp_path / "plain")
    opened = SeqGPT.from_pretrained(tmp_path / "plain")
    assert (opened.template.name, opened.trained, opened.threshold) == ("seqgpt-560m", True, 0.0)
    opened.save_pretrained(tmp_path / "saved")
    again = SeqGPT.from_pretrained(tmp_path / "saved")
    assert again.info() == opened.info() == model.info()
    tasks = [PEOPLE, AtomicTask.classify(["good", "bad"])]
    assert again.predict(TEXTS[:2], tasks) == model.predict(TEXTS[:2], tasks)


@pytest.mark.parametrize(("option", "value"), [("device", "gpu"), ("dtype", "bf16")])
def test_devices_and_number_types_are_those_of_torch(option, value, folder):
    with pytest.raises(ConfigError, match=f"{value}': (use|give) "):
        SeqGPT.from_pretrained(folder, **{option: value})


def test_a_model_may_be_said_to_be_of_a_template(released, tmp_path):
    model = released("bloom")
    model.model.save_pretrained(tmp_path / "plain")
    model.tokenizer.save_pretrained(tmp_path / "plain")
    opened = SeqGPT.from_pretrained(tmp_path / "plain", template="seqgpt-marks-4")
    assert (opened.template.name, opened.trained, opened.threshold) == ("seqgpt-marks-4", True, 0.5)
    opened.save_pretrained(tmp_path / "saved")
    with pytest.raises(ModelError, match="is of template 'seqgpt-marks-4', not 'seqgpt-560m': leave it out"):
        SeqGPT.from_pretrained(tmp_path / "saved", template="seqgpt-560m")


def test_calibration_that_fails_changes_nothing(model):
    copy = SeqGPT(model.model, model.tokenizer, threshold=0.3, calibration=Calibration(2.0, 3.0))
    bad = Example.from_dict({"text": "x", "task": "extract", "labels": {"a": "word " * 600}, "answer": {"a": []}})
    with pytest.raises(TextError):
        copy.calibrate([bad])
    assert (copy.calibration, copy.threshold) == (Calibration(2.0, 3.0), 0.3)


def test_a_comparison_with_the_released_code_leaves_the_tokenizer_as_it_was(released, tmp_path, monkeypatch):
    monkeypatch.setitem(released_code._GENERATION, "max_new_tokens", 2)
    model = released("gpt2")
    before = model.tokenizer.backend_tokenizer.to_str()
    model.predict("Tim Cook visited Shanghai.", PEOPLE, compat="released")
    assert model.tokenizer.backend_tokenizer.to_str() == before
    with pytest.raises(ConfigError, match="cuts off the head of a long text: leave max_length out"):
        model.predict("x", PEOPLE, compat="released", max_length="error")


def test_a_long_text_is_read_in_parts_by_the_released_model_too(released):
    text = "Tim Cook visited Shanghai. " * 60
    result = released("gpt2").predict(text, PEOPLE)
    assert "overlapping parts" in result.warnings[0]
    assert all(text[span.start : span.end] == span.text for span in result.spans)


def test_a_model_is_saved_without_pickles(folder):
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "seqgpt.json"} <= names
    assert not {path.suffix for path in folder.iterdir()} & {".bin", ".pt", ".pkl"}
    settings = {"format": 1, "template": "seqgpt-marks-4", "trained": True, "threshold": 0.5}
    settings |= {"class_threshold": 0.5, "overlap": "allow"}
    settings["calibration"] = {"choice": 1.0, "single": 1.0}
    assert json.loads((folder / "seqgpt.json").read_text()) == settings


@pytest.mark.slow
def test_saving_does_not_train(tokenizer, folder, tmp_path):
    SeqGPT.from_config(tiny_config("qwen3"), tokenizer).save_pretrained(tmp_path / "untrained")
    assert not SeqGPT.from_pretrained(tmp_path / "untrained").trained
    (folder / "seqgpt.json").write_text('{"format": 1, "template": "seqgpt-marks-4"}')  # as written before
    assert SeqGPT.from_pretrained(folder).trained


def test_a_model_is_not_saved_over_or_under_a_file(model, tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(ModelError, match=r"file' is a file: name a folder to save the model in\.$"):
        model.save_pretrained(tmp_path / "file")
    with pytest.raises(ModelError, match=r"cannot make the folder .*: name another one\.$"):
        model.save_pretrained(tmp_path / "file" / "model")
    assert (tmp_path / "file").read_text() == "x"


def test_a_plain_model_gets_the_marks_and_says_that_it_is_untrained(plain_folder):
    opened = SeqGPT.from_pretrained(plain_folder)
    assert not opened.trained
    assert len(opened.tokenizer) == 600 + len(MARKS)
    with pytest.warns(UserWarning, match="not trained on the template") as caught:
        result = opened.predict(TEXTS[0], PEOPLE)
    assert isinstance(result, Extraction)
    assert caught[0].filename == __file__


@pytest.mark.parametrize("tied", [False, True])
def test_a_new_mark_begins_as_the_mean_of_its_words(tied, plain_folder):
    plain = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(plain_folder, tie_word_embeddings=tied))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(plain_folder)
    before = plain.get_input_embeddings().weight.clone(), plain.get_output_embeddings().weight.clone()
    opened = SeqGPT(plain, tokenizer)
    after = plain.get_input_embeddings().weight, plain.get_output_embeddings().weight
    assert (after[0] is after[1]) == tied
    words = tokenizer("yes 有", add_special_tokens=False)["input_ids"]
    mark = opened.vocabulary.mark(YES)
    for old, new in zip(before, after, strict=True):
        assert torch.equal(new[:600], old)
        torch.testing.assert_close(new[mark], old[words].mean(dim=0))


def test_a_second_model_with_the_same_tokenizer_gets_the_marks_too(plain_folder):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(plain_folder)
    one, other = (SeqGPT(AutoModelForCausalLM.from_pretrained(plain_folder), tokenizer).model for _ in range(2))
    assert torch.equal(one.get_input_embeddings().weight, other.get_input_embeddings().weight)


def test_a_model_with_room_for_the_marks_is_not_resized(plain_folder):
    tokenizer = PreTrainedTokenizerFast.from_pretrained(plain_folder)
    plain = AutoModelForCausalLM.from_pretrained(plain_folder)
    plain.resize_token_embeddings(640, mean_resizing=False)
    opened = SeqGPT(plain, tokenizer)
    assert plain.get_input_embeddings().weight.shape[0] == 640
    words = tokenizer(MARKS[YES], add_special_tokens=False)["input_ids"]
    weight = plain.get_input_embeddings().weight
    torch.testing.assert_close(weight[opened.vocabulary.mark(YES)], weight[words].mean(dim=0))


# What is wrong with what is opened: always one ModelError that says what to do


def assert_no_model(path, *words, **options):
    with pytest.raises(ModelError) as caught:
        SeqGPT.from_pretrained(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in (*words, str(path)):
        assert word in message


def test_no_folder(tmp_path):
    assert_no_model(tmp_path / "nothing", "there is no folder")
    with pytest.raises(ModelError, match="there is no folder"):
        SeqGPT.from_pretrained("~/no such folder of seqgpt")


def test_a_folder_that_is_no_model(tmp_path):
    assert_no_model(tmp_path, "it has no config.json: a model folder has config.json and model.safetensors.")
    (tmp_path / "file").write_text("x")
    assert_no_model(tmp_path / "file", "it has no config.json")


def test_an_interrupted_run_names_its_last_checkpoint(tmp_path):
    for name in ("checkpoint-1000", "checkpoint-900", "checkpoint-best", "checkpoint-20"):
        (tmp_path / name).mkdir()
    assert_no_model(tmp_path, "Its last checkpoint is", f"{tmp_path / 'checkpoint-1000'}")


def test_no_tokenizer(folder):
    (folder / "tokenizer.json").unlink()
    assert_no_model(folder, "has no tokenizer: copy tokenizer.json")


def test_no_weights(folder):
    (folder / "model.safetensors").unlink()
    (folder / "training_args.bin").write_bytes(b"")  # beside the weights of every run
    assert_no_model(folder, "has no weights: copy model.safetensors")


def test_weights_as_a_pickle_are_opened_only_where_asked_for(folder, model):
    (folder / "model.safetensors").unlink()
    torch.save(model.model.state_dict(), folder / "pytorch_model.bin")
    assert_no_model(folder, "weights as a pickle", "use_safetensors=False")
    opened = SeqGPT.from_pretrained(folder, use_safetensors=False)
    assert opened.predict(TEXTS, PEOPLE) == model.predict(TEXTS, PEOPLE)


def test_broken_files(folder, tmp_path):
    for name in ("model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json"):
        broken = shutil.copytree(folder, tmp_path / f"broken {name}")
        (broken / name).write_bytes(b"{ not what it should be")
        assert_no_model(broken, "cannot open a model at")
    broken = shutil.copytree(folder, tmp_path / "broken pickle")
    (broken / "model.safetensors").unlink()
    (broken / "pytorch_model.bin").write_bytes(pickle.dumps(print))
    assert_no_model(broken, "cannot open a model at", use_safetensors=False)


def test_weights_of_another_kind_of_model(folder):
    shape = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8}
    BertModel(BertConfig(vocab_size=50, **shape)).save_pretrained(folder)
    (folder / "config.json").write_text(json.dumps({**tiny_config("qwen3"), "vocab_size": 600}))
    assert_no_model(folder, "parts of a causal language model", "is it a model of another kind?")


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ("{ not JSON", "is not JSON"),
        ("[1]", "is not of seqgpt"),
        ('{"template": "seqgpt-marks-4"}', "is not of seqgpt"),
        ('{"format": 99, "template": "seqgpt-marks-4"}', "is of format 99, this version reads 1: update seqgpt"),
        ('{"format": 1}', "names no template"),
        ('{"format": 1, "template": 7}', "names no template"),
        ('{"format": 1, "template": "seqgpt-marks-4", "trained": "no"}', "says 'no' of trained, not true or false"),
        (
            '{"format": 1, "template": "seqgpt-marks-4", "overlap": "no"}',
            "says 'no' of overlap, not allow or flat",
        ),
        ('{"format": 1, "template": "seqgpt-marks-4", "threshold": 2}', "says 2 of threshold, not a probability below"),
    ],
)
def test_settings_that_cannot_be_read(settings, words, folder):
    (folder / "seqgpt.json").write_text(settings)
    assert_no_model(folder, words)


def test_unknown_templates_are_refused_before_weights_are_read(folder):
    (folder / "seqgpt.json").write_text(json.dumps({"format": 1, "template": "seqgpt-marks-1"}))
    (folder / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="is of template 'seqgpt-marks-1', which this version of seqgpt does not know"):
        SeqGPT.from_pretrained(folder)


# The hub, without a network


@pytest.fixture(autouse=True)
def _hub_that_answers(monkeypatch):
    monkeypatch.setattr(model_files, "get_hf_file_metadata", lambda *_, **__: None)


@pytest.mark.parametrize("said", [ConnectionError("no route"), OfflineModeIsEnabled("off"), TimeoutError("no answer")])
def test_a_hub_that_does_not_answer_is_asked_once(said, monkeypatch):
    asked, tried = recording(monkeypatch, "not in the cache"), []

    def download(*_, local_files_only, **__):
        tried.append(local_files_only)
        raise LocalEntryNotFoundError("not there")

    monkeypatch.setattr(model_files, "get_hf_file_metadata", raising(said))
    monkeypatch.setattr(model_files, "hf_hub_download", download)
    with pytest.raises(ModelError, match="check its spelling and the network"):
        SeqGPT.from_pretrained("someone/a-model")
    assert tried == [True]
    assert asked == [("someone/a-model", None, True)]


def test_what_the_hub_says_is_left_to_the_download(monkeypatch):
    unknown = RepositoryNotFoundError("404", response=Mock())
    monkeypatch.setattr(model_files, "get_hf_file_metadata", raising(unknown))
    monkeypatch.setattr(model_files, "hf_hub_download", raising(unknown))
    with pytest.raises(ModelError, match="check its spelling"):
        SeqGPT.from_pretrained("someone/a-model")


def test_a_model_on_the_hub_has_its_settings_read(folder, monkeypatch):
    asked = []

    def download(model_id, name, *, revision, local_files_only):
        assert not local_files_only
        asked.append((model_id, name, revision))
        return str(folder / name)

    monkeypatch.setattr(model_files, "hf_hub_download", download)
    (folder / "seqgpt.json").write_text(json.dumps({"format": 1, "template": "another"}))
    with pytest.raises(ModelError, match="is of template 'another'"):
        SeqGPT.from_pretrained("someone/a-model")
    with pytest.raises(ModelError, match="is of template 'another'"):
        SeqGPT.from_pretrained("someone/a-model", revision="v1")
    assert asked == [("someone/a-model", "seqgpt.json", revision) for revision in (None, "v1")]


def raising(error):
    def download(*_, **__):
        raise error

    return download


def recording(monkeypatch, answer):
    """Let transformers find nothing, and record what it was asked for."""
    asked = []

    def from_pretrained(name, **options):
        asked.append((name, options.get("revision"), options.get("local_files_only", False)))
        raise OSError(answer)

    monkeypatch.setattr(model_files.AutoTokenizer, "from_pretrained", from_pretrained)
    return asked


def test_a_model_on_the_hub_may_be_a_plain_one(monkeypatch):
    asked = recording(monkeypatch, "no tokenizer")
    monkeypatch.setattr(model_files, "hf_hub_download", raising(EntryNotFoundError("404")))
    with pytest.raises(ModelError, match="no tokenizer"):
        SeqGPT.from_pretrained("someone/a-model", revision="v1")
    assert asked == [("someone/a-model", "v1", False)]


def test_without_a_network_a_model_without_settings_is_opened_from_the_cache_only(monkeypatch):
    asked = recording(monkeypatch, "not in the cache")
    monkeypatch.setattr(model_files, "hf_hub_download", raising(LocalEntryNotFoundError("no network")))
    with pytest.raises(ModelError, match="there is no folder 'someone/a-model' here; if it is a hub id"):
        SeqGPT.from_pretrained("someone/a-model")
    assert asked == [("someone/a-model", None, True)]


def test_a_mistyped_folder_is_not_only_a_problem_of_the_hub(monkeypatch):
    monkeypatch.setattr(model_files, "hf_hub_download", raising(OSError("no route to host\nmore")))
    with pytest.raises(ModelError) as caught:
        SeqGPT.from_pretrained("runs/demo2")
    assert str(caught.value) == (
        "cannot open a model at 'runs/demo2' (no route to host): there is no folder 'runs/demo2' here; if it is a hub "
        "id, check its spelling and the network."
    )


@pytest.mark.parametrize("path", ["runs/that/is not there", "runs/demo2/", "./demo2", "~demo2", Path("runs/demo2")])
def test_what_must_be_a_folder_is_not_looked_for_on_the_hub(path, monkeypatch):
    monkeypatch.setattr(model_files, "hf_hub_download", None)
    with pytest.raises(ModelError, match=r"there is no folder '.*': check the path, or give a hub id as a string"):
        SeqGPT.from_pretrained(path)


def test_a_folder_has_no_revisions(folder):
    assert_no_model(folder, "which has no revisions: leave revision out", revision="v1")


# The default model


def test_predict_opens_a_model_once(folder, model, monkeypatch):
    assert predict(TEXTS, PEOPLE, model=folder) == model.predict(TEXTS, PEOPLE)
    monkeypatch.setenv("SEQGPT_MODEL", str(folder))
    monkeypatch.setattr(SeqGPT, "from_pretrained", None)  # is not called again
    assert seqgpt.predict(TEXTS[0], ["person", "place"]) == model.predict(TEXTS[0], PEOPLE)


def test_predict_opens_a_model_again_that_was_saved_again(folder, tiny, monkeypatch):
    first, second = tiny("qwen3"), tiny("qwen3", 1)
    monkeypatch.chdir(folder.parent)
    assert predict(TEXTS[0], TONE, model=folder.name) == first.predict(TEXTS[0], TONE)
    second.save_pretrained(folder)
    assert predict(TEXTS[0], TONE, model=folder.name) == second.predict(TEXTS[0], TONE)
    first.save_pretrained(folder.parent / "elsewhere" / folder.name)
    monkeypatch.chdir(folder.parent / "elsewhere")
    assert predict(TEXTS[0], TONE, model=folder.name) == first.predict(TEXTS[0], TONE)


def test_the_default_model_is_the_bundled_one_or_named(monkeypatch):
    monkeypatch.delenv("SEQGPT_MODEL", raising=False)
    assert default_model_path() == BUNDLED
    monkeypatch.setenv("SEQGPT_MODEL", "elsewhere")
    assert default_model_path() == "elsewhere"
