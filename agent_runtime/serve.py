"""Serves agents over HTTP: a run is a POST, its answer a stream of server-sent events."""

import asyncio
import gc
import inspect
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, HTTPException, Path, Request
from fastapi.encoders import jsonable_encoder
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, Response, StreamingResponse
from opentelemetry import trace
from opentelemetry.context import Context as OtelContext
from opentelemetry.trace import Link
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from agent_runtime.as_json import as_json
from agent_runtime.bodies import ResumeRequest, RunRequest
from agent_runtime.edge import SCOPE_KEY, Edge, EdgeApp
from agent_runtime.errors import Refused, StoreError, error_class, error_message
from agent_runtime.graph import END
from agent_runtime.interrupts import Resume
from agent_runtime.messages import Message as Said
from agent_runtime.patience import Patience
from agent_runtime.run import Run
from agent_runtime.runtime import Runtime
from agent_runtime.shutdown import drained_by_signals
from agent_runtime.sse import encode
from agent_runtime.telemetry import LOG, flush_telemetry

Auth = Callable[[Request], tuple[str, str] | Awaitable[tuple[str, str]]]
"""Says for whom a request is made: tenant id and user id. Raises HTTPException to refuse it."""

ThreadId = Annotated[str, Path(max_length=200, pattern=r"^[\w.:@~-]+$")]
MOST_BODY = 4 * 2**20
"""Bytes of a request, all of which are held in memory."""
OLD_GENERATION = 100
"""Collections of younger objects to one of all; Python's own is 10."""
RETRY_AFTER_S = 5.0
"""When the store may be there again."""
SSE_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no"}
KEEPALIVE_S = 15.0
"""Proxies close connections on which nothing comes for a minute, some for half of one."""
SEND_TIMEOUT_S = 60.0
"""How long a connection may take nothing of what is sent: then its client has left without saying
so, the run ends as ``client_disconnect`` and the connection is dropped."""
_TRACEPARENT = TraceContextTextMapPropagator()


class RunResponse(StreamingResponse):
    """The events of a run, which is finished with the response however that ends."""

    def __init__(self, run: Run, edge: Edge, keepalive_s: float) -> None:
        super().__init__(
            _encoded(run, keepalive_s), media_type="text/event-stream", headers=SSE_HEADERS
        )
        self._run = run
        self._edge = edge

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response; whoever takes nothing of it for long has left without saying so."""
        try:
            await super().__call__(scope, receive, send)
        except ClientDisconnect:
            pass  # the summary says so
        finally:
            await self._run.finish()

    async def stream_response(self, send: Send) -> None:
        """Send the events in time, and note the time."""
        try:
            await self._stream(send)
        except TimeoutError:
            # Here, because Starlette keeps what passes through it, and all that hangs on it, until
            # garbage is collected: what was to be sent.
            self._edge.drop()

    async def _stream(self, send: Send) -> None:
        async with Patience() as patience:

            async def send_in_time(message: Message) -> None:
                began = time.perf_counter()
                patience.last(SEND_TIMEOUT_S)
                await send(message)
                patience.last()
                self._edge.sent(message.get("body", b""), began)

            await super().stream_response(send_in_time)


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
      (`Event`); with several agents the path begins with the agent's name. 409 with Retry-After
      while the thread is being run. A comment is sent after ``keepalive_s`` seconds of silence.
      A request has 4 MiB at most.
    - ``POST /threads/{thread_id}/resume`` does so, too; ``{"question": "...", "value": ...}``
      is a human's answer to the question with that id.
    - ``GET /threads/{thread_id}`` answers where the thread stands.
    - ``GET /healthz`` answers 200 while the process lives, ``GET /readyz`` 503 once it shuts down.

    On SIGTERM or SIGINT the application first drains, still listening: new runs are refused with
    503 and Retry-After, at least for ``drain_delay_s`` seconds so that load balancers can notice.
    Then the server is stopped, the stores are closed behind the last checkpoint, and telemetry is
    sent. That is over 7.5 s after the longer one of ``drain_delay_s`` and the runtime's
    ``drain_s``; give the process that much. A second signal cuts the runs in flight and ends the
    process within a second; see docs/threads.md for workers, which get one signal twice.
    """
    agents = {"": runtime} if isinstance(runtime, Runtime) else dict(runtime)
    runtimes = tuple(agents.values())

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        with drained_by_signals(runtimes, drain_delay_s):
            try:
                for each in runtimes:
                    await each.open()
                _collect_garbage_seldom()
                yield
            finally:
                await asyncio.gather(*(each.drain() for each in runtimes))
                for each in runtimes:
                    await each.aclose()
                await flush_telemetry()

    # The run's own span is the server's span; FastAPI's would be a second one without a tenant.
    app = EdgeApp(
        title="Agents", lifespan=lifespan, telemetry={"tracing": False}, max_body_size=MOST_BODY
    )
    app.exception_handler(RequestValidationError)(_invalid)
    app.include_router(_health(runtimes))
    for name, each in agents.items():
        app.include_router(_threads(each, auth, keepalive_s), prefix=f"/{name}" if name else "")
    return app


