"""What agent frameworks, servers and gateways say in names of their own, and the row it becomes."""

import json
from typing import Any

import pytest

from tests.ingest.one_row import EXCEPTION, FAILED, line, span, told

STRANDS = "strands.telemetry.tracer"
ADK = "gcp.vertex.agent"
KERNEL = "semantic_kernel.utils.telemetry.model_diagnostics.decorators"


def test_strands_tells_the_first_token_in_milliseconds() -> None:
    """Under the name by which others tell seconds; the finish reason is on an event."""
    attributes = {
        "gen_ai.operation.name": "chat", "gen_ai.system": "strands-agents",
        "gen_ai.request.model": "m", "gen_ai.usage.input_tokens": 131,
        "gen_ai.usage.output_tokens": 9, "gen_ai.usage.cache_read_input_tokens": 64,
        "gen_ai.usage.cache_write_input_tokens": 5, "gen_ai.server.time_to_first_token": 244,
        "session.id": "t", "user.id": "u",
    }  # fmt: skip
    chosen = [("gen_ai.choice", {"finish_reason": "end_turn", "message": "[]"})]
    row = span(STRANDS, attributes, events=chosen)
    told(row, span_class="llm", provider=None, ttfb_ms=244.0, finish_reason="end_turn",
         input_tokens=131, output_tokens=9, cache_read_tokens=64, cache_write_tokens=5,
         thread_id="t", user_id="u", outcome="success")  # fmt: skip
    seconds = {"gen_ai.operation.name": "chat", "gen_ai.server.time_to_first_token": 0.244}
    told(span("another", seconds), ttfb_ms=244.0)


def test_strands_tools_cycles_and_crowds() -> None:
    """A tool that failed says so without a status; a cycle of the loop is a node."""
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search",
            "gen_ai.tool.call.id": "c", "gen_ai.tool.status": "error"}  # fmt: skip
    told(span(STRANDS, tool), span_class="tool", tool_name="search", outcome="error")
    told(span(STRANDS, tool | {"gen_ai.tool.status": "success"}), outcome="success")
    for operation, span_class in (
        ("execute_event_loop_cycle", "node"), ("invoke_swarm", "agent"), ("invoke_graph", "agent"),
    ):  # fmt: skip
        told(span(STRANDS, {"gen_ai.operation.name": operation}), span_class=span_class)


def test_strands_waits_for_a_human() -> None:
    """The agent's answer ends with `interrupt`."""
    asked = [("gen_ai.choice", {"finish_reason": "interrupt", "message": ""})]
    told(span(STRANDS, {"gen_ai.operation.name": "invoke_agent"}, events=asked,
              status={"code": 1}), outcome="interrupt", outcome_reason="human")  # fmt: skip


def test_adk_names_no_operation_of_a_model_call() -> None:
    """The session stands on these spans only; what it calls the system is no provider."""
    row = span(
        ADK,
        {
            "gen_ai.system": "gcp.vertex.agent", "gen_ai.request.model": "gemini-2.5-flash",
            "gcp.vertex.agent.invocation_id": "e-1", "gcp.vertex.agent.session_id": "s-1",
            "gcp.vertex.agent.event_id": "x", "gcp.vertex.agent.llm_request": "{}",
            "gen_ai.usage.input_tokens": 20, "gen_ai.usage.output_tokens": 5,
            "gen_ai.usage.experimental.reasoning_tokens": 3,
            "gen_ai.response.finish_reasons": ["stop"],
        },
        name="call_llm",
    )  # fmt: skip
    told(row, span_class="llm", provider=None, request_model="gemini-2.5-flash", input_tokens=20,
         output_tokens=5, reasoning_tokens=3, thread_id="s-1", outcome="success")  # fmt: skip
    tool = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "search",
            "gcp.vertex.agent.event_id": "y"}  # fmt: skip
    told(span(ADK, tool, name="execute_tool search"), span_class="tool", tool_name="search")
    merged = tool | {"gen_ai.tool.name": "(merged tools)", "gen_ai.tool.call.id": "y"}
    told(span(ADK, merged, name="execute_tool (merged)"), span_class="other")


