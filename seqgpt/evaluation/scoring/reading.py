"""Reading: exact match and F1 of the answer to a question, and of the answer that there is none.

Gold and prediction are extractions with one label, the question. Every gold span is a right answer, and the best one
counts; the predicted answer is the most probable span. No span says that the text does not answer the question, and so
does one of which normalisation leaves nothing.

Texts are measured as the benchmarks of their script do. Mostly Chinese ones as CMRC 2018 (Cui et al. 2019, arXiv
1810.07366): in lower case and without punctuation; F1 by the longest run of characters, or words of other
scripts, that both answers have in common. All others as SQuAD 2.0 (Rajpurkar et al. 2018, arXiv 1806.03822, and its
evaluation script): in lower case, without punctuation and articles; F1 by the words in common, as multisets. CMRC's
script splits words of other scripts with NLTK, this does with :func:`seqgpt.evaluation.scoring.words.split_words`.
"""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from seqgpt.errors import DataError
from seqgpt.evaluation.scoring.scores import Score, check_pairs
from seqgpt.evaluation.scoring.words import split_words
from seqgpt.results import Extraction
from seqgpt.texts import HAN

_ARTICLES = re.compile(r"\b(?:a|an|the)\b")
_PUNCTUATION = str.maketrans("", "", string.punctuation)
# As CMRC's script has it: neither "…", nor the left single quote, nor most of ASCII is among its signs.
_CHINESE_PUNCTUATION = str.maketrans("", "", "-:_*^/\\~`+=，。：？！“”；’《》·、「」（）－～『』")


@dataclass(frozen=True)
class ReadingScores:
    """How well questions were answered.

    Attributes:
        exact_match: Share of the texts whose answer is a gold answer, but for what is normalised away. Of a question
            without answer, the right answer is none.
        f1: Mean over texts of the F1 of the answer with the gold answer that is most like it; with none, 1 if none was
            given and 0 otherwise.
        abstention: The answer that there is none, counted like a label.
        exact_by_text: Whether each text's answer is a gold answer, in order.
        f1_by_text: The F1 of each text's answer, in order.
    """

    exact_match: float
    f1: float
    abstention: Score
    exact_by_text: tuple[bool, ...] = field(repr=False)
    f1_by_text: tuple[float, ...] = field(repr=False)


def reading_scores(gold: Sequence[Extraction], predicted: Sequence[Extraction]) -> ReadingScores:
    """Score answers to questions.

    Raises:
        DataError: If gold and predicted do not belong together, there are none, or a task has several labels.
    """
    check_pairs(gold, predicted)
    if not gold:
        raise DataError("there is no text to score: give at least one.")
    for i, g in enumerate(gold):
        if len(g.task.labels) != 1:
            raise DataError(
                f"text {i} is asked {len(g.task.labels)} labels: reading is one question, an extraction with one label."
            )
    scores = [_score(g, p) for g, p in zip(gold, predicted, strict=True)]
    exact, f1 = tuple(same for same, _ in scores), tuple(f1 for _, f1 in scores)
    unanswered = Score(
        sum(not g.spans and not p.spans for g, p in zip(gold, predicted, strict=True)),
        sum(not p.spans for p in predicted),
        sum(not g.spans for g in gold),
    )
    return ReadingScores(sum(exact) / len(gold), sum(f1) / len(gold), unanswered, exact, f1)


def _score(gold: Extraction, predicted: Extraction) -> tuple[bool, float]:
    """Return whether the answer is right, and its F1."""
    chinese = _is_chinese(gold.text)
    best = max(predicted.spans, key=lambda span: span.score, default=None)
    answer = _normalise(best.text if best else "", chinese)
    # As in SQuAD's script, a gold answer of which nothing is left is none.
    wanted = [right for right in (_normalise(span.text, chinese) for span in gold.spans) if right] or [""]
    return answer in wanted, max(_f1(right, answer, chinese) for right in wanted)


def _is_chinese(text: str) -> bool:
    """Tell whether Han characters are more than half of the words of a text."""
    return 2 * len(HAN.findall(text)) > len(split_words(text))


def _normalise(answer: str, chinese: bool) -> str:
    if chinese:
        return answer.lower().strip().translate(_CHINESE_PUNCTUATION)
    return " ".join(_ARTICLES.sub(" ", answer.lower().translate(_PUNCTUATION)).split())


def _f1(gold: str, predicted: str, chinese: bool) -> float:
    """Return the F1 of normalised answers."""
    wanted, given = (split_words(answer) if chinese else answer.split() for answer in (gold, predicted))
    if not wanted or not given:
        return float(wanted == given)
    if chinese:
        common = SequenceMatcher(None, wanted, given, autojunk=False).find_longest_match().size
    else:
        common = (Counter(wanted) & Counter(given)).total()
    return 2 * common / (len(wanted) + len(given))
