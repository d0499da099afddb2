"""How a record ended, in every dialect: its outcome, the reason, and the error."""

from typing import Any

import pytest

from tests.ingest.one_row import EXCEPTION, FAILED, line, span, told

SERVER, CLIENT = 2, 3
CALL_OF = {
    "openinference.instrumentation.openai": {"openinference.span.kind": "LLM"},
    "openinference.instrumentation.anthropic": {"openinference.span.kind": "LLM"},
    "opentelemetry.instrumentation.openai.v1": {"gen_ai.operation.name": "chat"},
    "pydantic-ai": {"gen_ai.operation.name": "chat"},
    "opentelemetry.instrumentation.genai.openai": {"gen_ai.operation.name": "chat"},
    "opentelemetry.instrumentation.genai.anthropic": {"gen_ai.operation.name": "chat"},
    "com.anthropic.sdk.python": {"gen_ai.operation.name": "chat"},
}


# They report a connection that broke as an error: what ends without one, its caller ended.
LEFT = dict.fromkeys(CALL_OF, "interrupt") | {"opentelemetry.instrumentation.openai.v1": "error"}
OK = {"status": {"code": 1}}
# It says OK of every stream that it followed, and so of those that were cut.
FOLLOWS: dict[str, Any] = {"opentelemetry.instrumentation.openai.v1": OK}
# It tells whose answer it is as soon as that begins.
BEGUN: dict[str, Any] = {
    "openinference.instrumentation.anthropic": {"gen_ai.response.id": "m"},
    "opentelemetry.instrumentation.genai.anthropic": {"gen_ai.response.id": "m"},
}
# Of a stream of Anthropic's usage begins with the first event.
STOPS = (*BEGUN, "com.anthropic.sdk.python")


@pytest.mark.parametrize("scope", CALL_OF)
def test_a_call_with_no_sign_of_a_whole_response_was_cut(scope: str) -> None:
    """Where the library gives one with every whole response; and never is a failure renamed."""
    call = CALL_OF[scope] | BEGUN.get(scope, {})
    silent = span(scope, call, name="ChatCompletion", **FOLLOWS.get(scope, {}))
    told(silent, outcome=LEFT[scope], outcome_reason="incomplete")
    finished = {"gen_ai.response.finish_reasons": ["stop"]}
    told(span(scope, call | finished, name="ChatCompletion"), outcome="success")
    failed = span(scope, call | {"error.type": "RateLimitError"}, name="ChatCompletion", **FAILED)
    told(failed, outcome="error", outcome_reason="provider")


@pytest.mark.parametrize("scope", CALL_OF)
def test_nothing_was_cut_of_a_request_that_was_refused(scope: str) -> None:
    """A status of 400 has no reason that is known; that it has no answer either is none."""
    refused = CALL_OF[scope] | {"error.type": "openai.BadRequestError"}
    told(span(scope, refused, name="ChatCompletion", **FAILED),
         outcome="error", outcome_reason=None)  # fmt: skip
    slow = CALL_OF[scope] | {"error.type": "openai.APITimeoutError"}
    told(span(scope, slow, name="ChatCompletion", **FAILED), outcome_reason="timeout")


@pytest.mark.parametrize("scope", CALL_OF)
def test_usage_is_a_sign_of_a_whole_response_where_it_comes_last(scope: str) -> None:
    """Libraries that say OK of every whole response say it there as well."""
    used = CALL_OF[scope] | {"gen_ai.usage.input_tokens": 9, "gen_ai.usage.output_tokens": 1}
    says_ok = scope in STOPS or scope.startswith("openinference")
    told(span(scope, used, name="ChatCompletion", status={"code": int(says_ok)}), outcome="success")
    if scope in STOPS:
        told(span(scope, used), outcome="interrupt", outcome_reason="incomplete")


