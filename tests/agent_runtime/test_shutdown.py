"""SIGTERM: what happens to the runs of a real process, as seen by clients, lines and spans."""

import asyncio
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request, Response
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from agent_runtime import Runtime, tool
from agent_runtime.run import UNWIND_S
from demo.model_server import ModelServer, Rule, ToolCall

from .agents import chatting, model_at
from .conftest import CALLER, Answer, Telemetry, ask, listening, wait_until

PROGRAM = Path(__file__).with_name("agent_process.py")
ENDED_BY_SIGTERM = (0, -signal.SIGTERM, 128 + signal.SIGTERM)
"""uvicorn raises the signal again when it has shut down, as a shell expects; after a second signal
the process may end itself first."""


@dataclass
class Agent:
    """The process, and where its spans go."""

    process: subprocess.Popen[str]
    url: str
    span_names: list[str]

    def terminate(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def end(self, codes: Collection[int] = ENDED_BY_SIGTERM) -> list[dict[str, Any]]:
        """Wait for the end; gives the JSON lines."""
        out, err = self.process.communicate(timeout=20)
        assert self.process.returncode in codes, err
        return [json.loads(line) for line in out.splitlines()]

    def streaming(
        self, pool: ThreadPoolExecutor, text: str = "hello", thread: str = "t1"
    ) -> "Future[Answer]":
        """A run of which the first token has not come yet."""
        return pool.submit(ask, self.url, text, thread=thread)


@contextmanager
def agent(
    vendor: ModelServer,
    *,
    finish_s: float = 10,
    drain_s: float = 15,
    drain_delay_s: float = 0,
    collector_hangs: bool = False,
) -> Iterator[Agent]:
    collector, names = FastAPI(telemetry={"tracing": False}), []

    @collector.post("/v1/traces")
    async def receive(request: Request) -> Response:
        export = ExportTraceServiceRequest.FromString(await request.body())
        names.extend(
            span.name
            for resource in export.resource_spans
            for scope in resource.scope_spans
            for span in scope.spans
        )
        return Response(media_type="application/x-protobuf")

    with listening(collector) as otlp, socket.create_server(("127.0.0.1", 0)) as hanging:
        settings = {
            "vendor": vendor.base_url,
            "otlp": f"http://127.0.0.1:{hanging.getsockname()[1]}" if collector_hangs else otlp,
            "finish_s": finish_s, "drain_s": drain_s, "drain_delay_s": drain_delay_s,
        }  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), json.dumps(settings)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        url = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        try:
            wait_until(lambda: ready(url) == 200)
            yield Agent(process, url, names)
        finally:
            process.kill()
            process.communicate()


def ready(url: str) -> int:
    try:
        return httpx.get(f"{url}/readyz").status_code
    except httpx.ConnectError:
        return 0


def stuck(url: str) -> bool:
    try:
        httpx.get(f"{url}/healthz", timeout=1)
    except httpx.ReadTimeout:
        return True
    return False


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(20) as pool:
        yield pool


def test_runs_in_flight_finish(vendor: ModelServer, pool: ThreadPoolExecutor) -> None:
    """After SIGTERM streams go on to their end, while new runs get 503 with Retry-After and the
    readiness probe fails; then the process ends, with every line and span of them sent."""
    vendor.follow(Rule(first_token_ms=200, token_ms=100, text="word " * 15))
    with agent(vendor) as process:
        answers = [process.streaming(pool, thread=f"t{n}") for n in range(5)]
        wait_until(lambda: len(vendor.calls()) == 5)
        process.terminate()
        wait_until(lambda: ready(process.url) == 503)
        refused = httpx.post(f"{process.url}/threads/t9/runs", json={"input": "hi"}, headers=CALLER)
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) > 0
        assert httpx.get(f"{process.url}/healthz").status_code == 200
        for answer in answers:
            assert answer.result().end["outcome"] == "success"
            assert answer.result().text == "word " * 15
        lines = process.end()
        assert [line["outcome"] for line in lines if line["event"] == "agent.run"] == [
            "success"
        ] * 5
        assert process.span_names.count("invoke_agent support") == 5
        assert len(lines) == 15


