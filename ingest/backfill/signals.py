"""Which signal a message belongs to, from what is in it: OTLP in protobuf does not say.

All export requests have the same shape, resource, scope, record, and differ in the fields of the
record. Protobuf skips fields of another wire type as unknown, so a record that was parsed as its
own kind has known fields only, and one of another kind has not.
"""

from dataclasses import dataclass
from typing import Any

from google.protobuf.message import DecodeError, Message
from google.protobuf.unknown_fields import UnknownFieldSet
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.receive.signals import SIGNALS

REQUESTS: dict[str, type[Message]] = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}
"""What OTLP files may hold, received or not."""
TAKEN = {signal.name: signal for signal in SIGNALS}

_RECORDS_LOOKED_AT = 8
_FIRST_UNASSIGNED_FIELD = 100  # OTLP's own are far below; others' extensions are not its records


@dataclass(frozen=True)
class Shape:
    """How the records of a signal lie in its requests: the repeated fields, outermost first."""

    levels: tuple[str, str, str]
    json_levels: tuple[str, str, str]

    @classmethod
    def of(cls, request: type[Message]) -> "Shape":
        """Read from the descriptors: field 1 of a request, field 2 of each level within."""
        descriptor: Any = request.DESCRIPTOR
        resources = descriptor.fields_by_number[1]
        scopes = resources.message_type.fields_by_number[2]
        records = scopes.message_type.fields_by_number[2]
        levels = (resources, scopes, records)
        names, json_names = [f.name for f in levels], [f.json_name for f in levels]
        return cls((names[0], names[1], names[2]), (json_names[0], json_names[1], json_names[2]))


SHAPES = {name: Shape.of(request) for name, request in REQUESTS.items()}


def parse(body: bytes, likely: str | None = None) -> tuple[str, Message] | None:
    """The signal that `body` is a request of, and the request; None if it is none of them.

    `likely` is tried first. A request without records is taken for the first signal that fits.
    """
    names = sorted(REQUESTS, key=lambda name: name != likely)
    for name in names:
        request = parse_as(body, name)
        if request is not None and _fits(request, name):
            return name, request
    return None


def parse_as(body: bytes, name: str) -> Message | None:
    """`body` as a request of the signal; None when it is not even protobuf of that type."""
    try:
        return REQUESTS[name].FromString(body)
    except DecodeError:
        return None


def count(request: Message, name: str) -> int:
    """Records of a request as the receiver counts them: spans, log records, data points."""
    records = list(_records(request, name))
    return sum(map(_points, records)) if name == "metrics" else len(records)


def _records(request: Any, name: str) -> Any:
    resources, scopes, records = SHAPES[name].levels
    for resource in getattr(request, resources):
        for scope in getattr(resource, scopes):
            yield from getattr(scope, records)


def _points(metric: Any) -> int:
    kind = metric.WhichOneof("data")
    return len(getattr(metric, kind).data_points) if kind else 0


def _fits(request: Any, name: str) -> bool:
    """Whether nothing on the way to the first records, nor in them, is of another message."""
    resources, scopes, _ = SHAPES[name].levels
    outer = [request, *getattr(request, resources)[:_RECORDS_LOOKED_AT]]
    outer += [scope for each in outer[1:] for scope in getattr(each, scopes)[:_RECORDS_LOOKED_AT]]
    if any(_foreign(message) for message in outer):
        return False
    for number, record in enumerate(_records(request, name)):
        if number == _RECORDS_LOOKED_AT:
            break
        if _foreign(record) or not record.ListFields():
            return False
    return True


def _foreign(message: Message) -> bool:
    unknown = UnknownFieldSet(message)  # a sequence, of which its type knows half
    numbers = (unknown[index].field_number for index in range(len(unknown)))
    return any(number < _FIRST_UNASSIGNED_FIELD for number in numbers)
