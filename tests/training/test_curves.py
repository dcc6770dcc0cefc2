"""Curves: a picture of what was logged, whatever the sources are called, of all steps of a resumed run."""

import pytest
from PIL import Image

from seqgpt.training.curves import _of_evaluations, _of_sources, _plain, _smooth, draw_curves


def history(names, steps=20):
    entries = [
        {"step": s, "loss": 1 / s, "learning_rate": 0.1, **{f"loss/{n}": i / s for i, n in enumerate(names)}}
        for s in range(1, steps + 1)
    ]
    return [*entries, {"step": steps, "eval_score": 0.5, "eval_a_offset_f1": 0.5, "eval_a_precision": 0.1}]


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 20])
@pytest.mark.parametrize("names", [[], ["a"], ["人民日报", "$x_1$", "a" * 100], [f"s{i}" for i in range(30)]])
def test_whatever_is_logged_is_drawn(tmp_path, names, steps):
    path = tmp_path / "curves.png"
    draw_curves(history(names, steps), path, title="运行 $1")
    with Image.open(path) as image:
        assert image.size[0] > 1000
        assert len(image.convert("RGB").getcolors(1 << 24)) > 10


def test_nothing_logged_nothing_drawn(tmp_path):
    draw_curves([{"step": 1, "eval_score": 0.1}], tmp_path / "curves.png")
    assert not (tmp_path / "curves.png").exists()


def test_what_is_shown():
    logged = history(["a", "b"])
    assert list(_of_sources(logged)) == ["b", "a"]  # the one with more loss first
    assert _of_sources(logged)["b"] == ([float(s) for s in range(1, 21)], [1 / s for s in range(1, 21)])
    assert list(_of_evaluations(logged)) == ["score", "a_offset_f1"]
    many = {f"eval_{i}_accuracy": 0.1 for i in range(20)} | {"eval_family_NER": 0.2, "eval_score": 0.3}
    assert list(_of_evaluations([{"step": 1, **many}])) == ["score", "NER"]
    assert _smooth([3.0, 3.0, 3.0]) == [3.0, 3.0, 3.0]
    assert _smooth([1.0, 2.0]) == [1.0, 2.0]
    assert _plain("abc é") == "abc é"
