"""Reading: as the scripts of SQuAD 2.0 and CMRC 2018 define it, written a second way."""

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.errors import DataError
from seqgpt.evaluation.scoring.reading import reading_scores
from seqgpt.evaluation.scoring.scores import Score
from seqgpt.questions import reading_question
from seqgpt.results import Extraction, Span
from seqgpt.tasks import AtomicTask

TASK = reading_question("Who?")


def answered(text, *found):
    """Return the answer to a question; each is (start, end) or (start, end, score)."""
    return Extraction.of(text, TASK, [Span("Who?", text[a:b], a, b, *score) for a, b, *score in found])


def places(text):
    """Draw places of a text, each with a score of its own."""
    ends = st.tuples(st.integers(0, len(text) - 1), st.integers(1, 12), st.floats(0.01, 1))
    return st.lists(ends, max_size=3, unique_by=lambda place: place[2]).map(
        lambda drawn: [(start, min(start + n, len(text)), score) for start, n, score in drawn]
    )


@st.composite
def questions(draw, pieces, tail=""):
    text = "".join(draw(st.lists(st.sampled_from(pieces), min_size=8, max_size=20))) + tail
    return answered(text, *draw(places(text))), answered(text, *draw(places(text)))


def said(gold, predicted):
    """Return the gold strings and the predicted one, empty if there is none."""
    first = sorted(predicted.spans, key=lambda span: -span.score)[:1]
    return [span.text for span in gold.spans], "".join(span.text for span in first)


def words_of_squad(answer):
    """Write SQuAD's normalisation a second way: as the words that remain."""
    kept = "".join(" " if c.isspace() else c for c in answer.lower() if c not in string.punctuation)
    for article in ("a", "an", "the"):
        kept = re.sub(rf"(?<!\w){article}(?!\w)", " ", kept)
    return kept.split()


def bag_f1(gold, predicted):
    if not gold or not predicted:
        return float(gold == predicted)
    left, common = list(predicted), 0
    for word in gold:
        if word in left:
            left.remove(word)
            common += 1
    if not common:
        return 0.0
    precision, recall = common / len(predicted), common / len(gold)
    return 2 * precision * recall / (precision + recall)


@given(questions(["a ", "the ", "The", "an ", "Ada ", "ran ", "ran", ", ", "'s ", "Ada", "1.5 ", "é", "\n", "_"]))
def test_english_is_squad_s(pair):
    answers, answer = said(*pair)
    wanted = [words for words in map(words_of_squad, answers) if words] or [[]]
    scores = reading_scores([pair[0]], [pair[1]])
    assert scores.exact_match == float(words_of_squad(answer) in wanted)
    assert scores.f1 == pytest.approx(max(bag_f1(words, words_of_squad(answer)) for words in wanted))


SIGNS = "，。《》、：-"


def bare_of_cmrc(answer):
    return "".join(c for c in answer.lower().strip() if c not in SIGNS)


def words_of_cmrc(answer):
    """Split an answer of Han characters, numbers and plain words as CMRC's script does."""
    return re.findall("[一-龥]|[a-z]+|[0-9]+", bare_of_cmrc(answer))


def run_f1(gold, predicted):
    """The longest run in common, by trying all of them."""
    runs = {tuple(gold[i:j]) for i in range(len(gold)) for j in range(i + 1, len(gold) + 1)}
    common = max((len(run) for run in runs if in_order(run, predicted)), default=0)
    if not common:
        return float(not gold and not predicted)
    precision, recall = common / len(predicted), common / len(gold)
    return 2 * precision * recall / (precision + recall)


def in_order(run, words):
    return any(tuple(words[i : i + len(run)]) == run for i in range(len(words)))


CHINESE_PIECES = ["北京", "大学", "人", "名", "，", "。", "《", "》", "在", "的", "京", "2010", " Abc "]


@given(questions(CHINESE_PIECES, tail="这是一个相当长的中文句子" * 3))
def test_chinese_is_cmrc_s(pair):
    answers, answer = said(*pair)
    wanted = [one for one in answers if bare_of_cmrc(one)] or [""]
    scores = reading_scores([pair[0]], [pair[1]])
    assert scores.exact_match == float(bare_of_cmrc(answer) in map(bare_of_cmrc, wanted))
    assert scores.f1 == pytest.approx(max(run_f1(words_of_cmrc(gold), words_of_cmrc(answer)) for gold in wanted))


CHINESE = "马戛尔尼使团于1793年到达北京，觐见了乾隆皇帝"


@pytest.mark.parametrize(
    ("text", "gold", "predicted", "exact", "f1"),
    [
        ("It was the Bank of England, he said.", [(7, 26)], [(11, 27)], 1, 1),
        ("It was the Bank of England, he said.", [(7, 26)], [(11, 15)], 0, 0.5),
        ("It was the Bank of England, he said.", [(7, 26), (28, 30)], [(28, 30)], 1, 1),
        ("It was the Bank of England, he said.", [(7, 26)], [(7, 26, 0.4), (28, 30, 0.6)], 0, 0),
        ("It was the Bank of England, he said.", [], [], 1, 1),
        ("It was the Bank of England, he said.", [], [(28, 30)], 0, 0),
        ("It was the Bank of England, he said.", [(28, 30)], [], 0, 0),
        (CHINESE, [(7, 12)], [(7, 11)], 0, 2 / 3),  # 1793 年: a number is one word
        (CHINESE, [(19, 23)], [(14, 23)], 0, 2 * 4 / (4 + 8)),
        (CHINESE, [(14, 17)], [(14, 16)], 1, 1),
    ],
)
def test_answers(text, gold, predicted, exact, f1):
    scores = reading_scores([answered(text, *gold)], [answered(text, *predicted)])
    assert (scores.exact_match, scores.f1) == (exact, pytest.approx(f1))


def test_an_english_text_with_some_chinese_is_english():
    text = "The city of Peking (北京) is the capital of the country"
    assert reading_scores([answered(text, (0, 18))], [answered(text, (4, 18))]).exact_match == 1


def test_several_texts():
    gold = [answered("Ada ran", (0, 3)), answered("nobody ran"), answered("he ran", (0, 2))]
    predicted = [answered("Ada ran", (0, 7)), answered("nobody ran"), answered("he ran")]
    scores = reading_scores(gold, predicted)
    assert scores.exact_by_text == (False, True, False)
    assert scores.f1_by_text == pytest.approx((2 / 3, 1, 0))
    assert (scores.exact_match, scores.f1) == (pytest.approx(1 / 3), pytest.approx(5 / 9))
    assert scores.abstention == Score(1, 2, 1)


@pytest.mark.parametrize(
    ("gold", "message"),
    [([], "no text to score"), ([Extraction.of("t", AtomicTask.extract(["a", "b"]), [])], "text 0 is asked 2 labels")],
)
def test_what_is_no_reading(gold, message):
    with pytest.raises(DataError, match=message):
        reading_scores(gold, gold)
