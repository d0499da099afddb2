"""Libraries above an SDK that is instrumented too: what they say of the response and the agent."""

import json
from typing import Any

import pytest

from tests.ingest.one_row import span, told
from tests.ingest.values import START, at

LANGCHAIN = "openinference.instrumentation.langchain"
CALL = {"openinference.span.kind": "LLM"}
RUN = {"langsmith.span.kind": "llm"}


def result(*, whole: bool, **metadata: Any) -> str:
    """What LangChain makes of a response; of a stream there is no llm_output."""
    message = {"lc": 1, "kwargs": {"content": "", "response_metadata": metadata}}
    output = metadata if whole else None
    return json.dumps({"generations": [[{"text": "", "message": message}]], "llm_output": output})


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("response_id", ["chatcmpl-1", "msg_1", "resp_1"])
def test_langchain_knows_the_id_of_the_response(response_id: str, whole: bool) -> None:
    """As OpenInference and LangSmith send its result: the SDK's own span has the same id."""
    sent = result(whole=whole, id=response_id, model_name="m")
    told(span(LANGCHAIN, CALL | {"output.value": sent}), response_id=response_id)
    told(span("langsmith", RUN | {"gen_ai.completion": sent}), response_id=response_id)


def test_a_result_of_langchain_without_an_id_names_no_response() -> None:
    """OpenAI's streams have none; nor has what is no list where one belongs."""
    sent = result(whole=False, finish_reason="stop", model_name="m")
    told(span(LANGCHAIN, CALL | {"output.value": sent}), response_id=None)
    for broken in ({"generations": []}, {"generations": [[]]}, {"generations": {"0": "x"}}):
        row = span(LANGCHAIN, CALL | {"output.value": json.dumps(broken)})
        told(row, response_id=None)


@pytest.mark.parametrize(
    ("version", "stated", "whole"),
    [("0.1.9", 67, 151), ("0.1.54", 67, 151), ("0.1.55", 151, 151), ("0.1.100", 151, 151),
     ("", 151, 151)],
)  # fmt: skip
def test_langchain_s_anthropic_counted_cached_tokens_apart_up_to_0_1_54(
    version: str, stated: int, whole: int
) -> None:
    """Nothing but the version tells it: no total comes with it, before or since."""
    counts = {
        "openinference.span.kind": "LLM", "llm.token_count.prompt": stated,
        "llm.token_count.completion": 9, "llm.token_count.prompt_details.cache_read": 64,
        "llm.token_count.prompt_details.cache_write": 20,
    }  # fmt: skip
    row = span("openinference.instrumentation.langchain", counts, version=version)
    told(row, input_tokens=whole, cache_read_tokens=64, cache_write_tokens=20)


def test_a_stream_of_langchain_s_anthropic_was_always_counted_whole() -> None:
    """Then LangChain's own counts are told, whose total is the sum."""
    counts = {
        "openinference.span.kind": "LLM", "llm.token_count.prompt": 151,
        "llm.token_count.completion": 9, "llm.token_count.prompt_details.cache_read": 64,
        "llm.token_count.prompt_details.cache_write": 20, "llm.token_count.total": 160,
    }  # fmt: skip
    row = span("openinference.instrumentation.langchain", counts, version="0.1.54")
    told(row, input_tokens=151)


def test_only_a_model_call_has_a_response() -> None:
    """The chain around it repeats its result."""
    sent = result(whole=True, id="chatcmpl-1", model_name="m")
    chain = {"openinference.span.kind": "CHAIN", "output.value": sent}
    told(span(LANGCHAIN, chain), response_id=None)
    told(span("langsmith", {"langsmith.span.kind": "chain", "gen_ai.completion": sent}),
         response_id=None)  # fmt: skip


def test_litellm_s_callbacks_that_speak_openinference() -> None:
    """The id of the response is under a name of their own."""
    told(span("litellm", CALL | {"llm.response.id": "chatcmpl-1"}), response_id="chatcmpl-1")


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.request.stream": False, "gen_ai.server.time_to_first_token": 0.2},
        {"llm.is_streaming": "False",
         "langfuse.observation.completion_start_time": at(START + 10**8).isoformat()},
    ],
)  # fmt: skip
def test_a_call_that_was_not_streamed_has_no_first_token(attributes: dict[str, Any]) -> None:
    """OpenLIT and LiteLLM tell when the whole answer was there."""
    told(span("x", {"gen_ai.operation.name": "chat", **attributes}), ttfb_ms=None)
    streamed = {"gen_ai.request.stream": True, "gen_ai.server.time_to_first_token": 0.2}
    told(span("x", {"gen_ai.operation.name": "chat", **streamed}), ttfb_ms=200.0)


@pytest.mark.parametrize("level", ["DEFAULT", "ERROR"])
def test_langfuse_tells_langgraph_s_interrupt_in_a_message(level: str) -> None:
    """Nothing else of the node says that it waits for a human."""
    waits = {
        "langfuse.observation.type": "chain",
        "langfuse.observation.level": level,
        "langfuse.observation.status_message": "(Interrupt(value={'ask': 1}, id='i'),)",
    }
    told(span("langfuse-sdk", waits), outcome="interrupt", outcome_reason="human")
    said = waits | {"langfuse.observation.status_message": "Interrupt(value=1) was refused"}
    told(span("langfuse-sdk", said), outcome="error" if level == "ERROR" else "success")


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("langsmith.metadata.lc_agent_name", "weather"),
        ("langfuse.trace.metadata.lc_agent_name", '"weather"'),
        ("langfuse.observation.metadata.lc_agent_name", '"weather"'),
    ],
)
def test_langchain_s_agent_is_in_the_metadata(attribute: str, value: str) -> None:
    """Whoever passes it on."""
    told(span("x", {attribute: value}), agent_name="weather")


@pytest.mark.parametrize("call", ["completion", "acompletion", "aresponses", "aembedding"])
def test_litellm_s_name_of_a_call_is_no_agent(call: str) -> None:
    """It is what Langfuse shows where the caller named no trace."""
    told(span("litellm", {"langfuse.trace.name": f"litellm-{call}"}), agent_name=None)
    told(span("litellm", {"langfuse.trace.name": "support"}), agent_name="support")


def test_an_error_of_azure_s_client_is_the_provider_s() -> None:
    """Of a model call; of a tool that calls Azure it is its own."""
    call = {"gen_ai.operation.name": "chat",
            "error.type": "azure.core.exceptions.HttpResponseError"}  # fmt: skip
    failed: Any = {"status": {"code": 2}}
    told(span("x", call, **failed), outcome="error", outcome_reason="provider")
    tool = call | {"gen_ai.operation.name": "execute_tool"}
    told(span("x", tool, **failed), outcome="error", outcome_reason=None)
