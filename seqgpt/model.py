"""The model that users hold: a causal language model, its tokenizer and its template, as one object."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Unpack, cast, overload

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from seqgpt import adapters, fingerprint
from seqgpt.adapters import Adapter, LoraConfig, delete_adapter
from seqgpt.calibration import LOWEST, Calibration, fit
from seqgpt.composite.base import CompositeTask, Question, R, run
from seqgpt.composite.literal import SchemaLiteral
from seqgpt.composite.schema import Record
from seqgpt.engine import released_code, sequential
from seqgpt.engine.answering import Answering
from seqgpt.engine.decoder import Decoder
from seqgpt.engine.forward import TreeForward
from seqgpt.engine.int8 import is_quantized, quantize
from seqgpt.engine.nf4 import is_nf4, quantize_nf4
from seqgpt.engine.plan import Plan, make_plan
from seqgpt.engine.reading import Reader
from seqgpt.engine.sequential import SequentialDecoder
from seqgpt.engine.vocabulary import Vocabulary
from seqgpt.errors import ConfigError, DataError, ModelError, TextError
from seqgpt.examples import Example
from seqgpt.model_files import (
    BUNDLED,
    Settings,
    Source,
    build,
    expand,
    find,
    load,
    make_folder,
    read_settings,
    write_settings,
)
from seqgpt.model_template import default_settings, known_template, prepare
from seqgpt.options import (
    Compat,
    MaxLength,
    OptionKeywords,
    Options,
    Overlap,
    TaskLike,
    Tasks,
    Threshold,
    Thresholds,
    as_task,
    by_name,
)
from seqgpt.results import Extraction, Result
from seqgpt.tasks import AtomicTask, Labels
from seqgpt.templates import DEFAULT_TEMPLATE
from seqgpt.templates.marks import MARKS, MarksTemplate
from seqgpt.templates.released import GEN, ReleasedTemplate
from seqgpt.texts import check_text
from seqgpt.tokenizer import add_marks

_DEFAULT_POSITIONS = 2048
_BATCHES_AT_ONCE = 16  # texts of so many batches are sorted by length together
_MARKS_OF_A_BRANCH = 8  # bytes of the space and the mark around a label, at least


class SeqGPT:
    """Answers atomic and composite tasks with a causal language model.

    Attributes:
        model: The Hugging Face causal language model.
        tokenizer: Its tokenizer, with the marks of the template.
        template: The template that the model is trained on.
        trained: False for a model that has not been trained on the template yet.
        threshold: What the probability of a span must exceed; saved with the model.
        class_threshold: What that of one label of several must exceed; saved with the model.
        overlap: Whether its spans may overlap; saved with the model.
        calibration: The temperatures of its probabilities; saved with the model.
        adapter: The LoRA adapter in the model; None if it has none.
        source: Where its weights are, without the adapter; None if they are nowhere but in memory.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase,
        *,
        template: str | None = None,
        trained: bool = True,
        threshold: float | None = None,
        class_threshold: float | None = None,
        overlap: Overlap = "allow",
        calibration: Calibration = Calibration(),  # noqa: B008 (frozen)
    ) -> None:
        self.template = known_template(template)
        self.model = model
        self.tokenizer = tokenizer
        self.trained = trained
        self.calibration = calibration
        self.overlap = overlap
        default = default_settings(self.template.name)
        self.threshold = default.threshold if threshold is None else threshold
        self.class_threshold = default.class_threshold if class_threshold is None else class_threshold
        self.adapter: Adapter | None = None
        self.source: Source | None = Source(model.name_or_path, None, {}) if model.name_or_path else None
        prepare(model, tokenizer, self.template)
        self._parameters = fingerprint.size(model)

    @classmethod
    def from_pretrained(
        cls,
        path_or_id: str | Path = BUNDLED,
        *,
        template: str | None = None,
        revision: str | None = None,
        device: str | torch.device | None = None,
        dtype: torch.dtype | None = None,
        trust_remote_code: bool = False,
        use_safetensors: bool = True,
        base: str | Path | None = None,
    ) -> SeqGPT:
        """Open a model: a folder, a run directory of the ``Trainer``, or a hub id.

        A plain causal language model can be opened too, to be trained; and an adapter, together with its base.

        Args:
            path_or_id: The folder or hub id; or ``"bundled"``, the model that comes with the library. What is a
                ``Path``, begins with ``.``, ``/`` or ``~``, or has two slashes or more is a folder only.
            template: The template of a model that was trained on one but does not say so. By default the library's own,
                on which a plain model is not trained yet; the released SeqGPT is known by its tokenizer.
            revision: Branch, tag or commit of a model on the hub.
            device: Where the model computes; a GPU if there is one.
            dtype: Number type of the weights; by default bfloat16 on a GPU that has it, else float32.
            trust_remote_code: Run code that comes with the model.
            use_safetensors: Refuse weights in formats that can carry code.
            base: Of an adapter: the folder or hub id of the model that it belongs on, if that moved.

        Raises:
            ModelError: If there is no model, or it is of a template that this version does not know; or an adapter
                belongs on another base.
            ConfigError: If there is no such device or number type.
        """
        place = _device(device)
        if not isinstance(dtype, torch.dtype | None):
            raise ConfigError(f"dtype is {dtype!r}: give one of torch's, such as torch.bfloat16.")
        source = find(path_or_id, revision=revision, use_safetensors=use_safetensors)
        said = read_settings(source.settings) if source.settings else Settings(DEFAULT_TEMPLATE, trained=False)
        if template is not None and source.settings is None:
            said = default_settings(template)
        if template not in (None, said.template):
            raise ModelError(
                f"the model at {str(path_or_id)!r} is of template {said.template!r}, not {template!r}: leave it out."
            )
        known_template(said.template)  # first: the weights may be large
        if said.adapter:
            folder = adapters.fetch(source)
            name, of_base = (base, None) if base is not None else adapters.find_base(folder)
            return cls.from_pretrained(
                name,
                template=said.template,
                revision=of_base,
                device=place,
                dtype=dtype,
                trust_remote_code=trust_remote_code,
                use_safetensors=use_safetensors,
            ).load_adapter(folder)
        if base is not None:
            raise ConfigError(f"base is for adapters, and {str(path_or_id)!r} is a whole model: leave it out.")
        tokenizer, model = load(
            source,
            dtype=dtype or _default_dtype(place),
            trust_remote_code=trust_remote_code,
            use_safetensors=use_safetensors,
        )
        if template is None and source.settings is None and str(GEN) in tokenizer.get_vocab():
            said = default_settings(ReleasedTemplate.name)
        opened = cls(
            model,
            tokenizer,
            template=said.template,
            trained=said.trained,
            threshold=said.threshold,
            class_threshold=said.class_threshold,
            overlap=said.overlap,
            calibration=said.calibration,
        )
        opened.source = source
        cast(torch.nn.Module, opened.model).to(place)
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

        Of a model with an adapter, the adapter is saved alone, and where its base is.

        Raises:
            ModelError: If there is no such folder, and none can be made; or an adapter is saved where a whole model is.
        """
        if self.quantized and self.adapter is None:
            raise ModelError(f"{self.quantized} weights are not saved: save the model before to_{self.quantized}().")
        path = expand(path)
        make_folder(path)
        if self.adapter is not None:
            self.adapter.save(path)
        else:
            self.model.save_pretrained(path)
            delete_adapter(path)
            self.source = Source(str(path), None, {})
        self.save_settings(path)

    def save_settings(self, path: Path) -> None:
        """Save what stands beside the weights: template, how the model decides, ``trained``, and the tokenizer.

        An adapter takes that of its base, which it is checked to have.
        """
        if self.adapter is None:
            self.tokenizer.save_pretrained(path)
        decides = (self.threshold, self.class_threshold, self.overlap)
        settings = Settings(self.template.name, self.trained, *decides, self.calibration)
        write_settings(path, settings._replace(adapter=self.adapter is not None))

    def add_lora(
        self,
        r: int = 16,
        alpha: float = 32.0,
        dropout: float = 0.0,
        target_modules: Sequence[str] | None = None,
        *,
        seed: int = 0,
    ) -> SeqGPT:
        """Put a new LoRA adapter into the model: then it alone is trained and saved, and all other weights stay.

        Until it is trained, the model computes what it did. If the model is not trained on its template yet, the
        embeddings of the marks are trained and saved with the adapter.

        Args:
            r: Rank of the change of each weight matrix.
            alpha: The change is scaled by ``alpha / r``.
            dropout: Probability that an input of the adapter is left out in training.
            target_modules: Names of the layers that get one, or what their names end with behind a dot; by default all
                linear layers but the output embeddings.
            seed: Seed of the adapter's weights.

        Returns:
            The model itself.

        Raises:
            ModelError: If the model has an adapter already, rounded weights, no such layers, or is saved nowhere.
            ConfigError: If a value is out of its range.
        """
        names = (
            None if target_modules is None else target_modules if isinstance(target_modules, str) else [*target_modules]
        )
        config = LoraConfig(r, alpha, dropout, cast(Any, names))
        self._check_takes_adapter("add_lora()")
        if self.adapter is not None:
            raise ModelError("the model has an adapter already: train that one, or merge_adapter() first.")
        if self.source is None:
            raise ModelError(
                "the weights of this model are in no folder, and an adapter is saved without them: "
                "save_pretrained(folder) first."
            )
        self.adapter = adapters.add(
            self.model, self.tokenizer, config, source=self.source, train_marks=not self.trained, seed=seed
        )
        self._forget_layers()
        return self

    def load_adapter(self, path: str | Path) -> SeqGPT:
        """Put a saved adapter on the model, in place of another one if it has one.

        The adapter brings its thresholds, overlap and calibration.

        Args:
            path: A folder or hub id.

        Returns:
            The model itself.

        Raises:
            ModelError: If there is no adapter, or it belongs on another model.
        """
        source = find(path, revision=None, use_safetensors=True)
        said = read_settings(source.settings) if source.settings else None
        if said is None or not said.adapter:
            raise ModelError(f"{str(path)!r} is no adapter: open it with SeqGPT.from_pretrained.")
        self._check_takes_adapter("load_adapter()")
        if said.template != self.template.name:
            raise ModelError(
                f"the adapter at {str(path)!r} is of template {said.template!r}, and the model of "
                f"{self.template.name!r}: put it on the model that it was trained on."
            )
        folder = adapters.fetch(source)
        base = fingerprint.take(self.model, self.tokenizer) if self.adapter is None else self.adapter.base
        adapters.check_base(folder, base)
        if self.adapter is not None:
            self.adapter.remove()
            self.adapter = None
        self.adapter = adapters.load(self.model, folder, base)
        self.trained, self.overlap, self.calibration = said.trained, said.overlap, said.calibration
        self.threshold, self.class_threshold = said.threshold, said.class_threshold
        self._forget_layers()
        return self

    def merge_adapter(self) -> SeqGPT:
        """Add the adapter to the weights of the model, which is then one without adapters, and as fast.

        Returns:
            The model itself.

        Raises:
            ModelError: If there is no adapter, or the weights have 8 bits.
        """
        if self.adapter is None:
            raise ModelError("the model has no adapter to merge: add_lora() or load_adapter(folder) first.")
        if self.quantized:
            again = f"open it again, merge_adapter(), and then to_{self.quantized}()"
            raise ModelError(f"{self.quantized} weights take no adapter: {again}.")
        self.adapter.merge()
        self.adapter = self.source = None
        self._forget_layers()
        return self

    def _check_takes_adapter(self, call: str) -> None:
        if self.quantized:
            again = f"open the model again, {call}, and then to_{self.quantized}()"
            raise ModelError(f"{self.quantized} weights take no adapter: {again}.")

    def _forget_layers(self) -> None:
        """Forget what holds layers of the model that are others now."""
        for name in ("forward", "_answering"):
            self.__dict__.pop(name, None)

    @property
    def learner(self) -> torch.nn.Module:
        """What a trainer trains: the model, or, with an adapter in it, the same as peft knows it."""
        return self.model if self.adapter is None else self.adapter.peft

    @overload
    def predict(self, text: str, task: Labels, **options: Unpack[OptionKeywords]) -> Extraction: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, text: str, task: CompositeTask[R], **options: Unpack[OptionKeywords]) -> R: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, text: str, task: Tasks[R], **options: Unpack[OptionKeywords]) -> dict[str, R]: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, text: str, task: Tasks[Any], **options: Unpack[OptionKeywords]) -> dict[str, Any]: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, text: str, task: SchemaLiteral, **options: Unpack[OptionKeywords]) -> Record: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, text: Sequence[str], task: Labels, **options: Unpack[OptionKeywords]) -> list[Extraction]: ...  # type: ignore[overload-overlap]
    @overload
    def predict(self, text: Sequence[str], task: CompositeTask[R], **options: Unpack[OptionKeywords]) -> list[R]: ...
    @overload
    def predict(self, text: Sequence[str], task: Tasks[R], **options: Unpack[OptionKeywords]) -> list[dict[str, R]]: ...
    @overload
    def predict(
        self, text: Sequence[str], task: Tasks[Any], **options: Unpack[OptionKeywords]
    ) -> list[dict[str, Any]]: ...
    @overload
    def predict(self, text: Sequence[str], task: SchemaLiteral, **options: Unpack[OptionKeywords]) -> list[Record]: ...
    def predict(
        self,
        text: str | Sequence[str],
        task: TaskLike | Tasks[Any],
        *,
        threshold: Threshold | None = None,
        overlap: Overlap | None = None,
        max_length: MaxLength = "chunk",
        batch_size: int = 16,
        compat: Compat | None = None,
    ) -> Any:
        """Answer one or more tasks on one or more texts.

        Args:
            text: A text, or a list of texts.
            task: A task; a list of labels, which asks for extraction; a nested literal such as
                ``{"person": ["employer"]}``, which asks a :func:`~seqgpt.composite.schema`; or several tasks, as a list
                or ``{name: task}``.
            threshold: What the probability of a span, or of one label of several, must exceed: a number, or
                ``{label: number}`` for some labels. By default the model's own: ``model.threshold`` of spans,
                ``model.class_threshold`` of labels.
            overlap: ``"allow"`` keeps all spans; ``"flat"`` the most probable of those that overlap, whatever their
                labels. By default the model's own, ``model.overlap``.
            max_length: What becomes of a text that is longer than the model reads: it is read in parts that overlap
                (``"chunk"``), refused (``"error"``), or cut off behind the first part (``"truncate"``). The result's
                ``warnings`` say so. With ``"chunk"`` a part has at most 4,096 tokens.
            batch_size: Number of texts that are computed together; it does not change the results.
            compat: ``"released"`` computes exactly what the released code of SeqGPT does, for comparison: four beams,
                no constraint, no probabilities, the head of a long text cut off.

        Returns:
            One result per text: an ``Extraction`` or a ``Classification``, or that of a composite task; for several
            tasks a dict of them by name.

        Raises:
            TextError: If a text is empty, or too long to be read even in parts.
            GroundingError: If a task is about a place that is not in a text.
            LabelError: If labels are empty or repeated, two tasks have one name, or a threshold is of no label.
            ConfigError: If an option has no such value.
        """
        if isinstance(text, (bytes, Mapping, Set)) or not isinstance(text, Iterable):
            check_text(text)
        options = Options(threshold, overlap, max_length, batch_size, compat)
        results = self._each([text] if isinstance(text, str) else list(text), task, options)
        return results[0] if isinstance(text, str) else results

    def predict_iter(
        self, texts: Iterable[str], task: TaskLike | Tasks[Any], **options: Unpack[OptionKeywords]
    ) -> Iterator[Any]:
        """Answer one or more tasks on texts that come one after another, more than memory holds.

        Args:
            texts: The texts; a few batches of them are read at a time.
            task: As in :meth:`predict`.
            options: As in :meth:`predict`.

        Returns:
            An iterator over what :meth:`predict` returns for each text, in order.

        Raises:
            TextError, LabelError, ConfigError: As :meth:`predict`.
        """
        if isinstance(texts, str):
            raise TextError("predict_iter takes many texts, not one: use predict, or give a list.")
        if isinstance(texts, (bytes, Mapping, Set)) or not isinstance(texts, Iterable):
            raise TextError(f"predict_iter takes texts one after another, not {type(texts).__name__}: give a list.")
        return self._one_by_one(iter(texts), task, Options(**options))

    def _one_by_one(self, coming: Iterator[str], task: TaskLike | Tasks[Any], chosen: Options) -> Iterator[Any]:
        read = 0
        while some := list(islice(coming, _BATCHES_AT_ONCE * chosen.batch_size)):
            yield from self._each(some, task, chosen, first=read + 1)
            read += len(some)

    def predict_pairs(
        self,
        pairs: Sequence[tuple[str, CompositeTask[R]]],
        *,
        progress: bool = False,
        **options: Unpack[OptionKeywords],
    ) -> list[R]:
        """Answer a task of its own for each text: ``[(text, task), …]`` in, one result each out.

        Args:
            pairs: Texts and their tasks.
            progress: Show a progress bar on standard error, if there is more than one batch.
            options: As in :meth:`predict`.

        Raises:
            TextError, LabelError, ConfigError: As :meth:`predict`.
        """
        return self._run(pairs, _numbers(len(pairs)), Options(**options), progress=progress)

    def check_length(self, text: str, task: CompositeTask[Any], *, max_length: MaxLength = "chunk") -> None:
        """Raise the ``TextError`` that :meth:`predict` would for what is asked first, without predicting.

        Nothing is tokenized that cannot be too long by its number of bytes: no token is shorter than one.
        """
        for asked in next(task.steps(text)):
            longest_label = max(len(label.encode()) for label in asked.labels)
            longest = len(self.template.prompt(asked, text).encode()) + longest_label + _MARKS_OF_A_BRANCH
            if longest > self.reader.most(asked, max_length):
                for group in self.reader.groups(text, asked, max_length):
                    self.reader.parts(text, group.task, max_length)

    def calibrate(self, examples: Sequence[Example]) -> Calibration:
        """Fit temperatures on held-out examples, so that probabilities mean what they say; the model keeps them.

        Only scores change, and thresholds move along with them; but what was less likely than ``LOWEST`` before is
        not found any more, and of texts that are read in parts the probabilities are averaged after it.

        Args:
            examples: Examples that the model was not trained on, a hundred or more.

        Returns:
            The new ``calibration``.

        Raises:
            DataError: If there are no examples, or they are something else.
        """
        if isinstance(examples, str | Path) or not all(isinstance(example, Example) for example in examples):
            raise DataError("calibrate takes a list of examples: read a file with seqgpt.read_jsonl(path) first.")
        if not examples:
            raise DataError("there is nothing to calibrate on: give a hundred examples or more.")
        before = self.calibration
        least, least_of_classes = before.raw(self.threshold), before.raw(self.class_threshold)
        self.calibration = Calibration()
        try:
            predicted = self.predict_pairs(
                [(example.text, example.task) for example in examples], threshold=LOWEST, overlap="allow"
            )
        except BaseException:
            self.calibration = before
            raise
        self.calibration = fit([(example.gold, result) for example, result in zip(examples, predicted, strict=True)])
        self.threshold = self.calibration.probability(least)
        self.class_threshold = self.calibration.probability(least_of_classes)
        return self.calibration

    def _each(self, texts: Sequence[str], task: TaskLike | Tasks[Any], options: Options, first: int = 1) -> list[Any]:
        """Answer all tasks on each text; ``first`` is the number of the first text, as the caller counts."""
        tasks = by_name(task)
        several = {"": as_task(cast(TaskLike, task))} if tasks is None else tasks
        pairs = [(text, asked) for text in texts for asked in several.values()]
        numbers = [number for number in _numbers(len(texts), first) for _ in several]
        answers = iter(self._run(pairs, numbers, options))
        results: list[dict[str, Any]] = [{name: next(answers) for name in several} for _ in texts]
        return [result[""] for result in results] if tasks is None else results

    def _run(
        self,
        pairs: Sequence[tuple[str, CompositeTask[R]]],
        numbers: Sequence[int | None],
        options: Options,
        *,
        progress: bool = False,
    ) -> list[R]:
        """Answer each pair; ``numbers`` are those of the texts, as the caller counts them, if there are several."""
        options.check_labels(task for _, task in pairs)
        if not self.trained:
            warnings.warn(
                "this model is not trained on the template of seqgpt, so its answers are guesses: train it first.",
                stacklevel=4,
            )
        return run(pairs, numbers, lambda wave: self._answer(wave, options, progress=progress))

    def _answer(self, wave: Sequence[Question], options: Options, *, progress: bool) -> list[Result]:
        """Answer what all tasks ask at once."""
        pairs = [(text, task) for text, task, _ in wave]
        if options.compat:
            results = self._as_released(pairs, options.compat)
        else:
            with self._evaluating():
                results = self._answering.answer(
                    pairs,
                    [number for *_, number in wave],
                    options,
                    own=Thresholds(self.threshold, self.class_threshold),
                    calibration=self.calibration,
                    progress=progress,
                )
        if (options.overlap or self.overlap) == "allow":
            return results
        return [result.flat() if isinstance(result, Extraction) else result for result in results]

    def _as_released(self, pairs: Sequence[tuple[str, AtomicTask]], compat: Compat) -> list[Result]:
        """Answer each pair as the released code does."""
        if not isinstance(self.template, ReleasedTemplate):
            raise ConfigError(
                f"compat={compat!r} is for models of template {ReleasedTemplate.name!r}, and this one is of "
                f"{self.template.name!r}: leave it out."
            )
        with self._evaluating():
            return [released_code.answer(self.model, self.tokenizer, check_text(text), task) for text, task in pairs]

    def to_int8(self) -> SeqGPT:
        """Compute with 8-bit weights from now on, on a CPU: about twice as fast for models of 25M and more.

        Scores differ by about a hundredth from those of float32, and a little with what else is in a batch. The model
        can then be neither trained nor saved; but an adapter that it has can, and stays float32.

        Returns:
            The model itself.

        Raises:
            ModelError: If the model is not on a CPU, has 4-bit weights, or the installed PyTorch cannot do it.
        """
        if self._is_still_to_be("int8"):
            _ = self.forward  # tested while it computes exactly
            quantize(self.model, keep=self.adapter.layers if self.adapter else ())
        return self

    def to_nf4(self) -> SeqGPT:
        """Compute with 4-bit weights from now on (QLoRA), which take about a seventh of the memory, and more time.

        The model can then be neither trained nor saved; but an adapter that it has can, and stays as it is.

        Returns:
            The model itself.

        Raises:
            ModelError: If bitsandbytes is not installed, or the model has 8-bit weights.
        """
        if self._is_still_to_be("nf4"):
            quantize_nf4(self.model, keep=self.adapter.layers if self.adapter else ())
        return self

    def _is_still_to_be(self, kind: str) -> bool:
        if self.quantized and self.quantized != kind:
            raise ModelError(f"the model has {self.quantized} weights already: open it again for {kind}.")
        return not self.quantized

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        """Switch dropout off for a while: with it, answers would be random."""
        was_training = self.model.training
        self.model.eval()
        try:
            yield
        finally:
            self.model.train(was_training)

    def info(self) -> dict[str, Any]:
        """Return what this model is: architecture, size, template, layouts of its computation, and why these."""
        training_layout, slow = self.forward.find_training_layout()
        notes = [
            self.forward.note,
            f"{slow}; batches of training are padded rows, which takes more time." if slow else "",
        ]
        return {
            "architecture": self.model.config.model_type,
            "parameters": self._parameters,
            "dtype": self.quantized or str(self.model.dtype).removeprefix("torch."),
            "vocabulary_size": len(self.tokenizer),
            "template": self.template.name,
            "threshold": self.threshold,
            "class_threshold": self.class_threshold,
            "overlap": self.overlap,
            "max_positions": self.max_positions,
            "layout": self.forward.layout,
            "training_layout": training_layout,
            "notes": list(filter(None, notes)),
        }

    @property
    def quantized(self) -> str:
        """What the weights are rounded to, ``"int8"`` or ``"nf4"``; empty if they are not."""
        return "int8" if is_quantized(self.model) else "nf4" if is_nf4(self.model) else ""

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
    def _answering(self) -> Answering:
        decoder = Decoder if isinstance(self.template, MarksTemplate) else SequentialDecoder
        return Answering(self.reader, decoder(self.forward, self.vocabulary, self.max_positions))

    @cached_property
    def reader(self) -> Reader:
        """What decides how much of a text is read at once."""
        return Reader(self._plan, self.vocabulary, self.max_positions)

    def _plan(self, text: str, task: AtomicTask, like: Plan | None = None) -> Plan:
        if isinstance(self.template, MarksTemplate):
            return make_plan(text, task, self.vocabulary, self.template, like)
        return sequential.make_plan(text, task, self.vocabulary)

    def __repr__(self) -> str:
        size = f"{self._parameters / 1e6:.1f}M parameters"
        return f"SeqGPT({self.model.config.model_type}, {size}, template {self.template.name!r})"


def _numbers(texts: int, first: int = 1) -> list[int | None]:
    """Number texts as the caller counts them; one text alone has none."""
    return [None] if (texts, first) == (1, 1) else [*range(first, first + texts)]


def _device(device: str | torch.device | None) -> torch.device:
    """Return the device where a model computes; by default a GPU, if there is one."""
    try:
        return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    except RuntimeError as error:
        raise ConfigError(f"there is no device {device!r}: use 'cpu', or 'cuda' for a GPU.") from error


def _default_dtype(device: torch.device) -> torch.dtype:
    """Return the number type of weights; on a CPU results should not depend on which one it is."""
    has_bf16 = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.bfloat16 if has_bf16 else torch.float32
