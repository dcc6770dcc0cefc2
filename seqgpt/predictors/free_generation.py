"""The same model without constraint: what it writes by itself, read as far as it can be read.

How much of what the constrained engine gives is owed to the constraint is measured so: the model, its prompts and the
parts in which long texts are read are the same; but ``generate`` of transformers writes whatever is likeliest, tokens
that cannot be right included, and the answer is then parsed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import takewhile
from typing import Any, NamedTuple

import torch
from tqdm.auto import tqdm
from transformers import GenerationConfig

from seqgpt.engine.groups import Group, unite
from seqgpt.engine.plan import Plan, encode_prompt
from seqgpt.engine.reading import Part
from seqgpt.engine.released_code import MAX_NEW_TOKENS as RELEASED_MAX_NEW_TOKENS
from seqgpt.engine.windows import join
from seqgpt.errors import ConfigError, ModelError
from seqgpt.evaluation.predictor import FreeAnswer, no_answer
from seqgpt.model import SeqGPT
from seqgpt.rendered import Mark, Piece, Rendered, is_mark
from seqgpt.results import Classification, Extraction, Result
from seqgpt.tasks import AtomicTask
from seqgpt.templates.base import Read
from seqgpt.templates.lenient import read_answer
from seqgpt.templates.marks import END, NONE, YES, MarksTemplate, cue
from seqgpt.templates.released import chunks
from seqgpt.texts import check_text

MAX_NEW_TOKENS = 64
"""Most tokens of the answer of one label."""


class _Ask(NamedTuple):
    """One prompt, and what its answer answers.

    Attributes:
        prompt: Token ids.
        text: The text, or the part of it that is read.
        task: The labels that are asked with it.
        cue: What the prompt ends with that is part of the answer.
    """

    prompt: tuple[int, ...]
    text: str
    task: AtomicTask
    cue: tuple[Piece, ...] = ()


class FreeGeneration:
    """Answers atomic tasks with what a model writes freely.

    A model of the library's own template has learnt to answer each label by itself, behind the prompt and the label's
    cue (``person<|is|>``), so it is asked label by label; of labels that exclude one another it writes the one that
    holds, behind the prompt alone. Of the spans of a label, too, each was learnt by itself, directly behind the cue:
    what follows the end mark of a span was never trained, so there an answer ends. **Greedy writing (``num_beams=1``)
    therefore finds one span of a label at most**, which limits recall. With ``num_beams=n`` the ``n`` likeliest answers
    behind the cue are taken, down to the one that is ``<|none|>``: up to ``n`` spans. Probabilities are not given: all
    are 1.

    Such a model is trained among the tokens that the constraint allows, and nowhere told to avoid the others. One that
    was trained from random weights on nothing else therefore writes much that is no answer: that says what the
    constraint is worth to it, not how good a model would be that was trained to write freely.

    A model of the released template writes the lines of up to six labels, or the labels of a classification, as it was
    trained; beams then search for the one answer. (``compat="released"`` has the settings of the released code.)

    An answer is malformed if anything in it cannot be read, a label is answered twice or not at all or was not asked,
    or the answer is not complete after ``max_new_tokens`` or where the model reads no more. Prompts share nothing in
    ``generate``, so it is slow.

    Args:
        model: The model.
        max_new_tokens: Most tokens of an answer; by default 64, and 256 of the released template, as in the released
            code.
        num_beams: Answers that are followed at once.
        batch_size: Prompts that are computed together.
    """

    def __init__(
        self, model: SeqGPT, *, max_new_tokens: int | None = None, num_beams: int = 1, batch_size: int = 16
    ) -> None:
        self._marks = isinstance(model.template, MarksTemplate)
        if max_new_tokens is None:
            max_new_tokens = MAX_NEW_TOKENS if self._marks else RELEASED_MAX_NEW_TOKENS
        for name, value in (("max_new_tokens", max_new_tokens), ("num_beams", num_beams), ("batch_size", batch_size)):
            if value < 1:
                raise ConfigError(f"{name} is {value}: give at least 1.")
        self.model = model
        self.max_new_tokens = max_new_tokens
        self.num_beams = num_beams
        self.batch_size = batch_size
        vocabulary = model.vocabulary
        end_of_text = model.tokenizer.eos_token_id
        self._end_of_text = [end_of_text] if isinstance(end_of_text, int) else []
        marks = [END, NONE, YES] if self._marks else []
        self._ends = [*(vocabulary.mark(mark) for mark in marks), *self._end_of_text]
        if not self._ends:
            raise ModelError("the tokenizer names no end of a text (eos_token), which ends an answer: set it.")
        padding = model.tokenizer.pad_token_id
        self._padding = padding if isinstance(padding, int) else self._ends[0]

    def predict_pairs(self, pairs: Sequence[tuple[str, AtomicTask]], *, progress: bool = False) -> list[FreeAnswer]:
        """Answer each task on its text.

        Raises:
            TextError: If a text is empty, or labels leave no room for it.
        """
        read = [[(group, self._parts(text, group)) for group in self._groups(text, task)] for text, task in pairs]
        asked = [[[list(self._asks(part.plan)) for part in parts] for _, parts in groups] for groups in read]
        every = [ask for groups in asked for parts in groups for asks in parts for ask in asks]
        answers = iter(self._write(every, progress=progress))
        written = []
        for (text, task), groups, asks in zip(pairs, read, asked, strict=True):
            reads: list[Read] = []
            united = []
            for (group, parts), of_parts in zip(groups, asks, strict=True):
                found = [
                    _together(part.window.text, part.plan.task, [next(answers) for _ in of_part])
                    for part, of_part in zip(parts, of_parts, strict=True)
                ]
                reads += found
                united.append(_joined(text, group.task, parts, [one.result for one in found]))
            result = unite(text, task, [group for group, _ in groups], united) if len(groups) > 1 else united[0]
            if len(reads) > 1 and task.kind == "classify" and not any(_held(one.result) for one in reads):
                result = no_answer(text, task)  # of scores that are all 0 the first would be taken
            written.append(
                FreeAnswer(result, any(one.malformed for one in reads), sum(one.ungrounded for one in reads))
            )
        return written

    def _groups(self, text: str, task: AtomicTask) -> list[Group]:
        return self.model.reader.groups(check_text(text), task, "chunk")

    def _parts(self, text: str, group: Group) -> list[Part]:
        return self.model.reader.parts(text, group.task, "chunk")

    def _asks(self, plan: Plan) -> Iterator[_Ask]:
        """Yield the prompts of a plan."""
        task, vocabulary = plan.task, self.model.vocabulary
        if not self._marks:
            parts = chunks(task.labels) if task.kind == "extract" else [task.labels]
            for labels in parts:
                chunk = task.with_labels(labels)
                yield _Ask(encode_prompt(plan.text, chunk, vocabulary, self.model.template), plan.text, chunk)
        elif task.single_label:
            yield _Ask(plan.prompt, plan.text, task)
        else:
            for label, branch in zip(task.labels, plan.branches, strict=True):
                yield _Ask(plan.prompt + branch, plan.text, task.with_labels([label]), cue(label))

    def _write(self, asks: Sequence[_Ask], *, progress: bool) -> list[Read]:
        """Let the model write what follows each prompt; those of like length together, the longest first."""
        order = sorted(range(len(asks)), key=lambda i: -len(asks[i].prompt))
        read: dict[int, Read] = {}
        module = self.model.model
        was_training, settings = module.training, module.generation_config
        module.eval()
        module.generation_config = GenerationConfig()  # what is not said takes its value from there
        try:
            with tqdm(total=len(asks), desc="generate", unit=" prompts", disable=not progress) as bar:
                for start in range(0, len(order), self.batch_size):
                    members = order[start : start + self.batch_size]
                    for i, answers in zip(members, self._generate([asks[i].prompt for i in members]), strict=True):
                        read[i] = self._read(asks[i], answers)
                    bar.update(len(members))
        finally:
            module.train(was_training)
            module.generation_config = settings
        return [read[i] for i in range(len(asks))]

    @torch.no_grad()
    def _generate(self, prompts: Sequence[tuple[int, ...]]) -> list[list[list[int]]]:
        """Return the likeliest answers to each prompt as token ids, the likeliest first."""
        module: Any = self.model.model
        longest = max(map(len, prompts))
        ids = torch.tensor([[self._padding] * (longest - len(one)) + [*one] for one in prompts])
        mask = torch.tensor([[0] * (longest - len(one)) + [1] * len(one) for one in prompts])
        written = module.generate(
            input_ids=ids.to(module.device),
            attention_mask=mask.to(module.device),
            generation_config=self._settings(longest),
        )
        answers = [self._cut(row) for row in written[:, longest:].tolist()]
        return [answers[i : i + self.num_beams] for i in range(0, len(answers), self.num_beams)]

    def _settings(self, longest: int) -> GenerationConfig:
        """Return how answers are written behind prompts of so many tokens."""
        beams: dict[str, Any] = {"num_beams": self.num_beams, "num_return_sequences": self.num_beams}
        if self._marks and self.num_beams > 1:
            beams["length_penalty"] = 0.0  # answers compare by their probabilities
        return GenerationConfig(
            max_new_tokens=min(self.max_new_tokens, self.model.max_positions - longest),
            do_sample=False,
            eos_token_id=self._ends,
            pad_token_id=self._padding,
            **beams,
        )

    def _cut(self, ids: list[int]) -> list[int]:
        """Return an answer up to what ends it."""
        last = next((i for i, token in enumerate(ids) if token in self._ends), len(ids))
        return ids[: last + 1]

    def _read(self, ask: _Ask, answers: Sequence[list[int]]) -> Read:
        """Read the answers to one prompt."""
        template = self.model.template
        written = [self._pieces(ids) for ids in answers]
        if not self._marks:
            words = [piece for piece in written[0] if not is_mark(piece)]
            read = read_answer(ask.task, "".join(words), ask.text, template)
            complete = answers[0][-1] in self._ends and not any(map(is_mark, written[0][:-1]))
            return read._replace(malformed=read.malformed or not complete)
        kept = written[:1]
        if ask.task.kind == "extract":
            kept += takewhile(lambda pieces: not _is_none(pieces), () if _is_none(written[0]) else written[1:])
        reads = [read_answer(ask.task, Rendered.join([*ask.cue, *pieces]), ask.text, template) for pieces in kept]
        return _together(ask.text, ask.task, reads)

    def _pieces(self, ids: Iterable[int]) -> list[Piece]:
        """Return an answer as marks and words; other special tokens are marks, too."""
        vocabulary = self.model.vocabulary
        pieces: list[Piece] = []
        words = b""
        for token in ids:
            data = vocabulary.bytes_of[token] if token < len(vocabulary) else b""
            if data:
                words += data
                continue
            pieces += [words.decode(errors="replace")] if words else []
            words = b""
            pieces.append(Mark(self.model.tokenizer.convert_ids_to_tokens(token) or f"<{token}>"))
        return [*pieces, words.decode(errors="replace")] if words else pieces


def _held(result: Result) -> tuple[str, ...]:
    return result.labels if isinstance(result, Classification) else ()


def _is_none(pieces: Sequence[Piece]) -> bool:
    return len(pieces) == 1 and is_mark(pieces[0], NONE)


def _together(text: str, task: AtomicTask, reads: Sequence[Read]) -> Read:
    """Make one of what was read of several prompts, or of several answers."""
    if len(reads) == 1 and reads[0].result.task == task:
        return reads[0]
    results = [one.result for one in reads]
    notes: dict[str, Any] = {
        "warnings": tuple(dict.fromkeys(warning for result in results for warning in result.warnings)),
        "raw": "".join(result.raw for result in results),
    }
    result: Result
    if task.kind == "extract":
        spans = [span for result in results if isinstance(result, Extraction) for span in result.spans]
        result = Extraction.of(text, task, spans, **notes)
    else:
        labels = [label for result in results for label in _held(result)]
        result = Classification.of(text, task, tuple(labels), **notes)
    return Read(result, any(one.malformed for one in reads), sum(one.ungrounded for one in reads))


def _joined(text: str, task: AtomicTask, parts: Sequence[Part], results: Sequence[Result]) -> Result:
    return results[0] if parts[0].window.text == text else join(text, task, [part.window for part in parts], results)
