"""Recipes: a data set is one small YAML file, ``configs/datasets/NAME.yaml``.

    name: cluener                               version: 1
    source: cluener/{split}.parquet             hub_id: …            schema: sequence-labelling
    columns: {tokens: tokens, tags: ner_tags}   family: NER          language: zh
    labels: {name: {zh: 姓名, en: person}, …}   raw class → words; a bare string is in the recipe's language
    none: [OTHER]                               raw classes that mean "none of these" (classification)
    licence: …   citation: …   held_out: false   synthetic: false   checked: true

A recipe is data: nothing in it is executed.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from seqgpt.configs import config_dir
from seqgpt.data.converters import Reading, Schema, get_schema
from seqgpt.data.parquet import ParquetRows
from seqgpt.data.recipe_file import read_fields
from seqgpt.data.root import DATA_VARIABLE, find_data_root
from seqgpt.data.tags import TagScheme
from seqgpt.errors import ConfigError, DataError, GroundingError, LabelError, TextError, did_you_mean
from seqgpt.examples import BadRows, Example, OnBadRow, check_on_bad_row, reject
from seqgpt.tasks import AtomicTask


@dataclass(frozen=True)
class Recipe:
    """How one data set becomes examples.

    Attributes:
        name: The recipe's name; first part of the examples' ids.
        version: Raised whenever the examples change.
        source: Path of a split's file below the data root, with ``{split}`` in it.
        schema: The shape of the rows: a key of ``seqgpt.data.converters.SCHEMAS``.
        columns: The column of each role.
        family: The task family (NER, SA, …).
        language: The language of the texts, and of the labels that examples have.
        labels: For each raw class its name in words, by language; in the order in which labels are asked.
        descriptions: For each raw class a description, by language. Examples do not hold them yet.
        none: Raw classes that mean "none of these": their rows have no label, and the task allows that answer.
        tag_scheme: The tag scheme, if only that one is to be accepted.
        hub_id: The likely Hugging Face id of the data set.
        licence: As stated by its source.
        citation: Whom to cite.
        held_out: For evaluation only: never train on it.
        synthetic: Labelled by a model.
        checked: Every row was converted once, and rows were looked at.
    """

    name: str
    version: int
    source: str
    schema: str
    columns: Mapping[str, str] = field(hash=False)
    family: str
    language: str
    labels: Mapping[str, Mapping[str, str]] = field(hash=False)
    descriptions: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    none: tuple[str, ...] = ()
    tag_scheme: TagScheme | None = None
    hub_id: str = ""
    licence: str = ""
    citation: str = ""
    held_out: bool = False
    synthetic: bool = False
    checked: bool = False

    @cached_property
    def task(self) -> AtomicTask:
        """The task that every row is an example of."""
        labels = list(self.label_names().values())
        if self._schema.kind == "extract":
            return AtomicTask.extract(labels)
        return AtomicTask.classify(labels, none=bool(self.none))

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages in which every label has a name, the recipe's own first."""
        named = [set(names) for names in self.labels.values()]
        return (self.language, *sorted(set.intersection(*named) - {self.language}))

    def label_names(self, language: str | None = None) -> dict[str, str]:
        """Return ``{raw class: name in words}``, in the recipe's language or another one.

        Raises:
            ConfigError: If a label has no name in that language.
        """
        code = language or self.language
        for raw, names in self.labels.items():
            if code not in names:
                raise ConfigError(f"recipe {self.name!r} has no name in {code!r} for {raw!r}: add it to its labels.")
        return {raw: names[code] for raw, names in self.labels.items()}

    def examples(
        self,
        split: str,
        *,
        limit: int | None = None,
        seed: int = 0,
        data_root: str | Path | None = None,
        on_bad_row: OnBadRow = "error",
        bad_rows: BadRows | None = None,
    ) -> list[Example]:
        """Read the examples of a split, in the order of its rows.

        Args:
            split: ``"train"``, ``"validation"``, ``"test"`` or what else the source has.
            limit: At most that many rows, drawn without replacement by ``random.Random(seed)`` from all rows; the
                rows of a smaller limit are among those of a larger one. None reads all.
            seed: Decides which rows are drawn.
            data_root: The folder that ``source`` starts from; see ``seqgpt.data.root.find_data_root``.
            on_bad_row: ``"error"`` stops at the first row that is wrong; ``"skip"`` leaves it out and counts it.
            bad_rows: Counts what is skipped; required for ``"skip"``, so that nothing is lost unseen.

        Returns:
            Examples with the id ``recipe/split/row``, rows counted from 0.

        Raises:
            DataError: If the file or a column is missing, the split is empty, a class has no label in words, or a
                row is wrong; the message has recipe, split and row.
        """
        where = f"Recipe {self.name!r}, split {split!r}"
        check_on_bad_row(on_bad_row, bad_rows)
        try:
            rows = ParquetRows(self._split_file(split, data_root), self.columns)
            numbers = sample_rows(len(rows), limit, seed)
            self._check_classes(rows.class_names.get(self._schema.classes))
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        examples = []
        for number, row in zip(numbers, rows.read(None if limit is None else numbers), strict=True):
            try:
                gold = self._schema.convert(rows.with_names(row), self._reading)
            except (DataError, LabelError, TextError, GroundingError) as error:
                reject(f"{where}, row {number}", error, on_bad_row, bad_rows)
                continue
            examples.append(Example(gold, f"{self.name}/{split}/{number}", self.family, self.language))
        return examples

    @cached_property
    def _schema(self) -> Schema:
        return get_schema(self.schema)

    @cached_property
    def _reading(self) -> Reading:
        return Reading(self.task, self.label_names(), frozenset(self.none), self.language, self.tag_scheme)

    def _split_file(self, split: str, data_root: str | Path | None) -> Path:
        try:
            root = Path() if Path(self.source).is_absolute() else find_data_root(data_root)
        except DataError as error:
            raise DataError(f"{error}{self._on_the_hub}") from error
        path = root / self.source.replace("{split}", split)
        if not path.is_file():
            pattern = root / self.source.replace("{split}", "*")
            near = sorted(file.name for file in pattern.parent.glob(pattern.name))
            if near:
                raise DataError(f"no file {path}; there is {', '.join(near)}: use one of these.")
            raise DataError(f"no file {path}; fetch it, or pass another data_root.{self._on_the_hub}")
        return path

    @property
    def _on_the_hub(self) -> str:
        if not self.hub_id:
            return ""
        return f" It is {self.hub_id} on the hub: download it and set {DATA_VARIABLE} to the folder that holds it."

    def _check_classes(self, names: Sequence[str] | None) -> None:
        """Compare the recipe's classes with those that the file names, before any row is read."""
        if names is None:
            return
        known = [name if self._schema.classes != "tags" else name.partition("-")[2] or name for name in names]
        known = [name for name in known if not (self._schema.classes == "tags" and name == "O")]
        mine = (*self.labels, *self.none)
        for raw in mine:
            if raw not in known:
                raise DataError(
                    f"class {raw!r} of the recipe is none of the file's.{did_you_mean(raw, known)} Correct the recipe."
                )
        missing = [name for name in dict.fromkeys(known) if name not in mine]
        if missing:
            raise DataError(f"the recipe has no words for the classes {', '.join(missing)}: add them to its labels.")


