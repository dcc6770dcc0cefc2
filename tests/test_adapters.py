"""LoRA: saved alone, put back exactly, merged on request; the base stays as it is, and no other one is taken for it."""

import copy
import json

import pytest
import torch

from seqgpt.data.sample import load_sample
from seqgpt.engine import int8
from seqgpt.errors import ConfigError, ModelError
from seqgpt.fingerprint import take
from seqgpt.model import SeqGPT
from seqgpt.model_files import build
from seqgpt.tasks import AtomicTask
from seqgpt.templates.marks import MARKS
from seqgpt.tokenizer import train_tokenizer
from tests.alike import assert_alike
from tests.conftest import tiny_config

FAMILIES = ["qwen3", "llama", "gpt2", "gpt_neox", "bloom"]
WHO = AtomicTask.extract(["person", "place"])
TEXT = "Tim Cook visited Shanghai."


@pytest.fixture(scope="session")
def plain_tokenizer():
    """A tokenizer that knows no marks, as those of all models that were not made here."""
    return train_tokenizer([example.text for example in load_sample("train")], 600, [])


@pytest.fixture
def plain(tmp_path, plain_tokenizer):
    """Save a plain causal language model of random weights, and return its folder."""

    def save(model_type, *, tied=True, seed=0, name="base"):
        torch.manual_seed(seed)
        ends = {"bos_token_id": 1, "eos_token_id": 1}
        model = build(tiny_config(model_type) | {"tie_word_embeddings": tied}, vocab_size=len(plain_tokenizer), **ends)
        model.save_pretrained(tmp_path / name)
        plain_tokenizer.save_pretrained(tmp_path / name)
        return tmp_path / name

    return save


@pytest.fixture
def trained(tmp_path, tiny):
    """Save a model that is trained on its template, and return its folder."""
    tiny("qwen3").model.save_pretrained(tmp_path / "trained")  # not save_pretrained of ours: other tests share it
    tiny("qwen3").save_settings(tmp_path / "trained")
    return tmp_path / "trained"


