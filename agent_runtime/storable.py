"""Values as they come back from a store, so that no node sees others than a resumed run would."""

import math
from typing import Any

from agent_runtime.errors import StateNotStorable
from agent_runtime.masking import quoted


class _OddError(Exception):
    """Something that is no JSON, and the way to it from within."""

    def __init__(self, value: object) -> None:
        super().__init__()
        self.value = value
        self.way = ""

    def within(self, key: object) -> "_OddError":
        self.way = f"[{quoted(key)}]{self.way}"
        return self


def storable(values: dict[str, Any]) -> dict[str, Any]:
    """What a node left as JSON keeps it: tuples as lists, half of a surrogate pair as a ``?``,
    text and numbers that are members of an enum as plain ones.

    :raises StateNotStorable: when some of it is anything else than JSON, or NaN or infinite; it
        says what is where.
    """
    try:
        return {_kept(name): _kept_in(values, name) for name in values}
    except RecursionError:
        raise StateNotStorable(
            "values of the state cannot be kept: they hold themselves, or are too deep"
        ) from None
    except _OddError as odd:
        raise StateNotStorable(
            f"values{odd.way} of the state cannot be kept, being {quoted(odd.value)}; use what "
            "JSON has: text, finite numbers, true, false, null, lists, and objects with text for "
            "keys"
        ) from None


def _kept_in(container: Any, key: Any) -> Any:
    try:
        return _kept(container[key])
    except _OddError as odd:
        raise odd.within(key) from None


def _kept(value: Any) -> Any:
    match value:
        case None | bool():
            return value
        case str():
            return value.encode("utf-8", "replace").decode()
        case int():
            return int(value)
        case float() if math.isfinite(value):
            return float(value)
        case list() | tuple():
            return [_kept_in(value, place) for place in range(len(value))]
        case dict() if all(isinstance(key, str) for key in value):
            return {_kept(key): _kept_in(value, key) for key in value}
    raise _OddError(value)
