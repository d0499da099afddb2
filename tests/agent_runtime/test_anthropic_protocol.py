"""Anthropic's messages: the same runs, books and faults as over chat completions."""

import asyncio
import json
from typing import Any

import pytest

from agent_runtime import (
    END,
    Context,
    Graph,
    Message,
    Model,
    RunResult,
    Runtime,
    State,
    pseudonym,
)
from agent_runtime import ToolCall as Call
from demo.model_server import ModelServer, Rule, ToolCall

from .agents import TOOLS, chatting, model_at
from .conftest import Telemetry
from .raw_provider import answering

CLAUDE = "anthropic:claude-haiku-4-5"
WEATHER = ToolCall(name="get_weather", arguments={"city": "Oslo"})
WHO = {"thread_id": "t1", "tenant_id": "acme", "user_id": "ada"}
USER = pseudonym("acme", "ada")


def run(model: Model, text: str = "hello") -> RunResult:
    return run_graph(chatting(model), text)


def run_graph(graph: Graph, text: str = "hello") -> RunResult:
    async def once() -> RunResult:
        async with Runtime(graph, agent_name="support") as runtime:
            return await runtime.run(text, **WHO)

    return asyncio.run(once())


def asking(model: Model, *before: Message) -> Graph:
    """One call of the model, what was said before being made up."""
    graph = Graph()

    @graph.node(entry=True)
    async def once(state: State, ctx: Context) -> tuple[dict[str, Any], str]:
        prompt = (*before, *state.messages)
        said = await ctx.chat(model, prompt, system="Be brief.", tools=TOOLS)
        return {"messages": [said]}, END

    return graph


def raw(url: str, **options: Any) -> Model:
    return Model(CLAUDE, base_url=url, api_key="sk-ant-1", **options)


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(
        b"event: %b\ndata: %b\n\n" % (event["type"].encode(), json.dumps(event).encode())
        for event in events
    )


START = {"type": "message_start", "message": {"id": "msg_1", "model": "m", "usage": {
    "input_tokens": 10, "cache_read_input_tokens": 30, "cache_creation_input_tokens": 5,
    "output_tokens": 1}}}  # fmt: skip
STOP = {"type": "message_delta", "delta": {"stop_reason": "end_turn"},
        "usage": {"output_tokens": 7}}  # fmt: skip


def begin(index: int, block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(index: int, kind: str, **part: str) -> dict[str, Any]:
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **part}}


FINE = (begin(0, {"type": "text", "text": ""}), delta(0, "text_delta", text="fine"))
GOOD = stream(START, {"type": "ping"}, *FINE, STOP, {"type": "message_stop"})


