"""From rows of a data set to gold answers: one converter per schema and atomic task, none per data set.

A schema says which roles its columns play, and which atomic tasks its rows give. To add one, write a small function
``(row, reading) -> results`` and list its schema here.
"""

from __future__ import annotations

from seqgpt.data.schemas.base import Reading, Row, Schema
from seqgpt.data.schemas.comprehension import EXTRACTIVE_QA, MULTIPLE_CHOICE
from seqgpt.data.schemas.events import EVENT_EXTRACTION
from seqgpt.data.schemas.own_labels import OWN_CLASSES, OWN_TYPES, OWN_TYPES_OF_A_MENTION
from seqgpt.data.schemas.relations import JOINT_TRIPLES, RELATION_CLASSIFICATION
from seqgpt.data.schemas.spans import ENTITY_TYPING, SEQUENCE_LABELLING, SPAN_EXTRACTION
from seqgpt.data.schemas.texts import MULTI_LABEL, TEXT_CLASSIFICATION, TEXT_PAIRS
from seqgpt.errors import ConfigError, did_you_mean

CONVERTERS_VERSION = 2
"""Raised whenever a converter gives other examples for the same rows, so that what was computed before is not used."""

SCHEMAS: dict[str, Schema] = {
    "text-classification": TEXT_CLASSIFICATION,
    "text-pair-classification": TEXT_PAIRS,
    "multi-label-classification": MULTI_LABEL,
    "sequence-labelling": SEQUENCE_LABELLING,
    "span-extraction": SPAN_EXTRACTION,
    "entity-typing": ENTITY_TYPING,
    "relation-classification": RELATION_CLASSIFICATION,
    "joint-triples": JOINT_TRIPLES,
    "event-extraction": EVENT_EXTRACTION,
    "extractive-qa": EXTRACTIVE_QA,
    "multiple-choice": MULTIPLE_CHOICE,
    "own-classes": OWN_CLASSES,
    "own-types": OWN_TYPES,
    "own-types-of-a-mention": OWN_TYPES_OF_A_MENTION,
}

__all__ = ["CONVERTERS_VERSION", "SCHEMAS", "Reading", "Row", "Schema", "get_schema"]


def get_schema(name: str) -> Schema:
    """Return a schema by name.

    Raises:
        ConfigError: If there is none of that name.
    """
    if name not in SCHEMAS:
        raise ConfigError(f"unknown schema {name!r}.{did_you_mean(name, SCHEMAS)} Use one of {', '.join(SCHEMAS)}.")
    return SCHEMAS[name]
