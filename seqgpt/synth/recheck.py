"""Data sets that other teachers labelled, through the same cleaning: what of real answers would be rejected, and why.

A set's spans are read as if a teacher had answered with its mentions and the set's own names of types. So what is
found is what cleaning does to real labels: mentions that are parts of words, types that say nothing, texts that are
nearly the same or stand in a held-out test. Where a mention stands is asked anew, so it is counted, too, how many of
the set's spans are found again, and how many places a teacher's list of mentions would add.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from seqgpt.data.leaks import held_out_texts
from seqgpt.data.recipe import Recipe, list_recipes, load_recipe
from seqgpt.data.text_index import text_hash
from seqgpt.errors import ConfigError
from seqgpt.examples import BadRows
from seqgpt.results import Extraction
from seqgpt.synth.answers import LabelSet
from seqgpt.synth.cleaning import Cleaned, clean_set
from seqgpt.synth.label_space import LabelSpace
from seqgpt.synth.near_duplicates import NearDuplicates


@dataclass
class Recheck:
    """What cleaning does to a data set.

    Attributes:
        name: The recipe.
        texts: How many texts it has, all splits together.
        same: How many have the text of an earlier one.
        near: How many are nearly the same as an earlier one.
        held_out: How many stand in the test of a held-out set.
        spans: How many spans it has.
        found: How many of them are found again where they are.
        added: How many places cleaning adds.
        types: How many names of types it has.
        merged: How many of these are merged with another.
        rejected: Mentions that are rejected, by reason.
        shown: For each reason a rejected mention with its type.
    """

    name: str
    texts: int = 0
    same: int = 0
    near: int = 0
    held_out: int = 0
    spans: int = 0
    found: int = 0
    added: int = 0
    types: int = 0
    merged: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    shown: dict[str, list[str]] = field(default_factory=dict)


def synthetic_recipes() -> list[str]:
    """Return the shipped recipes of sets that models labelled, sorted."""
    return [name for name in list_recipes() if load_recipe(name).synthetic]


def recheck(name: str, data_root: str | Path | None = None) -> Recheck:
    """Clean the labels of a data set of entities, all splits together.

    Raises:
        ConfigError: If the recipe gives no spans.
        DataError: If the data cannot be read.
    """
    recipe = load_recipe(name)
    if "extract" not in recipe.tasks:
        raise ConfigError(
            f"recipe {name!r} gives no spans, so there is nothing to clean: name one of a set of entities."
        )
    held_out = set(held_out_texts(data_root).hashes.tolist())
    result, space, near, seen = Recheck(name), LabelSpace(), NearDuplicates(), set[int]()
    for gold in _golds(recipe, data_root):
        mark = text_hash(gold.text)
        result.texts += 1
        result.held_out += mark in held_out
        if mark in seen:
            result.same += 1
        else:
            result.near += near.is_one(gold.text, _language(recipe))
        seen.add(mark)
        _clean(gold, recipe, result, space)
    result.types = len(space.counts(recipe.language, "ner"))
    result.merged = space.merged.get(recipe.language, 0)
    return result


def to_markdown(results: Iterable[Recheck]) -> str:
    """Return what was found as two tables."""
    lines = [
        "| set | texts | the same | nearly | held out | spans | found again | rejected | added | types | merged |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    reasons = ["| set | rejected | times | of all spans | for example |", "|---|---|---:|---:|---|"]
    for one in results:
        rejected = one.rejected.total()
        lines.append(
            f"| {one.name} | {one.texts:,} | {one.same:,} | {one.near:,} | {one.held_out:,} | {one.spans:,} | "
            f"{one.found / max(one.spans, 1):.1%} | {rejected / max(one.spans, 1):.2%} | {one.added:,} | "
            f"{one.types:,} | {one.merged:,} |"
        )
        for reason, count in one.rejected.most_common():
            mention, kind = one.shown[reason]
            share = count / max(one.spans, 1)
            said = " ".join(f"“{mention}” as {kind}".split()).replace("|", "\\|")
            reasons.append(f"| {one.name} | {reason} | {count:,} | {share:.2%} | {said} |")
    return "\n".join([*lines, "", *reasons]) + "\n"


def _golds(recipe: Recipe, data_root: str | Path | None) -> Iterable[Extraction]:
    for split in recipe.splits(data_root):
        bad = BadRows()
        for example in recipe.examples(split, task="extract", data_root=data_root, on_bad_row="skip", bad_rows=bad):
            assert isinstance(example.gold, Extraction)  # noqa: S101  (the task is extraction)
            yield example.gold


def _clean(gold: Extraction, recipe: Recipe, result: Recheck, space: LabelSpace) -> None:
    own_names = {words: raw for raw, words in recipe.label_names().items()}
    entities = tuple(dict.fromkeys((span.text, own_names[span.label]) for span in gold.spans))
    cleaned = Cleaned()
    clean_set(LabelSet(entities=entities), "ner", gold.text, _language(recipe), (), cleaned)
    wrong = {tuple(what): reason for reason, what in cleaned.rejected if isinstance(what, list)}
    places = {(span.start, span.end) for one in cleaned.sets for span in one.spans}
    gold_places = {(span.start, span.end) for span in gold.spans}
    for span in gold.spans:
        mention = (span.text, own_names[span.label])
        result.spans += 1
        result.found += (span.start, span.end) in places
        if mention in wrong:
            result.rejected[wrong[mention]] += 1
            result.shown.setdefault(wrong[mention], list(mention))
        space.add(recipe.language, "ner", mention[1])
    result.added += len(places - gold_places)


def _language(recipe: Recipe) -> str:
    return "zh" if recipe.language == "zh" else "en"
