"""Suites: what they choose, and what is wrong with them."""

import pytest

from seqgpt.configs import list_configs
from seqgpt.data.recipe import list_recipes, load_recipe
from seqgpt.errors import ConfigError
from seqgpt.evaluation.suites import Suite, load_suite


@pytest.mark.slow
def test_the_shipped_suites_share_all_recipes_out():
    zero_shot = [*load_suite("zero_shot_en").find(), *load_suite("zero_shot_zh").find()]
    in_domain = load_suite("in_domain").find()
    assert sorted(zero_shot) == [name for name in list_recipes() if load_recipe(name).held_out]
    assert len(zero_shot) == 20
    left = set(list_recipes()) - set(in_domain) - set(zero_shot)
    assert all(load_recipe(name).conflicts for name in left)
    assert set(list_configs("suites")) == {"in_domain", "zero_shot_en", "zero_shot_zh"}


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en", "zh"])
def test_zero_shot_suites_are_of_one_language(language):
    suite = load_suite(f"zero_shot_{language}")
    assert {load_recipe(name).language for name in suite.find()} == {language}
    assert suite.limit == 500


@pytest.mark.slow
def test_what_is_chosen():
    assert Suite(["cluener"]).find() == ["cluener"]
    tasks = ["cluener", "cluener:typing"]
    assert Suite(["cluener", "mine.jsonl", "cluener"], tasks="all").find() == [*tasks, "mine.jsonl"]
    assert Suite(["cluener:typing", "sample"], families=["NER"]).find() == ["cluener:typing", "sample"]
    crossner = Suite(["crossner_*"], exclude=["*_politics"]).find()
    assert "crossner_science" in crossner
    assert "crossner_politics" not in crossner
    assert all(load_recipe(name).family == "RE" for name in Suite(families=["RE"], languages=["zh"]).find())


@pytest.mark.parametrize(
    ("suite", "message"),
    [
        (Suite(["cluner"]), "Did you mean 'cluener'"),
        (Suite(["xyz_*"]), "no recipe matches 'xyz_\\*'"),
        (Suite(["trec"], exclude=["cluener"]), "exclude: 'cluener' is none of the sources'"),
        (Suite(["trec"], families=["NER"]), "nothing is left to evaluate on"),
    ],
)
def test_what_chooses_nothing(suite, message):
    with pytest.raises(ConfigError, match=message):
        suite.find()


def test_all_that_is_wrong_with_a_file_is_told(tmp_path):
    path = tmp_path / "mine.yaml"
    path.write_text("sources: [trec]\nfamilies: [NERR]\nlanguages: [de]\nlimt: 5\nheld_out: 3\n", encoding="utf-8")
    with pytest.raises(ConfigError) as error:
        load_suite(path)
    for said in (
        "'NERR' (line 2). Did you mean 'NER'",
        "no recipe is of 'de' (line 3). Use en, zh",
        "Did you mean 'limit'",
        "'held_out' is 3",
    ):
        assert said in str(error.value)
    with pytest.raises(ConfigError, match=r"unknown suite 'zero_shot'. Did you mean 'zero_shot_"):
        load_suite("zero_shot")
    for wrong in ("tasks: some", "limit: 0"):
        path.write_text(wrong, encoding="utf-8")
        with pytest.raises(ConfigError, match=wrong.replace(": ", "'? is '?")):
            load_suite(path)
