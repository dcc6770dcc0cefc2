"""Replay: other examples come among one's own, in their share, all before one comes again; and nothing is lost."""

import json

import numpy as np
import pytest

from seqgpt import ConfigError, DataError, Trainer
from seqgpt.data.augmentation import Augmentation
from seqgpt.data.sample import load_sample
from seqgpt.training.replay import WithReplay
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


def test_replay_is_resumed_exactly(arguments, eight, tmp_path):
    options = {"max_steps": 6, "save_strategy": "steps", "save_steps": 3, "batch_tokens": 150}
    given = {"replay": {"others": load_sample("train")[:5]}}
    Trainer(straight := make_model(), arguments(**options, output_dir=str(tmp_path / "a")), eight, **given).train()
    Trainer(make_model(), arguments(**options, output_dir=str(tmp_path / "b")), eight, **given).train()
    resumed = make_model()
    trainer = Trainer(resumed, arguments(**options, output_dir=str(tmp_path / "b")), eight, **given)
    trainer.train(resume_from_checkpoint=str(tmp_path / "b" / "checkpoint-3"))
    mine, other = straight.model.state_dict(), resumed.model.state_dict()
    assert all((mine[name] == other[name]).all() for name in mine)
    history = json.loads((tmp_path / "b" / "checkpoint-6" / "trainer_state.json").read_text())["log_history"]
    assert any("loss/others" in entry for entry in history)


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
