"""Training leaves Python's garbage collector as it was, and gives it little to do meanwhile."""

import gc

import pytest

from seqgpt import Trainer
from seqgpt.training import trainer as module
from seqgpt.training.garbage import few_collections


@pytest.fixture
def unfrozen():
    """Undo what the fixtures of this folder do, which is the same."""
    gc.unfreeze()
    yield
    gc.freeze()


@pytest.mark.slow
@pytest.mark.parametrize("theirs", [False, True], ids=["not frozen", "frozen by the caller"])
def test_afterwards_all_is_as_before(unfrozen, theirs):
    if theirs:
        gc.freeze()
    thresholds = gc.get_threshold()
    context = few_collections()
    context.__enter__()
    assert gc.get_freeze_count() > 1000
    assert gc.get_threshold()[0] > thresholds[0]
    error = ZeroDivisionError()
    assert not context.__exit__(type(error), error, None)
    assert gc.get_threshold() == thresholds
    assert (gc.get_freeze_count() > 0) == theirs  # how many depends on what else ended meanwhile


@pytest.mark.slow
def test_cycles_are_still_collected_meanwhile():
    class Node:
        here = 0

        def __init__(self):
            self.me = self
            Node.here += 1

        def __del__(self):
            Node.here -= 1

    with few_collections():
        most = 0
        for _ in range(3 * gc.get_threshold()[0]):
            Node()
            most = max(most, Node.here)
    assert 0 < most < 1.1 * 100_000


@pytest.mark.slow
def test_training_has_it(unfrozen, model, eight, arguments, monkeypatch):
    seen = []
    plain = module.ResumableTrainer.train

    def train(*given):
        seen.append(gc.get_freeze_count())
        return plain(*given)

    monkeypatch.setattr(module.ResumableTrainer, "train", train)
    before = gc.get_freeze_count()
    Trainer(model, arguments(max_steps=1), eight).train()
    assert seen[0] > before
    assert gc.get_freeze_count() == before
