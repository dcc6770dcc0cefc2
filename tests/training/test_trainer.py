"""The trainer: learns, evaluates, saves what it predicts with, and may be interrupted at any time."""

import logging

import pytest
import torch
import transformers

from seqgpt import DataError, RunError, SeqGPT, Trainer, write_jsonl
from seqgpt.data.augmentation import Augmentation
from seqgpt.data.sample import load_sample
from seqgpt.errors import ConfigError, ModelError
from seqgpt.evaluation.report import evaluate
from seqgpt.evaluation.sets import HEADLINES, by_kind
from seqgpt.examples import Example
from seqgpt.training.checkpoints import STATE_FILE, last_checkpoint
from seqgpt.training.optimizer import CombinedOptimizer
from seqgpt.training.training_set import TrainingSet
from tests.alike import assert_alike
from tests.conftest import tiny_config
from tests.training.conftest import StopAt, make_model


def weights(model):
    return {name: weight.clone() for name, weight in model.model.state_dict().items()}


def same(left, right, tolerance=0.0):
    return left.keys() == right.keys() and all(
        torch.allclose(left[name], right[name], rtol=0.0, atol=tolerance) for name in left
    )


def steps(trainer):
    """Return what was logged with each loss."""
    return [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]


@pytest.mark.slow
def test_a_tiny_model_learns_eight_examples_by_heart(model, eight, arguments, tmp_path):
    trainer = Trainer(model, arguments(max_steps=80, per_device_train_batch_size=8, learning_rate=5e-3), eight, eight)
    trainer.train()
    metrics = trainer.evaluate()
    assert metrics["eval_offset_f1"] >= 0.9
    assert metrics["eval_accuracy"] >= 0.9
    headlines = [metrics[f"eval_{name}"] for name in ("offset_f1", "accuracy", "micro_f1")]
    assert metrics["eval_score"] == pytest.approx(sum(headlines) / 3)
    opened = SeqGPT.from_pretrained(tmp_path / "run")
    for example in eight:
        assert_alike(opened.predict(example.text, example.task), model.predict(example.text, example.task))
    assert same(weights(opened), weights(model))
    assert opened.trained
    assert not any((tmp_path / "run").glob("*.bin"))
    assert not any((tmp_path / "run").glob("*.pt"))


@pytest.mark.slow
@pytest.mark.parametrize(("stop", "workers"), [(3, 0), (4, 0), (3, 1)])
def test_interrupted_and_resumed_is_uninterrupted(eight, arguments, tmp_path, stop, workers):
    """Epochs have two steps, so step 3 is in the middle of one, where accelerate does not tell which it is.

    Worker processes that live on draw nothing when an epoch begins, those of a resumed run would.
    """
    common = {"max_steps": 5, "max_labels": 2, "save_strategy": "steps", "save_steps": 100}
    common |= {"dataloader_num_workers": workers, "dataloader_persistent_workers": bool(workers)}
    whole = make_model(attention_dropout=0.1)
    Trainer(whole, arguments(output_dir=str(tmp_path / "whole"), **common), eight).train()
    half = make_model(attention_dropout=0.1)
    Trainer(half, arguments(**common), eight, callbacks=[StopAt(stop)]).train()
    torch.manual_seed(99)  # nothing may depend on what the new process drew before
    resumed = make_model(seed=5, attention_dropout=0.1)
    trainer = Trainer(resumed, arguments(**common), eight)
    trainer.train(resume_from_checkpoint=str(tmp_path / "run" / f"checkpoint-{stop}"))
    assert trainer.state.global_step == 5
    assert same(weights(whole), weights(resumed))


@pytest.mark.slow
def test_a_checkpoint_is_a_model(model, eight, arguments, tmp_path):
    Trainer(model, arguments(save_strategy="steps", save_steps=2, max_steps=2), eight).train()
    opened = SeqGPT.from_pretrained(tmp_path / "run" / "checkpoint-2")
    assert same(weights(opened), weights(model))
    assert opened.trained


