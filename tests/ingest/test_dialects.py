"""What each dialect says, and the row it becomes: one record as its library sends it, one row."""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest.decode import decode
from ingest.rows import log_rows, span_rows
from tests.ingest.batches import whole
from tests.ingest.values import RECEIVED, START, any_value, at, pairs

CLAUDE = "com.anthropic.claude_code"
Row = dict[str, Any]


def span(
    scope: str, attributes: Mapping[str, Any], *, name: str = "s", events: Any = (),
    resource: Mapping[str, Any] | None = None, seconds: float = 1.0, **fields: Any,
) -> Row:  # fmt: skip
    """The row of one span of a library."""
    request = ExportTraceServiceRequest()
    group = request.resource_spans.add()
    group.resource.attributes.extend(pairs(resource or {}))
    under = group.scope_spans.add()
    under.scope.name = scope
    sent = under.spans.add(
        trace_id=bytes(15) + b"\1", span_id=bytes(7) + b"\2", name=name,
        start_time_unix_nano=START, end_time_unix_nano=START + int(seconds * 1e9), **fields,
    )  # fmt: skip
    sent.attributes.extend(pairs(attributes))
    for event, said in events:
        sent.events.add(name=event, time_unix_nano=START + 10**8).attributes.extend(pairs(said))
    table = whole(span_rows(decode("traces", [request.SerializeToString()], [RECEIVED])), "spans")
    table.validate(full=True)
    [row] = table.to_pylist()
    return row  # type: ignore[no-any-return]


def line(scope: str, attributes: Mapping[str, Any], body: str = "", event: str = "") -> Row:
    """The row of one log record of a library."""
    request = ExportLogsServiceRequest()
    under = request.resource_logs.add().scope_logs.add()
    under.scope.name = scope
    record = under.log_records.add(time_unix_nano=START, event_name=event)
    record.body.CopyFrom(any_value(body))
    record.attributes.extend(pairs(attributes))
    table = whole(log_rows(decode("logs", [request.SerializeToString()], [RECEIVED])), "logs")
    table.validate(full=True)
    [row] = table.to_pylist()
    return row  # type: ignore[no-any-return]


def told(row: Row, **wanted: Any) -> None:
    """The row says exactly this of these columns."""
    assert {name: row[name] for name in wanted} == wanted


FAILED = {"status": {"code": 2, "message": "boom"}}
EXCEPTION = "exception"


@pytest.mark.parametrize(
    ("attribute", "value", "span_class"),
    [
        *(("gen_ai.operation.name", op, "llm") for op in (
            "chat", "text_completion", "generate_content", "embeddings", "fetch_response")),
        *(("gen_ai.operation.name", op, "agent") for op in ("invoke_agent", "invoke_workflow")),
        *(("gen_ai.operation.name", op, "node") for op in (
            "plan", "retrieval", "search_memory", "upsert_memory", "create_memory_store",
            "execute_task", "agent_step", "node")),
        ("gen_ai.operation.name", "execute_tool", "tool"),
        ("gen_ai.operation.name", "tool_call", "tool"),
        ("gen_ai.operation.name", "graph", "agent"),
        ("gen_ai.operation.name", "create_agent", "other"),
        *(("openinference.span.kind", kind, "node") for kind in (
            "CHAIN", "RETRIEVER", "RERANKER", "GUARDRAIL", "EVALUATOR", "PROMPT")),
        ("openinference.span.kind", "AGENT", "agent"),
        ("openinference.span.kind", "LLM", "llm"),
        ("openinference.span.kind", "TOOL", "tool"),
        ("openinference.span.kind", "UNKNOWN", "other"),
        ("traceloop.span.kind", "workflow", "agent"),
        ("traceloop.span.kind", "agent", "agent"),
        ("traceloop.span.kind", "tool", "tool"),
        ("traceloop.span.kind", "unknown", "other"),
        ("llm.request.type", "completion", "llm"),
        ("llm.request.type", "rerank", "node"),
        ("llm.request.type", "acompletion", "llm"),
        ("ai.operationId", "ai.streamText", "agent"),
        ("ai.operationId", "ai.streamText.doStream", "llm"),
        ("ai.operationId", "ai.embedMany", "node"),
        ("ai.operationId", "ai.embedMany.doEmbed", "llm"),
        ("ai.operationId", "ai.toolCall", "tool"),
        ("langsmith.span.kind", "llm", "llm"),
        ("langsmith.span.kind", "chain", "node"),
        ("langfuse.observation.type", "generation", "llm"),
        ("langfuse.observation.type", "agent", "agent"),
        ("langfuse.observation.type", "span", "other"),
    ],
)  # fmt: skip
def test_what_a_span_is(attribute: str, value: str, span_class: str) -> None:
    """Every operation of every dialect has its class; what nobody knows is other."""
    assert span("x", {attribute: value})["span_class"] == span_class


