"""A line of a JSON log file as the log record that the collector makes of it.

This follows `file_log` and the processors of `otel-collector.yaml` operator by operator: the same
line has to become the same record, or it would count twice when it comes both ways.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import PurePath
from typing import Any

import orjson
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue, KeyValueList
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

from ingest.backfill.frames import text_of
from ingest.backfill.redaction import body_of_event, redacted, redacted_body
from ingest.limits import short
from ingest.privacy.expressions import sound
from lake.mapping import AttributeMap
from lake.mapping_file import SHIPPED

LONGEST_LINE = 1024 * 1024
"""`max_log_size` of the collector: a longer line becomes several records."""

_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:[.,](\d+))?(Z|[+-]\d\d:\d\d)", re.ASCII)
_SEVERITIES = {
    **{name + suffix: first + step
       for name, first in (("trace", 1), ("debug", 5), ("info", 9), ("warn", 13), ("warning", 13),
                           ("err", 17), ("error", 17), ("fatal", 21))
       for step, suffix in enumerate(("", "2", "3", "4"))},
    **{str(number): number for number in range(1, 25)},
    "exception": 17,
    "critical": 21,
}  # fmt: skip
_PARSED_KEYS = ("timestamp", "level", "trace_id", "span_id", "trace_flags")
_UNTIMED_STEP_NS = 1000  # a microsecond, the resolution of the lake
_INT64 = range(-(2**63), 2**63)


@dataclass
class Clock:
    """What time it was in the log, in unix ns: lines without a time of their own follow.

    A traceback belongs to the line before it. Each of its lines is put a microsecond after the
    one before, so that all keep their order and two equal ones stay two.
    """

    now: int

    def tick(self) -> int:
        """The time of a line that has none."""
        self.now += _UNTIMED_STEP_NS
        return self.now


def first_time(head: bytes) -> int | None:
    """The first time that is told in the beginning of a file (unix ns)."""
    for line in head.split(b"\n"):
        document = _parsed(_text(text_of(line)))
        if document and (time := _unix_nano(document.get("timestamp"))) is not None:
            return time
    return None


def is_broken_json(line: bytes) -> bool:
    """Whether a line begins as a JSON object and is none."""
    return line.startswith(b"{") and _parsed(_text(line)) is None


def request_of(
    line: bytes,
    path: PurePath | None,
    offset: int,
    clock: Clock,
    keep_content_for: Collection[str] = (),
    mapping: AttributeMap = SHIPPED,
) -> bytes:
    """An export request in protobuf with the one record of `line`.

    It was read from byte `offset` of the file at `path`, or of a pipe. Content goes, unless the
    line names a tenant in `keep_content_for`.
    """
    text = _text(line)
    attributes: dict[str, Any] = {"log.file.record_offset": offset}
    if path is not None:
        attributes |= {"log.file.name": path.name, "log.file.path": str(path)}
    body: Any = text
    if document := _parsed(text):
        attributes |= document
        body = attributes.pop("event") if document.get("event") is not None else None
    record = LogRecord()
    _place_in_time(record, attributes.get("timestamp"), clock)
    _set_severity(record, attributes.get("level"))
    _set_trace(record, attributes)
    resource = {key: attributes.pop(key) for key in ("service.name",) if key in attributes}
    for key in _PARSED_KEYS:
        attributes.pop(key, None)
    keep_content = _tenant(attributes, mapping) in keep_content_for
    if not keep_content:
        body = body_of_event(body, attributes.get("event.name"))
    record.attributes.extend(_pairs(redacted(attributes, keep_content=keep_content)))
    if body is not None:
        record.body.CopyFrom(_value(redacted_body(body)))
    return ExportLogsServiceRequest(
        resource_logs=[
            ResourceLogs(
                resource=Resource(attributes=_pairs(redacted(resource))),
                scope_logs=[ScopeLogs(log_records=[record])],
            )
        ]
    ).SerializeToString()


def _tenant(attributes: Mapping[str, Any], mapping: AttributeMap) -> str | None:
    """The tenant that a line names, as it is stored, by the attributes the column is taken from."""
    names = (
        source.attribute
        for source in mapping.placed("tenant_id", "record")
        if not (source.member or source.sender)
    )
    return next(
        (short(sound(str(value))) for name in names if (value := attributes.get(name))), None
    )


def _text(line: bytes) -> str:
    return line.decode("utf-8", errors="replace")


def _parsed(text: str) -> dict[str, Any] | None:
    """The JSON object a line begins with; like Go's decoder, whatever follows it is ignored."""
    if not text.startswith("{"):
        return None
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError:
        try:
            document, _ = _LENIENT.raw_decode(text)
        except (ValueError, RecursionError):
            return None
    return document if isinstance(document, dict) else None


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


_LENIENT = json.JSONDecoder(parse_constant=_no_constant)


def _place_in_time(record: LogRecord, timestamp: object, clock: Clock) -> None:
    if (time := _unix_nano(timestamp)) is None:
        record.observed_time_unix_nano = clock.tick()
        return
    clock.now = record.time_unix_nano = record.observed_time_unix_nano = time


def _unix_nano(timestamp: object) -> int | None:
    """RFC 3339 in unix ns; None for what is not, or before 1970."""
    match = _TIME.fullmatch(timestamp) if isinstance(timestamp, str) else None
    if match is None:
        return None
    seconds, fraction, offset = match.groups()
    try:
        moment = datetime.fromisoformat(seconds + offset.replace("Z", "+00:00")).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    time = int(moment.timestamp()) * 10**9 + int((fraction or "0")[:9].ljust(9, "0"))
    return time if 0 < time < 2**64 else None


def _set_severity(record: LogRecord, level: object) -> None:
    if isinstance(level, float) and level.is_integer():
        level = int(level)
    if isinstance(level, str) or (isinstance(level, int) and not isinstance(level, bool)):
        record.severity_text = sound(str(level))
        record.severity_number = _SEVERITIES.get(str(level).lower(), 0)  # type: ignore[assignment]


def _set_trace(record: LogRecord, attributes: Mapping[str, Any]) -> None:
    """Ids are cut or filled up to their length, and left out when they are not hexadecimal."""
    if attributes.get("trace_id") is None:
        return
    trace_id, span_id, flags = (
        _hex(attributes.get(key)) for key in ("trace_id", "span_id", "trace_flags")
    )
    record.trace_id = trace_id[:16].ljust(16, b"\0") if trace_id else b""
    record.span_id = span_id[:8].ljust(8, b"\0") if span_id else b""
    record.flags = flags[0] if flags else 0


def _hex(value: object) -> bytes:
    text = str(value) if isinstance(value, str | int) else ""
    if not re.fullmatch(r"[0-9a-fA-F]*", text, re.ASCII) or len(text) % 2:
        return b""
    return bytes.fromhex(text)


def _pairs(values: Mapping[str, Any]) -> list[KeyValue]:
    return [KeyValue(key=sound(key), value=_value(value)) for key, value in values.items()]


def _value(value: Any) -> AnyValue:
    match value:
        case str():
            return AnyValue(string_value=sound(value))
        case bool():
            return AnyValue(bool_value=value)
        case int() if value in _INT64:
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case int():  # beyond 64 bits, and text if it is even beyond what a float can say
            try:
                return AnyValue(double_value=float(value))
            except OverflowError:
                return AnyValue(string_value=str(value))
        case list():
            return AnyValue(array_value=ArrayValue(values=map(_value, value)))
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=_pairs(value)))
    return AnyValue()
