"""Which requests a text gives: one per task; typing is asked once mentions are known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from seqgpt.about import Place
from seqgpt.synth.answers import ANSWER_SCHEMAS
from seqgpt.synth.config import SynthConfig
from seqgpt.synth.prompts import render
from seqgpt.synth.raw_texts import RawText


@dataclass(frozen=True)
class Request:
    """A question to a teacher.

    Attributes:
        task: ``"classify"``, ``"ner"`` or ``"typing"``.
        text: The text.
        mentions: The mentions whose types are asked, of typing.
        config: The synthesis, which says who is asked, and how.
    """

    task: str
    text: RawText
    mentions: tuple[Place, ...]
    config: SynthConfig

    @property
    def messages(self) -> list[dict[str, str]]:
        """What the teacher reads."""
        return render(
            self.config.prompts,
            self.text.language,
            self.task,
            self.text.text,
            mentions=[mention.text for mention in self.mentions],
            label_sets=self.config.label_sets,
            near_misses=self.config.near_misses,
        )

    @cached_property
    def key(self) -> str:
        """A hash of model, parameters and messages: what is asked again is the same request.

        How the answer is held to its form is no part of it: that depends on what a server can.
        """
        teacher = self.config.teacher
        asked = [teacher.model, teacher.parameters, self.messages]
        said = json.dumps(asked, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.blake2b(said.encode(), digest_size=16).hexdigest()

    def body(self, answers: str) -> dict[str, Any]:
        """Return what is sent.

        Args:
            answers: How the answer is held to its form: ``"schema"``, ``"object"`` or ``"text"``.
        """
        teacher = self.config.teacher
        body: dict[str, Any] = {"model": teacher.model, "messages": self.messages, **teacher.parameters}
        if answers == "schema":
            schema = {"name": f"{self.task}_answer", "strict": True, "schema": ANSWER_SCHEMAS[self.task]}
            body["response_format"] = {"type": "json_schema", "json_schema": schema}
        elif answers == "object":
            body["response_format"] = {"type": "json_object"}
        return body


MentionsOf = Callable[[RawText, Request], Sequence[Place] | None]
"""From a text and its request of entities to the mentions that its answer has; None as long as there is no answer."""


def plan(config: SynthConfig, texts: Iterable[RawText], mentions_of: MentionsOf) -> Iterator[Request]:
    """Yield the requests that can be asked now, text by text.

    Args:
        config: The synthesis.
        texts: The texts.
        mentions_of: Tells the mentions that are known.
    """
    for text in texts:
        ner = Request("ner", text, (), config)
        for task in config.tasks:
            if task != "typing":
                yield ner if task == "ner" else Request(task, text, (), config)
                continue
            found = text.mentions or mentions_of(text, ner)
            if found:
                yield Request(task, text, tuple(distinct(found)[: config.max_mentions]), config)


def distinct(places: Sequence[Place]) -> list[Place]:
    """Return the first place of each string."""
    first: Mapping[str, Place] = {place.text: place for place in reversed(places)}
    return sorted(first.values(), key=lambda place: place.start)
