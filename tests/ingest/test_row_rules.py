"""What holds for every dialect: what a record is, who, when and how much."""

import json
from datetime import timedelta
from typing import Any

import pytest

from tests.ingest.one_row import line, span, told
from tests.ingest.values import START, at


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


def test_everyday_names_of_spans_decide_nothing() -> None:
    """Only a library's own dotted name does, where there is no operation."""
    assert span("x", {}, name="chat")["span_class"] == "other"
    assert span("x", {}, name="ai.toolCall")["span_class"] == "tool"


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


def test_the_name_of_a_span_where_nothing_else_names_it() -> None:
    """Langfuse's agents and tools, and the workflow of OpenAI Agents."""
    kind = "langfuse.observation.type"
    told(span("langfuse-sdk", {kind: "tool"}, name="search"), tool_name="search", agent_name=None)
    told(span("langfuse-sdk", {kind: "agent"}, name="a"), agent_name="a", tool_name=None)
    agent = {"openinference.span.kind": "AGENT"}
    told(span("openinference.instrumentation.openai_agents", agent, name="w"), agent_name="w")
    told(span("openinference.instrumentation.langchain", agent, name="agent"), agent_name=None)


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


def test_user_id_of_others_is_the_users() -> None:
    """Only Claude Code's is an installation."""
    row = span("x", {"user.id": "u", "user.email": "a@b.c", "user.account_uuid": "x"})
    assert row["user_id"] == "u"


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("az.ai.openai", "azure.ai.openai"), ("vertex_ai", "gcp.vertex_ai"), ("xai", "x_ai"),
        ("openai.chat", "openai"), ("openai", "openai"), ("acme", "acme"),
        ("azure-openai.responses", "azure.ai.openai"),
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


@pytest.mark.parametrize(
    ("attributes", "resource", "tenant", "hearsay"),
    [
        ({"tenant.id": "own", "baggage.tenant.id": "b"}, {"tenant.id": "r"}, "own", None),
        ({"baggage.tenant.id": "b", "metadata": '{"tenant_id": "m"}'}, {"tenant.id": "r"},
         "r", "tenant_id"),
        ({"baggage.tenant.id": "b", "metadata": '{"tenant_id": "m"}'}, {}, "b", "tenant_id"),
        ({"metadata": '{"tenant_id": "m", "user_id": "u"}'}, {}, "m", "tenant_id,user_id"),
    ],
)  # fmt: skip
def test_who_is_named_by_whom(
    attributes: dict[str, str], resource: dict[str, str], tenant: str, hearsay: str | None
) -> None:
    """The span, its resource, baggage as a span processor copies it, JSON metadata; what is not the
    span's own word is known as hearsay, for a span above comes before it."""
    told(span("x", attributes, resource=resource), tenant_id=tenant, hearsay=hearsay)


@pytest.mark.parametrize(
    ("column", "names"),
    [
        ("tenant_id", ("tenant.id", "tenant_id", "team.id")),
        ("user_id", ("user.id", "enduser.id", "user_id")),
        ("thread_id", ("thread_id", "gen_ai.conversation.id", "session.id")),
        ("run_id", ("agent.run.id", "run_id")),
        ("agent_name", ("gen_ai.agent.name", "agent.name", "agent_name")),
        ("feature", ("agent.feature", "feature")),
    ],
)
def test_a_process_says_once_whose_all_it_does_is(column: str, names: tuple[str, ...]) -> None:
    """Each of the six may stand on the resource, as hearsay: what a span says comes first."""
    for name in names:
        told(span("x", {}, resource={name: "r"}), **{column: "r", "hearsay": column})
        told(line("x", {}, resource={name: "r"}), **{column: "r", "hearsay": column})
        own = {names[0]: "own"}
        told(span("x", own, resource={name: "r"}), **{column: "own", "hearsay": None})


@pytest.mark.parametrize(
    "nobody",
    ["None", "null", "undefined", "", "  ", "\t\n", "\u00a0", "<nil>", "NaN", "[object Object]",
     "default_user_id"],
)  # fmt: skip
def test_nobody_is_no_name(nobody: str) -> None:
    """str(None) and its like name nobody, nor does a blank: who is named elsewhere is believed."""
    row = span("x", {"tenant.id": nobody, "tenant_id": "acme", "user.id": nobody,
                     "session.id": nobody, "run_id": nobody},
               resource={"tenant.id": nobody})  # fmt: skip
    told(row, tenant_id="acme", user_id=None, thread_id=None, run_id=None, hearsay=None)


@pytest.mark.parametrize("none", ["None", "null", "undefined", "unknown", "N/A", ""])
def test_what_is_made_of_no_id_names_no_response(none: str) -> None:
    """Else two calls of servers that give none would be one."""
    chat = {"gen_ai.operation.name": "chat", "gen_ai.response.id": none}
    told(span("any", chat), response_id=None)


def test_cost_in_millionths() -> None:
    """The unit is the attribute's."""
    assert span("x", {"cost_usd_micros": 1500})["reported_cost_usd"] == pytest.approx(0.0015)


@pytest.mark.parametrize(
    ("counts", "whole"),
    [
        # Bedrock's, as it counts: what was cached is beside the input.
        ({"input": 900, "output": 50, "read": 600, "total": 1550}, (1500, 50)),
        ({"input": 900, "output": 50, "read": 600, "written": 40, "total": 1590}, (1540, 50)),
        ({"input": 900, "output": 50, "read": 600, "total": 950}, (900, 50)),
        # Google's: thoughts are beside the answer.
        ({"input": 900, "output": 50, "reasoning": 30, "total": 980}, (900, 80)),
        ({"input": 900, "output": 50, "reasoning": 30, "total": 950}, (900, 50)),
        ({"input": 900, "output": 50, "read": 600, "reasoning": 30, "total": 1580}, (1500, 80)),
        ({"input": 900, "output": 50, "read": 600, "reasoning": 30, "total": 980}, (900, 80)),
        ({"input": 900, "output": 50, "read": 30, "reasoning": 30, "total": 980}, (930, 50)),
        # No total, or one that is neither: the parts are believed to be parts.
        ({"input": 900, "output": 50, "read": 600}, (900, 50)),
        ({"input": 900, "output": 50, "read": 600, "total": 1234}, (900, 50)),
    ],
)
def test_a_total_shows_what_its_parts_leave_out(
    counts: dict[str, int], whole: tuple[int, int]
) -> None:
    """Whoever adds cached tokens to the input for the total did not have them in the input."""
    names = {
        "input": "gen_ai.usage.input_tokens", "output": "gen_ai.usage.output_tokens",
        "read": "gen_ai.usage.cache_read.input_tokens", "total": "gen_ai.usage.total_tokens",
        "written": "gen_ai.usage.cache_creation.input_tokens",
        "reasoning": "gen_ai.usage.reasoning.output_tokens",
    }  # fmt: skip
    row = span("x", {names[part]: count for part, count in counts.items()})
    assert (row["input_tokens"], row["output_tokens"]) == whole
