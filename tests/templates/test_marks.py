"""The library's own template: nothing in a text or a label is ever read as structure, and answers survive exactly."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.errors import AnswerError, GroundingError, LabelError, SeqGPTError
from seqgpt.rendered import Mark, Rendered, is_mark
from seqgpt.results import Classification, Extraction, Result, Span
from seqgpt.tasks import AtomicTask
from seqgpt.templates.marks import (
    END,
    IS,
    MARKS,
    NONE,
    SKIP,
    YES,
    MarksTemplate,
    choice,
    cue,
    lead,
    opening,
    place,
    read_spans,
    unlead,
    write_spans,
)
from tests.strategies import classifications, extractions, quick, results, tasks, texts, words

TEMPLATE = MarksTemplate()
PEOPLE = AtomicTask.extract(["who", "where"])


def answer_of(gold: Result) -> Rendered:
    return gold.task.answer(gold, gold.text)


@quick
@given(gold=results)
def test_parse_undoes_answer_through_the_plain_string(gold):
    string = str(answer_of(gold))
    assert type(string) is str
    assert gold.task.parse(string, gold.text) == gold


@quick
@given(gold=results)
def test_parse_undoes_answer_through_the_pieces(gold):
    pieces = answer_of(gold).pieces
    assert gold.task.parse(Rendered.join(pieces), gold.text) == gold


@quick
@given(gold=extractions(texts=st.text(alphabet="ab", min_size=1, max_size=10)))
def test_any_set_of_spans_of_a_repetitive_text_survives(gold):
    assert gold.task.parse(str(answer_of(gold)), gold.text) == gold


def test_every_set_of_spans_of_a_small_text_survives_and_is_written_in_a_way_of_its_own():
    text, task = "aab", AtomicTask.extract(["x"])
    places = [(start, end) for start in range(3) for end in range(start + 1, 4)]
    answers = set()
    for chosen in range(2 ** len(places)):
        spans = [Span("x", text[s:e], s, e) for i, (s, e) in enumerate(places) if chosen >> i & 1]
        gold = Extraction.of(text, task, spans)
        answers.add(str(answer_of(gold)))
        assert task.parse(str(answer_of(gold)), text) == gold
    assert len(answers) == 2 ** len(places)


@quick
@given(gold=extractions())
def test_gold_may_be_a_mapping_with_starts(gold):
    mapping = {label: [{"text": s.text, "start": s.start} for s in gold[label]] for label in gold.task.labels}
    assert gold.task.answer(mapping, gold.text) == answer_of(gold)


@quick
@given(gold=classifications())
def test_gold_may_be_a_list_of_labels(gold):
    assert gold.task.answer(list(gold.labels), gold.text) == answer_of(gold)


@quick
@given(task=tasks(), text=texts)
def test_marks_of_a_prompt_depend_on_the_task_only(task, text):
    plain = AtomicTask(
        task.kind,
        tuple(f"label {i}" for i in range(len(task.labels))),
        {f"label {i}": "words" for i, label in enumerate(task.labels) if label in task.descriptions},
        task.multi_label,
        task.none,
        about=("words",) * len(task.about),
    )
    expected = [piece for piece in plain.prompt("text").pieces if is_mark(piece)]
    assert [piece for piece in task.prompt(text).pieces if is_mark(piece)] == expected
    read_back = Rendered.read(str(task.prompt(text)))
    assert read_back.pieces == task.prompt(text).pieces
    assert [is_mark(piece) for piece in read_back.pieces] == [is_mark(piece) for piece in task.prompt(text).pieces]


@quick
@given(task=tasks(), text=texts)
def test_words_of_a_prompt_are_the_text_and_the_labels_that_are_described(task, text):
    said = [unlead(piece) for piece in task.prompt(text).pieces if not is_mark(piece)]
    described = [(label, task.descriptions[label]) for label in task.labels if label in task.descriptions]
    assert said == [text, *task.about, *(words for pair in described for words in pair)]


def test_a_prompt_does_not_depend_on_which_labels_are_asked():
    assert PEOPLE.prompt("Ann") == AtomicTask.extract(["when"]).prompt("Ann")


@quick
@given(gold=extractions())
def test_no_two_words_stand_together_in_an_answer(gold):
    for left, right in pairwise(answer_of(gold).pieces):
        assert is_mark(left) or is_mark(right)


@quick
@given(words=words)
def test_unlead_undoes_lead(words):
    assert unlead(lead(words)) == words


@pytest.mark.parametrize("word", ["人物", "，", "１", "カナ", "𠀀", "\u3000x"])
def test_scripts_without_spaces_are_not_led_by_one(word):
    assert lead(word) == word


@pytest.mark.parametrize("word", ["person", "한국", "é", "😀", " x", "\tx", "1"])
def test_other_words_are_led_by_a_space(word):
    assert lead(word) == " " + word


def test_marks_are_distinct_and_all_described():
    assert len(MARKS) == 13
    assert all(is_mark(mark) and words.strip() for mark, words in MARKS.items())


def test_opening_tells_the_kinds_of_answer_apart():
    openings = [
        opening(task.kind, single_label=task.single_label)
        for task in (PEOPLE, AtomicTask.classify(["x"]), AtomicTask.classify(["x"], multi_label=True))
    ]
    assert openings == ["<|extract|>", "<|classify|>", "<|select|>"]


def test_cue_and_choice_begin_and_make_answers():
    assert cue("who") == (" who", IS)
    assert choice("人") == ("人", END)
    assert "".join(cue("who")) + NONE in PEOPLE.answer({})


def test_a_string_stands_for_its_first_occurrence():
    text = "Ann, Ann and Ann"
    spans = [Span("who", "Ann", 0, 3), Span("who", "Ann", 13, 16)]
    assert write_spans(spans, text) == [" Ann", END, " Ann", SKIP, SKIP, END]
    assert read_spans("who", [" Ann", END, " Ann", SKIP, SKIP, END], text) == spans


def test_a_span_is_written_the_same_whatever_stands_beside_it():
    text = "New York New York City"
    spans = [Span("where", "New York", 9, 17), Span("where", "New York City", 9, 22)]
    alone = [piece for span in spans for piece in write_spans([span], text)]
    assert write_spans(spans, text) == alone == [" New York", SKIP, END, " New York City", END]


def test_spans_are_read_in_any_order_but_once():
    text = "Ann, Bob"
    spans = {Span("who", "Ann", 0, 3), Span("who", "Bob", 5, 8)}
    assert set(read_spans("who", [" Bob", END, " Ann", END], text)) == spans
    with pytest.raises(AnswerError, match="'Ann' of 'who' is written twice"):
        read_spans("who", [" Ann", END, " Ann", END], text)


def test_place_counts_skips():
    assert place("x", "a", "aaa", 1) == Span("x", "a", 1, 2)
    with pytest.raises(GroundingError, match="occurs 3× in the text, and the answer means occurrence 4"):
        place("x", "a", "aaa", 3)


def test_labels_may_be_answered_in_any_order():
    answer = Rendered.join([*cue("where"), " here", END, *cue("who"), NONE])
    assert PEOPLE.parse(answer, "here").absent == ("who",)


def test_without_a_text_spans_are_taken_as_unrepeated_strings():
    assert str(PEOPLE.answer({"who": ["Ann", "Bob"]})) == " who<|is|> Ann<|end|> Bob<|end|> where<|is|><|none|>"


def test_the_raw_answer_is_kept_as_a_plain_string():
    answer = PEOPLE.answer({}, "Ann")
    assert type(PEOPLE.parse(answer, "Ann").raw) is str
    assert PEOPLE.parse(answer, "Ann").raw == answer


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "Ann",
        " who<|is|> Ann",
        " who<|is|> Ann<|end|><|end|> where<|is|><|none|>",
        " who<|is|> Ann<|end|><|none|> where<|is|><|none|>",
        " who<|is|><|none|><|none|> where<|is|><|none|>",
        " who<|is|><|skip|> Ann<|end|> where<|is|><|none|>",
        " who<|is|><|skip|><|end|> where<|is|><|none|>",
        " who<|is|><|end|> where<|is|><|none|>",
        " who<|is|> Ann<|none|> where<|is|><|none|>",
        " who<|is|> Ann<|yes|><|end|> where<|is|><|none|>",
        " who<|is|><|none|>",
        " who<|is|><|none|> who<|is|><|none|> where<|is|><|none|>",
        " who<|is|><|none|> where<|is|><|none|> junk",
        "junk<|none|> who<|is|><|none|> where<|is|><|none|>",
        " who<|is|><|none|> where<|is|><|none|><|none|>",
        r" who<\|is|><|none|> where<|is|><|none|>",
        " who<|none|> where<|is|><|none|>",
        "<|is|><|none|> where<|is|><|none|>",
    ],
)
def test_an_extraction_of_another_language_is_refused(answer):
    with pytest.raises(AnswerError):
        PEOPLE.parse(answer, "Ann")


@pytest.mark.parametrize(
    "answer",
    [
        " who<|is|> junk<|yes|> where<|is|><|none|>",
        " who<|is|><|yes|>",
        r" who<|is|><\|yes|><|none|> where<|is|><|none|>",
        " who<|is|><|end|> where<|is|><|none|>",
    ],
)
def test_a_choice_of_several_of_another_language_is_refused(answer):
    with pytest.raises(AnswerError):
        AtomicTask.classify(["who", "where"], multi_label=True).parse(answer, "Ann")


@pytest.mark.parametrize(
    "answer",
    ["", " who", "<|end|>", " who<|none|>", " who<|end|><|end|>", r" who<\|end|>", r"<\|none|>", " who<|is|><|yes|>"],
)
@pytest.mark.parametrize("none", [True, False])
def test_a_choice_of_one_of_another_language_is_refused(answer, none):
    with pytest.raises(AnswerError):
        AtomicTask.classify(["who", "where"], none=none).parse(answer, "Ann")


def test_none_is_refused_where_it_was_not_asked():
    with pytest.raises(AnswerError, match="is not one label"):
        AtomicTask.classify(["who"]).parse("<|none|>", "Ann")
    assert AtomicTask.classify(["who"], none=True).parse("<|none|>", "Ann").abstained


def test_a_label_that_was_not_asked_is_refused():
    with pytest.raises(LabelError, match="Did you mean 'who'"):
        PEOPLE.parse(" whom<|is|><|none|>", "Ann")
    with pytest.raises(LabelError):
        AtomicTask.classify(["who"]).parse(" what<|end|>", "Ann")


def test_a_span_that_is_not_in_the_text_is_refused():
    with pytest.raises(GroundingError, match="'Bob' of 'who' occurs 0×"):
        PEOPLE.parse(" who<|is|> Bob<|end|> where<|is|><|none|>", "Ann")


def test_words_spelt_like_a_mark_are_not_that_mark():
    task = AtomicTask.classify(["<|none|>"], none=True)
    assert task.parse(task.answer("<|none|>"), "x").labels == ("<|none|>",)
    with pytest.raises(AnswerError):
        read_spans("x", ["<|none|>"], "x")
    assert read_spans("x", [Mark("<|none|>")], "x") == []


@pytest.mark.parametrize("pieces", [[], [" a"], [" a", SKIP], [" a", NONE], [" a", END, " b"], [" a", END, END]])
def test_read_spans_wants_one_end_after_each_span(pieces):
    with pytest.raises(AnswerError):
        read_spans("x", pieces, "a b")


@quick
@given(
    st.lists(
        st.one_of(st.sampled_from(list(MARKS)), st.sampled_from([" who", " where", " Ann", "人", " "])), max_size=9
    )
)
def test_whatever_a_model_writes_is_read_or_refused(pieces):
    for task in (
        PEOPLE,
        AtomicTask.classify(["who", "where"], none=True),
        AtomicTask.classify(["who", "where"], multi_label=True),
    ):
        try:
            result = task.parse(str(Rendered.join(pieces)), "Ann 人 Ann")
        except SeqGPTError:
            continue
        assert isinstance(result, (Extraction, Classification))
        assert task.parse(task.answer(result), result.text) == result


def test_yes_and_none_answer_each_label_of_several():
    task = AtomicTask.classify(["a", "b"], multi_label=True)
    assert task.answer(["b"]).pieces == (" a", IS, NONE, " b", IS, YES)


def test_gold_of_another_task_or_text_is_refused():
    gold = Extraction.of("Ann", PEOPLE, (Span("who", "Ann", 0, 3),))
    with pytest.raises(LabelError, match="'who' is not among"):
        AtomicTask.extract(["where"]).answer(gold)
    with pytest.raises(GroundingError, match="another text"):
        PEOPLE.answer(gold, "Ann!")
    with pytest.raises(LabelError):
        AtomicTask.classify(["x"]).answer(Classification.of("t", AtomicTask.classify(["y"]), ("y",)))
    assert str(AtomicTask.extract(["who"]).answer(gold)) == " who<|is|> Ann<|end|>"


@pytest.mark.parametrize(
    ("task", "gold", "error"),
    [
        (PEOPLE, ["who"], LabelError),
        (PEOPLE, "who", LabelError),
        (PEOPLE, {"whom": ["Ann"]}, LabelError),
        (PEOPLE, {"who": "Ann"}, GroundingError),
        (PEOPLE, {"who": [{"text": "Ann", "start": 0}]}, GroundingError),
        (PEOPLE, {"who": [""]}, GroundingError),
        (AtomicTask.classify(["a", "b"]), [], LabelError),
        (AtomicTask.classify(["a", "b"]), ["a", "b"], LabelError),
        (AtomicTask.classify(["a", "b"]), {"a": []}, LabelError),
        (AtomicTask.classify(["a", "b"]), ["c"], LabelError),
    ],
)
def test_gold_of_the_wrong_shape_is_refused(task, gold, error):
    with pytest.raises(error):
        task.answer(gold)
