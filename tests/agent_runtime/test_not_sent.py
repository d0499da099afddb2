"""Errors of a write that say that upstream never heard of it: its claim is given back."""

import asyncio
import socket

import httpx
import pytest

from agent_runtime.writes import was_not_sent


async def error_of(client: httpx.AsyncClient, url: str) -> BaseException:
    with pytest.raises(httpx.HTTPError) as caught:
        await client.get(url)
    return caught.value


def test_a_request_that_got_no_connection_was_not_sent() -> None:
    """Of a pool of which others have all: nothing has left the process."""

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def run() -> BaseException:
        server = await asyncio.start_server(hang, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        limits, patience = httpx.Limits(max_connections=1), httpx.Timeout(20, pool=0.05)
        async with server, httpx.AsyncClient(limits=limits, timeout=patience) as client:
            first = asyncio.create_task(client.get(url))
            await asyncio.sleep(0.05)
            error = await error_of(client, url)
            first.cancel()
            return error

    error = asyncio.run(run())
    assert isinstance(error, httpx.PoolTimeout)
    assert was_not_sent(error)


def test_a_request_to_a_host_without_an_address_was_not_sent() -> None:
    """Whether the library that looked it up has errors of its own or not."""
    with pytest.raises(socket.gaierror) as bare:
        socket.getaddrinfo("no such host", 443)
    assert was_not_sent(bare.value)

    async def run() -> BaseException:
        async with httpx.AsyncClient() as client:
            return await error_of(client, "http://nosuchhost.invalid/")

    assert was_not_sent(asyncio.run(run()))


def test_a_request_that_was_not_answered_may_have_been_sent() -> None:
    """A claim that is given back too early would have it sent twice."""
    assert not was_not_sent(httpx.ReadTimeout("silence"))
    assert not was_not_sent(ConnectionResetError())
    assert not was_not_sent(TimeoutError())