def test_a_run_stops_at_a_node_boundary(vendor: ModelServer, pool: ThreadPoolExecutor) -> None:
    """A run that is not done in finish_s ends between two nodes, and its client is told."""
    with agent(vendor, finish_s=0.3) as process:
        asked = process.streaming(pool, "repeat")
        wait_until(lambda: vendor.calls())
        process.terminate()
        answer = asked.result()
        lines = process.end()
    assert answer.names()[-3:] == ["node.end", "interrupted", "run.end"]
    assert answer.data("interrupted") == [{"reason": "shutdown", "resume": True, "payload": None}]
    assert (answer.end["outcome"], answer.end["outcome_reason"]) == ("interrupt", "shutdown")
    nodes = [line for line in lines if line["event"] == "agent.node"]
    calls = [line for line in lines if line["event"] == "agent.cost"]
    assert len(nodes) == len(answer.data("node.end")) == len(lines) - len(calls) - 1
    assert {node["outcome"] for node in nodes} == {"success"}
    assert lines[-1]["outcome_reason"] == "shutdown"
    assert process.span_names.count("invoke_agent support") == 1


def test_a_node_that_does_not_end_is_cut(vendor: ModelServer, pool: ThreadPoolExecutor) -> None:
    """After drain_s the stream is interrupted in the node, properly ended and accounted for. That
    is when it is cut, not when its run is given up UNWIND_S later because its client does not
    read; by the clock of the vendor, whose stream is closed."""
    vendor.follow(Rule(first_token_ms=0, token_ms=100, text="word " * 300))
    drain_s = 0.5
    with agent(vendor, finish_s=0.2, drain_s=drain_s) as process:
        asked = process.streaming(pool)
        wait_until(lambda: vendor.calls())
        terminated = time.time()
        process.terminate()
        answer = asked.result()
        lines = process.end()
    [call] = vendor.calls()
    assert drain_s <= (call.ended_at or 0) - terminated < drain_s + UNWIND_S
    assert answer.names()[-2:] == ["interrupted", "run.end"]
    assert [(line["event"], line["outcome_reason"]) for line in lines] == [
        ("agent.cost", None),
        ("agent.node", "shutdown"), ("agent.run", "shutdown"),
    ]  # fmt: skip
    assert lines[-1]["ttfb_ms"] is not None


def test_a_second_signal_does_not_wait(vendor: ModelServer, pool: ThreadPoolExecutor) -> None:
    """The impatient get a prompt end, still with an interrupted event and a summary."""
    vendor.follow(Rule(first_token_ms=0, token_ms=100, text="word " * 300))
    with agent(vendor) as process:
        asked = process.streaming(pool)
        wait_until(lambda: vendor.calls())
        process.terminate()
        wait_until(lambda: ready(process.url) == 503)
        began = time.monotonic()
        process.terminate()
        answer = asked.result()
        lines = process.end()
        assert time.monotonic() - began < 5
    assert answer.data("interrupted") == [{"reason": "shutdown", "resume": True, "payload": None}]
    assert lines[-1]["event"] == "agent.run"


def test_a_second_signal_ends_a_process_that_is_stuck(
    vendor: ModelServer, pool: ThreadPoolExecutor
) -> None:
    """Also when a node holds up everything, so that no run can be ended properly."""
    with agent(vendor) as process:
        asked = process.streaming(pool, "block")
        wait_until(lambda: stuck(process.url))
        process.terminate()
        time.sleep(0.1)
        process.terminate()
        assert process.process.wait(timeout=10) == 128 + signal.SIGTERM
        assert isinstance(asked.exception(), httpx.HTTPError)


