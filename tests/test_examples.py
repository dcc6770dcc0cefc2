import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.errors import DataError, LabelError
from seqgpt.examples import BadRows, Example, parse_record, read_jsonl, read_records, write_jsonl
from seqgpt.results import Extraction, Span
from seqgpt.tasks import AtomicTask
from tests.strategies import extractions, quick, results, words

EXTRACT = {"text": "Ann met Ann.", "task": "extract", "labels": ["who"], "answer": {"who": ["Ann", "Ann"]}}
CLASSIFY = {"text": "Fine.", "task": "classify", "labels": ["good", "bad"], "answer": ["good"]}
HALF = "\ud83d"


def lines_of(*records):
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


@pytest.fixture
def write(tmp_path):
    def write(content):
        path = tmp_path / "data.jsonl"
        path.write_bytes(content)
        return path

    return write


examples = st.builds(
    Example, results, id=st.one_of(st.just(""), words), family=st.sampled_from(["", "NER"]), language=st.just("zh")
)


@quick
@given(example=examples)
def test_from_dict_undoes_to_dict_through_json(example):
    assert Example.from_dict(json.loads(json.dumps(example.to_dict()))) == example


@quick
@given(gold=extractions(texts=st.text(alphabet="ab", min_size=1, max_size=8)))
def test_what_is_read_from_strings_is_written_back_so_that_it_reads_the_same(gold):
    record = {
        "text": gold.text,
        **gold.task.to_dict(),
        "answer": {k: [s.text for s in gold[k]] for k in gold.task.labels},
    }
    example = Example.from_dict(record)
    assert Example.from_dict(example.to_dict()) == example


@pytest.mark.slow
@quick
@given(some=st.lists(examples, max_size=4))
def test_read_undoes_write(tmp_path_factory, some):
    path = tmp_path_factory.mktemp("jsonl") / "data.jsonl"
    write_jsonl(path, some)
    content = path.read_bytes()
    assert content.count(b"\n") == len(some)
    numbered = [Example(e.gold, e.id or str(i), e.family, e.language) for i, e in enumerate(some, start=1)]
    assert read_jsonl(path) == numbered
    path.write_bytes(content.replace(b"\n", b"\r\n"))
    assert read_jsonl(path) == numbered


def test_an_example_on_disk():
    text = "杰克逊和罗德曼，罗德曼"
    gold = Extraction.of(
        text,
        AtomicTask.extract(["人物", "地点"], name="n"),
        [Span("人物", "杰克逊", 0, 3), Span("人物", "罗德曼", 8, 11, 0.5)],
    )
    assert Example(gold, id="7").to_dict() == {
        "text": text,
        "task": "extract",
        "labels": ["人物", "地点"],
        "answer": {"人物": ["杰克逊", {"text": "罗德曼", "start": 8}]},
        "id": "7",
    }
    assert (Example(gold).text, Example(gold).task) == (gold.text, gold.task)


def test_flags_and_descriptions_are_kept():
    record = {
        "text": "x",
        "task": "classify",
        "labels": {"a": "first", "b": ""},
        "answer": [],
        "multi_label": True,
    }
    assert Example.from_dict(record).to_dict() == record
    assert Example.from_dict(CLASSIFY | {"answer": "good"}).gold.label == "good"
    assert Example.from_dict(CLASSIFY | {"answer": [], "none": True}).gold.abstained


def test_ids_may_be_numbers_or_null():
    assert Example.from_dict(CLASSIFY | {"id": 12, "family": None}) == Example(Example.from_dict(CLASSIFY).gold, "12")


def test_byte_order_mark_blank_lines_and_a_missing_last_line_end(write):
    path = write(b"\xef\xbb\xbf\r\n" + lines_of(EXTRACT) + b"\n  \t\r\n\xef\xbb\xbf" + lines_of(CLASSIFY).rstrip(b"\n"))
    assert [(example.id, example.task.kind) for example in read_jsonl(path)] == [("2", "extract"), ("5", "classify")]
    assert read_jsonl(write(b"\xef\xbb\xbf" + lines_of(EXTRACT)))[0].text == "Ann met Ann."
    assert read_jsonl(write(b"")) == []


def test_line_separators_inside_a_text_are_no_line_ends(write):
    text = "a\u2028b\x85c\x0bd"
    path = write(json.dumps(EXTRACT | {"text": text, "answer": {}}, ensure_ascii=False).encode())
    assert read_jsonl(path)[0].text == text


def row(**changes):
    return json.dumps({key: value for key, value in (EXTRACT | changes).items() if value is not ...}).encode()


def class_row(**changes):
    return json.dumps({key: value for key, value in (CLASSIFY | changes).items() if value is not ...}).encode()


