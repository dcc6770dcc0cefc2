"""Mixtures: which sources, how much of each, in which order; and nothing of what is held out."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset

from seqgpt.data.leaks import HeldOut, held_out_texts
from seqgpt.data.mixture import build_mixture, find_sources, to_table
from seqgpt.data.mixture_config import MixtureConfig, load_mixture_config
from seqgpt.data.recipe import list_recipes, load_recipe
from seqgpt.data.text_index import index_examples, index_texts, text_hash
from seqgpt.errors import ConfigError, DataError
from seqgpt.examples import BadRows, Example
from seqgpt.results import Classification
from seqgpt.tasks import AtomicTask

RECIPE = """\
name: {name}
version: 1
source: {name}/{{split}}.parquet
schema: sequence-labelling
tasks: [extract, typing]
columns: {{tokens: tokens, tags: tags}}
family: NER
language: en
labels: {{PER: person, LOC: place}}
licence: none
citation: none
"""
SIZES = {"big": 60, "small": 10}


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Two recipes of one person and one place a text, and a JSONL file, below one folder."""
    root = tmp_path_factory.mktemp("mixture")
    paths = {"root": root}
    for name, size in SIZES.items():
        (root / name).mkdir()
        rows = {
            "tokens": [["Ann", f"{name}{i}", "Rome"] for i in range(size)],
            "tags": [["B-PER", "O", "B-LOC"]] * size,
        }
        Dataset.from_dict(rows).to_parquet(root / name / "train.parquet")
        paths[name] = root / f"{name}.yaml"
        paths[name].write_text(RECIPE.format(name=name))
    paths["lines"] = root / "mine.jsonl"
    lines = [{"text": f"line {i}", "task": "classify", "labels": ["a", "b"], "answer": ["a"]} for i in range(5)]
    paths["lines"].write_text("".join(json.dumps(line) + "\n" for line in lines))
    return paths


def mixture(sources, *names, **options):
    config = MixtureConfig(sources=[str(sources[name]) for name in names], **options)
    return build_mixture(config, data_root=sources["root"])


def test_a_recipe_gives_all_its_tasks_and_a_task_gives_itself(sources):
    big = str(sources["big"])
    assert find_sources(MixtureConfig(sources=[big])) == [big, f"{big}:typing"]
    assert find_sources(MixtureConfig(sources=[f"{big}:typing"])) == [f"{big}:typing"]
    counted = {member.path: len(member.kept) for member in mixture(sources, "big", "small", "lines").members}
    assert counted == {
        ("en", "NER", "big", "extract"): 60,
        ("en", "NER", "big", "typing"): 120,
        ("en", "NER", "small", "extract"): 10,
        ("en", "NER", "small", "typing"): 20,
        ("", "", str(sources["lines"]), ""): 5,
    }


def test_the_order_is_a_function_of_seed_and_epoch(sources):
    one, other = (mixture(sources, "big", "small", "lines", examples=50) for _ in range(2))
    draws = {(seed, epoch): one.draws(seed, epoch) for seed in (0, 1) for epoch in (0, 1, 7)}
    assert len({tuple(d.example) for d in draws.values()}) == len(draws)
    for (seed, epoch), found in draws.items():
        again = other.draws(seed, epoch)
        assert (found.member == again.member).all()
        assert (found.example == again.example).all()
        assert (found.epoch == again.epoch).all()


def test_an_epoch_has_what_its_members_give_and_all_examples_come_before_one_comes_again(sources):
    mixed = mixture(sources, "big", "small", examples=90)
    seen = [[] for _ in mixed.members]
    for epoch in range(6):
        draws = mixed.draws(3, epoch)
        assert np.bincount(draws.member, minlength=len(mixed.members)).tolist() == [m.count for m in mixed.members]
        for number in range(len(mixed.members)):
            here = draws.member == number
            seen[number] += sorted(zip(draws.epoch[here].tolist(), draws.example[here].tolist(), strict=True))
    for member, times in zip(mixed.members, seen, strict=True):
        assert len(set(times)) == len(times)
        whole = len(times) // len(member.kept)
        for one in range(whole):
            assert sorted(example for epoch, example in times if epoch == one) == member.kept.tolist()


