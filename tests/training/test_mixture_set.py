"""Training on mixtures: the same whatever the number of workers, and exactly resumed."""

import json
import pickle
import shutil

import pytest
import torch
import yaml
from torch.utils.data import DataLoader

from seqgpt.data.augmentation import Augmentation
from seqgpt.data.mixture_config import MixtureConfig, load_mixture_config
from seqgpt.data.sample import load_sample
from seqgpt.errors import ConfigError, DataError
from seqgpt.examples import write_jsonl
from seqgpt.runs.config import load_run_config
from seqgpt.runs.data import read_data
from seqgpt.runs.run import MIXTURE_FILE, run_training
from seqgpt.training.arguments import TrainingArguments
from seqgpt.training.mixture_set import open_mixture, open_store
from seqgpt.training.trainer import Trainer
from tests.training.test_answer_store import plain

OPTIONS = Augmentation(4, negatives=True, foreign=1, all_negative=0.2, descriptions=0.2, opaque=0.1, translated=0.2)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Two JSONL files of the bundled examples."""
    folder = tmp_path_factory.mktemp("files")
    examples = load_sample("train")
    write_jsonl(folder / "a.jsonl", examples[:200])
    write_jsonl(folder / "b.jsonl", examples[200:])
    return [str(folder / "a.jsonl"), str(folder / "b.jsonl")]


def mixed(files, model, **options):
    config = MixtureConfig(sources=files, **options)
    return open_mixture(config, model, seed=3, augmentation=OPTIONS, progress=False)


def epoch(training_set, number, workers):
    training_set.set_epoch(number)
    loader = DataLoader(training_set, batch_size=8, collate_fn=list, num_workers=workers)
    return [plain(encoded) for batch in loader for encoded in batch]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:This DataLoader will create 4 worker processes")
def test_workers_make_no_difference(files, still_model):
    training_set = mixed(files, still_model, examples=24)
    assert len(training_set) == 24
    epochs = [epoch(training_set, number, 0) for number in (0, 1)]
    assert epochs[0] != epochs[1]
    for workers in (2, 4):
        assert [epoch(training_set, number, workers) for number in (0, 1)] == epochs
    assert [epoch(mixed(files, still_model, examples=24), number, 0) for number in (1, 0)] == epochs[::-1]


@pytest.mark.slow
@pytest.mark.shared
def test_a_mixture_of_real_sets_of_all_families(still_model, data_root):
    sources = ["trec", "waimai_10k", "askubuntu_intent", "rte", "mctest", "maintie_et", "nerre_mof", "proslu_slots"]
    sources = [name for name in sources if name != "rte"] + ["cluewsc", "conll04_re", "duee_triggers"]
    config = MixtureConfig(sources=sources, examples=100)
    training_set = open_mixture(config, still_model, seed=0, augmentation=OPTIONS, data_root=data_root, progress=False)
    families = {member.path[1] for member in training_set.mixture.members if member.count}
    assert families == {"TC", "SA", "ID", "NLI", "MRC", "ET", "NER", "SF", "RE", "EE"}
    for encoded in (training_set[i] for i in range(len(training_set))):
        assert encoded.tree.longest < still_model.max_positions
        assert encoded.targets


def test_what_the_model_cannot_read_is_left_out_and_counted(files, still_model, tmp_path):
    short = {"text": "word", "task": "classify", "labels": ["a", "b"], "answer": ["a"]}
    path = tmp_path / "long.jsonl"
    wordy = short | {"labels": {"a": "what it means " * 200, "b": ""}}
    path.write_text("".join(json.dumps(line) + "\n" for line in (wordy, short)))
    (member,) = mixed([str(path)], still_model).mixture.members
    assert (member.too_long, member.kept.tolist()) == (1, [1])


def config_file(tmp_path, files, **mixture):
    config = {
        "output_dir": str(tmp_path / "run"),
        "model": {"config": {"model_type": "gpt2", "n_embd": 16, "n_layer": 1, "n_head": 2}, "vocab_size": 400},
        "data": {"eval": ["sample"], "eval_limit": 4},
        "mixture": {"sources": files, "examples": 40, **mixture},
        "training": {
            "use_cpu": True,
            "num_train_epochs": 2,
            "per_device_train_batch_size": 8,
            "save_strategy": "steps",
            "save_steps": 3,
            "save_total_limit": 5,
            "all_negative": 0.1,
            "max_labels": 4,
        },
    }
    path = tmp_path / "run.yaml"
    path.write_text(yaml.safe_dump(config))
    return load_run_config(path)


@pytest.mark.slow
def test_a_run_on_a_mixture_is_resumed_exactly(files, tmp_path):
    config = config_file(tmp_path, files)
    whole = run_training(config)
    folder = tmp_path / "run"
    assert "2 sources" in (folder / MIXTURE_FILE).read_text()
    weights = {name: value.clone() for name, value in whole.model.state_dict().items()}
    for path in folder.iterdir():
        if path.name not in ("run.yaml", "checkpoint-6"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    resumed = run_training(config)
    assert all(torch.equal(value, weights[name]) for name, value in resumed.model.state_dict().items())


def test_a_mixture_and_a_list_exclude_one_another(files, tmp_path):
    config_file(tmp_path, files)
    path = tmp_path / "run.yaml"
    values = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(values | {"data": {"train": ["sample"]}}))
    with pytest.raises(ConfigError, match=r"'data.train' and 'mixture' both say what is trained on"):
        load_run_config(path)
    path.write_text(yaml.safe_dump(values | {"mixture": {"method": "weights"}}))
    with pytest.raises(ConfigError, match="weights and method: weights belong together"):
        load_run_config(path)
    path.write_text(yaml.safe_dump(values | {"training": {"replace_mentions": 0.5}}))
    with pytest.raises(ConfigError, match="not possible with a mixture"):
        load_run_config(path)


def test_wrong_rows_stop_a_mixture_or_are_counted(files, still_model, tmp_path):
    path = tmp_path / "bad.jsonl"
    good = {"text": "word", "task": "classify", "labels": ["a", "b"], "answer": ["a"]}
    path.write_text(json.dumps(good) + "\n{}\n")
    with pytest.raises(DataError, match=r"bad.jsonl, line 2: key 'text' is missing"):
        mixed([str(path)], still_model)
    config = MixtureConfig(sources=[str(path)])
    found = open_mixture(config, still_model, seed=0, augmentation=OPTIONS, on_bad_row="skip", progress=False)
    assert found.mixture.members[0].bad_rows.count == 1


def test_a_damaged_store_is_told(files, still_model, tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGPT_CACHE", str(tmp_path))
    open_store(files[0], still_model)
    (folder,) = tmp_path.iterdir()
    (folder / "ends.npy").write_bytes(b"")
    with pytest.raises(DataError, match=r"is damaged .*: delete it, it is computed again"):
        open_store(files[0], still_model)


def test_a_store_is_sent_to_another_process_by_its_name(files, still_model):
    store = open_store(files[0], still_model)
    sent = pickle.dumps(store)
    assert len(sent) < 1000
    assert pickle.loads(sent)[7] == store[7]  # noqa: S301


def test_questions_near_a_text_are_kept_with_it(still_model, tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGPT_CACHE", str(tmp_path / "cache"))
    lines = [
        {"text": text, "task": "extract", "labels": [question], "answer": {question: ["Ann"]}}
        for text, question in (("Ann left.", "who left?"), ("Ann left.", "whose name?"), ("Ann came.", "who came?"))
    ]
    path = tmp_path / "questions.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    store = open_store(str(path), still_model)
    assert [store[i].asked.near for i in range(3)] == [["whose name?"], ["who left?"], []]


def test_names_and_descriptions_need_a_mixture(still_model, tmp_path):
    for name in ("described_labels", "translated_labels"):
        args = TrainingArguments(output_dir=str(tmp_path / "run"), use_cpu=True, **{name: 0.5})
        with pytest.raises(ConfigError, match=f"{name} needs a mixture of recipes"):
            Trainer(still_model, args, load_sample("train")[:4])


@pytest.mark.shared
def test_lists_of_sources_are_guarded_too(tmp_path, data_root, capfd):
    config_file(tmp_path, ["x.jsonl"])
    path = tmp_path / "run.yaml"
    values = yaml.safe_load(path.read_text())
    del values["mixture"]
    values["data"] = {"train": ["wikigold"]}
    values["training"] |= {"max_steps": 1, "eval_strategy": "no"}
    path.write_text(yaml.safe_dump(values))
    config = load_run_config(path)
    examples = read_data(config, 0).train
    assert len(examples["wikigold"]) == 1141
    assert "wikigold: 1 examples left out, whose texts stand in the test of a held-out set" in capfd.readouterr().err


def test_a_run_may_name_a_mixture(files, tmp_path):
    config_file(tmp_path, files)
    path = tmp_path / "run.yaml"
    values = yaml.safe_load(path.read_text())
    path.write_text(yaml.safe_dump(values | {"mixture": "everything"}))
    assert load_run_config(path).mixture == load_mixture_config("everything")
    (tmp_path / "own.yaml").write_text("sources: [trec]\n")
    path.write_text(yaml.safe_dump(values | {"mixture": str(tmp_path / "own.yaml")}))
    config = load_run_config(path)
    assert config.mixture == MixtureConfig(sources=["trec"])
    path.write_text(config.to_yaml())
    assert load_run_config(path) == config
    path.write_text(yaml.safe_dump(values | {"all_negative": 0.1}))
    with pytest.raises(ConfigError, match=r"unknown key 'all_negative'.*Did you mean 'training.all_negative'"):
        load_run_config(path)


@pytest.mark.slow
def test_what_is_held_out_and_too_long_is_skipped_with_a_mixture_too(files, tmp_path, capfd):
    config_file(tmp_path, files)
    described = {"a": "what it means " * 900, "b": ""}
    fine = {"text": "word", "task": "classify", "labels": ["a", "b"], "answer": ["a"]}
    lines = [fine, fine | {"labels": described, "task": "extract", "answer": {"a": ["word"]}}]
    held_out = tmp_path / "held_out.jsonl"
    held_out.write_text("".join(json.dumps(line) + "\n" for line in lines))
    path = tmp_path / "run.yaml"
    values = yaml.safe_load(path.read_text())
    values["data"] |= {"eval": [str(held_out)], "on_bad_row": "skip"}
    values["training"] |= {"max_steps": 1}
    path.write_text(yaml.safe_dump(values))
    run_training(load_run_config(path))
    assert "held_out, too long: 1 rows skipped" in capfd.readouterr().err
