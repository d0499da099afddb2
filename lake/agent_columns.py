"""The columns that spans and logs share, and data points in part.

Who asked, which model and tool, tokens, how it ended.

Sources, in the order in which they are tried: OpenTelemetry GenAI semantic conventions (new and
former names), OpenInference, OpenLLMetry, pydantic-ai, Vercel AI SDK, LiteLLM, LangSmith, Langfuse,
10xgraph, Claude Code.
"""

from lake.column import COUNT, FLAG, REAL, TEXT, Column, record, resource

AGENT_COLUMNS: tuple[Column, ...] = (
    Column(
        "tenant_id",
        TEXT,
        "Paying customer the work was done for",
        sources=record(
            "tenant.id",
            "tenant_id",
            "traceloop.association.properties.tenant_id",
            "metadata.tenant_id",
            "metadata.user_api_key_team_id",
            "litellm.team.id",
            "organization.id",
        )
        + resource("tenant.id", "team.id"),
    ),
    Column(
        "user_id",
        TEXT,
        "End user who asked",
        sources=record(
            "user.id",
            "enduser.id",
            "user_id",
            "traceloop.association.properties.user_id",
            "langfuse.user.id",
            "metadata.user_id",
            "metadata.user_api_key_user_id",
            "ai.telemetry.metadata.userId",
            "tenxgraph.graph.user_id",
            "agentflow.graph.user_id",
        ),
    ),
    Column(
        "thread_id",
        TEXT,
        "Conversation; every run of a thread shares it",
        sources=record(
            "thread_id",
            "gen_ai.conversation.id",
            "session.id",
            "tenxgraph.graph.thread_id",
            "agentflow.graph.thread_id",
            "traceloop.association.properties.thread_id",
            "traceloop.association.properties.session_id",
            "langfuse.session.id",
            "ai.telemetry.metadata.sessionId",
            "langsmith.trace.session_id",
            "langsmith.metadata.thread_id",
            "langsmith.metadata.session_id",
            "metadata.thread_id",
        ),
    ),
    Column(
        "run_id",
        TEXT,
        "One agent request, as its runtime named it",
        sources=record("agent.run.id", "run_id", "prompt.id"),
    ),
    Column(
        "agent_name",
        TEXT,
        "Agent that served the request",
        sources=record(
            "gen_ai.agent.name",
            "agent.name",
            "agent_name",
            "agent",
            "traceloop.workflow.name",
            "ai.telemetry.functionId",
        ),
    ),
    Column(
        "feature",
        TEXT,
        "Product feature the spend is attributed to; the agent's name if unset",
        sources=record("agent.feature", "feature"),
    ),
    Column(
        "node",
        TEXT,
        "Graph node within the agent",
        sources=record(
            "agent.node",
            "node",
            "gen_ai.task.name",
            "traceloop.association.properties.langgraph_node",
            "metadata.langgraph_node",
            "graph.node.name",
            "graph.node.id",
            "tenxgraph.node.name",
            "agentflow.node.name",
        ),
    ),
    Column("span_class", TEXT, "What the record is: agent, llm, tool, node or other"),
    Column(
        "operation",
        TEXT,
        "GenAI operation name as sent",
        sources=record(
            "gen_ai.operation.name",
            "openinference.span.kind",
            "traceloop.span.kind",
            "llm.request.type",
            "ai.operationId",
            "langsmith.span.kind",
        ),
    ),
    Column(
        "provider",
        TEXT,
        "Who served the model",
        sources=record(
            "gen_ai.provider.name",
            "gen_ai.system",
            "llm.provider",
            "llm.system",
            "ai.model.provider",
            "traceloop.association.properties.ls_provider",
            "langsmith.metadata.ls_provider",
            "litellm.provider",
            "provider",
        ),
    ),
    Column(
        "request_model",
        TEXT,
        "Model asked for",
        sources=record(
            "gen_ai.request.model",
            "llm.request.model_name",
            "embedding.model_name",
            "llm.request.model",
            "ai.model.id",
            "langsmith.metadata.ls_model_name",
            "llm.model_name",
            "model",
        ),
    ),
    Column(
        "response_model",
        TEXT,
        "Model that answered; the price is looked up by it first",
        sources=record(
            "gen_ai.response.model",
            "llm.response.model_name",
            "llm.model_name",
            "llm.response.model",
            "ai.response.model",
            "response_model",
        ),
    ),
    Column(
        "response_id",
        TEXT,
        "Provider's id of the response; the same id is the same call",
        sources=record("gen_ai.response.id", "ai.response.id", "response_id", "request_id"),
    ),
    Column(
        "finish_reason",
        TEXT,
        "First finish reason of the response",
        sources=record(
            "gen_ai.response.finish_reasons",
            "llm.finish_reason",
            "ai.response.finishReason",
            "finish_reason",
        ),
    ),
    Column(
        "tool_name",
        TEXT,
        "Tool that was called",
        sources=record(
            "gen_ai.tool.name",
            "tool.name",
            "ai.toolCall.name",
            "tenxgraph.tool.name",
            "agentflow.tool.name",
            "tool_name",
        ),
    ),
    Column(
        "tool_call_id",
        TEXT,
        "The model's id of the tool call",
        sources=record(
            "gen_ai.tool.call.id", "tool_call.id", "tool.id", "ai.toolCall.id", "tool_call_id"
        ),
    ),
    Column(
        "input_tokens",
        COUNT,
        "Prompt tokens, cached ones included; they are added where the source left them out",
        "tokens",
        record(
            "gen_ai.usage.input_tokens",
            "gen_ai.usage.prompt_tokens",
            "llm.token_count.prompt",
            "llm.usage.prompt_tokens",
            "ai.usage.inputTokens",
            "ai.usage.promptTokens",
            "input_tokens",
            "prompt_tokens",
        ),
    ),
    Column(
        "output_tokens",
        COUNT,
        "Completion tokens, reasoning included",
        "tokens",
        record(
            "gen_ai.usage.output_tokens",
            "gen_ai.usage.completion_tokens",
            "llm.token_count.completion",
            "llm.usage.completion_tokens",
            "ai.usage.outputTokens",
            "ai.usage.completionTokens",
            "output_tokens",
            "completion_tokens",
        ),
    ),
    Column(
        "cache_read_tokens",
        COUNT,
        "Part of the input read from the provider's cache",
        "tokens",
        record(
            "gen_ai.usage.cache_read.input_tokens",
            "gen_ai.usage.cache_read_input_tokens",
            "gen_ai.usage.details.cache_read_tokens",
            "llm.token_count.prompt_details.cache_read",
            "ai.usage.cachedInputTokens",
            "cache_read_tokens",
            "cached_tokens",
        ),
    ),
    Column(
        "cache_write_tokens",
        COUNT,
        "Part of the input written to the provider's cache",
        "tokens",
        record(
            "gen_ai.usage.cache_write.input_tokens",
            "gen_ai.usage.cache_creation.input_tokens",
            "gen_ai.usage.cache_creation_input_tokens",
            "gen_ai.usage.details.cache_write_tokens",
            "llm.token_count.prompt_details.cache_write",
            "cache_write_tokens",
            "cache_creation_tokens",
        ),
    ),
    Column(
        "reasoning_tokens",
        COUNT,
        "Part of the output spent on reasoning",
        "tokens",
        record(
            "gen_ai.usage.reasoning.output_tokens",
            "gen_ai.usage.reasoning_tokens",
            "llm.usage.reasoning_tokens",
            "gen_ai.usage.details.reasoning_tokens",
            "llm.token_count.completion_details.reasoning",
            "ai.usage.reasoningTokens",
            "reasoning_tokens",
        ),
    ),
    Column(
        "ttfb_ms",
        REAL,
        "Request accepted to first token sent (agent), or request sent to first chunk (llm); "
        "else start to the first token's span event",
        "ms",
        record("agent.ttfb_ms")
        + record(
            "gen_ai.response.time_to_first_chunk",
            "gen_ai.client.operation.time_to_first_chunk",
            scale=1000.0,
        )
        + record("ai.response.msToFirstChunk", "ai.stream.msToFirstChunk", "ttfb_ms"),
    ),
    Column(
        "streaming",
        FLAG,
        "Whether the response was streamed",
        sources=record("gen_ai.request.stream", "gen_ai.is_streaming", "llm.is_streaming"),
    ),
    Column(
        "outcome", TEXT, "success, error or interrupt", sources=record("agent.outcome", "outcome")
    ),
    Column(
        "outcome_reason",
        TEXT,
        "Why it ended so: client_disconnect, shutdown, human, recursion_limit, provider, timeout",
        sources=record("agent.outcome_reason", "outcome_reason"),
    ),
    Column(
        "error_class",
        TEXT,
        "Class of the error",
        sources=record("error.type", "error_class", "exception.type"),
    ),
    Column(
        "error_message",
        TEXT,
        "Message of the error, secrets masked, at most 500 characters",
        sources=record("error.message", "error_message", "exception.message"),
    ),
    Column(
        "attempt",
        COUNT,
        "Which try this was, from 1",
        "tries",
        record("agent.attempt", "attempt", "pydantic_ai.model_request.attempt"),
    ),
    Column(
        "idempotency_key",
        TEXT,
        "Key under which a write acts at most once",
        sources=record("agent.idempotency_key", "idempotency_key"),
    ),
    Column(
        "reported_cost_usd",
        REAL,
        "Cost as the source reported it; never mixed with the computed cost",
        "USD",
        record(
            "gen_ai.usage.cost",
            "operation.cost",
            "gen_ai.cost.total_cost",
            "litellm.cost.total",
            "llm.cost.total",
            "gen_ai.usage.total_cost",
            "cost_usd",
        ),
    ),
)

