"""What the workers for GLiNER and GLiNER2 share, with a peer that a test makes: it needs neither of them."""

import sys
from pathlib import Path

import pytest

from seqgpt.errors import RunError
from seqgpt.predictors.command import Command
from seqgpt.tasks import AtomicTask

SCRIPTS = Path(__file__).parents[2] / "scripts" / "predictors"
PEER = f"""
import sys
sys.path.insert(0, {str(SCRIPTS)!r})
from worker_protocol import serve

class Peer:
    def extract(self, texts, asked):
        print("what a peer prints is no answer")
        if "bad" in " ".join(texts):
            raise ValueError("too\\nbad")
        return [[{{"label": asked.names[0], "start": 0, "end": min(len(text), 5), "score": 0.5}},
                 {{"label": asked.names[0], "start": len(text) - 1, "end": len(text), "score": 0.5}}] for text in texts]

    def classify(self, texts, asked):
        assert asked.described == (["a", "b"] if not asked.chinese else {{"a": "what a is", "b": "b"}})
        return [{{"a": 0.6, "b": 0.2}}] * len(texts)

sys.exit(serve(Peer(), threshold=0.5, batch_size=2))
"""
ONE = AtomicTask.extract(["x"])


@pytest.fixture
def command(tmp_path):
    (tmp_path / "peer.py").write_text(PEER)
    with Command([sys.executable, str(tmp_path / "peer.py")]) as opened:
        yield opened


def test_spans_are_those_of_the_text_without_white_space_at_their_edges(command):
    about = AtomicTask.extract(["x"], about="Ann")
    written = command.predict_pairs([(" Ann met", ONE), ("Bob", ONE), ("Cid left", about), ("Dan", ONE)])
    found = [[(span.text, span.start) for span in one.result.spans] for one in written]
    assert found == [[("Ann", 1), ("t", 7)], [("Bob", 0), ("b", 2)], [("Cid l", 0)], [("Dan", 0), ("n", 2)]]


def test_a_text_that_is_too_much_fails_alone(command):
    with pytest.raises(RunError, match=r"failed on the text 'bad': ValueError: too bad$"):
        command.predict_pairs([("Ann", ONE), ("bad", ONE)])
    assert len(command.predict_pairs([("Ann", ONE)])[0].result.spans) == 2


def test_classes(command):
    labels = ["a", "b"]
    one, several, none = (
        written.result
        for written in command.predict_pairs(
            [
                ("x", AtomicTask.classify(labels)),
                ("x", AtomicTask.classify(labels, multi_label=True)),
                ("人", AtomicTask.classify({"a": "what a is", "b": ""}, none=True)),
            ]
        )
    )
    assert (one.label, several.labels, none.label) == ("a", ("a",), "a")
    assert none.none_score == pytest.approx(0.4)
