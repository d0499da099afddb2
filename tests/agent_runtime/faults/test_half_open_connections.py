"""Clients who vanish without closing their connection: a proxy in between forwards no more.

Nothing says that they are gone. Their end of the connection lives and takes nothing, as when a
phone is out of reach behind a gateway; one that answers nothing at all looks the same from here.
"""

import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx

from agent_runtime import Runtime, pseudonym, serve
from demo.model_server import ModelServer, Rule
from tests.agent_runtime.agents import chatting, model_at
from tests.agent_runtime.conftest import CALLER, Telemetry, listening, wait_until

from .clients import ask_all
from .served import Served, Services, serving

LONG = " ".join(["x" * 20_000] * 5000)
"""100 MB, of which the connections in between hold less than half: buffers of the system grow."""
VANISHED = 10
KEPT = 6
"""Files and connections that are open in an agent that has worked: of its pools, to the model."""


@contextmanager
def vanishing(url: str, thread: str) -> Iterator[None]:
    """A user who asks through a proxy which, after the first token, forwards nothing either way
    and closes nothing."""
    with (
        socket.create_server(("127.0.0.1", 0)) as proxy,
        socket.create_connection(proxy.getsockname()) as user,
        socket.socket() as upstream,
    ):
        upstream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        upstream.settimeout(20)
        upstream.connect(("127.0.0.1", httpx.URL(url).port or 0))
        user.sendall(request(httpx.URL(url).path, thread))
        accepted, _ = proxy.accept()
        with accepted:
            upstream.sendall(accepted.recv(65536))
            seen = b""
            while b"event: token" not in seen:
                seen += (part := upstream.recv(4096))
                accepted.sendall(part)
            yield


def request(path: str, thread: str) -> bytes:
    body = b'{"input": "hi"}'
    head = "".join(f"{name}: {value}\r\n" for name, value in CALLER.items())
    return (
        f"POST {path.rstrip('/')}/threads/{thread}/runs HTTP/1.1\r\nhost: x\r\n{head}"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    ).encode() + body


def test_clients_who_vanish_leave_nothing_behind(
    vendor: ModelServer, books: Services, tmp_path: Path
) -> None:
    """Their runs end as client_disconnect when their connections have taken nothing for as long as
    that may be, with their lines; the model is let go, and each connection dropped, though its
    other end lives. Meanwhile others are served; memory is as after those who vanished before."""
    vendor.follow(
        Rule(first_token_ms=0, token_ms=0, text=LONG),
        *(Rule(user=pseudonym("acme", f"other-{turn}"), text="short") for turn in range(3)),
    )
    memory = []
    with serving(tmp_path, vendor, books.url, send_timeout_s=1.0) as agent:
        before = agent.open_files()
        for turn in range(3):
            with ExitStack() as clients:
                for number in range(VANISHED):
                    clients.enter_context(vanishing(agent.url, f"t{turn}-{number}"))
                other = f"other-{turn}"
                assert ask_all(agent.url, {other: "hello"})[other].text == "short"
                expected = VANISHED * (turn + 1)
                wait_until(lambda: len(cut(agent, "agent.run")) == expected, 30)  # noqa: B023 - asked now
                wait_until(lambda: agent.open_files() <= before + KEPT)
            memory.append(agent.memory_mb())
        wait_until(lambda: all(call.ended_at for call in vendor.calls()))
        reasons = {line["outcome_reason"] for line in cut(agent, "agent.run")}
        assert reasons == {"client_disconnect"}
        assert len(cut(agent, "agent.node")) == 3 * VANISHED
    assert Counter(call.ending for call in vendor.calls()) == {
        "client_gone": 3 * VANISHED, "completed": 3,
    }  # fmt: skip
    # What waits for one client are 256 tokens, here 5 MB, and what it has not taken yet as much.
    assert memory[2] - memory[1] < VANISHED * 5


def cut(agent: Served, event: str) -> list[dict[str, Any]]:
    return [line for line in agent.lines(event) if line["outcome"] == "interrupt"]


def test_a_run_whose_answer_the_connection_holds_ends_by_itself(
    vendor: ModelServer, telemetry: Telemetry
) -> None:
    """Nothing tells such a client from one that reads later: the run succeeds, and has ended."""
    vendor.follow(Rule(first_token_ms=0, token_ms=50, text="word " * 10))
    runtime = Runtime(chatting(model_at(vendor)), agent_name="a")
    with listening(serve(runtime)) as url, vanishing(url, "t1"):
        assert telemetry.summary()["outcome"] == "success"
        assert not runtime.in_flight
