"""What servers add to OpenAI's protocol, and what they refuse of it."""

import asyncio
import re
from typing import Any

import httpx
import pytest

from agent_runtime import Message, Model, RunResult, Runtime, ToolCall, openai_chat, serve

from .agents import WHO, chatting
from .conftest import CALLER, Telemetry, ask, listening
from .raw_provider import answering
from .test_openai_protocol import GOOD, stream, text

SIGNED = {"google": {"thought_signature": "c2ln"}}
CALL = {
    "id": "a", "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
}  # fmt: skip
ASKED = stream(
    {"choices": [{"delta": {"tool_calls": [CALL | {"extra_content": SIGNED}]}}]},
    {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
)


def turns(*models: Model) -> list[RunResult]:
    """A turn of one thread with each, in runtimes of their own: what is sent was kept."""

    async def turn(model: Model) -> RunResult:
        async with Runtime(chatting(model), agent_name="support") as runtime:
            return await runtime.run("hello", thread_id="t1", **WHO)

    return [asyncio.run(turn(model)) for model in models]


def sent(body: dict[str, Any]) -> list[dict[str, Any]]:
    """The calls of tools in a request."""
    return [call for message in body["messages"] for call in message.get("tool_calls", ())]


def test_what_a_server_adds_to_a_call_comes_back_to_it(telemetry: Telemetry) -> None:
    """Gemini refuses a thread without the signatures of its thoughts; others refuse one with."""
    with answering(ASKED, GOOD) as (url, asked):
        here = Model("google:gemini-3", base_url=url, api_key="k")
        elsewhere = Model("openai:m", base_url=url.replace("127.0.0.1", "localhost"), api_key="k")
        assert [turn.text for turn in turns(here, elsewhere, here)] == ["fine"] * 3
    assert [[call.get("extra_content") for call in sent(each.body)] for each in asked] == [
        [], [SIGNED], [None], [SIGNED],
    ]  # fmt: skip


@pytest.mark.parametrize("odd", [None, "x", 5, []])
def test_what_is_added_and_no_object_is_nothing(telemetry: Telemetry, odd: object) -> None:
    """It spoils no call."""
    asked_for = stream(
        {"choices": [{"delta": {"tool_calls": [CALL | {"extra_content": odd}]}}]},
        {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
    )
    with answering(asked_for, GOOD) as (url, asked):
        turns(Model("openai:m", base_url=url, api_key="k"))
    assert "extra_content" not in sent(asked[1].body)[0]


def thought(*parts: str) -> list[dict[str, Any]]:
    return [{"choices": [{"delta": {"reasoning_content": part}}]} for part in parts]


def told_back(body: dict[str, Any]) -> list[str | None]:
    """The thoughts of all messages with calls in a request."""
    return [each.get("reasoning_content") for each in body["messages"] if "tool_calls" in each]


ASKED_AT_LENGTH = {"choices": [{"delta": {"tool_calls": [CALL]}, "finish_reason": "tool_calls"}]}


def test_the_thought_before_a_call_comes_back_to_who_had_it(telemetry: Telemetry) -> None:
    """DeepSeek refuses calls without it, and others behind the same gateway those with one."""
    asked_for = stream(*thought("Look ", "it up."), ASKED_AT_LENGTH)
    with answering(asked_for, stream(*thought("So."), text("Sun."), text("", "stop")), GOOD) as (
        url,
        asked,
    ):
        here = Model("gateway:deepseek-v4", base_url=url, api_key="k")
        elsewhere = Model("gateway:mistral-large", base_url=url, api_key="k")
        turns(here, elsewhere, here)
    assert [told_back(one.body) for one in asked] == [[], ["Look it up."], [None], ["Look it up."]]
    assert "So." not in str([one.body for one in asked])


def test_a_thought_is_shown_to_nobody_and_takes_no_room(telemetry: Telemetry) -> None:
    """It may be longer than all that is said."""
    long = stream(*thought("SECRET " * 20_000), ASKED_AT_LENGTH)

    with answering(long, GOOD) as (url, _):
        runtime = Runtime(
            chatting(Model("openai:m", base_url=url, api_key="k")), agent_name="support"
        )
        with listening(serve(runtime)) as agent:
            answer = ask(agent, "hello")
            shown = httpx.get(f"{agent}/threads/t1", headers=CALLER).json()
    assert answer.end["outcome"] == "success"
    assert "SECRET" not in str(shown)
    assert shown["messages"][1]["tool_calls"][0]["name"] == "get_weather"


def test_deepseek_is_told_of_a_thought_for_each_call(telemetry: Telemetry) -> None:
    """Also of those that another model made without one."""
    said = Message("assistant", "", (ToolCall("a", "look", "{}"),))
    for url, field in (("https://api.deepseek.com/v1", ""), ("https://deepseek.example", None)):
        model = Model("deepseek:deepseek-v4-pro", base_url=url, api_key="k")
        body = openai_chat.body(model, [Message("user", "hello"), said], [], "u")
        assert told_back(body) == [field]


def test_pieces_of_one_call_may_have_ids_of_their_own(telemetry: Telemetry) -> None:
    """As vLLM sends a call that it was told to make: each piece with the name and another id."""
    pieces = [
        {"choices": [{"delta": {"tool_calls": [{
            "index": 0, "id": f"c{place}",
            "function": {"name": "get_weather", "arguments": arguments},
        }]}}]}
        for place, arguments in enumerate(["", '{"city"', ': "Os', 'lo"}'])
    ]  # fmt: skip
    asked_for = stream(*pieces, {"choices": [{"delta": {}, "finish_reason": "stop"}]})
    with answering(asked_for, GOOD) as (url, _):
        [result] = turns(Model("openai:m", base_url=url, api_key="k"))
    assert [each.content for each in result.messages if each.role == "tool"] == ["sunny in Oslo"]


def test_an_answer_may_come_in_parts_with_thoughts(telemetry: Telemetry) -> None:
    """As Mistral's models that think send it: text is shown, thoughts and references are not."""
    thought = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm."}, {"type": "x"}]}
    parts = [thought, {"type": "text", "text": "fi"}, {"type": "reference", "reference_ids": [1]}]
    whole = stream({"choices": [{"delta": {"content": parts}}]}, text("ne"), text("", "stop"))
    with answering(whole) as (url, asked):
        [result] = turns(Model("mistral:magistral", base_url=url, api_key="k"))
    assert (result.text, len(asked)) == ("fine", 1)
    assert result.messages[-1].content == "fine"


@pytest.mark.parametrize(
    ("parameters", "options"),
    [
        ({}, {"include_usage": True}),
        ({"stream_options": None}, None),
        ({"stream_options": {"include_obfuscation": False}},
         {"include_usage": True, "include_obfuscation": False}),
        ({"stream_options": {"include_usage": False}}, {"include_usage": False}),
    ],
)  # fmt: skip
def test_options_of_a_stream_may_be_left_out(
    parameters: dict[str, Any], options: dict[str, Any] | None
) -> None:
    """Some servers refuse what asks for the usage."""
    model = Model("m", base_url="http://x", parameters=parameters)
    assert openai_chat.body(model, [], [], "u").get("stream_options") == options


@pytest.mark.parametrize("id_", ["call_abcdefghijklmnopqrst", "toolu_01", "a", "D681PevKs"])
def test_mistral_is_sent_ids_that_it_takes(id_: str) -> None:
    """Those of other vendors would have it refuse the thread; call and result keep one id, which
    nobody else is sent."""
    said = [
        Message("assistant", "", (ToolCall(id_, "get_weather", "{}"),)),
        Message("tool", "sunny", tool_call_id=id_),
    ]
    for provider in ("mistral", "openai"):
        model = Model(f"{provider}:m", base_url="http://x")
        call, result = openai_chat.body(model, said, [], "u")["messages"]
        assert call["tool_calls"][0]["id"] == result["tool_call_id"]
        fits = re.fullmatch("[a-zA-Z0-9]{9}", id_)
        if provider == "openai" or fits:
            assert result["tool_call_id"] == id_
        else:
            assert re.fullmatch("[a-zA-Z0-9]{9}", result["tool_call_id"])
