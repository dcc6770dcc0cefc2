"""Spans of the labels of an extraction, found together.

After the first pass all beginnings of all labels go on together, restricted to strings of the text. The spans of a
label are a set, and each token of a span is a question by itself: it is said with the probability σ(z - z_none), where
z and z_none are the logits of the token and of *none*. So several tokens may follow one another's place, each the
beginning of other spans; and a span has a probability, the product of those of its tokens, that does not depend on
what else is found. All spans that are likelier than a threshold are found, and no others: a beginning that is not
likelier than the threshold cannot become one.

A step reads the new token of every beginning, and, as long as that costs hardly more, a few of the tokens with which
the text goes on there: a draft. What is said behind them is right whether or not they are likely.
"""

from __future__ import annotations

import math
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from torch import Tensor

from seqgpt.engine.constraint import Offsets, SpanConstraint, Written
from seqgpt.engine.first_pass import Asked, Logits, Part, Spot, columns_of
from seqgpt.engine.forward import Continuation, Stepper
from seqgpt.engine.reading import MAX_SPAN_TOKENS
from seqgpt.engine.tree import TreeBatch
from seqgpt.results import Extraction, Span

MAX_PATHS = 64
"""Beginnings of spans of one label that are followed at once."""

MAX_PATHS_OF_A_TEXT = 512
"""The same, of all labels together that stand in one row with a text."""

MAX_READ_AT_ONCE = 1024
"""Tokens that the beginnings of one row read in one step."""

MAX_READ = 8192
"""Tokens that the beginnings of one row read in all."""

MAX_AHEAD = 5
"""Tokens that a beginning reads ahead."""

MAX_DRAFTS = {"cpu": 16, "cuda": 512}
"""Tokens that all beginnings together read ahead in one step, by device: about as many as cost little."""


@dataclass
class Answer:
    """What is said of one label of an extraction, as far as it is known.

    Attributes:
        label: The label.
        least: Log probability that its spans must exceed.
        constraint: The spans of the text.
        found: The probability of each span that was found.
        warnings: What was not followed to its end.
    """

    label: str
    least: float
    constraint: SpanConstraint
    found: dict[Offsets, float] = field(default_factory=dict)
    warnings: dict[str, None] = field(default_factory=dict)

    def note(self, written: Written, log_score: float) -> None:
        """Note the span that is written if it ends here, if that is likely."""
        place = self.constraint.place(written)
        if place and log_score > self.least:
            # The same string may be written with other tokens, which is less likely.
            score = min(math.exp(log_score), 1.0)
            self.found[place] = max(score, self.found.get(place, 0.0))


