"""``seqgpt data``: what is printed, and what is said when something is wrong."""

import json

import pytest

from seqgpt.cli import main
from seqgpt.data import list_recipes


@pytest.fixture
def run(capsys):
    def run(*arguments):
        code = main(["data", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.mark.slow
def test_list_shows_every_recipe(run):
    code, out, _ = run("list")
    assert code == 0
    lines = out.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == list_recipes()
    assert lines[-1] == "229 recipes, 310 atomic tasks; 20 recipes held out"


def test_list_may_be_narrowed(run):
    code, out, _ = run("list", "--family", "RE", "--language", "zh")
    assert code == 0
    assert "duie_sample" in out
    assert "semeval" not in out
    assert out.splitlines()[-1].startswith("4 recipes, 8 atomic tasks")
    code, out, err = run("list", "--family", "REL")
    assert (code, out) == (2, "")
    assert "no recipe is of family 'REL': use one of EE, ET" in err


@pytest.mark.shared
def test_show_prints_what_a_model_sees_of_every_task(run, data_root):
    code, out, _ = run("show", "casie", "--n", 2, "--data-root", data_root)
    assert code == 0
    assert out.count("\nprompt: <|text|>") == 6
    for part in ("licence:  unknown", "label:    Ransom → ransom attack | 勒索攻击", "role:     Attacker → attacker"):
        assert part in out
    assert "<|about|> phishing<|about|>" in out
    assert out.index("── casie/train/") < out.index("── casie:type/train/") < out.index("── casie:arguments/train/")
    code, out, _ = run("show", "casie:type", "--n", 1, "--split", "test", "--data-root", data_root)
    assert out.count("prompt: ") == 1
    assert "── casie:type/test/" in out


def test_show_of_the_bundled_examples_and_of_a_file(run, tmp_path):
    code, out, _ = run("show", "sample", "--n", 3)
    assert (code, out.count("prompt: <|text|>")) == (0, 3)
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps({"text": "a", "task": "classify", "labels": ["x", "y"], "answer": ["y"]}) + "\n")
    code, out, _ = run("show", path)
    assert "asked:  x, y\nprompt: <|text|> a<|classify|><|answer|>\nanswer:  y<|end|>" in out


@pytest.mark.slow
@pytest.mark.shared
def test_check_converts_every_row(run, data_root):
    code, out, err = run("check", "trec", "mctest", "--data-root", data_root)
    assert code == 0
    assert "test 500, train 4907, validation 545" in out
    assert "2 tasks: every row converts" in out
    assert "check: 100%" in err


def test_check_says_which_rows_are_wrong(run, tmp_path):
    (tmp_path / "mine").mkdir()
    rows = [{"words": "good", "tone": "up"}, {"words": "", "tone": "up"}, {"words": "bad", "tone": "sideways"}]
    (tmp_path / "mine" / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    recipe = tmp_path / "mine.yaml"
    recipe.write_text(
        "name: mine\nversion: 1\nsource: mine/{split}.jsonl\nschema: text-classification\nfamily: SA\nlanguage: en\n"
        "columns: {text: words, label: tone}\nlabels: {up: praise, down: blame}\nlicence: none\ncitation: none\n"
    )
    code, out, err = run("check", recipe, "--data-root", tmp_path)
    assert code == 2
    assert "train 1" in out
    for part in (
        "not every row converts",
        "2 rows skipped",
        "Recipe 'mine', split 'train', row 1: the text is empty",
        "row 2: class 'sideways' is not among the labels",
    ):
        assert part in err
    (tmp_path / "mine" / "test.jsonl").write_text('{"words": "good"')
    code, _, err = run("check", recipe, "--data-root", tmp_path)
    assert (code, "is not a readable jsonl file" in err) == (2, True)


def test_stats_of_a_mixture(run, tmp_path):
    lines = [{"text": f"text {i}", "task": "classify", "labels": ["x", "y"], "answer": ["y"]} for i in range(6)]
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    mixture = tmp_path / "mixture.yaml"
    mixture.write_text(f"sources: ['{path}']\nexamples: 9\n")
    code, out, _ = run("stats", mixture, "--data-root", tmp_path)
    assert code == 0
    assert "1 sources, 6 examples, 9 in an epoch." in out
    assert "| 1.50 |" in out
    code, _, err = run("stats", tmp_path / "none.yaml")
    assert (code, "cannot read" in err) == (2, True)


def test_check_of_a_jsonl_file(run, tmp_path):
    good = {"text": "a", "task": "classify", "labels": ["x", "y"], "answer": ["y"]}
    path = tmp_path / "mine.jsonl"
    path.write_text(json.dumps(good) + "\n{}\n" + json.dumps(good | {"answer": ["z"]}) + "\n")
    code, _, err = run("check", path)
    assert code == 2
    for part in ("2 rows skipped", "line 2: key 'text' is missing", "line 3: label 'z' is not among"):
        assert part in err
    path.write_text(json.dumps(good) + "\n")
    assert run("check", path)[1].endswith("1 task: every row converts\n")


def test_own_files_may_lie_beside_their_recipe(run, tmp_path, monkeypatch):
    monkeypatch.delenv("SEQGPT_DATA", raising=False)
    (tmp_path / "reviews.train.csv").write_text("words,tone\ngood,up\nbad,down\n")
    recipe = tmp_path / "reviews.yaml"
    recipe.write_text(
        "name: reviews\nversion: 1\nsource: reviews.{split}.csv\nschema: text-classification\nfamily: SA\n"
        "language: en\ncolumns: {text: words, label: tone}\nlabels: {up: praise, down: blame}\n"
    )
    code, out, _ = run("check", recipe)
    assert (code, "train 2" in out) == (0, True)
    (tmp_path / "reviews.train.csv").write_text("words,tone\ngood, but late,up\n")
    assert "line 2 has 3 cells, the header 2" in run("check", recipe)[2]
