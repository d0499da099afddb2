"""Content does not reach the lake, whatever the dialect and wherever it stands."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from ingest.decode import Signal, decode
from ingest.limits import short
from ingest.privacy.masking import LONGEST_TEXT, masked
from ingest.privacy.names import Sort, sorts_of
from ingest.privacy.rows import Screen
from ingest.privacy.table import CONTENT_DROPPED, content_table
from ingest.segment_rows import ROWS_OF
from lake.mapping import known_attributes
from lake.mapping_file import SHIPPED
from tests.ingest.batches import whole
from tests.ingest.content import (
    CANARY,
    TOKENS,
    names,
    planted_logs,
    planted_metrics,
    planted_spans,
    said,
)
from tests.ingest.test_rows import FIXTURES
from tests.ingest.values import RECEIVED, any_value, pairs

TABLE_OF: Mapping[Signal, str] = {"traces": "spans", "logs": "logs", "metrics": "metrics"}
PLANTED: Mapping[Signal, Any] = {
    "traces": planted_spans,
    "logs": planted_logs,
    "metrics": planted_metrics,
}
SPOKEN = ["Paris", "You are a weather helper", "18C sunny", "It is 18", "Be brief"]
"""What users and models said in the recordings."""


def stored(signal: Signal, request: Any, screen: Screen | None = None) -> pa.Table:
    """The rows as they would be written."""
    body = request if isinstance(request, bytes) else request.SerializeToString()
    screen = screen or Screen()
    parts = map(screen.screened, ROWS_OF[signal](decode(signal, [body], [RECEIVED]), SHIPPED))
    table = whole(parts, TABLE_OF[signal])
    table.validate(full=True)
    return table


def one_span(attributes: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    request = planted_spans(under=())
    span = request.resource_spans[0].scope_spans[0].spans[0]
    span.MergeFrom(Span(**fields))
    span.attributes.extend(pairs(attributes))
    [row] = stored("traces", request).to_pylist()
    return row


def one_log(body: Any, event: str = "") -> dict[str, Any]:
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add(event_name=event)
    record.body.CopyFrom(any_value(body))
    [row] = stored("logs", request).to_pylist()
    return row


@pytest.mark.parametrize("signal", PLANTED)
def test_what_was_said_is_dropped_under_every_name(signal: Signal) -> None:
    """In every dialect, on records, events, points and resources; counts and reasons stay."""
    request = PLANTED[signal]()
    assert CANARY in str(request)
    rows = stored(signal, request).to_pylist()
    assert CANARY not in str(rows)
    for row in rows:
        assert row["service_name"] == "loud"
    if signal == "traces":
        assert (rows[0]["input_tokens"], rows[0]["output_tokens"]) == (131, 17)
        assert rows[0]["finish_reason"] == "stop"
        assert dict(rows[0]["attributes"])["gen_ai.usage.input_tokens"] == "131"


@given(
    signal=st.sampled_from(sorted(PLANTED)),
    under=st.lists(st.sampled_from(names()), unique=True, min_size=1, max_size=8),
    tenant=st.sampled_from(["acme", "globex", None]),
)
def test_only_the_named_tenants_keep_theirs(
    signal: Signal, under: list[str], tenant: str | None
) -> None:
    """Whatever the names: all of it is there for the tenant that is allowed, none for others."""
    rows = stored(signal, PLANTED[signal](tenant, under), Screen({"acme"})).to_pylist()
    for row in rows:
        there = {name for name, value in row["attributes"] if CANARY in (value or "")}
        assert there == (set(under) if tenant == "acme" else set())
        assert (CANARY in str(row)) == (tenant == "acme")


@pytest.mark.parametrize("of", [str, short], ids=["in full", "as it is stored"])
def test_a_tenant_whose_name_is_cut_keeps_theirs(of: Callable[[str], str]) -> None:
    """The configuration may name it either way."""
    name = "t" * 300
    screen = Screen({of(name)})
    [row] = stored("traces", planted_spans(name, under=["prompt"]), screen).to_pylist()
    assert CANARY in dict(row["attributes"])["prompt"]
    [row] = stored("traces", planted_spans(name + "t", under=["prompt"]), screen).to_pylist()
    assert CANARY not in str(row)


def test_what_is_dropped_is_counted_by_service() -> None:
    """Attributes and bodies, by the service that sent them; what is kept is not counted."""
    screen = Screen({"acme"})
    stored("traces", planted_spans("acme"), screen)
    assert not screen.dropped
    stored("traces", planted_spans(under=["prompt", "input.value"]), screen)
    assert screen.dropped == {"loud": 2 * 5}  # on the resource, the span, and three events


def test_what_a_provider_adds_to_its_answer_keeps_its_numbers() -> None:
    """Vercel's and LiteLLM's metadata have usage in them, and what the provider likes to say."""
    told = {"anthropic": {"usage": {"input_tokens": 5, "cached": {}}, "thinking": "said aloud"},
            "said": ["aloud"], "cost": 0.5, "note": "said aloud"}  # fmt: skip
    names = ("ai.response.providerMetadata", "hidden_params", "metadata.requester_metadata")
    row = one_span(dict.fromkeys(names, json.dumps(told)))
    found = dict(row["attributes"])
    for name in names[:2]:
        assert json.loads(found[name]) == {"anthropic": {"usage": {"input_tokens": 5}}, "cost": 0.5}
    assert "aloud" not in str(row)
    assert "aloud" not in str(one_span({"hidden_params": "{'reply': 'said aloud'}"}))
    assert "aloud" not in str(one_span({"llm.output.parsed": "said aloud"}))


@pytest.mark.parametrize("member", ["text", "reply"])
def test_members_of_a_body_that_are_what_was_said_go(member: str) -> None:
    """Of a line of JSON that somebody's own program wrote, whatever else it says stays."""
    body = json.dumps({"event": "answered", "tokens": 9, member: "said aloud"})
    request = ExportLogsServiceRequest()
    record = request.resource_logs.add().scope_logs.add().log_records.add()
    record.body.CopyFrom(any_value(body))
    [row] = stored("logs", request).to_pylist()
    assert json.loads(row["body"]) == {"event": "answered", "tokens": 9}


