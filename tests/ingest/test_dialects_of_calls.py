"""What clients and gateways say of a call and its tokens, and the row it becomes."""

import json
from typing import Any

import pytest

from tests.ingest.one_row import EXCEPTION, FAILED, line, span, told

SPRING_BOOT = "org.springframework.boot"
QUARKUS = "io.quarkus.opentelemetry"
AG2 = "opentelemetry.instrumentation.ag2"


LITELLM_TWO = {
    "gen_ai.operation.name": "chat", "gen_ai.provider.name": "aws.bedrock",
    "gen_ai.request.model": "our-assistant", "gen_ai.response.model": "our-assistant",
    "litellm.provider.model": "bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0",
    "gen_ai.usage.input_tokens": 131, "gen_ai.usage.output_tokens": 17,
    "gen_ai.usage.cache_read.input_tokens": 64, "gen_ai.usage.cache_creation.input_tokens": 5,
    "gen_ai.response.time_to_first_chunk": 0.25, "gen_ai.conversation.id": "t",
    "litellm.request.streaming": True, "litellm.team.id": "acme", "litellm.end_user.id": "u",
    "litellm.cost.total": 0.002, "litellm.cache_hit": False, "gen_ai.response.id": "r",
}  # fmt: skip


def test_spring_ai_counts_anthropic_s_cached_tokens_apart() -> None:
    """As Anthropic does, and its total leaves them out as well; OpenAI's are in the input."""
    call = {
        "gen_ai.operation.name": "chat", "gen_ai.request.model": "claude-sonnet-4-5",
        "gen_ai.usage.input_tokens": "100", "gen_ai.usage.output_tokens": "9",
        "gen_ai.usage.total_tokens": "109", "gen_ai.usage.cache_read.input_tokens": "30",
        "gen_ai.usage.cache_creation.input_tokens": "20",
    }  # fmt: skip
    counted = {"output_tokens": 9, "cache_read_tokens": 30, "cache_write_tokens": 20}
    told(span(SPRING_BOOT, call | {"gen_ai.system": "anthropic"}), input_tokens=150, **counted)
    told(span(SPRING_BOOT, call | {"gen_ai.system": "openai"}), input_tokens=100, **counted)
    told(span("another", call | {"gen_ai.system": "anthropic"}), input_tokens=100, **counted)


def test_spring_ai_counts_bedrock_s_cached_tokens_apart() -> None:
    """Its total is Bedrock's, which has them."""
    call = {
        "gen_ai.operation.name": "chat", "gen_ai.system": "bedrock_converse",
        "gen_ai.usage.input_tokens": "100", "gen_ai.usage.output_tokens": "9",
        "gen_ai.usage.total_tokens": "139", "gen_ai.usage.cache_read.input_tokens": "30",
    }  # fmt: skip
    told(span(SPRING_BOOT, call), provider="aws.bedrock", input_tokens=130, cache_read_tokens=30)


@pytest.mark.parametrize(
    ("provider", "whole"),
    [("Anthropic", 131), ("AwsBedrock", 131), ("VertexAI", 131), ("AzureFoundry", 131),
     ("OpenAI", 67), ("Azure", 67), ("Google", 67), ("LiteLLM", 67), ("OpenRouter", 67)],
)  # fmt: skip
def test_agno_counts_as_the_provider_does(provider: str, whole: int) -> None:
    """Its total leaves out what is cached, whoever counts it apart."""
    call = {
        "openinference.span.kind": "LLM", "llm.provider": provider, "llm.system": "anthropic",
        "llm.token_count.prompt": 67, "llm.token_count.completion": 9,
        "llm.token_count.prompt_details.cache_read": 60, "llm.token_count.total": 76,
        "llm.token_count.prompt_details.cache_write": 4,
    }  # fmt: skip
    told(span("openinference.instrumentation.agno", call), input_tokens=whole)
    told(span("openinference.instrumentation.another", call), input_tokens=67)


