"""Composite tasks in ``predict``: what is asked by hand gives the same, alone or together, in any batch."""

import json
from dataclasses import fields, is_dataclass

import pytest

import seqgpt
from seqgpt import AtomicTask, questions
from seqgpt.composite import (
    Record,
    Relations,
    aspect_sentiment,
    choice,
    events,
    intent,
    nli,
    reading,
    relations,
    schema,
    slots,
    typing,
    utterance,
)
from seqgpt.engine import released_code
from seqgpt.errors import GroundingError, LabelError, TextError
from seqgpt.results import Extraction, Span
from tests.alike import assert_alike

TEXTS = ["Ann met Bob.", "王芳去杭州。", "Tim Cook left."]
PEOPLE = relations({"person": ["employer", "friend"], "place": ["owner"]})
TREE = {"person": ["employer", "mood[calm, loud]"], "place": []}
TASKS = [
    PEOPLE,
    events({"attack": ["attacker", "target"], "rain": []}),
    nli("Ann met someone."),
    reading("Who was met?"),
    choice("Who came?", ["Ann", "Bob"]),
    utterance(["book", "cancel"], ["person", "place"]),
    aspect_sentiment(["good", "bad"]),
    aspect_sentiment(["good", "bad"], ["price"], name="given"),
    schema(TREE),
    slots(["person"]),
    intent(["book", "cancel"]),
]


@pytest.fixture(scope="module")
def model(tiny):
    return tiny("qwen3")


def close(one, other):
    """Tell whether results are the same but for rounding."""
    if isinstance(one, float):
        return one == pytest.approx(other, abs=1e-4)
    if is_dataclass(one):
        names = [each.name for each in fields(one) if each.compare]
        return type(one) is type(other) and all(close(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, dict):
        return list(one) == list(other) and all(close(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(close, one, other))
    return one == other


def test_relations_are_what_is_asked_by_hand(model):
    found = model.predict(TEXTS, PEOPLE, overlap="flat")
    count = 0
    for text, result in zip(TEXTS, found, strict=True):
        heads = model.predict(text, AtomicTask.extract(["person", "place"]), overlap="flat")
        assert close(result.heads, heads.spans)
        by_hand = []
        for head in result.heads:
            names = {"person": ["employer", "friend"], "place": ["owner"]}[head.label]
            tails = model.predict(text, questions.tail_question(head, names), overlap="flat").spans
            by_hand += [(head, tail.label, tail, head.score * tail.score) for tail in tails]
        assert close([(one.head, one.relation, one.tail, one.score) for one in result.relations], by_hand)
        count += len(by_hand)
    assert count


def test_events_are_what_is_asked_by_hand(model):
    (found,) = model.predict(TEXTS[:1], TASKS[1], threshold=0.2, overlap="flat")
    triggers = model.predict(
        TEXTS[0], questions.trigger_question(["attack", "rain"]), threshold=0.2, overlap="flat"
    ).spans
    assert close([event.trigger for event in found.events], list(triggers))
    assert triggers
    for event in found.events:
        if event.type == "attack":
            task = questions.argument_question("attack", event.trigger, ["attacker", "target"])
            assert close(event.arguments, model.predict(TEXTS[0], task, threshold=0.2, overlap="flat").spans)
        else:
            assert event.arguments == ()


def test_classifications_are_what_is_asked_by_hand(model):
    text = TEXTS[0]
    asked = model.predict(text, questions.pair_question("Ann met someone.", ["entailment", "contradiction", "neutral"]))
    found = model.predict(text, nli("Ann met someone."))
    assert (found.label, found.scores) == (asked.label, pytest.approx(asked.scores))
    asked = model.predict(text, questions.choice_question("Who came?", ["Ann", "Bob"]))
    found = model.predict(text, choice("Who came?", ["Ann", "Bob"]))
    assert (found.option, found.scores) == (asked.label, pytest.approx(asked.scores))
    (typed,) = model.predict(text, typing(["person", "place"], "Bob")).mentions
    asked = model.predict(text, questions.typing_question({"text": "Bob", "start": 8}, ["person", "place"]))
    assert (typed.types, typed.scores) == (asked.labels, pytest.approx(asked.scores))


@pytest.mark.slow
@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_several_texts_together_are_one_by_one_in_any_batch(model, task):
    found = model.predict(TEXTS, task, overlap="flat")
    for size in (1, 3):
        assert close(found, [model.predict(text, task, overlap="flat", batch_size=size) for text in TEXTS])
    assert close(found, list(model.predict_iter(iter(TEXTS), task, overlap="flat", batch_size=1)))
    if task.name not in ("slots", "intent"):
        for result in found:
            assert type(result).from_dict(json.loads(json.dumps(result.to_dict()))) == result


def test_each_wave_is_one_batch(model, monkeypatch):
    waves = []
    answer = model._answering.answer
    monkeypatch.setattr(
        model._answering, "answer", lambda pairs, *rest, **named: waves.append(pairs) or answer(pairs, *rest, **named)
    )
    found = model.predict(
        TEXTS, {"who": AtomicTask.extract(["person"]), "pairs": PEOPLE, "tree": schema(TREE)}, overlap="flat"
    )
    assert len(waves) == 2
    assert len(waves[0]) == 9
    assert len(waves[1]) == sum(len(each["pairs"].heads) + 2 * len(each["tree"]["person"]) for each in found)


def test_tasks_of_all_kinds_stand_beside_one_another(model):
    who = AtomicTask.extract(["person"], name="who")
    both = model.predict(TEXTS[0], [who, PEOPLE], overlap="flat")
    assert list(both) == ["who", "relations"]
    assert_alike(both["who"], model.predict(TEXTS[0], who, overlap="flat"))
    assert close(both["relations"], model.predict(TEXTS[0], PEOPLE, overlap="flat"))
    named = model.predict(TEXTS, {"a": PEOPLE, "b": PEOPLE}, overlap="flat")
    assert [list(each) for each in named] == [["a", "b"]] * 3
    assert all(isinstance(each["a"], Relations) for each in named)
    assert list(model.predict(TEXTS[0], [PEOPLE, relations({"x": ["y"]}, name="more")], overlap="flat")) == [
        "relations",
        "more",
    ]
    assert isinstance(model.predict_pairs([(TEXTS[0], PEOPLE), (TEXTS[0], who)], overlap="flat")[0], Relations)


def test_nested_literals_need_no_words_around_them(model):
    record = model.predict(TEXTS[0], TREE, overlap="flat")
    assert isinstance(record, Record)
    assert record == model.predict(TEXTS[0], schema(TREE), overlap="flat")
    assert all(
        isinstance(one, Record) for one in model.predict(TEXTS, ["place", {"person": "employer"}], threshold=0.6)
    )
    described = model.predict(TEXTS[0], {"person": "a human being"})
    assert described.task.descriptions == {"person": "a human being"}
    assert model.predict(TEXTS[0], ["mood[calm, loud]"]).task.labels == ("mood[calm, loud]",)


def test_thresholds_of_labels_hold_in_every_wave(model):
    found = model.predict(TEXTS, PEOPLE, threshold={"employer": 0.0, "friend": 0.99}, overlap="flat")
    assert {one.relation for result in found for one in result.relations} - {"owner"} == {"employer"}
    none = model.predict(TEXTS, PEOPLE, threshold={"person": 0.99, "place": 0.99})
    assert not any(result.heads for result in none)
    with pytest.raises(LabelError, match=r"a threshold is given for 'employr', which no task asks for. Did you mean"):
        model.predict(TEXTS, PEOPLE, threshold={"employr": 0.5})
    model.predict(TEXTS[0], TREE, threshold={"person": 0.9, "loud": 0.5})


def test_a_composite_task_that_is_asked_of_a_long_text_says_that_it_was_cut(model):
    text = "Tim Cook visited Shanghai. " * 60
    found = model.predict(text, reading("Who?"), max_length="truncate", threshold=0.9)
    assert found.truncated
    assert found.warnings
    with pytest.raises(TextError, match="text 2: text and labels have"):
        model.predict(["x", text], nli("y"), max_length="error")


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (
            [PEOPLE, relations({"x": ["y"]})],
            "two tasks are named 'relations': give name= to each, or pass {name: task}",
        ),
        ([PEOPLE, {"person": ["employer"]}], "several tasks must all be built"),
        ({"a": PEOPLE, "b": ["person"]}, "several tasks must all be built"),
        ({"person": ["a", "a"]}, "under 'person': label 'a' is given twice"),
        (["a", {"b": "c[d"}], "under 'b': 'c.d' has a bracket too many or too few"),
        (relations, "labels must be a list or a dict"),
    ],
)
def test_what_cannot_be_asked(model, task, message):
    with pytest.raises(LabelError, match=message.replace("{", "[{]")):
        model.predict(TEXTS[0], task)


