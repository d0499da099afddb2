"""How gRPC writes a unary call into HTTP/2 (PROTOCOL-HTTP2 of the gRPC documentation)."""

from base64 import b64encode
from collections.abc import Sequence
from urllib.parse import quote

from google.rpc.status_pb2 import Status

from ingest.receive.memory import Held
from ingest.receive.refusal import malformed, too_large

Headers = Sequence[tuple[str, str]]

ENCODINGS = ("identity", "deflate", "gzip", "zstd")

_PREFIX_BYTES = 5  # whether the message is compressed, and its length
_LONGEST_MESSAGE = 1024  # characters of a status; clients take some 8 KiB of headers
_PRINTABLE = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")

CONTENT_TYPE = "application/grpc"
HEAD: Headers = (
    (":status", "200"),
    ("content-type", CONTENT_TYPE),
    ("grpc-accept-encoding", ",".join(ENCODINGS)),
)
OK: Headers = (("grpc-status", "0"),)


class Upload:
    """The one message of a call as it comes, each byte accounted for in `held`."""

    def __init__(self, held: Held, limit: int) -> None:
        self.held = held
        self._limit = limit
        self._chunks: list[bytes] = []
        self._length: int | None = None

    def add(self, chunk: bytes) -> None:
        """Take the next bytes. Raises Refusal when they are too many, for this or in all."""
        self.held.grow(len(chunk))
        self._chunks.append(chunk)
        if self._length is None and self.held.bytes >= _PREFIX_BYTES:
            prefix = b"".join(self._chunks)[:_PREFIX_BYTES]
            self._length = int.from_bytes(prefix[1:], "big")
            if self._length > self._limit:
                raise too_large(self._limit)
        if self._length is not None and self.held.bytes > _PREFIX_BYTES + self._length:
            raise malformed("the call has more than the one message of a unary call")

    def message(self, encoding: str) -> tuple[bytes, str]:
        """The message as sent and its encoding, '' for none. Raises Refusal if it is not whole."""
        whole = b"".join(self._chunks)
        self._chunks = []
        if self._length is None or len(whole) < _PREFIX_BYTES + self._length:
            raise malformed(f"the call ends after {len(whole)} bytes, inside its message")
        if whole[0] > 1 or (whole[0] and encoding in {"", "identity"}):
            raise malformed(f"the message has flag {whole[0]} and grpc-encoding {encoding!r}")
        return whole[_PREFIX_BYTES:], encoding if whole[0] else ""


def framed(message: bytes) -> bytes:
    """A message that is not compressed, as it stands in a body."""
    return b"\x00" + len(message).to_bytes(4, "big") + message


def trailers(status: Status) -> Headers:
    """What ends a call that failed. The message's bytes that no header takes are escaped."""
    details = b64encode(status.SerializeToString()).rstrip(b"=").decode()
    return (
        ("grpc-status", str(status.code)),
        ("grpc-message", quote(status.message[:_LONGEST_MESSAGE], safe=_PRINTABLE)),
        ("grpc-status-details-bin", details),
    )
