"""Rows of every schema become gold answers: by hand-written rows, one by one."""

from dataclasses import replace

import pytest

from seqgpt.about import Place
from seqgpt.data.schemas import SCHEMAS, Reading, get_schema
from seqgpt.errors import ConfigError, DataError, GroundingError

TONE = Reading({"1": "praise", "0": "complaint"}, frozenset("2"))
NAMES = Reading({"PER": "人名", "LOC": "地名"}, language="zh")
PEOPLE = Reading({"PER": "person", "LOC": "place"}, language="en")
KIN = Reading({"P26": "spouse", "P40": "child"}, frozenset(["NA"]))
EVENTS = Reading(
    {"Attack": "attack", "Die": "death"},
    roles={"Attacker": "attacker", "Victim": "victim", "Place": "place"},
    arguments={"Die": ["Victim", "Place"]},
)


def convert(schema, task, rows, reading):
    rows = rows if isinstance(rows, list) else [rows]
    return list(get_schema(schema).tasks[task].convert(rows, reading))


def place(text, string, nth=0):
    start = -1
    for _ in range(nth + 1):
        start = text.index(string, start + 1)
    return {"text": string, "start": start}


def strings(extraction):
    return {label: [span.text for span in extraction[label]] for label in extraction.task.labels if extraction[label]}


def test_a_class_becomes_its_words():
    (gold,) = convert("text-classification", "classify", {"text": "Lovely.", "label": "1"}, TONE)
    assert (gold.text, gold.labels, gold.scores["praise"]) == ("Lovely.", ("praise",), 1.0)


def test_a_none_class_becomes_no_label():
    (gold,) = convert("text-classification", "classify", {"text": "Hm.", "label": "2"}, TONE)
    assert gold.abstained
    assert gold.task.none


def test_of_several_classes_each_is_asked():
    row = {"text": "Lovely soup.", "labels": ["1", "1", "0"]}
    (gold,) = convert("multi-label-classification", "classify", row, TONE)
    assert gold.labels == ("praise", "complaint")
    assert gold.task.multi_label


def test_of_a_pair_the_second_text_is_asked_about():
    row = {"text": "A man sleeps.", "text_pair": "Nobody is awake.", "label": "2"}
    (gold,) = convert("text-pair-classification", "classify", row, TONE)
    assert (gold.text, gold.task.about, gold.labels) == ("A man sleeps.", ("Nobody is awake.",), ())


def test_tags_become_spans_and_types_of_mentions():
    row = {"tokens": ["李", "白", "在", "李", "白"], "tags": ["B-PER", "I-PER", "O", "B-LOC", "I-LOC"]}
    (gold,) = convert("sequence-labelling", "extract", row, NAMES)
    assert strings(gold) == {"人名": ["李白"], "地名": ["李白"]}
    typed = convert("sequence-labelling", "typing", row, NAMES)
    assert [(one.task.about, one.labels) for one in typed] == [
        ((Place("李白", 0),), ("人名",)),
        ((Place("李白", 3),), ("地名",)),
    ]
    assert all(one.task.labels == ("人名", "地名") for one in typed)


def test_a_text_column_is_kept_as_it_is():
    row = {"tokens": ["李白", "!"], "tags": ["B-PER", "O"], "text": " 李白  !\r\n"}
    (gold,) = convert("sequence-labelling", "extract", row, NAMES)
    assert gold.spans[0].start == 1


def test_spans_may_nest_and_a_mention_may_have_two_types():
    text = "New York Times"
    spans = [("LOC", "New York", 0), ("PER", text, 0), ("LOC", text, 0), ("LOC", text, 0)]
    row = {"text": text, "spans": [{"label": label, "text": string, "start": start} for label, string, start in spans]}
    (gold,) = convert("span-extraction", "extract", row, PEOPLE)
    assert strings(gold) == {"person": [text], "place": ["New York", text]}
    whole, nested = convert("span-extraction", "typing", row, replace(PEOPLE, multi_label=True))
    assert (nested.labels, nested.task.multi_label) == (("place",), True)
    assert (whole.labels, whole.task.multi_label) == (("person", "place"), True)
    with pytest.raises(DataError, match="has the labels person, place: say multi_label: true"):
        convert("span-extraction", "typing", row, PEOPLE)


