"""Clients who leave at any moment: the vendor is spared the rest, and nothing of them stays."""

import json
import socket
import struct
import time
from urllib.parse import urlsplit

import pytest

from demo.model_server import Rule, ToolCall
from tests.agent_runtime.conftest import ask, wait_until

from .conftest import World

NAP = ToolCall(name="nap", arguments={"seconds": 0.2})
NOTICED_S = 2.0
"""What is meant is half a second, which the nightly test asks for on many clients; any one of them
may wait for the processor. Nobody stopping it, the answer would take ten seconds more."""
SLOW = Rule(first_token_ms=200, token_ms=100, text="word " * 100, tool_calls=(NAP,))


@pytest.mark.parametrize(
    "moment", ["run.start", "node.start", "node.end", "tool.start", "tool.end", "token"]
)
def test_a_client_may_leave_at_any_event(world: World, moment: str) -> None:
    """The run ends as client_disconnect, and its vendor's stream is closed."""
    world.vendor.follow(SLOW)
    left = leave(world, f"leaves-{moment}", moment)
    assert_they_ended(world, 1)
    assert let_go_after(world, left) < NOTICED_S


@pytest.mark.nightly
@pytest.mark.timeout(300)
def test_a_vendor_is_let_go_within_half_a_second(world: World) -> None:
    """From the moment at which the client leaves until the vendor's own book has the end: of forty
    clients, nineteen of twenty."""
    world.vendor.follow(Rule(first_token_ms=200, token_ms=20, text="word " * 500))
    after = []
    for number in range(40):
        left = leave(world, f"prompt-{number}", "token")
        assert_they_ended(world, number + 1)
        after.append(let_go_after(world, left))
    assert sorted(after)[-3] < 0.5


def test_clients_who_left_leave_nothing_behind(world: World) -> None:
    """After many of them as many files and sockets are open as before, give or take those kept."""
    world.vendor.follow(SLOW)
    before = world.agent.open_files()
    for number in range(12):
        ask(world.agent.url, "hello", thread=f"left-{number}", leave_after="tool.start")
    assert_they_ended(world, 12)
    wait_until(lambda: world.agent.open_files() <= before + 6)


def test_a_connection_may_be_reset(world: World) -> None:
    """Not closed but torn down, as by a phone that changes networks: the same."""
    world.vendor.follow(SLOW)
    address = urlsplit(world.agent.url)
    body = json.dumps({"input": "hello"})
    head = (
        "POST /threads/torn/runs HTTP/1.1\r\nHost: a\r\nX-Tenant-Id: acme\r\nX-User-Id: torn\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((str(address.hostname), int(address.port or 0))) as client:
        client.sendall(f"{head}{body}".encode())
        assert b"run.start" in client.recv(65536) + client.recv(65536)
        # Closing with a linger of 0 s sends a reset.
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert_they_ended(world, 1)


def leave(world: World, thread: str, moment: str) -> float:
    """Ask, and leave at an event; when that came."""
    began = time.time()
    answer = ask(world.agent.url, "hello", thread=thread, leave_after=moment)
    return began + answer.times[-1]


def let_go_after(world: World, left: float) -> float:
    """Seconds until the last call of the model had ended, which may have been before."""
    return max((call.ended_at or 0 for call in world.calls()), default=0) - left


def assert_they_ended(world: World, count: int) -> None:
    wait_until(lambda: len(world.lines("agent.run")) >= count)
    for line in world.lines("agent.run"):
        assert (line["outcome"], line["outcome_reason"]) == ("interrupt", "client_disconnect")
    wait_until(lambda: all(call.ended_at for call in world.calls()))
    assert all(call.ending in {"completed", "client_gone"} for call in world.calls())