def test_a_run_is_the_same_over_messages(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Tools are called, text is streamed, and the summary adds up to the vendor's book."""
    vendor.follow(
        Rule(tool_calls=(WEATHER,), text="sunny", cached_share=0.3, cache_write_share=0.2)
    )
    result = run(model_at(vendor, CLAUDE))
    assert [message.role for message in result.messages] == [
        "user", "assistant", "tool", "assistant",
    ]  # fmt: skip
    assert (result.text, result.messages[2].content) == ("sunny", "sunny in Oslo")
    calls, line = vendor.calls(), telemetry.summary()
    assert [call.id[:4] for call in calls] == ["msg-", "msg-"]
    for kind in ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens"):
        assert line[kind] == sum(getattr(call, kind) for call in calls) > 0
    assert (line["provider"], line["model"]) == ("anthropic", "claude-haiku-4-5")
    assert line["usage_source"] == "provider"
    asked, _ = telemetry.spans("chat ")
    assert (asked.attributes or {}).items() >= {
        "gen_ai.provider.name": "anthropic",
        "gen_ai.response.id": calls[0].id,
        "gen_ai.response.finish_reasons": ("tool_use",),
        "gen_ai.usage.input_tokens": calls[0].prompt_tokens,
        "gen_ai.usage.cache_read.input_tokens": calls[0].cached_tokens,
        "gen_ai.usage.cache_write.input_tokens": calls[0].cache_write_tokens,
    }.items()
    assert [(call.user, call.metadata["thread_id"]) for call in calls] == [(USER, "t1")] * 2


@pytest.mark.parametrize(
    ("first", "second"), [("openai:gpt-4o", CLAUDE), (CLAUDE, "openai:gpt-4o")]
)
def test_a_fallback_takes_the_conversation_over(
    vendor: ModelServer, telemetry: Telemetry, first: str, second: str
) -> None:
    """Tool calls of one vendor and their results are told to the other in its own words."""
    (name, other) = (each.partition(":")[2] for each in (first, second))
    vendor.follow(
        Rule(first_token_ms=0, text="sunny"), Rule(model=name, status=529),
        Rule(model=name, status=None, tool_calls=(WEATHER,), times=1),
    )  # fmt: skip
    model = model_at(vendor, first, max_attempts=2, fallback=[model_at(vendor, second)])
    assert run(model).text == "sunny"
    assert [(call.model, call.status) for call in vendor.calls()] == [
        (name, 200), (name, 529), (name, 529), (other, 200),
    ]  # fmt: skip
    line = telemetry.summary()
    assert (line["fallback_from"], line["model"]) == (name, other)
    tried = [(cost["provider"], cost["fallback_from"]) for cost in telemetry.lines("agent.cost")]
    assert tried == [(first.partition(":")[0], None)] * 3 + [(second.partition(":")[0], name)]
    *_, last = telemetry.spans("chat ")
    assert (last.attributes or {})["agent.fallback_from"] == name


def test_requests_are_in_anthropics_words(telemetry: Telemetry) -> None:
    """System beside the messages, roles in turns, tools as blocks with ids and objects it takes."""
    history = (
        Message("user", "one"), Message("user", "two"),
        Message("assistant", "", (Call("a:1", "divide", '{"by": 4}'), Call("b", "divide", "{by"))),
        Message("tool", "0.25", tool_call_id="a:1"), Message("tool", "", tool_call_id="b"),
    )  # fmt: skip
    with answering(GOOD) as (url, asked):
        run_graph(asking(raw(url, parameters={"max_tokens": 99}), *history), "three")
    [request] = asked
    assert request.path == "/messages"
    assert request.headers["x-api-key"] == "sk-ant-1"
    assert request.headers["anthropic-version"] == "2023-06-01"
    assert "authorization" not in request.headers
    assert request.headers["baggage"].startswith("thread_id=t1,run_id=")
    assert request.headers["traceparent"]
    body = request.body
    assert body["tools"][1]["input_schema"]["properties"].keys() == {"by"}
    assert {key: body[key] for key in ("model", "system", "max_tokens", "metadata", "stream")} == {
        "model": "claude-haiku-4-5", "system": "Be brief.", "max_tokens": 99, "stream": True,
        "metadata": {"user_id": USER},
    }  # fmt: skip
    assert body["messages"] == [
        {"role": "user", "content": [
            {"type": "text", "text": "one"}, {"type": "text", "text": "two"}]},
        {"role": "assistant", "content": [
            {"type": "tool_use", "id": "a_1", "name": "divide", "input": {"by": 4}},
            {"type": "tool_use", "id": "b", "name": "divide",
             "input": {"invalid_arguments": "{by"}}]},
        {"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": "a_1", "content": "0.25"},
            {"type": "tool_result", "tool_use_id": "b"},
            {"type": "text", "text": "three"}]},
    ]  # fmt: skip


def test_a_thread_may_begin_with_a_greeting(telemetry: Telemetry) -> None:
    """The protocol wants a user's turn first: one is put before what an assistant said first."""
    with answering(GOOD) as (url, asked):
        run_graph(asking(raw(url), Message("assistant", "How can I help?")), "one")
    [request] = asked
    assert request.body["messages"] == [
        {"role": "user", "content": [
            {"type": "text", "text": "(The user has said nothing yet.)"}]},
        {"role": "assistant", "content": [{"type": "text", "text": "How can I help?"}]},
        {"role": "user", "content": [{"type": "text", "text": "one"}]},
    ]  # fmt: skip


def test_thoughts_go_back_with_the_results_of_tools(telemetry: Telemetry) -> None:
    """Signed thinking blocks are sent again unchanged, and are not shown to the user."""
    thinking = stream(
        START,
        begin(0, {"type": "thinking", "thinking": "", "signature": ""}),
        delta(0, "thinking_delta", thinking="The user "),
        delta(0, "thinking_delta", thinking="asks."),
        delta(0, "signature_delta", signature="c2ln"),
        begin(1, {"type": "tool_use", "id": "a", "name": "get_weather", "input": {}}),
        delta(1, "input_json_delta", partial_json='{"city": '),
        delta(1, "input_json_delta", partial_json='"Oslo"}'),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}},
        {"type": "message_stop"},
    )
    with answering(thinking, GOOD) as (url, asked):
        assert run(raw(url)).text == "fine"
    _, assistant, result = asked[1].body["messages"]
    assert assistant["content"] == [
        {"type": "thinking", "thinking": "The user asks.", "signature": "c2ln"},
        {"type": "tool_use", "id": "a", "name": "get_weather", "input": {"city": "Oslo"}},
    ]
    assert result["content"][0]["content"] == "sunny in Oslo"


