"""What each dialect says, and the row it becomes: one record as its library sends it, one row."""

import json

import pytest

from tests.ingest.one_row import CLAUDE, FAILED, line, span, told


def test_langsmith_knows_better_than_the_operation_it_sends() -> None:
    """Its exporter calls a retriever `embeddings` and a prompt template `chat`."""
    for kind, operation in (("retriever", "embeddings"), ("prompt", "chat")):
        row = span("langsmith", {"langsmith.span.kind": kind, "gen_ai.operation.name": operation})
        assert row["span_class"] == "node"


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
    """Its streamed spans never have a finish reason, whole or not; its log event tells it."""
    for scope in ("opentelemetry.instrumentation.openai_v2", "opentelemetry.util.genai.handler"):
        row = span(scope, {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m"})
        told(row, outcome="success", outcome_reason=None)


def test_responses_of_openinference_tell_no_finish_reason() -> None:
    """Its spans of the Responses API never do: of one that came to its end it says OK."""
    row = span("openinference.instrumentation.openai", {"openinference.span.kind": "LLM"},
               name="Response", status={"code": 1})  # fmt: skip
    told(row, outcome="success", outcome_reason=None)


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


@pytest.mark.parametrize(
    ("output", "response_id"),
    [
        ({"id": "chatcmpl-1", "object": "chat.completion.chunk", "model": "m"}, "chatcmpl-1"),
        ({"id": "msg_1", "type": "message", "model": "m", "role": "assistant"}, "msg_1"),
        ({"id": "order-4711", "type": "message", "text": "It is on its way"}, None),
        ({"id": "customer-4711-jane-doe", "object": "invoice"}, None),
        ({"llm_output": {"id": "customer-4711-jane-doe"}}, None),
    ],
)
def test_an_object_that_the_model_wrote_has_no_response_id(
    output: dict[str, str], response_id: str | None
) -> None:
    """Some libraries of OpenInference send the answer in place of the response."""
    row = span("openinference.instrumentation.litellm",
               {"openinference.span.kind": "LLM", "output.value": json.dumps(output)})  # fmt: skip
    told(row, response_id=response_id)


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


def test_more_reasoning_than_output_was_left_out_of_it() -> None:
    """A part cannot exceed its whole, as of cached tokens; equal parts and whole are all of it."""
    for output, whole in ((100, 600), (500, 500), (700, 700)):
        counts = {"gen_ai.usage.output_tokens": output, "gen_ai.usage.reasoning_tokens": 500}
        told(span("x", counts), output_tokens=whole, reasoning_tokens=500)


def test_openllmetry_tells_googles_thoughts_in_the_total_only() -> None:
    """They are billed as output; cached tokens are in the input, whatever is left of the total."""
    scope = "opentelemetry.instrumentation.google_generativeai"
    counts = {"gen_ai.operation.name": "generate_content", "gen_ai.usage.input_tokens": 131,
              "gen_ai.usage.output_tokens": 5,
              "gen_ai.usage.cache_read.input_tokens": 64}  # fmt: skip
    thinking = counts | {"gen_ai.usage.total_tokens": 131 + 5 + 64}
    told(span(scope, thinking), input_tokens=131, output_tokens=69, reasoning_tokens=64,
         cache_read_tokens=64)  # fmt: skip
    plain = counts | {"gen_ai.usage.total_tokens": 136}
    told(span(scope, plain), input_tokens=131, output_tokens=5, reasoning_tokens=None)
    told(span(scope, counts), input_tokens=131, output_tokens=5, reasoning_tokens=None)


def test_llama_index_tells_googles_thoughts_in_the_total_only() -> None:
    """Its model for Google passes on the count of the answer without them; others' have them."""
    scope = "openinference.instrumentation.llama_index"
    counts = {"openinference.span.kind": "LLM", "llm.token_count.prompt": 82,
              "llm.token_count.completion": 13, "llm.token_count.total": 99}  # fmt: skip
    for name in ("GoogleGenAI.achat", "GoogleGenAI.stream_chat"):
        told(span(scope, counts, name=name),
             input_tokens=82, output_tokens=17, reasoning_tokens=4)  # fmt: skip
    told(span(scope, counts, name="OpenAI.achat"), output_tokens=13, reasoning_tokens=None)


def test_pydantic_ai_tells_googles_thoughts() -> None:
    """They are in its output, before version 0.7.5 beside it."""
    counts = {"gen_ai.operation.name": "chat", "gen_ai.usage.output_tokens": 17,
              "gen_ai.usage.details.thoughts_tokens": 4}  # fmt: skip
    for version, output in (("2.68.0", 17), ("0.7.5", 17), ("0.7.4", 21)):
        told(span("pydantic-ai", counts, version=version),
             output_tokens=output, reasoning_tokens=4)  # fmt: skip


def test_openinference_of_bedrock_says_by_the_total_what_the_input_includes() -> None:
    """Up to 0.1.59 cached tokens stood beside it, as Converse counts; since then they are in it."""
    scope = "openinference.instrumentation.bedrock"
    counts = {"openinference.span.kind": "LLM", "llm.token_count.completion": 9,
              "llm.token_count.prompt_details.cache_read": 30,
              "llm.token_count.total": 139}  # fmt: skip
    for name in ("bedrock.converse", "bedrock.converse_stream"):
        beside = {**counts, "llm.token_count.prompt": 100}
        told(span(scope, beside, name=name), input_tokens=130, cache_read_tokens=30)
        within = {**counts, "llm.token_count.prompt": 130}
        told(span(scope, within, name=name), input_tokens=130, cache_read_tokens=30)


def test_openinference_of_bedrock_counts_apart_what_a_stream_of_nova_counts_apart() -> None:
    """Its total is of what it counted; of Claude's models the input of InvokeModel is whole."""
    scope = "openinference.instrumentation.bedrock"
    counts = {"openinference.span.kind": "LLM", "llm.token_count.prompt": 100,
              "llm.token_count.completion": 9, "llm.token_count.prompt_details.cache_read": 30,
              "llm.token_count.total": 109}  # fmt: skip
    told(span(scope, counts, name="bedrock.invoke_model_with_response_stream"), input_tokens=130)
    told(span(scope, counts, name="bedrock.invoke_model"), input_tokens=100)


def test_openinference_of_bedrock_counted_cached_tokens_apart_up_to_0_1_60() -> None:
    """The total, which is Bedrock's own, tells it: afterwards the prompt has them in it."""
    counts = {
        "openinference.span.kind": "LLM", "llm.token_count.completion": 9,
        "llm.token_count.prompt_details.cache_read": 30,
        "llm.token_count.prompt_details.cache_write": 20, "llm.token_count.total": 159,
    }  # fmt: skip
    scope = "openinference.instrumentation.bedrock"
    for name in ("bedrock.converse", "bedrock.invoke_model"):
        before = span(scope, counts | {"llm.token_count.prompt": 100}, name=name)
        told(before, input_tokens=150, output_tokens=9, cache_read_tokens=30, cache_write_tokens=20)
        after = span(scope, counts | {"llm.token_count.prompt": 150}, name=name)
        told(after, input_tokens=150, output_tokens=9, cache_read_tokens=30, cache_write_tokens=20)


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


def test_vercel_up_to_five_counts_bedrocks_cached_tokens_apart() -> None:
    """Bedrock counts them beside the input; version 6 adds them, and tells the rest apart."""
    counts = {"ai.operationId": "ai.streamText.doStream", "ai.model.provider": "amazon-bedrock",
              "ai.usage.cachedInputTokens": 30, "gen_ai.usage.input_tokens": 100}  # fmt: skip
    told(span("ai", counts), input_tokens=130, cache_read_tokens=30)
    told(span("ai", counts | {"ai.usage.inputTokenDetails.noCacheTokens": 70}), input_tokens=100)


def test_vercel_six_adds_what_anthropic_used_to_compact_the_conversation() -> None:
    """Anthropic bills it, and has it in its iterations only, not in its own sum."""
    raw = {"anthropic": {"usage": {"input_tokens": 23_000, "output_tokens": 1000, "iterations": [
        {"type": "compaction", "input_tokens": 180_000, "output_tokens": 3500},
        {"type": "message", "input_tokens": 23_000, "output_tokens": 1000},
    ]}}}  # fmt: skip
    counts = {"ai.operationId": "ai.generateText.doGenerate",
              "ai.usage.inputTokenDetails.noCacheTokens": 203_000,
              "ai.response.providerMetadata": json.dumps(raw),
              "gen_ai.usage.input_tokens": 203_000, "gen_ai.usage.output_tokens": 4500}  # fmt: skip
    told(span("ai", counts), input_tokens=203_000, output_tokens=4500)


def test_vercel_five_counts_googles_thoughts_apart() -> None:
    """Version 6 adds them to the output, and tells the rest of it."""
    raw = {"google": {"usageMetadata": {"candidatesTokenCount": 100, "thoughtsTokenCount": 40}}}
    counts = {"ai.operationId": "ai.streamText.doStream", "ai.usage.reasoningTokens": 40,
              "ai.response.providerMetadata": json.dumps(raw)}  # fmt: skip
    told(span("ai", counts | {"gen_ai.usage.output_tokens": 100}), output_tokens=140)
    six = {"gen_ai.usage.output_tokens": 140, "ai.usage.outputTokenDetails.textTokens": 100}
    told(span("ai", counts | six), output_tokens=140, reasoning_tokens=40)
    only = {name: counts[name] for name in ("ai.operationId", "ai.response.providerMetadata")}
    told(span("ai", only), output_tokens=140, reasoning_tokens=40)


def test_vercel_five_tells_what_google_read_of_its_cache_as_google_does() -> None:
    """Of what was not streamed nowhere else; the input has it."""
    raw = {"google": {"usageMetadata": {"promptTokenCount": 131, "cachedContentTokenCount": 64}}}
    call = {"ai.operationId": "ai.generateText.doGenerate", "gen_ai.usage.input_tokens": 131,
            "ai.response.providerMetadata": json.dumps(raw)}  # fmt: skip
    told(span("ai", call), input_tokens=131, cache_read_tokens=64)


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


def test_langsmith_tells_bedrock_in_its_metadata() -> None:
    """It guesses the system from the model's name: of Bedrock's `anthropic.claude…` Anthropic."""
    call = {"langsmith.span.kind": "llm", "gen_ai.operation.name": "chat",
            "gen_ai.system": "anthropic"}  # fmt: skip
    for of_bedrock in ("amazon_bedrock", "anthropic-bedrock"):
        told(span("langsmith", call | {"langsmith.metadata.ls_provider": of_bedrock}),
             provider="aws.bedrock")  # fmt: skip
    told(span("langsmith", call | {"langsmith.metadata.ls_provider": "x"}), provider="anthropic")


AGENTS_OI, AGENTS_LF = "openinference.instrumentation.openai_agents", "logfire.openai_agents"


@pytest.mark.parametrize(
    ("model", "impl", "provider"),
    [("anthropic/claude-sonnet-4-5", "litellm", "anthropic"),
     ("bedrock/anthropic.claude-sonnet-4-5-20250929-v1:0", "litellm", "aws.bedrock"),
     ("openrouter/openai/gpt-4o", "litellm", "openrouter"), ("gpt-4o", "litellm", "openai"),
     ("anthropic/claude-sonnet-4-5", None, "openai")],
)  # fmt: skip
def test_the_agents_sdk_tells_litellm_s_models_as_openai_s(
    model: str, impl: str | None, provider: str
) -> None:
    """LiteLLM's name begins with the provider; that of another client may be a gateway's."""
    config = json.dumps({"base_url": "", "model_impl": impl})
    told(span(AGENTS_OI, {"openinference.span.kind": "LLM", "llm.system": "openai",
                          "llm.model_name": model, "llm.invocation_parameters": config}),
         provider=provider, request_model=model)  # fmt: skip
    told(span(AGENTS_LF, {"gen_ai.system": "openai", "gen_ai.request.model": model,
                          "model_config": config}, name="Chat completion with {x}"),
         provider=provider, request_model=model)  # fmt: skip


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


def test_langfuse_of_langchain_anthropic() -> None:
    """What was written to the cache stands under the time it is kept, and 0 under its own name."""
    key = "langfuse.observation.usage_details"
    for kept in ("5m", "1h"):
        usage = {"input": 100, "input_cache_read": 1000, "input_cache_creation": 0,
                 "input_ephemeral_5m_input_tokens": 0, "input_ephemeral_1h_input_tokens": 0,
                 f"input_ephemeral_{kept}_input_tokens": 400}  # fmt: skip
        row = span("langfuse-sdk", {key: json.dumps(usage)})
        told(row, input_tokens=1500, cache_read_tokens=1000, cache_write_tokens=400)


def test_langfuse_usage_as_each_provider_counts() -> None:
    """OpenAI's in both its APIs includes cached tokens; Anthropic's does not."""
    key = "langfuse.observation.usage_details"
    for usage in (
        {"prompt_tokens": 131, "prompt_tokens_details": {"cached_tokens": 64}},
        {"input_tokens": 131, "input_tokens_details": {"cached_tokens": 64}},
        {"input_tokens": 67, "cache_read_input_tokens": 64},
    ):
        told(span("langfuse-sdk", {key: json.dumps(usage)}), input_tokens=131, cache_read_tokens=64)


def test_anthropics_own_sdk() -> None:
    """Its stop reason has a name of its own, its errors a word."""
    row = span("com.anthropic.sdk.python", {"gen_ai.operation.name": "chat",
               "anthropic.message.stop_reason": "tool_use"})  # fmt: skip
    told(row, finish_reason="tool_use", outcome="success")
    failed = span("com.anthropic.sdk.python", {"gen_ai.operation.name": "chat",
                  "error.type": "overloaded_error"}, **FAILED)  # fmt: skip
    told(failed, outcome="error", outcome_reason="provider")


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
    """The execution of a tool says how it ended; the wait for a permission is no call."""
    scope = f"{CLAUDE}.tracing"
    call = span(scope, {"span.type": "llm_request", "gen_ai.system": "anthropic", "success": True,
                "gen_ai.request.model": "m", "input_tokens": 2, "output_tokens": 1200,
                "cache_read_tokens": 84562, "cache_creation_tokens": 7096, "ttft_ms": 900,
                "stop_reason": "tool_use", "attempt": 1},
                name="claude_code.llm_request")  # fmt: skip
    told(call, span_class="llm", provider="anthropic", input_tokens=91660, ttfb_ms=900,
         finish_reason="tool_use", outcome="success", attempt=1)  # fmt: skip
    parts = {"interaction": "agent", "tool": "tool", "hook": "other", "tool.execution": "tool",
             "tool.blocked_on_user": "other"}  # fmt: skip
    for name, span_class in parts.items():
        row = span(scope, {"span.type": name}, name=f"claude_code.{name}")
        assert row["span_class"] == span_class, name