@pytest.mark.parametrize("where", ["back-off", "tool"])
def test_nothing_a_run_waits_for_holds_up_the_end(
    vendor: ModelServer, telemetry: Telemetry, where: str
) -> None:
    """A run that waits for its next try, or in a tool, is cut there when its time is over, and can
    be gone on with."""
    call = ToolCall(name="sleep_longer", arguments={})
    vendor.follow(
        Rule(status=503, retry_after=20) if where == "back-off" else Rule(tool_calls=(call,))
    )

    @tool
    async def sleep_longer() -> str:
        """Sleeps a minute."""
        await asyncio.sleep(60)
        return "awake"

    who = {"thread_id": "t1", "tenant_id": "acme", "user_id": "ada"}

    async def run() -> None:
        graph = chatting(model_at(vendor), [sleep_longer])
        runtime = Runtime(graph, agent_name="support", finish_s=0.1, drain_s=0.2)
        running = asyncio.create_task(runtime.run("hello", **who))
        line = "agent.cost" if where == "back-off" else "agent.node"
        await asyncio.to_thread(wait_until, lambda: telemetry.lines(line))
        await runtime.drain()
        outcome = (await running).outcome
        assert (outcome.kind, outcome.reason) == ("interrupt", "shutdown")
        at, running_still = await runtime.thread("t1", tenant_id="acme")
        assert (at.next_node, running_still) == ("agent" if where == "back-off" else "tools", False)
        await runtime.aclose()

    asyncio.run(asyncio.wait_for(run(), 10))


