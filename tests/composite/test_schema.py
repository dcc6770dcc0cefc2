"""Nested literals: what they mean, what they ask, and the tree of what is found."""

import json

import pytest

from seqgpt import AtomicTask, questions
from seqgpt.composite import Record, schema
from seqgpt.composite.literal import Level, is_literal, read_literal
from seqgpt.errors import LabelError
from seqgpt.results import Span
from tests.composite.fake import Fake

LEAF = Level({})
TEXT = "Ann works for Acme, and Bob for Acme too."
FACTS = {
    ("person",): ["Ann", "Bob"],
    ("Ann", "employer"): ["Acme"],
    ("Acme", "staff"): ["Bob"],
    ("Acme", "big"): (),
    ("calm",): (),
}


@pytest.mark.parametrize(
    ("literal", "asked"),
    [
        ("person", {"person": LEAF}),
        ("情感倾向[正向，负向]", {"情感倾向": ("正向", "负向")}),
        (" mood [ good, bad ] ", {"mood": ("good", "bad")}),
        (["时间", "选手", "胜负[胜,负]"], {"时间": LEAF, "选手": LEAF, "胜负": ("胜", "负")}),
        (("a", "b"), {"a": LEAF, "b": LEAF}),
        ({"person": ["employer"]}, {"person": Level({"employer": LEAF})}),
        ({"person": "employer", "place": []}, {"person": Level({"employer": LEAF}), "place": LEAF}),
        ({"person": None, "place": {}}, {"person": LEAF, "place": LEAF}),
        (
            ["法院", {"原告": "委托代理人"}, {"被告": "委托代理人"}],
            {"法院": LEAF, "原告": Level({"委托代理人": LEAF}), "被告": Level({"委托代理人": LEAF})},
        ),
        (
            {"评价维度": ["观点词", "情感倾向[正向，负向]"]},
            {"评价维度": Level({"观点词": LEAF, "情感倾向": ("正向", "负向")})},
        ),
        ({"a": {"b": {"a": "b"}}}, {"a": Level({"b": Level({"a": Level({"b": LEAF})})})}),
    ],
)
def test_literals(literal, asked):
    level = read_literal(literal)
    assert level == Level(asked)
    assert list(level.asked) == list(asked)


@pytest.mark.parametrize(
    ("literal", "message"),
    [
        ([], "^the schema is empty: give at least one label"),
        ({}, "^the schema is empty"),
        ("", "^a label is empty"),
        (None, "^a schema cannot be None: give a label, a list of labels"),
        (3, "^a schema cannot be 3"),
        ([3], "^3 in a list: give a label"),
        ([["a"]], r"^\['a'\] in a list"),
        ({"a": 3}, "^under 'a': a schema cannot be 3"),
        ({"a": [""]}, "^under 'a': a label is empty"),
        ({"a": ""}, "^under 'a': a label is empty"),
        ({3: ["a"]}, "^a label must be a string, not 3"),
        ("a[b", r"^'a\[b' has a bracket too many or too few"),
        ("a]b", "a bracket too many or too few"),
        ("[b,c]", "a bracket too many or too few"),
        ("a[b]c", "a bracket too many or too few"),
        ("a[b[c]]", "a bracket too many or too few"),
        ("a[]", "^a label is empty"),
        ("a[b,]", "^a label is empty"),
        ("a[b，b]", "^label 'b' is given twice"),
        (["a", "a"], "^label 'a' is given twice"),
        (["a", {"a": ["b"]}], "^label 'a' is given twice"),
        (["a", "a[b,c]"], "^label 'a' is given twice"),
        ({"x": {"y": [""]}}, "^under 'x' > 'y': a label is empty"),
        ({"x": ["a", "a"]}, "^under 'x': label 'a' is given twice"),
        ({"a[b,c]": ["d"]}, "is a choice, about which nothing can be asked: put it in a list"),
        (["urgent[yes,no]", "polite[no,yes]"], "'urgent' and 'polite' have the same options"),
        ("a\ud83d", "half of a surrogate pair"),
    ],
)
def test_what_is_no_literal(literal, message):
    with pytest.raises(LabelError, match=message):
        schema(literal)


