"""Server-sent events, both ways (https://html.spec.whatwg.org/multipage/server-sent-events.html)."""

from codecs import BOM_UTF8
from collections.abc import Iterator

from agent_runtime.as_json import as_json
from agent_runtime.events import Event

TOKEN_LINE = b"event: token\n"


def encode(event: Event) -> bytes:
    """One event as it goes over the wire; one that says nothing is a comment."""
    if event.name == "keepalive":
        return b": keepalive\n\n"
    return b"event: %b\ndata: %b\n\n" % (event.name.encode(), as_json(event.data))


class Decoder:
    """Takes a byte stream apart into events; one that is not finished at its end is dropped.

    Lines are split at CR and LF only. Splitting text the way ``str.splitlines`` does breaks
    payloads in which a model wrote U+2028 or U+0085.
    """

    def __init__(self) -> None:
        self._beginning: bytes | None = b""
        """What may be a byte order mark, until it is known whether the stream begins with one."""
        self._rest: list[bytes] = []
        """Of the line that is not finished; in pieces, because it may come in many."""
        self._data: list[str] = []
        self._split = False
        """Whether a line ended with CR where a chunk did: an LF that follows is part of it."""

    def feed(self, chunk: bytes) -> Iterator[str]:
        """The ``data`` of each event that a chunk finishes."""
        if self._beginning is not None:
            self._beginning += chunk
            if len(self._beginning) < len(BOM_UTF8) and BOM_UTF8.startswith(self._beginning):
                return
            chunk, self._beginning = self._beginning.removeprefix(BOM_UTF8), None
        if self._split:
            chunk = chunk.removeprefix(b"\n")
        self._split = chunk.endswith(b"\r")
        first, *others = chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest.append(first)
        if not others:
            return
        lines = [b"".join(self._rest), *others[:-1]]
        self._rest = others[-1:]
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" ").decode("utf-8", "replace"))
            elif not line and self._data:
                yield "\n".join(self._data)
                self._data.clear()