@pytest.mark.nightly
def test_a_process_that_cannot_begin_ends(vendor: ModelServer, threads: str) -> None:
    """A signal while it waits for a database that is not there, ends it before long."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("AGENT_RUNTIME_STORE", "postgresql://nobody@127.0.0.1:1/nowhere")
        settings = {"vendor": vendor.base_url, "otlp": "http://127.0.0.1:1", "finish_s": 10,
                    "drain_s": 15, "drain_delay_s": 0}  # fmt: skip
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), json.dumps(settings)],
            stdout=subprocess.PIPE,
            text=True,
        )
    assert process.stdout is not None
    process.stdout.readline()
    time.sleep(1)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=25) != 0


@pytest.mark.parametrize("held_up_by", ["a tool", "the collector"])
def test_ctrl_c_waits_for_no_thread(
    vendor: ModelServer, pool: ThreadPoolExecutor, held_up_by: str
) -> None:
    """Python waits for threads of the event loop after SIGINT: neither a tool that is a plain
    function nor the sending of telemetry is in one."""
    calls = (ToolCall(name="doze", arguments={}),) if held_up_by == "a tool" else ()
    vendor.follow(Rule(first_token_ms=0, tool_calls=calls))
    hangs = held_up_by == "the collector"
    with agent(vendor, finish_s=0.1, drain_s=0.2, collector_hangs=hangs) as process:
        asked = process.streaming(pool)
        wait_until(lambda: vendor.calls() and vendor.calls()[0].ended_at)
        if hangs:
            asked.result()
        began = time.monotonic()
        process.process.send_signal(signal.SIGINT)
        process.end(codes=(0, 1, -signal.SIGINT))
        assert time.monotonic() - began < 8


@pytest.mark.nightly
def test_ctrl_c_reaches_workers_once(vendor: ModelServer, pool: ThreadPoolExecutor) -> None:
    """Under `uvicorn --workers` the terminal signals the worker, and then its supervisor does."""
    vendor.follow(Rule(first_token_ms=0, token_ms=100, text="word " * 30))
    settings = {"vendor": vendor.base_url, "otlp": "http://127.0.0.1:9", "finish_s": 10,
                "drain_s": 15, "drain_delay_s": 0}  # fmt: skip
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    command = "-m uvicorn --factory tests.agent_runtime.agent_process:app --workers 2"
    process = subprocess.Popen(
        [sys.executable, *command.split(), "--log-level", "critical", "--port", str(port)],
        env=os.environ | {"AGENT_SETTINGS": json.dumps(settings)},
        stdout=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        wait_until(lambda: ready(f"http://127.0.0.1:{port}") == 200, 30)
        asked = pool.submit(ask, f"http://127.0.0.1:{port}", "hello")
        wait_until(lambda: vendor.calls())
        os.killpg(process.pid, signal.SIGINT)
        assert asked.result().end["outcome"] == "success"
        process.wait(20)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_an_idle_process_ends_at_once(vendor: ModelServer) -> None:
    """Nothing in flight, nothing to wait for."""
    with agent(vendor) as process:
        process.terminate()
        began = time.monotonic()
        assert process.end() == []
        assert time.monotonic() - began < 5


def test_load_balancers_get_time_to_notice(vendor: ModelServer) -> None:
    """For drain_delay_s an idle process keeps listening, not ready."""
    with agent(vendor, drain_delay_s=1.0) as process:
        began = time.monotonic()
        process.terminate()
        wait_until(lambda: ready(process.url) == 503)
        process.end()
        assert time.monotonic() - began >= 1.0


def test_a_client_who_does_not_read_does_not_hold_up_the_end(
    vendor: ModelServer, pool: ThreadPoolExecutor
) -> None:
    """A connection nobody reads is given up after drain_s, though the server itself would wait for
    it for ever; its run still has its summary."""
    vendor.follow(Rule(first_token_ms=0, token_ms=0, text=" ".join(["x" * 50_000] * 1000)))
    small = [(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)]
    with (
        agent(vendor, finish_s=0.2, drain_s=0.5) as process,
        httpx.Client(transport=httpx.HTTPTransport(socket_options=small), timeout=30) as client,
    ):
        request = client.build_request(
            "POST", f"{process.url}/threads/t1/runs", json={"input": "hi"}, headers=CALLER
        )
        response = client.send(request, stream=True)
        time.sleep(1)
        process.terminate()
        lines = process.end()
        response.close()
    assert [line["event"] for line in lines] == ["agent.cost", "agent.node", "agent.run"]
    assert lines[-1]["outcome"] == "interrupt"


RUNS = 12
LINES = 3 * RUNS


@contextmanager
def unread(vendor: ModelServer, pool: ThreadPoolExecutor) -> Iterator[Agent]:
    """An agent most of whose lines find no room, as nobody reads them."""
    vendor.follow(Rule(first_token_ms=0, token_ms=0))
    with agent(vendor) as process:
        assert process.process.stdout is not None
        fcntl.fcntl(process.process.stdout, fcntl.F_SETPIPE_SZ, 4096)
        asked = [process.streaming(pool, thread=f"t{number}") for number in range(RUNS)]
        assert {each.result().end["outcome"] for each in asked} == {"success"}
        yield process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_waits_for_the_reader_of_its_lines(
    vendor: ModelServer, pool: ThreadPoolExecutor, number: int
) -> None:
    """Though uvicorn ends with the signal that it was told to end by: a reader who comes within
    5 s gets every line."""
    with unread(vendor, pool) as process:
        process.terminate(number)
        time.sleep(3.5)
        lines = process.end((-number, 128 + number, 0, 1))
        assert [line["event"] for line in lines].count("agent.run") == RUNS
        assert len(lines) == LINES


@pytest.mark.parametrize(
    ("signals", "within_s"),
    [
        ([signal.SIGTERM], 10),
        ([signal.SIGINT], 10),
        ([signal.SIGTERM, signal.SIGTERM], 4),
        ([signal.SIGTERM, signal.SIGINT], 4),
        ([signal.SIGINT, signal.SIGINT], 4),
    ],
)
def test_a_server_counts_the_lines_that_nobody_read(
    vendor: ModelServer, pool: ThreadPoolExecutor, signals: list[int], within_s: float
) -> None:
    """They are lost, and stderr says how many; a second signal gives the reader up at once."""
    with unread(vendor, pool) as process:
        began = time.monotonic()
        for number in signals:
            process.terminate(number)
            time.sleep(0.05)
        process.process.wait(15)
        assert time.monotonic() - began < within_s
        out, err = process.process.communicate()
    [said] = [json.loads(line) for line in err.splitlines() if "lines_dropped" in line]
    whole = out.count("\n")
    assert 0 < whole < LINES
    assert said["dropped"] == LINES - whole
