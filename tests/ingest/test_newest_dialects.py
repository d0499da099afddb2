"""What the newest versions of libraries say, by their sources, and the row it becomes."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.ingest.one_row import EXCEPTION, FAILED, line, span, told
from tests.ingest.values import START

SPRING_BOOT = "org.springframework.boot"
QUARKUS = "io.quarkus.opentelemetry"
AG2 = "opentelemetry.instrumentation.ag2"
LIVEKIT = "livekit-agents"
MASTRA = "@mastra/otel-exporter"
WORKFLOWS = "Microsoft.Agents.AI.Workflows"
VOLTAGENT = "@voltagent/core"


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


def test_spring_ai_two_names_the_call_of_a_tool() -> None:
    """Its operation is the convention's, beside the kind."""
    tool = {"gen_ai.operation.name": "execute_tool", "spring.ai.kind": "tool_call",
            "spring.ai.tool.definition.name": "search", "spring.ai.tool.call.id": "c"}  # fmt: skip
    told(span(SPRING_BOOT, tool), span_class="tool", tool_name="search", tool_call_id="c")


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


def test_quarkus_names_no_operation_up_to_1_10() -> None:
    """A model call is known by its span's name, an AI service is a run."""
    call = {
        "gen_ai.request.model": "gpt-4o-mini", "gen_ai.response.id": "r",
        "gen_ai.response.finish_reasons": "STOP", "gen_ai.usage.prompt_tokens": 131,
        "gen_ai.usage.completion_tokens": 9,
    }  # fmt: skip
    told(span(QUARKUS, call, name="completion gpt-4o-mini"), span_class="llm", input_tokens=131,
         output_tokens=9, finish_reason="STOP", outcome="success")  # fmt: skip
    told(span(QUARKUS, {}, name="langchain4j.aiservices.Assistant.chat"), span_class="agent",
         agent_name="langchain4j.aiservices.Assistant")  # fmt: skip
    told(span(QUARKUS, {}, name="GET /chat"), span_class="other", agent_name=None)
    later = {"gen_ai.operation.name": "chat", "gen_ai.provider.name": "azure_open_ai",
             "gen_ai.usage.input_tokens": 131}  # fmt: skip
    told(span(QUARKUS, later, name="completion gpt-4o-mini"), span_class="llm",
         provider="azure.ai.openai", input_tokens=131)  # fmt: skip


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


@pytest.mark.parametrize(
    ("operation", "span_class"),
    [("conversation", "agent"), ("initiate_chats", "agent"), ("speaker_selection", "node"),
     ("await_human_input", "node"), ("invoke_agent", "agent")],
)  # fmt: skip
def test_ag2_s_conversations_are_runs(operation: str, span_class: str) -> None:
    """Whatever goes on within one is a step."""
    told(span(AG2, {"gen_ai.operation.name": operation}), span_class=span_class)


def test_ag2_runs_the_code_of_a_model_as_a_tool() -> None:
    """That fails without a status."""
    ran = {"gen_ai.operation.name": "execute_code", "error.type": "CodeExecutionError"}
    told(span(AG2, ran), span_class="tool", tool_name="execute_code", outcome="error")


def test_a_session_of_livekit_is_many_runs() -> None:
    """One for each turn, which before had no operation."""
    session = {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "agent_session"}
    told(span(LIVEKIT, session, name="agent_session"), span_class="other")
    turn = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "support"}
    told(span(LIVEKIT, turn, name="agent_turn"), span_class="agent", agent_name="support")
    told(span(LIVEKIT, {"lk.agent_label": "support"}, name="agent_turn"), span_class="agent",
         agent_name="support")  # fmt: skip


def test_a_call_of_livekit_that_was_interrupted_did_not_fail() -> None:
    """The caller spoke: its finish reason is `error`, its status none."""
    call = {
        "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 131,
        "gen_ai.response.finish_reasons": ["error"],
        "lk.llm_metrics": json.dumps({"ttft": 0.25, "label": "openai"}),
    }  # fmt: skip
    row = span(LIVEKIT, call, name="llm_request")
    told(row, outcome="interrupt", outcome_reason="client_disconnect", ttfb_ms=250)
    whole = call | {"gen_ai.response.finish_reasons": ["stop"]}
    told(span(LIVEKIT, whole, name="llm_request"), outcome="success", finish_reason="stop")
    told(span("another", call), outcome="error", outcome_reason="incomplete")


