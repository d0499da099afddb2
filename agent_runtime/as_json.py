"""JSON as orjson writes it, and what it will not write though it is JSON."""

import json
import re
from collections.abc import Callable
from typing import Any

import orjson

_LIMITS_OF_ORJSON = re.compile("64-bit|UTF-8")


def as_json(value: Any, *, default: Callable[[Any], Any] | None = None, options: int = 0) -> bytes:
    """Numbers beyond 64 bits are written as well; half of a surrogate pair becomes a ``?``.

    :raises TypeError: when it is no JSON.
    """
    try:
        return orjson.dumps(value, default=default, option=options)
    except TypeError as error:
        if not _LIMITS_OF_ORJSON.search(str(error)):
            raise
        return json.dumps(value, default=default, ensure_ascii=False).encode("utf-8", "replace")