def test_langsmith_knows_better_than_the_operation_it_sends() -> None:
    """Its exporter calls a retriever `embeddings` and a prompt template `chat`."""
    for kind, operation in (("retriever", "embeddings"), ("prompt", "chat")):
        row = span("langsmith", {"langsmith.span.kind": kind, "gen_ai.operation.name": operation})
        assert row["span_class"] == "node"


def test_everyday_names_of_spans_decide_nothing() -> None:
    """Only a library's own dotted name does, where there is no operation."""
    assert span("x", {}, name="chat")["span_class"] == "other"
    assert span("x", {}, name="ai.toolCall")["span_class"] == "tool"


def test_openai_v2_latest() -> None:
    """OpenTelemetry's own instrumentation with the new names: seconds, a list of reasons."""
    row = span(
        "opentelemetry.util.genai.handler",
        {
            "gen_ai.operation.name": "chat", "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "gpt-4o-mini", "gen_ai.response.model": "gpt-4o-mini-2024",
            "gen_ai.response.id": "r", "gen_ai.response.finish_reasons": ["stop", "length"],
            "gen_ai.usage.input_tokens": 131, "gen_ai.usage.output_tokens": 9,
            "gen_ai.usage.cache_read.input_tokens": 64, "gen_ai.request.stream": True,
            "gen_ai.response.time_to_first_chunk": 0.25, "gen_ai.conversation.id": "t",
            "gen_ai.usage.cache_write.input_tokens": 3, "gen_ai.usage.reasoning.output_tokens": 2,
        },
    )  # fmt: skip
    told(row, span_class="llm", provider="openai", finish_reason="stop", input_tokens=131,
         cache_read_tokens=64, cache_write_tokens=3, reasoning_tokens=2, ttfb_ms=250,
         streaming=True, thread_id="t", response_id="r", outcome="success",
         outcome_reason=None)  # fmt: skip


