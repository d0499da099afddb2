"""Empties the outbox: at least once, in order within an incident, never giving up.

It runs in a thread of its own, one task per incident and channel, so that a receiver that is down
delays neither evaluation nor anybody else. Progress is in the store; a restart goes on from there.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import stamina
import structlog

from analytics.alerts.channels import Channel, ChannelError
from analytics.alerts.store import AlertStore, Delivery

log = structlog.get_logger(__name__)

CONCURRENT_SENDS = 8
"""Per channel: a storm of incidents must not become a storm of connections."""


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waits double from ``initial`` to ``most``, unless the receiver asks with Retry-After."""

    initial: timedelta = timedelta(seconds=1)
    most: timedelta = timedelta(minutes=2)
    longest_wish: timedelta = timedelta(hours=1)
    """A Retry-After above this is cut to it."""

    def attempts(self) -> AsyncIterator[stamina.Attempt]:
        """Without end; waits between them are cancelled at once on shutdown."""
        return aiter(
            stamina.retry_context(
                on=self._wish,
                attempts=None,
                timeout=None,
                wait_initial=self.initial,
                wait_max=self.most,
                wait_jitter=self.initial,
            )
        )

    def _wish(self, error: Exception) -> bool | float:
        """Every error is worth another try; a receiver may say after how many seconds."""
        if isinstance(error, ChannelError) and error.retry_after is not None:
            return min(error.retry_after, self.longest_wish.total_seconds())
        return isinstance(error, Exception)  # stamina asks about a cancellation, too


@contextmanager
def delivering(
    store: AlertStore, channels: Sequence[Channel], backoff: Backoff
) -> Iterator[Callable[[], None]]:
    """Deliver in a thread while the context lasts; yields how to say that the outbox has news.

    On leaving, what is not delivered stays in the outbox; a send under way is cut off and will be
    repeated.
    """
    loop = asyncio.new_event_loop()
    news = asyncio.Event()
    task = loop.create_task(_deliver(store, channels, backoff, news))

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(task)

    def announce_news() -> None:
        loop.call_soon_threadsafe(news.set)

    thread = threading.Thread(target=run, name="alert-delivery", daemon=True)
    thread.start()
    try:
        yield announce_news
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        loop.close()


async def _deliver(
    store: AlertStore, channels: Sequence[Channel], backoff: Backoff, news: asyncio.Event
) -> None:
    by_name = {channel.name: channel for channel in channels}
    slots = {channel.name: asyncio.Semaphore(CONCURRENT_SENDS) for channel in channels}
    under_way: set[tuple[str, str]] = set()

    async def carry(delivery: Delivery, key: tuple[str, str]) -> None:
        await _deliver_one(
            store, by_name[delivery.channel], delivery, backoff, slots[delivery.channel]
        )
        under_way.discard(key)
        news.set()

    async with asyncio.TaskGroup() as group:
        while True:
            news.clear()
            async for attempt in backoff.attempts():
                with attempt:
                    outbox = store.undelivered()
            for delivery in outbox:
                key = (delivery.channel, delivery.notification.fingerprint)
                if delivery.channel in by_name and key not in under_way:
                    under_way.add(key)
                    group.create_task(carry(delivery, key))
            await news.wait()


async def _deliver_one(
    store: AlertStore,
    channel: Channel,
    delivery: Delivery,
    backoff: Backoff,
    slot: asyncio.Semaphore,
) -> None:
    notification = delivery.notification
    about = {"channel": channel.name, "fingerprint": notification.fingerprint}
    structlog.contextvars.bind_contextvars(**about)  # so that stamina's line about a retry has them
    async for attempt in backoff.attempts():
        with attempt:
            try:
                async with slot:
                    await channel.send(notification)
            except Exception as error:
                store.delivery_failed(delivery, str(error))
                raise
    async for attempt in backoff.attempts():  # on its own: a full disk must not page twice
        with attempt:
            store.delivered(delivery, datetime.now(UTC))
    log.info("alert_delivered", status=notification.status, **about)
