"""What each composite task asks, wave by wave, and what it makes of the answers."""

import pytest

from seqgpt import AtomicTask, questions
from seqgpt.composite import (
    CompositeTask,
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
from seqgpt.errors import GroundingError, LabelError, TextError
from seqgpt.results import Span
from tests.composite.fake import Fake

TEXT = "Ann works for Acme, and Bob for Acme too."
WORK = {
    ("person",): ["Ann", "Bob"],
    ("company",): ["Acme", "Acme"],
    ("Ann", "employer"): ["Acme"],
    ("Ann", "friend"): ["Bob"],
    ("Bob", "employer"): ["Acme"],
    ("Acme", "staff"): ["Ann", "Bob"],
}


def test_relations_ask_for_heads_and_then_for_the_tails_of_all():
    fake = Fake(WORK)
    (found,) = fake.predict([TEXT], relations({"person": ["employer", "friend"], "company": ["staff"]}))
    heads = (Span("person", "Ann", 0, 3, 0.5), Span("person", "Bob", 24, 27, 0.5))
    firms = (Span("company", "Acme", 14, 18, 0.5), Span("company", "Acme", 32, 36, 0.5))
    assert found.heads == heads + firms
    assert fake.asked == [
        [AtomicTask.extract(["person", "company"])],
        [
            *(questions.tail_question(head, ["employer", "friend"]) for head in heads),
            *(questions.tail_question(firm, ["staff"]) for firm in firms),
        ],
    ]
    told = [(one.head.text, one.head.start, one.relation, one.tail.text) for one in found.relations]
    assert told == [
        ("Ann", 0, "employer", "Acme"),
        ("Ann", 0, "friend", "Bob"),
        ("Bob", 24, "employer", "Acme"),
        ("Acme", 14, "staff", "Ann"),
        ("Acme", 14, "staff", "Bob"),
        ("Acme", 32, "staff", "Ann"),
        ("Acme", 32, "staff", "Bob"),
    ]
    assert {one.score for one in found.relations} == {0.25}


def test_descriptions_of_relations_are_asked_with_them():
    fake = Fake(WORK)
    fake.predict([TEXT], relations({"person": {"employer": "who pays"}}))
    assert fake.asked[1][0].descriptions == {"employer": "who pays"}


def test_a_text_without_heads_is_asked_no_more():
    fake = Fake(WORK)
    (found,) = fake.predict(["Nobody works."], relations({"person": ["employer"]}))
    assert (found.relations, found.heads, len(fake.waves)) == ((), (), 1)


def test_events_ask_for_triggers_and_then_for_the_roles_of_each():
    text = "Rebels shelled the town while it rained; then soldiers shelled it."
    facts = {
        ("attack event",): ["shelled", "shelled"],
        ("rain event",): ["rained"],
        ("attack", "shelled", "attacker"): ["Rebels"],
        ("attack", "shelled", "target"): ["town"],
    }
    fake = Fake(facts)
    (found,) = fake.predict([text], events({"attack": ["attacker", "target"], "rain": []}))
    first, second, rain = (event.trigger for event in found.events)
    assert (first.start, second.start, rain.text) == (7, 55, "rained")
    assert fake.asked == [
        [questions.trigger_question(["attack", "rain"])],
        [questions.argument_question("attack", trigger, ["attacker", "target"]) for trigger in (first, second)],
    ]
    assert [(event.type, [(a.label, a.text) for a in event.arguments]) for event in found.events] == [
        ("attack", [("attacker", "Rebels"), ("target", "town")]),
        ("attack", [("attacker", "Rebels"), ("target", "town")]),
        ("rain", []),
    ]


def test_events_without_roles_are_one_wave():
    fake = Fake({("地震事件",): ["震"]})
    (found,) = fake.predict(["地震了。"], events({"地震": []}))
    assert [(event.type, event.trigger.text, event.arguments) for event in found.events] == [("地震", "震", ())]
    assert len(fake.waves) == 1


def test_inference():
    fake = Fake({("Ann has a job.", "entailment"): ()})
    (found,) = fake.predict([TEXT], nli("Ann has a job."))
    assert fake.asked == [
        [questions.pair_question("Ann has a job.", ["entailment", "contradiction", "neutral"])],
    ]
    assert (found.hypothesis, found.label, found.scores["entailment"]) == ("Ann has a job.", "entailment", 0.75)


def test_reading_gives_the_most_probable_answer_first():
    fake = Fake({("Who works?",): ["Bob", "Ann"]})
    task = reading("Who works?")
    (found,) = fake.predict([TEXT], task)
    assert fake.asked == [[questions.reading_question("Who works?")]]
    assert (found.question, found.answer) == ("Who works?", "Ann")
    assert fake.predict(["Nobody."], task)[0].answer is None

    steps = task.steps(TEXT)
    (asked,) = next(steps)
    spans = [Span("Who works?", "Ann", 0, 3, 0.4), Span("Who works?", "Bob", 24, 27, 0.6)]
    with pytest.raises(StopIteration) as done:
        steps.send([type(fake._answer(TEXT, asked)).of(TEXT, asked, spans)])
    assert [span.text for span in done.value.value.spans] == ["Bob", "Ann"]


def test_choice():
    fake = Fake({("Who pays?", "Acme"): ()})
    (found,) = fake.predict([TEXT], choice("Who pays?", ["Bob", "Acme"]))
    assert fake.asked == [[questions.choice_question("Who pays?", ["Bob", "Acme"])]]
    assert (found.question, found.option) == ("Who pays?", "Acme")


def test_mentions_may_be_strings_spans_or_places():
    fake = Fake({("Ann", "person"): (), ("Acme", "company"): (), ("Acme", "place"): ()})
    mentions = ["Ann", Span("x", "Acme", 32, 36), {"text": "Acme", "start": 14}]
    (found,) = fake.predict([TEXT], typing(["person", "company", "place"], mentions, multi_label=True))
    places = [{"text": "Ann", "start": 0}, {"text": "Acme", "start": 32}, {"text": "Acme", "start": 14}]
    types = ["person", "company", "place"]
    assert fake.asked == [[questions.typing_question(place, types, multi_label=True) for place in places]]
    assert [(one.text, one.start, one.end, one.types, one.type) for one in found.mentions] == [
        ("Ann", 0, 3, ("person",), "person"),
        ("Acme", 32, 36, ("company", "place"), "company"),
        ("Acme", 14, 18, ("company", "place"), "company"),
    ]
    (one,) = fake.predict([TEXT], typing({"person": "", "company": "a firm"}, "Acme"))[0].mentions
    assert one.types == ("company",)
    assert fake.asked[-1][0].descriptions == {"company": "a firm"}


@pytest.mark.parametrize("mention", ["Cid", {"text": "Ann", "start": 1}, {"text": "Acme", "start": 900}])
def test_mentions_that_are_not_in_the_text(mention):
    task = typing(["person", "company"], [mention])
    fake = Fake({})
    with pytest.raises(GroundingError, match=r"^'(Cid|Ann|Acme)' is not in the text( at 1| at 900)?: copy it"):
        fake.predict([TEXT], task)
    with pytest.raises(GroundingError, match=r"^text 1: '"):
        fake.predict([TEXT, "Cid"], task)
    assert not fake.waves


def test_utterances_are_asked_for_both_at_once():
    text = "Book a table for two."
    fake = Fake({("book",): (), ("people",): ["two"]})
    (found,) = fake.predict([text], utterance(intents=["cancel", "book"], slots=["people", "time"]))
    assert fake.asked == [[intent(["cancel", "book"]), slots(["people", "time"])]]
    assert (found.intents, found.intent, [span.text for span in found.slots]) == (("book",), "book", ["two"])
    assert list(found.scores) == ["cancel", "book"]
    (found,) = fake.predict([text], utterance(["cancel"], ["time"], none=True))
    assert (found.intents, found.intent, found.slots) == ((), None, ())
    assert slots(["a"]).name == "slots"
    assert intent(["a"]).name == "intent"


def test_aspects_are_found_unless_they_are_given():
    text = "Good soup, slow staff; the soup was hot."
    fake = Fake({("aspect",): ["soup", "soup", "staff"], ("staff", "bad"): (), ("price", "bad"): ()})
    (found,) = fake.predict([text], aspect_sentiment(["good", "bad"]))
    spans = [opinion.aspect for opinion in found.opinions]
    assert [(span.text, span.start) for span in spans] == [("soup", 5), ("staff", 16), ("soup", 27)]
    assert fake.asked == [
        [AtomicTask.extract(["aspect"])],
        [questions.typing_question(span, ["good", "bad"]) for span in spans],
    ]
    assert [opinion.sentiment for opinion in found.opinions] == ["good", "bad", "good"]

    fake.waves.clear()
    given = ["price", {"text": "soup", "start": 27}]
    (found,) = fake.predict([text], aspect_sentiment(["good", "bad"], given))
    place = Span("aspect", "soup", 27, 31)
    assert fake.asked == [
        [questions.pair_question("price", ["good", "bad"]), questions.typing_question(place, ["good", "bad"])]
    ]
    assert [(opinion.aspect, opinion.sentiment) for opinion in found.opinions] == [("price", "bad"), (place, "good")]


def test_aspects_have_the_label_that_the_caller_says():
    fake = Fake({("方面",): ["汤"]})
    (found,) = fake.predict(["汤很好。"], aspect_sentiment(["好", "坏"], aspect="方面"))
    assert found.opinions[0].aspect == Span("方面", "汤", 0, 1, 0.5)


def test_several_texts_are_asked_together():
    texts = [TEXT, "Nobody works.", "Bob left Acme."]
    task = relations({"person": ["employer"]})
    fake = Fake(WORK)
    together = fake.predict(texts, task)
    assert [[(text, number) for text, _, number in wave] for wave in fake.waves] == [
        [(text, number) for number, text in enumerate(texts, start=1)],
        [(TEXT, 1), (TEXT, 1), (texts[2], 3)],
    ]
    assert together == [result for text in texts for result in Fake(WORK).predict([text], task)]
    assert Fake(WORK).predict([], task) == []


def test_warnings_are_passed_on_once():
    (found,) = Fake(WORK, ["cut."]).predict([TEXT], relations({"person": ["employer"]}))
    assert (found.truncated, found.warnings) == (True, ("cut.",))
    (found,) = Fake(WORK, ["cut."]).predict([TEXT], schema({"person": ["employer"]}))
    assert (found.truncated, found.warnings) == (True, ("cut.",))


ALL = [
    relations({"person": ["employer"]}),
    events({"attack": ["attacker"]}),
    nli("x"),
    reading("x"),
    choice("x", ["a"]),
    typing(["a"], "Ann"),
    utterance(["a"], ["b"]),
    aspect_sentiment(["a"]),
    schema("x"),
]


@pytest.mark.parametrize("task", [*ALL, slots(["a"]), intent(["a"]), AtomicTask.extract(["a"])])
def test_every_task_keeps_the_protocol(task):
    assert isinstance(task, CompositeTask)
    assert task.name
    assert len(set(task.labels)) == len(task.labels) > 0
    fake = Fake(WORK)
    (result,) = fake.predict([TEXT], task)
    assert result.text == TEXT
    assert {label for wave in fake.asked for asked in wave for label in asked.labels} <= set(task.labels)
    assert hash(result) == hash(fake.predict([TEXT], task)[0])
    with pytest.raises(TextError):
        fake.predict([" "], task)


class Longest:
    """A task of one's own, the first wave of which may ask nothing."""

    name, labels = "longest", ("person",)

    def steps(self, text):
        asked = yield [AtomicTask.extract(self.labels)] if len(text) > 10 else []
        return max((span.text for answer in asked for span in answer.spans), key=len, default=None)


def test_users_may_write_their_own():
    fake = Fake({("person",): ["Al", "Bob"]})
    assert isinstance(Longest(), CompositeTask)
    assert fake.predict(["Al", "Al met Bob.", "Nobody came."], Longest()) == [None, "Bob", None]
    assert [len(wave) for wave in fake.waves] == [2]
    assert fake.predict(["Al"], Longest()) == [None]
    assert len(fake.waves) == 1


def test_only_what_is_a_task_keeps_the_protocol():
    for other in (["a"], {"a": "b"}, "a", None, Span("a", "b", 0, 1)):
        assert not isinstance(other, CompositeTask)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: relations({}), "there are no labels"),
        (lambda: relations(["employer"]), r"the relations are \['employer'\]: give a dict"),
        (lambda: relations({"person": "employer"}), r"under 'person': labels must be a list .* write \['employer'\]"),
        (lambda: relations({"person": []}), "under 'person': there are no labels"),
        (lambda: relations({"person": ["a", "a"]}), "under 'person': label 'a' is given twice"),
        (lambda: relations({"": ["a"]}), "a label is empty"),
        (lambda: events("attack"), "the events are 'attack': give a dict"),
        (lambda: events({"attack": "x"}), "under 'attack': labels must be a list"),
        (lambda: events({"attack": None}), "under 'attack': labels must be a list"),
        (lambda: events({"地震": [], "地震事件": []}), "label '地震事件' is given twice"),
        (lambda: nli(" "), "the hypothesis is ' ': give a text"),
        (lambda: nli("x", []), "there are no labels"),
        (lambda: reading(""), "the question is ''"),
        (lambda: reading(None), "the question is None"),
        (lambda: choice("", ["a"]), r"or AtomicTask.classify\(options\)"),
        (lambda: choice("Who?", []), "there are no labels"),
        (lambda: choice("Who?", "ab"), "labels must be a list"),
        (lambda: typing([], "Ann"), "there are no labels"),
        (lambda: typing(["a"], []), "there are no mentions"),
        (lambda: typing(["a"], "Ann", multi_label=True, none=True), "in a multi-label task no label need hold anyway"),
        (lambda: typing(["a"], [3]), "about 3"),
        (lambda: aspect_sentiment([]), "there are no labels"),
        (lambda: aspect_sentiment(["a"], []), "there are no aspects"),
        (lambda: aspect_sentiment(["a"], aspect=""), "a label is empty"),
        (lambda: utterance([], ["a"]), "there are no labels"),
        (lambda: utterance(["a"], "b"), "labels must be a list"),
        (lambda: utterance(["a"], ["b"], multi_label=True, none=True), "leave none=True out"),
    ],
)
def test_what_cannot_be_asked(build, message):
    with pytest.raises(LabelError, match=message):
        build()


def test_a_mention_may_be_of_none_of_the_types(tiny):
    model = tiny("qwen3")
    asked = questions.typing_question({"text": "Acme", "start": TEXT.index("Acme")}, ["person", "place"], none=True)
    answer = model.predict(TEXT, asked)
    (one,) = model.predict(TEXT, typing(["person", "place"], "Acme", none=True)).mentions
    assert one.types == answer.labels
    assert sum(one.scores.values()) < 1
