"""Answers of providers that are broken, or that differ from OpenAI's in ways that do not matter."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from fastapi import FastAPI, Request
from fastapi.responses import Response, StreamingResponse

from agent_runtime import Model, RunResult, Runtime, openai_chat, pseudonym

from .agents import chatting
from .conftest import Telemetry, listening
from .raw_provider import answering

TENANT, ADA = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
USER = pseudonym(TENANT, ADA)


def run(url: str, **options: Any) -> RunResult:
    async def once() -> RunResult:
        model = Model("openai:m", base_url=url, api_key="k", **options)
        async with Runtime(chatting(model), agent_name="support") as runtime:
            return await runtime.run("hello", thread_id="t1", tenant_id="acme", user_id="ada")

    return asyncio.run(once())


def stream(*chunks: dict[str, Any], done: bool = True) -> bytes:
    wire = b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)
    return wire + (b"data: [DONE]\n\n" if done else b"")


def text(content: str, finish: str | None = None) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}]}


GOOD = stream(text("fine", "stop"))


@pytest.mark.parametrize(
    "broken",
    [
        b"data: {not json\n\n",
        b"data: [1]\n\n",
        stream({"choices": [1]}),
        stream({"choices": 1}),
        stream({"choices": [{"delta": {"tool_calls": ["x"]}}]}),
        stream({"error": {"message": "overloaded", "type": "server_error"}}),
        stream({"choices": [{"index": 0, "delta": {"role": "assistant"}}]}),
        stream(),
        b"",
    ],
)
def test_a_broken_stream_is_not_an_answer(telemetry: Telemetry, broken: bytes) -> None:
    """What is not JSON, reports an error or lacks a finish reason fails, and is tried again."""
    with answering(broken, GOOD) as (url, given):
        assert run(url).text == "fine"
    assert len(given) == 2
    failed, _ = telemetry.spans("chat ")
    assert (failed.attributes or {})["error.type"] == "agent_runtime.errors.StreamBroken"


@pytest.mark.parametrize(
    "whole",
    [
        stream(text("fine", "stop"), done=False),
        b": OPENROUTER PROCESSING\n\n" + GOOD,
        GOOD.replace(b"\n", b"\r\n"),
        stream({"choices": []}, text("fi"), text("ne"), text("", "stop"), {"choices": None}),
        stream(text("fine", "length")),
        stream({"choices": [{"delta": {"reasoning_content": "hm"}}]}, text("fine", "stop")),
    ],
)
def test_dialects_are_understood(telemetry: Telemetry, whole: bytes) -> None:
    """No [DONE], comments, CR LF, chunks without choices: an answer with a finish reason is one."""
    with answering(whole) as (url, given):
        assert run(url).text == "fine"
    assert len(given) == 1


def test_a_body_that_cannot_be_decoded_is_tried_again(telemetry: Telemetry) -> None:
    """A provider that says gzip and sends something else is as good as unreachable."""
    liar = Response(GOOD, media_type="text/event-stream", headers={"content-encoding": "gzip"})
    with answering(liar, GOOD) as (url, given):
        assert run(url).text == "fine"
    assert len(given) == 2


def test_an_empty_purse_is_not_a_rate_limit(telemetry: Telemetry) -> None:
    """429 with insufficient_quota is not tried again."""
    error = {"error": {"message": "You exceeded your quota", "code": "insufficient_quota"}}
    with answering(Response(json.dumps(error), 429)) as (url, given):
        assert run(url).outcome.kind == "error"
    assert len(given) == 1
    assert telemetry.summary()["error_message"].endswith("429: You exceeded your quota")


@pytest.mark.parametrize("body", ["<html>Bad gateway</html>", '["odd"]', '{"detail": "x"}', ""])
def test_any_error_body_is_quoted(telemetry: Telemetry, body: str) -> None:
    """Proxies answer in their own words; status and words are in the message."""
    with answering(Response(body, 502)) as (url, _):
        run(url, max_attempts=1)
    assert "answered 502" in telemetry.summary()["error_message"]


@pytest.mark.parametrize(
    ("body", "quoted"),
    [
        ({"error": {"message": "too long"}}, "too long"),
        ({"error": "too long"}, "too long"),
        ([{"error": {"code": 400, "message": "too long"}}], "too long"),
        ({"object": "error", "message": "too long", "code": 400}, "too long"),
        ({"message": {"detail": [{"loc": ["body", 0], "msg": "bad", "input": "mine"}]}},
         "body.0: bad"),
        ({"detail": "too long"}, "too long"),
        ({"detail": [{"msg": "too long", "input": "mine"}, {"msg": "odd"}]}, "too long; odd"),
        ({"error": "Bad Request", "message": "too long"}, "too long"),
        ({"error": True, "message": "too long"}, "too long"),
        ({"message": None, "detail": "too long"}, "too long"),
        ({"error": None, "reason": "too long"}, '{"error": null, "reason": "too long"}'),
        ([], "[]"),
        (None, "null"),
    ],
)  # fmt: skip
def test_the_reason_of_a_refusal_is_quoted(telemetry: Telemetry, body: object, quoted: str) -> None:
    """Wherever its server has it (vLLM, FastAPI, Mistral, Gemini), or all that came."""
    with answering(Response(json.dumps(body), 400)) as (url, _):
        run(url)
    assert telemetry.summary()["error_message"] == f"openai:m answered 400: {quoted}"


def test_tool_calls_come_in_pieces(telemetry: Telemetry) -> None:
    """Name and arguments of calls, several at a time, are put together by their index."""

    def piece(index: int, **call: Any) -> dict[str, Any]:
        return {"choices": [{"index": 0, "delta": {"tool_calls": [{"index": index, **call}]}}]}

    asked = stream(
        piece(0, id="a", function={"name": "get_weather", "arguments": ""}),
        piece(1, id="b", function={"name": "divide", "arguments": '{"by"'}),
        piece(0, function={"arguments": '{"city": '}),
        piece(0, function={"arguments": '"Oslo"}'}),
        piece(1, function={"arguments": ": 4}"}),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    )
    with answering(asked, GOOD) as (url, _):
        result = run(url)
    tools = [message for message in result.messages if message.role == "tool"]
    assert [(tool.tool_call_id, tool.content) for tool in tools] == [
        ("a", "sunny in Oslo"), ("b", '{"quotient":0.25}'),
    ]  # fmt: skip


ASKED_ODDLY = {
    "ids instead of indexes": (
        {"id": "a", "function": {"name": "get_weather", "arguments": '{"city": '}},
        {"id": "b", "function": {"name": "divide", "arguments": '{"by": '}},
        {"id": "a", "function": {"arguments": '"Oslo"}'}},
        {"id": "b", "function": {"arguments": "4}"}},
    ),
    "the id once": (
        {"id": "a", "function": {"name": "get_weather", "arguments": '{"city": '}},
        {"function": {"arguments": '"Oslo"}'}},
        {"id": "b", "function": {"name": "divide", "arguments": '{"by": '}},
        {"function": {"arguments": "4}"}},
    ),
    "names again and again": (
        {"index": 0, "id": "a", "function": {"name": "get_weather", "arguments": '{"city": '}},
        {"index": 0, "id": "a", "function": {"name": "get_weather", "arguments": '"Oslo"}'}},
        {"index": 1, "id": "b", "function": {"name": "divide", "arguments": '{"by": '}},
        {"index": 1, "id": "b", "function": {"name": "divide", "arguments": "4}"}},
    ),
    "neither id nor index": (
        {"function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}},
        {"function": {"name": "divide", "arguments": '{"by": 4}'}},
    ),
    "one index for both": (
        {"index": 0, "id": "a",
         "function": {"name": "get_weather", "arguments": '{"city": '}},
        {"index": 0, "function": {"arguments": '"Oslo"}'}},
        {"index": 0, "id": "b", "function": {"name": "divide", "arguments": '{"by": '}},
        {"index": 0, "function": {"arguments": "4}"}},
    ),
    "one index for both, in turns": (
        {"index": 0, "id": "a",
         "function": {"name": "get_weather", "arguments": '{"city": '}},
        {"index": 0, "id": "b", "function": {"name": "divide", "arguments": '{"by": '}},
        {"index": 0, "id": "a", "function": {"name": "get_weather", "arguments": '"Oslo"}'}},
        {"index": 0, "id": "b", "function": {"name": "divide", "arguments": "4}"}},
    ),
    "another id for each piece": (
        {"index": 0, "id": "a",
         "function": {"name": "get_weather", "arguments": '{"city": '}},
        {"index": 0, "id": "b", "function": {"name": "", "arguments": '"Oslo"}'}},
        {"id": "c", "function": {"name": "divide", "arguments": '{"by": '}},
        {"id": "d", "function": {"arguments": "4}"}},
    ),
    "arguments as an object": (
        {"index": 0, "id": "a",
         "function": {"name": "get_weather", "arguments": {"city": "Oslo"}}},
        {"index": 1, "id": "b", "function": {"name": "divide", "arguments": {"by": 4}}},
    ),
    "one id for both": (
        {"index": 0, "id": "a",
         "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}},
        {"index": 1, "id": "a", "function": {"name": "divide", "arguments": '{"by": 4}'}},
    ),
}  # fmt: skip


@pytest.mark.parametrize("pieces", ASKED_ODDLY.values(), ids=ASKED_ODDLY)
def test_tool_calls_are_told_apart(
    telemetry: Telemetry, pieces: tuple[dict[str, Any], ...]
) -> None:
    """However a provider marks what belongs together; each call has an id of its own."""
    asked = stream(
        *({"choices": [{"index": 0, "delta": {"tool_calls": [piece]}}]} for piece in pieces),
        {"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]},
    )
    with answering(asked, GOOD) as (url, _):
        result = run(url)
    tools = [message for message in result.messages if message.role == "tool"]
    assert [tool.content for tool in tools] == ["sunny in Oslo", '{"quotient":0.25}']
    assert len({tool.tool_call_id for tool in tools}) == 2


def test_a_stall_behind_the_answer_does_not_spoil_it(telemetry: Telemetry) -> None:
    """With the finish reason the answer is whole; a server that then hangs costs only its usage."""

    async def hang() -> AsyncIterator[bytes]:
        yield stream(text("fine", "stop"), done=False)
        await asyncio.sleep(1)

    answer = StreamingResponse(hang(), media_type="text/event-stream")
    with answering(answer) as (url, _):
        assert run(url, idle_timeout_s=0.2).text == "fine"
    assert telemetry.summary()["usage_source"] == "missing"


def test_calls_of_a_model_share_a_connection(telemetry: Telemetry) -> None:
    """One after the other they use the same one: a new one would cost its handshakes each time."""
    provider, ports = FastAPI(telemetry={"tracing": False}), set()

    @provider.post("/chat/completions")
    async def answer(request: Request) -> Response:
        assert request.client is not None
        ports.add(request.client.port)
        return StreamingResponse(iter([GOOD]), media_type="text/event-stream")

    async def run_thrice(url: str) -> None:
        graph = chatting(Model("openai:m", base_url=url, api_key="k"))
        async with Runtime(graph, agent_name="support") as runtime:
            for _ in range(3):
                result = await runtime.run("hello", thread_id="t", tenant_id="a", user_id="u")
                assert result.text == "fine"

    with listening(provider) as url:
        asyncio.run(run_thrice(url))
    assert len(ports) == 1


def test_a_proxy_that_the_environment_names_is_asked(
    telemetry: Telemetry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Models are called through HTTP_PROXY, except for the hosts of NO_PROXY."""
    with answering(GOOD) as (proxy, given):
        monkeypatch.setenv("http_proxy", proxy)
        assert run("http://models.example/v1").text == "fine"
        assert given[0].headers["host"] == "models.example"
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        with answering(GOOD) as (url, direct):
            assert run(url).text == "fine"
    assert (len(given), len(direct)) == (1, 1)


