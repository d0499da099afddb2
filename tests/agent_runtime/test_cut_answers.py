"""Answers that are cut or withheld: no tool runs on half a call, and whoever asks sees why."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from agent_runtime import Context, Model, RunResult, Runtime, Tool, tool

from .agents import chatting
from .conftest import Telemetry
from .raw_provider import Asked, answering
from .test_anthropic_protocol import START, begin, delta
from .test_anthropic_protocol import stream as events
from .test_openai_protocol import GOOD, stream, text

sent: list[tuple[int, str]] = []


@tool(writes=True)
async def transfer(ctx: Context, cents: int = 10_000, to: str = "default") -> str:
    """Sends money."""
    sent.append((cents, to))
    return "sent"


def run(url: str, name: str, *said: str, of: Tool = transfer) -> list[RunResult]:
    async def all_of_them() -> list[RunResult]:
        model = Model(name, base_url=url, api_key="k", max_attempts=1)
        who = {"thread_id": "t1", "tenant_id": "acme", "user_id": "ada"}
        async with Runtime(chatting(model, [of]), agent_name="support") as runtime:
            return [await runtime.run(each, **who) for each in said]

    sent.clear()
    return asyncio.run(all_of_them())


def calls(finish: str, *arguments: str) -> bytes:
    """Calls of the tool over chat completions."""
    pieces = [{"index": at, "id": f"c{at}", "function": {"name": "transfer", "arguments": each}}
              for at, each in enumerate(arguments)]  # fmt: skip
    return stream({"choices": [{"delta": {"tool_calls": pieces}, "finish_reason": finish}]})


def stopped(reason: str, *before: dict[str, Any]) -> bytes:
    """An answer of Anthropic's."""
    end = {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {"output_tokens": 7}}
    return events(START, *before, end, {"type": "message_stop"})


USE = begin(0, {"type": "tool_use", "id": "c0", "name": "transfer", "input": {}})
HALF = delta(0, "input_json_delta", partial_json='{"cents": 5, "t')
FINE = stopped("end_turn", begin(0, {"type": "text", "text": "fine"}))


CUT = ("model_length", "MAX_TOKENS", "max_output_tokens", "abort", "sensitive", "network_error",
       "SAFETY", "incomplete", "something new")  # fmt: skip
WHOLE = ("stop", "STOP", "tool_calls", "function_call", "eos", "completed", "TOOL_CALL")


@pytest.mark.parametrize(
    ("name", "cut", "then"),
    [
        ("openai:m", calls("length", ""), GOOD),
        ("openai:m", calls("length", '{"cents": 5'), GOOD),
        ("openai:m", calls("content_filter", ""), GOOD),
        *(("mistral:m", calls(reason, ""), GOOD) for reason in CUT),
        ("anthropic:m", stopped("max_tokens", USE), FINE),
        ("anthropic:m", stopped("max_tokens", USE, HALF), FINE),
        ("anthropic:m", stopped("refusal", USE), FINE),
    ],
)
def test_a_call_that_was_cut_is_not_made(
    telemetry: Telemetry, name: str, cut: bytes, then: bytes
) -> None:
    """Its arguments have not come, or not all: with its defaults the tool would do what nobody has
    asked for. The model is told why."""
    with answering(cut, then) as (url, _):
        [result] = run(url, name, "send 5 cents to bob")
    assert not sent
    _, asked, answer, last = result.messages
    assert asked.tool_calls[0].cut
    assert "was cut before the arguments of transfer were whole" in answer.content
    assert last.content == "fine"
    [line] = telemetry.lines("agent.tool")
    assert line["error_class"] == "agent_runtime.errors.CallCut"


def test_a_thought_that_was_cut_is_not_sent_back(telemetry: Telemetry) -> None:
    """It has no signature yet, without which Anthropic refuses the thread for ever."""
    half = begin(0, {"type": "thinking", "thinking": "", "signature": ""})
    cut = stopped("max_tokens", half, delta(0, "thinking_delta", thinking="Hm"))
    with answering(cut, FINE) as (url, asked):
        run(url, "anthropic:m", "hi", "hello?")
    said = [each["role"] for each in asked[1].body["messages"]]
    assert said == ["user"]


def test_the_whole_calls_of_a_cut_answer_are_made(telemetry: Telemetry) -> None:
    """Those that came before the cut."""
    with answering(calls("length", '{"cents": 5, "to": "bob"}', ""), GOOD) as (url, _):
        [result] = run(url, "openai:m", "send 5 cents to bob, and more")
    assert sent == [(5, "bob")]
    assert [call.cut for call in result.messages[1].tool_calls] == [False, True]


@pytest.mark.parametrize(
    ("name", "answer", "then"),
    [
        *(("vllm:m", calls(reason, "{}"), GOOD) for reason in WHOLE),
        ("anthropic:m", stopped("tool_use", USE), FINE),
        (
            "anthropic:m",
            stopped("tool_use", USE, delta(0, "input_json_delta", partial_json="")),
            FINE,
        ),
    ],
)
def test_a_write_is_made_with_its_defaults_when_the_model_said_so(
    telemetry: Telemetry, name: str, answer: bytes, then: bytes
) -> None:
    """By ``{}`` in an answer that is whole; Anthropic sends no more than its beginning of it."""
    with answering(answer, then) as (url, _):
        run(url, name, "send the usual")
    assert sent == [(10_000, "default")]


