"""The released model's template: written character by character, read forgivingly, and never silently wrong."""

from collections import Counter

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from seqgpt.errors import GroundingError, LabelError
from seqgpt.rendered import is_mark
from seqgpt.results import Extraction
from seqgpt.tasks import AtomicTask
from seqgpt.templates.released import GEN
from tests.strategies import classifications, extractions, quick, texts, words

NAME = "seqgpt-560m"
TEXT = "Tim Cook visited Shanghai; Tim Cook likes it."
TASK = AtomicTask.extract(["person", "place"])
TONE = AtomicTask.classify(["praise", "complaint"])
TOPICS = AtomicTask.classify(["sport", "food, drink", "war; peace"], multi_label=True)


def parse(answer, text=TEXT, task=TASK):
    return task.parse(answer, text, template=NAME)


def found(result):
    return [(span.label, span.text, span.start, span.status) for span in result.spans]


def test_prompt_of_an_extraction():
    prompt = AtomicTask.extract(["人物", "地点"]).prompt("杰克逊去了上海。", template=NAME)
    assert prompt == "输入: 杰克逊去了上海。\n抽取: 人物，地点\n输出: [GEN]"
    assert prompt.pieces == ("输入: 杰克逊去了上海。\n抽取: 人物，地点\n输出: ", GEN)


def test_prompt_of_a_classification_of_english_text():
    assert TONE.prompt("Fine.", template=NAME) == "输入: Fine.\n分类: praise，complaint\n输出: [GEN]"


def test_pairs_events_and_questions_are_just_text_and_labels():
    pair = AtomicTask.classify(["蕴含", "矛盾", "中立"]).prompt("他在跑步\t他在动", template=NAME)
    assert pair == "输入: 他在跑步\t他在动\n分类: 蕴含，矛盾，中立\n输出: [GEN]"
    event = AtomicTask.extract(["事件地震的时间"]).prompt("昨天地震了", template=NAME)
    assert event == "输入: 昨天地震了\n抽取: 事件地震的时间\n输出: [GEN]"


def test_answer_of_an_extraction():
    answer = TASK.answer({"person": ["Tim Cook", {"text": "Tim Cook", "start": 27}]}, TEXT, template=NAME)
    assert answer == "person: Tim Cook\tTim Cook\nplace: None\n"
    assert TASK.answer({"place": ["Shanghai"]}, template=NAME) == "person: None\nplace: Shanghai\n"


def test_answer_of_a_classification():
    assert TONE.answer("praise", template=NAME) == "praise"
    assert TOPICS.answer(["war; peace", "food, drink"], template=NAME) == "food, drink，war; peace"
    assert AtomicTask.classify(["a"], none=True).answer([], template=NAME) == "None"


@quick
@given(text=texts, label=words)
def test_only_gen_is_structure(text, label):
    try:
        pieces = AtomicTask.extract([label]).prompt(text, template=NAME).pieces
    except LabelError:
        return
    assert pieces == (f"输入: {text}\n抽取: {label}\n输出: ", GEN)
    assert [is_mark(piece) for piece in pieces] == [False, True]


@pytest.mark.slow
@quick
@given(gold=extractions(texts=st.text(alphabet="ab;: \t", min_size=1, max_size=9).filter(str.strip)))
def test_what_is_written_is_read_back_as_far_as_it_can_be_told(gold):
    check_written_is_read(gold)


@quick
@given(gold=extractions())
def test_what_is_written_is_read_back_for_any_text(gold):
    check_written_is_read(gold)


def check_written_is_read(gold):
    task = AtomicTask.extract(gold.task.labels)
    gold = Extraction.of(gold.text, task, gold.spans)
    try:
        answer = task.answer(gold, gold.text, template=NAME)
    except (LabelError, GroundingError):
        reject()
    result = task.parse(answer, gold.text, template=NAME)
    assert not result.warnings
    assert Counter((s.label, s.text) for s in result.spans) == Counter((s.label, s.text) for s in gold.spans)
    for label in task.labels:
        if all(span.status == "exact" for span in result[label]):
            assert result[label] == gold[label]