@dataclass
class OpenSpan:
    """The beginning of a span of a label.

    Attributes:
        answer: The label's answer.
        tokens: Its tokens.
        written: How far the span is written; None before its first token.
        log_score: Log probability of its tokens.
        row: Its row in the batch.
        node: Its node there; two paths of a label that part have nodes of their own.
        cue: The node of its cue.
        root: The node of its prompt.
        begin: Position of its first token.
        part: Number of the part of a plan that it belongs to; what is bounded is counted by part.
        unread: Number of its last tokens that its node has not read yet.
        draft: Tokens that may come next, which are read with them.
    """

    answer: Answer
    tokens: tuple[int, ...]
    written: Written | None
    log_score: float
    row: int
    node: int
    cue: int
    root: int
    begin: int
    part: int
    unread: int = 0
    draft: tuple[int, ...] = ()

    def to_read(self) -> Continuation:
        """Return the tokens that its node has not read yet, and the draft."""
        read = len(self.tokens) - self.unread
        tokens = self.tokens[read:] + self.draft
        return Continuation(
            self.row, self.node, (self.root, self.cue), self.begin + read, tokens, wanted=1 + len(self.draft)
        )

    def states(self) -> list[Written | None]:
        """Return what is written, and what would be with each token of the draft."""
        states = [self.written]
        for token in self.draft:
            states.append(self.answer.constraint.following(states[-1])[token])
        return states

    def grow(
        self, states: Sequence[Written | None], following: Sequence[Mapping[int, Written]], likely: Sequence[Tensor]
    ) -> list[OpenSpan]:
        """Return the likely beginnings that go on with this one, and note the spans that end on the way.

        Args:
            states: What is written, and what would be with each token of the draft.
            following: The tokens that may come next in each of these states, and where they lead.
            likely: For each state the log probabilities of an end and of those tokens.
        """
        longer = []
        log_score = self.log_score
        for depth, (written, steps, odds) in enumerate(zip(states, following, likely, strict=True)):
            scores, tokens = odds + log_score, list(steps)
            if written:
                self.answer.note(written, float(scores[0]))
            drafted = False
            for i in (scores[1:] > self.answer.least).nonzero().flatten().tolist():
                score = min(float(scores[i + 1]), 0.0)
                if depth < len(self.draft) and tokens[i] == self.draft[depth]:
                    drafted, log_score = True, score
                else:
                    longer.append(self._longer(depth, tokens[i], steps[tokens[i]], score))
            if not drafted:
                break
        return longer

    def _longer(self, depth: int, token: int, written: Written, log_score: float) -> OpenSpan:
        """Return the path with some tokens of the draft and one more; its node is its own if that has read no more."""
        return replace(
            self,
            tokens=(*self.tokens, *self.draft[:depth], token),
            written=written,
            log_score=log_score,
            node=self.node if depth == len(self.draft) else self.cue,
            unread=1,
            draft=(),
        )


@dataclass
class Spans(Asked):
    """An extraction while it is being answered.

    Attributes:
        thresholds: For each label, what the probability of its spans must exceed.
        constraint: The spans of the text.
        answers: The answer of each label.
    """

    thresholds: list[float]
    constraint: SpanConstraint
    answers: list[Answer] = field(default_factory=list)

    def open(self, part: Part, number: int, spots: Sequence[Spot], batch: TreeBatch) -> list[OpenSpan]:
        """Begin the answers of some labels; ``number`` is that of the part in its batch."""
        opened = []
        for i, spot in zip(part.branches, spots, strict=True):
            least = math.log(max(self.thresholds[i], sys.float_info.min))
            answer = Answer(self.plan.task.labels[i], least, self.constraint)
            self.answers.append(answer)
            node, root = int(batch.node[spot]), int(batch.root[spot])
            begin = len(self.plan.prompt) + len(self.plan.branches[i])
            opened.append(OpenSpan(answer, (), None, 0.0, spot[0], node, node, root, begin, number))
        return opened

    def result(self) -> Extraction:
        """Return the spans that were found."""
        text = self.plan.text
        warnings = tuple(warning for answer in self.answers for warning in answer.warnings)
        spans = tuple(
            Span(answer.label, text[start:end], start, end, score)
            for answer in self.answers
            for (start, end), score in answer.found.items()
        )
        return Extraction.of(text, self.plan.task, spans, truncated=bool(warnings), warnings=warnings)


