"""Log records become rows of the lake: named, classed, placed in time, and known again."""

from collections.abc import Mapping
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from ingest.decode import decode
from ingest.receive.validate import check_logs
from ingest.rows import log_rows
from tests.ingest.batches import whole
from tests.ingest.one_row import line, told
from tests.ingest.values import RECEIVED, START, any_value, at, pairs


def log_row(resource: Mapping[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    request = ExportLogsServiceRequest()
    group = request.resource_logs.add()
    group.resource.attributes.extend(pairs(resource or {}))
    record = group.scope_logs.add().log_records.add()
    record.attributes.extend(pairs(fields.pop("attributes", {})))
    record.body.CopyFrom(any_value(fields.pop("body", None)))
    for name, value in fields.items():
        setattr(record, name, value)
    table = whole(log_rows(decode("logs", [request.SerializeToString()], [RECEIVED])), "logs")
    table.validate(full=True)
    [row] = table.to_pylist()
    return row


@pytest.mark.parametrize("version", [{}, {"schema_version": 1}, {"schema_version": 2}])
def test_a_summary_line_becomes_a_row(version: dict[str, int]) -> None:
    """A structlog line as the collector sends it: event as body, fields as attributes; also one of
    an agent that says no version of its lines, as earlier ones, or a later one."""
    row = log_row(
        body="agent.run", time_unix_nano=START, severity_text="INFO", severity_number=9,
        attributes={
            "thread_id": "t", "tenant_id": "acme", "prompt_tokens": 10, "ttfb_ms": 12.5,
            "tool_calls": 2, "outcome": "success", "model": "m", **version,
        },
    )  # fmt: skip
    assert (row["event_name"], row["span_class"]) == ("agent.run", "agent")
    assert (row["tenant_id"], row["input_tokens"], row["ttfb_ms"]) == ("acme", 10, 12.5)
    assert (row["tool_calls"], row["outcome"], row["request_model"]) == (2, "success", "m")
    assert (row["severity"], row["severity_number"], row["time"]) == ("info", 9, at(START))


def test_an_event_is_named_once() -> None:
    """OTLP's event name, else the attribute, else a body that is a dotted name; prose is none."""
    assert log_row(event_name="a.b", body="c.d")["event_name"] == "a.b"
    assert log_row(attributes={"event.name": "a.b"}, body="c.d")["event_name"] == "a.b"
    assert log_row(body="c.d")["event_name"] == "c.d"
    assert log_row(body="something happened.")["event_name"] is None
    assert log_row(body={"a": [1]})["body"] == '{"a":[1]}'


def test_a_log_without_a_time_happened_when_it_was_seen() -> None:
    """Observed time, else the time of receipt; every row has a day."""
    assert log_row(observed_time_unix_nano=START)["time"] == at(START)
    assert log_row()["time"] == at(RECEIVED)
    assert log_row()["day"] == at(RECEIVED).date()


def test_a_log_is_identified_by_content_and_origin() -> None:
    """Reading a line again later is the same record; another file, time or value is not."""
    line = {"body": "x", "time_unix_nano": START, "attributes": {"a": 1}}
    origin = {"log.file.path": "/a"}
    same = log_row(origin, **line)["log_id"]
    assert log_row(origin, **line, observed_time_unix_nano=RECEIVED)["log_id"] == same
    others = [
        log_row({"log.file.path": "/b"}, **line),
        log_row(origin, **line | {"time_unix_nano": START + 1000}),
        log_row(origin, **line | {"attributes": {"a": 2}}),
        log_row(origin, **line | {"body": "y"}),
        log_row(origin, **line, trace_id=bytes(15) + b"\1"),
    ]
    assert len({same, *(row["log_id"] for row in others)}) == len(others) + 1


def test_a_log_without_a_time_is_the_same_when_it_is_received_again() -> None:
    """The receiver's stamp tells no two of a day apart; a time that the sender gave does."""

    def ids(received: int, *observed: int) -> list[str]:
        request = ExportLogsServiceRequest()
        records = request.resource_logs.add().scope_logs.add().log_records
        for at_nano in observed:
            records.add(observed_time_unix_nano=at_nano).body.string_value = "x"
        check_logs(request, received)
        decoded = decode("logs", [request.SerializeToString()], [received])
        return whole(log_rows(decoded), "logs")["log_id"].to_pylist()  # type: ignore[no-any-return] # pyarrow has no types

    [first] = ids(START, 0)
    again, other = ids(START + 5_000_000_000, 0, START)
    assert again == first
    assert other != first
    assert ids(START + 24 * 60 * 60 * 10**9, 0) != [first], "a day later it is another one"


def test_the_order_of_attributes_is_not_part_of_a_log_record() -> None:
    """A collector sends the attributes of the same line in any order: it is the same record."""
    origin = {"service.name": "a", "host.name": "b"}
    values = {"n": 1, "m": {"x": "1", "y": [1]}, "k": "v"}
    turned = {"k": "v", "m": {"y": [1], "x": "1"}, "n": 1}
    backwards = dict(reversed(origin.items()))
    same = log_row(origin, attributes=values)["log_id"]
    assert log_row(backwards, attributes=turned)["log_id"] == same
    swapped = {"n": "v", "m": turned["m"], "k": 1}
    assert log_row(origin, attributes=swapped)["log_id"] != same


def test_the_lines_of_calls_are_classed() -> None:
    """By event name, by the full name in the body, or by operation; prose about a node is other."""
    assert log_row(body="agent.cost", attributes={"node": "plan"})["span_class"] == "llm"
    assert log_row(body="agent.tool")["span_class"] == "tool"
    claude = log_row(body="claude_code.api_request", attributes={"event.name": "api_request"})
    assert (claude["span_class"], claude["event_name"]) == ("llm", "claude_code.api_request")
    assert log_row(attributes={"gen_ai.operation.name": "chat"})["span_class"] == "llm"
    assert log_row(body="thinking", attributes={"node": "plan"})["span_class"] == "other"


def test_how_a_call_ended_is_taken_from_what_its_line_says() -> None:
    """The stated outcome, else success or not, else whether an error is named."""

    def ending(body: str, **attributes: Any) -> tuple[str | None, str | None]:
        row = log_row(body=body, attributes=attributes)
        return row["outcome"], row["error_message"]

    result, failure = "claude_code.tool_result", "claude_code.api_error"
    assert ending(result, success="true") == ("success", None)
    assert ending(result, success="false", error="exit 1") == ("error", "exit 1")
    assert ending(failure, error="Overloaded") == ("error", "Overloaded")
    assert ending(failure, outcome="success", error="late") == ("success", "late")
    assert ending("agent.cost") == ("success", None)
    assert ending("some.event", success="false", error="what was said") == (None, None)


def test_a_choice_tells_the_finish_reason_in_its_body() -> None:
    """OpenTelemetry up to 1.36: `error` of a stream that was cut; no other body is looked into."""
    cut = {"index": 0, "finish_reason": "error", "message": {"role": "assistant"}}
    told(line("openai_v2", {}, cut, event="gen_ai.choice"), finish_reason="error",
         outcome="error", outcome_reason="incomplete")  # fmt: skip
    said = {"message": {"content": '{"finish_reason":"error"}'}, "finish_reason": "stop"}
    told(line("openai_v2", {}, said, event="gen_ai.choice"), finish_reason="stop", outcome=None)
    told(line("openai_v2", {}, cut, event="gen_ai.user.message"), finish_reason=None, outcome=None)


def test_a_record_of_what_was_raised_says_how_its_span_ended() -> None:
    """OpenTelemetry sends such in place of events of spans."""
    for event in ("exception", "gen_ai.client.operation.exception"):
        raised = {"exception.type": "openai.RateLimitError", "exception.message": "slow down"}
        told(line("openai", raised, event=event), span_class="other", outcome="error",
             outcome_reason="provider", error_class="openai.RateLimitError",
             error_message="slow down")  # fmt: skip
    for raised, outcome, reason in (
        ("langgraph.errors.GraphInterrupt", "interrupt", "human"),
        ("asyncio.exceptions.CancelledError", "interrupt", "client_disconnect"),
        ("langgraph.errors.ParentCommand", "success", None),
    ):
        row = line("x", {"exception.type": raised}, event="exception")
        told(row, outcome=outcome, outcome_reason=reason, error_class=raised)
    told(line("x", {}, event="exception"), outcome=None)
    told(line("x", {"exception.type": "KeyError"}, event="retrying"), outcome=None)
