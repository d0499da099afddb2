"""Refuse bodies that would take many times their size in memory once they are parsed.

An empty span is two bytes in protobuf and about 90 in the parsed message, so the largest body
that is allowed could become more than 5 GiB. Only bodies of more than 1 MiB are looked at: a
smaller one cannot become large.
"""

import re
from itertools import islice

from ingest.receive.refusal import Kind, Refusal

LOOK_FROM_BYTES = 1024 * 1024
MAX_CRUMBS = 3_000_000  # some 270 MiB of messages; real bodies of 64 MiB have about 1.2 million
MAX_JSON_OBJECTS = 3_000_000  # 72 bytes each at least; real ones have 1.9 million in 64 MiB
MAX_JSON_VALUES = 6_000_000  # some 60 bytes each; real ones have 4.4 million in 64 MiB

# A tag that may begin a message (or a zero byte, which also ends a number written longer than it
# need be), then a length of at most 7. Strings look like this too: it is an upper bound.
_CRUMB = re.compile(
    rb"[\x00\x0a\x12\x1a\x22\x2a\x32\x3a\x42\x4a\x52\x5a\x62\x6a\x72\x7a]"
    rb"(?:[\x00-\x07]|[\x80-\x87]\x80{0,3}\x00)"
)


def refuse_crumbs_in_protobuf(body: bytes) -> None:
    """Raise Refusal (413) when too many of the messages in `body` can be next to empty."""
    if len(body) > LOOK_FROM_BYTES:
        crumbs = islice(_CRUMB.finditer(body), MAX_CRUMBS + 1)
        if sum(1 for _ in crumbs) > MAX_CRUMBS:
            raise _too_many(f"more than {MAX_CRUMBS} tiny messages")


def refuse_crumbs_in_json(body: bytes) -> None:
    """Raise Refusal (413) when `body` has too many objects, arrays or values."""
    if len(body) > LOOK_FROM_BYTES:
        if body.count(b"{") + body.count(b"[") > MAX_JSON_OBJECTS:
            raise _too_many(f"more than {MAX_JSON_OBJECTS} objects and arrays")
        if body.count(b",") > MAX_JSON_VALUES:
            raise _too_many(f"more than {MAX_JSON_VALUES} values")


def _too_many(what: str) -> Refusal:
    return Refusal(Kind.TOO_LARGE, "too_many", f"the body has {what}; send smaller batches")