def test_a_mention_and_its_types():
    row = {"text": "Ann and Ann", "mention": "Ann", "start": 8, "end": 11, "labels": ["PER"]}
    (gold,) = convert("entity-typing", "typing", row, PEOPLE)
    assert (gold.task.about, gold.labels, gold.task.multi_label) == ((Place("Ann", 8),), ("person",), False)


PAIR = "relation-classification"
PAIRS = "Ann married Bob. Their children are Cid and Dan."


def pair(head, tail, label):
    return {"text": PAIRS, "head": place(PAIRS, head), "tail": place(PAIRS, tail), "label": label}


def test_a_relation_is_a_class_of_a_pair_and_the_tails_of_a_head():
    rows = [pair("Ann", "Bob", "P26"), pair("Ann", "Cid", "P40"), pair("Ann", "Dan", "P40"), pair("Ann", "Dan", "P40")]
    golds = [gold for row in (*rows, pair("Cid", "Dan", "NA")) for gold in convert(PAIR, "pair", row, KIN)]
    assert [gold.labels for gold in golds] == [("spouse",), ("child",), ("child",), ("child",), ()]
    assert golds[0].task.about == (Place("Ann", 0), Place("Bob", 12))
    assert get_schema(PAIR).tasks["pair"].group_by == ("text", "head", "tail")
    (tails,) = convert("relation-classification", "tail", rows, KIN)
    assert tails.task.about == (Place("Ann", 0),)
    assert strings(tails) == {"spouse": ["Bob"], "child": ["Cid", "Dan"]}
    (none,) = convert("relation-classification", "tail", [pair("Cid", "Dan", "NA")], KIN)
    assert none.absent == ("spouse", "child")
    assert get_schema("relation-classification").tasks["tail"].group_by == ("text", "head")


def test_a_pair_may_have_several_relations_if_the_recipe_says_so():
    rows = [pair("Ann", "Bob", "P26"), pair("Ann", "Bob", "NA"), pair("Ann", "Bob", "P40")]
    (gold,) = convert(PAIR, "pair", rows, replace(KIN, multi_label=True))
    assert (gold.labels, gold.task.multi_label, gold.task.none) == (("spouse", "child"), True, False)
    (gold,) = convert(PAIR, "pair", rows[:2], KIN)  # a relation, and "none of these" beside it
    assert gold.labels == ("spouse",)
    with pytest.raises(DataError, match="the pair has the labels spouse, child: say multi_label: true"):
        convert(PAIR, "pair", rows, KIN)


def test_tails_and_triggers_that_begin_together_are_all_kept():
    text = "Ann of New York Times"
    head = {"text": "Ann", "start": 0}
    tails = [{"text": string, "start": 7} for string in ("New York", "New York Times")]
    rows = [{"text": text, "head": head, "tail": tail, "label": "P40"} for tail in tails]
    (found,) = convert(PAIR, "tail", rows, KIN)
    assert strings(found) == {"child": ["New York", "New York Times"]}
    events = [{"type": "Die", "trigger": tail} for tail in tails]
    (found,) = convert("event-extraction", "triggers", {"text": text, "events": events}, EVENTS)
    assert strings(found) == {"death event": ["New York", "New York Times"]}


def test_mentions_by_token_indices():
    tokens = ["New", "York", "and", "New", "Jersey"]
    mention = [{"text": "york", "indices": [[0, 1]]}, {"text": "jersey", "indices": [[3, 4]]}]
    row = {"text": " ".join(tokens), "tokens": tokens, "head": mention[0], "tail": mention[1], "label": "P40"}
    (gold,) = convert("relation-classification", "pair", row, KIN)
    assert gold.task.about == (Place("New York", 0), Place("New Jersey", 13))


