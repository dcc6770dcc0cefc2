"""The table of attention layouts by model type, which the documentation shows and a script makes again."""

import runpy
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent.parent
BLOCKS = {"llama", "qwen2", "qwen3", "gpt2", "gpt_neox"}


@pytest.fixture(scope="module")
def rows():
    made = runpy.run_path(str(ROOT / "scripts" / "attention_table.py"))
    return {row[0]: row for row in made["rows"]()}


def test_the_documentation_has_the_table(rows):
    text = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    shown = {line.split(" | ")[0].removeprefix("| "): line for line in text.splitlines() if line.startswith("| ")}
    for name, row in rows.items():
        assert shown[name].startswith(f"| {' | '.join(row[:4])} |")


def test_what_is_known_of_the_types(rows):
    assert {name for name in BLOCKS if rows[name][1:4] == ("tree", "blocks", "flex")} == BLOCKS
    assert rows["bloom"][1:4] == ("tree", "tree", "tree")
    assert rows["gemma2"][1] == "rows"
    assert "window" in rows["gemma2"][4]


@pytest.mark.parametrize("model_type", ["mistral", "phi3", "gemma", "olmo2", "opt"])
def test_types_that_are_tested_over_a_distance_compute_trees_too(rows, model_type):
    assert rows[model_type][1:4] == ("tree", "blocks", "flex")