def test_openinference_says_ok_of_every_stream_that_came_to_its_end() -> None:
    """Of the Responses API as well; of what ended without its last event it tells no usage."""
    scope, call = "openinference.instrumentation.openai", {"openinference.span.kind": "LLM"}
    told(span(scope, call, name="Response"), outcome="interrupt", outcome_reason="incomplete")
    told(span(scope, call, name="Response", status={"code": 1}), outcome="success")
    told(span(scope, call, name="ChatCompletion", status={"code": 1}),
         outcome="error", outcome_reason="incomplete")  # fmt: skip
    embedding = {"openinference.span.kind": "EMBEDDING"}
    told(span(scope, embedding, name="CreateEmbeddings"), outcome="success")


def test_usage_of_the_responses_api_comes_with_its_last_event() -> None:
    """OpenInference says no OK where the caller stops reading there."""
    used = {"openinference.span.kind": "LLM", "llm.token_count.prompt": 131,
            "llm.token_count.completion": 9}  # fmt: skip
    told(span("openinference.instrumentation.openai", used, name="Response"), outcome="success")


def test_langfuse_says_of_any_span_that_it_failed() -> None:
    """Its JavaScript SDK sets no status; what stands above LangChain's agents is just a span."""
    for level, outcome in (("ERROR", "error"), ("WARNING", None), ("DEFAULT", None)):
        said = {"langfuse.observation.type": "span", "langfuse.observation.level": level}
        told(span("langfuse-sdk", said), span_class="other", outcome=outcome)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("Error: Abort", "client_disconnect"),
        ("AbortError: This operation was aborted", "client_disconnect"),
        ("APIUserAbortError: Request was aborted.", "client_disconnect"),
        ("GraphInterrupt: [{}]", "human"),
    ],
)
def test_langfuse_says_error_of_what_its_caller_stopped(message: str, reason: str) -> None:
    """In JavaScript, where a stop button aborts: that is no failure of the agent."""
    said = {
        "langfuse.observation.type": "span", "langfuse.observation.level": "ERROR",
        "langfuse.observation.status_message": message,
    }  # fmt: skip
    told(span("langfuse-sdk", said), outcome="interrupt", outcome_reason=reason)
    failed = said | {"langfuse.observation.status_message": "Error: Abnormal"}
    told(span("langfuse-sdk", failed), outcome="error", outcome_reason=None)


def test_a_whole_response_of_openai_has_no_finish_reason_named_error_in_langchain() -> None:
    """Its Responses API gives none, of which genai.langchain makes one; usage comes at the end."""
    scope, whole = "opentelemetry.instrumentation.genai.langchain", {
        "gen_ai.operation.name": "chat", "gen_ai.response.finish_reasons": ["error"],
        "gen_ai.response.id": "resp_1", "gen_ai.usage.output_tokens": 17,
    }  # fmt: skip
    told(span(scope, whole), outcome="success", finish_reason=None)
    told(span(scope, whole, **FAILED), outcome="error")
    without = {name: value for name, value in whole.items() if "usage" not in name}
    for other in (without, whole | {"gen_ai.response.id": "msg_1"}):
        told(span(scope, other), outcome="error", outcome_reason="incomplete")
    told(span("another", whole), outcome="error", outcome_reason="incomplete")


def test_openinference_says_nothing_of_a_raw_stream_of_anthropic() -> None:
    """Behind `with_raw_response`, as LangChain asks for every stream, it ends the span at once."""
    raw = {"openinference.span.kind": "LLM", "llm.model_name": "claude-sonnet-4-5"}
    told(span("openinference.instrumentation.anthropic", raw), outcome="success")


def test_traceloop_says_nothing_of_a_raw_response() -> None:
    """It ends the span of a stream behind `with_raw_response` when the stream begins."""
    raw = {"gen_ai.operation.name": "chat", "gen_ai.is_streaming": True}
    told(span("opentelemetry.instrumentation.openai.v1", raw), outcome="success")


