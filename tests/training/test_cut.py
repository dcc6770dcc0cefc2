"""Examples that are longer than is read: their texts are cut, and nothing else, until they fit in every epoch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt.about import Place
from seqgpt.data.augmentation import Augmentation
from seqgpt.data.mixture_config import MixtureConfig
from seqgpt.errors import ConfigError, DataError
from seqgpt.examples import Example, read_jsonl, write_jsonl
from seqgpt.grounding import occurrences
from seqgpt.results import Classification, Extraction, Span
from seqgpt.tasks import AtomicTask
from seqgpt.training.cut import UNCUT, Cut, Cutter, lost_spans
from seqgpt.training.mixture_set import open_mixture, open_store
from seqgpt.training.preflight import preflight
from seqgpt.training.replay import WithReplay
from seqgpt.training.trainer import Trainer
from seqgpt.training.training_set import TrainingSet
from tests.strategies import labelled, pieces, quick, words

VARIED = Augmentation(2, negatives=True, foreign=1, all_negative=0.3, opaque=0.2)
LONG = "Nothing happened in the old town that day. " * 80


@st.composite
def long_texts(draw):
    few = draw(st.lists(pieces, min_size=1, max_size=25).map("".join))
    return (few * draw(st.integers(1, 12)) + draw(words)).ljust(draw(st.integers(1, 60)))


@st.composite
def examples(draw):
    text, labels = draw(long_texts()), draw(labelled())
    places = st.tuples(st.integers(0, len(text) - 1), st.integers(1, 40)).map(lambda at: (at[0], sum(at)))
    mentions = places.map(lambda at: Place(text[slice(*at)], at[0])).filter(lambda place: place.text.strip())
    about = draw(st.lists(st.one_of(mentions, words), max_size=2))
    if draw(st.booleans()):
        task = AtomicTask.extract(labels, about=about)
        drawn = draw(st.lists(st.tuples(st.sampled_from(task.labels), places), max_size=10))
        spans = [Span(label, text[start:end], start, min(end, len(text))) for label, (start, end) in drawn]
        return Example(Extraction.of(text, task, spans), "7")
    kind = draw(st.sampled_from(["one", "one or none", "several"]))
    task = AtomicTask.classify(labels, multi_label=kind == "several", none=kind == "one or none", about=about)
    return Example(Classification.of(text, task, task.labels[:1]), "7")


def is_part(part, example, start):
    """Tell whether an example is what stands of another one at a place of its text, and nothing is cut in two."""
    end = start + len(part.text)
    about = [
        Place(one.text, one.start + start) if isinstance(one, Place) and isinstance(other, Place) else one
        for one, other in zip(part.task.about, example.task.about, strict=True)
    ]
    if about != [*example.task.about]:
        return False
    if not isinstance(example.gold, Extraction):
        return True
    spans = [s for s in example.gold.spans if start <= s.start and s.end <= end]
    halves = [s for s in example.gold.spans if s.start < start < s.end or s.start < end < s.end]
    moved = [(s.label, s.text, s.start + start, s.status) for s in part.gold.spans]
    return not halves and moved == [(s.label, s.text, s.start, s.status) for s in spans]


@pytest.mark.slow
@quick
@given(example=examples(), most=st.integers(32, 130), max_labels=st.integers(2, 5))
def test_whatever_is_cut_fits_and_is_a_part_of_what_it_was(example, most, max_labels, still_model):
    cutter = Cutter(still_model.vocabulary, still_model.template, most, max_labels)
    whole, answers = Cutter(still_model.vocabulary, still_model.template, 100_000, max_labels).read(example)
    assert whole is example
    try:
        part = cutter(example)
    except DataError:
        assert cutter.longest(answers, example.task) > most
        return
    assert (part is example) == (cutter.longest(answers, example.task) <= most)
    assert (lost_spans(example, part) == UNCUT) == (part is example)
    assert part.text.strip()
    assert any(is_part(part, example, start) for start in occurrences(part.text, example.text))
    task, asked = part.task, example.task
    assert (task.labels, task.descriptions, task.none, task.kind) == (
        asked.labels,
        asked.descriptions,
        asked.none,
        asked.kind,
    )
    if isinstance(part.gold, Classification):
        assert part.gold.labels == example.gold.labels
        assert asked.about or example.text.lstrip().startswith(part.text.lstrip())
    for options in (Augmentation(max_labels), VARIED):
        training_set = TrainingSet([example], still_model, seed=0, augmentation=options, max_length=most)
        for epoch in range(5):
            training_set.set_epoch(epoch)
            assert training_set[0].tree.longest <= most


@pytest.mark.slow
@quick
@given(long=st.lists(examples(), min_size=1, max_size=4), most=st.integers(60, 130))
def test_stores_hold_what_lists_hold(long, most, still_model, tmp_path_factory):
    path = tmp_path_factory.mktemp("store") / "long.jsonl"
    cutter = Cutter(still_model.vocabulary, still_model.template, most)
    write_jsonl(path, long)
    store = open_store(str(path), still_model, max_length=most)
    for i, example in enumerate(read_jsonl(path)):
        try:
            part, answers = cutter.read(example)
        except DataError:
            assert store.longest[i] > most
            assert store.lost[i] == UNCUT
            continue
        assert store.longest[i] == cutter.longest(answers, part.task) <= most
        assert store.lost[i] == lost_spans(example, part)
        assert [*store[i].answers.prompt] == [*answers.prompt]


def extraction(text, **answer):
    """Return an example whose spans are the first occurrences of strings."""
    return Example.from_dict({"text": text, "task": "extract", "labels": [*answer], "answer": answer})


def cut(example, model, most=200):
    return Cutter(model.vocabulary, model.template, most)(example)


def test_of_an_extraction_the_part_with_most_spans_is_kept(still_model):
    text = f"Ann came. {LONG}In Rome Bob met Eve. {LONG}Ida left."
    part = cut(extraction(text, person=["Ann", "Bob", "Eve", "Ida"], place=["Rome"]), still_model)
    assert {span.text for span in part.gold.spans} == {"Bob", "Eve", "Rome"}
    early = cut(extraction(f"Ann came. {LONG}Bob left.", person=["Ann", "Bob"]), still_model)
    assert early.text.startswith("Ann came.")
    assert early.text.rstrip().endswith("day.")  # with a sentence
    assert LONG.startswith(cut(extraction(LONG, person=[]), still_model).text)


def test_a_span_that_cannot_be_read_is_lost_and_the_others_are_not(still_model):
    long = "a very long title " * 40
    example = extraction(f"Ann wrote {long}in May. {LONG}", title=[long.strip()], person=["Ann"])
    part = cut(example, still_model)
    assert [span.text for span in part.gold.spans] == ["Ann"]
    assert "title" not in part.text
    assert lost_spans(example, part) == 1


def test_what_is_asked_about_stays_in_the_text(still_model):
    text = f"Ann came. {LONG}Bob met Eve. {LONG}Ann left."

    def pair(head, tail):
        about = [Place(words, text.rindex(words)) for words in (head, tail)]
        task = AtomicTask.classify(["knows", "hates"], about=about)
        return Example(Classification.of(text, task, ("knows",)), "pair")

    part = cut(pair("Bob", "Eve"), still_model)
    assert [part.text[one.start :][: len(one.text)] for one in part.task.about] == ["Bob", "Eve"]
    with pytest.raises(DataError, match=r"example pair has up to \d+ tokens, and its text cannot be cut until it has"):
        cut(pair("Bob", "Ann"), still_model)
    named = AtomicTask.classify(["knows", "hates"], about="Eve")
    assert "Eve" in cut(Example(Classification.of(text, named, ("knows",))), still_model).text
    said = AtomicTask.classify(["yes", "no"], about="Somebody came.")  # does not stand in the text
    assert cut(Example(Classification.of(text, said, ("yes",))), still_model).text.startswith("Ann came.")


def file_of(path, *found):
    write_jsonl(path, found)
    return str(path)


def test_what_is_cut_is_counted_alike_in_lists_mixtures_and_replay(still_model, arguments, tmp_path, capfd):
    short = extraction("Bob left.", person=["Bob"])
    long = extraction(f"Ann came. {LONG}Bob left.", person=["Ann", "Bob"])
    plain = Example.from_dict({"text": LONG, "task": "classify", "labels": ["a", "b"], "answer": ["a"]})
    described = Example.from_dict(
        {"text": LONG, "task": "classify", "labels": {"a": "what it means " * 200, "b": ""}, "answer": ["a"]}
    )
    paths = [
        file_of(tmp_path / "some.jsonl", short, long, long, plain),
        file_of(tmp_path / "short.jsonl", short),
        file_of(tmp_path / "wordy.jsonl", described, plain),
    ]
    expected = {"some": Cut(200, 3, 2), "wordy": Cut(200, 1, 0)}
    mixture = open_mixture(
        MixtureConfig(sources=paths), still_model, seed=0, augmentation=VARIED, max_length=200, progress=False
    )
    assert mixture.cut == expected
    assert [member.too_long for member in mixture.mixture.members] == [0, 0, 1]
    assert len(mixture) == 6
    assert all(mixture[i].tree.longest <= 200 for i in range(len(mixture)))

    given = {"some": [short, long, long, plain], "short": [short], "wordy": [plain]}
    trainer = Trainer(still_model, arguments(max_length=200), given, replay={"some": [long], "other": [plain]})
    assert isinstance(trainer.train_dataset, WithReplay)
    assert trainer.train_dataset.own.cut == expected
    assert trainer.train_dataset.cut == expected | {"some": Cut(200, 4, 3), "other": Cut(200, 1, 0)}
    err = capfd.readouterr().err
    assert "some: 4 texts cut to 200 tokens, 3 spans lost with them\n" in err
    assert "wordy: 1 texts cut to 200 tokens\n" in err
    assert "\nCut: some: 4 texts cut to 200 tokens, 3 spans lost with them.\n" in str(preflight(trainer))
    with pytest.raises(DataError, match=r"example 1 has up to \d+ tokens, and its text cannot be cut"):
        Trainer(still_model, arguments(max_length=200), [short, described])


def test_labels_of_a_text_that_is_cut_are_still_known_to_be_near_it(still_model):
    """Two questions to a text that are cut at different places are not shown as absent from one another's."""
    text = f"Ann came. {LONG}Bob left."
    first, second = extraction(text, **{"who came?": ["Ann"]}), extraction(text, **{"who left?": ["Bob"]})
    both = TrainingSet([first, second], still_model, seed=0, augmentation=Augmentation(4, foreign=3), max_length=200)
    assert [len(both[i].tree.branches) for i in (0, 1)] == [1, 1]


