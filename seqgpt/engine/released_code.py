"""What the released inference code of SeqGPT computes, for comparison: no constraint, four beams.

Its settings are kept, good or not: labels in chunks of six, each with the whole prompt; left padding, and left
truncation to 1,024 tokens, which takes the head of a long text; a repetition penalty of 2, which transformers also
applies to the words of the prompt, so that copying is punished.

Source: ``inference.py`` of github.com/Alibaba-NLP/SeqGPT.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from seqgpt.results import Result
from seqgpt.tasks import AtomicTask
from seqgpt.templates.released import LINE_END, ReleasedTemplate, chunks

MAX_PROMPT_TOKENS = 1024
MAX_NEW_TOKENS = 256
_GENERATION: dict[str, Any] = {
    "num_beams": 4,
    "do_sample": False,
    "max_new_tokens": MAX_NEW_TOKENS,
    "repetition_penalty": 2.0,
}
_TEMPLATE = ReleasedTemplate()


def answer(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, text: str, task: AtomicTask) -> Result:
    """Answer one task on one text as the released code does, and read what it wrote; spans have no probabilities.

    White space at the ends of the text is not read, and what looks like a special token in it is one, as there. The
    result's ``raw`` has a line end between chunks, where the released code has nothing. Numbers are those of the model,
    where the released code takes float16 on a GPU.
    """
    asked = [task.with_labels(labels) for labels in chunks(task.labels)] if task.kind == "extract" else [task]
    prompts = [str(_TEMPLATE.prompt(one, text.strip())) for one in asked]
    sides = tokenizer.padding_side, tokenizer.truncation_side
    tokenizer.padding_side = tokenizer.truncation_side = "left"
    try:
        longest = max(len(ids) for ids in tokenizer(prompts)["input_ids"])
        inputs = tokenizer(
            prompts, return_tensors="pt", padding=True, truncation=True, max_length=MAX_PROMPT_TOKENS
        ).to(model.device)
    finally:
        tokenizer.padding_side, tokenizer.truncation_side = sides
        # Fast tokenizers keep what they were told, and would save it.
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
    written = cast(Any, model).generate(**inputs, **_GENERATION)[:, inputs["input_ids"].shape[1] :]
    answers = tokenizer.batch_decode(written, skip_special_tokens=True)
    result = task.parse(LINE_END.join(answers), text, template=_TEMPLATE.name)
    notes = []
    if longest > MAX_PROMPT_TOKENS:
        notes.append(f"the first {longest - MAX_PROMPT_TOKENS} tokens of the prompt were not read.")
    if written.shape[1] == MAX_NEW_TOKENS and not torch.isin(written[:, -1], _ends(model, tokenizer)).all():
        notes.append(f"an answer was cut off after {MAX_NEW_TOKENS} tokens.")
    return replace(result, truncated=True, warnings=(*notes, *result.warnings)) if notes else result


def _ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> torch.Tensor:
    """Return the tokens that end an answer or fill the place behind its end."""
    ids = [tokenizer.eos_token_id, tokenizer.pad_token_id]
    return torch.tensor([index for index in ids if isinstance(index, int)], device=model.device)
