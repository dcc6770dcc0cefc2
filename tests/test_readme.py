"""The README is run as it stands, with a tiny random model in place of the demo's."""

import re
from pathlib import Path

import pytest

from seqgpt.data.sample import load_sample
from seqgpt.model import SeqGPT
from seqgpt.templates.marks import MARKS
from seqgpt.tokenizer import train_tokenizer

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.fixture
def demo_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tokenizer = train_tokenizer([example.text for example in load_sample("train")], 1000, list(MARKS))
    config = {"model_type": "qwen3", "hidden_size": 32, "num_hidden_layers": 2, "intermediate_size": 64}
    model = SeqGPT.from_config(
        {**config, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 512},
        tokenizer,
    )
    # Of everything that so random a model finds likely, follow little.
    monkeypatch.setattr("seqgpt.engine.spans.MAX_PATHS_OF_A_TEXT", 16)
    model.trained = True  # as the one of `make demo`, which predicts without a warning
    model.save_pretrained(tmp_path / "runs" / "demo")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.slow
def test_python_blocks_run(demo_model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, object] = {}
    blocks = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)  # noqa: S102 (our own README)
    printed = capsys.readouterr().out.splitlines()
    shown = re.findall(r"^# ?( ?\S*<\|.*)$", "\n".join(blocks), flags=re.MULTILINE)
    assert len(shown) >= 2
    for line in shown:
        assert line in printed, "a comment in the README shows other output than its block prints"
    assert (demo_model / "runs" / "mine" / "model.safetensors").is_file()


def test_layout_tree_names_every_file_and_no_other() -> None:
    tree = README.split("## Layout")[1].split("```")[1]
    listed = set(re.findall(r"^ {2,6}([a-z0-9_]+\.py)", tree, flags=re.MULTILINE))
    files = {path.name for path in (ROOT / "seqgpt").rglob("*.py") if not path.name.startswith("_")}
    assert listed == files


def test_commands_exist() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for target in re.findall(r"make ([a-z]+)", README):
        assert target in targets, f"README names `make {target}`, which is no target"