FIRST_TOKEN_EVENTS = ("First Token Stream Event", "gen_ai.content.completion.chunk")
"""Span events that mark tokens arriving (OpenInference, OpenLLMetry); the first is the TTFB."""

SPAN_CLASSES: dict[str, str] = {
    **dict.fromkeys(
        (
            "invoke_agent",
            "invoke_workflow",
            "AGENT",
            "agent",
            "workflow",
            "graph",
            "ai.generateText",
            "ai.streamText",
            "ai.generateObject",
            "ai.streamObject",
        ),
        "agent",
    ),
    **dict.fromkeys(
        (
            "chat",
            "text_completion",
            "completion",
            "generate_content",
            "embeddings",
            "LLM",
            "EMBEDDING",
            "llm",
            "embedding",
            "ai.generateText.doGenerate",
            "ai.streamText.doStream",
            "ai.generateObject.doGenerate",
            "ai.streamObject.doStream",
            "ai.embed.doEmbed",
            "ai.embedMany.doEmbed",
        ),
        "llm",
    ),
    **dict.fromkeys(("execute_tool", "TOOL", "tool", "tool_call", "ai.toolCall"), "tool"),
    **dict.fromkeys(("execute_task", "task", "CHAIN", "node"), "node"),
    # Summary, boundary and call lines of a runtime that only logs.
    "agent.run": "agent",
    "agent.node": "node",
    "agent.cost": "llm",
    "agent.tool": "tool",
    # Claude Code
    "claude_code.api_request": "llm",
    "claude_code.api_error": "llm",
    "claude_code.tool_result": "tool",
}
"""span_class by operation name, for logs also by event name or body; any other span is a node if it
names one, and the rest is other."""
