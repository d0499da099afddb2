"""From the bytes of a request to records that are fit for the journal."""

import binascii
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import orjson
from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from ingest.journal import digest_of
from ingest.receive.compression import decompress
from ingest.receive.crumbs import refuse_crumbs_in_json, refuse_crumbs_in_protobuf
from ingest.receive.refusal import malformed
from ingest.receive.signals import Signal
from ingest.receive.validate import Verdict


class Format(Enum):
    """The two encodings of OTLP, by their media type."""

    PROTOBUF = "application/x-protobuf"
    JSON = "application/json"


@dataclass(frozen=True)
class Batch:
    """A decoded request: what to journal (protobuf), the digest of what was sent, the verdict."""

    request: bytes
    digest: bytes
    verdict: Verdict


def decode_batch(
    body: bytes,
    signal: Signal,
    form: Format,
    content_encoding: str,
    *,
    limit: int,
    received_unix_nano: int,
) -> Batch:
    """Decompress, parse and check one request; raises Refusal when nothing of it can be kept."""
    plain = decompress(body, content_encoding, limit)
    message = _parse_json(plain, signal) if form is Format.JSON else _parse_protobuf(plain, signal)
    verdict = signal.check(message, received_unix_nano)
    as_sent = form is Format.PROTOBUF and not (verdict.changed or signal.rewritten)
    return Batch(plain if as_sent else message.SerializeToString(), digest_of(plain), verdict)


def _parse_protobuf(body: bytes, signal: Signal) -> Message:
    refuse_crumbs_in_protobuf(body)
    try:
        return signal.request.FromString(body)
    except DecodeError as fault:
        raise malformed(
            f"the body is not a valid {signal.request.DESCRIPTOR.name} in protobuf: {fault}"
        ) from fault


def _parse_json(body: bytes, signal: Signal) -> Message:
    """OTLP's JSON is protobuf's, except that ids are hexadecimal where protobuf has base64."""
    refuse_crumbs_in_json(body)
    try:
        document = orjson.loads(body)
        if not isinstance(document, dict):
            raise malformed("the body must be a JSON object")
        for record in _records(document):
            for field in ("traceId", "spanId", "parentSpanId"):
                if record.get(field) is not None:  # in protobuf's JSON null is no value
                    record[field] = _base64_of_hex(record[field], field)
        return json_format.ParseDict(document, signal.request(), ignore_unknown_fields=True)
    except (orjson.JSONDecodeError, json_format.ParseError) as fault:
        raise malformed(
            f"the body is not a valid {signal.request.DESCRIPTOR.name} in JSON: {fault}"
        ) from fault


def _records(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every JSON object of an export request that carries ids.

    Those are spans, their links, log records, and the exemplars of data points.
    """
    for resource in _objects(document, "resourceSpans"):
        for scope in _objects(resource, "scopeSpans"):
            for span in _objects(scope, "spans"):
                yield span
                yield from _objects(span, "links")
    for resource in _objects(document, "resourceLogs"):
        for scope in _objects(resource, "scopeLogs"):
            yield from _objects(scope, "logRecords")
    for resource in _objects(document, "resourceMetrics"):
        for scope in _objects(resource, "scopeMetrics"):
            for metric in _objects(scope, "metrics"):
                yield from _exemplars(metric)


def _exemplars(metric: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for kind in ("gauge", "sum", "histogram", "exponentialHistogram"):
        if isinstance(data := metric.get(kind), dict):
            for point in _objects(data, "dataPoints"):
                yield from _objects(point, "exemplars")


def _objects(parent: dict[str, Any], field: str) -> Iterator[dict[str, Any]]:
    children = parent.get(field)
    if isinstance(children, list):
        yield from (child for child in children if isinstance(child, dict))


def _base64_of_hex(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise malformed(f"{field} is {value!r}; it must be a string of hexadecimal digits")
    try:
        return b64encode(binascii.unhexlify(value)).decode()
    except ValueError as fault:
        raise malformed(f"{field} {value[:64]!r} is not hexadecimal") from fault