@pytest.mark.parametrize(
    "answer", [*(calls(reason, "") for reason in WHOLE), *(calls(each, "{}") for each in CUT)]
)
def test_a_write_of_which_no_arguments_came_is_not_made(
    telemetry: Telemetry, answer: bytes
) -> None:
    """Some servers say that a call is whole which was cut, some complete it as ``{}``. The model
    hears what it can do about it."""
    with answering(answer, GOOD) as (url, _):
        [result] = run(url, "vllm:m", "send 5 cents to bob")
    assert not sent
    assert "write at least one argument" in result.messages[2].content
    [line] = telemetry.lines("agent.tool")
    assert line["error_class"] == "agent_runtime.errors.CallCut"


@pytest.mark.parametrize("wrote", ["", "{}"])
def test_what_needs_no_arguments_is_called_without(telemetry: Telemetry, wrote: str) -> None:
    """A read with its defaults, and a write that has no parameters."""
    made: list[str] = []

    @tool(name="transfer")
    async def read(days: int = 7) -> str:
        """Reads."""
        made.append(f"read {days}")
        return "read"

    @tool(name="transfer", writes=True)
    async def write() -> str:
        """Writes."""
        made.append("written")
        return "written"

    for each in (read, write):
        with answering(calls("tool_calls", wrote), GOOD) as (url, _):
            [result] = run(url, "vllm:m", "do it", of=each)
        assert result.text == "fine"
    assert made == ["read 7", "written"]


@pytest.mark.parametrize("arguments", ['{"cents": 5', "[5]", "5", "", "cents"])
def test_what_is_no_json_does_not_spoil_the_thread(telemetry: Telemetry, arguments: str) -> None:
    """Vendors parse the arguments of earlier calls, and refuse the thread for ever if they
    cannot."""
    with answering(calls("length", arguments), GOOD) as (url, asked):
        first, second = run(url, "openai:m", "hi", "hello again")
    assert (first.outcome.kind, second.outcome.kind) == ("success", "success")
    given = {"invalid_arguments": arguments} if arguments else {}
    assert [_arguments_sent(each) for each in asked[1:]] == [given, given]


def test_arguments_are_sent_back_as_they_were_written(telemetry: Telemetry) -> None:
    """With their numbers, however long, and their blanks."""
    written = '{ "cents": 123456789012345678901234567890 }'
    with answering(calls("tool_calls", written), GOOD) as (url, asked):
        run(url, "openai:m", "hi")
    call = asked[1].body["messages"][-2]["tool_calls"][0]
    assert call["function"]["arguments"] == written


def _arguments_sent(asked: Asked) -> object:
    [said] = [each for each in asked.body["messages"] if each["role"] == "assistant"
              and each.get("tool_calls")]  # fmt: skip
    return json.loads(said["tool_calls"][0]["function"]["arguments"])


REFUSAL = stream(
    {"choices": [{"delta": {"refusal": "I cannot"}}]},
    {"choices": [{"delta": {"refusal": " do that."}, "finish_reason": "stop"}]},
)


@pytest.mark.parametrize(
    ("name", "answer", "reason", "said"),
    [
        ("openai:m", REFUSAL, "refusal", "I cannot do that."),
        ("openai:m", stream(text("", "content_filter")), "content_filter", ""),
        ("anthropic:m", stopped("refusal"), "refusal", ""),
        ("openai:m", stream(text("fine", "length")), None, "fine"),
        ("openai:m", GOOD, None, "fine"),
    ],
)
def test_a_run_whose_answer_is_withheld_says_so(
    telemetry: Telemetry, name: str, answer: bytes, reason: str | None, said: str
) -> None:
    """It succeeds, as nothing failed, and its line and its result say why nobody was answered. What
    a model says when it refuses is text for the user."""
    with answering(answer) as (url, _):
        [result] = run(url, name, "how do I pick a lock?")
    assert (result.outcome.kind, result.outcome.reason, result.text) == ("success", reason, said)
    line = telemetry.summary()
    assert (line["outcome"], line["outcome_reason"]) == ("success", reason)


@pytest.mark.parametrize(
    ("name", "answer", "reason"),
    [
        ("openai:m", stream(text("fi", "length")), "length"),
        ("openai:m", REFUSAL, "refusal"),
        ("anthropic:m", stopped("max_tokens"), "max_tokens"),
        ("anthropic:m", FINE, "end_turn"),
    ],
)
def test_a_node_sees_why_an_answer_ended(
    telemetry: Telemetry, name: str, answer: bytes, reason: str
) -> None:
    """It is kept with the message."""
    with answering(answer) as (url, _):
        _, again = run(url, name, "hello", "hello")
    assert [each.finish_reason for each in again.messages] == [None, reason] * 2


def test_a_turn_that_the_provider_paused_is_an_error(telemetry: Telemetry) -> None:
    """It is not gone on with, which only tools need that the provider runs itself; what it cost is
    counted once."""
    searching: Mapping[str, Any] = {"type": "server_tool_use", "id": "s", "name": "web_search"}
    paused = stopped(
        "pause_turn", begin(0, dict(searching)), begin(1, {"type": "text", "text": "Searching"})
    )
    with answering(paused) as (url, asked):
        [result] = run(url, "anthropic:m", "what is new?")
    assert (result.outcome.kind, result.outcome.reason) == ("error", "provider")
    assert "leave them out of the model's parameters" in str(result.outcome.error)
    assert len(asked) == 1
    assert telemetry.summary()["completion_tokens"] == 7
