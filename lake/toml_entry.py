"""TOML tables read strictly: what is missing, wrong or unknown is said with its place."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ParamSpec, TypeVar

Table = Mapping[str, Any]
P = ParamSpec("P")
T = TypeVar("T")

_CALLED = {str: "a text", list: "a list", dict: "a table", bool: "true or false"}


class MappingError(ValueError):
    """A mapping that cannot be used; the message names the place, the value and the remedy."""


class Entry:
    """A TOML table of which each key is taken once; what is left at the end is unknown."""

    def __init__(self, entry: Any, place: str) -> None:
        if not isinstance(entry, Mapping):
            raise MappingError(f"{place} must be a table")
        self._left = dict(entry)
        self._place = place

    def take(self, key: str, kind: type, default: Any = None) -> Any:
        """The value of a key, of this kind; the default where the key is not there."""
        value = self._left.pop(key, default)
        if value is None:
            raise MappingError(f"{self._place}.{key} is missing; add it")
        if not isinstance(value, kind):
            raise MappingError(f"{self._place}.{key} = {value!r} must be {_CALLED[kind]}")
        return value

    def choose(self, key: str, among: tuple[str, ...], default: str | None = None) -> str:
        """A text that is one of these, or the default."""
        value: str = self.take(key, str, default)
        if value not in among and value != default:
            raise MappingError(f"{self._place}.{key} = {value!r} must be one of {', '.join(among)}")
        return value

    def end(self) -> None:
        """Raises MappingError for a key that was not taken."""
        for key in self._left:
            raise MappingError(f"{self._place}.{key} is no known key; take it out")


def told_of(place: str, check: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What `check` returns; its error with the place before it."""
    try:
        return check(*args, **kwargs)
    except MappingError as error:
        raise MappingError(f"{place}: {error}") from None


def texts(values: Sequence[Any], place: str) -> tuple[str, ...]:
    """The values, which must be texts. Raises MappingError."""
    for value in values:
        if not isinstance(value, str):
            raise MappingError(f"{place}: {value!r} must be a text")
    return tuple(values)


def pairs(table: Table, place: str) -> tuple[tuple[str, str], ...]:
    """Names and their values, which must be texts. Raises MappingError."""
    texts(tuple(table.values()), place)
    return tuple(table.items())
