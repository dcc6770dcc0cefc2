"""What a model writes without constraint: the same as the constrained engine where it writes what is allowed."""

from __future__ import annotations

import pytest
import torch

from seqgpt.errors import ConfigError, TextError
from seqgpt.evaluation.predictions import predict
from seqgpt.examples import Example
from seqgpt.predictors.free_generation import FreeGeneration
from seqgpt.tasks import AtomicTask
from seqgpt.templates.marks import END, NONE, SKIP, YES

TEXT = "Ann met Bob, and Ann left."
WHO = AtomicTask.extract(["person", "place"])
TONE = AtomicTask.classify(["praise", "complaint"], none=True)
TOPICS = AtomicTask.classify(["sport", "war"], multi_label=True)


class Scripted(FreeGeneration):
    """Writes what a test says instead of what the model would."""

    def __init__(self, model, answers, **options):
        super().__init__(model, **options)
        self.answers = answers

    def _generate(self, prompts):
        words = [bytes(self.model.vocabulary.decode(prompt)).decode() for prompt in prompts]
        said = [next(value for key, value in self.answers.items() if prompt.endswith(key)) for prompt in words]
        encode = self.model.vocabulary.encode_pieces
        return [[list(encode(pieces)) for pieces in answers] for answers in said]


def ask(model, task, answers, text=TEXT, **options):
    (written,) = Scripted(model, answers, **options).predict_pairs([(text, task)])
    return written


def test_each_label_is_asked_behind_its_cue(tiny):
    model = tiny("qwen3")
    written = ask(model, WHO, {"person": [[" Ann", SKIP, END]], "place": [[NONE]]})
    assert [(span.label, span.start) for span in written.result.spans] == [("person", 17)]
    assert (written.malformed, written.ungrounded) == (False, 0)
    assert written.result.raw == " person<|is|> Ann<|skip|><|end|> place<|is|><|none|>"


def test_what_is_wrong_is_counted_and_the_rest_is_kept(tiny):
    written = ask(tiny("qwen3"), WHO, {"person": [[" Ann", END]], "place": [[" Paris", END]]})
    assert ([span.text for span in written.result.spans], written.malformed, written.ungrounded) == (["Ann"], False, 1)
    written = ask(tiny("qwen3"), WHO, {"person": [[" Ann", END]], "place": [[" Bob"]]})
    assert ([span.text for span in written.result.spans], written.malformed, written.ungrounded) == (["Ann"], True, 0)


def test_of_several_answers_those_before_none_are_spans(tiny):
    answers = {"person": [[" Ann", END], [" Bob", END], [NONE], [" met", END]], "place": [[NONE], [" Bob", END]]}
    written = ask(tiny("qwen3"), WHO, answers)
    assert [span.text for span in written.result.spans] == ["Ann", "Bob"]
    assert not written.malformed


def test_classifications(tiny):
    model = tiny("qwen3")
    assert ask(model, TOPICS, {"sport": [[YES]], "war": [[NONE]]}).result.labels == ("sport",)
    assert ask(model, TONE, {TEXT: [[" praise", END]]}).result.label == "praise"
    assert ask(model, TONE, {TEXT: [[NONE]]}).result.abstained
    odd = ask(model, TONE, {TEXT: [[" praises", END]]})
    assert (odd.result.labels, odd.malformed) == ((), True)


@pytest.mark.parametrize("kind", ["qwen3", "bloom", "gpt2"])
@pytest.mark.parametrize("task", [WHO, TONE, TOPICS])
def test_the_likeliest_tokens_are_written(tiny, kind, task):
    """The first token of each answer is what the model says behind prompt and cue, computed by itself."""
    model = tiny(kind)
    free = FreeGeneration(model, max_new_tokens=1)
    asks = list(free._asks(model.reader.parts(TEXT, task, "chunk")[0].plan))
    for one, (answer,) in zip(asks, free._generate([ask.prompt for ask in asks]), strict=True):
        with torch.no_grad():
            logits = model.model(input_ids=torch.tensor([one.prompt])).logits
        assert answer == [int(logits[0, -1].argmax())]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["qwen3", "llama", "gpt_neox", "gpt2", "bloom"])
@pytest.mark.parametrize("beams", [1, 3])
def test_answers_do_not_depend_on_what_else_is_asked(tiny, kind, beams):
    model = tiny(kind)
    pairs = [(text, task) for text in (TEXT, "王芳昨天去了杭州。") for task in (WHO, TONE, TOPICS)]
    together = FreeGeneration(model, max_new_tokens=8, num_beams=beams).predict_pairs(pairs)
    alone = FreeGeneration(model, max_new_tokens=8, num_beams=beams, batch_size=1)
    assert together == [alone.predict_pairs([pair])[0] for pair in pairs]


