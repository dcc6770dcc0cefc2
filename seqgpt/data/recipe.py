"""Recipes: a data set is one small YAML file, ``configs/datasets/NAME.yaml``.

    name: cluener                               version: 1
    source: cluener/{split}.parquet             or a list: the first that is there; "hub" is the data set of hub_id
    hub_id: …   hub_config: …
    schema: sequence-labelling                  tasks: [extract, typing]    what it gives; by default the first only
    columns: {tokens: tokens, tags: ner_tags}   family: NER                 language: zh
    labels: {name: {zh: 姓名, en: person}, …}   raw class → words; a bare string is in the recipe's language;
                                                "open" if the rows hold words themselves
    descriptions: {name: …}                     what a label means, where its words do not say it
    roles: {…}   arguments: {type: [role, …]}   of events: raw role → words, and the roles of each type
    none: [OTHER]                               raw classes that mean "none of these" (classification)
    multi_label: false                          several labels may hold for one mention, trigger or pair
    licence: …   citation: …   held_out: false   conflicts: [a held-out recipe]   synthetic: false   checked: true

A recipe is data: nothing in it is executed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from glob import glob
from pathlib import Path

from seqgpt.configs import config_dir
from seqgpt.data.convert import Origin, convert_rows
from seqgpt.data.label_book import LabelEntry
from seqgpt.data.recipe_file import read_fields
from seqgpt.data.rows import Rows
from seqgpt.data.schemas import Reading, Schema, get_schema
from seqgpt.data.splits import HUB, read_split, split_names, split_stamp
from seqgpt.data.tags import TagScheme
from seqgpt.errors import ConfigError, DataError, did_you_mean
from seqgpt.examples import BadRows, Example, OnBadRow, check_on_bad_row
from seqgpt.questions import event_label

Words = Mapping[str, Mapping[str, str]]
"""Raw class → language → words."""


@dataclass(frozen=True)
class Recipe:
    """How one data set becomes examples.

    Attributes:
        name: The recipe's name; first part of the examples' ids.
        version: Raised whenever the examples change.
        sources: Where a split may be: paths below the data root, with ``{split}`` in them, or ``"hub"``.
        schema: The shape of the rows: a key of ``seqgpt.data.schemas.SCHEMAS``.
        tasks: The atomic tasks that it gives, the main one first.
        columns: The column of each role.
        family: The task family (NER, SA, …).
        language: The language of the texts, and of the labels that examples have.
        labels: For each raw class its name in words, by language; in the order in which labels are asked.
        open_labels: The rows hold the labels in words; ``labels`` is empty.
        descriptions: For each raw class a description, by language. Examples do not hold them.
        roles: For each raw role of an event its name in words, by language.
        arguments: The raw roles of each raw event type, where not all types have all roles.
        none: Raw classes that mean "none of these": their rows have no label, and the task allows that answer.
        multi_label: Several labels may hold for one mention, trigger or pair.
        tag_scheme: The tag scheme, if only that one is to be accepted.
        hub_id: The likely Hugging Face id of the data set.
        hub_config: The configuration there.
        licence: As stated by its source.
        citation: Whom to cite.
        held_out: For evaluation only: never train on it.
        conflicts: Held-out recipes that are too much like this one to be evaluated on by whom it trained.
        synthetic: Labelled by a model.
        checked: Every row was converted once, and rows were looked at.
    """

    name: str
    version: int
    sources: tuple[str, ...]
    schema: str
    tasks: tuple[str, ...]
    columns: Mapping[str, str] = field(hash=False)
    family: str
    language: str
    labels: Words = field(default_factory=dict, hash=False)
    open_labels: bool = False
    descriptions: Words = field(default_factory=dict, hash=False)
    roles: Words = field(default_factory=dict, hash=False)
    arguments: Mapping[str, Sequence[str]] = field(default_factory=dict, hash=False)
    none: tuple[str, ...] = ()
    multi_label: bool = False
    tag_scheme: TagScheme | None = None
    hub_id: str = ""
    hub_config: str = ""
    licence: str = ""
    citation: str = ""
    held_out: bool = False
    conflicts: tuple[str, ...] = ()
    synthetic: bool = False
    checked: bool = False

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages in which every label has a name, the recipe's own first."""
        named = [set(names) for names in (*self.labels.values(), *self.roles.values())]
        return (self.language, *sorted(set.intersection(*named) - {self.language})) if named else (self.language,)

    def label_names(self, language: str | None = None) -> dict[str, str]:
        """Return ``{raw class: name in words}``, in the recipe's language or another one.

        Raises:
            ConfigError: If a label has no name in that language.
        """
        return self._names(self.labels, language or self.language)

    def label_entries(self, task: str) -> dict[str, LabelEntry]:
        """Return what is known of the labels of a task, under the words that its examples have."""
        words = self.roles if task == "arguments" else self.labels
        write = event_label if task == "triggers" else str
        return {
            write(names[self.language]): LabelEntry(
                {language: write(name) for language, name in names.items()},
                self.descriptions.get(raw, {}).get(self.language, ""),
            )
            for raw, names in words.items()
        }

    def source_name(self, task: str) -> str:
        """Return the name of a task as a source: ``"cluener"`` for the main one, else ``"cluener:typing"``."""
        return self.name if task == self.tasks[0] else f"{self.name}:{task}"

    def examples(
        self,
        split: str,
        *,
        task: str | None = None,
        limit: int | None = None,
        seed: int = 0,
        data_root: str | Path | None = None,
        on_bad_row: OnBadRow = "error",
        bad_rows: BadRows | None = None,
    ) -> list[Example]:
        """Read the examples of a split, in the order of its rows.

        Args:
            split: ``"train"``, ``"validation"``, ``"test"`` or what else the source has.
            task: One of the recipe's tasks; by default the main one.
            limit: At most that many rows, drawn without replacement by ``random.Random(seed)`` from all rows; the
                rows of a smaller limit are among those of a larger one. Rows that speak of one thing count as one, and
                a row may give several examples, or none. None reads all.
            seed: Decides which rows are drawn.
            data_root: The folder that sources start from; see ``seqgpt.data.root.find_data_root``.
            on_bad_row: ``"error"`` stops at the first row that is wrong; ``"skip"`` leaves it out and counts it.
            bad_rows: Counts what is skipped; required for ``"skip"``, so that nothing is lost unseen.

        Returns:
            Examples with the id ``source/split/row``, rows counted from 0; further ones of a row have ``/n`` behind it.

        Raises:
            DataError: If the file or a column is missing, the split is empty, a class has no label in words, or a
                row is wrong; the message has recipe, split and row.
            ConfigError: If the recipe gives no such task.
        """
        check_on_bad_row(on_bad_row, bad_rows)
        task = task or self.tasks[0]
        self.require_task(task)
        where, prefix = f"Recipe {self.name!r}, split {split!r}", f"{self.source_name(task)}/{split}"
        try:
            rows, reading = self._rows(split, data_root), self._reading(data_root)
        except DataError as error:
            raise DataError(f"{where}: {error}") from error
        origin = Origin(where, self.schema, task, prefix, self.family, self.language)
        return convert_rows(rows, reading, origin, limit=limit, seed=seed, on_bad_row=on_bad_row, bad_rows=bad_rows)

    def count_rows(self, split: str, data_root: str | Path | None = None) -> int:
        """Return how many rows a split has, whatever they give.

        Raises:
            DataError: If it cannot be read, or lacks a column.
        """
        return len(self._rows(split, data_root))

    def require_task(self, task: str) -> None:
        """Raise a ``ConfigError`` unless the recipe gives a task."""
        if task not in self.tasks:
            raise ConfigError(
                f"recipe {self.name!r} gives no task {task!r}.{did_you_mean(task, self.tasks)} "
                f"Use one of {', '.join(self.tasks)}."
            )

    def stamp(self, split: str, data_root: str | Path | None = None) -> tuple[str, ...]:
        """Return what changes when the rows of a split change.

        Raises:
            DataError: If there is no such split.
        """
        splits = {split, *self.splits(data_root)} if self.open_labels else {split}
        stamps = [
            split_stamp(self.sources, one, data_root, hub_id=self.hub_id, hub_config=self.hub_config)
            for one in sorted(splits)
        ]
        return tuple(part for stamp in stamps for part in stamp)

    def splits(self, data_root: str | Path | None = None) -> list[str]:
        """Return the splits of which there is a file, sorted.

        Raises:
            DataError: If no folder of data sets is known.
        """
        return split_names(self.sources, data_root)

    @cached_property
    def _schema(self) -> Schema:
        return get_schema(self.schema)

    def _rows(self, split: str, data_root: str | Path | None) -> Rows:
        table, where = read_split(self.sources, split, data_root, hub_id=self.hub_id, hub_config=self.hub_config)
        rows = Rows(table, self.columns, where)
        self._check_classes(rows.class_names.get(self._schema.classes))
        return rows

    def _reading(self, data_root: str | Path | None) -> Reading:
        names = {word: word for word in self._words_in_rows(data_root)} if self.open_labels else self.label_names()
        return Reading(
            names,
            frozenset(self.none),
            self._names(self.roles, self.language),
            self.arguments,
            self.multi_label,
            self.language,
            self.tag_scheme,
        )

    def _words_in_rows(self, data_root: str | Path | None) -> list[str]:
        """Return all labels that rows of any split hold, sorted."""
        role = self._schema.classes
        words: set[str] = set()
        for split in self.splits(data_root):
            for row in self._rows(split, data_root).read():
                words.update(row[role] if isinstance(row[role], list) else [row[role]])
        return sorted(words)

    def _names(self, words: Words, language: str) -> dict[str, str]:
        for raw, names in words.items():
            if language not in names:
                raise ConfigError(
                    f"recipe {self.name!r} has no name in {language!r} for {raw!r}: add it to its labels."
                )
        return {raw: names[language] for raw, names in words.items()}

    def _check_classes(self, names: Sequence[str] | None) -> None:
        """Compare the recipe's classes with those that the file names, before any row is read."""
        if names is None or self.open_labels:
            return
        tags = self._schema.classes == "tags"
        known = [name.partition("-")[2] or name for name in names if name != "O"] if tags else list(names)
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
                f"Use one of the {len(known)} shipped ones (`seqgpt data list`), or the path of a YAML file."
            )
        path = config_dir() / "datasets" / f"{name_or_path}.yaml"
    try:
        stamp = path.stat().st_mtime_ns
    except OSError as error:
        raise ConfigError(f"cannot read {path} ({error.strerror}): check the path.") from error
    return _parsed(path, stamp)


@lru_cache(maxsize=1024)
def _parsed(path: Path, _stamp: int) -> Recipe:
    fields = read_fields(path)
    fields["sources"] = tuple(place for source in fields["sources"] for place in (source, *_beside(path, source)))
    return Recipe(**fields)


def _beside(path: Path, source: str) -> tuple[str, ...]:
    """Return the path of a source that lies beside its recipe, if one does: it is read if there is no other."""
    own = str(path.resolve().parent / source)
    return (own,) if source != HUB and glob(own.replace("{split}", "*")) else ()


def list_recipes() -> list[str]:
    """Return the names of the shipped recipes, sorted."""
    return sorted(path.stem for path in (config_dir() / "datasets").glob("*.yaml"))