def test_semantic_kernel_prints_its_errors() -> None:
    """A class as Python prints it is the class."""
    error = "<class 'semantic_kernel.exceptions.service_exceptions.ServiceResponseException'>"
    row = span(KERNEL, {"gen_ai.operation.name": "chat", "error.type": error}, **FAILED)
    told(
        row,
        outcome="error",
        outcome_reason="provider",
        error_class="semantic_kernel.exceptions.service_exceptions.ServiceResponseException",
    )
    told(span(KERNEL, {"gen_ai.operation.name": "text_completions"}), span_class="llm")


def test_a_workflow_of_microsoft_s_framework_is_a_run() -> None:
    """Its agents are below its executors; its own name is no provider."""
    told(span("agent_framework", {"workflow.id": "w"}, name="workflow.run"), span_class="agent")
    told(span("agent_framework", {"executor.id": "e"}, name="executor.process"), span_class="node")
    agent = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a",
             "gen_ai.provider.name": "microsoft.agent_framework"}  # fmt: skip
    told(span("agent_framework", agent), span_class="agent", agent_name="a", provider=None)


@pytest.mark.parametrize(
    ("name", "attributes", "span_class"),
    [
        ("haystack.pipeline.run", {}, "agent"),
        ("haystack.agent.run", {"haystack.agent.max_steps": 9}, "agent"),
        ("haystack.component.run", {"haystack.component.name": "llm"}, "node"),
        ("haystack.agent.step", {"haystack.agent.step": 1}, "node"),
        ("haystack.agent.step.llm", {}, "llm"),
        ("haystack.agent.step.tool", {"haystack.tool.name": "search"}, "tool"),
    ],
)
def test_haystack_says_all_by_the_name(name: str, attributes: Any, span_class: str) -> None:
    """Its spans have no operation."""
    told(span("haystack", attributes, name=name), span_class=span_class, outcome="success")


def test_haystack_tools_fail_in_a_tag() -> None:
    """The step goes on; the span's status stays unset."""
    tool = {"haystack.tool.name": "search", "haystack.tool.error": True}
    row = span("haystack", tool, name="haystack.agent.step.tool")
    told(row, tool_name="search", outcome="error")


@pytest.mark.parametrize(
    ("name", "span_class"),
    [("Pipeline.run", "agent"), ("AsyncPipeline.run_async", "agent"), ("Agent.run", "agent"),
     ("DocumentWriter.run", "node")],
)  # fmt: skip
def test_haystack_s_pipelines_and_agents_are_chains_to_openinference(
    name: str, span_class: str
) -> None:
    """It tells nothing of what an agent called: its chain is all there is of the run."""
    chain = {"openinference.span.kind": "CHAIN"}
    told(span("openinference.instrumentation.haystack", chain, name=name), span_class=span_class)
    told(span("another", chain, name=name), span_class="node")


def test_spring_ai_calls_everything_framework() -> None:
    """Micrometer sends texts only, and `none` for what is unknown."""
    framework = {"gen_ai.operation.name": "framework", "gen_ai.system": "spring_ai"}
    client = span(
        "org.springframework.boot",
        framework | {"spring.ai.kind": "chat_client", "spring.ai.chat.client.stream": "true",
                     "spring.ai.chat.client.conversation.id": "t"},
        name="spring_ai chat_client",
    )  # fmt: skip
    told(client, span_class="agent", thread_id="t", streaming=True, provider=None)
    told(span("x", framework | {"spring.ai.kind": "advisor"}), span_class="node")
    tool = framework | {"spring.ai.kind": "tool_call", "spring.ai.tool.definition.name": "search"}
    told(span("x", tool, name="tool_call search"), span_class="tool", tool_name="search")
    call = span(
        "org.springframework.boot",
        {
            "gen_ai.operation.name": "chat", "gen_ai.system": "openai",
            "gen_ai.request.model": "gpt-4o-mini", "gen_ai.response.model": "gpt-4o-mini-2024",
            "gen_ai.response.id": "r", "gen_ai.response.finish_reasons": '["STOP"]',
            "gen_ai.usage.input_tokens": "131", "gen_ai.usage.output_tokens": "9",
        },
    )  # fmt: skip
    told(call, span_class="llm", provider="openai", input_tokens=131, output_tokens=9,
         response_id="r", finish_reason="STOP")  # fmt: skip