def test_a_stream_of_vercels_sdk_has_an_end_unless_its_caller_left() -> None:
    """Of one that was aborted in a later step the reason is unknown, and usage is missing."""
    stream = {"ai.operationId": "ai.streamText"}
    for left in (stream, stream | {"ai.response.finishReason": "unknown"}):
        told(span("ai", left, name="ai.streamText"),
             span_class="agent", outcome="interrupt", outcome_reason="incomplete")  # fmt: skip
    for end in ({"ai.response.finishReason": "stop"}, {"ai.usage.outputTokens": 9}):
        told(span("ai", stream | end, name="ai.streamText"), outcome="success")
    generated = {"ai.operationId": "ai.generateText"}
    told(span("ai", generated, name="ai.generateText"), outcome="success")


def test_logfire_tells_why_every_stream_of_anthropic_ended() -> None:
    """A record of the answer without a finish reason is of one that its caller closed."""
    stream = "streaming response from {request_data[model]!r} took {duration:.2f}s"
    answer = {"gen_ai.operation.name": "chat", "gen_ai.response.id": "msg_1",
              "gen_ai.usage.output_tokens": 1}  # fmt: skip
    told(span("logfire.anthropic", answer, name=stream), outcome="interrupt")
    whole = answer | {"gen_ai.response.finish_reasons": ["end_turn"]}
    told(span("logfire.anthropic", whole, name=stream), outcome="success")
    told(span("logfire.anthropic", answer, name="Message with {x}"), outcome="success")


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
        ("langchain_openai.chat_models.base.OpenAIRateLimitError", "error", "provider"),
        ("langchain_openai.chat_models.base.OpenAIConnectionError", "error", "provider"),
        ("langchain_anthropic.chat_models.AnthropicOverloadedError", "error", "provider"),
        ("langchain_anthropic.chat_models.AnthropicTimeoutError", "error", "timeout"),
        ("langchain_openai.chat_models._client_utils.StreamChunkTimeoutError", "error", "timeout"),
        ("pydantic_ai.exceptions.ModelConnectionError", "error", "provider"),
        ("pydantic_ai.exceptions.ModelQuotaExceededError", "error", "provider"),
        ("pydantic_ai.exceptions.ModelRequestTimeout", "error", "timeout"),
        ("pydantic_ai.exceptions.RunTimedOut", "error", "timeout"),
        ("ValueError", "error", None),
        # somebody is asked
        ("langgraph.errors.GraphBubbleUp", "interrupt", "human"),
        ("pydantic_ai.exceptions.ApprovalRequired", "interrupt", "human"),
        ("strands.interrupt.InterruptException", "interrupt", "human"),
        ("google.adk.workflow._errors.NodeInterruptedError", "interrupt", "human"),
        ("agent_framework.exceptions.UserInputRequiredException", "interrupt", "human"),
        ("crewai.flow.async_feedback.types.HumanFeedbackPending", "interrupt", "human"),
        ("haystack.core.errors.BreakpointException", "interrupt", "human"),
        # the caller left
        ("trio.Cancelled", "interrupt", "client_disconnect"),
        ("starlette.requests.ClientDisconnect", "interrupt", "client_disconnect"),
        ("AbortError", "interrupt", "client_disconnect"),
        ("ResponseAborted", "interrupt", "client_disconnect"),
        ("APIUserAbortError", "interrupt", "client_disconnect"),
        ("org.apache.catalina.connector.ClientAbortException", "interrupt", "client_disconnect"),
        ("System.OperationCanceledException", "interrupt", "client_disconnect"),
        ("agno.exceptions.RunCancelledException", "interrupt", "client_disconnect"),
        ("pydantic_ai.exceptions.RunCancelled", "interrupt", "client_disconnect"),
        # the process ended
        ("KeyboardInterrupt", "interrupt", "shutdown"),
        ("SystemExit", "interrupt", "shutdown"),
        # nothing failed
        ("langgraph.errors.ParentCommand", "success", None),
        ("agent_framework._middleware.MiddlewareTermination", "success", None),
        # it failed
        ("smolagents.utils.AgentMaxStepsError", "error", "recursion_limit"),
        (
            "google.adk.agents.invocation_context.LlmCallsLimitExceededError",
            "error",
            "recursion_limit",
        ),
        ("java.net.SocketTimeoutException", "error", "timeout"),
        ("strands.types.exceptions.ModelThrottledException", "error", "provider"),
        ("botocore.errorfactory.ModelStreamErrorException", "error", "incomplete"),
    ],
)
def test_the_error_says_why_it_ended(error: str, outcome: str, reason: str | None) -> None:
    """By its class, wherever that stands: on the span or on its exception event."""
    node = {"gen_ai.operation.name": "execute_task"}
    on_event = [(EXCEPTION, {"exception.type": error, "exception.message": "m"})]
    told(span("x", node | {"error.type": error}, **FAILED), outcome=outcome, outcome_reason=reason)
    told(span("x", node, events=on_event, **FAILED), outcome=outcome, outcome_reason=reason,
         error_class=error, error_message="m")  # fmt: skip


