"""What a Trainer leaves beside its model, and what it says when it goes on with other arguments or examples."""

import dataclasses
import json

import pytest

from seqgpt import Example, RunError, Trainer, write_jsonl
from seqgpt.data.augmentation import Augmentation
from seqgpt.data.mixture_config import MixtureConfig
from seqgpt.runs.config import DataConfig, ModelConfig, RunConfig
from seqgpt.runs.run import run_training
from seqgpt.training.curves import draw_curves
from seqgpt.training.digest import digest_examples
from seqgpt.training.mixture_set import open_mixture
from seqgpt.training.record import ARGUMENTS_FILE, DATA_FILE
from tests.training.conftest import Killed, StopAt, make_model


@pytest.mark.slow
def test_a_trainer_leaves_what_a_run_does(model, eight, arguments, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("seqgpt.training.trainer.draw_curves", draw_curves)
    args = arguments(eval_strategy="steps", eval_steps=2)
    Trainer(model, args, {"mine": eight}, {"held": eight[:2]}).train()
    left = {path.name for path in (tmp_path / "run").iterdir()}
    files = {"curves.png", "README.md", "environment.json", ARGUMENTS_FILE, DATA_FILE, "preflight.md"}
    assert files | {"model.safetensors", "seqgpt.json"} <= left
    assert "_run.lock" not in left
    card, report = ((tmp_path / "run" / name).read_text() for name in ("README.md", "preflight.md"))
    assert "| mine | 8 |" in card
    assert "held_offset_f1" in card
    assert "| mine | 8 |" in report
    assert "Steps: 4" in capfd.readouterr().err
    assert json.loads((tmp_path / "run" / ARGUMENTS_FILE).read_text())["learning_rate"] == 3e-3
    assert json.loads((tmp_path / "run" / DATA_FILE).read_text()) == {"mine": digest_examples(eight)}


@pytest.fixture
def begun(eight, arguments):
    """A run of which a checkpoint is left; what comes of it when it goes on otherwise."""
    Trainer(make_model(), arguments(), {"a": eight[:5], "b": eight[5:]}, callbacks=[StopAt(2)]).train()

    def go_on(train=None, **given):
        trainer = Trainer(make_model(), arguments(**given), train or {"a": eight[:5], "b": eight[5:]})
        trainer.train(resume_from_checkpoint=True)

    return go_on


@pytest.mark.slow
def test_other_arguments_are_told(begun):
    with pytest.raises(RunError) as raised:
        begun(learning_rate=1e-3, max_labels=5)
    assert "begun with other arguments: learning_rate (0.003, now 0.001), max_labels (24, now 5). Go" in str(
        raised.value
    )
    begun(logging_steps=2, save_strategy="steps", report_to="none", max_steps=5, per_device_eval_batch_size=1)


@pytest.mark.slow
def test_other_examples_are_told(begun, eight):
    with pytest.raises(RunError) as raised:
        begun({"a": eight[:5], "c": eight[5:]})
    assert "was begun with other examples: b is gone, c is new. Put them back" in str(raised.value)
    other = dataclasses.replace(eight[0], id="another")
    with pytest.raises(RunError, match=r"other examples: a has changed. Put"):
        begun({"a": [other, *eight[1:5]], "b": eight[5:]})


@pytest.mark.slow
def test_evaluation_counts_where_it_decides_what_is_kept(eight, arguments):
    best = {"eval_strategy": "steps", "save_strategy": "steps", "eval_steps": 1, "save_steps": 1, "max_steps": 2}
    best["load_best_model_at_end"] = True
    Trainer(make_model(), arguments(**best), eight, eight[:2]).train()
    for args, held, said in (
        (best, eight[:3], "examples, evaluated, has changed"),
        (best | {"metric_for_best_model": "accuracy"}, eight[:2], "metric_for_best_model"),
    ):
        with pytest.raises(RunError, match=said):
            Trainer(make_model(), arguments(**args), eight, held).train(resume_from_checkpoint=True)


@pytest.mark.slow
def test_a_run_that_was_killed_before_its_first_checkpoint_begins_again(eight, arguments, tmp_path, monkeypatch):
    trainer = Trainer(make_model(), arguments(), eight)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "training_step", lambda *_, **__: (_ for _ in ()).throw(Killed))
        with pytest.raises(Killed):
            trainer.train()
    assert (tmp_path / "run" / DATA_FILE).exists()
    Trainer(make_model(), arguments(), eight[1:]).train()
    with pytest.raises(RunError, match="is not empty"):
        Trainer(make_model(), arguments(), eight).train()


@pytest.mark.slow
def test_directories_of_earlier_versions(begun, tmp_path, eight):
    for name in (ARGUMENTS_FILE, DATA_FILE):
        (tmp_path / "run" / name).unlink()
    begun({"mine": eight}, weight_decay=0.1)


@pytest.mark.slow
def test_a_file_that_changed_before_a_run_goes_on(eight, tmp_path, kill):
    for name in ("mine", "yours"):
        write_jsonl(tmp_path / f"{name}.jsonl", eight)
    make_model().save_pretrained(tmp_path / "base")
    training = {"use_cpu": True, "max_steps": 4, "save_strategy": "steps", "save_steps": 2, "eval_strategy": "no"}
    data = DataConfig(train=[str(tmp_path / "mine.jsonl")], replay=[str(tmp_path / "yours.jsonl")])
    config = RunConfig(str(tmp_path / "run"), ModelConfig(path=str(tmp_path / "base")), data, training)
    kill(2, lambda: run_training(config))
    for name, said in (("mine", "mine has changed"), ("yours", "yours, replayed, has changed")):
        write_jsonl(tmp_path / f"{name}.jsonl", [*eight[1:], eight[0]])
        with pytest.raises(RunError, match=f"was begun with other examples: {said}. Put them back as they were"):
            run_training(config)
        write_jsonl(tmp_path / f"{name}.jsonl", eight)
    run_training(config)
    assert (tmp_path / "run" / "metrics.json").exists()


def test_digests_of_a_mixture(still_model, eight, tmp_path, monkeypatch):
    monkeypatch.setenv("SEQGPT_CACHE", str(tmp_path / "cache"))

    def digests(rows, **given):
        write_jsonl(tmp_path / "mine.jsonl", rows)
        config = MixtureConfig(sources=[str(tmp_path / "mine.jsonl")], **({"examples": 40} | given))
        return open_mixture(config, still_model, seed=0, augmentation=Augmentation(), progress=False).digests()

    first = digests(eight)
    assert first.keys() == {"mine"}
    (answer,) = (one for one in eight if one.text.startswith("The train"))
    other = Example.from_dict(answer.to_dict() | {"answer": ["praise"]})
    assert digests([other if one is answer else one for one in eight]) != first
    assert digests(eight, examples=8) != first
    assert digests(eight) == first
