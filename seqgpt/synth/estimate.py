"""What a synthesis will take, before the first call: requests, tokens and cost, by language and task."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from seqgpt.about import Place
from seqgpt.synth.config import SynthConfig
from seqgpt.synth.prices import Price
from seqgpt.synth.raw_texts import RawText
from seqgpt.synth.recipes_out import mentions_in, mentions_of_record
from seqgpt.synth.records import Records
from seqgpt.synth.requests import Request, distinct, plan
from seqgpt.synth.tokens import MENTIONS_EACH, Expectation

_LEARNT = 2000  # answers of each kind from which it is learnt; more say no more
_FEW = 30  # answers of a kind, below which an estimate is called a guess


@dataclass
class Part:
    """What one language and task will take, beside what is answered already."""

    requests: int = 0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0


@dataclass(frozen=True)
class Estimate:
    """What a synthesis will take.

    Attributes:
        parts: By language and task.
        price: What tokens cost, if it is known.
        answered: How many requests are answered already.
        learnt: From how many answers each part was learnt; the others are guessed.
    """

    parts: dict[tuple[str, str], Part]
    price: Price | None
    answered: int
    learnt: dict[tuple[str, str], int]

    @property
    def tokens(self) -> float:
        """All tokens."""
        return sum(part.prompt_tokens + part.completion_tokens for part in self.parts.values())

    @property
    def cost(self) -> float | None:
        """What is still to be paid; None if no price is known."""
        if self.price is None:
            return None
        return sum(self.price.cost(part.prompt_tokens, part.completion_tokens) for part in self.parts.values())

    def to_markdown(self) -> str:
        """Return a table, and what the figures rest on."""
        lines = [
            "| language | task | requests | prompt tokens | answer tokens | cost |",
            "|---|---|---:|---:|---:|---:|",
        ]
        for (language, task), part in sorted(self.parts.items()):
            cost = f"{self.price.cost(part.prompt_tokens, part.completion_tokens):,.2f}" if self.price else "-"
            lines.append(
                f"| {language} | {task} | {part.requests:,} | {part.prompt_tokens:,.0f} | "
                f"{part.completion_tokens:,.0f} | {cost} |"
            )
        total = [sum(getattr(part, key) for part in self.parts.values()) for key in Part.__annotations__]
        cost = "-" if self.cost is None else f"{self.cost:,.2f}"
        lines.append(f"| all | | {total[0]:,} | {total[1]:,.0f} | {total[2]:,.0f} | {cost} |")
        return "\n".join([*lines, "", self._basis()]) + "\n"

    def _basis(self) -> str:
        guessed = sorted(" ".join(group) for group in self.parts if self.learnt.get(group, 0) < _FEW)
        done = f"{self.answered:,} requests are answered already and not counted here. " if self.answered else ""
        if not self.price:
            done += "No price is known for this model: give teacher.price. "
        if not guessed:
            return f"{done}Tokens are those of the answers so far, on average."
        return (
            f"{done}A guess for {', '.join(guessed)}: how much a teacher writes shows when it is asked. Run a few "
            "texts (texts.limit=100), whose answers are kept, and estimate again."
        )


def estimate(config: SynthConfig, texts: Sequence[RawText], records: Records, price: Price | None) -> Estimate:
    """Estimate what a synthesis will take, learning from what is answered already.

    Where mentions are not known yet, so many are assumed as the other texts of this language have.
    """
    expectation = Expectation(config)
    parts: dict[tuple[str, str], Part] = defaultdict(Part)
    open_texts: list[Request] = []  # requests of entities whose mentions are not known
    known: dict[str, list[int]] = defaultdict(list)
    pending = []
    for request in plan(config, texts, mentions_in(records)):
        record = records.get(request.key)
        group = request.text.language, request.task
        if record is None:
            pending.append(request)
            if request.task == "ner" and "typing" in config.tasks and not request.text.mentions:
                open_texts.append(request)
            continue
        if expectation.seen(request.task, request.text.language) < _LEARNT:
            expectation.learn(request, record)
            if request.task == "ner":
                mentions = len(distinct(mentions_of_record(request, record)))
                known[request.text.language].append(min(mentions, config.max_mentions))
    pending += [_assumed(config, ner, known[ner.text.language], number) for number, ner in enumerate(open_texts)]
    for request in pending:
        group = request.text.language, request.task
        if request.task == "typing" and not request.mentions:
            continue
        part = parts[group]
        part.requests += 1
        part.prompt_tokens += expectation.prompt_tokens(request)
        part.completion_tokens += expectation.completion_tokens(request)
    learnt = {group: expectation.seen(group[1], group[0]) for group in parts}
    return Estimate(dict(parts), price, len(records), learnt)


def _assumed(config: SynthConfig, ner: Request, known: Sequence[int], number: int) -> Request:
    """Return the request of typing that will follow one of entities: with as many mentions as another text had."""
    each = MENTIONS_EACH[ner.text.language]
    count = known[number % len(known)] if known else min(config.max_mentions, int(each) + (number % 2 < each % 1))
    step = max(len(ner.text.text) // (count + 1), 1)
    size = 6 if ner.text.language == "en" else 3
    places = [Place(ner.text.text[i * step : i * step + size], i * step) for i in range(count)]
    return Request("typing", ner.text, tuple(places), config)