def test_texts_are_mixed_and_tasks_on_one_text_come_together(sources):
    mixed = mixture(sources, "big", "small", examples=90)
    draws = mixed.draws(0, 0)
    members = [mixed.members[number] for number in draws.member]
    drawn = zip(members, draws.example, draws.epoch, strict=True)
    texts = [(int(one.texts[example]), times) for one, example, times in drawn]  # what comes again comes elsewhere
    runs = [list(run) for _, run in itertools.groupby(zip(texts, members, strict=True), key=lambda one: one[0])]
    assert len(runs) == len(set(texts))
    assert sum(len({member.path for _, member in run}) > 1 for run in runs) > len(runs) / 4
    recipes = [run[0][1].path[2] for run in runs]
    assert sum(one != other for one, other in itertools.pairwise(recipes)) > 10


def test_methods_and_choices(sources):
    big, small = str(sources["big"]), str(sources["small"])
    even = mixture(sources, "big", "small", examples=40)
    assert [member.count for member in even.members] == [10, 10, 10, 10]
    by_size = mixture(sources, "big", "small", examples=21, method="proportional")
    assert [member.count for member in by_size.members] == [6, 12, 1, 2]
    weights = {big: 1.0, f"{small}:typing": 3.0}
    weighed = mixture(sources, "big", "small", examples=40, method="weights", weights=weights)
    assert {member.source: member.count for member in weighed.members} == {big: 10, f"{small}:typing": 30}
    assert find_sources(MixtureConfig(sources=[big, small], exclude=["*:typing", small])) == [big]
    with pytest.raises(ConfigError, match="no sources left"):
        find_sources(MixtureConfig(sources=[big], exclude=["*"]))
    with pytest.raises(ConfigError, match="no recipe matches 'nothing_\\*'"):
        find_sources(MixtureConfig(sources=["nothing_*"]))