KEY = "sk-abcdefghijklmnop1234"


@pytest.mark.parametrize(
    ("attribute", "column"),
    [
        ("gen_ai.agent.name", "agent_name"),
        ("gen_ai.request.model", "request_model"),
        ("gen_ai.response.model", "response_model"),
        ("gen_ai.tool.name", "tool_name"),
        ("agent.node", "node"),
        ("agent.feature", "feature"),
    ],
)
def test_secrets_in_names_are_masked(attribute: str, column: str) -> None:
    """Of agents, models, tools and events of spans: whoever makes them up may put a key in."""
    row = one_span({attribute: f"x {KEY}"}, events=[Span.Event(name=f"tick {KEY}")])
    assert row[column] == "x [masked]"
    assert KEY not in str(row)
    assert "tick [masked]" in [event["name"] for event in row["events"]]


def test_a_span_that_is_called_by_what_was_asked_loses_its_name() -> None:
    """CrewAI's tasks, as OpenLLMetry names them; not of a tenant who keeps content."""
    for scope, tenants, name in (
        ("opentelemetry.instrumentation.crewai.instrumentation", (), "task"),
        ("opentelemetry.instrumentation.crewai.instrumentation", ("acme",), "book a room.task"),
        ("another", (), "book a room.task"),
    ):
        request = planted_spans(under=())
        spans = request.resource_spans[0].scope_spans[0]
        spans.scope.name, spans.spans[0].name = scope, "book a room.task"
        spans.spans[0].attributes.extend(pairs({"tenant.id": "acme"}))
        assert stored("traces", request, Screen(tenants))["name"].to_pylist()[0] == name