def test_literals_that_are_too_deep():
    literal = "a"
    for _ in range(32):
        literal = {"a": literal}
    record = Fake({("a",): ["a"], ("a", "a"): ["a"]}).predict(["a"], schema(literal))[0]
    assert len(list(record.walk())) == 33
    assert Record.from_dict(json.loads(json.dumps(record.to_dict()))) == record
    endless = {}
    endless["a"] = [endless]
    for deep in ({"a": literal}, endless):
        with pytest.raises(LabelError, match="under 'a' > 'a' > 'a': a schema has at most 32 levels"):
            schema(deep)


def test_plain_label_sets_are_no_literals():
    for plain in (["a", "b[c]"], ("a",), {"a": "b"}, {"a": None}, "a", None, {}, [], 3, [3], {"a": AtomicTask}):
        assert not is_literal(plain)
    for nested in ({"a": ["b"]}, {"a": "b", "c": []}, {"a": {}}, ["a", {"b": "c"}], ({"b": "c"},)):
        assert is_literal(nested)


def test_labels_are_those_of_all_levels():
    assert schema({"a": ["b", "c[d,e]"], "b": {"f": "a"}}).labels == ("a", "b", "d", "e", "f")


def test_children_are_asked_about_each_span_level_by_level():
    fake = Fake(FACTS)
    literal = [{"person": {"employer": ["staff", "size[small, big]"]}}, "tone[calm, loud]", "place"]
    (record,) = fake.predict([TEXT], schema(literal))
    ann, bob = Span("person", "Ann", 0, 3, 0.5), Span("person", "Bob", 24, 27, 0.5)
    (acme,) = (item.span for item in record["person"][0]["employer"])
    assert fake.asked == [
        [AtomicTask.extract(["person", "place"]), AtomicTask.classify(["calm", "loud"])],
        [questions.tail_question(ann, ["employer"]), questions.tail_question(bob, ["employer"])],
        [questions.tail_question(acme, ["staff"]), questions.typing_question(acme, ["small", "big"])],
    ]
    assert [item.span for item in record["person"]] == [ann, bob]
    assert list(record.items) == ["person", "tone", "place"]
    assert record["place"] == ()
    (tone,) = record["tone"]
    assert (tone.text, tone.score, tone.span, tone.scores) == ("calm", 0.75, None, {"calm": 0.75, "loud": 0.125})
    assert record["person"][1]["employer"] == ()
    assert [(path, item.text) for path, item in record.walk()] == [
        (("person",), "Ann"),
        (("person", "employer"), "Acme"),
        (("person", "employer", "staff"), "Bob"),
        (("person", "employer", "size"), "big"),
        (("person",), "Bob"),
        (("tone",), "calm"),
    ]


def test_a_level_may_have_choices_only():
    fake = Fake(FACTS)
    (record,) = fake.predict([TEXT], schema({"person": "mood[calm, loud]"}))
    assert [item["mood"][0].text for item in record["person"]] == ["calm", "calm"]
    (record,) = fake.predict([TEXT], schema("tone[loud, calm]"))
    assert record["tone"][0].text == "calm"


def test_deep_literals_of_several_texts_have_one_wave_a_level():
    fake = Fake(FACTS)
    fake.predict([TEXT, "Ann left Acme.", "Nobody."], schema({"person": {"employer": "staff"}}))
    assert [[number for *_, number in wave] for wave in fake.waves] == [[1, 2, 3], [1, 1, 2], [1, 2]]


def test_a_label_that_was_not_asked():
    (record,) = Fake(FACTS).predict([TEXT], schema({"person": ["employer"]}))
    with pytest.raises(LabelError, match=r"'persons' was not asked here. Did you mean 'person'\?"):
        record["persons"]
    with pytest.raises(LabelError, match=r"'x' was not asked here. Nothing was."):
        record["person"][0]["employer"][0]["x"]


def test_a_record_is_shown_as_a_tree():
    literal = [{"person": "employer"}, "tone[calm, loud]", "place"]
    (record,) = Fake(FACTS, ["cut."]).predict([TEXT], schema(literal))
    assert str(record).splitlines() == [
        TEXT,
        "  person  'Ann'  0:3  0.50",
        "    employer  'Acme'  14:18  0.50",
        "  person  'Bob'  24:27  0.50",
        "  tone  'calm'  0.75",
        "  absent: place",
        "  note: cut.",
    ]
    assert "\x1b" in record.to_terminal()
