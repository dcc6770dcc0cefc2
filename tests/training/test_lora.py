"""Adapters in training: alone in checkpoints, resumed exactly, on a base that stays as it is."""

import dataclasses

import pytest
import torch

from seqgpt import SeqGPT, Trainer, write_jsonl
from seqgpt.cli import main
from seqgpt.errors import ConfigError, ModelError
from seqgpt.runs.config import DataConfig, LoraRun, ModelConfig, RunConfig, load_stages
from seqgpt.runs.run import run_training
from seqgpt.training.environment import ENVIRONMENT_FILE
from seqgpt.training.record import ARGUMENTS_FILE, DATA_FILE
from tests.alike import assert_alike
from tests.training.conftest import StopAt, make_model


@pytest.fixture
def base(tmp_path):
    """Save a tiny model that is not trained, so that marks are trained with the adapter, and return its folder."""

    def save(**config):
        make_model(**config).save_pretrained(tmp_path / "base")
        return tmp_path / "base"

    return save


def weights(model):
    return {name: weight.clone() for name, weight in model.model.state_dict().items()}


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False])
def test_an_adapter_learns_eight_examples_by_heart(tied, base, eight, arguments, tmp_path):
    before = weights(SeqGPT.from_pretrained(base(tie_word_embeddings=tied, initializer_range=0.1)))
    model = SeqGPT.from_pretrained(tmp_path / "base").add_lora(r=16)
    args = arguments(max_steps=60, per_device_train_batch_size=8, learning_rate=1e-2)
    trainer = Trainer(model, args, eight, eight)
    trainer.train()
    assert trainer.evaluate()["eval_score"] >= 0.9
    names = {file.name for file in (tmp_path / "run").iterdir()}
    files = {"adapter_config.json", "adapter_model.safetensors", "base_fingerprint.safetensors", "seqgpt.json"}
    assert {name for name in names if not name.endswith(".md")} == files | {ARGUMENTS_FILE, DATA_FILE, ENVIRONMENT_FILE}
    opened = SeqGPT.from_pretrained(tmp_path / "run")
    assert opened.trained
    assert same(weights(opened), weights(model))
    merged = SeqGPT.from_pretrained(tmp_path / "run").merge_adapter()
    for example in eight:
        expected = model.predict(example.text, example.task)
        assert_alike(opened.predict(example.text, example.task), expected)
        assert_alike(merged.predict(example.text, example.task), expected)
    model.adapter.remove()
    assert same(weights(model), before)


@pytest.mark.slow
@pytest.mark.parametrize("eight_bits", [False, True])
@pytest.mark.parametrize("tied", [True, False])
def test_interrupted_and_resumed_is_uninterrupted(tied, eight_bits, base, eight, arguments, tmp_path):
    """Step 3 is in the middle of an epoch; dropout of the adapter draws at every step."""
    folder = base(tie_word_embeddings=tied)
    common = {"max_steps": 5, "max_labels": 2, "save_strategy": "steps", "save_steps": 100}

    def make(path):
        model = SeqGPT.from_pretrained(path)
        if model.adapter is None:
            model.add_lora(r=4, dropout=0.1)
        return model.to_int8() if eight_bits else model

    def adapter(model):
        return {name: weight.clone() for name, weight in model.learner.named_parameters() if weight.requires_grad}

    whole = make(folder)
    before = adapter(whole)
    Trainer(whole, arguments(output_dir=str(tmp_path / "whole"), **common), eight).train()
    assert not any(torch.equal(weight, before[name]) for name, weight in adapter(whole).items())
    Trainer(make(folder), arguments(**common), eight, callbacks=[StopAt(3)]).train()
    torch.manual_seed(99)  # nothing may depend on what the new process drew before
    checkpoint = tmp_path / "run" / "checkpoint-3"
    assert not (checkpoint / "model.safetensors").exists()
    resumed = make(checkpoint)
    trainer = Trainer(resumed, arguments(**common), eight)
    trainer.train(resume_from_checkpoint=str(checkpoint))
    assert trainer.state.global_step == 5
    assert same(adapter(whole), adapter(resumed))


@pytest.mark.slow
def test_the_best_adapter_is_kept(base, eight, arguments, tmp_path, monkeypatch):
    model = SeqGPT.from_pretrained(base()).add_lora(r=4)
    scores, kept = iter([0.2, 0.9, 0.1, 0.3]), {}

    def evaluated(self, *args, **kwargs):
        metrics = {"eval_score": next(scores)}
        kept[metrics["eval_score"]] = weights(model)
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    monkeypatch.setattr(Trainer, "evaluate", evaluated)
    often = {"eval_strategy": "steps", "eval_steps": 1, "save_strategy": "steps", "save_steps": 1}
    Trainer(model, arguments(**often, load_best_model_at_end=True), eight, eight[:1]).train()
    assert same(weights(model), kept[0.9])
    assert same(weights(SeqGPT.from_pretrained(tmp_path / "run")), kept[0.9])