def test_triples_of_a_text():
    triples = [("Ann", "P26", "Bob"), ("Ann", "P40", "Cid"), ("Bob", "P40", place(PAIRS, "Cid")), ("Ann", "NA", "Cid")]
    row = {"text": PAIRS, "triples": [{"head": h, "relation": r, "tail": t} for h, r, t in triples]}
    ann, bob = convert("joint-triples", "tail", row, KIN)
    assert (strings(ann), strings(bob)) == ({"spouse": ["Bob"], "child": ["Cid"]}, {"child": ["Cid"]})
    pairs = convert("joint-triples", "pair", row, KIN)
    assert [gold.labels for gold in pairs] == [("spouse",), ("child",), ("child",)]
    assert all(gold.task.multi_label for gold in pairs)


REPORT = "Rebels attacked Kira. Two soldiers died in the attack."


def event(raw, trigger, *arguments):
    return {
        "type": raw,
        "trigger": trigger,
        "arguments": [{"role": role, **place(REPORT, string)} for role, string in arguments],
    }


def test_an_event_has_triggers_types_and_arguments():
    attack = place(REPORT, "attack", 1)
    events = [
        event("Attack", place(REPORT, "attacked"), ("Attacker", "Rebels"), ("Place", "Kira")),
        event("Attack", place(REPORT, "attacked"), ("Victim", "Two soldiers")),
        event("Die", place(REPORT, "died"), ("Victim", "Two soldiers")),
        event("Attack", attack),
        event("Die", attack),
    ]
    row = {"text": REPORT, "events": events}
    (found,) = convert("event-extraction", "triggers", row, EVENTS)
    assert strings(found) == {"attack event": ["attacked", "attack"], "death event": ["died", "attack"]}
    types = convert("event-extraction", "type", row, replace(EVENTS, multi_label=True))
    assert [gold.labels for gold in types] == [("attack",), ("death",), ("attack", "death")]
    assert all(gold.task.multi_label for gold in types)
    (one,) = convert("event-extraction", "type", {"text": REPORT, "events": events[2:3]}, EVENTS)
    assert (one.labels, one.task.multi_label) == (("death",), False)
    arguments = convert("event-extraction", "arguments", row, EVENTS)
    assert [strings(gold) for gold in arguments] == [
        {"attacker": ["Rebels"], "place": ["Kira"], "victim": ["Two soldiers"]},
        {"victim": ["Two soldiers"]},
        {},
        {},
    ]
    assert arguments[1].task.labels == ("victim", "place")
    assert arguments[2].task.about == ("attack", Place("attack", attack["start"]))


def test_a_text_without_events_has_no_triggers_and_no_other_questions():
    row = {"text": REPORT, "events": []}
    assert convert("event-extraction", "triggers", row, EVENTS)[0].spans == ()
    assert convert("event-extraction", "type", row, EVENTS) == []
    assert convert("event-extraction", "arguments", row, EVENTS) == []


def test_a_question_is_the_label_of_its_answer():
    answers = {"text": ["married Bob", "Bob", "Bob"], "answer_start": [4, 12, 12]}
    row = {"context": PAIRS, "question": "Whom did she marry?", "answers": answers}
    (gold,) = convert("extractive-qa", "reading", row, Reading({}))
    assert strings(gold) == {"Whom did she marry?": ["Bob"]}
    other = row | {"answers": {"text": ["Cid"], "answer_start": [36]}}
    none = row | {"answers": {"text": [], "answer_start": []}}
    (gold,) = convert("extractive-qa", "reading", [none, row, other], Reading({}))
    assert strings(gold) == {"Whom did she marry?": ["Bob", "Cid"]}  # an answer beats none, and may be at two places
    (unanswerable,) = convert(
        "extractive-qa", "reading", row | {"answers": {"text": [], "answer_start": []}}, Reading({})
    )
    assert unanswerable.absent == ("Whom did she marry?",)


