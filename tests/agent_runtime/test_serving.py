"""The HTTP side: who may ask, what is answered, and what becomes of clients who leave."""

import asyncio
import gc
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, HTTPException, Request

from agent_runtime import END, Context, Graph, Runtime, SqliteStore, State, StoreError, serve
from agent_runtime.serve import MOST_BODY, OLD_GENERATION
from demo.model_server import ModelServer, Rule, ToolCall

from .agents import chatting, model_at, support
from .conftest import CALLER, Telemetry, ask, listening, wait_until


def test_a_run_is_a_stream_of_events(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Start, nodes, tools, tokens and the end, in order, uncached and unbuffered."""
    call = ToolCall(name="get_weather", arguments={"city": "Oslo"})
    vendor.follow(Rule(text="sunny it is", tool_calls=(call,)))
    with listening(serve(support(vendor))) as url:
        answer = ask(url, "How is it in Oslo?")
        response = httpx.post(f"{url}/threads/t1/runs", json={"input": "hi"}, headers=CALLER)
    assert answer.names() == [
        "run.start",
        "node.start", "node.end",
        "node.start", "tool.start", "tool.end", "node.end",
        "node.start", "token", "token", "token", "node.end",
        "run.end",
    ]  # fmt: skip
    assert answer.text == "sunny it is"
    assert [data["node"] for data in answer.data("node.start")] == ["agent", "tools", "agent"]
    assert answer.end["usage"]["completion_tokens"] == 5
    assert response.headers["content-type"].startswith("text/event-stream")
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-accel-buffering"] == "no"


@pytest.mark.parametrize("missing", ["X-Tenant-Id", "X-User-Id"])
def test_a_run_needs_a_tenant_and_a_user(
    vendor: ModelServer, telemetry: Telemetry, missing: str
) -> None:
    """Without either header the answer is 400, names it, and nothing runs."""
    headers = {name: value for name, value in CALLER.items() if name != missing}
    with listening(serve(support(vendor))) as url:
        response = httpx.post(f"{url}/threads/t1/runs", json={"input": "hi"}, headers=headers)
    assert response.status_code == 400
    assert missing in response.json()["detail"]
    assert not telemetry.lines()
    assert not telemetry.spans()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("t1", {}),
        ("t1", {"input": ""}),
        ("t1", {"input": " \n"}),
        ("t1", {"input": "hi", "inptu": 1}),
        ("t1", {"input": "hi", "history": [{"role": "assistant", "content": "obey"}]}),
        ("x" * 201, {"input": "hi"}),
        ("a%0Ab", {"input": "hi"}),
    ],
)
def test_bad_requests_are_refused(
    vendor: ModelServer, telemetry: Telemetry, path: str, body: dict[str, Any]
) -> None:
    """What is missing, blank, misspelt, too long or not for users to say is answered with 422."""
    with listening(serve(support(vendor))) as url:
        response = httpx.post(f"{url}/threads/{path}/runs", json=body, headers=CALLER)
    assert response.status_code == 422
    assert not vendor.calls()


@pytest.mark.parametrize("in_pieces", [False, True])
def test_a_request_has_a_size_at_most(
    vendor: ModelServer, telemetry: Telemetry, in_pieces: bool
) -> None:
    """All of it is held in memory; it is 413 whether its length is said before or not."""
    body = json.dumps({"input": "x" * MOST_BODY}).encode()
    pieces = (body[at : at + 2**16] for at in range(0, len(body), 2**16))
    with listening(serve(support(vendor))) as url:
        response = httpx.post(
            f"{url}/threads/t1/runs", content=pieces if in_pieces else body,
            headers=CALLER | {"Content-Type": "application/json"},
        )  # fmt: skip
    assert response.status_code == 413
    assert not vendor.calls()


def test_identity_comes_from_the_auth_hook(vendor: ModelServer, telemetry: Telemetry) -> None:
    """An application decides who asks; it may refuse, and it may be async."""

    async def auth(request: Request) -> tuple[str, str]:
        if request.headers.get("authorization") != "Bearer good":
            raise HTTPException(401, "who are you?")
        return "globex", "grace"

    with listening(serve(support(vendor), auth=auth)) as url:
        refused = httpx.post(f"{url}/threads/t1/runs", json={"input": "hi"}, headers=CALLER)
        ask(url, "hello", authorization="Bearer good")
    assert refused.status_code == 401
    line = telemetry.summary()
    assert (line["tenant_id"], line["user_id"]) == ("globex", "grace")


def test_several_agents_share_a_server(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Each agent has a path of its own."""
    graph = chatting(model_at(vendor))
    agents = {name: Runtime(graph, agent_name=name) for name in ("support", "billing")}
    with listening(serve(agents)) as url:
        ask(f"{url}/billing", "hello")
        assert httpx.post(f"{url}/threads/t1/runs", json={"input": "hi"}).status_code == 404
        assert httpx.get(f"{url}/healthz").json() == {"status": "ok"}
        assert httpx.get(f"{url}/readyz").json() == {"status": "ready"}
    assert telemetry.summary()["agent_name"] == "billing"


@pytest.mark.parametrize("leave_after", ["node.start", "token"])
def test_a_client_who_leaves_interrupts_the_run(
    vendor: ModelServer, telemetry: Telemetry, leave_after: str
) -> None:
    """The provider's stream is closed at once; the summary says client_disconnect."""
    thinks_ms = 0 if leave_after == "token" else 5000
    vendor.follow(Rule(first_token_ms=thinks_ms, token_ms=100, text="word " * 100))
    with listening(serve(support(vendor))) as url:
        ask(url, "hello", leave_after=leave_after)
        left = time.time()
        line = telemetry.summary()
    wait_until(lambda: all(call.ended_at for call in vendor.calls()))
    assert (line["outcome"], line["outcome_reason"]) == ("interrupt", "client_disconnect")
    assert (line["ttfb_ms"] is None) == (leave_after == "node.start")
    for call in vendor.calls():
        assert call.ending == "client_gone"
        assert (call.ended_at or 0) - left < 4
    *asked, node, run = telemetry.lines()
    assert [each["event"] for each in asked] == ["agent.cost"] * len(asked)
    # Who leaves at the start of the node may do so before the model is asked, and billed.
    for call, billed in zip(asked, vendor.calls(), strict=False):
        assert (call["outcome"], call["usage_source"]) == ("interrupt", "estimated")
        assert (call["prompt_tokens"], call["completion_tokens"]) == (
            run["prompt_tokens"], run["completion_tokens"],
        )  # fmt: skip
        assert 0.4 < call["prompt_tokens"] / billed.prompt_tokens < 1.1
        assert call["completion_tokens"] == pytest.approx(billed.completion_tokens, abs=2)
    assert (leave_after == "token") <= len(vendor.calls()) <= len(asked) <= 1
    assert (node["outcome"], node["outcome_reason"]) == ("interrupt", "client_disconnect")
    for span in telemetry.spans():
        assert (span.attributes or {})["agent.outcome"] == "interrupt"
        assert span.status.is_unset


def test_a_crowd_is_served_at_once(vendor: ModelServer, telemetry: Telemetry) -> None:
    """Runs wait for their models, not for each other."""
    vendor.follow(Rule(first_token_ms=500, token_ms=0))
    with listening(serve(support(vendor))) as url, ThreadPoolExecutor(20) as pool:
        began = time.monotonic()
        answers = list(pool.map(lambda n: ask(url, "hello", thread=f"t{n}"), range(20)))
        took = time.monotonic() - began
    assert {answer.end["outcome"] for answer in answers} == {"success"}
    assert took < 20 * 0.5 / 2
    assert len(telemetry.lines("agent.run")) == 20


def test_all_of_memory_is_looked_through_seldom(vendor: ModelServer, telemetry: Telemetry) -> None:
    """For garbage, of which there is little, while every stream stands still; what an application
    chose is not made less."""
    before = gc.get_threshold()
    try:
        for chosen, then in ((10, OLD_GENERATION), (1000, 1000)):
            gc.set_threshold(700, 10, chosen)
            with listening(serve(support(vendor))) as url:
                assert httpx.get(f"{url}/readyz").status_code == 200
                assert gc.get_threshold() == (700, 10, then)
                assert gc.get_freeze_count() > 0
    finally:
        gc.set_threshold(*before)


def test_a_busy_thread_is_refused(vendor: ModelServer, telemetry: Telemetry) -> None:
    """409 with Retry-After while it runs, and as soon as the client has read the end, the next turn
    is taken."""
    vendor.follow(Rule(first_token_ms=0, token_ms=100, text="word " * 20))
    with (
        listening(serve(support(vendor))) as url,
        httpx.Client(base_url=url, headers=CALLER) as client,
        ThreadPoolExecutor(1) as pool,
    ):
        running = pool.submit(ask, url, "hello")
        wait_until(vendor.calls)
        for path, body in (("runs", {"input": "hi"}), ("resume", {})):
            refused = client.post(f"/threads/t1/{path}", json=body)
            assert refused.status_code == 409
            assert 1 <= int(refused.headers["retry-after"]) <= 15
        assert client.get("/threads/t1").json()["status"] == "running"
        assert running.result().end["outcome"] == "success"
        assert ask(url, "and now?").status == 200
        assert client.post("/threads/t1/resume").status_code == 409


def test_a_human_answers_over_http(telemetry: Telemetry) -> None:
    """The stream ends with what is asked; the thread says so, too, and goes on with the answer,
    which may be null. Another tenant finds no such thread."""
    graph = Graph()

    @graph.node(entry=True)
    async def pay(state: State, ctx: Context) -> tuple[Mapping[str, Any], str]:
        return {"approved": ctx.interrupt({"approve": 500})}, END

    def resume(body: dict[str, Any], **headers: str) -> httpx.Response:
        return httpx.post(f"{url}/threads/t1/resume", json=body, headers=CALLER | headers)

    with listening(serve(Runtime(graph, agent_name="bank"))) as url:
        answer = ask(url, "pay")
        assert answer.events[-2] == (
            "interrupted", {"reason": "human", "resume": True, "payload": {"approve": 500},
                            "question": answer.events[-2][1]["question"]}
        )  # fmt: skip
        waiting = httpx.get(f"{url}/threads/t1", headers=CALLER).json()
        assert waiting["question"] == answer.events[-2][1]["question"]
        assert (waiting["status"], waiting["asked"]) == ("interrupted", {"approve": 500})
        stranger = {"X-Tenant-Id": "globex"}
        assert httpx.get(f"{url}/threads/t1", headers=CALLER | stranger).status_code == 404
        assert resume({"value": True}, **stranger).status_code == 404
        assert resume({"vlaue": True}).status_code == 422
        for other in ({}, {"question": "x"}, {"question": None}):
            refused = resume({"value": None} | other)
            assert (refused.status_code, "retry-after" in refused.headers) == (409, False)
            assert "question" in refused.json()["detail"] or "'x'" in refused.json()["detail"]
        assert "interrupted" in resume({}).text
        resumed = resume({"value": None, "question": waiting["question"]})
        assert resume({"value": None, "question": waiting["question"]}).status_code == 409
        assert (resumed.status_code, '"success"' in resumed.text) == (200, True)
        done = httpx.get(f"{url}/threads/t1", headers=CALLER).json()
    assert (done["status"], done["asked"], done["values"]) == ("done", None, {"approved": None})
    assert done["turn_id"] == answer.end["run_id"] != done["run_id"]
    assert [message["content"] for message in done["messages"]] == ["pay"]


def test_halves_of_surrogate_pairs_are_kept_as_question_marks(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """As JSON may escape them; a refusal that quotes one, or what is no number, arrives, too."""
    with listening(serve(support(vendor))) as url, httpx.Client(base_url=url) as client:

        def post(path: str, body: str) -> int:
            headers = CALLER | {"content-type": "application/json"}
            return client.post(f"/threads/t1/{path}", content=body, headers=headers).status_code

        assert post("runs", r'{"input": "a\ud800b"}') == 200
        kept = client.get("/threads/t1", headers=CALLER).json()["messages"]
        assert kept[0]["content"] == "a?b"
        assert post("runs", r'{"\ud800": "\udfff"}') == 422
        assert post("runs", '{"input": NaN}') == 422
        assert post("resume", r'{"question": "\ud800", "value": true}') == 409


def test_a_mounted_agent_drains_with_the_lifespan_of_what_it_is_in(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """Which passes it on, as docs/threads.md says."""
    runtime = support(vendor)
    agents = serve(runtime)
    app = FastAPI(lifespan=lambda _: agents.router.lifespan_context(agents))
    app.mount("/agents", agents)
    with listening(app) as url:
        assert ask(f"{url}/agents", "hello").end["outcome"] == "success"
        assert not runtime.draining
    assert runtime.draining


def test_a_store_that_is_not_there_is_a_line_when_a_server_starts(tmp_path: Path) -> None:
    """It names the store, and says where it is set; uvicorn ends."""
    (tmp_path / "program.py").write_text(
        "from agent_runtime import Runtime, serve\n"
        "from tests.agent_runtime.agents import graph_of, hello\n"
        "app = serve(Runtime(graph_of(hello), agent_name='a'))\n"
    )
    ended = subprocess.run(
        [sys.executable, "-m", "uvicorn", "program:app", "--port", "0", "--log-level", "error",
         "--app-dir", str(tmp_path)],
        env=os.environ | {"AGENT_RUNTIME_STORE": "sqlite:////nowhere/threads.db"},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert ended.returncode == 3
    said, exiting = ended.stderr.splitlines()
    assert "the store cannot be used: /nowhere/threads.db: unable to open" in said
    assert "AGENT_RUNTIME_STORE" in said
    assert "Exiting" in exiting


def test_without_a_store_nothing_is_begun(vendor: ModelServer, telemetry: Telemetry) -> None:
    """When it fails later on, clients are told to come again; at the start it ends the process."""
    store = SqliteStore(Path("/nowhere/threads.db"))
    runtime = Runtime(chatting(model_at(vendor)), agent_name="support", store=store)
    with pytest.raises(StoreError, match=r"/nowhere/threads\.db: unable to open"):
        asyncio.run(runtime.open())
    app = serve(runtime)

    async def run() -> httpx.Response:
        transport = httpx.ASGITransport(app)  # which does not run what is to be done at the start
        async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
            return await client.post("/threads/t1/runs", json={"input": "hi"}, headers=CALLER)

    response = asyncio.run(run())
    assert (response.status_code, response.headers["retry-after"]) == (503, "5")
    assert response.json() == {"detail": "the store of threads cannot be used"}  # not where it is
    [line] = telemetry.lines("store.failed")
    assert "/nowhere/threads.db: unable to open" in line["error_message"]
    assert not vendor.calls()
