"""Which format a file has, from its first bytes; names and extensions say nothing."""

import io
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from itertools import chain
from typing import Any, BinaryIO

import orjson

from ingest.backfill.content import HEAD_BYTES, Damage, is_zstd
from ingest.backfill.frames import (
    BYTE_ORDER_MARK,
    Frame,
    delimited,
    prefixed,
    resources,
    text_of,
)
from ingest.backfill.signals import parse


class FileFormat(StrEnum):
    """How telemetry stands in a file. Any of them may be compressed as one zstd stream."""

    otlp_json = "otlp-json"
    """One OTLP request in JSON per line: the collector's file exporter by default."""
    otlp_prefixed = "otlp-prefixed"
    """Messages behind their length in 4 bytes: the file exporter's `format: proto`, and all that
    it compresses. Each is protobuf or JSON, by itself compressed with zstd or not."""
    otlp_proto = "otlp-proto"
    """One OTLP message in protobuf: an export request, or TracesData and the like."""
    otlp_delimited = "otlp-delimited"
    """Protobuf messages behind their length as a varint, protobuf's usual stream."""
    structlog = "structlog"
    """One JSON object per line, as structlog's JSONRenderer writes it."""


_BINARY: dict[FileFormat, Callable[[BinaryIO, int], Iterator[Frame]]] = {
    FileFormat.otlp_prefixed: prefixed,
    FileFormat.otlp_proto: resources,
    FileFormat.otlp_delimited: delimited,
}
_RESOURCES = rb"\x0a[\x80-\xff]{0,4}[\x00-\x7f][\x0a\x12]"  # in each a resource or scope is first
# How a file begins whose first message is longer than the head, or cut off. No two can be meant.
_CUT = {
    FileFormat.otlp_prefixed: rb"[\x00-\x04].{3}(\x28\xb5\x2f\xfd|\{|" + _RESOURCES + rb")",
    FileFormat.otlp_proto: _RESOURCES,
    FileFormat.otlp_delimited: rb"[\x80-\xff]{1,4}[\x01-\x7f]" + _RESOURCES,
}
_STRUCTLOG_KEYS = {"event", "timestamp", "level"}
_LINES_LOOKED_AT = 100


# One JSON value over several lines. No message of protobuf begins like either.
_JSON_ARRAY = re.compile(rb"\s*\[\s*(\{\s*[\"}]|\]\s*$)")
_JSON_OVER_LINES = re.compile(rb"\s*\{[ \t\r]*\n\s*\"resource")


def refuse_json_of_many_lines(head: bytes) -> None:
    """Raise Damage, with the remedy, when the file is one JSON value and not one per line."""
    text = head.removeprefix(BYTE_ORDER_MARK)
    for begin, what, program in (
        (_JSON_ARRAY, "one JSON array", ".[]"),
        (_JSON_OVER_LINES, "JSON that goes over several lines", "."),
    ):
        if begin.match(text):
            remedy = f"put each object on a line: jq -c '{program}' FILE | quietpager import -"
            raise Damage("byte 0", f"{what}; {remedy}")


def recognise(head: bytes) -> FileFormat | None:
    """The format of the file that begins with `head`; None if it is none that is known."""
    if (form := _of_text(head)) is not None:
        return form
    whole = (form for form in _BINARY if _begins_with_message(head, form))
    cut = (form for form, begin in _CUT.items() if re.match(begin, head, re.DOTALL))
    return next(chain(whole, cut), None)


def is_otlp_json(document: object) -> bool:
    """Whether a JSON value is an OTLP request, of whatever signal."""
    return isinstance(document, dict) and any(
        key.startswith("resource") and isinstance(value, list) for key, value in document.items()
    )


def _of_text(head: bytes) -> FileFormat | None:
    for line in head.split(b"\n")[:_LINES_LOOKED_AT]:
        text = text_of(line)
        if not text.startswith(b"{"):
            continue  # the traceback that an application printed before its first line
        document = _json(text)
        if is_otlp_json(document):
            return FileFormat.otlp_json
        if isinstance(document, dict) and _STRUCTLOG_KEYS & document.keys():
            return FileFormat.structlog
        if len(line) == len(head) == HEAD_BYTES:  # a first line longer than that: an OTLP batch
            return FileFormat.otlp_json if b'"resource' in text[:64] else None
    return None


def _json(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _begins_with_message(head: bytes, form: FileFormat) -> bool:
    """Whether the first message that is not empty is all there, and one of OTLP."""
    try:
        body = next((f.body for f in _BINARY[form](io.BytesIO(head), 0) if f.body), b"")
    except Damage:
        return False
    return is_zstd(body) or body.startswith(b"{") or (bool(body) and parse(body) is not None)
