"""Rows of the lake equal what the official protobuf classes read from the same requests."""

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ingest.decode import decode
from ingest.outcome import MAX_ERROR_MESSAGE
from ingest.rows import log_rows, span_rows
from lake.mapping_file import SHIPPED
from tests.ingest.batches import whole
from tests.ingest.values import RECEIVED, START, at, pairs

DURATIONS_UNKNOWN = {"10xgraph", "logfire.openai"}
FIXTURES = Path(__file__).parents[1] / "fixtures" / "otlp"
MANIFEST = {
    entry["fixture"]: entry
    for entry in json.loads((FIXTURES / "MANIFEST.json").read_text())
    if "tok_llm_only" in entry
}


def rows_of(*requests: ExportTraceServiceRequest) -> pa.Table:
    encoded = [request.SerializeToString() for request in requests]
    table = whole(span_rows(decode("traces", encoded, [RECEIVED] * len(encoded))), "spans")
    table.validate(full=True)
    return table


def one_span(
    *, attributes: Mapping[str, Any] | None = None, resource: Mapping[str, Any] | None = None,
    **fields: Any,
) -> dict[str, Any]:  # fmt: skip
    """The row of one span."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs(resource or {}))
    span = group.scope_spans.add().spans.add(
        **{
            "trace_id": bytes(15) + b"\1", "span_id": bytes(7) + b"\2", "name": "s",
            "start_time_unix_nano": START, "end_time_unix_nano": START + 10**9, **fields,
        }
    )  # fmt: skip
    span.attributes.extend(pairs(attributes or {}))
    [row] = rows_of(request).to_pylist()
    return row


def as_text(value: AnyValue) -> str | None:
    """The documented text of an attribute, computed from the official classes."""
    plain = as_plain(value)
    if plain is None or isinstance(plain, str):
        return plain
    if isinstance(plain, bool):
        return str(plain).lower()
    if isinstance(plain, int):
        return str(plain)
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def as_plain(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [as_plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        pairs_by_key = sorted(value.kvlist_value.values, key=lambda pair: pair.key)
        return {pair.key: as_plain(pair.value) for pair in pairs_by_key}
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    return getattr(value, kind) if kind else None


def same_attributes(found: list[tuple[str, str | None]], sent: Any) -> bool:
    wanted: dict[str, AnyValue] = {}
    for pair in sent:
        wanted.setdefault(pair.key, pair.value)
    return [key for key, _ in found] == list(wanted) and all(
        float(text or "nan") == pytest.approx(value.double_value, nan_ok=True)
        if (value := wanted[key]).WhichOneof("value") == "double_value"
        else text == as_text(value)
        for key, text in found
    )


def spans_in(request: ExportTraceServiceRequest) -> Iterator[tuple[Any, Any, Span]]:
    for group in request.resource_spans:
        for scope in group.scope_spans:
            for span in scope.spans:
                yield group.resource, scope.scope, span


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("spans_*.pb")), ids=lambda path: path.stem)
def test_recorded_spans_arrive_as_sent(path: Path) -> None:
    """Ids, names, times, attributes, events and links of what real libraries sent."""
    request = ExportTraceServiceRequest.FromString(path.read_bytes())
    sent = list(spans_in(request))
    table = rows_of(request)
    for row, (resource, scope, span) in zip(table.to_pylist(), sent, strict=True):
        assert row["trace_id"] == span.trace_id.hex()
        assert row["span_id"] == span.span_id.hex()
        assert row["parent_span_id"] == (span.parent_span_id.hex() or None)
        assert (row["name"], row["scope_name"]) == (span.name, scope.name or None)
        assert row["kind"] == Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_").lower()
        assert (row["start_time"], row["end_time"]) == (
            at(span.start_time_unix_nano), at(span.end_time_unix_nano),
        )  # fmt: skip
        assert row["day"] == row["start_time"].date()
        elapsed = (span.end_time_unix_nano - span.start_time_unix_nano) / 1e6
        if elapsed == 0 and scope.name in DURATIONS_UNKNOWN:
            assert row["duration_ms"] is None
        else:
            assert row["duration_ms"] == pytest.approx(elapsed)
        assert row["status"] == ("unset", "ok", "error")[span.status.code]
        assert same_attributes(row["attributes"], span.attributes)
        assert same_attributes(row["resource_attributes"], resource.attributes)
        for event, told in zip(row["events"], span.events, strict=True):
            assert (event["name"], event["time"]) == (told.name, at(told.time_unix_nano))
            assert same_attributes(event["attributes"], told.attributes)
        assert [link["span_id"] for link in row["links"]] == [k.span_id.hex() for k in span.links]
        assert row["received_at"] == at(RECEIVED)


@pytest.mark.parametrize("name", MANIFEST)
def test_recorded_tokens_are_found_in_every_dialect(name: str) -> None:
    """Model calls of each library carry the tokens that its manifest says were used."""
    path = FIXTURES / f"spans_{name}.pb"
    if not path.exists():
        pytest.fail(f"{path.name} is in the manifest and not in the folder")
    entry = MANIFEST[name]
    rows = rows_of(ExportTraceServiceRequest.FromString(path.read_bytes())).to_pylist()
    assert len(rows) == entry["spans"]
    calls = [row for row in rows if row["span_class"] == "llm"]
    used = sum((row["input_tokens"] or 0) + (row["output_tokens"] or 0) for row in calls)
    assert used == entry["tok_llm_only"]


scalars = st.one_of(
    st.text(max_size=20), st.booleans(), st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False), st.binary(max_size=20), st.none(),
)  # fmt: skip
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
attribute_maps = st.dictionaries(st.text(max_size=20), values, max_size=6)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(attribute_maps, attribute_maps), max_size=4))
def test_any_attributes_survive(spans: list[tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Nested lists and maps, bytes, any unicode, extreme numbers, keys without a value."""
    request = ExportTraceServiceRequest()
    for resource, own in spans:
        group = request.resource_spans.add()
        group.resource.attributes.extend(pairs(resource))
        span = group.scope_spans.add().spans.add(start_time_unix_nano=START)
        span.attributes.extend(pairs(own))
    sent = list(spans_in(request))
    for row, (resource, _, span) in zip(rows_of(request).to_pylist(), sent, strict=True):
        assert same_attributes(row["attributes"], span.attributes)
        assert same_attributes(row["resource_attributes"], resource.attributes)