@pytest.mark.slow
@pytest.mark.parametrize("options", [{"method": "cap", "cap": 2000}, {"method": "unimax", "max_epochs": 100}])
def test_bytes_are_shared_instead_of_examples(options, tmp_path):
    lengths = {"short": 10, "long": 100, "chinese": 100}
    for name, length in lengths.items():
        text = "长" * (length // 3) + "x" if name == "chinese" else "x" * length
        line = {"text": text, "task": "classify", "labels": ["a", "b"], "answer": ["a"]}
        (tmp_path / f"{name}.jsonl").write_text((json.dumps(line) + "\n") * (2000 // length))
    for name in lengths:  # each in a mixture with another, so that languages and families have no share
        sources = [str(tmp_path / f"{one}.jsonl") for one in {name, "short"}]
        mixed = build_mixture(MixtureConfig(sources=sources, text_bytes=1000 * len(sources), **options))
        assert {member.count * lengths[Path(member.source).stem] for member in mixed.members} == {1000}


@pytest.mark.slow
def test_patterns_pass_over_what_is_held_out_and_names_do_not():
    found = {source.partition(":")[0] for source in find_sources(MixtureConfig())}
    recipes = {name: load_recipe(name) for name in list_recipes()}
    assert found == {name for name, one in recipes.items() if not one.held_out and not one.conflicts and one.checked}
    with pytest.raises(ConfigError, match="sources: recipe 'rte' is held out"):
        find_sources(MixtureConfig(sources=["trec", "rte"]))
    with pytest.raises(ConfigError, match="recipe 'sim_r_restaurant_slots' is too much like mit_restaurant"):
        find_sources(MixtureConfig(sources=["sim_r_restaurant_slots"]))
    zh_ner = {load_recipe(s.partition(":")[0]) for s in find_sources(MixtureConfig(families=["NER"], languages=["zh"]))}
    assert {(one.family, one.language) for one in zh_ner} == {("NER", "zh")}
    assert not any(load_recipe(s.partition(":")[0]).synthetic for s in find_sources(MixtureConfig(synthetic=False)))


def test_texts_of_held_out_tests_are_left_out_and_counted(sources):
    """A held-out recipe whose test has three texts of another one, written otherwise."""
    root = sources["root"]
    (root / "kept").mkdir(exist_ok=True)
    rows = {"tokens": [["ANN", f"big{i}", ",", "Rome", "!"] for i in range(3)], "tags": [["O"] * 5] * 3}
    Dataset.from_dict(rows).to_parquet(root / "kept" / "test.parquet")
    (root / "kept.yaml").write_text(RECIPE.format(name="kept") + "held_out: true\n")
    (root / "gone.yaml").write_text(RECIPE.format(name="gone") + "held_out: true\n")
    recipes = [load_recipe(root / f"{name}.yaml") for name in ("kept", "gone", "big")]
    held_out = held_out_texts(root, recipes)
    assert (held_out.recipes, held_out.unread) == (("kept",), ("gone",))
    index = index_texts(recipes[2], "extract", "train", data_root=root)
    assert held_out.holds(index).nonzero()[0].tolist() == [0, 1, 2]
    typing = index_texts(recipes[2], "typing", "train", data_root=root)
    assert held_out.holds(typing).sum() == 6


@pytest.mark.slow
@pytest.mark.shared
def test_real_leaks_are_dropped(data_root):
    config = MixtureConfig(sources=["wikigold", "trec", "conll04_ner"])
    mixed = build_mixture(config, data_root=data_root)
    assert len(mixed.held_out.recipes) == 20
    assert not mixed.held_out.unread
    leaked = {member.source: member.leaked for member in mixed.members}
    assert leaked == {"conll04_ner": 1, "conll04_ner:typing": 3, "trec": 0, "wikigold": 1, "wikigold:typing": 0}
    tests = {
        text_hash(example.text)
        for name in mixed.held_out.recipes
        for example in load_recipe(name).examples("test", data_root=data_root)
    }
    for member in mixed.members:
        name, _, task = member.source.partition(":")
        examples = load_recipe(name).examples("train", task=task or None, data_root=data_root)
        assert all(text_hash(examples[i].text) not in tests for i in member.kept)


def test_the_table_says_what_is_in_and_what_is_out(sources):
    table = to_table(mixture(sources, "big", "small", "lines", examples=90))
    assert table.count("\n| ") == 5
    assert "5 sources, 215 examples, 90 in an epoch." in table
    assert "| 1.00 |" in table
    assert "Not guarded" in table  # the data root has none of the held-out sets


def test_an_index_is_computed_once_and_again_when_rows_change(sources, monkeypatch):
    root = sources["root"]
    small = load_recipe(sources["small"])
    first = index_texts(small, "extract", "train", data_root=root)
    monkeypatch.setattr(type(small), "examples", lambda *_, **__: pytest.fail("computed again"))
    assert (index_texts(small, "extract", "train", data_root=root).hashes == first.hashes).all()
    monkeypatch.undo()
    other = root / "changed"
    (other / "small").mkdir(parents=True)
    Dataset.from_dict({"tokens": [["a"]], "tags": [["O"]]}).to_parquet(other / "small" / "train.parquet")
    assert len(index_texts(small, "extract", "train", data_root=other)) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"method": "unimx"}, "unknown method 'unimx'. Did you mean 'unimax'?"),
        ({"examples": 2, "text_bytes": 2}, "two ways to say how long an epoch is: give one of them"),
        ({"examples": 0}, "examples is 0: give a number above 0"),
        ({"weights": {"trec": 1}}, "weights and method: weights belong together"),
        ({"method": "weights"}, "weights and method: weights belong together"),
        ({"method": "weights", "weights": {"trec": "heavy"}}, "the weight of 'trec' is 'heavy': give a number above 0"),
        ({"method": "weights", "weights": {"trec": -1}}, "the weight of 'trec' is -1"),
        ({"max_epochs": float("inf")}, "max_epochs is inf: give a number above 0"),
        ({"temperature": 0.001}, "temperature is 0.001: give 1"),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ConfigError) as raised:
        MixtureConfig(**options)
    assert message in str(raised.value)


def test_mixtures_from_yaml(tmp_path):
    shipped = load_mixture_config("everything")
    assert (shipped.method, shipped.sources) == ("unimax", ["*"])
    path = tmp_path / "mixture.yaml"
    path.write_text("sources: [trec]\nexamples: 7\n")
    assert load_mixture_config(path) == MixtureConfig(sources=["trec"], examples=7)
    path.write_text("output_dir: x\nmixture: {sources: [trec], cap: 3}\n")
    assert load_mixture_config(path) == MixtureConfig(sources=["trec"], cap=3)
    path.write_text("surces: [trec]\nexamples: many\nmethod: cups\noutput_dir: x\n")
    with pytest.raises(ConfigError) as raised:
        load_mixture_config(path)
    for part in (
        "Did you mean 'sources'?",
        "'examples' is 'many'",
        "'method' is 'cups'",
        "'output_dir' belongs to a run",
    ):
        assert part in str(raised.value)
    with pytest.raises(ConfigError, match=r"unknown mixture 'everythin'\. Did you mean 'everything'"):
        load_mixture_config("everythin")