@pytest.mark.parametrize("beams", [1, 2])
def test_a_model_of_whole_answers_writes_lines(released, beams):
    model = released("bloom")
    task = AtomicTask.extract([f"label {i}" for i in range(7)])
    free = FreeGeneration(model, max_new_tokens=6, num_beams=beams)
    written = free.predict_pairs([(TEXT, task), (TEXT, TONE), (TEXT, TOPICS)])
    assert all(one.malformed for one in written)  # random weights, cut off
    asks = list(free._asks(model.reader.parts(TEXT, task, "chunk")[0].plan))
    assert [len(one.task.labels) for one in asks] == [4, 3]


def test_lines_that_end_are_well_formed(released):
    model = released("bloom")
    end = model.tokenizer.eos_token_id
    encode = model.vocabulary.encode
    free = FreeGeneration(model)
    free._generate = lambda prompts: [[[*encode("person: Ann\nplace: None\n"), end]] for _ in prompts]
    (written,) = free.predict_pairs([(TEXT, WHO)])
    assert ([span.text for span in written.result.spans], written.malformed) == (["Ann"], False)
    free._generate = lambda prompts: [[[*encode("person: Ann\nplace: None\n")]] for _ in prompts]
    (cut_off,) = free.predict_pairs([(TEXT, WHO)])
    assert (cut_off.result.spans, cut_off.malformed) == (written.result.spans, True)


def test_long_texts_are_read_in_parts(tiny):
    text = "Nothing happened on that day, nor on the next. " * 60 + "Ann left."
    written = ask(tiny("qwen3"), WHO, {"person": [[" Ann", END]], "place": [[NONE]]}, text)
    assert [(span.text, span.start) for span in written.result.spans] == [("Ann", text.index("Ann"))]
    assert written.ungrounded == len(tiny("qwen3").reader.parts(text, WHO, "chunk")) - 1
    task = AtomicTask.classify(["praise", "complaint"])
    lost = ask(tiny("qwen3"), task, {"": [[" nothing", END]]}, text)
    assert (lost.result.labels, lost.malformed) == ((), True)
    said = ask(tiny("qwen3"), task, {"left.": [[" complaint", END]], "": [[" nothing", END]]}, text)
    assert (said.result.labels, said.malformed) == (("complaint",), True)


def test_long_descriptions_are_asked_in_groups(tiny):
    model = tiny("qwen3")
    task = AtomicTask.extract({"person": "whoever is named " * 25, "place": "wherever it happened " * 25})
    assert len(model.reader.groups(TEXT, task, "chunk")) == 2
    written = ask(model, task, {"person": [[" Ann", END]], "place": [[NONE]]})
    assert ([span.text for span in written.result.spans], written.result.absent) == (["Ann"], ("place",))


def test_special_tokens_are_no_words(tiny):
    model = tiny("qwen3")
    free = FreeGeneration(model)
    pieces = free._pieces([*model.vocabulary.encode(" Ann"), model.tokenizer.eos_token_id, model.vocabulary.mark(END)])
    assert pieces == [" Ann", model.tokenizer.eos_token, "<|end|>"]
    assert free._pieces([10**6]) == ["<1000000>"]


def test_the_model_is_left_as_it_was(tiny):
    model = tiny("qwen3").model
    settings = model.generation_config
    model.train()
    FreeGeneration(tiny("qwen3"), max_new_tokens=2).predict_pairs([(TEXT, TONE)])
    assert model.training
    assert model.generation_config is settings
    model.eval()


def test_wrong_options_and_texts(tiny):
    with pytest.raises(ConfigError, match="num_beams is 0"):
        FreeGeneration(tiny("qwen3"), num_beams=0)
    with pytest.raises(TextError, match="empty"):
        FreeGeneration(tiny("qwen3")).predict_pairs([("", TONE)])


def test_the_harness_counts_what_was_malformed(tiny):
    example = Example.from_dict({"text": TEXT, "task": "extract", "labels": ["person"], "answer": {"person": ["Bob"]}})
    free = Scripted(tiny("qwen3"), {"person": [[" Cid", END, " Bob"]]})
    (one,) = predict(free, [example])
    assert (one.malformed, one.ungrounded) == (True, 1)
