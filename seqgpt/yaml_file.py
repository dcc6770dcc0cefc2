"""A YAML mapping that is read strictly: every problem of a file is found before the first is reported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import yaml

from seqgpt.errors import ConfigError, did_you_mean

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same, eight times as fast


class YamlFile:
    """The top-level keys of a YAML file, and what is wrong with them.

    Read values with :meth:`text`, :meth:`whole` and :meth:`flag`, note further problems with :meth:`problem`, then
    call :meth:`check`, which raises one error for all of them.

    Attributes:
        path: The file.
        values: What it holds.
    """

    def __init__(self, path: Path, known: Sequence[str], below: Mapping[str, str] | None = None) -> None:
        """Read a file.

        Args:
            path: The file.
            known: The keys it may have.
            below: Keys that belong below one of these, with all that leads to them.

        Raises:
            ConfigError: If it cannot be read, is not YAML, or is not a mapping.
        """
        self.path = path
        self._problems: list[str] = []
        try:
            source = path.read_text(encoding="utf-8")
            root, self.values = _parse(source)
            keys, inner = _key_lines(root)
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"cannot read {path} ({error}): check the path, and save it as UTF-8.") from error
        except yaml.YAMLError as error:
            raise ConfigError(f"{path} is not YAML: {' '.join(str(error).split())}. Correct that line.") from error
        if not isinstance(self.values, dict):
            raise ConfigError(f"{path}: expected lines of the form 'key: value' at the top level, such as 'name: …'.")
        self._lines = dict(reversed([*keys, *inner]))
        self._inside: tuple[str, ...] = ()
        for key, _ in keys:
            if key not in known:
                moved = f" Did you mean {below[key]!r}?" if below and key in below else ""
                self.problem(key, f"unknown key {key!r}", moved or did_you_mean(key, known) or " Leave it out.")
        self._check_repeats([*keys, *inner])

    def part(self, inside: str | Sequence[str], values: dict[str, Any]) -> YamlFile:
        """Return a part of the file as if it were a whole one; its problems are problems of the file.

        Args:
            inside: The key below which it stands, or several, the first that has a line for what is wrong; keys that
                are not there are taken from the top level.
            values: What it holds.
        """
        part = copy(self)
        part.values, part._inside = values, (inside,) if isinstance(inside, str) else tuple(inside)
        return part

    def replace(self, key: str, value: Any) -> None:
        """Set one value, as the command line does; it stands on no line of the file any more.

        Args:
            key: The key, with those of the mappings that it stands in: ``training.seed``.
            value: Its value.
        """
        *sections, last = key.split(".")
        target = self.values
        for i, section in enumerate(sections):
            if target.get(section) is None:
                target[section] = {}
            target = target[section]
            if not isinstance(target, dict):
                self.problem("", f"cannot set {key!r}: {'.'.join(sections[: i + 1])!r} is a value, not a mapping")
                return
        target[last] = value
        self._lines.pop(key, None)

    def problem(self, key: str, message: str, hint: str = "") -> None:
        """Note what is wrong with a key: a sentence without its full stop, and perhaps a "Did you mean"."""
        lines = (*(self._lines.get(f"{inside}.{key}") for inside in self._inside), self._lines.get(key))
        where = next((f" (line {line})" for line in lines if line), "")
        said = f"{message}{where}.{hint}"
        if said not in self._problems:  # a part may repeat what the top level has wrong
            self._problems.append(said)

    def text(self, key: str, default: str | None = None) -> str:
        """Return a string; a key without a default must be there."""
        return str(self._value(key, str, "text in quotes", "" if default is None else default, default is None))

    def whole(self, key: str, default: int | None = None) -> int:
        """Return a whole number; a key without a default must be there."""
        return int(self._value(key, int, "a whole number", default or 0, default is None))

    def flag(self, key: str) -> bool:
        """Return true or false; false if the key is not there."""
        return bool(self._value(key, bool, "true or false", False, False))

    def check(self) -> None:
        """Raise one ``ConfigError`` that lists every problem, if there are any."""
        if len(self._problems) == 1:
            raise ConfigError(f"{self.path}: {self._problems[0]}")
        if self._problems:
            listed = "".join(f"\n  - {problem}" for problem in self._problems)
            raise ConfigError(f"{self.path} has {len(self._problems)} problems, correct them all:{listed}")

    def _check_repeats(self, keys: Sequence[tuple[str, int]]) -> None:
        seen = set()
        for key, line in keys:
            if key in seen:
                self._problems.append(f"key {key!r} stands twice (line {line}): keep one.")
            seen.add(key)

    def _value(self, key: str, kind: type, expected: str, default: Any, required: bool) -> Any:
        value = self.values.get(key)
        if value is None:
            if required:
                self.problem(key, f"key {key!r} is missing: give it {expected}")
            return default
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            self.problem(key, f"{key!r} is {value!r}, which is not {expected}: correct it")
            return default
        return value


def _parse(source: str) -> tuple[yaml.Node | None, Any]:
    """Return the tree of a YAML document, and what it says, as ``yaml.safe_load`` reads it."""
    loader = _Loader(source)
    try:
        root = loader.get_single_node()
        return root, None if root is None else loader.construct_document(root)
    finally:
        loader.dispose()


def _key_lines(root: yaml.Node | None) -> tuple[list[tuple[str, int]], list[tuple[str, int]]]:
    """Return the top-level keys with their lines, and those of all mappings below them as ``outer.inner``.

    Repeated keys are among them, which ``safe_load`` would drop unseen.
    """
    top = _keys_of(root)
    inner = [below for outer, _, value in top for below in _below(outer, value)]
    return [(key, line) for key, line, _ in top], inner


def _below(outer: str, node: yaml.Node) -> Iterator[tuple[str, int]]:
    for key, line, value in _keys_of(node):
        yield f"{outer}.{key}", line
        yield from _below(f"{outer}.{key}", value)


def _keys_of(node: yaml.Node | None) -> list[tuple[str, int, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        return []
    return [(str(key.value), key.start_mark.line + 1, value) for key, value in node.value]
