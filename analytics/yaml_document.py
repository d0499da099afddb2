"""YAML that knows its lines, so that an error can say where."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import YAMLError


class YamlError(ValueError):
    """A file that does not say what it should; says `file:line: what, and the remedy`."""


@dataclass(frozen=True)
class Mapping:
    """A mapping of a YAML file: typed access to its keys, errors with their lines."""

    file: str
    path: str
    values: CommentedMap

    def error(self, key: str | None, problem: str) -> YamlError:
        """The error to raise about `key`, or about the mapping where it begins."""
        row = self.values.lc.key(key)[0] if key in self.values else self.values.lc.line
        return YamlError(f"{self.file}:{row + 1}: {problem}")

    def only(self, *allowed: str) -> None:
        """Raises if there is any other key."""
        for key in self.values:
            if key not in allowed:
                raise self.error(
                    key, f"{self._name(key)} is unknown; allowed: {', '.join(allowed)}"
                )

    def text(self, key: str) -> str:
        value = self._required(key)
        if not isinstance(value, str) or not value:
            raise self.error(key, f"{self._name(key)} {value!r} must be a text")
        return value

    def number(self, key: str) -> float:
        value = self._required(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.error(key, f"{self._name(key)} {value!r} must be a number")
        return value if isinstance(value, int) else float(value)

    def mapping(self, key: str) -> "Mapping":
        return self._mapping(key, self._required(key), self._name(key))

    def single(self, key: str) -> "Mapping":
        """The mapping that is the only item of the list `key`."""
        value = self._required(key)
        if not isinstance(value, CommentedSeq) or len(value) != 1:
            raise self.error(key, f"{self._name(key)} must be a list of exactly one item")
        return self._mapping(key, value[0], f"{self._name(key)}[0]")

    def expect(self, key: str, value: object) -> None:
        """Raises unless `key` has this value."""
        found = self._required(key)
        if found != value or type(found) is not type(value):
            wanted = str(value).lower() if isinstance(value, bool) else value
            raise self.error(key, f"{self._name(key)} {found!r} is not supported; write {wanted}")

    def _required(self, key: str) -> Any:
        if key not in self.values:
            raise self.error(None, f"{self._name(key)} is missing")
        return self.values[key]

    def _mapping(self, key: str, value: Any, name: str) -> "Mapping":
        if not isinstance(value, CommentedMap):
            raise self.error(key, f"{name} must be a mapping")
        return Mapping(self.file, name, value)

    def _name(self, key: object) -> str:
        return f"{self.path}.{key}" if self.path else str(key)


def read_documents(path: Path, file: str) -> Iterator[Mapping]:
    """Every document of a YAML file, `file` being its name in errors. Raises YamlError."""
    try:
        documents = list(YAML().load_all(path.read_text(encoding="utf-8")))
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise YamlError(f"{file}:{line}: not YAML: {problem}") from error
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise YamlError(f"{file}: cannot be read: {reason}") from error
    for document in documents:
        if document is None:
            continue
        if not isinstance(document, CommentedMap):
            raise YamlError(f"{file}:1: must be a mapping, such as apiVersion: openslo/v1")
        yield Mapping(file, "", document)
