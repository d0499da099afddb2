"""Where in a TOML document a key is written."""

import tomllib
from collections.abc import Sequence
from typing import Any


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """The 1-based line of the statement that gives ``path`` its value, or its nearest parent.

    tomllib keeps no positions. But every prefix of a document that ends between two statements is
    a document too, so the statement sought begins after the last such prefix without the key.
    """
    lines = text.splitlines()
    for depth in range(len(path), 0, -1):
        begin = 1
        for count in range(1, len(lines) + 1):
            try:
                document = tomllib.loads("\n".join(lines[:count]))
            except tomllib.TOMLDecodeError:
                continue
            if _holds(document, path[:depth]):
                return begin
            begin = count + 1
    return None


def _holds(document: Any, path: Sequence[str | int]) -> bool:
    for step in path:
        try:
            document = document[step]
        except (KeyError, IndexError, TypeError):
            return False
    return True