@pytest.mark.parametrize(
    ("operation", "span_class"),
    [
        ("chat", "llm"),
        ("execute_tool", "tool"),
        ("invoke_agent", "agent"),
        ("invoke_workflow", "agent"),
        ("model_step", "node"),
        ("workflow_step", "node"),
        ("model_chunk", "other"),
    ],
)
def test_mastra_s_own_spans_are_nodes(operation: str, span_class: str) -> None:
    """What OpenTelemetry has a name for it calls so."""
    row = span("@mastra/otel-exporter", {"gen_ai.operation.name": operation})
    told(row, span_class=span_class)


def test_a_vllm_server_s_request_is_the_response_of_its_client() -> None:
    """By its id, so that both tell one call; its times are seconds."""
    row = span(
        "vllm.llm_engine",
        {
            "gen_ai.response.model": "llama", "gen_ai.request.id": "chatcmpl-1f3c9a2b4d5e6f70",
            "gen_ai.usage.prompt_tokens": 128, "gen_ai.usage.completion_tokens": 512,
            "gen_ai.usage.cached_tokens": 32, "gen_ai.latency.e2e": 2.1,
            "gen_ai.latency.time_to_first_token": 0.045,
        },
        name="llm_request",
    )  # fmt: skip
    told(row, span_class="llm", response_id="chatcmpl-1f3c9a2b4d5e6f70", input_tokens=128,
         output_tokens=512, cache_read_tokens=32, ttfb_ms=45.0)  # fmt: skip


def test_llama_index_calls_every_method_of_a_model_a_model_call() -> None:
    """The one that only writes the request is none, of whichever class of model."""
    scope, kind = "openinference.instrumentation.llama_index", {"openinference.span.kind": "LLM"}
    for model in ("OpenAI", "OpenAILike"):
        told(span(scope, kind, name=f"{model}._prepare_chat_with_tools"), span_class="node")
        told(span(scope, kind, name=f"{model}.astream_chat"), span_class="llm")
    told(span("another", kind, name="OpenAI._prepare_chat_with_tools"), span_class="llm")


def test_openlit_measures_the_first_token_in_seconds() -> None:
    """Under a name of its own."""
    told(span("openlit", {"gen_ai.operation.name": "chat", "gen_ai.server.ttft": 0.5}),
         ttfb_ms=500.0)  # fmt: skip


def test_braintrust_writes_json() -> None:
    """Kind, model and usage are members."""
    metrics = {"prompt_tokens": 131, "completion_tokens": 9, "prompt_cached_tokens": 64,
               "time_to_first_token": 0.25}  # fmt: skip
    row = span(
        "braintrust",
        {
            "braintrust.span_attributes": json.dumps({"type": "llm"}),
            "braintrust.metadata": json.dumps({"model": "gpt-4o-mini"}),
            "braintrust.metrics": json.dumps(metrics),
        },
    )  # fmt: skip
    told(row, span_class="llm", request_model="gpt-4o-mini", input_tokens=131, output_tokens=9,
         cache_read_tokens=64, ttfb_ms=250.0)  # fmt: skip
    tool = {"braintrust.span_attributes": json.dumps({"type": "tool"})}
    told(span("braintrust", tool), span_class="tool")


def test_mlflow_quotes_its_kinds() -> None:
    """Each attribute of it is JSON."""
    usage = json.dumps({"input_tokens": 131, "output_tokens": 9, "total_tokens": 140})
    row = span("mlflow", {"mlflow.spanType": '"CHAT_MODEL"', "mlflow.chat.tokenUsage": usage})
    told(row, span_class="llm", input_tokens=131, output_tokens=9)
    for kind, span_class in (("AGENT", "agent"), ("TOOL", "tool"), ("CHAIN", "node")):
        told(span("mlflow", {"mlflow.spanType": f'"{kind}"'}), span_class=span_class)


