"""Says in every call of other services for which trace and thread it is made."""

from urllib.parse import quote

import httpx
from opentelemetry import baggage, propagate
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from agent_runtime.identity import RunIdentity, current_run

_TRACEPARENT = TraceContextTextMapPropagator()
_BAGGAGE = W3CBaggagePropagator()


def correlation_headers(identity: RunIdentity) -> dict[str, str]:
    """For a provider: traceparent, and baggage of thread and run but not of anything else.

    What an application put into its baggage is for its own services, not for vendors.
    """
    headers: dict[str, str] = {}
    _TRACEPARENT.inject(headers)
    of_run = baggage.set_baggage("thread_id", identity.thread_id, Context())
    _BAGGAGE.inject(headers, baggage.set_baggage("run_id", identity.run_id, of_run))
    return headers


async def correlate(request: httpx.Request) -> None:
    """Event hook of ``ctx.http``: traceparent, the whole baggage, and X-Thread-Id."""
    propagate.inject(request.headers)
    if (identity := current_run.get(None)) is not None:
        request.headers["x-thread-id"] = quote(identity.thread_id, safe="~:@")
