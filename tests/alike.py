"""Results that differ by rounding only: sums are taken in another order in another batch."""

import dataclasses

import pytest

from seqgpt.results import Extraction, Result


def assert_alike(one: Result, other: Result) -> None:
    """Same spans, labels and warnings; scores equal to rounding."""
    assert type(one) is type(other)
    assert (one.text, one.task, one.truncated, one.warnings) == (
        other.text,
        other.task,
        other.truncated,
        other.warnings,
    )
    if isinstance(one, Extraction):
        assert [dataclasses.replace(s, score=0) for s in one.spans] == [
            dataclasses.replace(s, score=0) for s in other.spans
        ]
        assert [s.score for s in one.spans] == pytest.approx([s.score for s in other.spans], abs=1e-4)
    else:
        assert one.labels == other.labels
        assert one.scores == pytest.approx(other.scores, abs=1e-4)
