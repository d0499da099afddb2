"""What messages of exceptions quote of what a model or a user said.

Error messages are kept: they are what somebody who looks into a failure needs. Some libraries put
into them the text that they could not read, and that part goes.
"""

from collections.abc import Collection

import pyarrow as pa
import pyarrow.compute as pc

from ingest.privacy.table import CONTENT_DROPPED, anyone_of, content_table
from ingest.vectors import matches, where

_SENTENCES = tuple(content_table().quotes.values())
_SHAPES = tuple(content_table().quotes_by_shape.values())
_FAILURE = r"(?i)^\s*(?:[^{\s](?s:.*))?(?:error|exception|fail|invalid|unable|could not|cannot)"
"""A body that is no JSON, and speaks of a failure somewhere."""


def without_quotes(messages: pa.Array) -> pa.Array:
    """The messages without what they quote; the very array where none quotes anything."""
    return _without(messages, (*_SENTENCES, *_SHAPES))


def without_quotes_in_bodies(bodies: pa.Array) -> pa.Array:
    """The same of the bodies of log records, most of which are about something else."""
    bodies = _without(bodies, _SENTENCES)
    failures = where(matches(bodies, _FAILURE), bodies)
    if failures.null_count == len(failures):
        return bodies
    left = _without(failures, _SHAPES)
    return bodies if left is failures else pc.coalesce(left, bodies)


def _without(messages: pa.Array, patterns: Collection[str]) -> pa.Array:
    quoting = matches(messages, anyone_of(patterns))
    if not pc.any(quoting).as_py():
        return messages
    left = messages.filter(quoting)
    for pattern in patterns:
        left = pc.replace_substring_regex(left, pattern, rf"\1{CONTENT_DROPPED}\3")
    return pc.replace_with_mask(messages, quoting, left)