@pytest.mark.slow
def test_gradient_accumulation_is_one_large_batch(eight, arguments, tmp_path):
    models, losses = [], []
    for i, (size, accumulate) in enumerate([(8, 1), (4, 2), (1, 8)]):
        trained = make_model()
        args = arguments(
            output_dir=str(tmp_path / str(i)),
            per_device_train_batch_size=size,
            gradient_accumulation_steps=accumulate,
            optim="sgd",
            learning_rate=0.1,
            max_steps=3,
        )
        trainer = Trainer(trained, args, eight)
        trainer.train()
        models.append(weights(trained))
        losses.append(steps(trainer))
    assert len(losses[0]) == 3
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    assert losses[2] == pytest.approx(losses[0], abs=1e-5)
    assert same(models[0], models[1], 1e-6)
    assert same(models[0], models[2], 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("batch_tokens", [None, 150])
@pytest.mark.parametrize("family", ["qwen3", "bloom"])
def test_activation_checkpointing_changes_nothing(family, batch_tokens, eight, arguments, tmp_path):
    """The layout is that of blocks, or of rows under a mask."""
    models, losses = [], []
    for again in (False, True):
        trained = make_model() if family == "qwen3" else make_model(**tiny_config(family))
        folder = str(tmp_path / str(again))
        args = arguments(output_dir=folder, activation_checkpointing=again, batch_tokens=batch_tokens, optim="sgd")
        trainer = Trainer(trained, args, eight)
        trainer.train()
        models.append(weights(trained))
        losses.append(steps(trainer))
    assert losses[1] == pytest.approx(losses[0], abs=1e-6)
    assert same(*models, 1e-6)


@pytest.mark.slow
def test_batches_by_tokens_accumulate(eight, arguments, tmp_path):
    """Two batches of all examples are one: the same epoch, cut otherwise."""
    models = []
    for i, (tokens, accumulate) in enumerate([(10_000, 1), (250, 2)]):
        trained = make_model()
        args = arguments(
            output_dir=str(tmp_path / str(i)),
            batch_tokens=tokens,
            gradient_accumulation_steps=accumulate,
            optim="sgd",
            learning_rate=0.1,
            num_train_epochs=2,
            max_steps=-1,
        )
        trainer = Trainer(trained, args, eight)
        trainer.train()
        assert len(trainer.get_train_dataloader()) == accumulate
        assert trainer.state.global_step == 2
        models.append(weights(trained))
    assert same(*models, 1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("lora", [False, True])
def test_bfloat16_learns_what_float32_does(lora, eight, arguments, tmp_path):
    make_model().save_pretrained(tmp_path / "base")
    losses = []
    for bf16 in (False, True):
        trained = SeqGPT.from_pretrained(tmp_path / "base", dtype=torch.float32)
        if lora:
            trained.add_lora(r=4)
        args = arguments(output_dir=str(tmp_path / str(bf16)), bf16=bf16, per_device_train_batch_size=8, max_steps=6)
        trainer = Trainer(trained, args, eight)
        trainer.train()
        losses.append(steps(trainer))
        assert all(weight.dtype == torch.float32 for weight in trained.learner.parameters())
    assert losses[0][-1] < losses[0][0]
    assert losses[1] != losses[0]
    assert losses[1] == pytest.approx(losses[0], rel=0.03)


@pytest.mark.slow
def test_how_examples_are_packed_does_not_matter(eight, arguments, tmp_path):
    losses = []
    for row_tokens in (0, 100, 1000):
        args = arguments(output_dir=str(tmp_path / str(row_tokens)), row_tokens=row_tokens, max_steps=2)
        trainer = Trainer(make_model(), args, eight)
        trainer.train()
        losses.append(steps(trainer))
    assert losses[1] == pytest.approx(losses[0], abs=1e-5)
    assert losses[2] == pytest.approx(losses[0], abs=1e-5)


@pytest.mark.slow
def test_the_best_model_is_kept(model, eight, arguments, tmp_path, monkeypatch):
    scores = iter([0.2, 0.9, 0.1, 0.3])
    kept = {}

    def evaluated(self, *args, **kwargs):
        metrics = {"eval_score": next(scores)}
        kept[metrics["eval_score"]] = weights(model)
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    monkeypatch.setattr(Trainer, "evaluate", evaluated)
    args = arguments(
        eval_strategy="steps", eval_steps=1, save_strategy="steps", save_steps=1, load_best_model_at_end=True
    )
    assert (args.metric_for_best_model, args.greater_is_better) == ("score", True)
    trainer = Trainer(model, args, eight, eight[:1])
    trainer.train()
    assert trainer.state.best_metric == 0.9
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-2")
    assert same(weights(model), kept[0.9])
    assert same(weights(SeqGPT.from_pretrained(tmp_path / "run")), kept[0.9])


@pytest.mark.slow
def test_evaluation_logs_what_it_finds(model, eight, arguments):
    trainer = Trainer(model, arguments(eval_strategy="steps", eval_steps=2), eight, eight)
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "eval_score" in entry]
    assert [entry["step"] for entry in logged] == [2, 4]
    for key in ("offset_f1", "string_f1", "accuracy", "extract_macro_f1", "classify_macro_f1", "runtime"):
        assert f"eval_{key}" in logged[0]
    assert "eval_macro_f1" not in logged[0]
    for members in by_kind(eight).values():
        report = evaluate(model, members, name="x", progress=False)
        assert logged[1][f"eval_{HEADLINES[report.kind]}"] == report.headline


def test_several_evaluation_sets_by_name(model, eight, arguments):
    trainer = Trainer(model, arguments(), eight, {"spans": eight[:4], "classes": eight[4:]})
    model.trained = True
    metrics = trainer.evaluate()
    assert {"eval_spans_offset_f1", "eval_spans_macro_f1", "eval_classes_accuracy", "eval_score"} <= metrics.keys()
    assert metrics["eval_score"] == pytest.approx(
        (metrics["eval_spans_offset_f1"] + metrics["eval_classes_accuracy"] + metrics["eval_classes_micro_f1"]) / 3
    )
    assert trainer.evaluate(eight[:2]).keys() >= {"eval_offset_f1", "eval_score"}
    assert "test_x_accuracy" in trainer.evaluate({"x": eight[4:]}, metric_key_prefix="test")


def test_evaluation_leaves_the_mode_as_it_was(model, eight, arguments, monkeypatch):
    trainer = Trainer(model, arguments(), eight, eight[:1])
    model.trained = True
    model.model.train()
    trainer.evaluate()
    assert model.model.training
    monkeypatch.setattr(model, "predict_pairs", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        trainer.evaluate()
    assert model.model.training


@pytest.mark.slow
def test_files_are_examples_too(model, eight, arguments, tmp_path):
    path = tmp_path / "mine.jsonl"
    write_jsonl(path, eight)
    trainer = Trainer(model, arguments(eval_strategy="epoch"), str(path), path)
    trainer.train()
    assert "eval_score" in trainer.state.log_history[-2]


@pytest.mark.slow
def test_two_stages_with_one_model(model, eight, arguments, tmp_path):
    """The first trainer's precision must not stay on the model."""
    first = Trainer(model, arguments(bf16=True), eight)
    first.train()
    after = model.predict(eight[0].text, eight[0].task)
    assert after == SeqGPT.from_pretrained(tmp_path / "run").predict(eight[0].text, eight[0].task)
    again = arguments(output_dir=str(tmp_path / "second"))
    Trainer(model, again, eight).train()
    fresh = SeqGPT.from_pretrained(tmp_path / "run")
    Trainer(fresh, arguments(output_dir=str(tmp_path / "third")), eight).train()
    assert same(weights(model), weights(fresh))


@pytest.mark.slow
def test_a_training_that_fails_leaves_a_plain_model(model, eight, arguments, tmp_path):
    """Its precision does not stay on the model, and what the weights are now is in no folder."""
    model.save_pretrained(tmp_path / "base")
    model.trained = False
    args = arguments(bf16=True, save_strategy="steps", save_steps=1)
    with pytest.raises(ZeroDivisionError):
        Trainer(model, args, eight, callbacks=[_FailAt(2)]).train()
    assert SeqGPT.from_pretrained(tmp_path / "run" / "checkpoint-1").trained
    assert not model.trained
    with pytest.raises(ModelError, match=r"weights of this model are in no folder.*save_pretrained\(folder\) first"):
        model.add_lora()
    model.save_pretrained(tmp_path / "left")
    fresh = SeqGPT.from_pretrained(tmp_path / "left")
    for name, one in (("second", model), ("third", fresh)):
        Trainer(one, arguments(output_dir=str(tmp_path / name)), eight).train()
    assert same(weights(model), weights(fresh))


class _FailAt(transformers.TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **_):
        if state.global_step == self.step:
            raise ZeroDivisionError


@pytest.mark.slow
def test_nothing_is_said_that_needs_no_saying(model, eight, arguments, tmp_path, caplog):
    transformers.logging.enable_propagation()
    try:
        with caplog.at_level(logging.WARNING):
            Trainer(
                model, arguments(save_strategy="steps", save_steps=2, save_total_limit=None), eight, eight[:1]
            ).train()
            trainer = Trainer(make_model(), arguments(save_strategy="steps", save_steps=2, max_steps=5), eight)
            trainer.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-2"))
    finally:
        transformers.logging.disable_propagation()
    # What transformers says of two checkpoints that were written in the same tick of the clock is not ours.
    said = [record.message for record in caplog.records if "mtime may not be reliable" not in record.message]
    assert said == []


def test_steps_count_their_operations(model, eight, arguments):
    trainer = Trainer(model, arguments(), eight)
    trainer.train()
    assert trainer.state.total_flos > 0


def test_an_output_directory_with_something_in_it(model, eight, arguments, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "thesis.txt").touch()
    trainer = Trainer(model, arguments(), eight)
    with pytest.raises(RunError, match=r"is not empty: choose another one, delete it, or go on with train\(resume"):
        trainer.train()
    with pytest.raises(RunError, match="has no checkpoint to go on from"):
        trainer.train(resume_from_checkpoint=True)
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"cannot be made \(File exists\): name another one"):
        Trainer(model, arguments(output_dir=str(tmp_path / "file")), eight)


@pytest.mark.slow
def test_going_on_from_the_last_whole_checkpoint(model, eight, arguments, tmp_path):
    args = arguments(save_strategy="steps", save_steps=2)
    Trainer(model, args, eight).train()
    (tmp_path / "run" / "checkpoint-9").mkdir()  # interrupted while it was saved
    (tmp_path / "run" / "checkpoint-x").mkdir()
    (tmp_path / "run" / "checkpoint-x" / STATE_FILE).touch()
    assert last_checkpoint(tmp_path / "run") == tmp_path / "run" / "checkpoint-4"
    assert last_checkpoint(tmp_path) is None
    resumed = make_model(seed=3)
    trainer = Trainer(resumed, arguments(save_strategy="steps", save_steps=100, max_steps=5), eight)
    trainer.train(resume_from_checkpoint=True)
    assert trainer.state.global_step == 5


def test_nothing_to_train_on_or_to_evaluate(still_model, eight, arguments, tmp_path):
    with pytest.raises(DataError, match="no examples to train on"):
        Trainer(still_model, arguments(), [])
    (tmp_path / "empty.jsonl").touch()
    with pytest.raises(DataError, match="no examples to train on"):
        Trainer(still_model, arguments(), tmp_path / "empty.jsonl")
    with pytest.raises(DataError, match="the evaluation set has no examples"):
        Trainer(still_model, arguments(), eight, [])
    with pytest.raises(DataError, match="evaluation set 'a' has no examples"):
        Trainer(still_model, arguments(), eight, {"a": []})
    with pytest.raises(DataError, match="nothing to evaluate"):
        Trainer(still_model, arguments(), eight).evaluate()
    with pytest.raises(DataError, match="Check the path"):
        Trainer(still_model, arguments(), tmp_path / "none.jsonl")


def test_examples_that_are_too_long(still_model, eight, arguments):
    record = {"text": "many words " * 200, "task": "extract", "labels": ["a"], "answer": {}, "id": "mine/7"}
    long = Example.from_dict(record)
    Trainer(still_model, arguments(), eight, [long])  # to predict, it is read in parts
    wordy = {f"label {i}": "what it means " * 10 for i in range(30)}
    unreadable = Example.from_dict(record | {"labels": wordy})
    with pytest.raises(
        DataError, match=r"example mine/7 has up to \d+ tokens, and its text cannot be cut until it has"
    ):
        Trainer(still_model, arguments(), [*eight, unreadable])
    Trainer(still_model, arguments(), eight, [unreadable])  # to predict, its labels are asked in groups
    unreadable = Example.from_dict(record | {"labels": {"a label": "what it means " * 600}})
    with pytest.raises(DataError, match=r"the evaluation set, example mine/7: labels and task have \d+ tokens, and"):
        Trainer(still_model, arguments(), eight, [unreadable])


def test_long_label_sets_that_sampling_makes_short_enough(still_model, arguments):
    labels = {f"label {i}": f"meaning {i}" for i in range(200)}
    record = {"text": "some words", "task": "classify", "labels": labels, "answer": ["label 3"]}
    Trainer(still_model, arguments(), [Example.from_dict(record)])
    with pytest.raises(DataError, match="lower max_labels"):
        Trainer(still_model, arguments(max_labels=200), [Example.from_dict(record)])


@pytest.mark.slow
@pytest.mark.parametrize("described", [False, True])
@pytest.mark.parametrize("kind", ["extract", "classify"])
def test_the_longest_labels_of_all_epochs_are_counted(still_model, arguments, kind, described):
    """What is not cut fits in every epoch; the bound is met by the epoch that draws the longest labels."""
    names = [*(f"short {i}" for i in range(30)), "a label that is very much longer than all of the others " * 3]
    labels = dict.fromkeys(names, "what it means") if described else names
    answer = {names[0]: ["word"]} if kind == "extract" else [names[0]]
    roomy, longest = make_model(max_position_embeddings=1024), {}

    def training_set(words, model):
        record = {"text": "word " * words, "task": kind, "labels": labels, "answer": answer}
        return TrainingSet([Example.from_dict(record)], model, seed=0, augmentation=Augmentation(2))

    words = next(words for words in range(60, 480) if training_set(words, still_model).cut)
    for tried, which in ((training_set(words - 1, still_model), "fits"), (training_set(words, roomy), "cut")):
        for epoch in range(120):
            tried.set_epoch(epoch)
            tree = tried[0].tree
            longest[which] = max(longest.get(which, 0), len(tree.prompt) + max(map(len, tree.branches)))
    assert longest["fits"] < still_model.max_positions
    assert longest["cut"] >= still_model.max_positions


def test_a_model_of_whole_answers_is_not_trained(released, eight, arguments):
    with pytest.raises(ModelError, match="models of template 'seqgpt-560m' can be asked, but not trained here"):
        Trainer(released("gpt2"), arguments(), eight)


def test_what_transformers_takes_and_this_trainer_does_not(still_model, eight, arguments, tmp_path):
    theirs = transformers.TrainingArguments(output_dir=str(tmp_path / "run"), use_cpu=True)
    with pytest.raises(ConfigError, match=r"^args are transformers.TrainingArguments: build them with seqgpt\."):
        Trainer(still_model, theirs, eight)
    with pytest.raises(ConfigError, match=r"^the model is a Qwen3ForCausalLM: wrap it, seqgpt.SeqGPT\(model"):
        Trainer(still_model.model, arguments(), eight)
    with pytest.raises(DataError, match=r"^example 8 is a dict: make it with seqgpt.Example.from_dict"):
        Trainer(still_model, arguments(), [*eight, eight[0].to_dict()])
    with pytest.raises(DataError, match="example 0 is a dict"):
        Trainer(still_model, arguments(), eight, [eight[0].to_dict()])
    with pytest.raises(DataError, match=r"^examples are a generator: give a list of them"):
        Trainer(still_model, arguments(), (example for example in eight))
    trainer = Trainer(still_model, arguments(), eight)
    with pytest.raises(ConfigError, match=r"call trainer.seqgpt.predict\(text, task\)"):
        trainer.predict(eight)
    with pytest.raises(ConfigError, match=r"label_smoothing_factor is 0.1: leave it out, the loss does not use it"):
        arguments(label_smoothing_factor=0.1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("max_labels", 1),
        ("row_tokens", -1),
        ("replace_mentions", 1.5),
        ("spliced_mentions", 1.5),
        ("muon_learning_rate", 0.0),
    ],
)
def test_arguments_out_of_range(arguments, name, value):
    with pytest.raises(ConfigError, match=f"{name} is {value}: give"):
        arguments(**{name: value})


