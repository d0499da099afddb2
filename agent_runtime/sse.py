"""Server-sent events, both ways (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

import json
from collections.abc import AsyncIterable, AsyncIterator

import orjson

from agent_runtime.events import Event

TOKEN_PREFIX = b"event: token\n"


def encode(event: Event) -> bytes:
    """One event as it goes over the wire; one that says nothing is a comment."""
    if event.name == "keepalive":
        return b": keepalive\n\n"
    try:
        data = orjson.dumps(event.data)
    except TypeError:  # numbers beyond 64 bits, text that is not Unicode: rare, but JSON
        data = json.dumps(event.data).encode()
    return b"event: %b\ndata: %b\n\n" % (event.name.encode(), data)


async def decode_data(chunks: AsyncIterable[bytes]) -> AsyncIterator[str]:
    """The ``data`` of each event in a byte stream; an unfinished event at the end is dropped.

    Lines are split at CR and LF only. Splitting text the way ``str.splitlines`` does breaks
    payloads in which a model wrote U+2028 or U+0085.
    """
    data: list[str] = []
    async for line in _lines(chunks):
        if not line:
            if data:
                yield "\n".join(data)
            data = []
        elif line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" ").decode("utf-8", "replace"))


async def _lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    pending = b""
    async for chunk in chunks:
        # A CR at the end may be half of a CR LF: it waits for the next chunk.
        pending = (pending + chunk).replace(b"\r\n", b"\n")
        held = b"\r" if pending.endswith(b"\r") else b""
        *lines, rest = pending.removesuffix(b"\r").replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            yield line
        pending = rest + held
    if pending.endswith(b"\r"):
        yield pending.removesuffix(b"\r")