def test_a_mention_that_one_of_the_texts_does_not_have(model):
    with pytest.raises(GroundingError, match=r"^text 2: 'Ann' is not in the text"):
        model.predict(TEXTS, typing(["person", "place"], "Ann"))
    with pytest.raises(GroundingError, match=r"^text 2: 'Ann' is not in the text"):
        list(model.predict_iter(TEXTS, typing(["person", "place"], "Ann"), batch_size=1))


def test_one_warning_of_a_model_that_is_not_trained(model, monkeypatch):
    monkeypatch.setattr(model, "trained", False)
    with pytest.warns(UserWarning, match="not trained") as seen:
        model.predict(TEXTS, PEOPLE, threshold=0.6, overlap="flat")
    assert len(seen) == 1
    assert seen[0].filename == __file__


def test_in_one_line(model, tmp_path):
    model.save_pretrained(tmp_path / "model")
    found = seqgpt.predict(TEXTS, PEOPLE, model=tmp_path / "model", overlap="flat")
    assert close(found, model.predict(TEXTS, PEOPLE, overlap="flat"))
    assert seqgpt.predict(TEXTS[0], TREE, model=tmp_path / "model", overlap="flat")["person"]


def test_the_released_model_is_asked_the_same_questions(released, monkeypatch):
    model = released("bloom")
    assert isinstance(model.predict(TEXTS[0], PEOPLE, overlap="flat"), Relations)
    asked = []

    def answer(_, __, text, task):
        asked.append(str(task.prompt(text, template="seqgpt-560m")))
        return Extraction.of(text, task, [Span(task.labels[0], "Ann", 0, 3)])

    monkeypatch.setattr(released_code, "answer", answer)
    found = model.predict(TEXTS[0], relations({"person": ["employer"]}), compat="released")
    assert [one.tail.text for one in found.relations] == ["Ann"]
    assert "\tAnn\n抽取: employer" in asked[1]