def test_no_mentions_are_spliced_where_none_are_replaced(arguments):
    with pytest.raises(ConfigError, match="spliced_mentions is of those that are replaced: set replace_mentions"):
        arguments(spliced_mentions=0.5)


def test_muon_goes_with_adamw_only(arguments):
    with pytest.raises(ConfigError, match="optim is sgd: leave it out, Muon goes together with AdamW"):
        arguments(muon_learning_rate=0.02, optim="sgd")


@pytest.mark.slow
def test_workers_see_the_epoch_change(eight, arguments):
    """With worker processes that live on, the labels must still be drawn anew: as without any."""
    losses = []
    for i, workers in enumerate((0, 1)):
        args = arguments(
            output_dir=f"{arguments().output_dir}{i}",
            max_labels=2,
            dataloader_num_workers=workers,
            dataloader_persistent_workers=bool(workers),
        )
        trainer = Trainer(make_model(), args, eight)
        trainer.train()
        losses.append(steps(trainer))
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_muon_learns_and_goes_on_where_it_stopped(eight, arguments, tmp_path):
    common = {"muon_learning_rate": 0.02, "save_strategy": "steps", "save_steps": 4, "max_steps": 8}
    whole = Trainer(make_model(), arguments(output_dir=str(tmp_path / "whole"), **common), eight)
    whole.train()
    assert isinstance(unwrapped(whole.optimizer), CombinedOptimizer)
    resumed = Trainer(make_model(seed=1), arguments(output_dir=str(tmp_path / "whole"), **common), eight)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-4"))
    for one, other in zip(whole.seqgpt.model.parameters(), resumed.seqgpt.model.parameters(), strict=True):
        assert torch.equal(one, other)


