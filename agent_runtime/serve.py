"""Serves agents over HTTP: a run is a POST, its answer a stream of server-sent events."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Literal

from fastapi import APIRouter, FastAPI, HTTPException, Path, Request
from fastapi.responses import JSONResponse, StreamingResponse
from opentelemetry import trace
from opentelemetry.context import Context as OtelContext
from opentelemetry.trace import Link
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from pydantic import BaseModel, ConfigDict, Field
from starlette.types import Receive, Scope, Send

from agent_runtime.edge import SCOPE_KEY, EdgeMiddleware
from agent_runtime.errors import Draining, TenantBusy
from agent_runtime.messages import Message
from agent_runtime.run import Run
from agent_runtime.runtime import Runtime
from agent_runtime.shutdown import drained_by_signals
from agent_runtime.sse import encode
from agent_runtime.telemetry import flush_telemetry

Auth = Callable[[Request], tuple[str, str] | Awaitable[tuple[str, str]]]
"""Says for whom a request is made: tenant id and user id. Raises HTTPException to refuse it."""

RETRY_AFTER_S = 5
SSE_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
KEEPALIVE_S = 15.0
"""Proxies close connections on which nothing comes for a minute, some for half of one."""
_TRACEPARENT = TraceContextTextMapPropagator()


class Said(BaseModel):
    """A message of the conversation so far."""

    model_config = ConfigDict(extra="forbid")
    role: Literal["user", "assistant"]
    content: str


class RunRequest(BaseModel):
    """Body of a run."""

    model_config = ConfigDict(extra="forbid")
    input: str = Field(min_length=1)
    history: list[Said] = Field(default_factory=list)


class RunResponse(StreamingResponse):
    """The events of a run, which is finished with the response however that ends."""

    def __init__(self, run: Run, keepalive_s: float) -> None:
        super().__init__(
            _encoded(run, keepalive_s), media_type="text/event-stream", headers=SSE_HEADERS
        )
        self._run = run

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._run.finish()


def identity_from_headers(request: Request) -> tuple[str, str]:
    """The default `Auth`: trusts X-Tenant-Id and X-User-Id, as set by a gateway in front."""
    return _header(request, "X-Tenant-Id"), _header(request, "X-User-Id")


def serve(
    runtime: Runtime | Mapping[str, Runtime],
    *,
    auth: Auth = identity_from_headers,
    drain_delay_s: float = 0.0,
    keepalive_s: float = KEEPALIVE_S,
) -> FastAPI:
    """An ASGI application for uvicorn that serves one agent, or several by name.

    - ``POST /threads/{thread_id}/runs`` with ``{"input": "..."}`` answers server-sent events
      (`Event`); with several agents the path begins with the agent's name.
      A comment is sent after ``keepalive_s`` seconds without an event.
    - ``GET /healthz`` answers 200 while the process lives, ``GET /readyz`` 503 once it shuts down.

    On SIGTERM or SIGINT the application first drains, still listening: new runs are refused with
    503 and Retry-After, at least for ``drain_delay_s`` seconds so that load balancers can notice.
    Then the server is stopped and telemetry is sent. A second signal cuts the runs in flight. Give
    the process a longer grace than ``drain_delay_s`` and the runtime's ``drain_s`` together.
    """
    agents = {"": runtime} if isinstance(runtime, Runtime) else dict(runtime)
    runtimes = tuple(agents.values())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        try:
            with drained_by_signals(runtimes, drain_delay_s):
                yield
        finally:
            for each in runtimes:
                await each.aclose()
            await flush_telemetry()

    # The run's own span is the server's span; FastAPI's would be a second one without a tenant.
    app = FastAPI(title="Agents", lifespan=lifespan, telemetry={"tracing": False})
    app.add_middleware(EdgeMiddleware)
    app.include_router(_health(runtimes))
    for name, each in agents.items():
        app.include_router(_runs(each, auth, keepalive_s), prefix=f"/{name}" if name else "")
    return app


def _health(runtimes: tuple[Runtime, ...]) -> APIRouter:
    router = APIRouter()

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz() -> JSONResponse:
        if any(runtime.draining for runtime in runtimes):
            return JSONResponse({"status": "draining"}, 503)
        return JSONResponse({"status": "ready"})

    return router


def _runs(runtime: Runtime, auth: Auth, keepalive_s: float) -> APIRouter:
    router = APIRouter()

    @router.post("/threads/{thread_id}/runs", response_class=StreamingResponse)
    async def start_run(
        thread_id: Annotated[str, Path(max_length=200, pattern=r"^[\w.:@~-]+$")],
        body: RunRequest,
        request: Request,
    ) -> StreamingResponse:
        caller = auth(request)
        tenant_id, user_id = await caller if inspect.isawaitable(caller) else caller
        try:
            run = runtime.begin(
                body.input,
                thread_id=thread_id,
                tenant_id=tenant_id,
                user_id=user_id,
                history=[Message(said.role, said.content) for said in body.history],
                edge=request.scope[SCOPE_KEY],
                link=_caller_link(request),
            )
        except TenantBusy as error:
            raise HTTPException(
                429, str(error), headers={"retry-after": f"{error.retry_after_s:.0f}"}
            ) from error
        except Draining as error:
            raise HTTPException(
                503, str(error), headers={"retry-after": str(RETRY_AFTER_S)}
            ) from error
        return RunResponse(run, keepalive_s)

    return router


async def _encoded(run: Run, keepalive_s: float) -> AsyncIterator[bytes]:
    async for event in run.events(keepalive_s):
        yield encode(event)


def _caller_link(request: Request) -> Link | None:
    """A link, not a parent: callers do not decide what is sampled or which trace a run is."""
    remote = _TRACEPARENT.extract(dict(request.headers), context=OtelContext())
    context = trace.get_current_span(remote).get_span_context()
    return Link(context) if context.is_valid else None


def _header(request: Request, name: str) -> str:
    value = request.headers.get(name, "").strip()
    if not value:
        raise HTTPException(400, f"header {name} is missing: it says whom the run is for")
    return value