@pytest.mark.slow
@pytest.mark.parametrize(
    "options",
    [{"activation_checkpointing": True}, {"gradient_accumulation_steps": 2, "per_device_train_batch_size": 2}],
)
def test_what_does_not_change_the_steps(options, base, eight, arguments, tmp_path):
    folder, adapters = base(), []
    for i, given in enumerate(({}, options)):
        model = SeqGPT.from_pretrained(folder).add_lora(r=4)
        args = arguments(output_dir=str(tmp_path / str(i)), optim="sgd", learning_rate=0.1, max_steps=2, **given)
        Trainer(model, args, eight).train()
        adapters.append(torch.cat([weight.detach().flatten() for weight in model.adapter.weights]))
    assert torch.allclose(*adapters, rtol=0.0, atol=1e-5)


@pytest.mark.slow
def test_a_base_of_bfloat16_stays_so(base, eight, arguments, tmp_path):
    folder = base()
    before = weights(SeqGPT.from_pretrained(folder, dtype=torch.bfloat16))
    model = SeqGPT.from_pretrained(folder, dtype=torch.bfloat16).add_lora(r=4)
    Trainer(model, arguments(), eight, eight[:1]).train()
    assert model.model.dtype == torch.bfloat16
    assert all(weight.dtype == torch.float32 for weight in model.adapter.weights)
    assert same(weights(SeqGPT.from_pretrained(tmp_path / "run", dtype=torch.bfloat16)), weights(model))
    model.adapter.remove()
    assert same(weights(model), before)


@pytest.mark.slow
def test_a_second_stage_on_what_the_first_saved(model, eight, arguments, tmp_path):
    """All of the model is trained, then an adapter on it, under another precision, with the same object."""
    Trainer(model, arguments(), eight).train()
    model.add_lora(r=4)
    Trainer(model, arguments(output_dir=str(tmp_path / "second"), bf16=True), eight).train()
    opened = SeqGPT.from_pretrained(tmp_path / "second")
    assert same(weights(opened), weights(model))
    assert_alike(opened.predict(eight[0].text, eight[0].task), model.predict(eight[0].text, eight[0].task))


def test_what_adapters_do_not_go_with(base, eight, arguments):
    model = SeqGPT.from_pretrained(base()).add_lora(r=4)
    with pytest.raises(ConfigError, match="muon_learning_rate is for whole weight matrices"):
        Trainer(model, arguments(muon_learning_rate=0.01), eight)
    with pytest.raises(ModelError, match=r"or call add_lora\(\) before it"):
        Trainer(SeqGPT.from_pretrained(base()).to_int8(), arguments(), eight)


@pytest.fixture
def config(base, eight, tmp_path):
    base()
    write_jsonl(tmp_path / "train.jsonl", eight)
    write_jsonl(tmp_path / "held_out.jsonl", eight[3:5])
    training = {
        "max_steps": 4,
        "use_cpu": True,
        "per_device_train_batch_size": 4,
        "save_strategy": "steps",
        "save_steps": 2,
        "learning_rate": 1e-3,
    }

    def make(output="run", path="base", lora=LoraRun(r=4, dropout=0.1)):  # noqa: B008
        data = DataConfig(train=[str(tmp_path / "train.jsonl")], eval=[str(tmp_path / "held_out.jsonl")])
        return RunConfig(str(tmp_path / output), ModelConfig(path=str(tmp_path / path)), data, training, lora=lora)

    return make


@pytest.mark.slow
@pytest.mark.parametrize("eight_bits", [False, True])
def test_a_killed_run_goes_on_where_it_was(eight_bits, config, kill, tmp_path, capfd):
    wanted = config(lora=LoraRun(r=4, dropout=0.1, quantize="int8" if eight_bits else None))
    whole = run_training(dataclasses.replace(wanted, output_dir=str(tmp_path / "whole")))
    kill(2, lambda: run_training(wanted))
    assert not list((tmp_path / "run" / "checkpoint-2").glob("model*"))
    capfd.readouterr()
    resumed = run_training(wanted)
    assert "going on from" in capfd.readouterr().err
    assert whole.quantized == resumed.quantized == ("int8" if eight_bits else "")
    opened = [weights(SeqGPT.from_pretrained(tmp_path / name)) for name in ("whole", "run")]
    assert same(*opened)
    assert whole.threshold == resumed.threshold == SeqGPT.from_pretrained(tmp_path / "run").threshold


@pytest.mark.slow
def test_an_adapter_is_trained_on(config, tmp_path):
    run_training(config())
    with pytest.raises(ConfigError, match="has an adapter already: leave lora out to train that one"):
        run_training(config(output="second", path="run"))
    first = SeqGPT.from_pretrained(tmp_path / "run")
    second = run_training(config(output="second", path="run", lora=None))
    assert second.adapter
    assert not same(weights(first), weights(second))
    opened = SeqGPT.from_pretrained(tmp_path / "second")
    assert same(weights(opened), weights(second))
    opened.adapter.remove()
    first.adapter.remove()
    assert same(weights(opened), weights(first))