@pytest.mark.parametrize("error", ["BrokenPipeError", "ConnectionResetError", "ECONNRESET"])
def test_a_broken_connection_is_of_whom_the_span_speaks_with(error: str) -> None:
    """An agent speaks with its caller, who left; a model call with the provider, which failed."""
    for operation, outcome, reason in (
        ("invoke_agent", "interrupt", "client_disconnect"),
        ("chat", "error", "incomplete"),
        ("execute_tool", "error", None),
    ):
        row = span("x", {"gen_ai.operation.name": operation, "error.type": error}, **FAILED)
        told(row, outcome=outcome, outcome_reason=reason)


@pytest.mark.parametrize(
    ("finish", "outcome", "reason"),
    [
        ("interrupt", "interrupt", "human"),
        ("suspended", "interrupt", "human"),
        ("aborted", "interrupt", "client_disconnect"),
        ("canceled", "interrupt", "client_disconnect"),
        ("error", "error", "incomplete"),
        ("tool_calls", "success", None),
    ],
)
def test_the_finish_reason_says_how_it_ended(finish: str, outcome: str, reason: str | None) -> None:
    """Of agents as well, where a framework names one."""
    for operation in ("chat", "invoke_agent"):
        named = {"gen_ai.operation.name": operation, "gen_ai.response.finish_reasons": [finish]}
        told(span("x", named), outcome=outcome, outcome_reason=reason)


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


def test_an_agent_of_autogen_says_ok_before_its_stream_begins() -> None:
    """What its generator raised is how it ended."""
    scope, agent = "openinference.instrumentation.autogen_agentchat", "AGENT"
    for error, outcome in (("ValueError", "error"), ("CancelledError", "interrupt")):
        raised = [(EXCEPTION, {"exception.type": error, "exception.message": "m"})]
        told(span(scope, {"openinference.span.kind": agent}, events=raised, status={"code": 1}),
             outcome=outcome)  # fmt: skip


def test_langsmith_says_ok_before_it_knows() -> None:
    """What failed after that has an exception beside it, elsewhere one that was dealt with."""
    tool = {"gen_ai.operation.name": "execute_tool", "langsmith.span.kind": "tool"}
    text = "RateLimitError('Error code: 429')\n\nTraceback (most recent call last):"
    raised = [(EXCEPTION, {"exception.type": "Exception", "exception.message": text})]
    told(span("langsmith", tool, events=raised, status={"code": 1}),
         outcome="error", outcome_reason="provider", error_class="RateLimitError")  # fmt: skip
    told(span("langsmith", tool, status={"code": 1}), outcome="success")
    told(span("any", tool, events=raised, status={"code": 1}), outcome="success")


def test_a_finish_reason_that_means_a_cut() -> None:
    """OpenTelemetry: a stream cut short reports `error`; a length reached is no failure."""
    chat = {"gen_ai.operation.name": "chat"}
    cut = span("x", chat | {"gen_ai.response.finish_reasons": ["error"]})
    told(cut, outcome="error", outcome_reason="incomplete")
    told(span("x", chat | {"gen_ai.response.finish_reasons": ["length"]}), outcome="success")


