"""Batches whose records are told apart, and how often each is in the lake."""

import asyncio
import os
import threading
import time
from collections import Counter
from functools import partial
from pathlib import Path

import duckdb
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest import WriterSettings, run_writer
from ingest.journal import Journal
from ingest.ledger import Ledger
from lake import Lake


def span_batch(count: int) -> tuple[list[str], bytes]:
    """A trace request with fresh ids, and the span ids in hex."""
    request = ExportTraceServiceRequest()
    scope_spans = request.resource_spans.add().scope_spans.add()
    end = time.time_ns()
    for _ in range(count):
        scope_spans.spans.add(
            trace_id=os.urandom(16),
            span_id=os.urandom(8),
            name="chat gpt-5",
            start_time_unix_nano=end - 1_000_000,
            end_time_unix_nano=end,
        )
    return [span.span_id.hex() for span in scope_spans.spans], request.SerializeToString()


def log_batch(count: int) -> tuple[list[str], bytes]:
    """A log request whose bodies are unique, and these bodies."""
    request = ExportLogsServiceRequest()
    scope_logs = request.resource_logs.add().scope_logs.add()
    for _ in range(count):
        record = scope_logs.log_records.add(time_unix_nano=time.time_ns())
        record.body.string_value = os.urandom(12).hex()
    return [r.body.string_value for r in scope_logs.log_records], request.SerializeToString()


def commit(data: Path, signal: str, body: bytes, records: int) -> None:
    """Take a batch of so many records into the journal, and from there into the lake."""

    async def append() -> None:
        journal = Journal(data / "journal" / signal, partial(Ledger(data).close_segment, signal))
        assert await journal.append(body, time.time_ns(), records)
        await journal.close()

    asyncio.run(append())
    drain(data)


def drain(data: Path) -> None:
    """What a restarted writer does with what is there."""
    stop = threading.Event()
    stop.set()
    run_writer(WriterSettings(data=data), stop)


def rows_per_value(lake: Lake, table: str, column: str) -> Counter[str]:
    """How often each value stands in the raw rows of the lake."""
    with duckdb.connect() as connection:
        lake.snapshot().attach(connection)
        values = connection.sql(f"SELECT {column} FROM lake_{table}").fetchall()
    return Counter(value for (value,) in values)
