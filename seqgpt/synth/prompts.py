"""What the teacher is told, by version, language and task.

A version is never edited in place: the records of a run are found by what was asked, and the report says which version
it was. A change is a new version. All that is the same for every text stands in the first message, so that servers
that keep the beginning of a prompt compute it once.

Source: the open questions of SeqGPT's first stage (arXiv 2308.10529, section 4.1): which classes fit, which entities of
which fine types occur, of which types a mention is; the near misses are this project's own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache

LANGUAGES = ("en", "zh")
LATEST = "seqgpt-synth-1"

_EN = {
    "classify": (
        "You label texts, so that a model can learn to work with any label. The user gives one text. Say which classes "
        "it belongs to.\n"
        "- Give {label_sets} label sets, each from another point of view: topic, kind of text, intention, attitude, "
        "audience, field of knowledge, or whatever suits the text.\n"
        '- "labels": the classes that hold, one to four of them, as specific as the text allows. A class is a noun '
        "phrase of one to five words, not a sentence.\n"
        '- "near_misses": {near_misses} classes that a careless reader could confuse with these, but which clearly do '
        "not hold for this text.\n"
        "- Describe every class in one sentence that would fit other texts too.\n"
        "- Write in English. Answer with one JSON object and nothing else:\n"
        '{{"sets": [{{"labels": [{{"label": "…", "description": "…"}}], '
        '"near_misses": [{{"label": "…", "description": "…"}}]}}]}}'
    ),
    "ner": (
        "You mark entities in texts, so that a model can learn to find any type. The user gives one text. Say which "
        "entities occur in it, and of which type each is.\n"
        "- Give {label_sets} label sets, each with types from another point of view: first as specific as the text "
        "allows, then more general, or by role, or by field of knowledge.\n"
        '- "entities": names, terms, numbers, times and other things that the text speaks of. Copy each mention letter '
        "by letter from the text. A type is a noun phrase of one to four words, never the mention itself.\n"
        '- "types": every type that you used, with a description of one sentence that would fit other texts too.\n'
        '- "near_misses": {near_misses} types that a careless reader could expect in this text, but of which nothing '
        "occurs in it.\n"
        "- Write in English. Answer with one JSON object and nothing else:\n"
        '{{"sets": [{{"entities": [{{"mention": "…", "type": "…"}}], "types": [{{"label": "…", "description": "…"}}], '
        '"near_misses": [{{"label": "…", "description": "…"}}]}}]}}'
    ),
    "typing": (
        "You say of which types mentions are, so that a model can learn any type. The user gives one text, and "
        "mentions that occur in it.\n"
        '- "labels": for each mention two to five types that hold for it in this text, from general to as specific as '
        "the text allows. A type is a noun phrase of one to four words, never the mention itself.\n"
        '- "near_misses": for each mention {near_misses} types that a careless reader could confuse with these, but '
        "which clearly do not hold for it in this text.\n"
        "- Describe every type in one sentence that would fit other texts too.\n"
        "- Write in English. Answer with one JSON object and nothing else:\n"
        '{{"mentions": [{{"mention": "…", "labels": [{{"label": "…", "description": "…"}}], '
        '"near_misses": [{{"label": "…", "description": "…"}}]}}]}}'
    ),
}
_ZH = {
    "classify": (
        "你为文本标注类别，使模型能够学会使用任意标签。用户给出一段文本，请说明它属于哪些类别。\n"
        "- 给出{label_sets}组标签，每组从不同的角度出发：主题、文体、意图、态度、读者、知识领域，"
        "或其他适合该文本的角度。\n"
        "- “labels”：成立的类别，一到四个，在文本允许的范围内尽量具体。类别是二到八个字的名词短语，不要写成句子。\n"
        "- “near_misses”：{near_misses}个粗心的读者可能与上述类别混淆、但对该文本明显不成立的类别。\n"
        "- 用一句话描述每个类别，这句话应当也适用于其他文本。\n"
        "- 用中文书写。只回答一个JSON对象，不要写其他内容：\n"
        '{{"sets": [{{"labels": [{{"label": "…", "description": "…"}}], '
        '"near_misses": [{{"label": "…", "description": "…"}}]}}]}}'
    ),
    "ner": (
        "你标注文本中的实体，使模型能够学会查找任意类型。用户给出一段文本，请说明其中出现了哪些实体，各属于什么类型。\n"
        "- 给出{label_sets}组标签，每组的类型从不同的角度出发：先尽量具体，再较为概括，或按角色、按知识领域划分。\n"
        "- “entities”：文本提到的名称、术语、数量、时间和其他事物。提及必须逐字照抄原文。"
        "类型是二到八个字的名词短语，不能是提及本身。\n"
        "- “types”：你用到的每个类型，并用一句话描述，这句话应当也适用于其他文本。\n"
        "- “near_misses”：{near_misses}个粗心的读者可能以为会在该文本中出现、但其实没有任何实体的类型。\n"
        "- 用中文书写。只回答一个JSON对象，不要写其他内容：\n"
        '{{"sets": [{{"entities": [{{"mention": "…", "type": "…"}}], "types": [{{"label": "…", "description": "…"}}], '
        '"near_misses": [{{"label": "…", "description": "…"}}]}}]}}'
    ),
    "typing": (
        "你说明提及属于哪些类型，使模型能够学会任意类型。用户给出一段文本，以及其中出现的若干提及。\n"
        "- “labels”：对每个提及给出二到五个在该文本中成立的类型，从概括到尽量具体。"
        "类型是二到八个字的名词短语，不能是提及本身。\n"
        "- “near_misses”：对每个提及给出{near_misses}个粗心的读者可能与上述类型混淆、但在该文本中明显不成立的类型。\n"
        "- 用一句话描述每个类型，这句话应当也适用于其他文本。\n"
        "- 用中文书写。只回答一个JSON对象，不要写其他内容：\n"
        '{{"mentions": [{{"mention": "…", "labels": [{{"label": "…", "description": "…"}}], '
        '"near_misses": [{{"label": "…", "description": "…"}}]}}]}}'
    ),
}
_GIVEN = {
    "en": ("Text:\n{text}", "Text:\n{text}\n\nMentions: {mentions}"),
    "zh": ("文本：\n{text}", "文本：\n{text}\n\n提及：{mentions}"),
}

PROMPTS: Mapping[str, Mapping[str, Mapping[str, str]]] = {LATEST: {"en": _EN, "zh": _ZH}}
"""Version → language → task → the first message, with places for the numbers of a config."""


def render(
    version: str,
    language: str,
    task: str,
    text: str,
    *,
    mentions: Sequence[str] = (),
    label_sets: int = 2,
    near_misses: int = 3,
) -> list[dict[str, str]]:
    """Return the messages of a request.

    >>> [message["role"] for message in render(LATEST, "en", "ner", "Ann sings.")]
    ['system', 'user']
    """
    system = _first_message(version, language, task, label_sets, near_misses)
    plain, with_mentions = _GIVEN[language]
    listed = json.dumps(list(mentions), ensure_ascii=False)
    user = (with_mentions if mentions else plain).replace("{mentions}", listed).replace("{text}", text)
    return [{"role": "system", "content": system}, {"role": "user", "content": user}]


@lru_cache
def _first_message(version: str, language: str, task: str, label_sets: int, near_misses: int) -> str:
    return PROMPTS[version][language][task].format(label_sets=label_sets, near_misses=near_misses)
