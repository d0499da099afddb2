"""Telemetry comes in over OTLP, rows of the lake go out.

Comes in: OTLP export requests for traces, logs and metrics, over HTTP (protobuf, JSON) and gRPC;
files of telemetry, which `import_file` sends to a receiver like any other client.
Goes out: rows in the lake, each acknowledged batch exactly once.
Never: acknowledge what is not on disk; compute a price or an SLO.

Two processes share the journal directory. `serve_receiver` validates requests, journals them and
only then answers; `run_writer` turns closed journal segments into Delta commits. The receiver
stays small: importing it loads neither pyarrow nor deltalake.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ingest.accounts import HourAccount, Proof, Uncounted, prove, uncounted, verify
    from ingest.backfill.progress import ProgressStore
    from ingest.backfill.recognise import FileFormat
    from ingest.backfill.run import Imported, Listener, Reading, Unrecognised, import_file
    from ingest.backfill.sender import NoReceiver, Refused, Sender
    from ingest.condition import Condition, Rewind, condition_of, dropped_content, rewinds
    from ingest.erasure import Erasure, StillInJournal, erase, sweep
    from ingest.lock import DirectoryInUse, Holder, sole
    from ingest.logs import log_json, log_warnings
    from ingest.privacy.known import known_names
    from ingest.receive.server import Endpoints, serve_receiver
    from ingest.receive.settings import ReceiverSettings
    from ingest.retention_clock import remembered_clock
    from ingest.write import WriterError, WriterSettings, run_writer

__all__ = [
    "Condition",
    "DirectoryInUse",
    "Endpoints",
    "Erasure",
    "FileFormat",
    "Holder",
    "HourAccount",
    "Imported",
    "Listener",
    "NoReceiver",
    "ProgressStore",
    "Proof",
    "Reading",
    "ReceiverSettings",
    "Refused",
    "Rewind",
    "Sender",
    "StillInJournal",
    "Uncounted",
    "Unrecognised",
    "WriterError",
    "WriterSettings",
    "condition_of",
    "dropped_content",
    "erase",
    "import_file",
    "known_names",
    "log_json",
    "log_warnings",
    "prove",
    "remembered_clock",
    "rewinds",
    "run_writer",
    "serve_receiver",
    "sole",
    "sweep",
    "uncounted",
    "verify",
]

_HOME = {
    "Condition": "ingest.condition",
    "condition_of": "ingest.condition",
    "dropped_content": "ingest.condition",
    "DirectoryInUse": "ingest.lock",
    "Endpoints": "ingest.receive.server",
    "Erasure": "ingest.erasure",
    "Holder": "ingest.lock",
    "FileFormat": "ingest.backfill.recognise",
    "HourAccount": "ingest.accounts",
    "Proof": "ingest.accounts",
    "prove": "ingest.accounts",
    "Imported": "ingest.backfill.run",
    "Listener": "ingest.backfill.run",
    "NoReceiver": "ingest.backfill.sender",
    "ProgressStore": "ingest.backfill.progress",
    "Reading": "ingest.backfill.run",
    "ReceiverSettings": "ingest.receive.settings",
    "Refused": "ingest.backfill.sender",
    "Sender": "ingest.backfill.sender",
    "StillInJournal": "ingest.erasure",
    "Unrecognised": "ingest.backfill.run",
    "Uncounted": "ingest.accounts",
    "WriterError": "ingest.write",
    "WriterSettings": "ingest.write",
    "erase": "ingest.erasure",
    "import_file": "ingest.backfill.run",
    "known_names": "ingest.privacy.known",
    "log_json": "ingest.logs",
    "log_warnings": "ingest.logs",
    "remembered_clock": "ingest.retention_clock",
    "Rewind": "ingest.condition",
    "rewinds": "ingest.condition",
    "run_writer": "ingest.write",
    "serve_receiver": "ingest.receive.server",
    "sole": "ingest.lock",
    "sweep": "ingest.erasure",
    "uncounted": "ingest.accounts",
    "verify": "ingest.accounts",
}


def __getattr__(name: str) -> Any:
    """Load each side only when it is asked for: the receiver does without the writer's Arrow."""
    if name in _HOME:
        return getattr(import_module(_HOME[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
