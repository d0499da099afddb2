"""Telemetry comes in over OTLP, rows of the lake go out.

Comes in: OTLP export requests for traces and logs, over HTTP (protobuf or JSON) and gRPC.
Goes out: rows in the lake, each acknowledged batch exactly once.
Never: acknowledge what is not on disk; compute a price or an SLO.

Two processes share the journal directory. `serve_receiver` validates requests, journals them and
only then answers; `run_writer` turns closed journal segments into Delta commits. The receiver
stays small: importing it loads neither pyarrow nor deltalake.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingest.lock import DirectoryInUse, sole
    from ingest.receive.server import Endpoints, serve_receiver
    from ingest.receive.settings import ReceiverSettings
    from ingest.write import WriterError, WriterSettings, run_writer

__all__ = [
    "DirectoryInUse",
    "Endpoints",
    "ReceiverSettings",
    "WriterError",
    "WriterSettings",
    "run_writer",
    "serve_receiver",
    "sole",
]

_HOME = {
    "DirectoryInUse": "ingest.lock",
    "Endpoints": "ingest.receive.server",
    "ReceiverSettings": "ingest.receive.settings",
    "WriterError": "ingest.write",
    "WriterSettings": "ingest.write",
    "run_writer": "ingest.write",
    "serve_receiver": "ingest.receive.server",
    "sole": "ingest.lock",
}


def __getattr__(name: str) -> Any:
    """Load each side only when it is asked for: the receiver does without the writer's Arrow."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