@pytest.mark.parametrize("path", sorted(FIXTURES.glob("*.pb")), ids=lambda path: path.stem)
def test_recordings_lose_what_was_said_and_no_count(path: Path) -> None:
    """Of what real libraries sent no word is left; every token attribute and column is."""
    signal: Signal = "logs" if path.stem.startswith("logs") else "traces"
    sent = whole(
        ROWS_OF[signal](decode(signal, [path.read_bytes()], [RECEIVED]), SHIPPED), TABLE_OF[signal]
    )
    rows = stored(signal, path.read_bytes())
    text = str(rows.to_pylist())
    assert [word for word in SPOKEN if word in text] == []
    free = {"attributes", "resource_attributes", "events", "body"}
    if path.stem.startswith("spans_crewai_traceloop"):
        free.add("name")
    if path.stem.endswith("interrupt_resume"):
        free |= {"status_message", "error_message"}
    for name in set(rows.column_names) - free:
        assert rows[name] == sent[name]
    for before, after in zip(
        sent["attributes"].to_pylist(), rows["attributes"].to_pylist(), strict=True
    ):
        counts = {(name, value) for name, value in before if "usage" in name or "token" in name}
        counts.discard(("metadata.used_client_oauth_token", ""))  # no count: named like a secret
        assert counts <= set(after)


def test_what_columns_take_from_content_is_taken_first() -> None:
    """Few columns have a source that is dropped; they have its value nevertheless."""
    known = sorted(known_attributes())
    sorts = sorts_of(pa.array(known))
    dropped = [name for name, sort in zip(known, sorts, strict=True) if sort & Sort.CONTENT]
    assert dropped == [
        "embedding.invocation_parameters",
        "gen_ai.completion",
        "gen_ai.completion.0.finish_reason",
        "llm.invocation_parameters",
        "output.value",
        "request_data",
        "response_data",
    ]
    assert not (sorts & Sort.SECRET).any()
    row = one_span({"llm.invocation_parameters": '{"model":"m"}', "openinference.span.kind": "LLM"})
    assert row["request_model"] == "m"
    assert "llm.invocation_parameters" not in dict(row["attributes"])


def test_ids_and_counts_are_left_alone() -> None:
    """Numbers that look like cards, times, costs and ids stay what they are."""
    attributes = {
        "request.id": "4111111111111111", "seen_at": "1732464000000", "cost": 0.4111111111111111,
        "gen_ai.usage.total_tokens": "4111111111111111", "order": "4111111111111112",
        "user.email": "ann@example.org", "gen_ai.request.model": "gpt-5",
    }  # fmt: skip
    told = dict(one_span(attributes)["attributes"])
    assert {name: told[name] for name in attributes} == {
        name: str(value) for name, value in attributes.items()
    }


@pytest.mark.parametrize("name", ["http.request.header.authorization", "x-api-key", "db.password"])
def test_a_value_that_is_a_secret_by_its_name_is_masked_whole(name: str) -> None:
    """Whatever it looks like."""
    assert dict(one_span({name: "plain"})["attributes"])[name] == "[masked]"


def test_a_long_text_is_cut() -> None:
    """And says so; a secret at the cut does not show its beginning."""
    told = dict(one_span({"a": "x" * 20_000, "b": "y" * LONGEST_TEXT})["attributes"])
    assert told["a"] == "x" * LONGEST_TEXT + "… [cut]"
    assert told["b"] == "y" * LONGEST_TEXT
    straddling = "x" * 490 + " sk-abcdefghijklmnop1234"
    row = one_span({}, status={"code": 2, "message": straddling})
    assert "sk-" not in row["error_message"]


def test_of_metadata_only_identity_stays() -> None:
    """The tenant is found, and free text that a framework was given is gone."""
    metadata = {"tenant_id": "acme", "langgraph_step": 2, "note": CANARY, "deep": {"x": CANARY}}
    row = one_span({"metadata": json.dumps(metadata)})
    assert row["tenant_id"] == "acme"
    assert json.loads(dict(row["attributes"])["metadata"]) == {
        "tenant_id": "acme",
        "langgraph_step": 2,
    }
    assert CANARY not in str(one_span({"metadata": CANARY}))


