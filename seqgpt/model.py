"""The model that users hold: a causal language model, its tokenizer and its template, as one object."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypedDict, Unpack, cast, overload

import torch
from tqdm.auto import tqdm
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from seqgpt.engine.decoder import DEFAULT_THRESHOLD, Decoder
from seqgpt.engine.forward import PROMPT_ATTENTION, TreeForward, check_prompt_attention, embedding_rows
from seqgpt.engine.plan import Plan, make_plan
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.errors import ConfigError, LabelError, ModelError, TextError, did_you_mean
from seqgpt.model_files import (
    SETTINGS_FILE,
    Settings,
    build,
    expand,
    find,
    load,
    make_folder,
    read_settings,
    stamp,
    write_settings,
)
from seqgpt.results import Extraction, Result
from seqgpt.tasks import AtomicTask, Labels, check_text
from seqgpt.templates import DEFAULT_TEMPLATE, Template, get_template
from seqgpt.templates.marks import MARKS, MarksTemplate
from seqgpt.tokenizer import add_marks

_DEFAULT_POSITIONS = 2048
_Where = str | Path | None

Threshold = float | Mapping[str, float]
"""One threshold for all labels, or those of some labels."""

TaskLike = AtomicTask | Labels
"""A task; or the labels of an extraction, as a list or ``{label: description}``."""

Tasks = Sequence[AtomicTask] | Mapping[str, AtomicTask]
"""Several tasks to ask of the same text; the results stand under the tasks' names, or under the keys."""


class _Options(TypedDict, total=False):
    """What may be said of a prediction, for type checkers: the keyword arguments of :meth:`SeqGPT.predict`."""

    threshold: Threshold | None
    batch_size: int