def test_a_stream_of_openai_v2_is_not_taken_for_cut() -> None:
    """Its streamed spans never have a finish reason; without usage nothing can be concluded."""
    for scope in ("opentelemetry.instrumentation.openai_v2", "opentelemetry.util.genai.handler"):
        row = span(scope, {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"})
        told(row, outcome="success", outcome_reason=None)


CALL_OF = {
    "openinference.instrumentation.openai": {"openinference.span.kind": "LLM"},
    "opentelemetry.instrumentation.openai.v1": {"gen_ai.operation.name": "chat"},
    "pydantic-ai": {"gen_ai.operation.name": "chat"},
    "opentelemetry.instrumentation.genai.openai": {"gen_ai.operation.name": "chat"},
    "com.anthropic.sdk.python": {"gen_ai.operation.name": "chat"},
}


# They report a connection that broke as an error: what ends without one, its caller ended.
LEFT = dict.fromkeys(
    ("pydantic-ai", "opentelemetry.instrumentation.genai.openai", "com.anthropic.sdk.python"),
    "interrupt",
)


@pytest.mark.parametrize("scope", CALL_OF)
def test_a_call_with_neither_usage_nor_finish_reason_was_cut(scope: str) -> None:
    """Where the library tells them of every whole response; and never is a failure renamed."""
    call = CALL_OF[scope]
    silent = span(scope, call, name="ChatCompletion")
    told(silent, outcome=LEFT.get(scope, "error"), outcome_reason="incomplete")
    for whole_one in (
        {"gen_ai.response.finish_reasons": ["stop"]},
        {"gen_ai.usage.output_tokens": 1},
    ):
        told(span(scope, call | whole_one, name="ChatCompletion"), outcome="success")
    failed = span(scope, call | {"error.type": "RateLimitError"}, name="ChatCompletion", **FAILED)
    told(failed, outcome="error", outcome_reason="provider")


def test_responses_of_openinference_tell_no_finish_reason() -> None:
    """Its spans of the Responses API never do, so nothing is concluded."""
    row = span("openinference.instrumentation.openai", {"openinference.span.kind": "LLM"},
               name="Response")  # fmt: skip
    told(row, outcome="success", outcome_reason=None)


@pytest.mark.parametrize(
    ("error", "outcome", "reason"),
    [
        ("langgraph.errors.GraphInterrupt", "interrupt", "human"),
        ("NodeInterrupt", "interrupt", "human"),
        ("asyncio.exceptions.CancelledError", "interrupt", "client_disconnect"),
        ("GeneratorExit", "interrupt", "client_disconnect"),
        ("langgraph.errors.GraphRecursionError", "error", "recursion_limit"),
        ("openai.APITimeoutError", "error", "timeout"),
        ("TimeoutError", "error", "timeout"),
        ("anthropic.RateLimitError", "error", "provider"),
        ("500", "error", "provider"),
        ("ValueError", "error", None),
    ],
)
def test_the_error_says_why_it_ended(error: str, outcome: str, reason: str | None) -> None:
    """By its class, wherever that stands: on the span or on its exception event."""
    node = {"gen_ai.operation.name": "execute_task"}
    on_event = [(EXCEPTION, {"exception.type": error, "exception.message": "m"})]
    told(span("x", node | {"error.type": error}, **FAILED), outcome=outcome, outcome_reason=reason)
    told(span("x", node, events=on_event, **FAILED), outcome=outcome, outcome_reason=reason,
         error_class=error, error_message="m")  # fmt: skip


def test_an_interrupt_is_one_whatever_the_status() -> None:
    """OpenInference says OK, OpenLLMetry ERROR, LangSmith ERROR and a text."""
    asked = [(EXCEPTION, {"exception.type": "GraphInterrupt", "exception.message": "(Interrupt()"})]
    chain = {"openinference.span.kind": "CHAIN"}
    told(span("openinference.instrumentation.langchain", chain, events=asked,
              status={"code": 1}), outcome="interrupt", outcome_reason="human")  # fmt: skip
    task = {"gen_ai.operation.name": "execute_task", "gen_ai.task.status": "failure"}
    told(span("opentelemetry.instrumentation.langchain", task, events=asked, **FAILED),
         outcome="interrupt", outcome_reason="human")  # fmt: skip
    printed = {"exception.type": "Exception", "exception.message": "GraphInterrupt((Interrupt(…"}
    told(span("langsmith", {"langsmith.span.kind": "chain"}, events=[(EXCEPTION, printed)],
              **FAILED), outcome="interrupt", error_class="GraphInterrupt")  # fmt: skip


def test_a_finish_reason_that_means_a_cut() -> None:
    """OpenTelemetry: a stream cut short reports `error`; a length reached is no failure."""
    chat = {"gen_ai.operation.name": "chat"}
    cut = span("x", chat | {"gen_ai.response.finish_reasons": ["error"]})
    told(cut, outcome="error", outcome_reason="incomplete")
    told(span("x", chat | {"gen_ai.response.finish_reasons": ["length"]}), outcome="success")


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("gen_ai.response.time_to_first_chunk", 0),
        ("gen_ai.response.time_to_first_chunk", -0.2),
        ("ai.response.msToFirstChunk", 86_400_001),
        ("ai.response.msToFirstChunk", "NaN"),
    ],
)
def test_a_first_token_that_cannot_be_is_unknown(attribute: str, value: Any) -> None:
    """0 says that nobody measured; it would make the percentile look better than it is."""
    assert span("x", {attribute: value})["ttfb_ms"] is None


