"""An evaluation: predictors on sets of examples, in a folder in which nothing is predicted twice."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from seqgpt.errors import DataError, RunError
from seqgpt.evaluation.folder import leave_out, make_folder, predictions_file, read_asked, read_set
from seqgpt.evaluation.predictions import CannotAnswerError, Prediction, predict, read_predictions
from seqgpt.evaluation.predictor import Predictor
from seqgpt.evaluation.report import Report, make_report
from seqgpt.evaluation.sets import HEADLINES, EvalSet
from seqgpt.run_lock import run_lock
from seqgpt.version import __version__


@dataclass(frozen=True)
class Entry:
    """One predictor on one set.

    Attributes:
        of: The set.
        predictor: The predictor's name.
        predictions: What it said to each example, in order.
        report: What that is worth.
    """

    of: EvalSet
    predictor: str
    predictions: Sequence[Prediction]
    report: Report


@dataclass(frozen=True)
class Evaluation:
    """Predictors on sets of examples.

    Attributes:
        entries: Each predictor on each set, by set.
        about: What was evaluated: the predictors as they say it, the machine, the versions.
    """

    entries: Sequence[Entry]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def predictors(self) -> list[str]:
        """The names of the predictors, in order."""
        return list(dict.fromkeys(entry.predictor for entry in self.entries))

    def by_set(self) -> dict[str, dict[str, Entry]]:
        """Return the entries by the names of set and predictor."""
        found: dict[str, dict[str, Entry]] = {}
        for entry in self.entries:
            found.setdefault(entry.of.name, {})[entry.predictor] = entry
        return found

    def to_dict(self) -> dict[str, Any]:
        """Return the evaluation as plain JSON values, without examples and predictions."""
        return {
            "about": dict(self.about),
            "sets": [
                {
                    "name": entries[0].of.name,
                    "source": entries[0].of.source,
                    "family": entries[0].of.family,
                    "language": entries[0].of.language,
                    "kind": entries[0].of.kind,
                    "split": entries[0].of.split,
                    "limit": entries[0].of.limit,
                    "n": len(entries[0].of.examples),
                    "reports": {entry.predictor: entry.report.to_dict() for entry in entries},
                }
                for entries in (list(some.values()) for some in self.by_set().values())
            ],
        }


def run_evaluation(
    predictors: Mapping[str, Predictor],
    sets: Sequence[EvalSet],
    *,
    rivals: Mapping[str, Mapping[str, Predictor]] | None = None,
    directory: str | Path | None = None,
    about: Mapping[str, Mapping[str, Any]] | None = None,
    command: str = "",
    retry_failed: bool = False,
) -> Evaluation:
    """Evaluate predictors on sets, one after another, with progress on standard error.

    Args:
        predictors: What is evaluated, by name.
        sets: On what.
        rivals: Further predictors of single sets, by the name of the set: baselines that were fitted for it.
        directory: Where examples and predictions are kept: who is interrupted goes on there, and so does who asks more
            examples of a set than before.
        about: What each predictor is, in plain JSON values: another one of the same name is refused in the folder.
        command: What was called, for the reports.
        retry_failed: Ask those texts again on which a predictor failed before.

    Returns:
        What was asked now; :func:`open_evaluation` has all of the folder.

    Raises:
        RunError: If the folder is of other examples or predictors, is in use, or cannot be written; two predictors have
            one name; or no predictor answers any set. One that fails on all of the first texts of a set is left out of
            it, which is told.
    """
    asked = {one.name: _together(predictors, (rivals or {}).get(one.name, {})) for one in sets}
    known = {name: dict((about or {}).get(name, {})) for some in asked.values() for name in some}
    if not any(asked.values()):
        raise RunError("there is nothing to evaluate: give at least one predictor and one set.")
    run = _run(command)
    directory = None if directory is None else Path(directory)
    with _kept(directory):
        if directory is not None:
            make_folder(directory, sets, {name: list(some) for name, some in asked.items()}, known, run)
        entries = []
        for one in sets:
            for name, predictor in asked[one.name].items():
                file = None if directory is None else predictions_file(directory, one.name, name)
                title = f"{one.name}, {name}" if len(asked[one.name]) > 1 else one.name
                try:
                    said = predict(predictor, one.examples, name=title, file=file, retry_failed=retry_failed)
                except CannotAnswerError as error:
                    if len(sets) == len(asked[one.name]) == 1:
                        raise
                    tqdm.write(f"{error} It is left out of this set.", file=sys.stderr)
                    if directory is not None:
                        leave_out(directory, one.name, name)
                    continue
                entries.append(Entry(one, name, said, make_report(one, said)))
                _tell(title, entries[-1].report)
    if not entries:
        raise RunError("no predictor has answered any set: see what is said above.")
    return Evaluation(entries, {**run, "predictors": known})


def open_evaluation(directory: str | Path, *, finished: bool = True) -> Evaluation:
    """Read an evaluation from its folder.

    Args:
        directory: The folder.
        finished: Refuse it if something of it was interrupted; else that is left out, which is told.

    Raises:
        DataError: If there is none, it was interrupted, or a file of it is wrong.
    """
    folder = Path(directory)
    asked = read_asked(folder)
    entries = []
    for name, of in asked["sets"].items():
        one = read_set(folder, name, of)
        for predictor in of["predictors"]:
            predictions = read_predictions(predictions_file(folder, name, predictor), one.examples)
            if len(predictions) == len(one.examples):
                said = list(predictions.values())
                entries.append(Entry(one, predictor, said, make_report(one, said)))
            elif finished:
                raise DataError(
                    f"{directory}: {predictor} has answered {len(predictions)} of {len(one.examples)} texts of {name}: "
                    "run the same evaluation again, which goes on."
                )
            else:
                tqdm.write(
                    f"{predictor} has answered {len(predictions)} of {len(one.examples)} texts of {name} and is left "
                    "out of the report: ask it again, which goes on.",
                    file=sys.stderr,
                )
    earlier = {"earlier runs": len(asked["runs"]) - 1} if len(asked["runs"]) > 1 else {}
    return Evaluation(entries, {**asked["runs"][-1], **earlier, "predictors": asked["predictors"]})


def _together(predictors: Mapping[str, Predictor], rivals: Mapping[str, Predictor]) -> dict[str, Predictor]:
    for name in predictors.keys() & rivals.keys():
        raise RunError(f"a baseline is called {name!r}, too: give the predictor another name.")
    return {**predictors, **rivals}


@contextmanager
def _kept(directory: Path | None) -> Iterator[None]:
    """Keep other evaluations out of the folder."""
    if directory is None:
        yield
        return
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"cannot write {directory}: {error.strerror}. Check the path, or name another one.") from error
    with run_lock(directory, what="the folder"):
        yield


def _run(command: str) -> dict[str, Any]:
    """Return where and when this is, and with which versions."""
    return {
        **({"command": command} if command else {}),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "seqgpt": __version__,
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "transformers")},
    }


def _tell(title: str, report: Report) -> None:
    headline = f"{HEADLINES[report.kind]} {100 * report.headline:.1f}"
    tqdm.write(f"{title}: {report.n} texts, {headline}, {report.seconds:.1f} s", file=sys.stderr)
    if report.failed:
        tqdm.write(f"{title}: {report.failed} texts failed, the first: {report.first_error}", file=sys.stderr)
