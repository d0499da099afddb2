"""OTLP over HTTP, and what operators ask the receiver over HTTP."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO

import orjson
from google.protobuf import json_format
from google.protobuf.message import Message
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from ingest.identity import DATA_HEADER, identity_of
from ingest.receive.decode import Format
from ingest.receive.intake import Intake
from ingest.receive.memory import Held
from ingest.receive.metrics import CONTENT_TYPE, exposition
from ingest.receive.refusal import (
    RETRY_AFTER_SECONDS,
    Kind,
    Refusal,
    too_large,
    unavailable,
)
from ingest.receive.signals import SIGNALS, Signal

_LINGER_SECONDS = 5.0
_LINGER_BODIES = 4


def create_app(intake: Intake) -> Starlette:
    """The ASGI application: POST of each signal, GET /healthz, /readyz and /metrics."""

    def export_route(signal: Signal) -> Route:
        async def export(request: Request) -> Response:
            return await _export(request, signal, intake)

        return Route(signal.path, export, methods=["POST"])

    async def healthz(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    async def readyz(_: Request) -> Response:
        try:
            intake.check_room()
        except Refusal as refusal:
            return JSONResponse({"ready": False, "reason": refusal.message}, 503)
        return JSONResponse({"ready": True})

    async def metrics(_: Request) -> Response:
        return Response(await exposition(intake), headers={"content-type": CONTENT_TYPE})

    app = Starlette(
        routes=[
            *(export_route(signal) for signal in SIGNALS),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", metrics),
        ],
        exception_handlers={HTTPException: _unrouted, Exception: _failed},
    )
    # An exporter does not follow a redirect, and would be told nothing of the path it should use.
    app.router.redirect_slashes = False
    return app


@dataclass
class _Incoming:
    """The body of a request as it comes, and whether all of it has."""

    request: Request
    whole: bool = False

    async def chunks(self) -> AsyncIterator[bytes]:
        """What has not been taken yet. Raises ClientDisconnect when the client leaves."""
        while not self.whole:
            message = await self.request.receive()
            if message["type"] != "http.request":
                raise ClientDisconnect
            self.whole = not message.get("more_body", False)
            yield message.get("body", b"")


async def _export(request: Request, signal: Signal, intake: Intake) -> Response:
    form = Format.JSON
    incoming = _Incoming(request)
    try:
        form = _format_of(request)
        _check_transfer(request)
        here = _check_meant_for(request, intake)
        with intake.memory.hold() as held:
            await intake.admit()
            body = await _read(incoming, held, intake)
            answer = await intake.accept(
                body,
                signal,
                held=held,
                form=form,
                content_encoding=request.headers.get("content-encoding", "").strip().lower(),
            )
    except Refusal as refusal:
        intake.counts.refused_requests[signal.name, refusal.reason] += 1
        await _discard_rest(incoming, intake)
        return _refusal_response(refusal, form)
    except ClientDisconnect:
        return Response(status_code=400)  # nobody is there to read it
    response = _response(answer, form, 200)
    response.headers.update(here)
    return response


def _check_meant_for(request: Request, intake: Intake) -> dict[str, str]:
    """Refuse what names another data directory; the header that confirms one that names this."""
    if (meant := request.headers.get(DATA_HEADER)) is None:
        return {}
    if meant != identity_of(intake.settings.data):
        message = f"this receiver stores into another data directory than {meant}"
        raise Refusal(Kind.MISDIRECTED, "misdirected", message)
    return {DATA_HEADER: meant}


def _format_of(request: Request) -> Format:
    content_type = request.headers.get("content-type", "")
    try:
        return Format(content_type.partition(";")[0].strip().lower())
    except ValueError:
        raise Refusal(
            Kind.UNSUPPORTED,
            "unsupported_type",
            f"Content-Type {content_type!r} is not supported; "
            "use application/x-protobuf or application/json",
        ) from None


def _check_transfer(request: Request) -> None:
    """Refuse transfer codings other than chunked, whose body would be read as it is (RFC 9112)."""
    codings = request.headers.get("transfer-encoding", "chunked").strip()
    if codings.lower() != "chunked":
        raise Refusal(
            Kind.NOT_IMPLEMENTED,
            "unsupported_transfer",
            f"Transfer-Encoding {codings!r} is not supported; send the body chunked or with its "
            "length, and name its compression in Content-Encoding",
        )


async def _read(incoming: _Incoming, held: Held, intake: Intake) -> bytes:
    """The body as sent, at most `max_body_bytes`, each byte accounted for as it comes."""
    limit = intake.settings.max_body_bytes
    announced = incoming.request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise too_large(limit)
    seconds = intake.settings.body_timeout_seconds
    with BytesIO() as body:  # closed, it holds nothing, however long a refusal names this frame
        try:
            async with asyncio.timeout(seconds):
                async for chunk in incoming.chunks():
                    held.grow(len(chunk))
                    if held.bytes > limit:
                        raise too_large(limit)
                    body.write(chunk)
        except TimeoutError:
            message = f"the body did not arrive within {seconds:g} s; retry"
            raise unavailable("slow", message) from None
        return body.getvalue()


async def _discard_rest(incoming: _Incoming, intake: Intake) -> None:
    """Let a client that sends all before it reads get its answer, and not a broken connection.

    One that asked to be told first (Expect) is told at once, one that never ends is cut off.
    """
    if "expect" in incoming.request.headers:
        return
    left = _LINGER_BODIES * intake.settings.max_body_bytes
    with suppress(TimeoutError, ClientDisconnect):
        async with asyncio.timeout(_LINGER_SECONDS):
            async for chunk in incoming.chunks():
                left -= len(chunk)
                if left <= 0:
                    return


def _response(message: Message, form: Format, status: int) -> Response:
    if form is Format.JSON:
        content = orjson.dumps(json_format.MessageToDict(message))
    else:
        content = message.SerializeToString()
    return Response(content, status, media_type=form.value)


def _refusal_response(refusal: Refusal, form: Format) -> Response:
    response = _response(refusal.status(), form, refusal.kind.http_status)
    if refusal.kind is Kind.UNAVAILABLE:
        response.headers["retry-after"] = str(RETRY_AFTER_SECONDS)
    return response


async def _unrouted(request: Request, fault: Exception) -> Response:
    """A path or method that is not served, answered as OTLP wants errors answered."""
    form = Format.JSON
    with suppress(Refusal):
        form = _format_of(request)
    path = request.url.path
    if isinstance(fault, HTTPException) and fault.status_code == 405:
        message = f"{request.method} {path} is not supported"
        if any(path == signal.path for signal in SIGNALS):
            message += "; use POST"
        response = _refusal_response(Refusal(Kind.WRONG_METHOD, "wrong_method", message), form)
        response.headers.update(fault.headers or {})
        return response
    served = ", ".join(f"{signal.name} at {signal.path}" for signal in SIGNALS)
    message = f"{path} is not served; this receiver takes {served}"
    return _refusal_response(Refusal(Kind.UNKNOWN_PATH, "unknown_path", message), form)


async def _failed(request: Request, _: Exception) -> Response:
    """A fault of our own: never a 500, on which OTLP clients drop the batch."""
    form = Format.JSON
    with suppress(Refusal):
        form = _format_of(request)
    return _refusal_response(unavailable("internal", "the receiver failed; retry"), form)
