"""``seqgpt synthesize`` from the command line."""

import json

import pytest

from seqgpt.cli import main
from tests.synth.local_server import serve

TEXTS = ["Ann Lee met Bob in Basel on Monday.", "张伟在北京大学教书，他是教授。", "The price of oil rose by 3 percent."]


@pytest.fixture
def config(tmp_path, monkeypatch):
    """A config without a URL: ``run(config, f"teacher.url={url}")``."""
    monkeypatch.setattr("seqgpt.synth.run.draw_labels", lambda *_: None)
    (tmp_path / "no_data").mkdir()
    rows = [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in TEXTS]
    (tmp_path / "texts.jsonl").write_text("".join(rows), encoding="utf-8")
    file = tmp_path / "synth.yaml"
    file.write_text(
        f"output_dir: {tmp_path}/out\n"
        f"texts: {{paths: [{tmp_path}/texts.jsonl], data_root: {tmp_path}/no_data}}\n"
        "teacher: {url: 'http://127.0.0.1:9/v1', model: teacher, price: {input: 1, output: 1}}\n"
    )
    return file


@pytest.mark.slow
def test_from_an_estimate_to_a_report(config, tmp_path, capsys):
    with serve() as server:
        command = ["synthesize", str(config), f"teacher.url={server.url}"]
        assert main([*command, "--estimate"]) == 0
        assert "| all | | 9 |" in capsys.readouterr().out
        assert not server.state.asked
        assert main(command) == 0
        report = capsys.readouterr().out
        assert "| all |  | " in report
        assert server.state.asked.total() == 9
    assert main(["synthesize", "report", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out == report
    assert main(["synthesize", "report", str(config)]) == 0
    assert main(["data", "show", str(tmp_path / "out" / "stage1_zh_ner.yaml"), "--data-root", str(tmp_path)]) == 0
    assert "张伟在北京大学教书" in capsys.readouterr().out


def test_batch_files(config, tmp_path, capsys):
    assert main(["synthesize", str(config), "--export", str(tmp_path / "batch.jsonl")]) == 0
    assert capsys.readouterr().out == f"{tmp_path}/batch.jsonl: 6 requests\n"
    (tmp_path / "answers.jsonl").write_text("")
    assert main(["synthesize", str(config), "--import", str(tmp_path / "answers.jsonl")]) == 0


def test_what_is_left_is_told(config, capsys):
    with serve(faults={"500": 1.0}) as server:
        options = [f"teacher.url={server.url}", "teacher.retries=0"]
        assert main(["synthesize", str(config), *options]) == 0
    assert "6 requests failed after all retries (6 status 500): run it again" in capsys.readouterr().err
    with serve() as server:
        assert main(["synthesize", str(config), f"teacher.url={server.url}", "max_cost=0.0015"]) == 0
    assert "stopped before spending more than max_cost, 0.0015" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["CONFIG"], "nobody answers at http://127.0.0.1:9/v1 ("),
        (["CONFIG", "text.limit=1"], "'text.limit=1' sets nothing"),
        (["locale"], "unknown synthesis 'locale'. Did you mean 'local'?"),
        (["none.yaml"], "cannot read none.yaml"),
        (["report"], "report needs the config of a synthesis, or its folder"),
        (["report", "FOLDER"], "is not the folder of a synthesis"),
        (["report", "CONFIG", "--estimate"], "report takes none of --estimate"),
        (["recheck", "trec"], "recipe 'trec' gives no spans"),
        (["recheck", "gliner"], "unknown recipe 'gliner'"),
    ],
)
def test_mistakes_are_told_in_one_sentence(config, tmp_path, capsys, arguments, message):
    places = {"CONFIG": str(config), "FOLDER": str(tmp_path)}
    assert main(["synthesize", *(places.get(one, one) for one in arguments)]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert message in said[-1]