@pytest.mark.parametrize(
    ("call_type", "span_class"),
    [
        ("pass_through_endpoint", "llm"),
        ("allm_passthrough_route", "llm"),
        ("aimage_generation", "llm"),
        ("call_mcp_tool", "tool"),
        ("arerank", "node"),
    ],
)
def test_litellm_types_of_call(call_type: str, span_class: str) -> None:
    """What passes through to a provider is a call of its model, too."""
    row = span("litellm", {"llm.request.type": call_type}, name="litellm_request")
    told(row, span_class=span_class)


def test_gemini_cli() -> None:
    """Log events; thoughts are counted beside the output."""
    call = line(
        "gemini-cli",
        {
            "session.id": "t", "model": "gemini-2.5-pro", "input_token_count": 131,
            "output_token_count": 9, "cached_content_token_count": 64, "thoughts_token_count": 20,
            "duration_ms": 900,
        },
        event="gemini_cli.api_response",
    )  # fmt: skip
    told(call, span_class="llm", request_model="gemini-2.5-pro", input_tokens=131,
         output_tokens=29, cache_read_tokens=64, reasoning_tokens=20, thread_id="t",
         outcome="success")  # fmt: skip
    tool = {"function_name": "run_shell_command", "success": False, "error": "exit 1"}
    told(line("gemini-cli", tool, event="gemini_cli.tool_call"), span_class="tool",
         tool_name="run_shell_command", outcome="error", error_message="exit 1")  # fmt: skip


def test_gemini_cli_counts_what_its_searches_read_beside_the_prompt() -> None:
    """It is billed as input; Codex CLI has the same name for its total."""
    counts = {"input_token_count": 131, "output_token_count": 9, "tool_token_count": 40}
    told(line("gemini-cli", counts, event="gemini_cli.api_response"), input_tokens=171,
         output_tokens=9)  # fmt: skip
    codex = {"event.kind": "response.completed", "tool_token_count": 140}
    told(line("codex", counts | codex, event="codex.sse_event"), input_tokens=131)


def test_codex_cli() -> None:
    """One event of a stream tells what it used."""
    used = {"event.name": "codex.sse_event", "event.kind": "response.completed",
            "conversation.id": "t", "model": "gpt-5-codex", "input_token_count": 131,
            "output_token_count": 29, "cached_token_count": 64,
            "reasoning_token_count": 20}  # fmt: skip
    told(line("codex_otel", used), span_class="llm", input_tokens=131, output_tokens=29,
         cache_read_tokens=64, reasoning_tokens=20, thread_id="t")  # fmt: skip
    other = used | {"event.kind": "response.output_item.done"}
    assert line("codex_otel", other)["span_class"] != "llm"
    tool = {"event.name": "codex.tool_result", "tool_name": "shell", "call_id": "c",
            "success": "false", "duration_ms": "20"}  # fmt: skip
    told(line("codex_otel", tool), span_class="tool", tool_name="shell", tool_call_id="c",
         outcome="error")  # fmt: skip


def test_an_exception_that_is_printed_with_its_class_keeps_its_name() -> None:
    """On the event as on the span."""
    printed = [(EXCEPTION, {"exception.type": "<class 'asyncio.exceptions.CancelledError'>"})]
    told(span("x", {"gen_ai.operation.name": "chat"}, events=printed),
         error_class="asyncio.exceptions.CancelledError", outcome="interrupt")  # fmt: skip


def test_a_crew_is_one_run() -> None:
    """CrewAI's kick-off is called a chain; the agents below it are no runs of their own."""
    scope, chain = "openinference.instrumentation.crewai", {"openinference.span.kind": "CHAIN"}
    told(span(scope, chain, name="Crew_1.kickoff"), span_class="agent")
    told(span(scope, chain, name="Flow.step"), span_class="node")
    told(span("another", chain, name="Crew_1.kickoff"), span_class="node")


def test_llama_index_s_tools_are_steps_with_a_tool() -> None:
    """OpenLLMetry calls each step a task."""
    scope = "opentelemetry.instrumentation.llamaindex"
    step = {"traceloop.span.kind": "task", "traceloop.entity.name": "BaseWorkflowAgent.task"}
    told(span(scope, step), span_class="node")
    told(span(scope, step | {"tool.name": "search"}), span_class="tool", tool_name="search")


