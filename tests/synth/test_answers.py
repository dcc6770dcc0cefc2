"""Answers: read as they are where they are JSON, repaired where they nearly are, and never made up."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.synth.answers import ANSWER_SCHEMAS, LabelSet, Said, read_answer

LABELS = st.lists(st.fixed_dictionaries({"label": st.text(max_size=6), "description": st.text(max_size=8)}), max_size=3)
ENTITIES = st.lists(st.fixed_dictionaries({"mention": st.text(max_size=6), "type": st.text(max_size=6)}), max_size=3)
SETS = {
    "classify": ("sets", st.fixed_dictionaries({"labels": LABELS, "near_misses": LABELS})),
    "ner": ("sets", st.fixed_dictionaries({"entities": ENTITIES, "types": LABELS, "near_misses": LABELS})),
    "typing": (
        "mentions",
        st.fixed_dictionaries({"mention": st.text(max_size=6), "labels": LABELS, "near_misses": LABELS}),
    ),
}
ANSWERS = st.sampled_from(sorted(SETS)).flatmap(
    lambda task: st.tuples(
        st.just(task),
        st.lists(SETS[task][1], min_size=1, max_size=3).map(lambda sets: {SETS[task][0]: sets}),
    )
)


def as_written(answer, task):
    """Return the label sets that an answer holds."""
    said = lambda listed: tuple(Said(one["label"], one["description"]) for one in listed)  # noqa: E731
    return [
        LabelSet(
            said(one.get("labels", one.get("types", []))),
            said(one["near_misses"]),
            tuple((entity["mention"], entity["type"]) for entity in one.get("entities", [])),
            one.get("mention", ""),
        )
        for one in answer[SETS[task][0]]
    ]


@given(ANSWERS)
def test_an_answer_says_what_it_says(drawn):
    task, answer = drawn
    assert read_answer(json.dumps(answer), task) == (as_written(answer, task), True)


@given(
    ANSWERS, st.sampled_from(["```json\n{}\n```", "Sure! Here it is:\n{}\nAnything else?", "<think>{{a}}</think>{}"])
)
def test_words_around_it_change_nothing(drawn, around):
    task, answer = drawn
    assert read_answer(around.format(json.dumps(answer)), task) == (as_written(answer, task), False)


@given(ANSWERS, st.data())
def test_what_was_cut_off_says_a_part_of_it(drawn, data):
    task, answer = drawn
    whole = json.dumps(answer, ensure_ascii=False)
    sets, plain = read_answer(whole[: data.draw(st.integers(0, len(whole) - 1))], task)
    assert not plain
    for found, expected in zip(sets or [], as_written(answer, task), strict=False):
        assert found.labels == expected.labels[: len(found.labels)]
        assert found.near_misses == expected.near_misses[: len(found.near_misses)]
        assert found.entities == expected.entities[: len(found.entities)]


def test_all_but_the_last_object_survives_a_cut():
    whole = '{"sets": [{"labels": [{"label": "a", "description": "b"}, {"label": "c", "description": "d"}'
    assert [one.labels for one in read_answer(whole[:-3], "classify")[0]] == [(Said("a", "b"),)]


@given(st.text(alphabet='{}[]",:\\ab1 n\n`<>', max_size=40), st.sampled_from(sorted(SETS)))
def test_nothing_raises(content, task):
    sets, _ = read_answer(content, task)
    assert sets is None or all(isinstance(one, LabelSet) for one in sets)


@pytest.mark.parametrize(
    ("content", "labels"),
    [
        ('[{"labels": ["a", "b"]}]', ["a", "b"]),
        ('{"labels": [{"name": "a"}, {"type": "b"}]}', ["a", "b"]),
        ('{"sets": {"labels": {"a": "what it means"}}}', ["a"]),
        ("{'sets': [{'labels': ['a',], 'near_misses': []}]}", ["a"]),
        ('{"sets": [{"labels": ["a", 1, null, {"b": 2}],}],}', ["a"]),
        ('```json\n{"sets": [{"labels": ["a,]", "```b"],}]}\n```', ["a,]", "```b"]),
        ('Of text [1] and {label}: {"sets": [{"labels": ["a"]}]}', ["a"]),
        ('{"plan": "two sets"}\n{"sets": [{"labels": ["a"]}]}', ["a"]),
    ],
)
def test_other_shapes(content, labels):
    assert [said.label for one in read_answer(content, "classify")[0] for said in one.labels] == labels


@pytest.mark.parametrize(
    "content", ['{"sets": [{"entities": {"person": ["Ann"]}}]}', '[{"entities": [["Ann", "person"]]}]']
)
def test_other_shapes_of_entities(content):
    assert read_answer(content, "ner")[0][0].entities == (("Ann", "person"),)


@pytest.mark.parametrize("content", ["", "no", "{}", "[]", '"a"', "[[[[", '{"sets": 3}', "[" * 100_000])
def test_no_answer(content):
    assert read_answer(content, "classify")[0] is None


def strict(schema):
    """Yield every object of a schema."""
    if schema.get("type") == "object":
        yield schema
        for inner in schema["properties"].values():
            yield from strict(inner)
    if schema.get("type") == "array":
        yield from strict(schema["items"])


@pytest.mark.parametrize("task", sorted(SETS))
def test_schemas_are_strict(task):
    """Servers that hold an answer to a strict schema want all keys required, and no others."""
    for one in strict(ANSWER_SCHEMAS[task]):
        assert one["additionalProperties"] is False
        assert one["required"] == list(one["properties"])