def test_options_are_labels():
    row = {"context": PAIRS, "question": "Whom?", "choices": ["Ann", "Bob", "Bob"], "answer": 2}
    (gold,) = convert("multiple-choice", "choice", row, Reading({}))
    assert (gold.text, gold.task.about, gold.task.labels, gold.labels) == (PAIRS, ("Whom?",), ("Ann", "Bob"), ("Bob",))
    for without in ({"context": None}, {"context": " "}, {}):
        bare = {key: row[key] for key in ("question", "choices", "answer")} | without
        (gold,) = convert("multiple-choice", "choice", bare, Reading({}))
        assert (gold.text, gold.task.about) == ("Whom?", ())


@pytest.mark.parametrize(
    ("schema", "task", "row", "message"),
    [
        (
            "sequence-labelling",
            "extract",
            {"tokens": ["李"], "tags": ["B-PERS"]},
            "class 'PERS' is not among the",
        ),
        ("sequence-labelling", "extract", {"tokens": ["李"], "tags": [3]}, "the tags must be a list of strings"),
        ("sequence-labelling", "extract", {"tokens": None, "tags": []}, "the tokens must be a list of strings"),
        ("span-extraction", "extract", {"text": "a", "spans": None}, "the spans are None"),
        (
            "span-extraction",
            "extract",
            {"text": "Ann", "spans": [{"label": "PER", "text": "Bob", "start": 0}]},
            "the span of 'PER' 'Bob' is not in the text at 0, which has 'Ann'",
        ),
        ("text-pair-classification", "classify", {"text": "a", "text_pair": " ", "label": "1"}, "the text_pair is ' '"),
        ("relation-classification", "pair", pair("Ann", "Bob", "P40") | {"head": "Ann"}, "the head is 'Ann'"),
        (
            "relation-classification",
            "pair",
            pair("Ann", "Bob", "P40") | {"tail": {"text": "Bob", "start": 13}},
            "the tail 'Bob' is not in the text at 13",
        ),
        ("joint-triples", "tail", {"text": "a", "triples": "x"}, "the triples are 'x'"),
        ("joint-triples", "tail", {"text": "a", "triples": [{"head": "a"}]}, "a triple is {'head': 'a'}"),
        (
            "joint-triples",
            "tail",
            {"text": "a", "triples": [{"head": "b", "relation": "P40", "tail": "a"}]},
            "the head 'b' is not in the text",
        ),
        ("event-extraction", "triggers", {"text": "a", "events": [3]}, "the events are [3]"),
        ("event-extraction", "triggers", {"text": "a", "events": [{"type": "Die"}]}, "the trigger of 'Die' is None"),
        (
            "extractive-qa",
            "reading",
            {"context": "a", "question": None, "answers": {}},
            "the question is None",
        ),
        (
            "extractive-qa",
            "reading",
            {"context": "a", "question": "b", "answers": {"text": ["a", "a"], "answer_start": [0]}},
            "one start for each text",
        ),
        (
            "entity-typing",
            "typing",
            {"text": "Ann", "mention": "Ann", "start": 0, "labels": []},
            "the mention has no label",
        ),
        (
            "relation-classification",
            "pair",
            pair("Ann", "Bob", "P40") | {"tokens": ["Ann"], "head": {"text": "Ann", "indices": [[1]]}},
            "the head has the token indices [1]",
        ),
        (
            "multiple-choice",
            "choice",
            {"question": "a", "choices": ["b"], "answer": 1},
            "the answer is 1: give the index of one of the 1 choices",
        ),
    ],
)
def test_rows_that_do_not_convert(schema, task, row, message):
    reading = {
        "event-extraction": EVENTS,
        "span-extraction": PEOPLE,
        "entity-typing": PEOPLE,
        "text-pair-classification": TONE,
    }.get(schema, NAMES if schema == "sequence-labelling" else KIN)
    with pytest.raises((DataError, GroundingError)) as raised:
        convert(schema, task, row, reading)
    assert message in str(raised.value)


def test_an_unknown_schema_lists_the_known():
    with pytest.raises(ConfigError) as raised:
        get_schema("text-clasification")
    assert "Did you mean 'text-classification'?" in str(raised.value)
    assert all(name in str(raised.value) for name in SCHEMAS)