def test_dspy_calls_a_tool_by_its_method() -> None:
    """The tool's name is what stands before."""
    tool = {"openinference.span.kind": "TOOL"}
    row = span("openinference.instrumentation.dspy", tool, name="search.__call__")
    told(row, span_class="tool", tool_name="search")
    told(span("another", tool, name="search.__call__"), tool_name="search.__call__")


@pytest.mark.parametrize(
    ("sent", "provider"),
    [
        ("OpenAI", "openai"),
        ("AwsBedrock", "aws.bedrock"),
        ("VertexAI", "gcp.vertex_ai"),
        ("Groq", "groq"),
        ("CrewAI", None),
    ],
)
def test_providers_are_written_in_lower_case(sent: str, provider: str | None) -> None:
    """Agno's are not."""
    call = {"openinference.span.kind": "LLM", "llm.provider": sent}
    told(span("openinference.instrumentation.agno", call), provider=provider)


def test_strands_on_bedrock_counts_as_bedrock_does() -> None:
    """Up to version 1.20 it passes on what Converse says, whose total has the cached tokens too."""
    call = {
        "gen_ai.operation.name": "chat", "gen_ai.system": "strands-agents",
        "gen_ai.request.model": "us.anthropic.claude-sonnet-4-20250514-v1:0",
        "gen_ai.usage.input_tokens": 10, "gen_ai.usage.output_tokens": 9,
        "gen_ai.usage.total_tokens": 91, "gen_ai.usage.cache_read_input_tokens": 0,
        "gen_ai.usage.cache_write_input_tokens": 72,
    }  # fmt: skip
    told(span(STRANDS, call), input_tokens=82, output_tokens=9, cache_write_tokens=72)
    large = call | {"gen_ai.usage.input_tokens": 900, "gen_ai.usage.total_tokens": 981}
    told(span(STRANDS, large), input_tokens=972)


def test_bedrock_counts_cached_tokens_apart() -> None:
    """Both instrumentations of OpenTelemetry pass on what it says, without the total."""
    call = {
        "gen_ai.operation.name": "chat", "gen_ai.system": "aws.bedrock",
        "gen_ai.request.model": "us.anthropic.claude-sonnet-4-20250514-v1:0",
        "gen_ai.usage.input_tokens": 900, "gen_ai.usage.output_tokens": 9,
        "gen_ai.usage.cache_read.input_tokens": 600, "gen_ai.usage.cache_creation.input_tokens": 40,
        "gen_ai.response.finish_reasons": ["end_turn"],
    }  # fmt: skip
    for scope in ("botocore.bedrock-runtime", "genai.bedrock"):
        row = span(f"opentelemetry.instrumentation.{scope}", call)
        told(row, span_class="llm", provider="aws.bedrock", input_tokens=1540,
             cache_read_tokens=600, cache_write_tokens=40, finish_reason="end_turn")  # fmt: skip


def test_langfuse_tells_vertex_s_tokens_by_modality() -> None:
    """What is left in `input` and `output` is 0; cached ones are taken out of each modality."""
    usage = {"input": 0, "output": 0, "total": 1050, "input_modality_TEXT": 300,
             "input_modality_IMAGE": 100, "cached_modality_TEXT": 600,
             "output_modality_TEXT": 50}  # fmt: skip
    call = {"langfuse.observation.type": "generation",
            "langfuse.observation.usage_details": json.dumps(usage)}  # fmt: skip
    told(span("langfuse-sdk", call), input_tokens=1000, cache_read_tokens=600, output_tokens=50)


def test_a_stream_of_vercel_s_that_ended_without_its_end_was_cut() -> None:
    """Its finish reason is then `unknown`; one that used tokens was whole."""
    call = {
        "ai.operationId": "ai.streamText.doStream", "ai.response.finishReason": "unknown",
        "gen_ai.response.finish_reasons": ["unknown"], "ai.response.msToFirstChunk": 12,
    }  # fmt: skip
    told(span("ai", call), outcome="error", outcome_reason="incomplete", finish_reason=None)
    told(span("ai", call | {"ai.usage.outputTokens": 9}), outcome="success")