def test_langgraph_by_traceloop() -> None:
    """Identity in association properties, the node in the task's name, the model call below."""
    node = span(
        "opentelemetry.instrumentation.langchain",
        {
            "gen_ai.operation.name": "execute_task", "gen_ai.task.name": "plan",
            "gen_ai.task.status": "success", "traceloop.workflow.name": "LangGraph",
            "traceloop.association.properties.thread_id": "t",
            "traceloop.association.properties.user_id": "u",
            "traceloop.association.properties.tenant_id": "acme",
            "traceloop.association.properties.langgraph_node": "other",
        },
    )  # fmt: skip
    told(node, span_class="node", node="plan", thread_id="t", user_id="u", tenant_id="acme",
         agent_name="LangGraph", outcome="success")  # fmt: skip
    tool = span("opentelemetry.instrumentation.langchain",
                {"traceloop.span.kind": "tool", "traceloop.entity.name": "search"})  # fmt: skip
    told(tool, span_class="tool", tool_name="search")
    root = span("opentelemetry.instrumentation.langchain",
                {"gen_ai.operation.name": "invoke_agent", "gen_ai.provider.name": "langgraph",
                 "traceloop.association.properties.ls_provider": "openai"})  # fmt: skip
    told(root, span_class="agent", provider="openai")


def test_openai_agents_by_openinference() -> None:
    """An agent is a node of its graph by name; its session is the user's."""
    agent = span("openinference.instrumentation.openai_agents",
                 {"openinference.span.kind": "AGENT", "graph.node.id": "Triage",
                  "session.id": "t"}, name="Triage")  # fmt: skip
    told(agent, span_class="agent", agent_name="Triage", thread_id="t")
    call = span("openinference.instrumentation.openai_agents",
                {"openinference.span.kind": "LLM", "llm.system": "openai",
                 "llm.model_name": "gpt-4o-mini"}, name="response")  # fmt: skip
    told(call, outcome="success", request_model="gpt-4o-mini", response_model="gpt-4o-mini")


def test_a_failed_call_of_openinference_names_its_model() -> None:
    """Only its parameters do, which are JSON; they also say whether it was streamed."""
    row = span("openinference.instrumentation.openai",
               {"openinference.span.kind": "LLM", "llm.invocation_parameters":
                json.dumps({"model": "gpt-4o-mini", "stream": True})}, **FAILED)  # fmt: skip
    told(row, request_model="gpt-4o-mini", response_model=None, streaming=True, outcome="error")


def test_pydantic_ai() -> None:
    """Roll-ups of an agent are no usage of its own; a failed try has its number."""
    agent = span("pydantic-ai",
                 {"gen_ai.operation.name": "invoke_agent", "model_name": "m", "agent_name": "a",
                  "gen_ai.aggregated_usage.input_tokens": 213}, name="invoke_agent a")  # fmt: skip
    told(agent, span_class="agent", agent_name="a", request_model="m", input_tokens=None)
    attempt = span("pydantic-ai", {"pydantic_ai.model_request.attempt": 2, "gen_ai.request.model":
                   "m", "error.type": "ModelHTTPError"}, **FAILED)  # fmt: skip
    told(attempt, attempt=3, span_class="llm", error_class="ModelHTTPError")
    call = span("pydantic-ai",
                {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 131,
                 "gen_ai.usage.details.cache_read_tokens": 64, "operation.cost": 2.025e-05,
                 "gen_ai.client.operation.time_to_first_chunk": 0.07})  # fmt: skip
    told(call, cache_read_tokens=64, reported_cost_usd=2.025e-05, streaming=True)
    assert call["ttfb_ms"] == pytest.approx(70)


def test_pydantic_ai_before_it_named_operations() -> None:
    """Most versions 1 name it of model calls only; tools tell their call, agents their model."""
    tool = {"gen_ai.tool.name": "search", "gen_ai.tool.call.id": "c"}
    for name in ("running tool", "execute_tool search"):
        row = span("pydantic-ai", tool, name=name, **FAILED)
        told(row, span_class="tool", tool_name="search", tool_call_id="c", outcome="error")
    told(span("pydantic-ai", {"tools": ["search"]}, name="running 1 tool"), span_class="other")
    told(span("acme", tool, name="running tool"), span_class="other")
    agent = {"model_name": "m", "agent_name": "a", "gen_ai.usage.input_tokens": 213}
    told(span("pydantic-ai", agent, name="agent run"), span_class="agent", agent_name="a")