def test_rows_of_several_requests_keep_to_their_own() -> None:
    """Resources, receipt times and attributes never cross from one request to another."""
    requests = []
    for number in range(3):
        request = ExportTraceServiceRequest()
        group = request.resource_spans.add()
        group.resource.attributes.extend(pairs({"service.name": f"s{number}"}))
        for tenant in range(number):
            span = group.scope_spans.add().spans.add(start_time_unix_nano=START, name=f"{number}")
            span.attributes.extend(pairs({"tenant.id": f"{number}.{tenant}"}))
        requests.append(request.SerializeToString())
    received = [RECEIVED, RECEIVED + 10**9, RECEIVED + 2 * 10**9]
    table = whole(span_rows(decode("traces", requests, received)), "spans")
    assert table.select(["name", "service_name", "tenant_id"]).to_pylist() == [
        {"name": "1", "service_name": "s1", "tenant_id": "1.0"},
        {"name": "2", "service_name": "s2", "tenant_id": "2.0"},
        {"name": "2", "service_name": "s2", "tenant_id": "2.1"},
    ]
    assert [t.timestamp() * 1e9 - RECEIVED for t in table["received_at"].to_pylist()] == [
        1e9,
        2e9,
        2e9,
    ]


@pytest.mark.parametrize("requests", [[], [b""], [b"", b""]])
def test_empty_requests_have_no_rows(requests: list[bytes]) -> None:
    """A sender with nothing to say is no error."""
    received = [RECEIVED] * len(requests)
    assert list(span_rows(decode("traces", requests, received))) == []
    assert list(log_rows(decode("logs", requests, received))) == []


def test_the_first_source_wins() -> None:
    """New convention names come before old ones, the span before its resource, "" is no value."""
    row = one_span(
        attributes={
            "gen_ai.usage.prompt_tokens": 1, "gen_ai.usage.input_tokens": 2, "tenant.id": "",
            "gen_ai.system": "old", "gen_ai.provider.name": "new",
        },
        resource={"tenant.id": "from-resource"},
    )  # fmt: skip
    assert row["input_tokens"] == 2
    assert row["provider"] == "new"
    assert row["tenant_id"] == "from-resource"


@pytest.mark.parametrize(
    ("attribute", "value", "milliseconds"),
    [
        ("agent.ttfb_ms", 12.5, 12.5),
        ("gen_ai.response.time_to_first_chunk", 0.25, 250),
        ("ai.response.msToFirstChunk", 250, 250),
        ("gen_ai.response.time_to_first_chunk", "0.25", 250),
        ("gen_ai.response.time_to_first_chunk", "soon", None),
    ],
)
def test_the_first_token_time_is_in_milliseconds(
    attribute: str, value: Any, milliseconds: float | None
) -> None:
    """The unit is known by the attribute's name, in whatever type the value was sent."""
    assert one_span(attributes={attribute: value})["ttfb_ms"] == milliseconds