@pytest.mark.slow
@quick
@given(gold=classifications())
def test_written_classes_are_read_back(gold):
    task = AtomicTask.classify(gold.task.labels, multi_label=gold.task.multi_label, none=gold.task.none)
    try:
        answer = task.answer(gold.labels, gold.text, template=NAME)
    except LabelError:
        reject()
    result = task.parse(answer, gold.text, template=NAME)
    assert (result.labels, result.warnings) == (gold.labels, ())


@pytest.mark.parametrize(
    "answer",
    [
        "person: Tim Cook\tTim Cook\nplace: Shanghai\n",
        "person: Tim Cook\tTim Cook\nplace: Shanghai",
        "place: Shanghai\nperson: Tim Cook\tTim Cook",
        "person: Tim Cook\tTim Cook;place: Shanghai;",
        "person: Tim Cook\tTim Cook；place: Shanghai；\n",
        "person: Tim Cook; Tim Cook; place: Shanghai",
        "person：Tim Cook\tTim Cook\nplace：Shanghai",
        "  person :  Tim Cook \t Tim Cook \r\n\n place : Shanghai \r\n",
        "person: Tim Cook\nperson: Tim Cook\nplace: Shanghai\tNone",
    ],
)
def test_lenient_reading(answer):
    result = parse(answer)
    assert found(result) == [
        ("person", "Tim Cook", 0, "exact"),
        ("person", "Tim Cook", 27, "exact"),
        ("place", "Shanghai", 17, "exact"),
    ]
    assert result.warnings == ()
    assert result.raw == answer


def test_spans_out_of_text_order_are_sorted():
    result = parse("person: Cook\tTim\nplace: None", "Tim Cook")
    assert found(result) == [("person", "Tim", 0, "exact"), ("person", "Cook", 4, "exact")]


def test_repeated_strings_that_are_mentioned_less_often_are_ambiguous():
    assert found(parse("person: Tim Cook\nplace: None")) == [("person", "Tim Cook", 0, "ambiguous")]


def test_strings_that_are_not_in_the_text_are_warned_of():
    result = parse("person: Tim Cook\tBob\nplace: Beijing")
    assert result.absent == ("place",)
    assert result.warnings == (
        "the model answered 'Bob' for 'person', which is not in the text.",
        "the model answered 'Beijing' for 'place', which is not in the text.",
    )


def test_a_string_named_too_often_is_warned_of_once():
    result = parse("person: None\nplace: Shanghai\tShanghai\tShanghai")
    assert found(result) == [("place", "Shanghai", 17, "exact")]
    assert result.warnings == ("the model answered 'Shanghai' for 'place', more often than it stands in the text.",)


def test_a_line_of_an_unknown_label_is_warned_of():
    result = parse("person: None\nplace: None\ncompany: Tim Cook")
    assert result.warnings == ("the model answered 'company: Tim Cook', which is none of the labels.",)


def test_a_label_that_is_not_answered_is_absent_with_a_warning():
    result = parse("person: Tim Cook\tTim Cook")
    assert result.absent == ("place",)
    assert result.warnings == ("the model did not answer 'place': it is taken as absent.",)
    assert len(parse("").warnings) == 2


@pytest.mark.parametrize("answer", ["Shanghai", "Shanghai\n", "Shanghai;", "Where?: Shanghai", "where to: Shanghai"])
def test_one_label_may_be_left_out(answer):
    task = AtomicTask.extract(["Where?" if "?" in answer else "where to"])
    assert found(parse(answer, task=task)) == [(task.labels[0], "Shanghai", 17, "exact")]


def test_one_label_left_out_and_a_colon_in_the_answer():
    task = AtomicTask.extract(["When does it start?"])
    assert found(parse("Start: 5 pm", "Start: 5 pm. End: 6 pm.", task))[0][1] == "Start: 5 pm"
    assert parse("End: 7 pm", "Start: 5 pm. End: 6 pm.", task).warnings == (
        "the model answered 'End: 7 pm', which is none of the labels.",
        "the model did not answer 'When does it start?': it is taken as absent.",
    )
    assert parse("None", TEXT, task).warnings == ()


