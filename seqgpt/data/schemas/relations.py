"""Relations between two mentions: pairs with their relation, and lists of triples."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from seqgpt.data.schemas.base import Conversion, Reading, Row, Schema, each, read_place, string_list
from seqgpt.data.tags import align_tokens
from seqgpt.errors import DataError, GroundingError
from seqgpt.grounding import ground
from seqgpt.questions import relation_question, tail_question
from seqgpt.results import Classification, Extraction, Result
from seqgpt.texts import check_text

Place = dict[str, Any]


def relation_of_a_pair(rows: Sequence[Row], reading: Reading) -> Iterator[Classification]:
    """Read a pair of mentions with its relations, of which each row tells one; "none of these" gives way to others."""
    text = check_text(rows[0]["text"])
    head, tail = _member(rows[0], "head", text), _member(rows[0], "tail", text)
    task = relation_question(head, tail, reading.words, multi_label=reading.multi_label, none=reading.abstains)
    yield Classification.of(text, task, reading.single([str(row["label"]) for row in rows], "pair"))


def tails_of_a_head(rows: Sequence[Row], reading: Reading) -> Iterator[Extraction]:
    """Read all pairs of one head in one text: for each relation, the tails."""
    text = check_text(rows[0]["text"])
    head = _member(rows[0], "head", text)
    tails: dict[str, list[Place]] = {}
    for row in rows:
        for relation in reading.names([str(row["label"])]):
            tails.setdefault(relation, []).append(_member(row, "tail", text))
    yield _tails(text, head, tails, reading)


def triples_by_head(row: Row, reading: Reading) -> Iterator[Extraction]:
    """Read a text with its triples: for each head and relation, the tails."""
    text = check_text(row["text"])
    by_head: dict[tuple[int, str], dict[str, list[Place]]] = {}
    for head, relation, tail in _triples(row, text):
        tails = by_head.setdefault((head["start"], head["text"]), {})
        for name in reading.names([relation]):
            tails.setdefault(name, []).append(tail)
    for (start, string), tails in by_head.items():
        yield _tails(text, {"text": string, "start": start}, tails, reading)


def relations_of_triples(row: Row, reading: Reading) -> Iterator[Result]:
    """Read a text with its triples: for each pair, its relations, of which there may be several."""
    text = check_text(row["text"])
    by_pair: dict[tuple[int, str, int, str], list[str]] = {}
    for head, relation, tail in _triples(row, text):
        key = (head["start"], head["text"], tail["start"], tail["text"])
        by_pair.setdefault(key, []).append(relation)
    for (at_head, head_text, at_tail, tail_text), relations in by_pair.items():
        head, tail = {"text": head_text, "start": at_head}, {"text": tail_text, "start": at_tail}
        task = relation_question(head, tail, reading.words, multi_label=True)
        yield Classification.of(text, task, reading.names(relations))


def _member(row: Row, role: str, text: str) -> Place:
    """Return the place of a mention, which a row tells by characters, or by the indices of its tokens (FewRel)."""
    value = row[role]
    if "tokens" not in row or not isinstance(value, Mapping) or "indices" not in value:
        return read_place(row, role, text)
    tokens, indices = string_list(row, "tokens"), value["indices"][0]
    if not indices or min(indices) < 0 or max(indices) >= len(tokens):
        raise DataError(f"the {role} has the token indices {indices!r}: give indices of the {len(tokens)} tokens.")
    starts = align_tokens(tokens, text)
    start, end = starts[indices[0]], starts[indices[-1]] + len(tokens[indices[-1]])
    return {"text": text[start:end], "start": start}


def _tails(text: str, head: Place, tails: Mapping[str, Sequence[Place]], reading: Reading) -> Extraction:
    distinct = {
        relation: list({(tail["start"], tail["text"]): tail for tail in found}.values())
        for relation, found in tails.items()
    }
    return ground(tail_question(head, reading.words), distinct, text)


def _triples(row: Row, text: str) -> Iterator[tuple[Place, str, Place]]:
    triples = row["triples"]
    if not isinstance(triples, Iterable) or isinstance(triples, str | Mapping):
        raise DataError(f"the triples are {triples!r}: give a list of {{head, relation, tail}}.")
    for triple in triples:
        if not isinstance(triple, Mapping) or not {"head", "relation", "tail"} <= set(triple):
            raise DataError(f"a triple is {triple!r}: give {{head, relation, tail}}.")
        yield _mention(triple["head"], text, "head"), str(triple["relation"]), _mention(triple["tail"], text, "tail")


def _mention(value: object, text: str, what: str) -> Place:
    """Return the place of a mention; of a string without one, its first occurrence."""
    if isinstance(value, str):
        if value not in text:
            raise GroundingError(f"the {what} {value!r} is not in the text: copy it from there, letter by letter.")
        return {"text": value, "start": text.index(value)}
    return read_place({what: value}, what, text)


RELATION_CLASSIFICATION = Schema(
    ("text", "head", "tail", "label"),
    {
        "pair": Conversion(relation_of_a_pair, group_by=("text", "head", "tail")),
        "tail": Conversion(tails_of_a_head, group_by=("text", "head")),
    },
    optional=("tokens",),
    classes="label",
    abstains=True,
)
JOINT_TRIPLES = Schema(("text", "triples"), {"tail": each(triples_by_head), "pair": each(relations_of_triples)})