def test_a_source_that_cannot_be_read_is_named(sources, tmp_path):
    alone = tmp_path / "big.yaml"
    alone.write_text(sources["big"].read_text())
    with pytest.raises(DataError, match=r"source '.*big.yaml': no file"):
        build_mixture(MixtureConfig(sources=[str(alone)]), data_root=tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"languages": ["zh"]}, "languages: 'zh' is none of the sources'"),
        ({"families": ["NRE"]}, "families: 'NRE' is none of the sources'. Did you mean 'NER'?"),
        ({"exclude": ["cluenre"]}, "exclude: 'cluenre' is none of the sources'. Did you mean 'cluener'?"),
        ({"method": "weights", "weights": {"cluenr": 1}}, "weights: 'cluenr' is none of the sources'. Did you mean"),
    ],
)
def test_a_choice_that_chooses_nothing_is_misspelt(options, message):
    with pytest.raises(ConfigError) as raised:
        find_sources(
            MixtureConfig(sources=["cluener", "wnut_17"] if "languages" not in options else ["trec"], **options)
        )
    assert message in str(raised.value)


def test_the_same_data_is_named_once(sources, tmp_path):
    big = str(sources["big"])
    assert find_sources(MixtureConfig(sources=[big, f"{big}:extract"])) == [big, f"{big}:typing"]
    (tmp_path / "other.yaml").write_text(sources["big"].read_text())
    config = MixtureConfig(sources=[f"{big}:typing", f"{tmp_path / 'other.yaml'}:typing"])
    with pytest.raises(ConfigError, match="are the same data: name it once"):
        build_mixture(config, data_root=sources["root"])


def test_an_epoch_without_examples_is_refused(sources):
    with pytest.raises(ConfigError, match="has no examples: give more examples"):
        mixture(sources, "small", max_epochs=0.01)


def test_draws_do_not_depend_on_where_a_file_lies(sources, tmp_path):
    copy = tmp_path / sources["lines"].name
    copy.write_text(sources["lines"].read_text())
    here = mixture(sources, "lines", examples=3).draws(0, 0)
    there = build_mixture(MixtureConfig(sources=[str(copy)], examples=3), data_root=tmp_path).draws(0, 0)
    assert here.example.tolist() == there.example.tolist()


def test_files_say_their_language_and_family(tmp_path):
    path = tmp_path / "mine.jsonl"
    line = {"text": "a", "task": "classify", "labels": ["x", "y"], "answer": ["x"], "language": "zh", "family": "TC"}
    path.write_text(json.dumps(line) + "\n")
    (member,) = build_mixture(MixtureConfig(sources=[str(path)]), data_root=tmp_path).members
    assert member.path == ("zh", "TC", str(path), "")


def test_what_a_text_is_read_with_is_guarded_too():
    held, other = "A man is sleeping in his bed.", "Nobody is awake in this house."
    about = AtomicTask.classify(["yes", "no"], about=[held, "Ann"])
    examples = [
        Example(Classification.of(text, task, ("yes",)))
        for text, task in ((other, about), (other, AtomicTask.classify(["yes", "no"])), ("Ann", about), (held, about))
    ]
    index = index_examples(examples, BadRows())
    guard = HeldOut(np.array([text_hash(held.upper())], dtype=np.uint64), (), ())
    assert guard.holds(index).tolist() == [True, False, True, True]
    assert len(index.beside) == 3  # a name is no text


def test_a_damaged_index_is_told(sources, monkeypatch, tmp_path):
    monkeypatch.setenv("SEQGPT_CACHE", str(tmp_path))
    small = load_recipe(sources["small"])
    index_texts(small, "extract", "train", data_root=sources["root"])
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(DataError, match=r"is damaged .*: delete it, it is computed again"):
        index_texts(small, "extract", "train", data_root=sources["root"])
