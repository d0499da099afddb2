"""The content of a file as one stream of bytes, decompressed when the file is a zstd stream."""

import io
from dataclasses import dataclass
from typing import BinaryIO, Protocol

import zstandard

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_SKIPPABLE_MAGIC = b"\x2a\x4d\x18"  # behind 0x50 to 0x5f: a frame of zstd without content
GZIP_MAGIC = b"\x1f\x8b"
HEAD_BYTES = 1024 * 1024
"""How much of a file is looked at to recognise its format."""

_BUFFER_BYTES = 256 * 1024
_COMPRESSED_CHUNK_BYTES = 4096  # small: a chunk may expand to thousands of times its size


def is_zstd(head: bytes) -> bool:
    """Whether what begins with `head` is a zstd stream: of either kind of frame (RFC 8878, 3.1)."""
    skippable = head[1:4] == _SKIPPABLE_MAGIC and head[0] & 0xF0 == 0x50
    return head.startswith(ZSTD_MAGIC) or skippable


class Damage(Exception):  # noqa: N818 - a finding about a file
    """A file that cannot be read on from `place`; what came before it was read."""

    def __init__(self, place: str, what: str) -> None:
        super().__init__(f"{place}: {what}")
        self.place = place
        self.what = what


class Source(Protocol):
    """What `Content` reads from: an open file or a pipe."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none at the end."""


@dataclass(frozen=True)
class Content:
    """`head` is the beginning of `stream`, at most `HEAD_BYTES`, which still has all of it."""

    head: bytes
    stream: BinaryIO
    decompressed: "_Decompressed | None"

    @classmethod
    def of(cls, file: BinaryIO) -> "Content":
        """Open `file`. Raises Damage when it is compressed with gzip."""
        magic = file.read(4)
        raw: io.RawIOBase = _Rejoined(magic, file)
        if magic.startswith(GZIP_MAGIC):
            what = "compressed with gzip; pipe it in: zcat FILE | quietpager import -"
            raise Damage("byte 0", what)
        decompressed = _Decompressed(raw) if is_zstd(magic) else None
        stream = io.BufferedReader(decompressed or raw, _BUFFER_BYTES)
        head = stream.read(HEAD_BYTES)
        whole = io.BufferedReader(_Rejoined(head, stream), _BUFFER_BYTES)
        return cls(head, whole, decompressed)

    @property
    def damage(self) -> str:
        """Why the stream ended before the content did; empty when it did not."""
        return self.decompressed.damage if self.decompressed else ""


class _Rejoined(io.RawIOBase):
    """What was already read of a stream, then the rest of it."""

    def __init__(self, head: bytes, rest: Source) -> None:
        self._head = memoryview(head)
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        chunk: bytes | memoryview = self._head[: len(buffer)]
        self._head = self._head[len(chunk) :]
        chunk = chunk or self._rest.read(len(buffer))
        buffer[: len(chunk)] = chunk
        return len(chunk)


class _Decompressed(io.RawIOBase):
    """A zstd stream of one frame after another, decompressed.

    It ends where it is cut off or corrupt and says so in `damage`: an exception on the way would
    cost what the buffer in front of it already held.
    """

    def __init__(self, compressed: io.RawIOBase) -> None:
        self.damage = ""
        self._compressed = compressed
        self._frame = zstandard.ZstdDecompressor().decompressobj()
        self._in_frame = False
        self._unread = b""
        self._plain = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._plain and not self.damage and self._feed():
            pass
        chunk = self._plain[: len(buffer)]
        self._plain = self._plain[len(chunk) :]
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def _feed(self) -> bool:
        """Decompress the next chunk; False at the end."""
        compressed = self._unread or self._compressed.read(_COMPRESSED_CHUNK_BYTES)
        self._unread = b""
        if not compressed:
            if self._in_frame:
                self.damage = "the file ends inside a zstd frame"
            return False
        try:
            self._plain = memoryview(self._frame.decompress(compressed))
        except zstandard.ZstdError as fault:
            self.damage = f"the zstd stream is corrupt: {fault}"
            return False
        self._in_frame = not self._frame.eof
        if self._frame.eof:
            self._unread = self._frame.unused_data
            self._frame = zstandard.ZstdDecompressor().decompressobj()
        return True