def thought(index: int, text: str) -> tuple[dict[str, Any], ...]:
    """A signed thought."""
    return (
        begin(index, {"type": "thinking", "thinking": "", "signature": ""}),
        delta(index, "thinking_delta", thinking=text),
        delta(index, "signature_delta", signature=f"of {text}"),
    )


def test_thoughts_go_back_where_they_were(telemetry: Telemetry) -> None:
    """Between text and calls, in the next turn as well: the protocol refuses them in another
    order. Half a thought that came without its field is one, too."""
    use = {"type": "tool_use", "name": "get_weather", "input": {"city": "Oslo"}}
    answer = stream(
        START, *thought(0, "A"), begin(1, {"type": "text", "text": "I'll "}),
        delta(1, "text_delta", text="look."), *thought(2, "B"), begin(3, {**use, "id": "a"}),
        begin(4, {"type": "redacted_thinking", "data": "x"}), begin(5, {**use, "id": "b"}),
        begin(6, {"type": "thinking"}), delta(6, "thinking_delta", thinking="C"),
        begin(7, {"type": "text", "text": "Wait."}),
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {}},
        {"type": "message_stop"},
    )  # fmt: skip
    with answering(answer, GOOD) as (url, asked):
        model = raw(url)
        assert run(model).text == "fine"
        assert run(model).text == "fine"
    sent = [each.body["messages"][1]["content"] for each in asked[1:]]
    for blocks in sent:
        assert blocks == [
            {"type": "thinking", "thinking": "A", "signature": "of A"},
            {"type": "text", "text": "I'll look."},
            {"type": "thinking", "thinking": "B", "signature": "of B"},
            {**use, "id": "a"},
            {"type": "redacted_thinking", "data": "x"},
            {**use, "id": "b"},
            {"type": "thinking", "thinking": "C"},
            {"type": "text", "text": "Wait."},
        ]
    assert len(sent) == 2


def test_thoughts_of_threads_before_are_sent_first(telemetry: Telemetry) -> None:
    """Those say nothing of the order; nor does a text that a node has put in place of another get
    lost."""
    thinking = ({"type": "thinking", "thinking": "A", "signature": "s"},)
    of_now = (*thinking, {"type": "text", "characters": 4}, {"type": "tool_use", "id": "gone"})
    for kept, said in ((thinking, ["Hello there."]), (of_now, ["Hell", "o there."])):
        before = Message("assistant", "Hello there.", thinking=kept)
        with answering(GOOD) as (url, asked):
            run_graph(asking(raw(url), Message("user", "hi"), before))
        blocks = asked[0].body["messages"][1]["content"]
        assert [block["type"] for block in blocks] == ["thinking"] + ["text"] * len(said)
        assert [block["text"] for block in blocks[1:]] == said


@pytest.mark.parametrize("blank", ["", " ", "\n"])
def test_a_blank_message_is_named_as_one(telemetry: Telemetry, blank: str) -> None:
    """The protocol refuses it; left out, nobody would be asked anything, or the assistant would go
    on with its own words."""
    with answering(GOOD) as (url, asked):
        run(raw(url), blank)
        run(raw(url), blank)
    for each in asked:
        last = each.body["messages"][-1]
        assert last["role"] == "user"
        assert last["content"] == [{"type": "text", "text": "(The user has said nothing.)"}]


def test_the_input_of_a_tool_may_come_at_once(telemetry: Telemetry) -> None:
    """In the event that begins the block, as gateways send it."""
    tool = {"type": "tool_use", "id": "a", "name": "get_weather", "input": {"city": "Oslo"}}
    asking = stream(START, begin(0, tool), STOP, {"type": "message_stop"})
    with answering(asking, GOOD) as (url, asked):
        assert run(raw(url)).text == "fine"
    assert asked[1].body["messages"][2]["content"][0]["content"] == "sunny in Oslo"


def test_tools_of_the_provider_are_none_of_ours(telemetry: Telemetry) -> None:
    """What it calls itself is neither called here nor sent back as a call without a result."""
    searching = stream(
        START,
        begin(0, {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {}}),
        delta(0, "input_json_delta", partial_json='{"query": "beds"}'),
        begin(1, {"type": "web_search_tool_result", "tool_use_id": "srv", "content": []}),
        begin(2, {"type": "text", "text": ""}),
        delta(2, "text_delta", text="found"),
        STOP,
        {"type": "message_stop"},
    )
    with answering(searching) as (url, asked):
        result = run(raw(url))
    assert (result.text, result.messages[-1].tool_calls, len(asked)) == ("found", (), 1)


