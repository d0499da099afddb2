"""What frameworks say of agents, tools and workflows, and the row it becomes."""

import json
from datetime import UTC, datetime

import pytest

from tests.ingest.one_row import FAILED, span, told
from tests.ingest.values import START

QUARKUS = "io.quarkus.opentelemetry"
AG2 = "opentelemetry.instrumentation.ag2"
LIVEKIT = "livekit-agents"
MASTRA = "@mastra/otel-exporter"
WORKFLOWS = "Microsoft.Agents.AI.Workflows"
VOLTAGENT = "@voltagent/core"


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


def test_laminar_replays_a_call_that_used_nothing() -> None:
    """Though it repeats what the first answer used; with an operation of another's, too."""
    used = {"gen_ai.usage.input_tokens": 131, "gen_ai.usage.output_tokens": 9,
            "gen_ai.usage.cache_read.input_tokens": 64}  # fmt: skip
    cached = {"lmnr.span.type": "CACHED", "lmnr.span.original_type": "LLM"}
    for operation in ({}, {"gen_ai.operation.name": "chat"}):
        told(span("lmnr.tracer", used | cached | operation), span_class="llm", input_tokens=0,
             output_tokens=0, cache_read_tokens=None)  # fmt: skip


def test_haystack_names_its_components() -> None:
    """As nodes."""
    component = {"haystack.component.name": "retriever"}
    told(span("haystack", component, name="haystack.component.run"), span_class="node",
         node="retriever")  # fmt: skip
    asked = {"haystack.tool.name": "refund"}
    name = "haystack.agent.hook.human_in_the_loop.strategy"
    told(span("haystack", asked, name=name), span_class="node")


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


def test_logfire_tells_chat_completions_of_openai_s_agents_without_an_operation() -> None:
    """The parts of their tokens stand in the SDK's own usage."""
    usage = {"input_tokens": 131, "output_tokens": 49,
             "input_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 5},
             "output_tokens_details": {"reasoning_tokens": 40}}  # fmt: skip
    call = {"logfire.msg_template": "Chat completion with {gen_ai.request.model!r}",
            "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini",
            "gen_ai.usage.input_tokens": 131, "gen_ai.usage.output_tokens": 49,
            "usage": json.dumps(usage)}  # fmt: skip
    told(span("logfire.openai_agents", call), span_class="llm", input_tokens=131, output_tokens=49,
         cache_read_tokens=64, cache_write_tokens=5, reasoning_tokens=40)  # fmt: skip
    told(span("another", call), span_class="other", cache_read_tokens=None)


@pytest.mark.parametrize(
    ("scope", "attributes"),
    [
        ("opentelemetry.instrumentation.openai_agents",
         {"traceloop.span.kind": "workflow", "traceloop.workflow.name": "{}"}),
        ("openlit.instrumentation.openai_agents",
         {"gen_ai.operation.name": "invoke_workflow", "gen_ai.workflow.name": "{}"}),
        ("openinference.instrumentation.openai_agents", {"openinference.span.kind": "AGENT"}),
    ],
)  # fmt: skip
def test_a_workflow_of_openai_s_agents_that_nobody_named_is_no_agent(
    scope: str, attributes: dict[str, str]
) -> None:
    """The run then has the name of the agent below."""
    for called, agent in (
        ("Agent workflow", None), ("Agent Workflow", None), ("triage", "triage"),
    ):  # fmt: skip
        sent = {key: value.format(called) for key, value in attributes.items()}
        told(span(scope, sent, name=called), span_class="agent", agent_name=agent)


def test_a_group_of_openai_s_traces_is_a_thread_to_logfire_s_sdk_only() -> None:
    """What others call a group may be a team or a chat with many threads."""
    trace = {"logfire.msg_template": "OpenAI Agents trace: {name}", "name": "flow", "group_id": "t"}
    told(span("logfire.openai_agents", trace), span_class="agent", thread_id="t")
    told(span("another", trace), thread_id=None)


def test_strands_tools_failed_by_a_shorter_name() -> None:
    """Up to version 1.1, with a status of OK; elsewhere the name may mean anything."""
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search"}
    failed = tool | {"tool.status": "error"}
    for scope in ("strands.telemetry.tracer", "strands-agents"):
        told(span(scope, failed, status={"code": 1}), span_class="tool", outcome="error")
    told(span("strands-agents", tool | {"tool.status": "success"}), outcome="success")
    told(span("another", failed, status={"code": 1}), outcome="success")
