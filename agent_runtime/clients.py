"""The connections of a runtime: to providers, and of its tools to other services."""

import ssl
from functools import cache

import httpx

from agent_runtime.correlation import correlate

PROVIDER_TIMEOUT = httpx.Timeout(None, connect=5.0, write=10.0)
"""How long an answer may take is up to the model's own timeouts."""
PROVIDER_LIMITS = httpx.Limits(
    max_connections=None, max_keepalive_connections=None, keepalive_expiry=4.0
)
"""Connections are given up before servers do, many of them after 5 s: a request that crosses with
the end of its connection is lost. No limit to those kept: httpcore counts the busy ones, too, and
above it none is used again."""
TOOL_TIMEOUT = httpx.Timeout(10.0)
TOOL_LIMITS = httpx.Limits(max_connections=None, keepalive_expiry=4.0)
"""As many at once as runs make: one that waits for another's connection would time out."""


def provider_client() -> httpx.AsyncClient:
    """For calls of models."""
    return httpx.AsyncClient(timeout=PROVIDER_TIMEOUT, limits=PROVIDER_LIMITS, verify=_trusted())


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