@pytest.mark.parametrize(
    ("scope", "whole_input"),
    [
        ("opentelemetry.instrumentation.anthropic", 120),
        ("opentelemetry.instrumentation.bedrock", 220),
        ("x", 120),
    ],
)
def test_cached_tokens_by_who_counts_them(scope: str, whole_input: int) -> None:
    """OpenLLMetry adds Anthropic's up itself and passes Bedrock's on as they come."""
    row = span(scope, {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 120,
                       "gen_ai.usage.cache_read.input_tokens": 80,
                       "gen_ai.usage.cache_creation.input_tokens": 20})  # fmt: skip
    told(row, input_tokens=whole_input, cache_read_tokens=80, cache_write_tokens=20)


def test_openinference_of_bedrock_counts_apart_what_converse_counts_apart() -> None:
    """And only there: of Anthropic's own API it adds them."""
    counts = {"openinference.span.kind": "LLM", "llm.token_count.prompt": 100,
              "llm.token_count.prompt_details.cache_read": 30}  # fmt: skip
    scope = "openinference.instrumentation.bedrock"
    told(span(scope, counts, name="bedrock.converse"), input_tokens=130)
    told(span(scope, counts, name="bedrock.invoke_model"), input_tokens=100)


def test_vercel() -> None:
    """Its own names, of versions 4 to 6; Anthropic's raw counts, where the SDK's differ."""
    raw = {"anthropic": {"usage": {"input_tokens": 7, "cache_creation_input_tokens": 20,
                                   "cache_read_input_tokens": 80}}}  # fmt: skip
    row = span(
        "ai",
        {
            "ai.operationId": "ai.streamText.doStream", "ai.model.provider": "anthropic.messages",
            "ai.model.id": "claude", "ai.response.model": "claude-1", "ai.response.id": "r",
            "ai.response.finishReason": "stop", "ai.response.msToFirstChunk": 120.5,
            "ai.usage.inputTokens": 107, "ai.usage.outputTokens": 5,
            "ai.usage.cachedInputTokens": 80, "ai.usage.reasoningTokens": 2,
            "gen_ai.usage.input_tokens": 107, "ai.response.providerMetadata": json.dumps(raw),
            "ai.telemetry.metadata.userId": "u", "ai.telemetry.metadata.sessionId": "t",
            "ai.telemetry.metadata.tenantId": "acme", "ai.telemetry.functionId": "support",
        },
    )  # fmt: skip
    told(row, span_class="llm", provider="anthropic", request_model="claude",
         response_model="claude-1", response_id="r", finish_reason="stop", ttfb_ms=120.5,
         input_tokens=107, output_tokens=5, cache_read_tokens=80, cache_write_tokens=20,
         reasoning_tokens=2, user_id="u", thread_id="t", tenant_id="acme", agent_name="support",
         streaming=True)  # fmt: skip
    tool = span("ai", {"ai.operationId": "ai.toolCall", "ai.toolCall.name": "search",
                       "ai.toolCall.id": "c"})  # fmt: skip
    told(tool, span_class="tool", tool_name="search", tool_call_id="c")


def test_vercel_up_to_four_counts_anthropics_cached_tokens_apart() -> None:
    """It tells both parts of them; later versions tell Anthropic's raw counts as well."""
    told_by = {"anthropic": {"cacheCreationInputTokens": 20, "cacheReadInputTokens": 30}}
    for name in ("gen_ai.usage.input_tokens", "ai.usage.promptTokens"):
        row = span("ai", {"ai.operationId": "ai.generateText.doGenerate", name: 100,
                   "ai.response.providerMetadata": json.dumps(told_by)})  # fmt: skip
        told(row, input_tokens=150, cache_read_tokens=30, cache_write_tokens=20)


def test_vercel_seven() -> None:
    """OpenTelemetry's names, steps as nodes, the user in the runtime context."""
    step = span("ai", {"gen_ai.operation.name": "agent_step", "ai.settings.context.userId": "u"})
    told(step, span_class="node", user_id="u")