@pytest.mark.parametrize(
    ("said_at_last", "counts"),
    [
        ({"output_tokens": 7}, (45, 7, 30, 5)),
        ({"input_tokens": 10, "output_tokens": 7}, (45, 7, 30, 5)),
        ({"input_tokens": 12}, (47, 1, 30, 5)),
        ({"input_tokens": 2, "cache_read_input_tokens": 40, "output_tokens": 7}, (47, 7, 40, 5)),
        ({}, (45, 1, 30, 5)),
    ],
)
def test_counts_that_are_not_repeated_still_hold(
    telemetry: Telemetry, said_at_last: dict[str, int], counts: tuple[int, ...]
) -> None:
    """The last event says some of the counts again, the input's without the cache's parts."""
    answer = stream(START, *FINE, STOP | {"usage": said_at_last}, {"type": "message_stop"})
    with answering(answer) as (url, _):
        run(raw(url))
    line = telemetry.summary()
    names = ("prompt_tokens", "completion_tokens", "cached_tokens", "cache_write_tokens")
    assert tuple(line[name] for name in names) == counts
    assert line["usage_source"] == "provider"


@pytest.mark.parametrize(
    "broken",
    [
        stream(START, {"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
        stream(START, {"type": "error"}),
        stream({"type": "message_start"}),
        stream(START, delta(0, "text_delta")),
        stream(START, delta(0, "signature_delta", signature="x")),
        stream(START, begin(0, {"type": "tool_use"})),
        stream(START, begin(0, {"type": "tool_use", "id": "a", "name": "get_weather"})),
        stream(START, {"type": "message_stop"}),
        b"data: [1]\n\n",
        b"",
    ],
)
def test_a_broken_stream_is_not_an_answer(telemetry: Telemetry, broken: bytes) -> None:
    """An error event, another shape or a missing stop reason fails, and is tried again."""
    with answering(broken, GOOD) as (url, asked):
        assert run(raw(url)).text == "fine"
    assert len(asked) == 2
    failed, _ = telemetry.spans("chat ")
    assert (failed.attributes or {})["error.type"] == "agent_runtime.errors.StreamBroken"


def test_an_error_behind_the_first_token_ends_the_run(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """What broke is not repeated; its input counts as reported, its output as it came."""
    vendor.follow(
        Rule(first_token_ms=0, text="one two three four", fail_after_tokens=3, cached_share=0.5)
    )
    result = run(model_at(vendor, CLAUDE, fallback=["anthropic:claude-opus-4-5"]))
    assert (result.outcome.kind, result.outcome.reason) == ("error", "provider")
    [billed], line = vendor.calls(), telemetry.summary()
    assert "scripted failure" in line["error_message"]
    assert line["usage_source"] == "estimated"
    assert line["prompt_tokens"] == billed.prompt_tokens
    assert line["cached_tokens"] == billed.cached_tokens > 0
    assert line["completion_tokens"] == pytest.approx(billed.completion_tokens, abs=1)
    span = telemetry.span("chat ").attributes or {}
    assert span["agent.usage_source"] == "estimated"
    assert span["gen_ai.usage.output_tokens"] == line["completion_tokens"]


def test_endpoints_and_keys_come_from_the_environment(
    vendor: ModelServer, telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fallback by name goes to its own vendor, and never gets the other one's key."""
    with answering(GOOD) as (url, asked):
        monkeypatch.setenv("ANTHROPIC_BASE_URL", url)
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-ant-env")
        vendor.follow(Rule(status=503))
        model = model_at(vendor, max_attempts=1, fallback=[CLAUDE], parameters={"top_p": 0.5})
        assert run(model).text == "fine"
    [request] = asked
    assert request.path == "/v1/messages"
    assert request.headers["x-api-key"] == "sk-ant-env"
    assert model.api_key not in str(request.headers)
    assert "top_p" not in request.body


def test_a_gateway_may_speak_otherwise(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Which protocol an endpoint speaks can be said."""
    run(model_at(vendor, CLAUDE, speaks="chat"))
    run(model_at(vendor, "bedrock:claude", speaks="messages"))
    assert [call.id.partition("-")[0] for call in vendor.calls()] == ["chatcmpl", "msg"]


def test_a_refusal_to_answer_is_an_answer(telemetry: Telemetry) -> None:
    """A stop reason without text ends the run as any other does, and is on the line."""
    refused = stream(START, STOP | {"delta": {"stop_reason": "refusal"}}, {"type": "message_stop"})
    with answering(refused) as (url, _):
        assert run_graph(asking(raw(url))).outcome.kind == "success"
    [line] = telemetry.lines("agent.cost")
    assert line["finish_reason"] == "refusal"
    assert (line["prompt_tokens"], line["completion_tokens"]) == (45, 7)
    assert (line["cached_tokens"], line["cache_write_tokens"]) == (30, 5)
