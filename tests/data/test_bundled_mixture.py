"""What the bundled model is trained on may stand in a published model, and nothing of it is held out."""

import re
from functools import lru_cache

import pytest

from seqgpt.data.mixture import find_sources
from seqgpt.data.mixture_config import load_mixture_config
from seqgpt.data.recipe import list_recipes, load_recipe

FORBIDDEN = re.compile(
    r"\bNC\b|\bND\b|non-?commercial|commercial use on request|no-?deriv|academic use|THUCTC", re.IGNORECASE
)
STAGES = ("bundled_fine_grained", "bundled")
FOR_RESEARCH = re.compile(r"research use", re.IGNORECASE)


@lru_cache
def recipes():
    sources = [one for stage in STAGES for one in find_sources(load_mixture_config(stage))]
    return [load_recipe(name) for name in sorted({source.partition(":")[0] for source in sources})]


@pytest.mark.slow
def test_nothing_is_held_out_or_in_conflict_with_it():
    assert [one.name for one in recipes() if one.held_out or one.conflicts] == []


def test_no_licence_forbids_use_in_a_published_model():
    assert [one.name for one in recipes() if FORBIDDEN.search(one.licence)] == []


def test_no_stated_licence_is_for_research_only():
    stated = [one for one in recipes() if not one.licence.startswith("unknown")]
    assert [one.name for one in stated if FOR_RESEARCH.search(one.licence)] == []


def test_what_is_left_out_is_left_out_for_a_reason():
    excluded = {load_recipe(name) for name in list_recipes() if name in load_mixture_config("bundled").exclude}
    allowed = {one.name for one in excluded if not (FORBIDDEN.search(one.licence) or FOR_RESEARCH.search(one.licence))}
    assert allowed == {"gliner_sample_free_types", "fin_sec_filings"}