@pytest.mark.parametrize(
    ("provider", "model", "whole"),
    [("anthropic", "claude-opus-4-5", 131), ("aws.bedrock", "amazon.nova-pro-v1:0", 131),
     ("azure.ai.foundry", "claude-opus-4-5", 131), ("google.vertex.ai", "claude-opus-4-5", 131),
     ("openai", "gpt-4o", 67), ("azure.ai.foundry", "gpt-4o", 67)],
)  # fmt: skip
def test_microsoft_s_framework_counts_as_the_provider_does(
    provider: str, model: str, whole: int
) -> None:
    """In Python; what .NET's clients make of it is not known."""
    call = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": provider,
        "gen_ai.request.model": model,
        "gen_ai.usage.input_tokens": 67, "gen_ai.usage.output_tokens": 9,
        "gen_ai.usage.cache_read.input_tokens": 64, "gen_ai.usage.cache_creation.input_tokens": 0,
    }  # fmt: skip
    told(span("agent_framework", call), input_tokens=whole, cache_read_tokens=64)
    told(span("Microsoft.Agents.AI", call), input_tokens=67)


def test_spring_ai_two_names_the_call_of_a_tool() -> None:
    """Its operation is the convention's, beside the kind."""
    tool = {"gen_ai.operation.name": "execute_tool", "spring.ai.kind": "tool_call",
            "spring.ai.tool.definition.name": "search", "spring.ai.tool.call.id": "c"}  # fmt: skip
    told(span(SPRING_BOOT, tool), span_class="tool", tool_name="search", tool_call_id="c")


def test_litellm_s_second_version() -> None:
    """Priced is the model that it chose, whatever its caller calls it."""
    row = span("litellm", LITELLM_TWO, name="chat our-assistant")
    told(row, span_class="llm", provider="aws.bedrock", request_model="our-assistant",
         response_model="anthropic.claude-sonnet-4-5-20250929-v1:0", input_tokens=131,
         output_tokens=17, cache_read_tokens=64, cache_write_tokens=5, ttfb_ms=250, streaming=True,
         thread_id="t", tenant_id="acme", user_id="u", reported_cost_usd=0.002)  # fmt: skip


def test_litellm_s_answer_from_its_cache_used_nothing() -> None:
    """Though it repeats the usage of the first answer."""
    row = span("litellm", LITELLM_TWO | {"litellm.cache_hit": True}, name="chat our-assistant")
    told(row, span_class="llm", input_tokens=0, output_tokens=0, cache_read_tokens=None,
         cache_write_tokens=None, response_id="r")  # fmt: skip


@pytest.mark.parametrize(
    ("attributes", "name", "span_class"),
    [
        ({"litellm.guardrail.name": "pii"}, "execute_guardrail pii", "node"),
        ({"gen_ai.operation.name": "litellm.passthrough"}, "litellm.passthrough", "llm"),
        ({"litellm.service.name": "auth", "gen_ai.request.model": "m"}, "auth", "other"),
        ({"gen_ai.operation.name": "execute_tool"}, "tools/call search", "tool"),
        ({"mcp.method.name": "tools/list"}, "tools/list", "other"),
    ],
)  # fmt: skip
def test_litellm_s_other_spans(attributes: dict[str, Any], name: str, span_class: str) -> None:
    """A guardrail is a step; what it says of itself is no work of an agent."""
    told(span("litellm", attributes, name=name), span_class=span_class)


