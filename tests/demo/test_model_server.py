"""The scripted model vendor: what it answers, the faults it shows, and the book it keeps."""

import json
import time
from collections.abc import Callable, Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo.model_server import ModelServer, Rule, running
from demo.model_server.ledger import Ledger
from demo.model_server.rules import Script
from demo.model_server.wire import tokens_of

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
    },
}


@pytest.fixture
def vendor() -> Iterator[ModelServer]:
    with running(Rule(first_token_ms=0, token_ms=0)) as server:
        yield server


def request(content: str = "hello", **more: Any) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


def post(vendor: ModelServer, **body: Any) -> httpx.Response:
    return httpx.post(f"{vendor.base_url}/chat/completions", json=body)


def events(response: httpx.Response) -> list[dict[str, Any]]:
    data = [line[6:] for line in response.text.splitlines() if line.startswith("data: ")]
    assert data[-1] == "[DONE]"
    return [json.loads(line) for line in data[:-1]]


def eventually(holds: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5
    while not holds() and time.monotonic() < deadline:
        time.sleep(0.01)
    return holds()


def test_a_streamed_answer_is_the_whole_answer_in_pieces(vendor: ModelServer) -> None:
    """The text and the usage are the same, streamed or not."""
    vendor.follow(Rule(text="one two three", first_token_ms=0, cached_share=0.5))
    whole = post(vendor, **request()).json()
    streamed = events(post(vendor, **request(stream=True, stream_options={"include_usage": True})))
    text = "".join(e["choices"][0]["delta"].get("content") or "" for e in streamed[:-1])
    assert text == whole["choices"][0]["message"]["content"] == "one two three"
    assert streamed[-2]["choices"][0]["finish_reason"] == "stop"
    assert streamed[-1]["usage"] == whole["usage"]
    assert whole["usage"]["completion_tokens"] == 3


def test_usage_comes_only_to_those_who_ask(vendor: ModelServer) -> None:
    """A stream without include_usage, or a rule that says so, reports no usage."""
    assert all(not e["usage"] for e in events(post(vendor, **request(stream=True))))
    vendor.follow(Rule(usage=False))
    assert "usage" not in post(vendor, **request()).json()


def test_the_ledger_bills_what_was_reported(vendor: ModelServer) -> None:
    """The book's tokens are those of the responses, reasoning and cached parts included."""
    vendor.follow(Rule(cached_share=0.25, reasoning_tokens=7, first_token_ms=0))
    usages = [post(vendor, **request("x" * n)).json()["usage"] for n in (4, 400)]
    book = httpx.get(vendor.base_url.removesuffix("/v1") + "/ledger").json()
    for name in ("prompt_tokens", "completion_tokens"):
        assert book["totals"][name] == sum(usage[name] for usage in usages)
    assert book["totals"]["reasoning_tokens"] == 14
    assert book["totals"]["cached_tokens"] == sum(
        usage["prompt_tokens_details"]["cached_tokens"] for usage in usages
    )


def test_a_named_tool_is_called_once(vendor: ModelServer) -> None:
    """A tool that the user names is called; with its result at hand the model answers."""
    asked = request("please get_weather in Paris", tools=[WEATHER])
    message = post(vendor, **asked).json()["choices"][0]
    assert message["finish_reason"] == "tool_calls"
    [call] = message["message"]["tool_calls"]
    assert call["function"]["name"] == "get_weather"
    assert "city" in json.loads(call["function"]["arguments"])
    asked["messages"] += [message["message"], {"role": "tool", "content": "sunny"}]
    assert post(vendor, **asked).json()["choices"][0]["finish_reason"] == "stop"


def test_a_refusal_is_counted_and_billed_nothing(vendor: ModelServer) -> None:
    """A rule with `times` applies that often; Retry-After is sent as scripted."""
    vendor.follow(Rule(status=429, retry_after=2, times=1))
    first, second = post(vendor, **request()), post(vendor, **request())
    assert (first.status_code, first.headers["retry-after"]) == (429, "2")
    assert second.status_code == 200
    assert [call.ending for call in vendor.calls()] == ["refused", "completed"]
    assert vendor.calls()[0].prompt_tokens == 0


def test_a_cut_stream_really_breaks_the_connection(vendor: ModelServer) -> None:
    """The client sees a broken body; the prompt and the sent tokens are billed."""
    vendor.follow(Rule(text="one two three", cut_after_tokens=2, first_token_ms=0))
    with pytest.raises(httpx.RemoteProtocolError):
        post(vendor, **request(stream=True))
    [call] = vendor.calls()
    assert (call.ending, call.completion_tokens) == ("cut", 2)
    assert call.prompt_tokens > 0


def test_a_client_that_leaves_is_noticed(vendor: ModelServer) -> None:
    """A stalled stream whose client goes away ends as `client_gone`."""
    vendor.follow(Rule(text="one two three", stall_after_tokens=1, first_token_ms=0))
    url = f"{vendor.base_url}/chat/completions"
    with httpx.stream("POST", url, json=request(stream=True)) as response:
        lines = response.iter_lines()
        while '"content":"one"' not in next(lines):
            pass
        assert vendor.calls()[0].ending == "open"
    assert eventually(lambda: vendor.calls()[0].ending == "client_gone")


def test_the_first_token_waits_as_scripted_for_its_user(vendor: ModelServer) -> None:
    """Rules choose by model and user; later rules win."""
    vendor.follow(Rule(first_token_ms=0), Rule(user="globex:*", first_token_ms=200))
    for user in ("acme:1", "globex:1"):
        post(vendor, **request(stream=True, user=user))
    quick, slow = (call.first_token_at - call.started_at for call in vendor.calls())  # type: ignore[operator]
    assert slow >= 0.2 > quick


def test_rules_can_be_put_over_http(vendor: ModelServer) -> None:
    """PUT /rules replaces the script; a misspelt field is refused by name."""
    root = vendor.base_url.removesuffix("/v1")
    assert httpx.put(f"{root}/rules", json=[{"model": "m", "status": 503}]).status_code == 200
    assert post(vendor, **request()).status_code == 503
    refused = httpx.put(f"{root}/rules", json=[{"first_tokn_ms": 1}])
    assert refused.status_code == 422
    assert "first_tokn_ms" in refused.text


@given(st.text())
def test_tokens_join_to_the_text(text: str) -> None:
    """Cutting a text into tokens loses nothing."""
    assert "".join(tokens_of(text)) == text


def test_the_same_seed_gives_the_same_faults() -> None:
    """Probabilities are drawn from the seed, so that a failing test can be run again."""

    def drawn(seed: int) -> list[int | None]:
        script = Script([Rule(status=500, probability=0.5)], seed)
        return [script.behaviour("m", "u").status for _ in range(50)]

    assert drawn(1) == drawn(1) != drawn(2)
    assert {None, 500} == set(drawn(1))


def test_an_empty_ledger_totals_zero() -> None:
    """No calls, no tokens."""
    assert set(Ledger().as_json()["totals"].values()) == {0}


SCHEMA = {"type": "object", "properties": {"station": {"type": "integer"}}}
ASKING = "please get_weather of station 17"
APIS: dict[str, dict[str, Any]] = {
    "responses": {
        "input": ASKING,
        "tools": [{"type": "function", "name": "get_weather", "parameters": SCHEMA}],
    },
    "messages": {
        "messages": [{"role": "user", "content": ASKING}],
        "tools": [{"name": "get_weather", "input_schema": SCHEMA}],
    },
}


@pytest.mark.parametrize("api", APIS)
def test_other_apis_call_the_tool_with_the_number_that_was_said(
    vendor: ModelServer, api: str
) -> None:
    """The arguments are the same streamed and whole, and the call is in the ledger."""
    body = {"model": "m", **APIS[api]}
    whole = httpx.post(f"{vendor.base_url}/{api}", json=body).json()
    streamed = httpx.post(f"{vendor.base_url}/{api}", json=body | {"stream": True}).text
    assert "17" in json.dumps(whole)
    assert '{\\"station\\": 17}' in streamed
    assert [call.tool_calls for call in vendor.calls()] == [["get_weather"]] * 2


def test_every_api_reports_what_the_ledger_bills(vendor: ModelServer) -> None:
    """Cached tokens are part of the input, but beside it in Anthropic's wording."""
    vendor.follow(Rule(cached_share=0.5, first_token_ms=0, token_ms=0, text="one two three"))
    one = httpx.post(f"{vendor.base_url}/responses", json={"model": "m", "input": "hi"}).json()
    said = [{"role": "user", "content": "hi"}]
    other = httpx.post(f"{vendor.base_url}/messages", json={"model": "m", "messages": said}).json()
    (first, second), used = vendor.calls(), other["usage"]
    assert one["usage"]["input_tokens"] == first.prompt_tokens
    assert one["usage"]["input_tokens_details"]["cached_tokens"] == first.cached_tokens > 0
    assert used["cache_read_input_tokens"] == second.cached_tokens > 0
    assert used["input_tokens"] == second.prompt_tokens - second.cached_tokens
    assert one["usage"]["output_tokens"] == used["output_tokens"] == 3


@pytest.mark.parametrize(
    ("form", "header", "wait"), [("seconds", "retry-after", "2"), ("ms", "retry-after-ms", "2000")]
)
def test_waits_are_asked_for_in_numbers(
    vendor: ModelServer, form: Any, header: str, wait: str
) -> None:
    """Seconds, or the milliseconds that OpenAI and Anthropic send as well."""
    vendor.follow(Rule(status=429, retry_after=2, retry_after_as=form))
    assert post(vendor, **request()).headers[header] == wait


def test_a_wait_may_be_asked_for_as_a_date(vendor: ModelServer) -> None:
    """An HTTP date lies as far ahead as was scripted, rounded up to seconds."""
    vendor.follow(Rule(status=503, retry_after=2, retry_after_as="date"))
    before = time.time()
    date = parsedate_to_datetime(post(vendor, **request()).headers["retry-after"])
    assert 2 <= date.timestamp() - before < 5


def test_each_api_fails_in_its_own_words(vendor: ModelServer) -> None:
    """An overloaded vendor answers 529, or ends a stream that it has begun with an error."""
    said = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    vendor.follow(Rule(status=529))
    refused = httpx.post(f"{vendor.base_url}/messages", json=said)
    assert refused.json()["error"]["type"] == "overloaded_error"
    vendor.follow(Rule(first_token_ms=0, text="one two three", fail_after_tokens=2))
    for api in ("messages", "chat/completions"):
        *_, last = httpx.post(f"{vendor.base_url}/{api}", json=said).text.split("\n\n")[:-1]
        assert json.loads(last.partition("data: ")[2])["error"]["message"] == "scripted failure"
    assert [call.ending for call in vendor.calls()] == ["refused", "cut", "cut"]
    assert [call.completion_tokens for call in vendor.calls()] == [0, 2, 2]


def test_baggage_is_noted_as_metadata(vendor: ModelServer) -> None:
    """Who asks may say so beside the request."""
    url = f"{vendor.base_url}/chat/completions"
    httpx.post(url, json=request(), headers={"baggage": "thread_id=t%201;ttl=5, run_id=r"})
    assert vendor.calls()[0].metadata == {"thread_id": "t 1", "run_id": "r"}