def test_a_semicolon_that_is_in_the_text_is_no_end():
    result = parse("person: None\nplace: Shanghai; Tim", TEXT)
    assert found(result) == [("place", "Shanghai; Tim", 17, "exact")]


def test_a_label_that_begins_another_does_not_take_its_line():
    task = AtomicTask.extract(["人", "人名"])
    assert found(parse("人名: 张三\n人: None", "张三", task)) == [("人名", "张三", 0, "exact")]


@pytest.mark.parametrize(
    ("answer", "task", "labels"),
    [
        ("praise", TONE, ("praise",)),
        (" praise \n", TONE, ("praise",)),
        ("praise;", TONE, ("praise",)),
        ("sport，food, drink", TOPICS, ("sport", "food, drink")),
        ("war; peace;", TOPICS, ("war; peace",)),
        ("sport；", TOPICS, ("sport",)),
        ("None", TOPICS, ()),
        ("", TOPICS, ()),
        ("b, a", AtomicTask.classify(["a", "b"], multi_label=True), ("a", "b")),
        ("b\ta\n", AtomicTask.classify(["a", "b"], multi_label=True), ("a", "b")),
        ("None", AtomicTask.classify(["a"], none=True), ()),
    ],
)
def test_classes_are_read_leniently(answer, task, labels):
    result = parse(answer, task=task)
    assert (result.labels, result.warnings, result.abstained) == (labels, (), not labels)


def test_odd_classes_are_warned_of():
    result = parse("complaint，praise，joy", task=TONE)
    assert result.labels == ("complaint",)
    assert result.warnings == (
        "the model answered 'joy', which is none of the labels.",
        "the model named 2 labels where one was asked: the first is kept.",
    )
    assert parse("None", task=TONE).warnings == ("the model named no label where one was asked.",)


@pytest.mark.parametrize("label", ["a，b", "a\tb", "a\nb", "a\r\nb", " a", "a ", "None", "\u3000a"])
@pytest.mark.parametrize("make", [AtomicTask.extract, AtomicTask.classify])
def test_labels_that_it_cannot_write_are_refused(make, label):
    task = make([label, "other"])
    with pytest.raises(LabelError, match="cannot write the label"):
        task.prompt(TEXT, template=NAME)
    with pytest.raises(LabelError, match="use the default template"):
        task.answer({} if task.kind == "extract" else [label], template=NAME)
    assert task.prompt(TEXT)


def test_descriptions_are_refused():
    with pytest.raises(LabelError, match="no place for descriptions"):
        AtomicTask.extract({"person": "a human being"}).prompt(TEXT, template=NAME)


@pytest.mark.parametrize("span", ["None", "a\tb", "a\nb", " a", "a ", "a;", "a；", "a;place: b", "a； place ： b"])
def test_spans_that_would_be_read_as_something_else_are_refused(span):
    with pytest.raises(GroundingError, match=r"cannot write the span .* of 'person'"):
        TASK.answer({"person": [span]}, f"- {span} -", template=NAME)
    with pytest.raises(GroundingError, match="cannot write the span"):
        AtomicTask.extract(["place", "person"]).answer({"person": [span]}, template=NAME)
    gold = {"person": [span]}
    assert TASK.parse(TASK.answer(gold, f"- {span} -"), f"- {span} -")["person"][0].text == span


@quick
@given(
    st.lists(
        st.sampled_from(["person", "place", ": ", ":", "：", "\t", "\n", ";", "Tim", " ", "None", "x"]), max_size=12
    )
)
def test_any_answer_is_read(pieces):
    for labels in (["person"], ["person", "place"]):
        result = parse("".join(pieces), task=AtomicTask.extract(labels))
        assert all(TEXT[span.start : span.end] == span.text for span in result.spans)
    parse("".join(pieces), task=TONE)
