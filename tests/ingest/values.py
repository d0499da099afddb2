"""Values and times of the tests that compare rows with what was sent."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue

RECEIVED = 1_795_000_000_000_000_000
START = 1_794_000_000_000_000_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def pairs(attributes: Mapping[str, Any]) -> Iterator[KeyValue]:
    for key, value in attributes.items():
        yield KeyValue(key=key, value=any_value(value))


def any_value(value: Any) -> AnyValue:
    match value:
        case AnyValue():
            return value
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            made = AnyValue()
            made.array_value.values.extend(map(any_value, value))
            return made
        case dict():
            made = AnyValue()
            made.kvlist_value.values.extend(pairs(value))
            return made
        case None:
            return AnyValue()
    return AnyValue(string_value=value)


def at(nanoseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=nanoseconds // 1000)