def test_litellm() -> None:
    """Priced is the model requested, paid by the team of the key, whatever the caller says."""
    row = span(
        "litellm",
        {
            "llm.request.type": "acompletion", "gen_ai.system": "azure_ai",
            "gen_ai.request.model": "gpt-4o-mini", "gen_ai.response.model": "my-alias",
            "gen_ai.usage.input_tokens": "82", "gen_ai.usage.output_tokens": "17",
            "llm.is_streaming": "False", "metadata.user_api_key_team_id": "acme",
            "metadata.team_id": "forged", "metadata.tenant_id": "forged",
            "metadata.user_api_key_user_id": "u", "llm.user": "anybody",
            "gen_ai.cost.total_cost": 0.002, "gen_ai.response.id": "r",
            "gen_ai.response.finish_reasons": '["stop"]', "metadata.usage_object":
            "{'prompt_tokens_details': {'cached_tokens': 64, 'audio_tokens': None}}",
        },
        name="litellm_request",
    )  # fmt: skip
    told(row, span_class="llm", request_model="gpt-4o-mini", response_model=None,
         tenant_id="acme", user_id="u", input_tokens=82, cache_read_tokens=64, streaming=False,
         reported_cost_usd=0.002, finish_reason="stop", response_id="r")  # fmt: skip
    raw = span("litellm", {"llm.openai.id": "r"}, name="raw_gen_ai_request")
    told(raw, span_class="other")


def test_langsmith() -> None:
    """Its metadata, and a dict of details as Python prints it."""
    row = span(
        "langsmith",
        {
            "langsmith.span.kind": "llm", "gen_ai.operation.name": "chat",
            "langsmith.metadata.ls_provider": "openai", "langsmith.metadata.ls_model_name": "m",
            "langsmith.metadata.thread_id": "t", "langsmith.trace.session_id": "project",
            "langsmith.metadata.langgraph_node": "plan", "gen_ai.usage.input_tokens": 131,
            "gen_ai.usage.input_token_details": "{'cache_read': 64, 'audio': 0}",
        },
    )  # fmt: skip
    told(row, span_class="llm", provider="openai", request_model="m", thread_id="t", node="plan",
         input_tokens=131, cache_read_tokens=64)  # fmt: skip
    tool = span("langsmith", {"langsmith.span.kind": "tool", "langsmith.trace.name": "search"})
    told(tool, span_class="tool", tool_name="search")


def test_langfuse() -> None:
    """Usage and cost as JSON, cached tokens beside the input, the first token as a time."""
    row = span(
        "langfuse-sdk",
        {
            "langfuse.observation.type": "generation", "langfuse.observation.model.name": "m",
            "langfuse.observation.usage_details": json.dumps(
                {"input": 67, "input_cached_tokens": 64, "output": 9, "total": 140}),
            "langfuse.observation.cost_details": json.dumps({"total": 0.25}),
            "langfuse.observation.completion_start_time": '"2027-01-15T08:00:00.250000Z"',
            "langfuse.trace.metadata.tenant_id": '"acme"', "user.id": "u", "session.id": "t",
        },
    )  # fmt: skip
    told(row, span_class="llm", request_model="m", input_tokens=131, cache_read_tokens=64,
         output_tokens=9, reported_cost_usd=0.25, tenant_id="acme", user_id="u",
         thread_id="t")  # fmt: skip
    failed = span("langfuse-sdk", {"langfuse.observation.type": "tool",
                  "langfuse.observation.level": "ERROR",
                  "langfuse.observation.status_message": "no such city"})  # fmt: skip
    told(failed, span_class="tool", outcome="error", error_message="no such city")


def test_langfuse_counts_reasoning_beside_the_output() -> None:
    """Its kinds of usage add up to the total, as its price list needs them; OpenAI's own do not."""
    key = "langfuse.observation.usage_details"
    for reasoning in ("output_reasoning", "output_reasoning_tokens"):
        usage = {"input": 100, "output": 20, reasoning: 40, "total": 160}
        row = span("langfuse-sdk", {key: json.dumps(usage)})
        told(row, output_tokens=60, reasoning_tokens=40)
    usage = {"completion_tokens": 60, "completion_tokens_details": {"reasoning_tokens": 40}}
    told(span("langfuse-sdk", {key: json.dumps(usage)}), output_tokens=60, reasoning_tokens=40)


def test_langfuse_usage_as_each_provider_counts() -> None:
    """OpenAI's in both its APIs includes cached tokens; Anthropic's does not."""
    key = "langfuse.observation.usage_details"
    for usage in (
        {"prompt_tokens": 131, "prompt_tokens_details": {"cached_tokens": 64}},
        {"input_tokens": 131, "input_tokens_details": {"cached_tokens": 64}},
        {"input_tokens": 67, "cache_read_input_tokens": 64},
    ):
        told(span("langfuse-sdk", {key: json.dumps(usage)}), input_tokens=131, cache_read_tokens=64)