class SpanSearch:
    """Follows beginnings of spans.

    Args:
        end: The token that ends a span.
        none: The token against which all others are held.
        max_positions: Number of positions that the model knows.
    """

    def __init__(self, end: int, none: int, max_positions: int) -> None:
        self._end = end
        self._none = none
        self._max_positions = max_positions

    def follow(self, paths: list[OpenSpan], rows: Sequence[int], logits: Logits, stepper: Stepper) -> None:
        """Follow all beginnings that are likelier than the threshold, until none is left.

        Args:
            paths: The beginnings, nothing of which is written yet.
            rows: The row of logits of what follows each.
            logits: The logits.
            stepper: The state after the first pass.
        """
        read: Counter[int] = Counter()
        while paths:
            states = [path.states() for path in paths]
            following = [
                [path.answer.constraint.following(written) for written in members]
                for path, members in zip(paths, states, strict=True)
            ]
            options = [[self._end, *steps] for members in following for steps in members]
            likely = iter(logits.yes(rows, options, self._none))
            grown = [
                longer
                for path, members, steps in zip(paths, states, following, strict=True)
                for longer in path.grow(members, steps, [next(likely) for _ in members])
            ]
            paths = self._keep(grown, read)
            if paths:
                paths = self._look_ahead(_apart(paths, stepper), stepper)
                for path in paths:
                    read[path.part] += len(path.to_read().tokens)
                columns = self._columns(paths)
                logits = Logits(stepper.feed([path.to_read() for path in paths], columns), columns)
                rows = range(len(logits.values))

    def _columns(self, paths: Sequence[OpenSpan]) -> Tensor:
        """Return the tokens that may follow what is written, or would be with a draft."""
        states = ((path.answer.constraint, written) for path in paths for written in path.states())
        following = (token for constraint, written in states for token in constraint.following(written))
        return columns_of([self._end, self._none, *following])

    def _look_ahead(self, paths: list[OpenSpan], stepper: Stepper) -> list[OpenSpan]:
        """Give paths a draft each, if their part has room for that."""
        if stepper.layout == "rows":  # what a row has read stays read
            return paths
        together = Counter(path.part for path in paths)
        drafted = []
        for path in paths:
            most = min(MAX_AHEAD, MAX_DRAFTS.get(stepper.device.type, 0) // together[path.part])
            room = min(MAX_SPAN_TOKENS, self._max_positions - path.begin) - len(path.tokens)
            draft = path.answer.constraint.ahead(path.written, min(most, room)) if path.written else []
            drafted.append(replace(path, draft=tuple(draft)))
        return drafted

    def _keep(self, paths: list[OpenSpan], read: Counter[int]) -> list[OpenSpan]:
        """Leave out, with a warning, what would be too long or too much to follow; the likeliest first."""
        kept: list[OpenSpan] = []
        followed: Counter[int] = Counter()
        of_part: Counter[int] = Counter()
        reading: Counter[int] = Counter()
        for path in sorted(paths, key=lambda path: -path.log_score):
            answer, part = path.answer, path.part
            if len(path.tokens) > MAX_SPAN_TOKENS or path.begin + len(path.tokens) > self._max_positions:
                n = len(path.tokens) - 1
                answer.warnings[f"a span of {answer.label!r} was not found: it has more than {n} tokens."] = None
            elif (
                followed[id(answer)] >= MAX_PATHS
                or of_part[part] >= MAX_PATHS_OF_A_TEXT
                or reading[part] + len(path.tokens) > min(MAX_READ_AT_ONCE, MAX_READ - read[part])
            ):
                answer.warnings[
                    f"spans of {answer.label!r} may be missing: more were likely than are followed at once "
                    f"({MAX_PATHS} of a label, {MAX_PATHS_OF_A_TEXT} of a text), and only the likeliest were."
                ] = None
            else:
                kept.append(path)
                followed[id(answer)] += 1
                of_part[part] += 1
                reading[part] += len(path.tokens)  # all of them, if it parts from another one
        return kept


def _apart(paths: Sequence[OpenSpan], stepper: Stepper) -> list[OpenSpan]:
    """Give paths that leave their cue, or part, a place of their own, where they are read once more; one stays."""
    if stepper.layout == "rows":
        stepper.select([path.row for path in paths])
        return [replace(path, row=row) for row, path in enumerate(paths)]
    taken: set[Spot] = set()
    apart = []
    for path in paths:
        parts = path.node == path.cue or (path.row, path.node) in taken
        taken.add((path.row, path.node))
        apart.append(replace(path, node=stepper.new_node(path.row), unread=len(path.tokens)) if parts else path)
    return apart
