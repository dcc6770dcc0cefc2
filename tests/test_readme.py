"""The README is run as it stands, with the model that comes with the library."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_python_blocks_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
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
    assert (tmp_path / "runs" / "mine" / "model.safetensors").is_file()


def test_layout_tree_names_every_file_and_no_other() -> None:
    tree = README.split("## Layout")[1].split("```")[1]
    listed = set(re.findall(r"^ {2,6}([a-z0-9_]+\.py)", tree, flags=re.MULTILINE))
    files = {path.name for path in (ROOT / "seqgpt").rglob("*.py") if not path.name.startswith("_")}
    assert listed == files


def test_commands_exist() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    for target in re.findall(r"make ([a-z]+)", README):
        assert target in targets, f"README names `make {target}`, which is no target"
