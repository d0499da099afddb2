"""Undo Content-Encoding without letting a small body become a large one."""

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import zstandard

from ingest.receive.refusal import Kind, Refusal, malformed, too_large

_MAX_MEMBERS = 1000  # gzip and zstd allow several streams in a row; a million empty ones are no use
_MAX_ZSTD_WINDOW = 64 * 1024 * 1024


@dataclass(frozen=True)
class _Codec:
    """How to decode, and how much input to give at once so that the output stays below 16 MiB."""

    decoder: Callable[[], Any]
    step: int


_CODECS = {
    "gzip": _Codec(lambda: zlib.decompressobj(16 + zlib.MAX_WBITS), 16 * 1024),  # at most 1032:1
    "deflate": _Codec(lambda: zlib.decompressobj(zlib.MAX_WBITS), 16 * 1024),
    "zstd": _Codec(  # a block of 4 bytes may stand for 128 KiB
        lambda: zstandard.ZstdDecompressor(max_window_size=_MAX_ZSTD_WINDOW).decompressobj(), 512
    ),
}


def decompress(body: bytes, encoding: str, limit: int) -> bytes:
    """The body without its Content-Encoding ('' or 'identity', gzip, deflate, zstd).

    Raises Refusal: 413 as soon as the output passes `limit` bytes, 400 at the first wrong or
    missing byte, 415 for any other encoding.
    """
    if encoding in {"", "identity"}:
        plain = body
    elif encoding in _CODECS:
        try:
            plain = _expand(body, _CODECS[encoding], limit)
        except (zlib.error, zstandard.ZstdError, EOFError) as fault:
            raise malformed(f"the body is not valid {encoding}: {fault}") from fault
    else:
        raise Refusal(
            Kind.UNSUPPORTED,
            "unsupported_encoding",
            f"Content-Encoding {encoding!r} is not supported; use gzip, deflate, zstd or identity",
        )
    if len(plain) > limit:
        raise too_large(limit)
    return plain


def _expand(body: bytes, codec: _Codec, limit: int) -> bytes:
    plain = BytesIO()  # which gives what it has without a copy
    data = memoryview(body)
    position = members = 0
    while position < len(data):
        decoder = codec.decoder()
        members += 1
        if members > _MAX_MEMBERS:
            raise EOFError(f"it has more than {_MAX_MEMBERS} members")
        while not decoder.eof:
            piece = data[position : position + codec.step]
            if not piece:
                raise EOFError("it ends too early")
            plain.write(decoder.decompress(piece))
            position += len(piece)
            if plain.tell() > limit:
                raise too_large(limit)
        position -= len(decoder.unused_data)
    return plain.getvalue()
