"""Takes content and secrets out of log lines as the collector does: the record has to be the same.

A record's identity is computed from what was sent. Ingest drops content once more, but what the
collector drops before has to be dropped before here too, or a line that came both ways were two.
"""

from collections.abc import Mapping
from typing import Any

from ingest.privacy.expressions import Expression
from ingest.privacy.table import CONTENT_DROPPED, content_table, pattern_of

MASK = "****"

_TABLE = content_table()
_DROPPED = Expression(_TABLE.content)
_SECRET = Expression(pattern_of(_TABLE.secret_names))
_MASKED = tuple(map(Expression, _TABLE.masked.values()))
_UNMASKED = tuple(map(Expression, _TABLE.unmasked_keys))


def redacted(attributes: Mapping[str, Any], *, keep_content: bool = False) -> dict[str, Any]:
    """`attributes` without content, unless it is to be kept, and with secrets masked in texts."""
    return {
        key: _masked_under(key, value) if isinstance(value, str) or _SECRET.found_in(key) else value
        for key, value in attributes.items()
        if keep_content or not _DROPPED.found_in(key)
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


def body_of_event(body: Any, event: object) -> Any:
    """What is left of the body of a record of this event: nothing, if that is content."""
    return CONTENT_DROPPED if event in _TABLE.body_events else body


def masked(text: str) -> str:
    """`text` with keys, tokens, e-mail addresses and card numbers masked."""
    for pattern in _MASKED:
        text = pattern.replaced(text, MASK)
    return text


def _masked_under(key: str, value: Any) -> Any:
    if any(pattern.found_in(key) for pattern in _UNMASKED):
        return value
    return MASK if _SECRET.found_in(key) else redacted_body(value)