def test_lora_in_a_config(tmp_path):
    eight_bits = "lora: {r: 8, target_modules: [q_proj], quantize: int8}"

    def read(*, model="model: {path: runs/base}", lora=eight_bits, more=""):
        lines = ["output_dir: runs/mine", model, "data: {train: [sample]}", lora, more]
        (tmp_path / "run.yaml").write_text("\n".join(lines), encoding="utf-8")
        return load_stages(tmp_path / "run.yaml")

    (run,) = read()
    assert run.lora == LoraRun(r=8, target_modules=["q_proj"], quantize="int8")
    (tmp_path / "again.yaml").write_text(run.to_yaml(), encoding="utf-8")
    assert load_stages(tmp_path / "again.yaml") == [run]
    assert read(lora="lora: {}")[0].lora == LoraRun()
    assert read(lora="")[0].lora is None
    for wrong, said in (
        ({"model": "model: {config: {model_type: qwen3}}"}, "'lora' needs model.path"),
        ({"lora": "lora: {rank: 3}"}, "unknown key 'lora.rank'"),
        ({"lora": "lora: {r: 0}"}, "lora: r is 0"),
        ({"lora": "lora: {quantize: int4}"}, "lora: quantize is 'int4': give int8 or nf4"),
        ({"lora": "lora: {target_modules: all}"}, "'lora.target_modules' is 'all': give a list of names"),
        ({"lora": "lora: {}", "more": "stages: {one: {}, two: {lora: {r: 2}}}"}, "'stages.two.lora' comes too late"),
    ):
        with pytest.raises(ConfigError, match=said):
            read(**wrong)


def test_stages_after_one_with_an_adapter_train_it_on(tmp_path):
    text = "output_dir: o\nmodel: {path: b}\ndata: {train: [sample]}\nstages: {one: {}, two: {lora: {r: 2}}, three: {}}"
    (tmp_path / "run.yaml").write_text(text, encoding="utf-8")
    assert [stage.lora for stage in load_stages(tmp_path / "run.yaml")] == [None, LoraRun(r=2), None]
    (tmp_path / "run.yaml").write_text(text.replace("stages", "lora: {}\nstages").replace("{lora: {r: 2}}", "{}"))
    assert [stage.lora for stage in load_stages(tmp_path / "run.yaml")] == [LoraRun(), None, None]


@pytest.mark.slow
def test_merge_on_the_command_line(config, eight, tmp_path, capsys):
    model = run_training(config())
    (tmp_path / "base").rename(tmp_path / "moved")
    folders = {"--base": tmp_path / "moved", "--output": tmp_path / "merged"}
    assert main(["merge", str(tmp_path / "run"), *(str(word) for pair in folders.items() for word in pair)]) == 0
    merged = SeqGPT.from_pretrained(tmp_path / "merged")
    assert merged.adapter is None
    for example in eight:
        assert_alike(merged.predict(example.text, example.task), model.predict(example.text, example.task))
    assert main(["merge", str(tmp_path / "moved"), "--output", str(tmp_path / "again")]) == 2
    assert "has no adapter to merge" in capsys.readouterr().err
    assert main(["merge", str(tmp_path / "run"), "--output", str(tmp_path / "moved")]) == 2
    assert "moved' is not empty: name a new folder, or delete it." in capsys.readouterr().err


def test_a_stage_called_custom_trains_an_adapter(tmp_path):
    def read(stages, *overrides, model="model: {path: b}", more=""):
        lines = ["output_dir: o", model, "data: {train: [sample]}", more, f"stages: {{{stages}}}"]
        (tmp_path / "run.yaml").write_text("\n".join(lines), encoding="utf-8")
        return [stage.lora for stage in load_stages(tmp_path / "run.yaml", overrides)]

    assert read("pretrain: {}, custom: {}, more: {}") == [None, LoraRun(), None]
    assert read("finetune: {lora: true}, custom: {}") == [LoraRun(), None]  # that one is trained on
    assert read("custom: {lora: {r: 4}}") == read("custom: {}", more="lora: {r: 4}") == [LoraRun(r=4)]
    assert read("custom: {lora: null}") == [LoraRun()]
    assert read("custom: {lora: false}") == read("custom: {}", more="lora: false") == [None]
    assert read("custom: {}", "lora=false") == read("custom: {}", "stages.custom.lora=false") == [None]
    assert read("custom: {lora: false}, finetune: {lora: {r: 2}}", more="lora: {r: 8}") == [None, LoraRun(r=2)]
    random = "model: {config: {model_type: qwen3}}"
    with pytest.raises(ConfigError, match=r"'lora' needs model.path: .* Say lora: false"):
        read("custom: {}", model=random)
    assert read("custom: {lora: false}", model=random) == [None]
    assert read("pretrain: {}, custom: {}", model=random) == [None, LoraRun()]  # on what the first leaves
    with pytest.raises(ConfigError, match=r"'stages.custom.lora' comes too late"):
        read("finetune: {lora: true}, custom: {lora: false}")
