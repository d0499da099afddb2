"""What Logfire told of calls through vendors' SDKs over the years, and the row it becomes."""

import json
from typing import Any

import pytest

from tests.ingest.one_row import FAILED, span, told

OPENAI, ANTHROPIC = "logfire.openai", "logfire.anthropic"
STREAM = "streaming response from {request_data[model]!r} took {duration:.2f}s"
CHAT = {"gen_ai.operation.name": "chat"}
BY_ANTHROPIC = {"input_tokens": 67, "output_tokens": 9, "cache_read_input_tokens": 64,
                "cache_creation_input_tokens": 20}  # fmt: skip
BY_OPENAI = {
    "prompt_tokens": 131, "completion_tokens": 49, "total_tokens": 180,
    "prompt_tokens_details": {"cached_tokens": 64},
    "completion_tokens_details": {"reasoning_tokens": 40},
}  # fmt: skip


def answered(usage: dict[str, Any]) -> dict[str, str]:
    """The response as Logfire cuts it down."""
    return {"response_data": json.dumps({"message": {"role": "assistant"}, "usage": usage})}


@pytest.mark.parametrize(
    "said",
    [
        answered(BY_ANTHROPIC),
        answered(BY_ANTHROPIC) | {"gen_ai.usage.input_tokens": 67, "gen_ai.usage.output_tokens": 9},
        answered(BY_ANTHROPIC) | {"gen_ai.usage.input_tokens": 151, "gen_ai.usage.output_tokens": 9,
                                  "gen_ai.usage.raw": json.dumps(BY_ANTHROPIC)},
        {"gen_ai.usage.input_tokens": 151, "gen_ai.usage.output_tokens": 9,
         "gen_ai.usage.raw": json.dumps(BY_ANTHROPIC)},
    ],
    ids=["4.16", "4.22", "4.32", "5.0"],
)  # fmt: skip
def test_logfire_tells_tokens_as_anthropic_counts_them(said: dict[str, Any]) -> None:
    """In the response, and as its own count, which has the cached ones in it since version 4.32."""
    row = span(ANTHROPIC, CHAT | said | {"gen_ai.response.id": "msg_1"})
    told(row, input_tokens=151, output_tokens=9, cache_read_tokens=64, cache_write_tokens=20)


@pytest.mark.parametrize("own", [{}, {"gen_ai.usage.input_tokens": 131}])
def test_logfire_tells_tokens_as_openai_counts_them(own: dict[str, int]) -> None:
    """Of streams nothing but the response tells any."""
    row = span(OPENAI, CHAT | answered(BY_OPENAI) | own | {"gen_ai.response.id": "chatcmpl-1"})
    told(row, input_tokens=131, output_tokens=49, cache_read_tokens=64, reasoning_tokens=40)


@pytest.mark.parametrize("part", ["prompt_tokens_details", "input_tokens_details"])
def test_logfire_tells_openai_s_usage_as_it_came(part: str) -> None:
    """Of completions and of responses."""
    raw = {"gen_ai.usage.raw": json.dumps({part: {"cached_tokens": 64}})}
    told(span(OPENAI, CHAT | raw | {"gen_ai.usage.input_tokens": 131}), cache_read_tokens=64)


def test_a_response_s_data_are_tokens_in_logfire_s_spans_only() -> None:
    """Elsewhere an application calls anything so."""
    told(span("another", CHAT | answered(BY_OPENAI)), input_tokens=None, cache_read_tokens=None)


@pytest.mark.parametrize(
    ("scope", "asked"),
    [
        (OPENAI, "Chat Completion with {request_data[model]!r}"),
        (OPENAI, "Completion with {request_data[model]!r}"),
        (OPENAI, "Responses API with {gen_ai.request.model!r}"),
        (ANTHROPIC, "Message with {request_data[model]!r}"),
    ],
)
def test_logfire_told_a_streamed_answer_without_its_id(scope: str, asked: str) -> None:
    """Up to version 5.2, apart from what asked for it, often without tokens or a finish reason."""
    told(span(scope, CHAT, name=STREAM, version="5.2.0"), span_class="llm", outcome="success")
    told(span(scope, CHAT, name=asked, version="5.2.0"), span_class="other")
    told(span(scope, CHAT, name=asked, **FAILED), span_class="llm", outcome="error")
    for answer in ({"gen_ai.response.id": "r"}, {"gen_ai.usage.output_tokens": 9}):
        told(span(scope, CHAT | answer, name=asked), span_class="llm")


@pytest.mark.parametrize(
    ("version", "outcome"), [("5.2.0", "success"), ("5.3.0", "interrupt"), ("", "interrupt")]
)
def test_logfire_tells_why_a_stream_of_anthropic_ended_since_5_3(
    version: str, outcome: str
) -> None:
    told(span(ANTHROPIC, CHAT, name=STREAM, version=version), outcome=outcome)


@pytest.mark.parametrize(
    ("scope", "asked", "operation", "usage"),
    [
        (OPENAI, "Chat Completion with {request_data[model]!r}", "chat", BY_OPENAI),
        (OPENAI, "Responses API with {gen_ai.request.model!r}", "chat", BY_OPENAI),
        (OPENAI, "Completion with {request_data[model]!r}", "text_completion", BY_OPENAI),
        (OPENAI, "Embedding Creation with {request_data[model]!r}", "embeddings", BY_OPENAI),
        (ANTHROPIC, "Message with {request_data[model]!r}", "chat", BY_ANTHROPIC),
    ],
)
def test_logfire_named_calls_by_its_templates_only(
    scope: str, asked: str, operation: str, usage: dict[str, Any]
) -> None:
    """Up to version 4.18, and the model of Anthropic's in the request only."""
    call = {"logfire.msg_template": asked, "request_data": json.dumps({"model": "m"})}
    whole = call | answered(usage)
    told(span(scope, whole, name=asked), span_class="llm", operation=operation, request_model="m")
    told(span(scope, call, name=asked, **FAILED), span_class="llm", outcome="error")
    told(span("another", whole, name=asked), span_class="other", request_model=None)


@pytest.mark.parametrize("scope", [OPENAI, ANTHROPIC])
def test_logfire_named_a_streamed_answer_by_its_template_only(scope: str) -> None:
    """What asked for it is no call beside it."""
    told(span(scope, {"logfire.msg_template": STREAM}, name=STREAM, version="4.16.0", seconds=0.0),
         span_class="llm", outcome="success", duration_ms=None)  # fmt: skip
    asked = "Message with {request_data[model]!r}"
    if scope == OPENAI:
        asked = "Completion with {request_data[model]!r}"
    told(span(scope, {"logfire.msg_template": asked}, name=asked), span_class="other")