def unwrapped(optimizer):
    return getattr(optimizer, "optimizer", optimizer)


def test_mentions_are_replaced_anew_in_every_epoch_if_they_fit(eight):
    training_set = TrainingSet(eight, make_model(), seed=0, augmentation=Augmentation(4), replace_mentions=1.0)
    prompts = set()
    for epoch in range(6):
        training_set.set_epoch(epoch)
        prompts.add(tuple(training_set[2].tree.prompt[:20]))
    assert len(prompts) > 1
    long = {"text": "word " * 240 + "x", "task": "extract", "labels": ["a"], "answer": {"a": ["x"]}}
    other = {"text": "y " * 60, "task": "extract", "labels": ["a"], "answer": {"a": ["y " * 59 + "y"]}}
    examples = [Example.from_dict(long), Example.from_dict(other)]
    model = make_model()
    mixed = TrainingSet(examples, model, seed=0, augmentation=Augmentation(4), replace_mentions=1.0)
    for epoch in range(12):
        mixed.set_epoch(epoch)
        assert mixed[0].tree.longest < model.max_positions


@pytest.mark.slow
def test_models_without_trees_train_as_well(arguments):
    """Where each branch is a row of its own, the loss must fall all the same."""
    windowed = SeqGPT.from_config(
        {**tiny_config("mistral"), "sliding_window": 400, "initializer_range": 0.02}, make_model().tokenizer
    )
    trainer = Trainer(windowed, arguments(max_steps=30, per_device_train_batch_size=8), load_sample("train")[:8])
    trainer.train()
    assert windowed.forward.layout == "rows"
    assert steps(trainer)[-1] < 0.5 * steps(trainer)[0]


