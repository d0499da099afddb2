"""The columns that spans and logs share, and data points in part.

Who asked, which model and tool, tokens, how it ended. From which attributes each is taken says
`mapping.toml`.
"""

from lake.column import COUNT, FLAG, REAL, TEXT, Column

AGENT_COLUMNS: tuple[Column, ...] = (
    Column("tenant_id", TEXT, "Paying customer the work was done for"),
    Column("user_id", TEXT, "End user who asked"),
    Column("thread_id", TEXT, "Conversation; every run of a thread shares it"),
    Column("run_id", TEXT, "One agent request, as its runtime named it"),
    Column("agent_name", TEXT, "Agent that served the request"),
    Column(
        "feature", TEXT, "Product feature the spend is attributed to; the agent's name if unset"
    ),
    Column(
        "hearsay",
        TEXT,
        "Of the six columns above those that the record does not say itself: its resource, its "
        "baggage or JSON metadata does. Comma-separated, NULL for none; a span above comes first",
    ),
    Column("node", TEXT, "Graph node within the agent"),
    Column("span_class", TEXT, "What the record is: agent, llm, tool, node or other"),
    Column("operation", TEXT, "GenAI operation name as sent"),
    Column("provider", TEXT, "Who served the model"),
    Column("request_model", TEXT, "Model asked for"),
    Column("response_model", TEXT, "Model that answered; the price is looked up by it first"),
    Column("response_id", TEXT, "Provider's id of the response; the same id is the same call"),
    Column("finish_reason", TEXT, "First finish reason of the response"),
    Column("tool_name", TEXT, "Tool that was called"),
    Column("tool_call_id", TEXT, "The model's id of the tool call"),
    Column(
        "input_tokens",
        COUNT,
        "Prompt tokens, cached ones included; they are added where the source left them out",
        "tokens",
    ),
    Column("output_tokens", COUNT, "Completion tokens, reasoning included", "tokens"),
    Column(
        "cache_read_tokens", COUNT, "Part of the input read from the provider's cache", "tokens"
    ),
    Column(
        "cache_write_tokens", COUNT, "Part of the input written to the provider's cache", "tokens"
    ),
    Column("reasoning_tokens", COUNT, "Part of the output spent on reasoning", "tokens"),
    Column(
        "ttfb_ms",
        REAL,
        "Request accepted to first token sent (agent), or request sent to first chunk (llm); "
        "else start to the first token's span event",
        "ms",
    ),
    Column("streaming", FLAG, "Whether the response was streamed"),
    Column("outcome", TEXT, "success, error or interrupt"),
    Column(
        "outcome_reason",
        TEXT,
        "Why it ended so: client_disconnect, shutdown, human, recursion_limit, budget, provider, "
        "timeout, incomplete; of a success, why there was no answer: refusal, content_filter",
    ),
    Column("error_class", TEXT, "Class of the error"),
    Column("error_message", TEXT, "Message of the error, secrets masked, at most 500 characters"),
    Column("attempt", COUNT, "Which try this was, from 1", "tries"),
    Column("idempotency_key", TEXT, "Key under which a write acts at most once"),
    Column(
        "reported_cost_usd",
        REAL,
        "Cost as the source reported it; never mixed with the computed cost",
        "USD",
    ),
)

INHERITED = ("tenant_id", "user_id", "thread_id", "run_id", "agent_name", "feature")
"""Whose a record is: what it does not say itself, a span above it may."""