@pytest.mark.parametrize(
    ("said", "outcome", "reason"),
    [
        ("ok", "success", None), ("OK", "success", None), ("Completed", "success", None),
        ("succeeded", "success", None), ("failed", "error", None), ("FAILURE", "error", None),
        ("cancelled", "interrupt", "client_disconnect"),
        ("aborted", "interrupt", "client_disconnect"),
        ("timeout", "error", "timeout"), ("timed_out", "error", "timeout"),
        ("interrupted", "interrupt", None), ("input-required", "interrupt", "human"),
    ],
)  # fmt: skip
def test_an_outcome_in_other_words(said: str, outcome: str, reason: str | None) -> None:
    """The usual words for it are known, in upper or lower case, on spans and on lines."""
    run = {"gen_ai.operation.name": "invoke_agent", "agent.outcome": said}
    told(span("any", run), outcome=outcome, outcome_reason=reason)
    told(line("", {"outcome": said}, event="agent.run"), outcome=outcome, outcome_reason=reason)


def test_a_reason_that_is_stated_comes_before_that_of_the_word() -> None:
    """An application that cancels for want of money knows better than the word it ends with."""
    stated = {"outcome": "cancelled", "outcome_reason": "budget"}
    told(line("", stated, event="agent.run"), outcome="interrupt", outcome_reason="budget")


def test_a_word_that_states_no_end_is_no_outcome() -> None:
    """`running` is NULL of a line, and a span ended as its status says."""
    run = {"gen_ai.operation.name": "invoke_agent", "outcome": "running"}
    told(span("any", run, **FAILED), outcome="error")
    told(line("", {"outcome": "running"}, event="agent.run"), outcome=None)


def test_the_outcome_of_an_http_status_is_none_of_an_agent() -> None:
    """Spring Boot sends SUCCESS with the status, before the stream is over."""
    http = {"outcome": "SUCCESS"}
    told(span("org.springframework.boot", http, name="http post /ask", **FAILED), outcome=None)


@pytest.mark.parametrize("name", ["http.response.status_code", "http.status_code"])
@pytest.mark.parametrize(
    ("status", "outcome", "reason"),
    [(499, "interrupt", "client_disconnect"), (500, "error", None), (503, "error", None),
     (404, None, None), (429, None, None), (200, None, None)],
)  # fmt: skip
def test_a_server_knows_by_the_status_it_answered_with(
    name: str, status: int, outcome: str | None, reason: str | None
) -> None:
    """499 is nginx's for a client that left. For the 400s a server is not to blame."""
    said = {name: status, "error.type": str(status)} if status >= 500 else {name: status}
    row = span("nginx", said, name="POST /ask", kind=SERVER)
    told(row, span_class="other", outcome=outcome, outcome_reason=reason)


def test_a_server_that_serves_an_agent_ends_by_its_status() -> None:
    """Before the span's own status, and what was raised before either."""
    agent = {"gen_ai.operation.name": "invoke_agent"}
    row = span("x", agent | {"http.response.status_code": 499}, kind=SERVER, **FAILED)
    told(row, outcome="interrupt", outcome_reason="client_disconnect")
    told(span("x", agent | {"http.response.status_code": 502}, kind=SERVER), outcome="error")
    told(span("x", agent | {"http.response.status_code": 404}, kind=SERVER), outcome="success")


def test_a_client_is_told_the_status_of_another() -> None:
    """The span of a request that was answered 499 or 500 does not say how its caller ended."""
    for status in (499, 500):
        told(span("http", {"http.response.status_code": status}, kind=CLIENT), outcome=None)


def test_a_server_whose_handler_was_cancelled_was_interrupted() -> None:
    """Starlette cancels it when the client leaves; the span's status is an error."""
    raised = [(EXCEPTION, {"exception.type": "asyncio.exceptions.CancelledError"})]
    row = span("asgi", {}, name="POST /ask", kind=SERVER, events=raised, **FAILED)
    told(row, outcome="interrupt", outcome_reason="client_disconnect")
