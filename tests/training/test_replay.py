"""Replay: other examples come among one's own, in their share, all before one comes again; and nothing is lost."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqgpt import ConfigError, DataError, Example, Trainer
from seqgpt.data.augmentation import Augmentation
from seqgpt.data.sample import load_sample
from seqgpt.training.preflight import preflight
from seqgpt.training.replay import WithReplay
from seqgpt.training.shares import Shares
from seqgpt.training.training_set import TrainingSet
from tests.training.conftest import make_model


@pytest.fixture(scope="module")
def sets(still_model, eight):
    own, others = (
        TrainingSet(examples, still_model, seed=0, augmentation=Augmentation(), sources=[name] * len(examples))
        for name, examples in (("own", eight), ("other", load_sample("train")[:5]))
    )
    return own, others


def test_others_come_in_their_share_and_in_turn(sets):
    own, others = sets
    both = WithReplay(own, others, share=0.2, seed=0)
    assert (both.replayed, len(both)) == (2, 10)
    seen = []
    for epoch in range(5):
        both.set_epoch(epoch)
        assert (own.epoch, others.epoch) == (epoch, epoch)
        assert sorted(both.order(epoch).tolist()) == list(range(10))
        assert [both[i].source for i in range(10)] == ["own"] * 8 + ["other"] * 2
        assert [both[i].tree for i in range(8)] == [own[i].tree for i in range(8)]
        seen += both._choose(epoch).tolist()
        assert both.sizes(epoch).tolist() == [len(both[i].tree) for i in range(10)]
    assert sorted(seen) == sorted([*range(5), *range(5)])
    assert not (both.order(0) == both.order(1)).all()


def make_set(model, **sources):
    examples = [example for members in sources.values() for example in members]
    names = [name for name, members in sources.items() for _ in members]
    return TrainingSet(examples, model, seed=0, augmentation=Augmentation(), sources=names)


def test_small_sources_have_their_share(still_model, eight):
    own = make_set(still_model, own=eight * 4)
    many = load_sample("train")
    others = make_set(still_model, tiny=many[:2], small=many[2:25], large=many[25:])
    both = WithReplay(own, others, share=0.2, seed=0)
    assert both.replayed == 8
    came = {name: [] for name in ("tiny", "small", "large")}
    for epoch in range(6):
        chosen = both._choose(epoch)
        for name, members in others.by_source(epoch).items():
            came[name].append(np.isin(chosen, members).sum())
        assert {name: len(numbers) for name, numbers in both.by_source(epoch).items()} == {
            "own": 32,
            **{name: numbers[-1] for name, numbers in came.items()},
        }
    assert came == {"tiny": [2] * 6, "small": [3] * 6, "large": [3] * 6}
    assert {one.name: one.examples for one in both.describe()} == {"own": 32, "tiny": 2, "small": 3, "large": 3}


def test_sources_that_find_no_place_wait_their_turn(still_model, eight, arguments):
    others = {name: load_sample("train")[start : start + 9] for name, start in (("a", 0), ("b", 9), ("c", 18))}
    trainer = Trainer(make_model(), arguments(), eight, replay=others)
    sources = [set(trainer.train_dataset.by_source(epoch)) - {"examples"} for epoch in range(3)]
    assert sorted(map(sorted, sources)) == [["a", "b"], ["a", "c"], ["b", "c"]]
    assert len(preflight(trainer).sources) == 3


@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(1, 30), min_size=1),
    st.integers(1, 150),
    st.integers(0, 20),
)
def test_places_are_shared_evenly(sizes, places, epoch):
    shares = Shares(sizes, places)
    given = {name: shares.positions(name, epoch) for name in sizes}
    assert sum(map(len, given.values())) == places
    rest = {name: len(given[name]) - places // sum(sizes.values()) * size for name, size in sizes.items()}
    assert all(0 <= rest[name] <= size for name, size in sizes.items())
    assert all(rest[name] >= max(rest.values()) - 1 for name, size in sizes.items() if rest[name] < size)
    for name in sizes:
        assert 0 <= shares.most(name) - len(given[name]) <= 1
        until = [shares.positions(name, number).tolist() for number in range(epoch + 1)]
        assert [position for positions in until for position in positions] == list(range(sum(map(len, until))))


@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_tasks_on_one_text_stay_together(still_model, eight, share):
    def asked_twice(examples):
        other = [
            Example.from_dict({"text": one.text, "task": "classify", "labels": ["a", "b"], "answer": ["a"]})
            for one in {example.text: example for example in examples}.values()
        ]
        return [*examples, *other]

    own = make_set(still_model, own=asked_twice(eight))
    others = make_set(still_model, other=asked_twice(load_sample("train")[:10]))
    both = WithReplay(own, others, share=share, seed=0)
    for epoch in range(4):
        both.set_epoch(epoch)
        order = both.order(epoch)
        assert sorted(order.tolist()) == list(range(len(both)))
        assert order[order < len(own)].tolist() == own.order(epoch).tolist()
        chosen = both._choose(epoch)
        replayed = chosen[order[order >= len(own)] - len(own)]
        in_order = [number for number in others.order(epoch).tolist() if number in chosen]
        assert list(dict.fromkeys(replayed.tolist())) == in_order
        assert len(set(replayed[: len(in_order)].tolist())) == len(in_order)  # none again before all
        texts = both.texts(epoch)[order]
        if len(in_order) == len(chosen):  # what comes twice in an epoch comes apart
            assert 1 + (texts[1:] != texts[:-1]).sum() == len(set(texts.tolist()))
    sides = both.order(0) < len(own)
    assert (sides[1:] != sides[:-1]).sum() > 4  # mixed, not one after the other


@pytest.mark.slow
def test_replay_is_resumed_exactly(arguments, eight, tmp_path):
    options = {"max_steps": 6, "save_strategy": "steps", "save_steps": 3, "batch_tokens": 150}
    others = {"replay": {"others": load_sample("train")[:5], "more": load_sample("train")[5:8]}}
    Trainer(straight := make_model(), arguments(**options, output_dir=str(tmp_path / "a")), eight, **others).train()
    Trainer(make_model(), arguments(**options, output_dir=str(tmp_path / "b")), eight, **others).train()
    resumed = make_model()
    trainer = Trainer(resumed, arguments(**options, output_dir=str(tmp_path / "b")), eight, **others)
    trainer.train(resume_from_checkpoint=str(tmp_path / "b" / "checkpoint-3"))
    mine, other = straight.model.state_dict(), resumed.model.state_dict()
    assert all((mine[name] == other[name]).all() for name in mine)
    history = json.loads((tmp_path / "b" / "checkpoint-6" / "trainer_state.json").read_text())["log_history"]
    assert any("loss/others" in entry for entry in history)


@pytest.mark.slow
def test_batches_of_tokens(arguments, eight):
    trainer = Trainer(make_model(), arguments(max_steps=-1, num_train_epochs=2, batch_tokens=150), eight)
    loader = trainer.get_train_dataloader()
    sizes = trainer.train_dataset.sizes(0)
    batches = list(loader)
    assert len(batches) == len(loader) > 2
    assert all(batch["tokens"] <= max(150, sizes.max()) for batch in batches)
    assert np.sum([batch["tokens"] for batch in batches]) == pytest.approx(sizes.sum(), rel=0.1)
    trainer.train()
    assert trainer.state.global_step == 2 * len(loader)


@pytest.mark.slow
def test_training_stops_when_evaluations_get_no_better(arguments, eight):
    args = arguments(
        max_steps=-1,
        num_train_epochs=50,
        learning_rate=0.0,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        early_stopping_patience=2,
    )
    trainer = Trainer(make_model(), args, eight, eight[:4])
    trainer.train()
    assert trainer.state.epoch == 3


def test_what_does_not_go_together(arguments, eight):
    with pytest.raises(ConfigError, match="early_stopping_patience needs load_best_model_at_end"):
        arguments(early_stopping_patience=2)
    with pytest.raises(ConfigError, match="replay_share is 1"):
        arguments(replay_share=1)
    with pytest.raises(ConfigError, match="batch_tokens is 0"):
        arguments(batch_tokens=0)
    with pytest.raises(DataError, match="no examples to replay"):
        Trainer(make_model(), arguments(), eight, replay=[])
