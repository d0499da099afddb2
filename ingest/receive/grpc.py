"""OTLP over gRPC. Requests stay bytes until the intake has checked them."""

from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import grpc.aio

from ingest.receive.intake import Intake
from ingest.receive.refusal import Refusal
from ingest.receive.signals import SIGNALS, Signal

_STATUS_DETAILS = "grpc-status-details-bin"
_STATUS_OF_CODE = {status.value[0]: status for status in grpc.StatusCode}


def create_server(intake: Intake) -> grpc.aio.Server:
    """A gRPC server with the export service of every signal, not yet bound to an address."""
    server = grpc.aio.server(
        options=[
            ("grpc.max_receive_message_length", intake.settings.max_body_bytes),
            ("grpc.so_reuseport", 0),  # a second receiver must fail, not share the port
        ]
    )
    for signal in SIGNALS:
        method = grpc.unary_unary_rpc_method_handler(_export(intake, signal))
        handler = grpc.method_handlers_generic_handler(signal.service, {"Export": method})
        server.add_generic_rpc_handlers((handler,))
    return server


def _export(intake: Intake, signal: Signal) -> Callable[[bytes, Any], Awaitable[bytes]]:
    async def export(body: bytes, context: Any) -> bytes:
        try:
            with intake.memory.hold() as held:
                held.grow(len(body))
                await intake.admit()
                answer = await intake.accept(body, signal, held=held)
        except Refusal as refusal:
            intake.counts.refused_requests[signal.name, refusal.reason] += 1
            status = refusal.status()
            await context.abort(
                _STATUS_OF_CODE[status.code],
                refusal.message,
                ((_STATUS_DETAILS, status.SerializeToString()),),
            )
            raise AssertionError("abort always raises") from refusal
        return answer.SerializeToString()

    return export
