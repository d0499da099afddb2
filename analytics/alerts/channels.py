"""Where notifications go. A channel that raises is tried again until it does not."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog

from analytics.alerts.notification import Notification

log = structlog.get_logger(__name__)


class Channel(Protocol):
    """Anything that can be told. The same notification may come twice: see its fingerprint."""

    @property
    def name(self) -> str:
        """Unique; undelivered notifications are kept under it over restarts."""

    async def send(self, notification: Notification) -> None:
        """Return once the receiver has it; raise if it may not have it."""


class ChannelError(Exception):
    """A receiver did not accept a notification; ``retry_after`` is its wish in seconds, if any."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class LogChannel:
    """One structured log line per notification."""

    name: str = "log"

    async def send(self, notification: Notification) -> None:
        write = log.warning if notification.status == "firing" else log.info
        write(
            "alert",
            status=notification.status,
            fingerprint=notification.fingerprint,
            starts_at=rfc3339(notification.starts_at),
            ends_at=rfc3339(notification.ends_at) if notification.ends_at else None,
            **notification.labels,
            **notification.annotations,
        )


def rfc3339(at: datetime) -> str:
    """A moment as receivers of alerts read it, in UTC."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