def test_a_tool_that_claude_code_s_user_refused_did_not_fail() -> None:
    """It never ran: somebody was asked, and said no."""
    for name in ("decision_type", "decision"):
        result = {"event.name": "tool_result", "tool_name": "Bash", "success": "false",
                  name: "reject"}  # fmt: skip
        row = line("com.anthropic.claude_code.events", result, body="claude_code.tool_result")
        told(row, span_class="tool", outcome="interrupt", outcome_reason="human")
        row = line("com.anthropic.claude_code.events", result | {name: "accept"},
                   body="claude_code.tool_result")  # fmt: skip
        told(row, span_class="tool", outcome="error", outcome_reason=None)


@pytest.mark.parametrize(
    "attributes",
    [
        {"metadata": json.dumps({"tenantId": "acme", "userId": "u", "sessionId": "t"})},
        {"metadata": json.dumps({"tenantId": "acme", "userId": "u", "conversationId": "t"})},
        {"traceloop.association.properties.tenantId": "acme",
         "traceloop.association.properties.userId": "u",
         "traceloop.association.properties.chat_id": "t"},
        {"ai.settings.context.tenant_id": "acme", "ai.settings.context.userId": "u",
         "session.id": "t"},
        {"langsmith.metadata.tenantId": "acme", "langsmith.metadata.userId": "u",
         "langsmith.metadata.threadId": "t"},
    ],
)  # fmt: skip
def test_identity_as_javascript_writes_it(attributes: dict[str, str]) -> None:
    """In whichever way the library lets its user name tenant, user and conversation."""
    told(span("x", attributes), tenant_id="acme", user_id="u", thread_id="t")


def test_azure_s_agents_run_threads() -> None:
    """A run that is waited for is one span; of one that is polled the last poll tells the usage."""
    whole = {
        "gen_ai.operation.name": "process_thread_run", "gen_ai.system": "az.ai.agents",
        "gen_ai.thread.id": "t", "gen_ai.thread.run.id": "r", "gen_ai.response.model": "gpt-4o",
        "gen_ai.usage.input_tokens": 131, "gen_ai.usage.output_tokens": 9,
    }  # fmt: skip
    scope = "azure.ai.agents"
    told(span(scope, whole), span_class="agent", thread_id="t", provider="azure.ai.inference",
         input_tokens=131, output_tokens=9)  # fmt: skip
    last = whole | {"gen_ai.operation.name": "get_thread_run"}
    told(span(scope, last), span_class="llm", response_id="r", input_tokens=131)
    poll = {k: v for k, v in last.items() if not k.startswith("gen_ai.usage")}
    told(span(scope, poll), span_class="other", thread_id="t")


def test_google_s_sdk_as_its_instrumentations_tell_it() -> None:
    """OpenTelemetry's adds thoughts to the output, as OpenInference's does; neither adds cached."""
    call = {
        "gen_ai.operation.name": "generate_content", "gen_ai.provider.name": "gcp.gemini",
        "gen_ai.request.model": "gemini-2.5-flash", "gen_ai.response.id": "r",
        "gen_ai.response.finish_reasons": ["stop"], "gen_ai.usage.input_tokens": 131,
        "gen_ai.usage.output_tokens": 29, "gen_ai.usage.cache_read.input_tokens": 64,
        "gen_ai.usage.reasoning.output_tokens": 20,
    }  # fmt: skip
    used: dict[str, Any] = {"input_tokens": 131, "output_tokens": 29, "cache_read_tokens": 64,
                            "reasoning_tokens": 20}  # fmt: skip
    row = span("opentelemetry.instrumentation.google_genai", call)
    told(row, span_class="llm", finish_reason="stop", response_id="r", **used)
    counts = {
        "openinference.span.kind": "LLM", "llm.model_name": "gemini-2.5-flash",
        "llm.provider": "google", "llm.token_count.prompt": 131, "llm.token_count.completion": 29,
        "llm.token_count.total": 160, "llm.token_count.prompt_details.cache_read": 64,
        "llm.token_count.completion_details.reasoning": 20,
    }  # fmt: skip
    told(span("openinference.instrumentation.google_genai", counts), span_class="llm", **used)
