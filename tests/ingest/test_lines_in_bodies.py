"""Lines of JSON that come as bodies of log records, where nothing took them apart on the way."""

import json
from typing import Any

import pytest

from tests.ingest.one_row import line, told

SUMMARY = {
    "event": "agent.run", "thread_id": "t", "tenant_id": "acme", "outcome": "error",
    "input_tokens": 82, "duration_ms": 12.5, "trace_id": "0A" * 16, "span_id": "0b" * 8,
}  # fmt: skip


@pytest.mark.parametrize("body", [json.dumps(SUMMARY), SUMMARY], ids=["text", "object"])
def test_a_line_says_what_its_attributes_would(body: Any) -> None:
    """A logger that writes JSON through OpenTelemetry's handler puts the line into the body."""
    row = line("app", {}, body)
    told(row, event_name="agent.run", span_class="agent", thread_id="t", tenant_id="acme",
         outcome="error", input_tokens=82, duration_ms=12.5, trace_id="0a" * 16,
         span_id="0b" * 8)  # fmt: skip


def test_attributes_come_before_the_line() -> None:
    """Whoever set them knew the line."""
    told(line("app", {"thread_id": "own"}, json.dumps(SUMMARY)), thread_id="own", tenant_id="acme")


def test_members_of_members_are_found_as_in_attributes() -> None:
    """JSON in a member is looked into where the mapping says so."""
    body = {"event": "x.y", "metadata": {"tenant_id": "acme"}}
    told(line("app", {}, body), tenant_id="acme")


def test_a_record_that_names_its_event_is_no_line() -> None:
    """Its body is its own, and says nothing of whose it is."""
    told(line("app", {}, json.dumps(SUMMARY), event="gen_ai.choice"), thread_id=None)
    told(line("app", {"event.name": "x.y"}, json.dumps(SUMMARY)), event_name="x.y", thread_id=None)


@pytest.mark.parametrize(
    "body", ['{"event": "agent.run", "thread_id": ', '{"thread_id": "t"}', '["event"]', "{}"]
)
def test_what_is_no_line_is_a_body(body: str) -> None:
    """Cut, without an event, or no object."""
    told(line("app", {}, body), thread_id=None, event_name=None, body=body)
