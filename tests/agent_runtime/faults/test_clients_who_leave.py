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
SLOW = Rule(first_token_ms=200, token_ms=100, text="word " * 100, tool_calls=(NAP,))


@pytest.mark.parametrize(
    "moment", ["run.start", "node.start", "node.end", "tool.start", "tool.end", "token"]
)
def test_a_client_may_leave_at_any_event(world: World, moment: str) -> None:
    """The run ends as client_disconnect, and its vendor's stream is closed."""
    world.vendor.follow(SLOW)
    ask(world.agent.url, "hello", thread=f"leaves-{moment}", leave_after=moment)
    assert_they_ended(world, 1)


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


def assert_they_ended(world: World, count: int) -> None:
    left = time.time()
    wait_until(lambda: len(world.lines("agent.run")) >= count)
    for line in world.lines("agent.run"):
        assert (line["outcome"], line["outcome_reason"]) == ("interrupt", "client_disconnect")
    wait_until(lambda: all(call.ended_at for call in world.calls()))
    assert all(call.ending in {"completed", "client_gone"} for call in world.calls())
    assert all((call.ended_at or 0) - left < 5 for call in world.calls())
