"""What is odd about an answer spoils neither the answer nor the books."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest

from agent_runtime import Limits, Model, Price, RunResult, Runtime, Tool, tool

from .agents import TOOLS, chatting
from .conftest import Telemetry
from .raw_provider import answering
from .test_openai_protocol import GOOD, stream, text

LIMITS = Limits(
    run_usd=Decimal(1), prices={"openai:m": Price("1", "2"), "anthropic:m": Price(1, 2)}
)


def run(
    url: str, tools: tuple[Tool, ...] = TOOLS, *, said: str = "hello", **options: Any
) -> RunResult:
    async def once() -> RunResult:
        model = Model(**{"name": "openai:m", "base_url": url, "api_key": "k"} | options)
        async with Runtime(chatting(model, tools), agent_name="support", limits=LIMITS) as runtime:
            return await runtime.run(said, thread_id="t1", tenant_id="acme", user_id="ada")

    return asyncio.run(once())


def asking_for(name: str, arguments: str = "{}") -> bytes:
    """An answer that has a tool called."""
    call = {"index": 0, "id": "a", "function": {"name": name, "arguments": arguments}}
    return stream(
        {"choices": [{"delta": {"tool_calls": [call]}, "finish_reason": "tool_calls"}]},
    )


@pytest.mark.parametrize(
    "bill",
    [
        {"prompt_tokens": "12", "completion_tokens": 3},
        {"prompt_tokens": -12, "completion_tokens": 3},
        {"prompt_tokens": 1e30, "completion_tokens": 3},
        {"prompt_tokens": 12.5, "completion_tokens": 3},
        {"prompt_tokens": [12], "completion_tokens": {}},
        {"prompt_tokens": 12},
        {"total_tokens": 15},
        [12, 3],
        "n/a",
    ],
)
def test_a_bill_that_makes_no_sense_is_no_bill(telemetry: Telemetry, bill: object) -> None:
    """The answer stands, its usage is missing, and the run has its summary."""
    with answering(stream(text("fine", "stop"), {"usage": bill})) as (url, asked):
        assert run(url).text == "fine"
    line = telemetry.summary()
    assert (line["usage_source"], line["prompt_tokens"], len(asked)) == ("missing", None, 1)


@pytest.mark.parametrize(
    ("bill", "counts"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 99}}, (12, 3, 12, 0, 0)),
        ({"prompt_tokens_details": {"cached_tokens": 9, "cache_write_tokens": 9}},
         (12, 3, 9, 3, 0)),
        ({"prompt_tokens_details": {"cached_tokens": "9"}}, (12, 3, 0, 0, 0)),
        ({"prompt_tokens_details": [9], "completion_tokens_details": 9}, (12, 3, 0, 0, 0)),
        ({"completion_tokens_details": {"reasoning_tokens": 2}, "total_tokens": 15},
         (12, 3, 0, 0, 2)),
        ({"completion_tokens_details": {"reasoning_tokens": 20}, "total_tokens": 35},
         (12, 23, 0, 0, 20)),
        ({"total_tokens": 35}, (12, 23, 0, 0, 0)),
        ({"prompt_tokens_details": {"cached_tokens": 5}, "total_tokens": 20}, (12, 3, 5, 0, 0)),
        ({"total_tokens": "35"}, (12, 3, 0, 0, 0)),
    ],
)  # fmt: skip
def test_the_parts_of_a_bill_make_sense_together(
    telemetry: Telemetry, bill: dict[str, Any], counts: tuple[int, ...]
) -> None:
    """No part exceeds its whole, which would make the rest a refund; reasoning that only the total
    includes (xAI, gateways to Gemini) is output."""
    usage = {"prompt_tokens": 12, "completion_tokens": 3} | bill
    with answering(stream(text("fine", "stop"), {"usage": usage})) as (url, _):
        run(url)
    line = telemetry.summary()
    assert tuple(
        line[name]
        for name in ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens",
                     "reasoning_tokens")
    ) == counts  # fmt: skip


@pytest.mark.parametrize("odd", ["12", -1, [1], None, 1e30])
def test_a_bill_of_anthropic_that_makes_no_sense_is_no_bill(
    telemetry: Telemetry, odd: object
) -> None:
    """The same in the other protocol: what was said before still holds."""
    start = {"type": "message_start", "message": {"usage": {"input_tokens": 10}}}
    block = {"type": "content_block_start", "index": 0,
             "content_block": {"type": "text", "text": "fine"}}  # fmt: skip
    counts = {"input_tokens": odd, "output_tokens": 7, "cache_read_input_tokens": odd}
    stop = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": counts}
    with answering(stream(start, block, stop)) as (url, _):
        assert run(url, name="anthropic:m").text == "fine"
    line = telemetry.summary()
    assert (line["prompt_tokens"], line["completion_tokens"]) == (10, 7)


@pytest.mark.parametrize("odd", [7, ["m"], {"name": "m"}, ""])
def test_names_that_are_none_are_left_out(telemetry: Telemetry, odd: object) -> None:
    """Of the answer and of its model: lines then say what was asked for."""
    chunk: dict[str, Any] = {**text("fine"), "id": odd, "model": odd}
    with answering(stream(chunk, text("", 7))) as (url, _):
        assert run(url).text == "fine"
    [line] = telemetry.lines("agent.cost")
    assert (line["response_id"], line["response_model"], line["finish_reason"]) == (None, None, "7")
    assert telemetry.summary()["model"] == "m"


@pytest.mark.parametrize(
    "delta",
    [
        {"content": [{"type": "text", "text": ["I said this"]}]},
        {"content": ["I said this"]},
        {"content": [{"type": "thinking", "thinking": "I said this"}]},
        {"content": {"text": "I said this"}},
        {"content": 5},
        {"reasoning_content": ["I said this"]},
        {"tool_calls": [{"index": "0", "id": "a", "function": {"name": "x"}}]},
        {"tool_calls": [{"index": 0, "id": 5, "function": {"name": "x"}}]},
        {"tool_calls": [{"index": 0, "id": "a", "function": {"name": ["x"]}}]},
        {"tool_calls": [{"index": ["I said this"], "id": "a", "function": {"name": "x"}}]},
        {"tool_calls": [{"index": 0, "id": "a",
                         "function": {"name": "x", "arguments": ["I said this"]}}]},
    ],
)  # fmt: skip
def test_what_is_no_text_is_no_answer(telemetry: Telemetry, delta: dict[str, Any]) -> None:
    """Nobody is shown it, no error says what it was, and the call is made again."""
    broken = stream({"choices": [{"delta": delta}]}, text("", "stop"))
    with answering(broken, GOOD) as (url, asked):
        assert run(url).text == "fine"
    assert len(asked) == 2
    line = telemetry.lines("agent.cost")[0]
    assert line["error_class"] == "agent_runtime.errors.StreamBroken"
    assert "a chunk of the stream has another shape" in line["error_message"]
    [event] = telemetry.spans("chat ")[0].events
    assert "I said" not in line["error_message"] + str(event.attributes)


@pytest.mark.parametrize("name", ["openai:m", "anthropic:m"])
def test_a_name_that_a_model_made_up_does_not_spoil_the_thread(
    telemetry: Telemetry, name: str
) -> None:
    """Vendors refuse every later call of a thread in which a tool has a name like this one."""
    made_up = "functions.get weather/é" * 5
    asked_for = asking_for(made_up) if name == "openai:m" else stream(
        {"type": "message_start", "message": {}},
        {"type": "content_block_start", "index": 0,
         "content_block": {"type": "tool_use", "id": "a", "name": made_up}},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}},
    )  # fmt: skip
    with answering(asked_for) as (url, asked):
        run(url, name=name, max_attempts=1)
    said = asked[1].body["messages"][-2]
    sent = (
        said["tool_calls"][0]["function"]["name"] if name == "openai:m"
        else said["content"][0]["name"]
    )  # fmt: skip
    assert (sent[:22], len(sent)) == ("functions_get_weather_", 64)


def test_a_name_that_a_tool_has_is_sent_as_it_is(telemetry: Telemetry) -> None:
    """Some vendors allow dots."""

    @tool(name="weather.get")
    async def get() -> str:
        """The weather."""
        return "sunny"

    with answering(asking_for("weather.get"), GOOD) as (url, asked):
        run(url, (get,))
    assert asked[1].body["messages"][-2]["tool_calls"][0]["function"]["name"] == "weather.get"


def test_text_that_is_no_unicode_is_sent_without_what_is_wrong(telemetry: Telemetry) -> None:
    """As names of files have it: of a tool as well as of a user."""

    @tool(name="files")
    async def files() -> str:
        """Lists files."""
        return "caf\udce9.txt"

    with answering(asking_for("files"), GOOD) as (url, asked):
        assert run(url, (files,), said="caf\udce9").outcome.kind == "success"
    sent = [message["content"] for message in asked[1].body["messages"]]
    assert (sent[1], sent[-1]) == ("caf?", "caf?.txt")


class Panic(BaseException):
    """What a library in Rust raises when it panics."""


@pytest.mark.parametrize("in_thread", [False, True])
def test_a_tool_that_panics_ends_the_tool_only(telemetry: Telemetry, in_thread: bool) -> None:
    """It is a result that the model sees, though it is no `Exception`."""

    async def panic() -> None:
        """Panics."""
        raise Panic

    def panic_in_thread() -> None:
        """Panics."""
        raise Panic

    panics = tool(name="panics")(panic_in_thread if in_thread else panic)
    with answering(asking_for("panics"), GOOD) as (url, asked):
        assert run(url, (panics,)).outcome.kind == "success"
    assert "Panic()" in asked[1].body["messages"][-1]["content"]