def test_a_tool_of_livekit_fails_in_an_attribute() -> None:
    """Under either name."""
    tool = {"lk.function_tool.name": "search", "lk.function_tool.id": "c",
            "lk.function_tool.is_error": True}  # fmt: skip
    told(span(LIVEKIT, tool, name="function_tool"), span_class="tool", tool_name="search",
         tool_call_id="c", outcome="error")  # fmt: skip
    told(span(LIVEKIT, tool | {"lk.function_tool.is_error": False}, name="function_tool"),
         outcome="success")  # fmt: skip


def test_workflows_of_dotnet() -> None:
    """An executor is a node by its id, which its span's name ends with; the session is no run."""
    run = {"workflow.id": "w", "workflow.name": "triage", "session.id": "t"}
    told(span(WORKFLOWS, run, name="workflow_invoke"), span_class="agent", agent_name="triage",
         thread_id="t")  # fmt: skip
    told(span(WORKFLOWS, {"executor.id": "writer"}, name="executor.process writer"),
         span_class="node", node="writer")  # fmt: skip
    told(span(WORKFLOWS, {"session.id": "t"}, name="workflow.session"), span_class="other")


def test_mastra_tells_when_the_first_token_came_and_who_asked() -> None:
    """A time, and metadata of its caller."""
    first = datetime.fromtimestamp(START / 10**9 + 0.25, UTC).isoformat().replace("+00:00", "Z")
    call = {
        "gen_ai.operation.name": "chat", "mastra.completion_start_time": first,
        "mastra.metadata.userId": "u", "mastra.metadata.tenantId": "acme",
        "mastra.metadata.threadId": "t",
    }  # fmt: skip
    told(span(MASTRA, call), user_id="u", tenant_id="acme", thread_id="t", ttfb_ms=250.0)


@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [("suspended", "interrupt", "human"), ("canceled", "interrupt", "client_disconnect"),
     ("failed", "error", None), ("success", "success", None)],
)  # fmt: skip
def test_a_workflow_of_mastra_says_how_it_ended(
    status: str, outcome: str, reason: str | None
) -> None:
    """In an attribute; its status is OK when it waits."""
    run = {"gen_ai.operation.name": "invoke_workflow", "mastra.workflow_run.status": status}
    row = span(MASTRA, run, status={"code": 1})
    told(row, span_class="agent", outcome=outcome, outcome_reason=reason)


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


def test_a_tool_that_pydantic_ai_defers_did_not_fail() -> None:
    """Its newest format says so in an attribute, the ones before by what was raised as well."""
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "refund",
            "pydantic_ai.tool.deferral.name": "ApprovalRequired"}  # fmt: skip
    for fields in ({}, FAILED):
        row = span("pydantic-ai", tool, **fields)
        told(row, span_class="tool", outcome="interrupt", outcome_reason="human")