def test_the_first_token_event_is_the_first_token_time() -> None:
    """Libraries that only mark tokens by events: the first counts, an attribute is better."""
    events = [
        Span.Event(name="gen_ai.content.completion.chunk", time_unix_nano=START + offset)
        for offset in (250_000_000, 300_000_000)
    ]
    assert one_span(events=events)["ttfb_ms"] == 250
    assert one_span(events=events, attributes={"agent.ttfb_ms": 12})["ttfb_ms"] == 12
    assert one_span(events=[Span.Event(name="other", time_unix_nano=START)])["ttfb_ms"] is None


@pytest.mark.parametrize("name", ["openinference", "traceloop"])
def test_recorded_streams_have_a_first_token_time(name: str) -> None:
    """Where the recorded library marks arriving tokens, the time is the first mark's."""
    path = FIXTURES / f"spans_openai_{name}_stream_tool.pb"
    request = ExportTraceServiceRequest.FromString(path.read_bytes())
    marks = [
        [e.time_unix_nano for e in span.events if e.name in dict(SHIPPED.first_token_events)]
        for _, _, span in spans_in(request)
    ]
    assert any(marks)
    for row, seen, (_, _, span) in zip(
        rows_of(request).to_pylist(), marks, spans_in(request), strict=True
    ):
        wanted = (min(seen) - span.start_time_unix_nano) / 1e6 if seen else None
        assert row["ttfb_ms"] == pytest.approx(wanted)


def test_cached_tokens_are_part_of_the_input() -> None:
    """A source that counts them apart has them added; one that includes them is left alone."""

    def stored(**tokens: int) -> int | None:
        names = {
            "whole": "gen_ai.usage.input_tokens",
            "read": "gen_ai.usage.cache_read.input_tokens",
            "written": "gen_ai.usage.cache_write.input_tokens",
        }
        row = one_span(attributes={names[part]: count for part, count in tokens.items()})
        return row["input_tokens"]  # type: ignore[no-any-return] # read from data

    assert stored(whole=100, read=80) == 100
    assert stored(whole=100, read=60, written=40) == 100
    assert stored(whole=10, read=80, written=20) == 110
    assert stored(whole=100) == 100
    assert stored(read=80) is None


def test_identity_is_found_in_langchain_metadata() -> None:
    """OpenInference sends it as JSON in one attribute; anything else in there harms nothing."""
    metadata = {"tenant_id": "acme", "user_id": 7, "thread_id": "t", "langgraph_node": "plan"}
    row = one_span(attributes={"metadata": json.dumps(metadata)})
    found = {name: row[name] for name in ("tenant_id", "user_id", "thread_id", "node")}
    assert found == {"tenant_id": "acme", "user_id": "7", "thread_id": "t", "node": "plan"}
    assert dict(row["attributes"]) == {"metadata": json.dumps(metadata)}
    stated = one_span(attributes={"metadata": json.dumps(metadata), "tenant.id": "stated"})
    assert stated["tenant_id"] == "stated"
    for odd in ("", "{", "[1]", '{"tenant_id": {"a": 1}}', '{"tenant_id": null}', 5, None):
        assert one_span(attributes={"metadata": odd})["tenant_id"] is None


def test_recorded_langgraph_runs_belong_to_their_tenant() -> None:
    """Every span of a LangGraph run carries the tenant and user its caller named."""
    request = ExportTraceServiceRequest.FromString((FIXTURES / "spans_langgraph.pb").read_bytes())
    for row in rows_of(request).to_pylist():
        assert (row["tenant_id"], row["user_id"]) == ("acme", "u-1")
        assert row["thread_id"] == "thread-lg-1"


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        (7, 7),
        ("7", 7),
        (7.0, 7),
        ("7e2", 700),
        ("many", None),
        (True, None),
        (1e300, None),
        ([7], None),
    ],
)
def test_a_count_is_a_number_or_null(sent: Any, stored: int | None) -> None:
    """What is no number never stops a batch, and stays visible among the attributes."""
    row = one_span(attributes={"gen_ai.usage.input_tokens": sent})
    assert row["input_tokens"] == stored
    assert "gen_ai.usage.input_tokens" in dict(row["attributes"])


@pytest.mark.parametrize(
    ("attributes", "span_class"),
    [
        ({"gen_ai.operation.name": "invoke_agent"}, "agent"),
        ({"gen_ai.operation.name": "chat"}, "llm"),
        ({"openinference.span.kind": "EMBEDDING"}, "llm"),
        ({"gen_ai.operation.name": "execute_tool"}, "tool"),
        ({"traceloop.span.kind": "task"}, "node"),
        ({"agent.node": "plan"}, "node"),
        ({"gen_ai.operation.name": "chat", "agent.node": "plan"}, "llm"),
        ({"http.route": "/"}, "other"),
    ],
)
def test_spans_are_classed_by_their_operation(attributes: dict[str, str], span_class: str) -> None:
    """The operation decides; a span that only names a node is one."""
    assert one_span(attributes=attributes)["span_class"] == span_class


