"""A teacher without a model: it says what a script says. For tests of whatever is built on a synthesis."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from seqgpt.data.draws import draw
from seqgpt.synth.prompts import PROMPTS
from seqgpt.synth.requests import Request
from seqgpt.synth.teacher import Completion
from seqgpt.synth.tokens import by_rule

Messages = Sequence[Mapping[str, str]]
"""What a teacher reads: ``[{"role": "system", "content": …}, {"role": "user", "content": …}]``."""

Script = Callable[[Messages], "str | Mapping[str, Any] | Completion"]
"""From messages to an answer: the words, the object that they say, or a completion."""

_MENTION = {
    "en": re.compile(r"\b[A-Z][\w-]+(?: [A-Z][\w-]+)*|\b\d[\d.,]*\b"),
    "zh": re.compile(r"[\u4e00-\u9fff]{2,4}(?=[，。、的在是和])|\d+"),
}
_LISTED = re.compile(r"(?:Mentions: |提及：)(\[.*\])$")
_WORDS = {
    "en": (
        "regional local global annual public private early late minor major written spoken",
        "company person place event product period amount document topic report opinion instruction",
        "Something that a text may speak of as a {}.",
    ),
    "zh": (
        "地方 国际 年度 公共 私人 早期 晚期 次要 主要 书面 口头 民间",
        "公司 人物 地点 事件 产品 时期 数量 文件 主题 报道 观点 说明",
        "文本可能当作{}提到的事物。",
    ),
}


class ScriptedTeacher:
    """Answers from a script.

    By default it marks capitalised words and numbers, and draws labels from a few hundred, the same ones for the same
    text: well-formed answers that mean nothing.

    Args:
        script: What it answers to messages; an exception that it raises is what the teacher fails with.

    Attributes:
        asked: The messages of all requests, in order.
    """

    def __init__(self, script: Script | None = None) -> None:
        self._script = script or scripted_answer
        self.asked: list[Messages] = []

    async def complete(self, request: Request) -> Completion:
        """Answer a request."""
        messages = request.messages
        self.asked.append(messages)
        said = self._script(messages)
        if isinstance(said, Completion):
            return said
        content = said if isinstance(said, str) else json.dumps(said, ensure_ascii=False)
        prompt = sum(by_rule(message["content"]) for message in messages)
        return Completion(content, round(prompt), round(by_rule(content)))

    async def close(self) -> None:
        """Do nothing."""


def task_of(messages: Messages) -> tuple[str, str]:
    """Return language and task of messages.

    Raises:
        ValueError: If no version of the prompts asks that.
    """
    first = messages[0]["content"]
    for version in PROMPTS.values():
        for language, tasks in version.items():
            for task, prompt in tasks.items():
                if first.startswith(prompt.partition("\n")[0].partition("{")[0]):
                    return language, task
    raise ValueError("no prompt of this kind is known")


def scripted_answer(messages: Messages) -> dict[str, Any]:
    """Answer as a :class:`ScriptedTeacher` does without a script."""
    language, task = task_of(messages)
    user = messages[1]["content"]
    rng = draw("scripted", task, user)
    text = user.partition("\n")[2]
    if task == "typing":
        found = _LISTED.search(user)
        mentions = json.loads(found[1]) if found else []
        return {"mentions": [{"mention": mention, **_labels(language, rng)} for mention in mentions]}
    if task == "classify":
        return {"sets": [_labels(language, rng) for _ in range(2)]}
    mentions = list(dict.fromkeys(_MENTION[language].findall(text)))[:8]
    return {"sets": [_entities(mentions, language, rng) for _ in range(2)]}


def _labels(language: str, rng: random.Random) -> dict[str, Any]:
    drawn = _draw(language, rng, rng.randint(3, 6))
    held = rng.randint(1, len(drawn) - 1)
    return {"labels": drawn[:held], "near_misses": drawn[held:]}


def _entities(mentions: Sequence[str], language: str, rng: random.Random) -> dict[str, Any]:
    types = _draw(language, rng, 4)
    entities = [{"mention": mention, "type": rng.choice(types[:2])["label"]} for mention in mentions]
    return {"entities": entities, "types": types[:2], "near_misses": types[2:]}


def _draw(language: str, rng: random.Random, number: int) -> list[dict[str, str]]:
    """Draw labels, few of them often and many seldom."""
    kinds, things, meaning = _WORDS[language]
    joint = " " if language == "en" else ""
    names: dict[str, None] = {}
    while len(names) < number:
        kind, thing = _often_early(kinds.split(), rng), _often_early(things.split(), rng)
        names[kind + joint + thing] = None
    return [{"label": name, "description": meaning.format(name)} for name in names]


def _often_early(words: Sequence[str], rng: random.Random) -> str:
    return words[int(rng.random() ** 2 * len(words))]