def _collect_garbage_seldom() -> None:
    """To look everything through for garbage takes 0.1 s, in which every stream stands still.

    What the application is made of stays, and is left out. Of runs little is garbage that does not
    go by itself: with 400 streams, a look each 5 s found 9,000 objects.
    """
    gc.freeze()
    young, middle, old = gc.get_threshold()
    gc.set_threshold(young, middle, max(old, OLD_GENERATION))


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


def _threads(runtime: Runtime, auth: Auth, keepalive_s: float) -> APIRouter:
    router = APIRouter(prefix="/threads/{thread_id}")

    async def caller(request: Request) -> tuple[str, str]:
        said = auth(request)
        return await said if inspect.isawaitable(said) else said

    async def begin(what: str | Resume, thread_id: str, request: Request) -> RunResponse:
        tenant_id, user_id = await caller(request)
        edge = request.scope[SCOPE_KEY]
        with _refusing():
            run = await runtime.begin(
                what,
                thread_id=thread_id,
                tenant_id=tenant_id,
                user_id=user_id,
                edge=edge,
                link=_caller_link(request),
            )
        return RunResponse(run, edge, keepalive_s)

    @router.post("/runs", response_class=StreamingResponse)
    async def start_run(thread_id: ThreadId, body: RunRequest, request: Request) -> RunResponse:
        return await begin(body.input, thread_id, request)

    @router.post("/resume", response_class=StreamingResponse)
    async def resume(
        thread_id: ThreadId, request: Request, body: ResumeRequest | None = None
    ) -> RunResponse:
        given = {} if body is None else body.model_dump(exclude_unset=True)
        return await begin(Resume(**given), thread_id, request)

    @router.get("")
    async def look_up(thread_id: ThreadId, request: Request) -> dict[str, Any]:
        tenant_id, _ = await caller(request)
        with _refusing():
            at, running = await runtime.thread(thread_id, tenant_id=tenant_id)
        done = "done" if at.next_node == END else "interrupted"
        return {
            "thread_id": thread_id,
            "status": "running" if running else done,
            "run_id": at.run_id,
            "turn_id": at.turn_id,
            "step": at.step,
            "next_node": at.next_node,
            "messages": [_shown(message) for message in at.state.messages],
            "values": at.state.values,
            "question": at.question,
            "asked": None if at.asked is None else at.asked.payload,
        }

    return router


def _shown(message: Said) -> dict[str, Any]:
    """A message without what only its model is told again: thoughts are nobody's to read."""
    shown = asdict(message)
    del shown["thinking"], shown["thought"]
    for call in shown["tool_calls"]:
        del call["extra"]
    return shown


@contextmanager
def _refusing() -> Iterator[None]:
    """Answer what keeps a run from beginning with its status, and with when to ask again."""
    try:
        yield
    except Refused as error:
        raise _answered(error.status, str(error), error.retry_after_s) from error
    except StoreError as error:
        # Where the store is and what it says is for the operators.
        LOG.error(
            "store.failed", error_class=error_class(error), error_message=error_message(error)
        )
        raise _answered(503, "the store of threads cannot be used", RETRY_AFTER_S) from error


async def _invalid(_: Request, error: RequestValidationError) -> Response:
    """422. It quotes the request, of which not everything can be sent back as it is."""
    detail = as_json({"detail": jsonable_encoder(error.errors())})
    return Response(detail, 422, media_type="application/json")


def _answered(status: int, detail: str, wait_s: float | None) -> HTTPException:
    headers = None if wait_s is None else {"retry-after": str(math.ceil(wait_s))}
    return HTTPException(status, detail, headers)


async def _encoded(run: Run, keepalive_s: float) -> AsyncIterator[bytes]:
    async for events in run.events(keepalive_s):
        yield b"".join(map(encode, events))


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
