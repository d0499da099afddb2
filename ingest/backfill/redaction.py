"""Takes content and secrets out of log lines as the collector does: the record has to be the same.

A record's identity is computed from what was sent. Ingest drops content once more, but what the
collector drops before has to be dropped before here too, or a line that came both ways were two.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from ingest.privacy.table import content_table, pattern_of

MASK = "****"


def _compiled(patterns: Iterable[str]) -> list[re.Pattern[str]]:
    """Go's expressions: ASCII classes, and `$` is the end of the text, never before a newline."""
    return [re.compile(re.sub(r"\$$", r"\\Z", each), re.ASCII) for each in patterns]


_TABLE = content_table()
_DROPPED = _compiled(dialect.pattern for dialect in _TABLE.dialects)
_SECRET = _compiled([pattern_of(_TABLE.secret_names)])
_MASKED = _compiled(_TABLE.masked.values())
_UNMASKED = _compiled(_TABLE.unmasked_keys)


def redacted(attributes: Mapping[str, Any], *, keep_content: bool = False) -> dict[str, Any]:
    """`attributes` without content, unless it is to be kept, and with secrets masked in texts."""
    return {
        key: _masked_under(key, value) if isinstance(value, str) or _any(_SECRET, key) else value
        for key, value in attributes.items()
        if keep_content or not _any(_DROPPED, key)
    }


def redacted_body(value: Any) -> Any:
    """A body with secrets masked at every depth of it; numbers that look like one, too."""
    match value:
        case str():
            return masked(value)
        case dict():
            return {key: _masked_under(key, member) for key, member in value.items()}
        case list():
            return [redacted_body(each) for each in value]
        case int() if not isinstance(value, bool):
            text = masked(str(value))
            return value if text == str(value) else text
    return value


def masked(text: str) -> str:
    """`text` with keys, tokens, e-mail addresses and card numbers masked."""
    for pattern in _MASKED:
        text = pattern.sub(MASK, text)
    return text


def _masked_under(key: str, value: Any) -> Any:
    if _any(_UNMASKED, key):
        return value
    return MASK if _any(_SECRET, key) else redacted_body(value)


def _any(patterns: Iterable[re.Pattern[str]], key: str) -> bool:
    return any(pattern.search(key) for pattern in patterns)