def move(model, seed=0):
    """Stand for training: every weight of the adapter goes elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.adapter.weights:
            weight.add_(0.05 * torch.randn(weight.shape, generator=generator))
    model.trained = True
    return model


def logits(model):
    ids = [model.tokenizer.convert_tokens_to_ids(str(mark)) for mark in MARKS]
    with torch.no_grad():
        return model.model(torch.tensor([[5, 50, *ids, 500, 50]])).logits


def weights(model):
    return {name: weight.clone() for name, weight in model.model.state_dict().items()}


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_there_and_back_with_new_marks(model_type, tied, plain, tmp_path):
    """The vocabulary grows by the marks, whose embeddings are trained: tied, untied, and in every family."""
    model = SeqGPT.from_pretrained(plain(model_type, tied=tied))
    before, base = logits(model), weights(model)
    model.add_lora(r=4, alpha=8)
    assert torch.equal(logits(model), before)
    after = logits(move(model))
    assert (after - before).abs().max() > 0.1
    model.save_pretrained(tmp_path / "adapter")
    names = {file.name for file in (tmp_path / "adapter").iterdir()}
    assert names == {"adapter_config.json", "adapter_model.safetensors", "base_fingerprint.safetensors", "seqgpt.json"}
    assert (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_size < 60_000
    opened = SeqGPT.from_pretrained(tmp_path / "adapter")
    assert torch.equal(logits(opened), after)
    assert opened.trained
    assert_alike(opened.predict(TEXT, WHO), model.predict(TEXT, WHO))
    opened.adapter.remove()
    assert same(weights(opened), base)
    model.merge_adapter()
    assert model.adapter is None
    assert (logits(model) - after).abs().max() < 1e-5 * after.abs().max()
    head = model.model.get_output_embeddings().weight
    assert (model.model.get_input_embeddings().weight is head) == tied
    marks = {model.tokenizer.convert_tokens_to_ids(str(mark)) for mark in MARKS}
    others = [i for i in range(len(model.tokenizer)) if i not in marks]
    table = next(name for name in base if base[name].shape == head.shape)
    assert torch.equal(weights(model)[table][others], base[table][others])
    model.save_pretrained(tmp_path / "merged")
    assert same(weights(SeqGPT.from_pretrained(tmp_path / "merged")), weights(model))


@pytest.mark.slow
@pytest.mark.parametrize("model_type", FAMILIES)
def test_marks_that_are_learnt_already_stay(model_type, tiny, tmp_path):
    model = SeqGPT(copy.deepcopy(tiny(model_type).model), tiny(model_type).tokenizer)
    model.save_pretrained(tmp_path / "base")
    base, outcome = weights(model), model.predict(TEXT, WHO)
    model.add_lora()
    assert model.predict(TEXT, WHO) == outcome
    assert all("lora" in name for name, weight in model.learner.named_parameters() if weight.requires_grad)
    after = logits(move(model))
    model.save_pretrained(tmp_path / "adapter")
    assert torch.equal(logits(SeqGPT.from_pretrained(tmp_path / "adapter")), after)
    model.adapter.remove()
    assert same(weights(model), base)


@pytest.mark.slow
def test_an_adapter_is_put_on_an_open_model_in_place_of_another_one(trained, tmp_path):
    models = [move(SeqGPT.from_pretrained(trained).add_lora(r=r), seed=r) for r in (2, 3)]
    models[0].threshold = 0.25
    for i, model in enumerate(models):
        model.save_pretrained(tmp_path / str(i))
    model = SeqGPT.from_pretrained(trained)
    for i in (0, 1, 0):
        model.load_adapter(tmp_path / str(i))
        assert torch.equal(logits(model), logits(models[i]))
        assert model.threshold == models[i].threshold
        assert model.predict(TEXT, WHO) == models[i].predict(TEXT, WHO)
        assert not model.model.training


@pytest.mark.slow
def test_what_was_computed_before_is_not_computed_after(trained):
    model = SeqGPT.from_pretrained(trained)
    plain = model.predict(TEXT, WHO, threshold=0.0)
    changed = move(model.add_lora()).predict(TEXT, WHO, threshold=0.0)
    assert changed != plain
    assert_alike(model.merge_adapter().predict(TEXT, WHO, threshold=0.0), changed)


@pytest.mark.slow
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("model_type", FAMILIES)
def test_marks_cost_little_and_are_computed_as_peft_does(model_type, tied, plain, monkeypatch):
    folder, found = plain(model_type, tied=tied), []
    for light in (True, False):
        with monkeypatch.context() as patch:
            if not light:
                patch.setattr("seqgpt.trained_tokens.lighten", lambda _: None)
            model = move(SeqGPT.from_pretrained(folder).add_lora(r=2))
        ids = torch.tensor([[3, *range(580, len(model.tokenizer)), 5, len(model.tokenizer) - 1]])
        output = model.model(ids).logits
        output.logsumexp(-1).square().sum().backward()
        found.append([output, *(weight.grad for weight in model.adapter.weights)])
    assert len(found[0]) == len(found[1])
    for mine, theirs in zip(*found, strict=True):
        assert (mine - theirs).abs().max() <= 1e-5 * theirs.abs().max()


def test_only_the_layers_that_are_named(trained):
    model = SeqGPT.from_pretrained(trained).add_lora(target_modules=["q_proj", "v_proj"], seed=3)
    names = [name for name, weight in model.learner.named_parameters() if weight.requires_grad]
    assert names
    assert all("q_proj" in name or "v_proj" in name for name in names)
    again = SeqGPT.from_pretrained(trained).add_lora(target_modules=("q_proj", "v_proj"), seed=3)
    assert same(weights(model), weights(again))


def test_new_weights_leave_the_generators_alone(trained, tmp_path):
    torch.manual_seed(7)
    before = torch.get_rng_state()
    move(SeqGPT.from_pretrained(trained).add_lora()).save_pretrained(tmp_path / "adapter")
    SeqGPT.from_pretrained(tmp_path / "adapter")
    assert torch.equal(torch.get_rng_state(), before)


def test_another_base_is_refused(plain, trained, tmp_path):
    move(SeqGPT.from_pretrained(plain("qwen3")).add_lora()).save_pretrained(tmp_path / "adapter")
    others = plain("qwen3", seed=1, name="seed"), plain("llama", name="llama"), trained
    for other, differs in zip(
        others, ("weight '.*' differs", "only one of them has a weight", "vocabulary differs"), strict=True
    ):
        with pytest.raises(ModelError, match=rf"belongs on another model than this one \(.*{differs}"):
            SeqGPT.from_pretrained(tmp_path / "adapter", base=other)
    changed = SeqGPT.from_pretrained(tmp_path / "base")
    with torch.no_grad():
        for weight in changed.model.parameters():
            weight.mul_(1.001)
    with pytest.raises(ModelError, match=r"put it on the model that was at '.*base' when it was trained"):
        changed.load_adapter(tmp_path / "adapter")
    (tmp_path / "base").rename(tmp_path / "moved")
    with pytest.raises(ModelError, match="there is none now: pass base=, the folder where it is"):
        SeqGPT.from_pretrained(tmp_path / "adapter")
    assert SeqGPT.from_pretrained(tmp_path / "adapter", base=tmp_path / "moved").adapter
    with pytest.raises(ConfigError, match="base is for adapters"):
        SeqGPT.from_pretrained(tmp_path / "moved", base=tmp_path / "seed")


@pytest.mark.slow
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_base_in_another_number_type_is_the_same(dtype, trained, tmp_path):
    adapter = tmp_path / "adapter"
    move(SeqGPT.from_pretrained(trained).add_lora()).save_pretrained(adapter)
    opened = SeqGPT.from_pretrained(adapter, dtype=dtype)
    assert opened.model.dtype == dtype
    assert all(weight.dtype == torch.float32 for weight in opened.adapter.weights)
    assert opened.predict(TEXT, WHO)
    opened.save_pretrained(tmp_path / "again")
    assert SeqGPT.from_pretrained(tmp_path / "again").adapter
    other = SeqGPT.from_pretrained(trained, dtype=dtype)
    with torch.no_grad():
        for weight in other.model.parameters():
            weight.mul_(1.05)
    with pytest.raises(ModelError, match="belongs on another model"):
        other.load_adapter(adapter)


def test_a_few_weights_tell_models_apart(tiny):
    one, other = (take(tiny("qwen3", seed).model, tiny("qwen3").tokenizer) for seed in (0, 1))
    assert one.differs(one) == ""
    assert "weight 'model.embed_tokens.weight' differs" in one.differs(other)
    assert "only one of them has a weight" in one.differs(take(tiny("bloom").model, tiny("bloom").tokenizer))


@pytest.mark.slow
@pytest.mark.parametrize("model_type", FAMILIES)
def test_a_base_of_8_bits(model_type, plain, tmp_path):
    """The adapter stays float32, is saved and opened, and gradients come to all of it through the 8-bit layers."""
    exact = move(SeqGPT.from_pretrained(plain(model_type)).add_lora(r=4))
    exact.save_pretrained(tmp_path / "adapter")
    model = SeqGPT.from_pretrained(tmp_path / "adapter").to_int8()
    assert model.quantized == "int8"
    ids = torch.arange(20)[None]
    gradients = []
    for one in (exact, model):
        one.model(ids).logits.logsumexp(-1).sum().backward()
        gradients.append(torch.cat([weight.grad.flatten() for weight in one.adapter.weights]))
    assert torch.cosine_similarity(*gradients, dim=0) > 0.9
    model.save_pretrained(tmp_path / "again")
    assert torch.equal(logits(SeqGPT.from_pretrained(tmp_path / "again")), logits(exact))
    with pytest.raises(ModelError, match=r"int8 weights take no adapter: open it again, merge_adapter\(\), and then"):
        model.merge_adapter()


def test_gradients_through_8_bits_are_those_of_the_rounded_weights():
    torch.manual_seed(0)
    layer = torch.nn.Linear(6, 5)
    packed = torch.ao.nn.quantized.dynamic.Linear(6, 5)
    packed.set_weight_bias(torch.quantize_per_tensor(layer.weight, 0.01, 0, torch.qint8), layer.bias)
    inputs = torch.randn(3, 6, requires_grad=True)
    (int8.Through(packed)(inputs) * torch.arange(5.0)).sum().backward()
    assert torch.allclose(inputs.grad, (torch.arange(5.0) @ packed.weight().dequantize()).expand(3, 6))


def test_what_cannot_be(tiny, trained, tmp_path):
    model = SeqGPT.from_pretrained(trained)
    with pytest.raises(ModelError, match=r"has no adapter to merge: add_lora\(\) or load_adapter\(folder\) first"):
        model.merge_adapter()
    with pytest.raises(ModelError, match=r"is no adapter: open it with SeqGPT\.from_pretrained"):
        model.load_adapter(trained)
    with pytest.raises(ModelError, match=r"target_modules are \['query'\]: .* but .*k_proj.*q_proj"):
        model.add_lora(target_modules=["query"])
    for wrong, said in (({"r": 0}, "r is 0"), ({"alpha": 0}, "alpha is 0"), ({"dropout": 1}, "dropout is 1")):
        with pytest.raises(ConfigError, match=said):
            model.add_lora(**wrong)
    for names in ("q_proj", []):
        with pytest.raises(ConfigError, match="target_modules is no list of names"):
            model.add_lora(target_modules=names)
    assert model.adapter is None
    model.add_lora(r=2)
    with pytest.raises(ModelError, match=r"has an adapter already: train that one, or merge_adapter\(\) first"):
        model.add_lora()
    model.save_pretrained(tmp_path / "adapter")
    fast = SeqGPT.from_pretrained(trained).to_int8()
    with pytest.raises(ModelError, match=r"open the model again, add_lora\(\), and then to_int8\(\)"):
        fast.add_lora()
    with pytest.raises(ModelError, match=r"open the model again, load_adapter\(\), and then to_int8\(\)"):
        fast.load_adapter(tmp_path / "adapter")
    nowhere = SeqGPT(copy.deepcopy(tiny("llama").model), tiny("llama").tokenizer)
    with pytest.raises(ModelError, match=r"are in no folder, .*: save_pretrained\(folder\) first"):
        nowhere.add_lora()


def test_a_merged_model_is_nowhere_until_it_is_saved(trained, tmp_path):
    model = move(SeqGPT.from_pretrained(trained).add_lora(r=2)).merge_adapter()
    with pytest.raises(ModelError, match="in no folder"):
        model.add_lora()
    model.save_pretrained(tmp_path / "merged")
    move(model.add_lora(r=2)).save_pretrained(tmp_path / "second")
    assert torch.equal(logits(SeqGPT.from_pretrained(tmp_path / "second")), logits(model))


def test_a_folder_holds_an_adapter_or_a_whole_model(trained, tmp_path):
    model = SeqGPT.from_pretrained(trained)
    model.add_lora(r=2)
    move(model)
    with pytest.raises(ModelError, match=r"holds a whole model: save the adapter in a folder of its own"):
        model.save_pretrained(trained)
    model.save_pretrained(tmp_path / "mine")
    model.merge_adapter().save_pretrained(tmp_path / "mine")
    opened = SeqGPT.from_pretrained(tmp_path / "mine")
    assert opened.adapter is None
    assert torch.equal(logits(opened), logits(model))


def test_folders_that_lack_something(trained, tmp_path):
    folder = tmp_path / "adapter"
    SeqGPT.from_pretrained(trained).add_lora(r=2).save_pretrained(folder)

    def without(name):
        other = tmp_path / f"without {name}"
        other.mkdir()
        for file in folder.iterdir():
            if file.name != name:
                (other / file.name).write_bytes(file.read_bytes())
        return other

    with pytest.raises(ModelError, match="an adapter that seqgpt did not save"):
        SeqGPT.from_pretrained(without("seqgpt.json"))
    with pytest.raises(ModelError, match=r"has no weights: copy adapter_model\.safetensors to it"):
        SeqGPT.from_pretrained(without("adapter_model.safetensors"))
    with pytest.raises(ModelError, match="cannot open a model at"):
        SeqGPT.from_pretrained(without("base_fingerprint.safetensors"))
    config = json.loads((folder / "adapter_config.json").read_text())
    (folder / "adapter_config.json").write_text(json.dumps(config | {"r": 3}))
    with pytest.raises(ModelError, match="cannot open a model at"):
        SeqGPT.from_pretrained(folder)
    (folder / "adapter_config.json").write_text(json.dumps(config | {"base_model_name_or_path": None}))
    with pytest.raises(ModelError, match="names no base: pass base="):
        SeqGPT.from_pretrained(folder)
    (folder / "adapter_config.json").write_text("{")
    with pytest.raises(ModelError, match="cannot open a model at"):
        SeqGPT.from_pretrained(folder)


def test_an_adapter_on_the_hub(trained, tmp_path, monkeypatch):
    """The hub is a folder here: what is asked of it is what it would be asked."""
    hub = tmp_path / "hub"
    move(SeqGPT.from_pretrained(trained).add_lora(r=2)).save_pretrained(hub)
    asked = []

    def snapshot(name, *, allow_patterns, revision=None):
        asked.append((name, revision, sorted(allow_patterns)))
        return str(hub)

    monkeypatch.setattr("seqgpt.model_files.get_hf_file_metadata", lambda *_, **__: None)
    monkeypatch.setattr("seqgpt.model_files.hf_hub_download", lambda _, file, **__: str(hub / file))
    monkeypatch.setattr("seqgpt.adapters.snapshot_download", snapshot)
    opened = SeqGPT.from_pretrained("someone/adapter", revision="v2")
    assert torch.equal(logits(opened), logits(SeqGPT.from_pretrained(hub)))
    assert asked == [("someone/adapter", "v2", sorted(file.name for file in hub.iterdir()))]
    assert SeqGPT.from_pretrained(trained).load_adapter("someone/adapter").adapter
    monkeypatch.setattr("seqgpt.adapters.snapshot_download", lambda *_, **__: (_ for _ in ()).throw(OSError("no net")))
    with pytest.raises(ModelError, match=r"cannot open a model at 'someone/adapter' \(no net\)"):
        SeqGPT.from_pretrained("someone/adapter")
