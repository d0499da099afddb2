"""The connections of a runtime: to providers, and of its tools to other services."""

import asyncio
import ssl
from contextlib import suppress
from functools import cache
from types import SimpleNamespace
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import httpx

from agent_runtime.correlation import correlate

PROVIDER_TIMEOUT = aiohttp.ClientTimeout(total=None, sock_connect=5.0)
"""How long an answer may take is up to the model's own timeouts."""
KEPT_S = 4.0
"""Connections are given up before servers do, many of them after 5 s: a request that crosses with
the end of its connection is lost."""
TOOL_TIMEOUT = httpx.Timeout(10.0)
TOOL_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=32, keepalive_expiry=4.0)
"""As many at once as runs make: one that waits for another's connection would time out. Few are
kept: one that its other end has closed stays open here until the next request."""


class Clients:
    """Of one runtime, in each event loop that it runs in: a script may call `asyncio.run` twice."""

    def __init__(self) -> None:
        self._of: dict[asyncio.AbstractEventLoop, tuple[aiohttp.ClientSession, httpx.AsyncClient]]
        self._of = {}
        _trusted()  # now, and not while a run holds a lease that it has to renew

    async def here(self) -> tuple[aiohttp.ClientSession, httpx.AsyncClient]:
        """For models and for tools, in the loop that runs."""
        loop = asyncio.get_running_loop()
        if loop not in self._of:
            for ended in [each for each in self._of if each.is_closed()]:
                await self._close(ended)
            self._of[loop] = (provider_client(), tool_client())
        return self._of[loop]

    async def aclose(self) -> None:
        """Close all connections."""
        for loop in tuple(self._of):
            await self._close(loop)

    async def _close(self, loop: asyncio.AbstractEventLoop) -> None:
        for_models, for_tools = self._of.pop(loop)
        # Of a loop that has ended nothing is left to say goodbye with.
        with suppress(RuntimeError):
            await for_models.close()
        with suppress(RuntimeError):
            await for_tools.aclose()


def provider_client() -> aiohttp.ClientSession:
    """For calls of models; to be made where an event loop runs.

    Not httpx, which takes ten times as long for each token, and for each request the longer the
    more of them there are. A request's ``trace_request_ctx`` is told, as ``begun``, that it is
    sent: many providers answer nothing, not even headers, before the first token, but the prompt is
    on the bill of who gives up in between.
    """
    tracing = aiohttp.TraceConfig()
    tracing.on_request_chunk_sent.append(_sent)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEPT_S, ssl=_trusted()),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=PROVIDER_TIMEOUT,
        trace_configs=[tracing],
    )


async def _sent(_: aiohttp.ClientSession, request: SimpleNamespace, __: object) -> None:
    request.trace_request_ctx.begun = True


@cache
def proxy_for(url: str) -> str | None:
    """The proxy that the environment names for a URL (``HTTPS_PROXY``, ``NO_PROXY``, …)."""
    parts = urlsplit(url)
    if proxy_bypass(parts.netloc):
        return None
    proxies = getproxies()
    return proxies.get(parts.scheme) or proxies.get("all")


def tool_client() -> httpx.AsyncClient:
    """For nodes and tools: says for which trace and thread each request is made."""
    return httpx.AsyncClient(
        timeout=TOOL_TIMEOUT,
        limits=TOOL_LIMITS,
        event_hooks={"request": [correlate]},
        verify=_trusted(),
    )


@cache
def _trusted() -> ssl.SSLContext:
    """Read once: reading the certificates takes longer than all else that a runtime begins with."""
    return httpx.create_ssl_context()