@pytest.mark.parametrize(
    "call",
    [
        {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"},
    ],
)
def test_what_was_raised_without_a_status_is_an_error(call: dict[str, str]) -> None:
    """LangChain4j in Quarkus records it and sets none; a call that was answered was tried again."""
    raised = [(EXCEPTION, {"exception.type": "java.lang.IllegalStateException",
                           "exception.message": "boom"})]  # fmt: skip
    row = span(QUARKUS, call, events=raised)
    told(row, outcome="error", error_class="java.lang.IllegalStateException", error_message="boom")
    told(span("x", call, events=raised, status={"code": 1}), outcome="success")
    for answer in (
        {"gen_ai.response.id": "r"}, {"gen_ai.usage.input_tokens": 1},
        {"gen_ai.response.finish_reasons": ["stop"]},
    ):  # fmt: skip
        told(span("x", call | answer, events=raised), outcome="success")
    told(span("x", call | {"error.type": "tool_error"}), outcome="error")


def test_a_node_without_a_status_may_have_dealt_with_what_was_raised() -> None:
    """Only of calls it is concluded that they failed."""
    raised = [(EXCEPTION, {"exception.type": "ValueError"})]
    told(span("x", {"agent.node": "plan"}, events=raised), span_class="node", outcome="success")


def test_ag2_tells_a_call_s_usage_again() -> None:
    """Its record of one adds nothing; of compactions and sums over workers it is the only one."""
    used = {"gen_ai.usage.input_tokens": 131, "gen_ai.usage.output_tokens": 9,
            "gen_ai.usage.cache_read_input_tokens": 64}  # fmt: skip
    record = used | {"ag2.span.type": "usage", "gen_ai.provider.name": "openai"}
    again = span(AG2, record | {"ag2.usage.kind": "model_call"}, name="record_usage model_call")
    told(again, span_class="other", input_tokens=None, output_tokens=None, cache_read_tokens=None)
    alone = span(AG2, record | {"ag2.usage.kind": "compaction"}, name="record_usage compaction",
                 seconds=0.0)  # fmt: skip
    told(alone, span_class="llm", input_tokens=131, output_tokens=9, duration_ms=None)
    workers = span(AG2, record | {"ag2.usage.kind": "subtask"}, name="record_usage subtask")
    told(workers, span_class="other", input_tokens=131, output_tokens=9)


@pytest.mark.parametrize(
    ("provider", "whole", "output"),
    [("anthropic", 150, 9), ("bedrock", 150, 9), ("openai", 100, 9), ("google", 100, 13)],
)
def test_ag2_counts_as_each_provider_does(provider: str, whole: int, output: int) -> None:
    """Cached tokens apart or not, and thoughts."""
    call = {
        "gen_ai.operation.name": "chat", "gen_ai.provider.name": provider,
        "gen_ai.usage.input_tokens": 100, "gen_ai.usage.output_tokens": 9,
        "gen_ai.usage.cache_creation_input_tokens": 20,
        "gen_ai.usage.cache_read_input_tokens": 30, "gen_ai.usage.thinking_tokens": 4,
    }  # fmt: skip
    told(span(AG2, call), span_class="llm", input_tokens=whole, output_tokens=output,
         cache_read_tokens=30, cache_write_tokens=20, reasoning_tokens=4)  # fmt: skip


def test_mlflow_s_own_names() -> None:
    """All in JSON: cached tokens are part of the input, the first chunk is an event."""
    usage = {"input_tokens": 131, "output_tokens": 9, "total_tokens": 140,
             "cache_read_input_tokens": 64, "cache_creation_input_tokens": 5}  # fmt: skip
    row = span(
        "mlflow",
        {
            "mlflow.spanType": '"CHAT_MODEL"', "mlflow.chat.tokenUsage": json.dumps(usage),
            "mlflow.llm.model": '"gpt-4o-mini"', "mlflow.llm.provider": '"openai"',
            "mlflow.llm.cost": json.dumps({"input_cost": 0.001, "total_cost": 0.002}),
        },
        events=[("mlflow.chunk.item.0", {"mlflow.chunk.value": "{}"})],
    )  # fmt: skip
    told(row, span_class="llm", provider="openai", request_model="gpt-4o-mini", input_tokens=131,
         output_tokens=9, cache_read_tokens=64, cache_write_tokens=5, reported_cost_usd=0.002,
         ttfb_ms=100.0)  # fmt: skip
    asked = {"mlflow.spanType": '"CHAT_MODEL"', "model": '"gpt-4o-mini"', "stream": True,
             "user": '"u"'}  # fmt: skip
    told(span("mlflow", asked, **FAILED), request_model="gpt-4o-mini", streaming=True, user_id="u",
         outcome="error")  # fmt: skip
    told(span("mlflow", {"mlflow.spanType": '"TOOL"'}, name="search"), tool_name="search")
    told(span("mlflow", {"mlflow.spanType": '"AGENT"'}, name="support"), agent_name="support")


def test_openrouter_broadcasts_calls_without_an_operation() -> None:
    """Its own metadata stands on nothing else."""
    call = {
        "gen_ai.request.model": "google/gemini-2.5-pro", "gen_ai.usage.input_tokens": 131,
        "gen_ai.provider.name": "Google AI Studio", "gen_ai.usage.total_cost": 0.002,
        "trace.metadata.openrouter.provider_slug": "google-ai-studio",
    }  # fmt: skip
    told(span("openrouter", call), span_class="llm", provider="gcp.gemini", input_tokens=131,
         reported_cost_usd=0.002)  # fmt: skip


def test_gemini_cli_tells_each_call_three_times_more() -> None:
    """By the convention's event of the request and of the answer, and by a span: none is a call."""
    told_again = {"gen_ai.operation.name": "generate_content", "gen_ai.response.id": "r",
                  "gen_ai.usage.input_tokens": 131, "gen_ai.usage.output_tokens": 9}  # fmt: skip
    event = "gen_ai.client.inference.operation.details"
    row = line("gemini-cli", told_again | {"event.name": event})
    told(row, span_class="other", input_tokens=None, output_tokens=None)
    for operation in ("llm_call", "tool_call", "schedule_tool_calls"):
        traced = told_again | {"gen_ai.operation.name": operation}
        told(span("gemini-cli", traced, name=operation), span_class="other", input_tokens=None)
    counted = {"event.name": "gemini_cli.api_response", "input_token_count": 131,
               "output_token_count": 9, "thoughts_token_count": 20}  # fmt: skip
    told(line("gemini-cli", counted), span_class="llm", input_tokens=131, output_tokens=29)


def test_langsmith_tells_the_parts_of_usage_in_its_metadata() -> None:
    """LangChain's counts as JSON: the input has the cached tokens in it, the output reasoning."""
    usage = {"input_tokens": 130, "output_tokens": 50, "total_tokens": 180,
             "input_token_details": {"cache_read": 100, "cache_creation": 5},
             "output_token_details": {"reasoning": 40}}  # fmt: skip
    parts = {"cache_read_tokens": 100, "cache_write_tokens": 5, "reasoning_tokens": 40}
    counts = {"langsmith.span.kind": "llm", "gen_ai.usage.input_tokens": 130,
              "gen_ai.usage.output_tokens": 50}  # fmt: skip
    told(span("langsmith", counts | {"langsmith.metadata.usage_metadata": json.dumps(usage)}),
         input_tokens=130, output_tokens=50, **parts)  # fmt: skip
    voice = {"langsmith.span.kind": "llm", "langsmith.usage_metadata": json.dumps(usage)}
    told(span("langsmith", voice), input_tokens=130, output_tokens=50, **parts)


def test_a_request_s_id_names_a_response_in_claude_code_only() -> None:
    """An application calls requests of its own so, each of which may make several calls."""
    call = {"gen_ai.operation.name": "chat", "request_id": "req_1"}
    told(span("com.anthropic.claude_code.tracing", call), response_id="req_1")
    told(span("another", call), response_id=None)


def test_langfuse_counts_parts_apart_unless_its_total_has_them() -> None:
    """Its JavaScript SDK had them in the input and output up to version 4, and has them beside."""

    def usage(**counts: int) -> dict[str, str]:
        parts = {"input_cached_tokens": 100, "output_reasoning_tokens": 40}
        return {"langfuse.observation.type": "generation",
                "langfuse.observation.usage_details": json.dumps(parts | counts)}  # fmt: skip

    whole = {"input_tokens": 130, "output_tokens": 50, "cache_read_tokens": 100}
    told(span("langfuse-sdk", usage(input=130, output=50, total=180)), **whole)
    told(span("langfuse-sdk", usage(input=30, output=10, total=180)), **whole)
    told(span("langfuse-sdk", usage(input=30, output=10)), **whole)


@pytest.mark.parametrize(
    ("sent", "outcome"),
    [
        ({"gen_ai.usage.input_tokens": 82, "gen_ai.usage.output_tokens": 17}, {}),
        ({"error.type": "InternalServerError"}, FAILED),
    ],
)
def test_a_response_of_openai_by_traceloop_was_named_by_its_span_only(
    sent: dict[str, Any], outcome: dict[str, Any]
) -> None:
    """Up to version 0.53 it told neither an operation nor a type of request."""
    said = {"gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini"} | sent
    row = span("opentelemetry.instrumentation.openai.v1", said, name="openai.response", **outcome)
    told(row, span_class="llm", outcome="error" if outcome else "success", provider="openai")


def test_pydantic_ai_called_cached_tokens_of_openai_a_detail() -> None:
    call = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 131,
            "gen_ai.usage.details.cached_tokens": 64}  # fmt: skip
    told(span("pydantic-ai", call), input_tokens=131, cache_read_tokens=64)
