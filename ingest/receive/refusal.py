"""Why a whole request is refused, in the words of both transports."""

from enum import Enum

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.code_pb2 import Code
from google.rpc.error_details_pb2 import BadRequest, RetryInfo
from google.rpc.status_pb2 import Status

RETRY_AFTER_SECONDS = 1


class Kind(Enum):
    """The kinds of refusal: HTTP status and google.rpc.Code (which is also the gRPC status).

    OTLP clients retry 503 and UNAVAILABLE and drop the batch on every other one here, so
    whatever may pass later is UNAVAILABLE.
    """

    MALFORMED = (400, Code.INVALID_ARGUMENT)
    UNKNOWN_PATH = (404, Code.NOT_FOUND)
    WRONG_METHOD = (405, Code.UNIMPLEMENTED)
    TOO_LARGE = (413, Code.RESOURCE_EXHAUSTED)
    MISDIRECTED = (421, Code.FAILED_PRECONDITION)
    UNSUPPORTED = (415, Code.INVALID_ARGUMENT)
    NOT_IMPLEMENTED = (501, Code.UNIMPLEMENTED)
    UNAVAILABLE = (503, Code.UNAVAILABLE)

    def __init__(self, http_status: int, code: int) -> None:
        self.http_status = http_status
        self.code = code


class Refusal(Exception):  # noqa: N818 - an answer, not a failure of ours
    """A request that is not accepted. `reason` is a short label for metrics."""

    def __init__(self, kind: Kind, reason: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.reason = reason
        self.message = message

    def status(self) -> Status:
        """The google.rpc.Status that OTLP asks for, with details where the standard has them."""
        status = Status(code=self.kind.code, message=self.message)
        if self.kind is Kind.UNAVAILABLE:
            _attach(status, RetryInfo(retry_delay=Duration(seconds=RETRY_AFTER_SECONDS)))
        elif self.kind is Kind.MALFORMED:
            violation = BadRequest.FieldViolation(field="body", description=self.message)
            _attach(status, BadRequest(field_violations=[violation]))
        return status


def _attach(status: Status, detail: RetryInfo | BadRequest) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)


def unavailable(reason: str, message: str) -> Refusal:
    """Come back later: nothing is wrong with the request."""
    return Refusal(Kind.UNAVAILABLE, reason, message)


def malformed(message: str) -> Refusal:
    """The request can never be accepted as it is."""
    return Refusal(Kind.MALFORMED, "malformed", message)


def too_large(limit: int) -> Refusal:
    """The body, or what it decompresses to, is over the limit."""
    return Refusal(
        Kind.TOO_LARGE,
        "too_large",
        f"the body is larger than {limit} bytes before or after decompression; "
        "send smaller batches",
    )
