import re
import time

import pytest
from hypothesis import given
from rich.cells import cell_len

from seqgpt.results import Classification, Extraction, Span
from seqgpt.tasks import AtomicTask
from tests.strategies import extractions, quick

TEXT = "<script>alert('x')</script> & Ann\nsaw 上海"
TASK = AtomicTask.extract(["person", "地点", "<b>date</b>"])
FOUND = Extraction.of(
    TEXT,
    TASK,
    [
        Span("person", "Ann", 30, 33, 0.9),
        Span("地点", "上海", 38, 40, 0.5),
        Span("地点", "海", 39, 40, 0.25, "ambiguous"),
    ],
    warnings=("<i>cut</i>.",),
)
TONE = Classification.of(TEXT, AtomicTask.classify(["praise", "抱怨"]), ("praise",), {"praise": 0.75, "抱怨": 0.25})


def test_extraction_in_a_terminal():
    assert str(FOUND) == (
        "<script>alert('x')</script> & Ann\n"
        "saw 上海\n"
        "  person  'Ann'  30:33  0.90\n"
        "  地点    '上海'  38:40  0.50\n"
        "  地点    '海'  39:40  0.25  ambiguous\n"
        "  absent: <b>date</b>\n"
        "  note: <i>cut</i>."
    )


def test_classification_in_a_terminal():
    assert str(TONE) == (
        "<script>alert('x')</script> & Ann\nsaw 上海\n  ✓ praise  0.75 ███████████████\n    抱怨    0.25 █████"
    )
    nothing = Classification.of("x", AtomicTask.classify(["a"], none=True), ())
    bar = "█" * 20
    assert str(nothing) == f"x\n  ✓ (none of these)  1.00 {bar}\n    a                0.00"
    several = Classification.of("x", AtomicTask.classify(["a"], multi_label=True), ())
    assert str(several) == "x\n    a  0.00\n  none of these"


def test_labels_are_padded_by_terminal_cells():
    columns = {cell_len(line.split("0.")[0]) for line in str(TONE).splitlines()[2:]}
    assert len(columns) == 1


def test_colour_stands_exactly_on_the_spans():
    for text in ("a\r\nb Ann", "\x07\x0b\x0c Ann", "İ👨\u200d👩 Ann", "[bold]Ann"):
        start = text.index("Ann")
        result = Extraction.of(text, TASK, [Span("person", "Ann", start, start + 3)])
        coloured = re.findall(r"\x1b\[[0-9;]*m(Ann|person)\s*\x1b\[0m", result.to_terminal())
        assert coloured == ["Ann", "person"]


def test_a_text_cannot_steer_the_terminal():
    text = "a\x1b[2Jb\x9b31mc\x7f\r\b"
    shown = str(Classification.of(text, AtomicTask.classify(["x\x1b[2J\ny"]), ("x\x1b[2J\ny",)))
    assert shown.splitlines()[0] == "a␛[2Jb\ufffd31mc␡␍␈"
    assert "x␛[2J␊y" in shown


@pytest.mark.parametrize("variable", ["FORCE_COLOR", "NO_COLOR", "JUPYTER_COLUMNS", "COLUMNS"])
def test_views_do_not_depend_on_the_environment(monkeypatch, variable):
    plain, coloured = str(FOUND), FOUND.to_terminal()
    monkeypatch.setenv(variable, "10")
    assert (str(FOUND), FOUND.to_terminal()) == (plain, coloured)


def test_html_escapes_text_labels_and_notes():
    page = FOUND._repr_html_()
    assert "<script" not in page
    assert "&lt;script&gt;alert(&#x27;x&#x27;)&lt;/script&gt; &amp; " in page
    assert "absent: &lt;b&gt;date&lt;/b&gt;" in page
    assert "note: &lt;i&gt;cut&lt;/i&gt;." in page
    assert "<br>saw" in page
    assert "<script" not in TONE._repr_html_()
    quoted = AtomicTask.extract(['" onmouseover="x'])
    assert '" onmouseover' not in Extraction.of("a", quoted, [Span(quoted.labels[0], "a", 0, 1)])._repr_html_()


def test_nested_spans_share_their_highlight():
    assert 'title="地点 0.50, 地点 0.25">海</mark><sub>地点, 地点</sub>' in FOUND._repr_html_()


@quick
@given(result=extractions())
def test_html_shows_the_whole_text(result):
    body = result._repr_html_().split("</div>")[0].replace("<br>", "\n")
    words = re.sub(r"<sub>.*?</sub>|<[^>]*>", "", body, flags=re.DOTALL)
    for escaped, plain in {"&lt;": "<", "&gt;": ">", "&quot;": '"', "&#x27;": "'", "&amp;": "&"}.items():
        words = words.replace(escaped, plain)
    assert words == result.text


def test_bars_of_all_labels_in_html():
    assert "width:7.50em" in TONE._repr_html_()
    assert "none of these" in Classification.of("x", AtomicTask.classify(["a"], none=True), ())._repr_html_()


@pytest.mark.slow
def test_views_of_many_spans_and_labels_are_made_at_once():
    text, labels = "ab cd " * 5_000, [f"label {i}" for i in range(10_000)]
    spans = [Span(labels[i], text[2 * i : 2 * i + 4], 2 * i, 2 * i + 4) for i in range(10_000)]
    found = Extraction.of(text, AtomicTask.extract(labels), spans)
    held = Classification.of(text, AtomicTask.classify(labels, multi_label=True), tuple(labels))
    began = time.process_time()
    for result in (found, held):
        assert len(str(result)) > len(text)
        assert len(result._repr_html_()) > len(text)
    assert time.process_time() - began < 10  # about 2; 15 for the spans alone if quadratic