def test_stores_of_other_lengths_are_other_stores(still_model, tmp_path):
    path = file_of(tmp_path / "long.jsonl", extraction(LONG, person=[]))
    lengths = [open_store(path, still_model, max_length=most).longest[0] for most in (None, 100, 200, 100_000)]
    assert lengths[0] == lengths[3] > lengths[2] > lengths[1]


@pytest.mark.parametrize("name", ["max_length", "batch_tokens"])
@pytest.mark.parametrize("length", [0, -1, 31])
def test_a_length_that_leaves_no_room(arguments, name, length):
    with pytest.raises(ConfigError, match=f"{name} is {length}: give at least 32 tokens, or leave it out"):
        arguments(**{name: length})


@pytest.mark.slow
@pytest.mark.parametrize(
    ("given", "most"), [({"batch_tokens": 200}, 200), ({"batch_tokens": 200, "max_length": 300}, 200),
                        ({"batch_tokens": 200, "max_length": 100}, 100), ({"batch_tokens": 10_000}, 511)]
)  # fmt: skip
def test_no_example_is_longer_than_a_batch(still_model, arguments, given, most):
    long = extraction(f"Ann came. {LONG}Bob left.", person=["Ann", "Bob"])
    trainer = Trainer(still_model, arguments(**given), {"some": [long] * 3}, replay=[long])
    assert trainer.train_dataset.cut == {"some": Cut(most, 3, 3), "examples": Cut(most, 1, 1)}
    batches = list(trainer.get_train_dataloader())
    assert all(batch["tokens"] <= given["batch_tokens"] for batch in batches)
    assert len(batches) == (4 if most == given["batch_tokens"] else len(batches))


def test_more_than_the_model_reads_is_what_it_reads(still_model):
    given = TrainingSet([extraction(LONG, person=[])], still_model, seed=0, augmentation=VARIED, max_length=100_000)
    assert given.cut == {"examples": Cut(still_model.max_positions - 1, 1, 0)}
    assert str(given.cut["examples"]) == "1 texts cut to 511 tokens"
