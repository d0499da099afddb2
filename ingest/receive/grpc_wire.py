"""How gRPC writes a unary call into HTTP/2 (PROTOCOL-HTTP2 of the gRPC documentation)."""

from base64 import b64encode
from collections.abc import Sequence
from io import BytesIO
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
        self._prefix = b""
        # Grows where it is: of a list of chunks as much would lie about while they are joined.
        self._message = BytesIO()

    def add(self, chunk: bytes) -> None:
        """Take the next bytes. Raises Refusal when they are too many, for this or in all."""
        self.held.grow(len(chunk))
        if missing := _PREFIX_BYTES - len(self._prefix):
            self._prefix += chunk[:missing]
            chunk = chunk[missing:]
            if len(self._prefix) == _PREFIX_BYTES and self._length > self._limit:
                raise too_large(self._limit)
        self._message.write(chunk)
        if self.held.bytes > _PREFIX_BYTES + self._length:
            raise malformed("the call has more than the one message of a unary call")

    def message(self, encoding: str) -> tuple[bytes, str]:
        """The message as sent and its encoding, '' for none. Raises Refusal if it is not whole."""
        with self._message as message:
            whole = message.getvalue()
        if len(self._prefix) < _PREFIX_BYTES or len(whole) < self._length:
            raise malformed(f"the call ends after {self.held.bytes} bytes, inside its message")
        flag = self._prefix[0]
        if flag > 1 or (flag and encoding in {"", "identity"}):
            raise malformed(f"the message has flag {flag} and grpc-encoding {encoding!r}")
        return whole, encoding if flag else ""

    def drop(self) -> None:
        """Hold nothing of it any more; whoever keeps the call's refusal keeps the call."""
        self._message.close()
        self.held.release()

    @property
    def _length(self) -> int:
        """Of the message, as its prefix says; as long as that is not whole, 0."""
        return int.from_bytes(self._prefix[1:], "big") if len(self._prefix) == _PREFIX_BYTES else 0


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