def test_outcomes() -> None:
    """As stated; else a graph's interrupt; else by status; nothing for what is no agent work."""
    chat = {"gen_ai.operation.name": "chat"}
    failed = {"status": {"code": 2, "message": "boom"}}
    interrupted = Span.Event(name="exception")
    interrupted.attributes.extend(pairs({"exception.type": "langgraph.errors.GraphInterrupt"}))
    assert one_span(attributes=chat)["outcome"] == "success"
    assert one_span(attributes=chat, **failed)["outcome"] == "error"
    assert one_span(attributes=chat, **failed, events=[interrupted])["outcome"] == "interrupt"
    assert (
        one_span(attributes=chat | {"agent.outcome": "interrupt"}, **failed)["outcome"]
        == "interrupt"
    )
    assert one_span(attributes=chat | {"outcome": "fine, thanks"}, **failed)["outcome"] == "error"
    assert one_span(**failed)["outcome"] is None
    assert one_span(attributes=chat, **failed)["error_message"] == "boom"


def test_errors_come_from_the_last_exception_event() -> None:
    """error.type wins over the event's class; messages are masked and cut."""
    events = []
    for message in ("first", "key sk-abcdefghijklmnop1234 " + "x" * 600):
        event = Span.Event(name="exception")
        event.attributes.extend(pairs({"exception.type": "E", "exception.message": message}))
        events.append(event)
    row = one_span(events=[*events, Span.Event(name="other")])
    assert row["error_class"] == "E"
    assert row["error_message"].startswith("key [masked] xxx")
    assert len(row["error_message"]) == MAX_ERROR_MESSAGE
    assert one_span(attributes={"error.type": "T"}, events=events)["error_class"] == "T"


def test_a_repeated_key_keeps_its_first_value() -> None:
    """OTLP forbids it, senders do it, and a MAP cannot hold it."""
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for span in (scope.spans.add(start_time_unix_nano=START) for _ in range(2)):
        span.attributes.extend([*pairs({"a": "1", "b": "2"}), *pairs({"a": "3"})])
    for row in rows_of(request).to_pylist():
        assert row["attributes"] == [("a", "1"), ("b", "2")]


def test_times_no_calendar_has_spoil_nothing() -> None:
    """A span of months, a first token of another age, an event after 2262: all are rows."""
    request = ExportTraceServiceRequest()
    spans = request.resource_spans.add().scope_spans.add().spans
    months = spans.add(start_time_unix_nano=START, end_time_unix_nano=START + 2**54)
    months.events.add(name="gen_ai.first_token", time_unix_nano=START + 2**55)
    spans.add(start_time_unix_nano=START).events.add(time_unix_nano=2**64 - 1)
    spans.add(start_time_unix_nano=START).events.add(time_unix_nano=2**63)

    table = whole(span_rows(decode("traces", [request.SerializeToString()], [RECEIVED])), "spans")

    assert table["duration_ms"].to_pylist()[0] == pytest.approx(2**54 / 1e6)
    assert [events[0]["time"] for events in table["events"].to_pylist()[1:]] == [None, None]


def test_what_many_rows_share_is_copied_piece_by_piece() -> None:
    """A long resource stands in every row: they come in pieces, and none is lost or changed."""
    request = ExportTraceServiceRequest()
    for number in range(2):
        group = request.resource_spans.add()
        group.resource.attributes.extend(pairs({"big": f"{number}" * 1_000_000, "tenant.id": "t"}))
        for row in range(150):
            span = group.scope_spans.add().spans.add(name=f"{number}.{row}")
            span.start_time_unix_nano = START
            span.attributes.extend(pairs({"row": f"{row}"}))

    pieces = list(span_rows(decode("traces", [request.SerializeToString()], [RECEIVED])))

    assert len(pieces) > 3
    assert max(piece.nbytes for piece in pieces) < 100 * 2**20
    rows = [row for piece in pieces for row in piece.to_pylist()]
    assert [row["name"] for row in rows] == [f"{n}.{row}" for n in range(2) for row in range(150)]
    for row in rows:
        assert dict(row["attributes"]) == {"row": row["name"].partition(".")[2]}
        assert dict(row["resource_attributes"])["big"][0] == row["name"][0]
        assert row["tenant_id"] == "t"