OPENAI = "https://api.openai.com/v1"
ELSEWHERE = "https://models.example/v1"
SAID = {"safety_identifier": "u-7"}


@pytest.mark.parametrize(
    ("name", "url", "parameters", "sent"),
    [
        ("openai:m", OPENAI, {}, {"safety_identifier": USER}),
        ("openai:m", "https://eu.api.openai.com/v1", {}, {"safety_identifier": USER}),
        ("openai:m", OPENAI, SAID, SAID),
        ("openai:m", OPENAI, {"safety_identifier": None}, {}),
        ("openai:m", OPENAI, {"user": None}, {}),
        ("openai:m", OPENAI, {"user": "u-7"}, {"user": "u-7"}),
        ("openai:m", "https://api.openai.com.example/v1", {}, {"user": USER}),
        ("openai:m", ELSEWHERE, {}, {"user": USER}),
        ("openai:m", ELSEWHERE, {"user": None}, {}),
        ("vllm:m", ELSEWHERE, {}, {"user": USER}),
        ("mistral:m", ELSEWHERE, {"user": None}, {}),
    ],
)
@pytest.mark.parametrize("by_environment", [False, True])
def test_the_user_goes_by_the_name_that_the_server_knows(
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    url: str,
    parameters: dict[str, Any],
    sent: dict[str, str],
    by_environment: bool,
) -> None:
    """Others who speak as OpenAI does may not know its name for the field, or refuse the field by
    any name, so that ``parameters`` may say another user, or none."""
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    base_url = None if by_environment and name.startswith("openai:") else url
    model = Model(name, base_url=base_url, api_key="k", parameters=parameters)
    body = openai_chat.body(model, [], [], USER)
    assert {key: body[key] for key in ("user", "safety_identifier") if key in body} == sent


