"""The lenient readers: what is written as it should be means the same, and nothing makes them fail."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.errors import SeqGPTError
from seqgpt.rendered import Mark, Rendered
from seqgpt.results import Extraction
from seqgpt.tasks import AtomicTask
from seqgpt.templates import get_template
from seqgpt.templates.lenient import read_answer
from seqgpt.templates.marks import END, IS, MARKS, NONE, SKIP, YES, MarksTemplate
from seqgpt.templates.released import ReleasedTemplate
from tests.strategies import classifications, extractions, quick, results

TEXT = "Ann 人 Ann"
TASKS = [
    AtomicTask.extract(["who", "where"]),
    AtomicTask.classify(["who", "where"]),
    AtomicTask.classify(["who", "where"], none=True),
    AtomicTask.classify(["who", "where"], multi_label=True),
]
PIECES = [*MARKS, Mark("<|pad|>"), " who", " where", " whom", " Ann", "人", " ", " Bob", "<|end|>"]


@quick
@given(gold=results)
def test_what_a_model_should_write_is_read_as_the_strict_parser_reads_it(gold):
    answer = str(gold.task.answer(gold, gold.text))
    assert read_answer(gold.task, answer, gold.text, MarksTemplate()) == (gold, False, 0)


def answers(pieces):
    """Draw an answer; half of them are near one that is right."""
    line = st.sampled_from(
        [(NONE,), (YES,), (" Ann", END), (" Ann", SKIP, END), (" Ann", END, "人", END), (" Bob", END)]
    )
    lines = st.lists(st.tuples(st.sampled_from([" who", " where"]), st.just((IS,)), line), max_size=3)
    near = lines.map(lambda lines: [piece for cue, mark, line in lines for piece in (cue, *mark, *line)])
    choice = st.sampled_from([[" who", END], [NONE], [" where", END], [" who"]])
    return st.one_of(st.lists(st.sampled_from(pieces), max_size=9), near, choice)


@quick
@given(pieces=answers(PIECES), cut=st.integers(0, 40))
def test_whatever_a_model_writes_is_read_and_what_is_accepted_means_the_same(pieces, cut):
    whole = str(Rendered.join(pieces))
    for task in TASKS:
        for answer in (whole, whole[:cut]):
            read = read_answer(task, answer, TEXT, MarksTemplate())
            try:
                strict = task.parse(answer, TEXT)
            except SeqGPTError:
                assert read.malformed or read.ungrounded
            else:
                assert read == (strict, False, 0)


@quick
@given(pieces=st.lists(st.sampled_from(PIECES), max_size=9))
def test_every_span_that_is_read_is_in_the_text_and_of_a_label_that_was_asked(pieces):
    read = read_answer(TASKS[0], Rendered.join(pieces), TEXT, MarksTemplate())
    assert isinstance(read.result, Extraction)  # which checks both itself


@pytest.mark.parametrize(
    ("answer", "found", "malformed", "ungrounded"),
    [
        (" who<|is|> Ann<|end|> where<|is|><|none|>", ["Ann"], False, 0),
        (" who<|is|> Ann<|end|> Bob<|end|> where<|is|><|none|>", ["Ann"], False, 1),
        (" who<|is|> Ann<|end|> An", ["Ann"], True, 0),
        (" who<|is|> Ann<|end|> where<|is|> Ann", ["Ann"], True, 0),
        (" who<|is|> Ann<|end|> Ann<|end|> where<|is|><|none|>", ["Ann"], True, 0),
        (" who<|is|> Ann<|skip|><|skip|><|end|> where<|is|><|none|>", [], True, 0),
        (" who<|is|> Ann<|yes|><|end|> Ann<|skip|><|end|> where<|is|><|none|>", ["Ann"], True, 0),
        (" who<|is|> Ann<|end|> who<|is|>人<|end|> where<|is|><|none|>", ["Ann"], True, 0),
        (" whom<|is|> Ann<|end|> who<|is|>人<|end|> where<|is|><|none|>", ["人"], True, 0),
        ("Ann", [], True, 0),
        ("", [], True, 0),
    ],
)
def test_an_extraction_is_read_as_far_as_it_can_be(answer, found, malformed, ungrounded):
    read = read_answer(TASKS[0], answer, TEXT, MarksTemplate())
    assert ([span.text for span in read.result.spans], *read[1:]) == (found, malformed, ungrounded)


@pytest.mark.parametrize(
    ("task", "answer", "labels", "malformed"),
    [
        (1, " who<|end|>", ("who",), False),
        (1, " who", ("who",), True),
        (1, " whom<|end|>", (), True),
        (1, "<|none|>", (), True),
        (2, "<|none|>", (), False),
        (2, "<|none|> who<|end|>", (), True),
        (1, " who<|end|> where<|end|>", ("who",), True),
        (3, " who<|is|><|yes|> where<|is|><|none|>", ("who",), False),
        (3, " who<|is|><|yes|><|end|> where<|is|>", ("who",), True),
        (3, " who<|is|><|yes|>", ("who",), True),
    ],
)
def test_a_classification_is_read_as_far_as_it_can_be(task, answer, labels, malformed):
    read = read_answer(TASKS[task], answer, TEXT, MarksTemplate())
    assert (read.result.labels, read.malformed, read.ungrounded) == (labels, malformed, 0)


@quick
@given(gold=st.one_of(extractions(), classifications()))
def test_what_the_released_template_writes_is_well_formed(gold):
    template = ReleasedTemplate()
    try:
        answer = template.answer(gold.task, gold, gold.text)
    except SeqGPTError:
        return
    read = read_answer(gold.task, answer, gold.text, template)
    assert (read.result, read.ungrounded) == (template.parse(gold.task, answer, gold.text), 0)
    assert not read.malformed


@quick
@given(
    words=st.lists(
        st.sampled_from(["who", "where", ": ", "：", "\t", "\n", ";", "，", "None", "Ann", "Bob"]), max_size=9
    )
)
def test_whatever_is_written_in_the_released_template_is_read(words):
    for task in TASKS:
        read = read_answer(task, "".join(words), TEXT, get_template(ReleasedTemplate.name))
        assert read.result.warnings == () or read.malformed or read.ungrounded


@pytest.mark.parametrize(
    ("task", "answer", "malformed", "ungrounded"),
    [
        (0, "who: Ann\nwhere: None\n", False, 0),
        (0, "who: Ann\tBob\nwhere: None\n", False, 1),
        (0, "who: Ann\n", True, 0),
        (0, "who: Ann\nwho: 人\nwhere: None\n", True, 0),
        (0, "who: Ann\tAnn\tAnn\nwhere: None\n", True, 0),
        (0, "who: Ann\nwhere: None\nwhen: now\n", True, 0),
        (1, "who", False, 0),
        (1, "whom", True, 0),
        (1, "None", True, 0),
        (2, "None", False, 0),
        (3, "who，where", False, 0),
        (3, "who，who", True, 0),
        (3, "who，None", True, 0),
        (3, "", True, 0),
    ],
)
def test_what_is_wrong_in_the_released_template_is_counted(task, answer, malformed, ungrounded):
    read = read_answer(TASKS[task], answer, TEXT, ReleasedTemplate())
    assert read[1:] == (malformed, ungrounded)
