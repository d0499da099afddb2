"""What messages of exceptions quote of what a model or a user said.

Error messages are kept: they are what somebody who looks into a failure needs. Some libraries put
into them the text that they could not read, and that part goes.
"""

import pyarrow as pa
import pyarrow.compute as pc

from ingest.privacy.table import CONTENT_DROPPED, anyone_of, content_table
from ingest.vectors import matches

_QUOTES = content_table().quotes.values()
_ANY = anyone_of(_QUOTES)


def without_quotes(messages: pa.Array) -> pa.Array:
    """The messages without what they quote; the very array where none quotes anything."""
    quoting = matches(messages, _ANY)
    if not pc.any(quoting).as_py():
        return messages
    left = messages.filter(quoting)
    for pattern in _QUOTES:
        left = pc.replace_substring_regex(left, pattern, rf"\1{CONTENT_DROPPED}\3")
    return pc.replace_with_mask(messages, quoting, left)