def test_voltagent() -> None:
    """The type of each span is its own; a run has none, and the usage of all of it."""
    ours = {
        "entity.type": "agent",
        "entity.name": "support",
        "user.id": "u",
        "conversation.id": "t",
    }
    run = ours | {"agent.state": "completed", "usage.prompt_tokens": 131,
                  "usage.completion_tokens": 9, "usage.cached_tokens": 64,
                  "ai.model.name": "openai/gpt-4o-mini"}  # fmt: skip
    told(span(VOLTAGENT, run, name="generateText"), span_class="agent", agent_name="support",
         user_id="u", thread_id="t", input_tokens=131, output_tokens=9, cache_read_tokens=64,
         request_model="gpt-4o-mini")  # fmt: skip
    call = ours | {"span.type": "llm", "llm.model": "openai/gpt-4o-mini", "llm.provider": "openai",
                   "llm.stream": True, "llm.usage.prompt_tokens": 131,
                   "llm.usage.completion_tokens": 9, "llm.usage.cached_tokens": 64,
                   "llm.finish_reason": "stop"}  # fmt: skip
    told(span(VOLTAGENT, call, name="llm:streamText"), span_class="llm", provider="openai",
         request_model="gpt-4o-mini", input_tokens=131, cache_read_tokens=64, streaming=True,
         finish_reason="stop")  # fmt: skip
    tool = ours | {"span.type": "tool", "tool.name": "search", "tool.call.id": "c"}
    told(span(VOLTAGENT, tool), span_class="tool", tool_name="search", tool_call_id="c")
    step = {"span.type": "workflow-step", "workflow.step.name": "plan"}
    told(span(VOLTAGENT, step), span_class="node", node="plan")
    told(span(VOLTAGENT, {"workflow.state": "suspended"}), span_class="agent", outcome="interrupt",
         outcome_reason="human")  # fmt: skip


def test_laminar() -> None:
    """Its type of span where there is no operation, and what its caller associates."""
    ours = {"lmnr.association.properties.user_id": "u",
            "lmnr.association.properties.session_id": "t"}  # fmt: skip
    told(span("lmnr.tracer", ours | {"lmnr.span.type": "LLM", "gen_ai.usage.input_tokens": 131}),
         span_class="llm", input_tokens=131, user_id="u", thread_id="t")  # fmt: skip
    tool = span("lmnr.tracer", ours | {"lmnr.span.type": "TOOL"}, name="search")
    told(tool, span_class="tool", tool_name="search")
    told(span("lmnr.tracer", {"lmnr.span.type": "DEFAULT"}), span_class="other")


def test_openrouter_broadcasts_calls_without_an_operation() -> None:
    """Its own metadata stands on nothing else."""
    call = {
        "gen_ai.request.model": "google/gemini-2.5-pro", "gen_ai.usage.input_tokens": 131,
        "gen_ai.provider.name": "Google AI Studio", "gen_ai.usage.total_cost": 0.002,
        "trace.metadata.openrouter.provider_slug": "google-ai-studio",
    }  # fmt: skip
    told(span("openrouter", call), span_class="llm", provider="gcp.gemini", input_tokens=131,
         reported_cost_usd=0.002)  # fmt: skip


def test_haystack_names_its_components() -> None:
    """As nodes."""
    component = {"haystack.component.name": "retriever"}
    told(span("haystack", component, name="haystack.component.run"), span_class="node",
         node="retriever")  # fmt: skip
    asked = {"haystack.tool.name": "refund"}
    name = "haystack.agent.hook.human_in_the_loop.strategy"
    told(span("haystack", asked, name=name), span_class="node")


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


def test_logfire_names_the_parts_of_openai_s_agents_by_its_templates() -> None:
    """The workflow, an agent, a tool, and a call whose reasoning only the vendor's usage tells."""
    scope = "logfire.openai_agents"
    template = "logfire.msg_template"
    told(span(scope, {template: "OpenAI Agents trace: {name}", "name": "Agent workflow"}),
         span_class="agent", operation="invoke_workflow")  # fmt: skip
    told(span(scope, {template: "Agent run: {name!r}", "name": "support"}),
         span_class="agent", agent_name="support")  # fmt: skip
    told(span(scope, {template: "Function: {name}", "name": "search"}, **FAILED),
         span_class="tool", tool_name="search", outcome="error")  # fmt: skip
    raw = {"input_tokens": 130, "output_tokens": 50, "total_tokens": 180,
           "output_tokens_details": {"reasoning_tokens": 40}}  # fmt: skip
    call = {"gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": 130,
            "gen_ai.usage.output_tokens": 50, "gen_ai.usage.raw": json.dumps(raw)}  # fmt: skip
    told(span(scope, call), span_class="llm", input_tokens=130, reasoning_tokens=40)
    told(span("another", {template: "Function: {name}", "name": "x"}), span_class="other")


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