def load_recipe(name_or_path: str | Path) -> Recipe:
    """Load a shipped recipe by name, or any recipe by the path of its YAML file.

    Raises:
        ConfigError: If there is no such recipe, or its file is wrong; all problems are reported at once.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml"):
        known = list_recipes()
        if str(name_or_path) not in known:
            raise ConfigError(
                f"unknown recipe {str(name_or_path)!r}.{did_you_mean(str(name_or_path), known)} "
                f"Use one of {', '.join(known)}, or the path of a YAML file."
            )
        path = config_dir() / "datasets" / f"{name_or_path}.yaml"
    return Recipe(**read_fields(path))


def list_recipes() -> list[str]:
    """Return the names of the shipped recipes, sorted."""
    return sorted(path.stem for path in (config_dir() / "datasets").glob("*.yaml"))


def sample_rows(total: int, limit: int | None, seed: int = 0) -> list[int]:
    """Return the numbers of at most ``limit`` rows, a seeded choice in ascending order; of all rows if it is None.

    The rows of a smaller limit are among those of a larger one.

    Raises:
        DataError: If there are no rows, or the limit is below 1.
    """
    if not total:
        raise DataError("the split has no rows: use another one, or write the file again.")
    if limit is None:
        return list(range(total))
    if limit < 1:
        raise DataError(f"limit must be at least 1, not {limit}: leave it out to read all rows.")
    order = list(range(total))
    random.Random(seed).shuffle(order)  # noqa: S311  (a sample, not a secret)
    return sorted(order[:limit])