BAD = [
    (b'{"text": "caf\xe9"}', r"byte 13 \(0xe9\) is not UTF-8: save the file as UTF-8"),
    (b'\xef\xbb\xbf{"\xff"}', r"byte 2 \(0xff\) is not UTF-8"),
    (json.dumps(EXTRACT).encode("utf-16"), r"byte 0 \(0xff\) is not UTF-8"),
    (class_row(about=[{"text": "Bob", "start": 2}]), "'Bob', which the task is about, is not in the text at 2"),
    (b"text: hello", r"not JSON at column 1 \(Expecting value\): write one JSON object a line"),
    (b'{"text": ', "not JSON at column 9"),
    (b"[1]", "a line must be a JSON object, not list"),
    (b"[" * 100_000, "nested too deep"),
    (b'{"id": ' + b"1" * 5000 + b"}", "too long a number"),
    (b'{"text": "a", "text": "b"}', "key 'text' is given twice"),
    (b'{"answer": {"who": ["a"], "who": ["b"]}}', "key 'who' is given twice"),
    (row(lables=["x"]), r"unknown key 'lables'\. Did you mean 'labels'\? Known keys: text, task"),
    (row(text=...), "key 'text' is missing: an example needs text, task, labels and answer"),
    (row(task=...), "key 'task' is missing"),
    (row(labels=...), "key 'labels' is missing"),
    (row(answer=...), "key 'answer' is missing"),
    (row(text=""), "the text is empty"),
    (row(text=" \n"), "the text is empty"),
    (row(text=5), "a text must be a string, not int"),
    (row(text="a" + HALF), "half of a surrogate pair at 1"),
    (row(task="ner"), "unknown task 'ner'"),
    (row(task=["extract"]), "unknown task"),
    (row(labels=["who", "who"]), "label 'who' is given twice"),
    (row(labels=[]), "give at least one"),
    (row(labels="who"), "not the string 'who'"),
    (row(labels=5), "must be a list or a dict"),
    (row(labels=None), "must be a list or a dict"),
    (row(labels=[HALF]), "half of a surrogate pair"),
    (row(labels={"who": 5}), "description of 'who' must be a string"),
    (row(multi_label="yes"), "multi_label is 'yes': write true or false"),
    (row(multi_label=True), "leave them out for extraction"),
    (row(answer=["Ann"]), r"must be \{label: \[span, …\]\}"),
    (row(answer=None), r"must be \{label: \[span, …\]\}"),
    (row(answer={"whom": ["Ann"]}), r"Did you mean 'who'\?"),
    (row(answer={"who": ["Bob"]}), "span 'Bob' of 'who' is not in the text"),
    (row(answer={"who": [HALF]}), "is not in the text"),
    (row(answer={"who": [{"text": "Ann", "start": 1}]}), "not in the text at 1:4"),
    (row(answer={"who": [{"text": "Ann", "start": "0"}]}), "give a whole number of characters"),
    (row(answer={"who": ["Ann", "Ann", "Ann"]}), "more often than it stands in the text"),
    (row(answer={"who": "Ann"}), "must be a list"),
    (row(answer={"who": None}), "must be a list"),
    (row(id=[1]), r"id is \[1\]: write it as a string"),
    (row(id=True), "id is True: write it as a string"),
    (row(language=HALF), "language .* has half of a surrogate pair"),
    (class_row(answer=5), "must be a list of labels, not 5"),
    (class_row(answer={"good": []}), "must be a list of labels"),
    (class_row(answer=["fine"]), "label 'fine' is not among"),
    (class_row(answer=[["good"]]), "is not among"),
    (class_row(answer=[]), "a single-label answer needs one label"),
    (class_row(answer=["good", "bad"]), "use multi_label=True"),
]


@pytest.mark.parametrize(("line", "message"), BAD)
def test_a_bad_row_is_reported_with_file_and_line(write, line, message):
    if line.startswith(b"\xff\xfe"):
        line = line.replace(b"\n", b"")
    path = write(lines_of(EXTRACT) + b"\n" + line + b"\n" + lines_of(CLASSIFY))
    with pytest.raises(DataError, match=message) as caught:
        read_jsonl(path)
    assert str(caught.value).startswith(f"{path}, line 3: ")
    assert str(caught.value).endswith(" Fix the row, or skip it (on_bad_row: skip).")


@pytest.mark.parametrize(("line", "message"), BAD)
def test_a_bad_row_is_skipped_and_counted(write, line, message):
    bad_rows = BadRows()
    read = read_jsonl(
        write(lines_of(EXTRACT) + line + b"\n" + lines_of(CLASSIFY)), on_bad_row="skip", bad_rows=bad_rows
    )
    assert ([example.id for example in read], bad_rows.count) == (["1", "3"], 1)
    assert "line 2: " in bad_rows.reasons[0]


def test_bad_rows_remember_the_first_five_reasons(write):
    bad_rows = BadRows()
    read_jsonl(write(b"x\n" * 8), on_bad_row="skip", bad_rows=bad_rows)
    assert (bad_rows.count, len(bad_rows.reasons)) == (8, 5)
    assert str(bad_rows).startswith("8 rows skipped: ")
    assert str(bad_rows).endswith(" … and 3 more")


def test_skipping_needs_a_counter(write):
    with pytest.raises(DataError, match=r"needs bad_rows=BadRows\(\)"):
        read_jsonl(write(b""), on_bad_row="skip")
    with pytest.raises(DataError, match=r"unknown on_bad_row 'skipp'\. Did you mean 'skip'\?"):
        read_jsonl(write(b""), on_bad_row="skipp", bad_rows=BadRows())


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(DataError, match=r"cannot read .*none\.jsonl: No such file or directory\. Check the path"):
        read_jsonl(tmp_path / "none.jsonl")
    with pytest.raises(DataError, match="Is a directory"):
        read_jsonl(tmp_path)
    with pytest.raises(DataError, match="cannot write"):
        write_jsonl(tmp_path / "none" / "data.jsonl", [])


def test_records_are_read_one_by_one(write):
    path = write(lines_of(EXTRACT) + b"x\n" + lines_of(CLASSIFY))
    numbers, records = zip(*read_records(path), strict=True)
    assert numbers == (1, 2, 3)
    assert (records[0], records[2]) == (EXTRACT, CLASSIFY)
    assert isinstance(records[1], DataError)
    next(read_records(Path(path)))  # an unfinished reader leaves no file open: warnings are errors here


def test_parse_record_returns_what_is_wrong():
    assert parse_record(b'{"a": 1}\r\n') == {"a": 1}
    assert isinstance(parse_record(b"{"), DataError)


def test_from_dict_names_the_wrong_label():
    with pytest.raises(LabelError):
        Example.from_dict(EXTRACT | {"answer": {"x": []}})
