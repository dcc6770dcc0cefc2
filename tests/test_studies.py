"""Studies: their files, forms of prompts and answers, and small ones from beginning to end."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import transformers
import yaml
from hypothesis import given

from seqgpt import AtomicTask, Example, SeqGPT, templates
from seqgpt.configs import list_configs
from seqgpt.data.augmentation import Augmentation, apply, choose_labels
from seqgpt.data.draws import draw
from seqgpt.data.label_book import LabelBook
from seqgpt.engine.decoder import Decoder
from seqgpt.engine.plan import make_plan
from seqgpt.errors import ConfigError, ModelError, RunError
from seqgpt.rendered import is_mark
from seqgpt.results import Extraction
from seqgpt.templates.marks import IS, LABEL, cue, lead, write_spans
from seqgpt.training import training_set
from seqgpt.training.encode import encode
from tests.alike import assert_alike
from tests.strategies import quick, results
from tests.training.conftest import EIGHT, make_model

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import study as script
from study_config import load_study
from study_forms import FORMS, LineByLine, encode_listed, encode_sequentially, in_form, template_of
from study_report import write_reports

EXAMPLES = [Example.from_dict(record | {"id": str(i)}) for i, record in enumerate(EIGHT)]
LISTED = ["list_after", "list_before"]

SMALL = {
    "title": "A small study",
    "question": "Does it run?",
    "run": {
        "model": {
            "config": {"model_type": "gpt2", "n_embd": 16, "n_layer": 1, "n_head": 2, "n_positions": 1024},
            "vocab_size": 600,
        },
        "data": {"train": ["sample"]},
        "training": {
            "max_steps": 2,
            "per_device_train_batch_size": 4,
            "save_strategy": "no",
            "disable_tqdm": True,
            "use_cpu": True,
        },
    },
    "variants": {"plain": {"x": 1}, "listed": {"x": 3, "form": "list_after"}},
    "evaluate": {"held out": {"sources": ["sample"], "limit": 12}},
    "plot": {"kind": "line", "x": "something", "log": True},
}


@pytest.fixture(scope="module")
def model():
    return make_model()


@pytest.fixture(scope="module")
def sure():
    """A model of random weights that finds spans."""
    found = make_model(initializer_range=0.3)
    found.trained = True
    return found


def write(path, **values):
    path.write_text(yaml.safe_dump(SMALL | values, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@quick
@given(gold=results)
def test_a_form_reads_what_it_writes(form, gold):
    template = FORMS[form][0]
    answer = template.answer(gold.task, gold, gold.text)
    assert template.parse(gold.task, str(answer), gold.text) == gold


@pytest.mark.slow
@pytest.mark.parametrize("form", LISTED)
@quick
@given(gold=results)
def test_all_labels_are_listed_once(form, gold):
    pieces = FORMS[form][0].prompt(gold.task, gold.text).pieces
    listed = [pieces[i + 1] for i, piece in enumerate(pieces) if is_mark(piece, LABEL)]
    assert listed == [lead(label) for label in gold.task.labels]
    plain = templates.MarksTemplate().prompt(gold.task.without_descriptions(), gold.text).pieces
    assert set(plain) <= set(pieces)


def test_where_labels_are_listed():
    task = AtomicTask.extract(["person", "place"])
    after, before = (FORMS[form][0].prompt(task, "Ann left.") for form in LISTED)
    assert after == "<|text|> Ann left.<|extract|><|label|> person<|label|> place<|answer|>"
    assert before == "<|extract|><|label|> person<|label|> place<|text|> Ann left.<|answer|>"


def test_every_form_has_a_name_of_its_own():
    names = {template.name for template, _ in FORMS.values()}
    assert len(names) == len(FORMS)
    assert not names & set(templates._TEMPLATES)


@pytest.mark.parametrize("form", LISTED)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_labels_are_listed_in_training_as_in_prediction(model, form, example):
    template = FORMS[form][0]
    options = Augmentation(max_labels=2, all_negative=0.5)
    book = LabelBook(counts={}, closed=True)
    for shown in (None, choose_labels(example, book, options, draw("test", example.id).random)):
        encoded = encode_listed(example, model.vocabulary, template, shown)
        task = (apply(example, shown) if shown else example).task
        assert encoded.tree.prompt == make_plan(example.text, task, model.vocabulary, template).prompt
        assert encoded.targets == encode(example, model.vocabulary, templates.MarksTemplate(), shown).targets


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.id)
def test_sequential_lines_ask_what_parallel_ones_do(model, example):
    template, vocabulary = FORMS["sequential_lines"][0], model.vocabulary
    apart, behind = (write(example, vocabulary, template) for write in (encode, encode_sequentially))
    asked = [
        [question._replace(offset=0) for targets in encoded.targets for question in targets]
        for encoded in (apart, behind)
    ]
    assert sorted(map(str, asked[0])) == sorted(map(str, asked[1]))
    if example.task.single_label:
        assert behind == apart
        return
    # What stands before a question is, but for the lines before its label, what stands before it in a branch.
    answer = list(vocabulary.encode_pieces(template.answer(example.task, example.gold, example.text).pieces))
    assert list(behind.tree.branches[0]) == answer[: len(behind.tree.branches[0])]
    ends = set()
    for branch, targets in zip(behind.tree.branches, behind.targets, strict=True):
        is_ = vocabulary.mark(IS)
        for question in targets:
            before = list(branch[: question.offset + 1])
            own = max(i for i, token in enumerate(before) if token == is_)
            ends.add(tuple(before[own:]))
    assert ends == {
        tuple(branch[list(branch).index(vocabulary.mark(IS)) : question.offset + 1])
        for branch, targets in zip(apart.tree.branches, apart.targets, strict=True)
        for question in targets
    }


def test_one_line_alone_is_parallel(sure):
    pairs = [(one.text, one.task.with_labels(one.task.labels[:1])) for one in EXAMPLES]
    found, expected = LineByLine(sure, threshold=sure.threshold).predict_pairs(pairs), sure.predict_pairs(pairs)
    assert any(isinstance(one, Extraction) and one.spans for one in found)
    for one, other in zip(found, expected, strict=True):
        assert_alike(one, other)


def test_lines_are_predicted_behind_what_was_said_before(sure, monkeypatch):
    plans = []
    answer = Decoder.answer
    monkeypatch.setattr(Decoder, "answer", lambda self, some, *rest: plans.extend(some) or answer(self, some, *rest))
    (example,) = [one for one in EXAMPLES if "Tim Cook visited" in one.text]
    (found,) = LineByLine(sure, threshold=0.3).predict_pairs([(example.text, example.task)])
    assert isinstance(found, Extraction)
    assert found.spans
    prompt = make_plan(example.text, example.task, sure.vocabulary, sure.template).prompt
    for number, (label, plan) in enumerate(zip(example.task.labels, plans, strict=True)):
        said = []
        for before in example.task.labels[:number]:
            spans = [span for span in found.spans if span.label == before]
            said += [*cue(before), *write_spans(spans, example.text)]
        assert plan.prompt == (*prompt, *sure.vocabulary.encode_pieces(said))
        assert plan.branches == (sure.vocabulary.encode_pieces(cue(label)),)


def test_the_threshold_of_lines_is_the_best_of_some(model):
    predictor = LineByLine(model)
    tried = []
    predictor.predict_pairs = lambda _: (
        tried.append(predictor.threshold)
        or [one.gold if predictor.threshold == 0.25 else Extraction.of(one.text, one.task, ()) for one in EXAMPLES[:2]]
    )
    predictor.fit_threshold([EXAMPLES[:2], EXAMPLES[4:6]])
    assert predictor.threshold == 0.25
    assert len(tried) == 5


def test_a_form_is_known_within_only(model, tmp_path):
    before = dict(templates._TEMPLATES), training_set.encode
    with in_form("list_before"):
        assert training_set.encode is encode_listed
        SeqGPT(model.model, model.tokenizer, template=template_of("list_before")).save_pretrained(tmp_path / "model")
        assert SeqGPT.from_pretrained(tmp_path / "model").template.name == "study-list-before"
    with pytest.raises(RuntimeError), in_form("list_before"):
        raise RuntimeError
    assert (dict(templates._TEMPLATES), training_set.encode) == before
    with pytest.raises(ModelError, match="study-list-before"):
        SeqGPT.from_pretrained(tmp_path / "model")


@pytest.mark.slow
@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("name", list_configs("studies"))
def test_shipped_studies(name, large, tmp_path):
    study = load_study(name, large=large)
    assert len(study.variants) > 1
    for variant in study.variants:
        stages = variant.in_folder(tmp_path, 7)
        assert [stage.training["seed"] for stage in stages] == [7] * len(stages)
        assert all(stage.output_dir.startswith(str(tmp_path)) for stage in stages)
        assert [stage.model.path for stage in stages[1:]] == [stage.output_dir for stage in stages[:-1]]
    tested = [source for suite in study.evaluate.values() for source in suite.find()]
    assert len(tested) == len(set(tested))
    if large:
        assert len(study.seeds) > 1


def test_studies_are_all_there():
    assert set(list_configs("studies")) == {
        *("data_scaling", "size_scaling", "number_of_sets", "transfer_families", "transfer_languages"),
        *("stage_one", "label_augmentation", "lines", "label_list"),
    }


def test_all_that_is_wrong_with_a_study_is_told(tmp_path):
    path = write(
        tmp_path / "wrong.yaml",
        variants={
            "one": {"run": {"training": {"max_stepz": 2}}},
            "two": {"x": "far", "form": "list_befor", "runn": {}},
            "three": {"x": 1, "run": {"training": {"learning_rate": "high"}, "output_dir": "here"}},
        },
        evaluate={"known": {"sources": ["trek"]}, "held out": {"limitt": 3}},
        seeds=["a"],
        plots=1,
    )
    with pytest.raises(ConfigError) as error:
        load_study(path)
    for said in (
        "unknown key 'plots' (line ",
        "unknown key 'training.max_stepz' (line ",
        "'variants.two.x' is 'far': give a number (line ",
        "unknown form 'list_befor' (line ",
        "unknown key 'variants.two.runn' (line ",
        "'training.learning_rate' is 'high'",
        "unknown key 'variants.three.run.output_dir'",
        "evaluate.known: unknown recipe 'trek'",
        "unknown key 'held out.limitt'",
        "'seeds' is ['a']: give a list of whole numbers",
        "variant 'one' has no place on the line: give x",
        "has 11 problems",
    ):
        assert said in str(error.value), str(error.value)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda _: load_study("data_scalin"), "Did you mean 'data_scaling'"),
        (lambda path: load_study(path, large=True), "there is no 'large' setting"),
        (lambda path: load_study(path, ["rum.training.max_steps=3"]), "is not key=value with a key of a study"),
        (lambda path: load_study(path, ["run.training.max_steps='"]), "is not YAML"),
        (
            lambda path: load_study(path, ["variants.listed.run={data: {train: []}, mixture: {sources: [trec]}}"]),
            "has a form and a mixture",
        ),
    ],
)
def test_what_cannot_be_loaded(call, message, tmp_path):
    with pytest.raises(ConfigError, match=message):
        call(write(tmp_path / "small.yaml"))


def test_a_variant_says_otherwise_than_all(tmp_path):
    path = write(tmp_path / "small.yaml", large={"run": {"training": {"learning_rate": 1e-5}}, "seeds": [1, 2]})
    small, large = load_study(path, ["run.training.max_steps=9"]), load_study(path, large=True)
    assert [variant.stages[0].training["max_steps"] for variant in small.variants] == [9, 9]
    assert small.seeds == [0]
    assert large.seeds == [1, 2]
    assert large.variants[0].stages[0].training["learning_rate"] == 1e-5
    assert large.variants[0].stages[0].training["max_steps"] == 2


@pytest.mark.slow
def test_a_study_goes_on_where_it_was_interrupted(tmp_path, monkeypatch):
    study = load_study(write(tmp_path / "small.yaml"))
    folder = tmp_path / "out"
    folder.mkdir()
    trained = []
    run = script.run_stages

    def run_one(stages):
        if trained == ["plain"]:
            trained.append("killed")
            raise KeyboardInterrupt
        trained.append(Path(stages[-1].output_dir).parent.parent.name)
        return run(stages)

    monkeypatch.setattr(script, "run_stages", run_one)
    with pytest.raises(KeyboardInterrupt):
        script.run_study(study, folder)
    assert not (folder / "study.md").exists()
    script.run_study(study, folder)
    assert trained == ["plain", "killed", "listed"]
    record = json.loads((folder / "study.json").read_text(encoding="utf-8"))
    assert [one["name"] for one in record["variants"]] == ["plain", "listed"]
    for one in record["variants"]:
        group = one["groups"]["held out"]
        assert 0 <= group["low"] <= group["value"] <= group["high"] <= 1
        values = [each["value"] for each in group["sets"].values()]
        assert group["value"] == pytest.approx(sum(values) / len(values))
    first = (folder / "study.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    assert len(first) < 150_000
    assert "| listed | " in (folder / "study.md").read_text(encoding="utf-8")
    opened = []
    open_model = SeqGPT.from_pretrained
    monkeypatch.setattr(SeqGPT, "from_pretrained", lambda path: opened.append(path) or open_model(path))
    script.run_study(study, folder)  # nothing is left to do
    assert trained == ["plain", "killed", "listed"]
    assert opened == []
    assert json.loads((folder / "study.json").read_text(encoding="utf-8")) == record
    more = load_study(tmp_path / "small.yaml", ["evaluate.held out.limit=14"])
    counted = [
        sum(len(e.of.examples) for e in one.evaluations["held out"].entries) for one in script.run_study(more, folder)
    ]
    assert counted == [14, 14]
    assert len(opened) == 2


@pytest.mark.slow
def test_a_study_says_what_it_does_and_nothing_else(tmp_path, monkeypatch, capfd):
    transformers.utils.logging.enable_progress_bar()  # as in a process of its own
    path = write(tmp_path / "small.yaml", variants={"plain": {"x": 1}})
    monkeypatch.setattr(sys, "argv", ["study.py", str(path), "--output", str(tmp_path / "out")])
    assert script.main() == 0
    out, err = capfd.readouterr()
    assert out.startswith("# A small study")
    assert "small: plain, seed 0 (1 of 1)" in err
    for noise in ("Writing model shards", "Loading weights", "Warning", "[transformers]", "accelerate"):
        assert noise not in err


@pytest.mark.slow
def test_every_form_runs_with_every_seed_and_is_drawn(tmp_path):
    variants = {form: {"x": i, "form": form} for i, form in enumerate(FORMS, 1)}
    stages = {"pretrain": {"training": {"max_steps": 1}}, "finetune": {}}
    variants["两步"] = {"x": 9, "run": {"stages": stages}}
    path = write(tmp_path / "forms.yaml", variants=variants, seeds=[0, 1])
    study = load_study(path, ["run.data.eval=[sample]", "run.data.eval_limit=6"])
    folder = tmp_path / "run"
    outcomes = script.run_study(study, folder)
    assert [(one.variant.name, one.seed) for one in outcomes] == [(name, seed) for seed in (0, 1) for name in variants]
    for one in json.loads((folder / "study.json").read_text(encoding="utf-8"))["variants"]:
        numbers = one["groups"]["held out"]
        assert numbers["value"] == pytest.approx(sum(numbers["seeds"]) / 2)
    for kind in ("line", "bars", "heatmap"):
        write_reports(replace(study, plot=replace(study.plot, kind=kind)), outcomes, folder)
        assert 5_000 < (folder / "study.png").stat().st_size < 150_000


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    study = load_study(write(tmp_path / "small.yaml"))
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter.txt").touch()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "study.name").write_text("label_list\n", encoding="utf-8")
    for folder, message in (("thesis", "holds something that is no study"), ("other", "holds the study 'label_list'")):
        with pytest.raises(RunError, match=message):
            script.run_study(study, tmp_path / folder)
