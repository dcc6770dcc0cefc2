import pytest

from seqgpt.data import load_recipe
from seqgpt.errors import DataError
from seqgpt.evaluation.baselines import MajorityClass, SpanDictionary
from seqgpt.evaluation.report import evaluate
from seqgpt.examples import Example
from seqgpt.tasks import AtomicTask

TONE = {"task": "classify", "labels": ["praise", "complaint"]}
NAMES = {"task": "extract", "labels": ["person", "place"]}


def examples(task, *answers):
    return [Example.from_dict({"text": text, "answer": answer, **task}) for text, answer in answers]


def found(predictor, text, labels=("person", "place")):
    task = AtomicTask.extract(labels)
    (result,) = predictor.predict_pairs([(text, task)])
    return [(span.label, span.text, span.start) for span in sorted(result.spans, key=lambda s: s.start)]


def test_the_majority_class():
    fitted = MajorityClass.fit(examples(TONE, ("a", "complaint"), ("b", "complaint"), ("c", "praise")))
    (result,) = fitted.predict_pairs([("any", AtomicTask.classify(["praise", "complaint"]))])
    assert result.label == "complaint"
    assert result.scores == pytest.approx({"praise": 1 / 3, "complaint": 2 / 3})
    (other,) = fitted.predict_pairs([("any", AtomicTask.classify(["praise", "question"]))])
    assert (other.label, other.scores) == ("praise", {"praise": 1.0, "question": 0.0})
    (unseen,) = fitted.predict_pairs([("any", AtomicTask.classify(["x", "y"]))])
    assert unseen.scores == {"x": 0.5, "y": 0.5}


def test_the_majority_may_be_none_of_these():
    fitted = MajorityClass.fit(examples(TONE | {"none": True}, ("a", []), ("b", []), ("c", "praise")))
    (result,) = fitted.predict_pairs([("any", AtomicTask.classify(["praise", "complaint"], none=True))])
    assert result.abstained
    assert sum(result.scores.values()) == pytest.approx(1 / 3)
    (forced,) = fitted.predict_pairs([("any", AtomicTask.classify(["praise", "complaint"]))])
    assert forced.label == "praise"


def test_the_majority_of_several_labels():
    gold = examples(TONE | {"multi_label": True}, ("a", ["praise"]), ("b", ["praise", "complaint"]), ("c", []))
    (result,) = MajorityClass.fit(gold).predict_pairs([("any", gold[0].task)])
    assert (result.labels, result.scores["complaint"]) == (("praise",), pytest.approx(1 / 3))


def test_the_longest_span_wins():
    fitted = SpanDictionary.fit(examples(NAMES, ("York", {"place": ["York"]}), ("New York", {"place": ["New York"]})))
    assert fitted.size == 2
    assert found(fitted, "New York and York") == [("place", "New York", 0), ("place", "York", 13)]


def test_words_are_found_whole_and_chinese_anywhere():
    fitted = SpanDictionary.fit(examples(NAMES, ("Al 北京", {"person": ["Al"], "place": ["北京"]})))
    assert found(fitted, "Also Al, final Al") == [("person", "Al", 5), ("person", "Al", 15)]
    assert found(fitted, "去北京市Al看") == [("place", "北京", 1), ("person", "Al", 4)]


def test_a_span_may_be_part_of_a_word_in_training():
    fitted = SpanDictionary.fit(examples(NAMES, ("Parisian", {"place": ["Paris"]})), min_share=0.5)
    assert found(fitted, "Paris") == [("place", "Paris", 0)]


def test_only_asked_labels_count():
    gold = examples(
        NAMES, ("Paris", {"person": ["Paris"]}), ("Paris!", {"place": ["Paris"]}), ("Paris?", {"place": ["Paris"]})
    )
    fitted = SpanDictionary.fit(gold)
    assert found(fitted, "Paris") == [("place", "Paris", 0)]
    assert found(fitted, "Paris", ["person"]) == [("person", "Paris", 0)]
    assert found(fitted, "Paris", ["city"]) == []


def test_min_share_drops_strings_that_are_mostly_no_span():
    gold = examples(NAMES, ("Will", {"person": ["Will"]}), ("Will Will", {}), ("Ada", {"person": ["Ada"]}))
    assert found(SpanDictionary.fit(gold), "Will Ada") == [("person", "Will", 0), ("person", "Ada", 5)]
    assert found(SpanDictionary.fit(gold, min_share=0.5), "Will Ada") == [("person", "Ada", 5)]
    assert SpanDictionary.fit(gold, min_share=1 / 3).size == 2


def test_a_span_with_two_labels_is_one_span_of_its_string():
    gold = examples(NAMES, ("Ada", {"person": ["Ada"], "place": ["Ada"]}), ("Ada Ada", {}), ("Ada .", {}))
    assert SpanDictionary.fit(gold, min_share=0.3).size == 0


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: MajorityClass.fit([]), "no examples to fit"),
        (lambda: MajorityClass.fit(examples(NAMES, ("a", {}))), "'extract': use SpanDictionary"),
        (lambda: SpanDictionary.fit(examples(TONE, ("a", "praise"))), "'classify': use MajorityClass"),
        (lambda: SpanDictionary.fit(examples(NAMES, ("a", {})), min_share=50), "min_share must be a share"),
    ],
)
def test_what_cannot_be_fitted(call, message):
    with pytest.raises(DataError, match=message):
        call()


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "plain", "kept"),
    [("cluener", 0.548, 0.588), ("hwu64_slots", 0.473, 0.656), ("wnut_17", 0.0, 0.0)],
)
@pytest.mark.slow
def test_dictionaries_on_real_data(name, plain, kept, data_root):
    recipe = load_recipe(name)
    train, test = (recipe.examples(split, data_root=data_root) for split in ("train", "test"))
    for min_share, expected in ((0.0, plain), (0.5, kept)):
        report = evaluate(SpanDictionary.fit(train, min_share=min_share), test, name=name)
        assert report.headline == pytest.approx(expected, abs=0.001)