def test_the_name_of_a_span_where_nothing_else_names_it() -> None:
    """Langfuse's agents and tools, and the workflow of OpenAI Agents."""
    kind = "langfuse.observation.type"
    told(span("langfuse-sdk", {kind: "tool"}, name="search"), tool_name="search", agent_name=None)
    told(span("langfuse-sdk", {kind: "agent"}, name="a"), agent_name="a", tool_name=None)
    agent = {"openinference.span.kind": "AGENT"}
    told(span("openinference.instrumentation.openai_agents", agent, name="w"), agent_name="w")
    told(span("openinference.instrumentation.langchain", agent, name="agent"), agent_name=None)


def test_anthropics_own_sdk() -> None:
    """Its stop reason has a name of its own, its errors a word."""
    row = span("com.anthropic.sdk.python", {"gen_ai.operation.name": "chat",
               "anthropic.message.stop_reason": "tool_use"})  # fmt: skip
    told(row, finish_reason="tool_use", outcome="success")
    failed = span("com.anthropic.sdk.python", {"gen_ai.operation.name": "chat",
                  "error.type": "overloaded_error"}, **FAILED)  # fmt: skip
    told(failed, outcome="error", outcome_reason="provider")


@pytest.mark.parametrize(
    ("after_ms", "ttfb_ms"), [(250, 250.0), (0, None), (-5, None), (86_400_001, None)]
)
def test_the_first_token_as_a_time(after_ms: float, ttfb_ms: float | None) -> None:
    """It counts from the begin of the span, and is written as JSON, in quotes, or plain."""
    moment = (at(START) + timedelta(milliseconds=after_ms)).isoformat()
    for written in (moment, json.dumps(moment), moment.replace("+00:00", "Z")):
        key = "langfuse.observation.completion_start_time"
        assert span("x", {key: written})["ttfb_ms"] == ttfb_ms
        assert span("x", {key: "soon"})["ttfb_ms"] is None


@pytest.mark.parametrize("prefix", ["tenxgraph", "agentflow"])
def test_10xgraph_and_agentflow(prefix: str) -> None:
    """The framework is no provider; a span of no duration has an unknown one."""
    scope = {"tenxgraph": "10xgraph", "agentflow": "agentflow"}[prefix]
    graph = span(scope, {"gen_ai.operation.name": "graph", "gen_ai.system": scope,
                 f"{prefix}.graph.thread_id": "t", f"{prefix}.graph.user_id": "u"},
                 seconds=0)  # fmt: skip
    told(graph, span_class="agent", provider=None, thread_id="t", user_id="u", duration_ms=None)
    tool = span(scope, {"gen_ai.operation.name": "tool_call", f"{prefix}.tool.name": "search"})
    told(tool, span_class="tool", tool_name="search", duration_ms=1000)
    assert span("x", {}, seconds=0)["duration_ms"] == 0


def test_claude_code_request() -> None:
    """Values as text, cached tokens beside the input, the account and not the installation."""
    row = line(
        f"{CLAUDE}.events",
        {
            "event.name": "api_request", "model": "claude-sonnet-4-5", "input_tokens": "10",
            "output_tokens": "5", "cache_read_tokens": "3", "cache_creation_tokens": "2",
            "cost_usd": "0.012", "duration_ms": "2500", "request_id": "req_1", "user.id": "anon",
            "user.email": "a@b.c", "user.account_uuid": "uuid", "session.id": "t",
            "organization.id": "acme",
        },
        body="claude_code.api_request",
    )  # fmt: skip
    told(row, event_name="claude_code.api_request", span_class="llm", input_tokens=15,
         output_tokens=5, cache_read_tokens=3, cache_write_tokens=2, reported_cost_usd=0.012,
         request_model="claude-sonnet-4-5", response_model="claude-sonnet-4-5",
         response_id="req_1", user_id="uuid", thread_id="t", tenant_id="acme", duration_ms=2500,
         outcome="success")  # fmt: skip


