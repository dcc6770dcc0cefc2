"""Every prompt and answer as text: a template that changes shows as a diff of ``tests/golden``.

After a change that is meant (of a new template; one that models were trained on is never edited), run
``python -m tests.test_golden`` and read the diff.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from seqgpt.errors import SeqGPTError
from seqgpt.results import Result
from seqgpt.tasks import AtomicTask
from seqgpt.templates import Gold, get_template
from seqgpt.templates.marks import MARKS

FOLDER = Path(__file__).parent / "golden"
TEMPLATES = ["seqgpt-marks-4", "seqgpt-560m"]

CASES: dict[str, tuple[str, AtomicTask, Gold]] = {
    "en: entities, one label absent": (
        "Tim Cook visited Shanghai.",
        AtomicTask.extract(["person", "place", "date"]),
        {"person": ["Tim Cook"], "place": ["Shanghai"]},
    ),
    "zh: entities": (
        "杰克逊和罗德曼去了上海，杰克逊先走。",
        AtomicTask.extract(["人物", "地点"]),
        {"人物": ["杰克逊", "杰克逊", "罗德曼"], "地点": ["上海"]},
    ),
    "en: nested and repeated spans, the second occurrence only": (
        "New York and New York City",
        AtomicTask.extract(["place"]),
        {"place": [{"text": "New York", "start": 13}, "New York City", "York City"]},
    ),
    "zh: labels with descriptions": (
        "血压 120/80，服用阿司匹林。",
        AtomicTask.extract({"药物": "病人服用的药", "指标": "", "手术": "做过的手术"}),
        {"药物": ["阿司匹林"], "指标": ["血压", "120/80"]},
    ),
    "en: a question to a text": (
        "The Nile flows north. It ends in the Mediterranean.",
        AtomicTask.extract(["Where does the Nile end?"]),
        {"Where does the Nile end?": ["the Mediterranean"]},
    ),
    "zh: the arguments of an event": (
        "昨天四川发生地震。",
        AtomicTask.extract(["事件地震的时间", "事件地震的地点"]),
        {"事件地震的时间": ["昨天"], "事件地震的地点": ["四川"]},
    ),
    "en: about two mentions, the second occurrence of one": (
        "Ann met Bob, and Ann left.",
        AtomicTask.classify(["friend of", "employer of"], none=True, about=[{"text": "Ann", "start": 17}, "Bob"]),
        [],
    ),
    "zh: about a mention": (
        "乔布斯创办了苹果，总部在库比蒂诺。",
        AtomicTask.extract(["总部地点", "创始人"], about="苹果"),
        {"总部地点": ["库比蒂诺"], "创始人": ["乔布斯"]},
    ),
    "en: one label": (
        "The soup was cold.",
        AtomicTask.classify(["praise", "complaint"]),
        ["complaint"],
    ),
    "zh: one label, or none": (
        "今天星期三。",
        AtomicTask.classify(["表扬", "抱怨"], none=True),
        [],
    ),
    "en: several labels, with descriptions": (
        "The minister opened the stadium.",
        AtomicTask.classify({"sport": "games and players", "politics": "", "economy": "money"}, multi_label=True),
        ["sport", "politics"],
    ),
    "zh: several labels, none holds": (
        "天气很好。",
        AtomicTask.classify(["体育", "政治"], multi_label=True),
        [],
    ),
    "zh: a pair of texts": (
        "他在跑步\t他在运动",
        AtomicTask.classify(["蕴含", "矛盾", "中立"]),
        ["蕴含"],
    ),
    "en and zh: text, label and span that look like structure": (
        "<|none|> None\t输出: [GEN] <\\|end|>",
        AtomicTask.extract(["<|label|> x", "人名，地名"]),
        {"<|label|> x": ["<|none|>", "None\t输出"], "人名，地名": ["[GEN]", "<\\|end|>"]},
    ),
}


def show(name: str) -> str:
    """Render all cases in one template; a case that it cannot write shows why."""
    shown = [f"Template {name}. Written by python -m tests.test_golden; strings as Python writes them.\n"]
    for title, (text, task, gold) in CASES.items():
        prompt = written(partial(task.prompt, text, template=name))
        answer = written(partial(task.answer, gold, text, template=name))
        shown.append(f"\n## {title}\n{task!r}\nprompt: {prompt}\nanswer: {answer}\n")
    return "".join(shown)


def written(render: Callable[[], str]) -> str:
    try:
        return repr(str(render()))
    except SeqGPTError as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("name", TEMPLATES)
def test_prompts_and_answers_are_as_they_were(name):
    assert show(name) == (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("title", CASES)
def test_golden_answers_are_read_back(title):
    text, task, gold = CASES[title]
    answer = str(task.answer(gold, text))
    result: Result = task.parse(answer, text)
    assert task.answer(result) == answer


def test_marks_are_as_they_were():
    """Their order is that of their token ids, and their words start their embeddings: models depend on both."""
    assert " ".join(MARKS) == (
        "<|text|> <|about|> <|extract|> <|classify|> <|select|> <|label|> <|means|> <|answer|> "
        "<|is|> <|skip|> <|end|> <|none|> <|yes|>"
    )
    assert [get_template(name).name for name in TEMPLATES] == TEMPLATES


if __name__ == "__main__":
    for name in TEMPLATES:
        (FOLDER / f"{name}.txt").write_text(show(name), encoding="utf-8", newline="\n")