def test_bodies() -> None:
    """Those of content events go whole, unless nothing was said; of others, members go."""
    assert one_log(CANARY, "gen_ai.user.message")["body"] == CONTENT_DROPPED
    silent = {"finish_reason": "stop", "index": 0, "message": {"role": "assistant"}}
    assert json.loads(one_log(silent, "gen_ai.choice")["body"]) == silent
    assert one_log({"a": 1, "deep": [{"messages": CANARY, "b": 2}]})["body"] == (
        '{"a":1,"deep":[{"b":2}]}'
    )
    assert one_log('{"prompt": "' + CANARY)["body"] == CONTENT_DROPPED
    assert one_log("the prompt: fine")["body"] == "the prompt: fine"


def test_the_same_record_is_the_same_whoever_keeps_it() -> None:
    """A log record's identity is that of what was sent."""
    ids = [
        stored("logs", planted_logs("acme"), Screen(kept))["log_id"].to_pylist()
        for kept in ((), {"acme"})
    ]
    assert ids[0] == ids[1]


@given(st.text())
def test_masking_is_done_once(text: str) -> None:
    """What is masked has no secret left."""
    once = masked(pa.array([text]))
    assert masked(once).to_pylist() == once.to_pylist()


def test_the_table_has_no_name_twice() -> None:
    """A name belongs to one dialect."""
    every = [name for dialect in content_table().dialects for name in dialect.names]
    assert sorted(every) == sorted(set(every))
    assert len(said()) == len(names())
    assert TOKENS.keys().isdisjoint(said())


@pytest.mark.parametrize(
    "value",
    [
        {"prompt": CANARY, "turn": 2},
        {"request": {"messages": [{"role": "user", "content": CANARY}]}, "turn": 2},
        json.dumps({"messages": [{"content": CANARY}], "turn": 2}),
        json.dumps({"body": json.dumps({"messages": [{"content": CANARY}]}), "turn": 2}),
        '{"pr\\u006fmpt": "' + CANARY + '", "turn": 2}',
        '{"turn": 2, "messages": [{"content": "' + CANARY,
    ],
)
def test_content_inside_of_attributes_is_dropped(value: Any) -> None:
    """Maps, JSON, JSON within JSON; one that breaks off goes whole."""
    left = dict(one_span({"custom": value})["attributes"])["custom"]
    assert CANARY not in left
    assert ('"turn":2' in left) == (left != CONTENT_DROPPED)


@pytest.mark.parametrize(
    "text",
    [
        '{"input": 120, "output": 30, "input_cached": 5}',  # Langfuse's usage_details
        '["stop"]',
        "[12:00] caf\\u00e9 {",
        '{"name": "caf\\u00e9"}',
    ],
)
def test_counts_and_other_text_inside_of_attributes_stay(text: str) -> None:
    """As they were sent: what has no content is not written anew."""
    assert dict(one_span({"custom": text})["attributes"])["custom"] == text


def test_the_message_of_a_content_event_is_content() -> None:
    """Strands Agents puts the answer there; elsewhere it is what a line says."""
    events = [
        Span.Event(name=name, attributes=pairs({"message": text, "finish_reason": "end_turn"}))
        for name, text in (("gen_ai.choice", CANARY), ("retry", "again in 2 s"))
    ]
    row = one_span({}, events=events)
    *_, choice, retry = row["events"]
    assert dict(choice["attributes"]) == {"finish_reason": "end_turn"}
    assert dict(retry["attributes"])["message"] == "again in 2 s"


def test_the_answer_of_claude_code_is_content() -> None:
    """Its event of an answer has it as `response`; elsewhere that may be anything."""
    events = [
        Span.Event(name=name, attributes=pairs({"response": text, "response_length": 23}))
        for name, text in (("claude_code.assistant_response", CANARY), ("retry", "503"))
    ]
    *_, answer, retry = one_span({}, events=events)["events"]
    assert dict(answer["attributes"]) == {"response_length": "23"}
    assert dict(retry["attributes"])["response"] == "503"