def test_claude_code_errors() -> None:
    """A failed request, and a tool that says "false"."""
    error = line(f"{CLAUDE}.events", {"event.name": "api_error", "status_code": "529",
                 "error": "Overloaded", "attempt": "3"}, body="claude_code.api_error")  # fmt: skip
    told(error, span_class="llm", outcome="error", outcome_reason="provider", error_class="529",
         error_message="Overloaded", attempt=3)  # fmt: skip
    for said, outcome in (("true", "success"), ("false", "error")):
        tool = line(f"{CLAUDE}.events", {"tool_name": "Bash", "success": said,
                    "tool_use_id": "c"}, event="claude_code.tool_result")  # fmt: skip
        told(tool, span_class="tool", tool_name="Bash", tool_call_id="c", outcome=outcome)
    decision = line(f"{CLAUDE}.events", {}, event="claude_code.tool_decision")
    told(decision, span_class="other", outcome=None)


def test_claude_code_spans() -> None:
    """One tool is one call: the wait for a permission and the execution are parts of it."""
    scope = f"{CLAUDE}.tracing"
    call = span(scope, {"span.type": "llm_request", "gen_ai.system": "anthropic", "success": True,
                "gen_ai.request.model": "m", "input_tokens": 2, "output_tokens": 1200,
                "cache_read_tokens": 84562, "cache_creation_tokens": 7096, "ttft_ms": 900,
                "stop_reason": "tool_use", "attempt": 1},
                name="claude_code.llm_request")  # fmt: skip
    told(call, span_class="llm", provider="anthropic", input_tokens=91660, ttfb_ms=900,
         finish_reason="tool_use", outcome="success", attempt=1)  # fmt: skip
    parts = {"interaction": "agent", "tool": "tool", "hook": "other", "tool.execution": "other",
             "tool.blocked_on_user": "other"}  # fmt: skip
    for name, span_class in parts.items():
        row = span(scope, {"span.type": name}, name=f"claude_code.{name}")
        assert row["span_class"] == span_class, name


def test_user_id_of_others_is_the_users() -> None:
    """Only Claude Code's is an installation."""
    row = span("x", {"user.id": "u", "user.email": "a@b.c", "user.account_uuid": "x"})
    assert row["user_id"] == "u"


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("az.ai.openai", "azure.ai.openai"), ("vertex_ai", "gcp.vertex_ai"), ("xai", "x_ai"),
        ("openai.chat", "openai"), ("openai", "openai"), ("acme", "acme"),
        ("langgraph", None), ("LangChain", None), ("Unknown", None),
    ],
)  # fmt: skip
def test_providers_have_one_name(sent: str, stored: str | None) -> None:
    """That of OpenTelemetry's registry; a framework is none."""
    assert span("x", {"gen_ai.system": sent})["provider"] == stored


def test_identity_is_never_taken_from_content() -> None:
    """What a user or a model said may look like metadata; it is not read."""
    said = json.dumps({"tenant_id": "forged", "user_id": "forged", "thread_id": "forged"})
    content = ("input.value", "output.value", "gen_ai.input.messages", "gen_ai.tool.call.arguments",
               "traceloop.entity.input", "langfuse.observation.input", "ai.prompt")  # fmt: skip
    row = span("x", dict.fromkeys(content, said))
    told(row, tenant_id=None, user_id=None, thread_id=None)


def test_identity_in_metadata_within_metadata() -> None:
    """As text in text, which a proxy makes of an object."""
    inner = json.dumps({"tenant_id": "acme", "user_id": 7})
    row = span("x", {"metadata": json.dumps({"metadata": inner, "thread_id": "t"})})
    told(row, tenant_id="acme", user_id="7", thread_id="t")


def test_baggage_and_resource_name_a_tenant() -> None:
    """Baggage as a span processor copies it, with a prefix; then the resource."""
    told(span("x", {"baggage.tenant.id": "acme"}, resource={"tenant.id": "r"}), tenant_id="acme")
    told(span("x", {}, resource={"tenant.id": "r"}), tenant_id="r")


def test_cost_in_millionths() -> None:
    """The unit is the attribute's."""
    assert span("x", {"cost_usd_micros": 1500})["reported_cost_usd"] == pytest.approx(0.0015)
