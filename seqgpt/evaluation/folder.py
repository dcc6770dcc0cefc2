"""The folder of an evaluation: what was asked, the examples, and what each predictor said to them."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from seqgpt.errors import DataError, RunError
from seqgpt.evaluation.sets import EvalSet
from seqgpt.examples import read_jsonl
from seqgpt.run_lock import LOCK_FILE
from seqgpt.whole_file import PART, write_file

ASKED_FILE = "evaluation.json"
EXAMPLES, PREDICTIONS = "examples", "predictions"

_FIRST = (EXAMPLES, PREDICTIONS, LOCK_FILE, f"_{ASKED_FILE}{PART}")  # may be there without ASKED_FILE, if it was killed
_LONGEST_NAME = 100  # bytes; file systems take 255, and two names are joined
_PLACES = ("folder",)  # of what a predictor is, where it lies: its weights say whether it is the same


def make_folder(
    directory: Path,
    sets: Sequence[EvalSet],
    predictors: Mapping[str, Sequence[str]],
    about: Mapping[str, Any],
    run: Mapping[str, Any],
) -> None:
    """Make the folder of an evaluation, or find out whether it is of these sets and predictors.

    Sets and predictors that it has not yet are added, and so are further examples of a set.

    Args:
        directory: The folder.
        sets: What is evaluated on.
        predictors: The names of the predictors of each set.
        about: What each predictor is.
        run: Where and when this is.

    Raises:
        RunError: If it is of other sets or predictors, is something else, or cannot be written.
    """
    asked: dict[str, Any] = {
        "runs": [dict(run)],
        "predictors": json.loads(json.dumps(about)),
        "sets": {
            one.name: {
                "source": one.source,
                "kind": one.kind,
                "split": one.split,
                "limit": one.limit,
                "examples": _digest(one),
                "predictors": list(predictors[one.name]),
            }
            for one in sets
        },
    }
    try:
        if (directory / ASKED_FILE).exists():
            before = read_asked(directory)
            for one in sets:
                _check_examples(directory, one, before["sets"].get(one.name))
            asked = _joined(directory, before, asked)
        elif directory.exists() and any(one.name not in _FIRST for one in directory.iterdir()):
            raise RunError(f"{directory} holds something that is no evaluation: name another folder.")
        for folder in (EXAMPLES, PREDICTIONS):
            (directory / folder).mkdir(parents=True, exist_ok=True)
        for one in sets:
            file, lines = examples_file(directory, one.name), "".join(f"{line}\n" for line in _lines(one))
            if not file.exists() or file.read_text(encoding="utf-8") != lines:
                write_file(file, lines)
        _write(directory, asked)
    except OSError as error:
        raise RunError(f"cannot write {directory}: {error.strerror}. Check the path, or name another one.") from error


def leave_out(directory: Path, name: str, predictor: str) -> None:
    """Write down that a predictor does not answer a set."""
    asked = read_asked(directory)
    asked["sets"][name]["predictors"].remove(predictor)
    _write(directory, asked)


def read_asked(directory: Path) -> dict[str, Any]:
    """Return what a folder says that was asked.

    Raises:
        DataError: If it holds no evaluation.
    """
    try:
        asked = json.loads((directory / ASKED_FILE).read_text(encoding="utf-8"))
        if not all(
            isinstance(asked[key], kind) for key, kind in (("runs", list), ("sets", dict), ("predictors", dict))
        ):
            raise ValueError(ASKED_FILE)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(
            f"{directory} holds no evaluation that can be read: give the --output folder of `seqgpt evaluate`."
        ) from error
    return dict(asked)


def read_set(directory: Path, name: str, of: Mapping[str, Any]) -> EvalSet:
    """Return a set of a folder, from what was asked of it."""
    return EvalSet(name, of["source"], of["kind"], read_jsonl(examples_file(directory, name)), of["split"], of["limit"])


def examples_file(directory: Path, name: str) -> Path:
    """Return where the examples of a set are."""
    return directory / EXAMPLES / f"{_as_file(name)}.jsonl"


def predictions_file(directory: Path, name: str, predictor: str) -> Path:
    """Return where the predictions of a predictor on a set are."""
    return directory / PREDICTIONS / f"{_as_file(name)}.{_as_file(predictor)}.jsonl"


def _joined(directory: Path, before: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """Return what a folder has and what is asked now as one; raise a ``RunError`` if they do not go together."""
    for name, one in asked["sets"].items():
        then = before["sets"].get(name, one)
        one["predictors"] = list(dict.fromkeys([*then["predictors"], *one["predictors"]]))
    for name, about in asked["predictors"].items():
        then = before["predictors"].get(name, about)
        for key in {**then, **about}:
            if key not in _PLACES and then.get(key) != about.get(key):
                raise RunError(
                    f"{directory} has predictions of another {name!r} ({key}: {then.get(key)!r} then, "
                    f"{about.get(key)!r} now): give the predictor another name, or name another folder."
                )
    joined = {key: before[key] | asked[key] for key in ("predictors", "sets")}
    return {"runs": [*before["runs"], *asked["runs"]], **joined}


def _check_examples(directory: Path, one: EvalSet, then: Mapping[str, Any] | None) -> None:
    """Raise a ``RunError`` if the folder has examples of a set that are not asked; there may be more than it has."""
    file = examples_file(directory, one.name)
    if then is None or not file.exists():
        return
    there, asked = Counter(file.read_text(encoding="utf-8").split("\n")[:-1]), Counter(_lines(one))
    if then["kind"] == one.kind and there <= asked:
        return
    if then["kind"] == one.kind and asked < there:
        raise RunError(
            f"{directory} has {there.total()} examples of {one.name!r}, more than the {asked.total()} that are asked: "
            "a limit can be raised but not lowered, so ask for as many, or name another folder."
        )
    raise RunError(
        f"{directory} has other examples of {one.name!r} (another split, or other data): "
        "name another folder, or delete this one."
    )


def _write(directory: Path, asked: Mapping[str, Any]) -> None:
    write_file(directory / ASKED_FILE, json.dumps(asked, ensure_ascii=False, indent=2) + "\n")


def _digest(one: EvalSet) -> str:
    return hashlib.sha256("\n".join([one.kind, *_lines(one)]).encode()).hexdigest()


def _lines(one: EvalSet) -> Iterator[str]:
    return (json.dumps(example.to_dict(), ensure_ascii=False) for example in one.examples)


def _as_file(name: str) -> str:
    """Return a name as that of a file: no two have the same."""
    quoted = quote(name, safe=" ()")
    if len(quoted) <= _LONGEST_NAME:
        return quoted
    return f"{quoted[-_LONGEST_NAME // 2 :].partition('%')[2]}~{hashlib.sha256(name.encode()).hexdigest()[:16]}"