def test_a_vendor_is_told_a_short_pseudonym_of_the_user(telemetry: Telemetry) -> None:
    """OpenAI takes 64 characters, less than two UUIDs have, and wants no names."""
    with answering(GOOD) as (url, asked):
        model = Model("openai:m", base_url=url, api_key="k")

        async def once() -> RunResult:
            async with Runtime(chatting(model), agent_name="support") as runtime:
                return await runtime.run("hello", thread_id="t1", tenant_id=TENANT, user_id=ADA)

        assert asyncio.run(once()).text == "fine"
    assert asked[0].body["user"] == USER


def test_a_pseudonym_is_the_same_for_the_same_user_only() -> None:
    """Where tenant and user part counts; the tenant's part is the same for all of its users."""
    users = [("a", "bc"), ("ab", "c"), ("a", "c"), ("a", "x" * 1000)]
    pseudonyms = [pseudonym(*each) for each in users]
    assert pseudonyms == [pseudonym(*each) for each in users]
    assert len({*pseudonyms}) == len(users)
    assert {len(each) for each in pseudonyms} == {49}
    tenants = [each.partition("-")[0] for each in pseudonyms]
    assert tenants[0] == tenants[2] == tenants[3] != tenants[1]


@pytest.mark.parametrize(
    ("pieces", "whole"),
    [
        (("Hi \ud83d", "\ude00!"), "Hi \U0001f600!"),
        (("\ud83d", "\ude00"), "\U0001f600"),
        (("Hi \ud83d", "!"), "Hi ?!"),
        (("Hi \ude00", "\ud83d"), "Hi ??"),
    ],
)
def test_a_character_may_come_in_two_halves(
    telemetry: Telemetry, pieces: tuple[str, str], whole: str
) -> None:
    """As JSON spells one beyond 16 bits; a half that stays alone spoils itself only."""
    with answering(stream(*map(text, pieces), text("", "stop"))) as (url, asked):
        result = run(url)
    assert (result.text, len(asked)) == (whole, 1)


def test_arguments_may_come_in_halves_of_characters(telemetry: Telemetry) -> None:
    """So may the arguments of a tool."""
    call = {
        "index": 0,
        "id": "a",
        "function": {"name": "get_weather", "arguments": '{"city": "\ud83d'},
    }
    rest = {"index": 0, "function": {"arguments": '\ude00"}'}}
    asked_for = stream(
        *({"choices": [{"delta": {"tool_calls": [each]}}]} for each in (call, rest)),
        {"choices": [{"delta": {}, "finish_reason": "tool_calls"}]},
    )
    with answering(asked_for, GOOD) as (url, _):
        assert run(url).messages[2].content == "sunny in \U0001f600"


def test_a_byte_order_mark_is_no_text(telemetry: Telemetry) -> None:
    """Before the first event, as the specification of such streams allows: it is not lost."""
    marked = b"\xef\xbb\xbf" + stream(text("first "), text("second", "stop"))
    with answering(marked) as (url, _):
        assert run(url).text == "first second"
