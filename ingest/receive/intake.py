"""The decision about one request, whatever transport carried it."""

import asyncio
import shutil
import time
from collections import Counter
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

import structlog
from google.protobuf.message import Message

from ingest.journal import Journal, JournalClosed
from ingest.receive.decode import Batch, Format, decode_batch
from ingest.receive.memory import Held, Memory
from ingest.receive.pace import pause_seconds
from ingest.receive.refusal import Refusal, unavailable
from ingest.receive.settings import MIB, ReceiverSettings
from ingest.receive.signals import Signal

_log = structlog.get_logger()

_ROOM_KNOWN_SECONDS = 0.25
_WARN_EVERY_SECONDS = 10.0
_INLINE_BYTES = {Format.PROTOBUF: 1024 * 1024, Format.JSON: 16 * 1024}  # at most some 5 ms
_LIKELY_EXPANSION = 16


@dataclass
class Counts:
    """What has happened since the receiver started, by signal name (and reason)."""

    accepted: Counter[str] = field(default_factory=Counter)
    duplicate_batches: Counter[str] = field(default_factory=Counter)
    refused_records: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused_requests: Counter[tuple[str, str]] = field(default_factory=Counter)
    paused_seconds: float = 0.0


class Intake:
    """Takes requests of every transport into the journals; belongs to one event loop."""

    def __init__(self, settings: ReceiverSettings, journals: Mapping[str, Journal]) -> None:
        self.settings = settings
        self.journals = journals
        self.counts = Counts()
        self.memory = Memory(
            settings.max_in_flight_bytes,
            for_small=min(
                settings.max_in_flight_bytes // 8,
                settings.max_in_flight_bytes - settings.max_body_bytes,
            ),
        )
        self.draining = False
        self._warned_at: dict[str, float] = {}
        self._full = ""
        self._backlog = 0
        self._room_known_until = float("-inf")
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="decode")

    async def accept(
        self,
        body: bytes,
        signal: Signal,
        *,
        held: Held,
        form: Format = Format.PROTOBUF,
        content_encoding: str = "",
    ) -> Message:
        """Store a request and return the answer to send, now that it is on disk.

        Raises Refusal. A fault of our own is one too, of the kind that clients retry.
        """
        try:
            return await self._accept(body, signal, held, form, content_encoding)
        except Refusal:
            raise
        except JournalClosed as closed:
            raise unavailable("draining", "the receiver is shutting down; retry") from closed
        except OSError as fault:
            self._log_now_and_then("receive.disk_refused", signal=signal.name, error=str(fault))
            raise unavailable("disk", f"the batch could not be stored: {fault}; retry") from fault
        except Exception as fault:
            _log.exception("receive.failed", signal=signal.name)
            raise unavailable("internal", "the batch could not be taken; retry") from fault

    async def _accept(
        self, body: bytes, signal: Signal, held: Held, form: Format, content_encoding: str
    ) -> Message:
        self.check_room()
        received = time.time_ns()
        decode = partial(
            decode_batch,
            body,
            signal,
            form,
            content_encoding,
            limit=self.settings.max_body_bytes,
            received_unix_nano=received,
        )
        likely = len(body) * (_LIKELY_EXPANSION if content_encoding else 1)
        if likely <= _INLINE_BYTES[form]:
            batch = decode()
        else:
            loop = asyncio.get_running_loop()
            batch = await loop.run_in_executor(self._threads, decode)
        held.grow(max(0, len(batch.request) - len(body)))
        if batch.verdict.kept:
            await self._store(batch, signal, received)
        return self._answer(batch, signal)

    async def _store(self, batch: Batch, signal: Signal, received: int) -> None:
        is_new = await self.journals[signal.name].append(
            batch.request, received, batch.verdict.kept, batch.digest
        )
        if is_new:
            self.counts.accepted[signal.name] += batch.verdict.kept
        else:
            self.counts.duplicate_batches[signal.name] += 1

    def _answer(self, batch: Batch, signal: Signal) -> Message:
        verdict = batch.verdict
        if not verdict.refused:
            return signal.answer(0, "")
        for reason, count in verdict.reasons.items():
            self.counts.refused_records[signal.name, reason] += count
        total = verdict.kept + verdict.refused
        message = (
            f"{verdict.refused} of {total} {signal.noun} refused; first: {verdict.first_refusal}"
        )
        self._log_now_and_then("receive.refused", signal=signal.name, detail=message)
        return signal.answer(verdict.refused, message)

    def _log_now_and_then(self, event: str, **details: str) -> None:
        """Warn, but not for each of the thousand requests that meet the same fault."""
        now = time.monotonic()
        if now - self._warned_at.get(event, float("-inf")) > _WARN_EVERY_SECONDS:
            self._warned_at[event] = now
            _log.warning(event, **details)

    def check_room(self) -> None:
        """Raise Refusal when nothing can be taken now: draining, journal or disk full."""
        if self.draining:
            raise unavailable("draining", "the receiver is shutting down; retry")
        if (started := time.monotonic()) > self._room_known_until:
            self._full = self._why_full()
            took = time.monotonic() - started  # longer the more segments wait
            self._room_known_until = started + max(_ROOM_KNOWN_SECONDS, 20 * took)
        if self._full:
            raise unavailable("full", f"{self._full}; retry later")

    async def admit(self) -> None:
        """Wait for this request's turn; raises Refusal as `check_room` does."""
        self.check_room()
        if pause := pause_seconds(self._backlog):
            self.counts.paused_seconds += pause
            await asyncio.sleep(pause)

    def _why_full(self) -> str:
        settings = self.settings
        backlog = self._backlog = sum(each.backlog().bytes for each in self.journals.values())
        if backlog >= settings.journal_budget_bytes:
            return (
                f"the journal holds {backlog / MIB:.0f} MiB, its budget of "
                f"{settings.journal_budget_bytes / MIB:.0f} MiB: the writer is behind"
            )
        free = shutil.disk_usage(settings.data).free
        if free < settings.min_free_bytes:
            return (
                f"{settings.data} has {free / MIB:.0f} MiB free, "
                f"less than the {settings.min_free_bytes / MIB:.0f} MiB that must stay free"
            )
        return ""