@pytest.mark.slow
def test_early_stopping_is_resumed(eight, arguments, tmp_path, monkeypatch):
    """Killed when it had stopped, or with some patience left: the same steps, the same best model."""
    scores = {1: 0.1, 2: 0.9, 3: 0.2, 4: 0.3, 5: 1.0}

    def evaluated(self, *args, **kwargs):
        metrics = {"eval_score": scores[self.state.global_step]}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    monkeypatch.setattr(Trainer, "evaluate", evaluated)
    common = {
        "eval_strategy": "steps",
        "eval_steps": 1,
        "save_strategy": "steps",
        "save_steps": 1,
        "max_steps": 6,
        "load_best_model_at_end": True,
        "save_total_limit": None,
    }

    def trainer(seed=0):
        patience = transformers.EarlyStoppingCallback(early_stopping_patience=2)
        return Trainer(make_model(seed=seed), arguments(**common), eight, eight[:1], callbacks=[patience])

    whole = trainer()
    whole.train()
    assert whole.state.global_step == 4
    for step in (2, 3, 4):
        resumed = trainer(seed=step)
        resumed.train(resume_from_checkpoint=str(tmp_path / "run" / f"checkpoint-{step}"))
        assert resumed.state.global_step == 4
        assert same(weights(whole.seqgpt), weights(resumed.seqgpt))
