"""Syntheses of the bundled examples' texts, asked of a script, or of a server on this machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqgpt.data.sample import load_sample
from seqgpt.synth import SynthConfig, TeacherConfig, TextsConfig, run

Make = Callable[..., SynthConfig]


@pytest.fixture(scope="session")
def texts_file(tmp_path_factory) -> Path:
    """Forty texts, half of them Chinese."""
    texts = dict.fromkeys((example.text, example.language) for example in load_sample("train"))
    found = {language: [text for text, spoken in texts if spoken == language][:20] for language in ("en", "zh")}
    file = tmp_path_factory.mktemp("texts") / "texts.jsonl"
    rows = [{"text": text} for pair in zip(*found.values(), strict=True) for text in pair]
    file.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return file


@pytest.fixture(autouse=True)
def _no_pictures(request, monkeypatch) -> None:
    """Draw nothing, but where it is asked for: it takes most of the time."""
    if "picture" not in request.node.name:
        monkeypatch.setattr(run, "draw_labels", lambda *_: None)


@pytest.fixture
def make(tmp_path, texts_file) -> Make:
    """Make a config: ``make("out", url=server.url, retries=2, label_sets=1)``."""
    (tmp_path / "no_data").mkdir()

    def config(
        name: str = "out", *, url: str = "http://127.0.0.1:9/v1", limit: int | None = None, **options: Any
    ) -> Any:
        of_teacher = {key: options.pop(key) for key in list(options) if key in TeacherConfig.__dataclass_fields__}
        defaults = {"model": "teacher", "backoff_s": 0.001, "concurrency": 8, "timeout_s": 10.0}
        return SynthConfig(
            output_dir=str(tmp_path / name),
            texts=TextsConfig([str(texts_file)], limit=limit, data_root=str(tmp_path / "no_data")),
            teacher=TeacherConfig(**{"url": url, **defaults, **of_teacher}),
            **options,
        )

    return config


def written(folder: str | Path) -> dict[str, str]:
    """Return the recipes, rows and labels that a synthesis wrote, by their paths in its folder."""
    folder = Path(folder)
    files = [path for path in folder.rglob("*") if path.suffix in (".jsonl", ".yaml")]
    left_out = ("records.jsonl", "synthesis.yaml")
    return {
        str(path.relative_to(folder)): path.read_text(encoding="utf-8") for path in files if path.name not in left_out
    }