class SeqGPT:
    """Answers atomic tasks with a causal language model.

    Attributes:
        model: The Hugging Face causal language model.
        tokenizer: Its tokenizer, with the marks of the template.
        template: The template that the model is trained on.
        trained: False for a model that has not been trained on the template yet.
        threshold: What the probability of a span, or of one label of several, must exceed; saved with the model.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        template: str | None = None,
        trained: bool = True,
        threshold: float = DEFAULT_THRESHOLD,
    ) -> None:
        self.template = _get_template(template)
        check_prompt_attention(getattr(model.config, PROMPT_ATTENTION, "causal"))
        self.model = model
        self.tokenizer = tokenizer
        self.trained = trained
        self.threshold = threshold
        _give_marks(model, tokenizer)

    @classmethod
    def from_pretrained(
        cls,
        path_or_id: str | Path,
        *,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        trust_remote_code: bool = False,
        use_safetensors: bool = True,
    ) -> SeqGPT:
        """Open a model: a folder, a run directory of the ``Trainer``, or a hub id.

        A plain causal language model can be opened too, to be trained.

        Args:
            path_or_id: The folder or hub id. What is a ``Path``, begins with ``.``, ``/`` or ``~``, or has two slashes
                or more is a folder only.
            revision: Branch, tag or commit of a model on the hub.
            device: Where the model computes; a GPU if there is one.
            dtype: Number type of the weights; float32 by default.
            trust_remote_code: Run code that comes with the model.
            use_safetensors: Refuse weights in formats that can carry code.

        Raises:
            ModelError: If there is no model, or it is of a template that this version does not know.
        """
        source = find(path_or_id, revision=revision, use_safetensors=use_safetensors)
        said = read_settings(source.settings) if source.settings else Settings(DEFAULT_TEMPLATE, trained=False)
        _get_template(said.template)  # first: the weights may be large
        tokenizer, model = load(
            source,
            dtype=dtype or torch.float32,
            trust_remote_code=trust_remote_code,
            use_safetensors=use_safetensors,
        )
        opened = cls(model, tokenizer, template=said.template, trained=said.trained, threshold=said.threshold)
        cast(torch.nn.Module, opened.model).to(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        opened.model.eval()
        return opened

    @classmethod
    def from_config(cls, config: Mapping[str, Any], tokenizer: PreTrainedTokenizerBase, *, seed: int = 0) -> SeqGPT:
        """Create a model with random weights.

        Args:
            config: ``model_type`` (``"qwen3"``, ``"llama"``, …) and the fields of that type's Hugging Face config;
                the vocabulary's size and special tokens are filled in.
            tokenizer: The tokenizer, for example of :func:`seqgpt.tokenizer.train_tokenizer`.
            seed: Seed of the weights.

        Raises:
            ModelError: If the config names no known model type, or fields that it does not have.
        """
        add_marks(tokenizer, MARKS)
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            model = build(
                config,
                vocab_size=len(tokenizer),
                pad_token_id=tokenizer.pad_token_id,
                bos_token_id=tokenizer.bos_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
        model.eval()
        return cls(model, tokenizer, trained=False)

    def save_pretrained(self, path: str | Path) -> None:
        """Save weights (safetensors), tokenizer and settings to a folder that ``from_pretrained`` opens.

        Raises:
            ModelError: If there is no such folder, and none can be made.
        """
        path = expand(path)
        make_folder(path)
        self.model.save_pretrained(path)
        self.save_settings(path)

    def save_settings(self, path: Path) -> None:
        """Save what stands beside the weights: tokenizer, template, threshold, and whether the model is trained."""
        self.tokenizer.save_pretrained(path)
        write_settings(path, Settings(self.template.name, self.trained, self.threshold))

    @overload
    def predict(self, text: str, task: Labels, **options: Unpack[_Options]) -> Extraction: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, text: str, task: AtomicTask, **options: Unpack[_Options]) -> Result: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, text: str, task: Tasks, **options: Unpack[_Options]) -> dict[str, Result]: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, text: Sequence[str], task: Labels, **options: Unpack[_Options]) -> list[Extraction]: ...
    @overload
    def predict(self, text: Sequence[str], task: AtomicTask, **options: Unpack[_Options]) -> list[Result]: ...
    @overload
    def predict(self, text: Sequence[str], task: Tasks, **options: Unpack[_Options]) -> list[dict[str, Result]]: ...
    def predict(
        self,
        text: str | Sequence[str],
        task: TaskLike | Tasks,
        *,
        threshold: Threshold | None = None,
        batch_size: int = 16,
    ) -> Any:
        """Answer one or more tasks on one or more texts.

        Args:
            text: A text, or a list of texts.
            task: A task; a list of labels, which asks for extraction; or several tasks, as a list or ``{name: task}``.
            threshold: What the probability of a span, or of one label of several, must exceed: a number, or
                ``{label: number}`` for some labels. By default the model's own, ``model.threshold``.
            batch_size: Number of texts that are computed together; it does not change the results.

        Returns:
            One result per text: an ``Extraction`` or a ``Classification``; for several tasks a dict of them by name.

        Raises:
            TextError: If a text is empty, or longer than the model reads.
            LabelError: If labels are empty or repeated, two tasks have one name, or a threshold is of no label.
            ConfigError: If ``batch_size`` is not a positive number, or a threshold none from 0 to 1.
        """
        if isinstance(text, (bytes, Mapping, Set)) or not isinstance(text, Iterable):
            check_text(text)
        texts = [text] if isinstance(text, str) else list(text)
        tasks = _named(task)
        several = {"": as_task(cast(TaskLike, task))} if tasks is None else tasks
        pairs = [(one, asked) for one in texts for asked in several.values()]
        numbers = [number for number in range(1, len(texts) + 1) for _ in several]
        answers = iter(self._answer(pairs, numbers, threshold=threshold, batch_size=batch_size))
        results: list[Any] = [{name: next(answers) for name in several} for _ in texts]
        if tasks is None:
            results = [result[""] for result in results]
        return results[0] if isinstance(text, str) else results

    def predict_pairs(
        self,
        pairs: Sequence[tuple[str, AtomicTask]],
        *,
        threshold: Threshold | None = None,
        batch_size: int = 16,
        progress: bool = False,
    ) -> list[Result]:
        """Answer a task of its own for each text: ``[(text, task), …]`` in, one result each out.

        Args:
            pairs: Texts and their tasks.
            threshold: As in :meth:`predict`.
            batch_size: Number of texts that are computed together.
            progress: Show a progress bar on standard error, if there is more than one batch.

        Raises:
            TextError: If a text is empty, or longer than the model reads.
            LabelError: If a threshold is of no label.
            ConfigError: If ``batch_size`` is not a positive number, or a threshold none from 0 to 1.
        """
        numbers = range(1, len(pairs) + 1)
        return self._answer(pairs, numbers, threshold=threshold, batch_size=batch_size, progress=progress)

    def _answer(
        self,
        pairs: Sequence[tuple[str, AtomicTask]],
        numbers: Sequence[int],
        *,
        threshold: Threshold | None,
        batch_size: int,
        progress: bool = False,
    ) -> list[Result]:
        """Answer each pair; ``numbers`` are those of the texts, as the caller counts them."""
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size!r}: give a whole number from 1 up.")
        by_label = dict(threshold) if isinstance(threshold, Mapping) else {}
        for_all = self.threshold if threshold is None or isinstance(threshold, Mapping) else threshold
        _check_probability("threshold", for_all)
        _check_labels(by_label, {label for _, task in pairs for label in task.labels})
        for label, least in by_label.items():
            _check_probability(f"the threshold of {label!r}", least)
        if not self.trained:
            warnings.warn(
                "this model is not trained on the template of seqgpt, so its answers are guesses: train it first.",
                stacklevel=3,
            )
        plans = self._plans(pairs, numbers)
        results: dict[int, Result] = {}
        quiet = not progress or len(plans) <= batch_size
        was_training = self.model.training
        self.model.eval()  # with dropout, answers would be random
        try:
            with tqdm(total=len(plans), desc="predict", unit="text", disable=quiet) as bar:
                for members in _batches(plans, batch_size):
                    answers = self._decoder.answer([plans[i] for i in members], for_all, by_label)
                    results.update(zip(members, answers, strict=True))
                    bar.update(len(members))
        finally:
            self.model.train(was_training)
        return [results[i] for i in range(len(plans))]

    def info(self) -> dict[str, Any]:
        """Return what this model is: architecture, size, template, layout of its computation."""
        return {
            "architecture": self.model.config.model_type,
            "parameters": sum(weight.numel() for weight in self.model.parameters()),
            "vocabulary_size": len(self.tokenizer),
            "template": self.template.name,
            "threshold": self.threshold,
            "max_positions": self.max_positions,
            "layout": self.forward.layout,
            "notes": [self.forward.note] if self.forward.note else [],
        }

    @cached_property
    def vocabulary(self) -> Vocabulary:
        """The tokenizer as the engine sees it."""
        return Vocabulary(self.tokenizer)

    @cached_property
    def forward(self) -> TreeForward:
        """The model as the engine sees it."""
        return TreeForward(self.model)

    @property
    def max_positions(self) -> int:
        """Number of tokens of prompt and answer that the model reads."""
        for name in ("max_position_embeddings", "n_positions", "seq_length"):
            if isinstance(getattr(self.model.config, name, None), int):
                return int(getattr(self.model.config, name))
        return min(self.tokenizer.model_max_length, _DEFAULT_POSITIONS)

    @cached_property
    def _decoder(self) -> Decoder:
        return Decoder(self.forward, self.vocabulary, self.max_positions)

    def _plans(self, pairs: Sequence[tuple[str, AtomicTask]], numbers: Sequence[int]) -> list[Plan]:
        plans = []
        for number, (text, task) in zip(numbers, pairs, strict=True):
            try:
                plans.append(self._plan(text, task))
            except TextError as error:
                if numbers[-1] == 1:
                    raise
                raise TextError(f"text {number}: {error}") from None
        return plans

    def _plan(self, text: str, task: AtomicTask) -> Plan:
        plan = make_plan(check_text(text), task, self.vocabulary, self.template)
        if plan.longest >= self.max_positions:
            raise TextError(
                f"text and labels have {plan.longest} tokens, and the model reads {self.max_positions - 1}: shorten or "
                f"split the text that begins {text[:30]!r}, or describe fewer labels at once."
            )
        return plan

    def __repr__(self) -> str:
        size = sum(weight.numel() for weight in self.model.parameters())
        return f"SeqGPT({self.model.config.model_type}, {size / 1e6:.1f}M parameters, template {self.template.name!r})"


@overload
def predict(text: str, task: Labels, *, model: _Where = ..., **options: Unpack[_Options]) -> Extraction: ...  # type: ignore[overload-overlap]
@overload
def predict(text: str, task: AtomicTask, *, model: _Where = ..., **options: Unpack[_Options]) -> Result: ...  # type: ignore[overload-overlap]
@overload
def predict(text: str, task: Tasks, *, model: _Where = ..., **options: Unpack[_Options]) -> dict[str, Result]: ...  # type: ignore[overload-overlap]
@overload
def predict(
    text: Sequence[str], task: Labels, *, model: _Where = ..., **options: Unpack[_Options]
) -> list[Extraction]: ...
@overload
def predict(
    text: Sequence[str], task: AtomicTask, *, model: _Where = ..., **options: Unpack[_Options]
) -> list[Result]: ...
@overload
def predict(
    text: Sequence[str], task: Tasks, *, model: _Where = ..., **options: Unpack[_Options]
) -> list[dict[str, Result]]: ...
def predict(
    text: str | Sequence[str],
    task: TaskLike | Tasks,
    *,
    model: _Where = None,
    threshold: Threshold | None = None,
    batch_size: int = 16,
) -> Any:
    """Answer one or more tasks on one or more texts, with a model that is opened once and kept.

    Args:
        text: A text, or a list of texts.
        task: A task; a list of labels, which asks for extraction; or several tasks, as a list or ``{name: task}``.
        model: A folder or hub id; by default ``SEQGPT_MODEL``, or the model that ``make demo`` trained.
        threshold: What the probability of a span, or of one label of several, must exceed; by default the model's own.
        batch_size: Number of texts that are computed together.

    Returns:
        What :meth:`SeqGPT.predict` returns.
    """
    named = model or default_model_path()
    folder = expand(named)
    opened = _open(folder.resolve() if folder.exists() else named, stamp(folder))
    ask: Any = opened.predict  # mypy tries too few of the combinations
    return ask(text, task, threshold=threshold, batch_size=batch_size)


@lru_cache(maxsize=1)
def _open(path_or_id: str | Path, _stamp: object) -> SeqGPT:
    """Open a model, or return the one that is open; another stamp means that it was saved again since."""
    return SeqGPT.from_pretrained(path_or_id)


def as_task(task: TaskLike) -> AtomicTask:
    """Return a task as it is, and labels as an extraction."""
    return task if isinstance(task, AtomicTask) else AtomicTask.extract(task)


def default_model_path() -> str:
    """Return the model to use where none is named: ``SEQGPT_MODEL``, or else the one that ``make demo`` trained.

    Raises:
        ModelError: If there is neither.
    """
    named = os.environ.get("SEQGPT_MODEL")
    if named:
        return named
    demo = Path("runs/demo")
    if (demo / SETTINGS_FILE).is_file():
        return str(demo)
    raise ModelError(
        "no model is named: pass one (--model on the command line), set SEQGPT_MODEL to its folder, or train one here "
        "with `make demo`."
    )


def _named(task: TaskLike | Tasks) -> dict[str, AtomicTask] | None:
    """Return several tasks by name, or None for a single task."""
    if isinstance(task, AtomicTask | str) or not isinstance(task, Sequence | Mapping):
        return None
    members = list(task.values()) if isinstance(task, Mapping) else list(task)
    if not any(isinstance(member, AtomicTask) for member in members):
        return None
    if not all(isinstance(member, AtomicTask) for member in members):
        raise LabelError(
            "several tasks must all be AtomicTask: build each with AtomicTask.extract or AtomicTask.classify."
        )
    tasks = cast("list[AtomicTask]", members)
    names = [str(name) for name in task] if isinstance(task, Mapping) else [one.name for one in tasks]
    for name in names:
        if names.count(name) > 1:
            raise LabelError(f"two tasks are named {name!r}: give name= to each, or pass {{name: task}}.")
    return dict(zip(names, tasks, strict=True))


def _check_labels(thresholds: Mapping[str, object], labels: Set[str]) -> None:
    for label in thresholds:
        if label not in labels:
            hint = did_you_mean(str(label), sorted(labels))
            raise LabelError(
                f"a threshold is given for {label!r}, which no task asks for.{hint} Ask for it, or leave it out."
            )


def _check_probability(name: str, value: object) -> None:
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < 1:
        raise ConfigError(f"{name} is {value!r}: give a probability from 0 up, below 1.")


def _batches(plans: Sequence[Plan], batch_size: int) -> Iterator[list[int]]:
    """Group plans of like length, the longest first, so that little is padding and memory peaks at once."""
    order = sorted(range(len(plans)), key=lambda i: -len(plans[i].prompt) - sum(map(len, plans[i].branches)))
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _give_marks(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase) -> None:
    """Add the marks to tokenizer and model; a new mark starts as the mean of the words that name it."""
    added = add_marks(tokenizer, MARKS)
    size = embedding_rows(model)
    if len(tokenizer) > size:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    with torch.no_grad():
        for mark, words in MARKS.items():
            index = cast(int, tokenizer.convert_tokens_to_ids(str(mark)))
            if mark not in added and index < size:
                continue
            ids = tokenizer(words, add_special_tokens=False)["input_ids"]
            # One table if input and output embeddings are tied: then the second assignment repeats the first.
            for layer in (model.get_input_embeddings(), model.get_output_embeddings()):
                for table in layer.parameters():  # the weight, and the bias of the few that have one
                    table[index] = table[ids].mean(dim=0)


def _get_template(name: str | None) -> Template:
    """Return the template of that name, if models of it can be run."""
    try:
        template = get_template(name)
    except ModelError as error:
        raise ModelError(
            f"the model is of template {name!r}, which this version of seqgpt does not know: open it with the version "
            "that saved it, or train it again."
        ) from error
    if not isinstance(template, MarksTemplate):
        raise ModelError(
            f"models of template {template.name!r} write whole answers, which this version cannot decode yet: use a "
            f"model of template {DEFAULT_TEMPLATE!r}. Prompts and answers of {template.name!r} can be written and read "
            "with AtomicTask.prompt and AtomicTask.parse."
        )
    return template
