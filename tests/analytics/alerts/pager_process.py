"""A pager in a process of its own, for tests that kill it: STORE WEBHOOK_URL.

Its clock runs 600 times as fast as the machine's. Every second minute the p95 of tenant acme is
over the threshold, so an incident begins or ends every tenth of a real second.
"""

import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from analytics.alerts import AlertRule, AlertStore, Backoff, WebhookChannel, run_pager
from tests.analytics.alerts.scripted import START, Script, answer

SPEED = 600
EPOCH = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
RULE = AlertRule(for_=timedelta(0), keep_firing_for=timedelta(0), interval=timedelta(seconds=30))


class FastClock:
    """Goes on over restarts, as a machine's clock does."""

    def now(self) -> datetime:
        return START + timedelta(seconds=(time.time() - EPOCH) * SPEED)

    def sleep(self, length: timedelta, stop: threading.Event) -> None:
        stop.wait(length.total_seconds() / SPEED)


def main(store: str, url: str) -> None:
    run_pager(
        Script(lambda minute: answer(600.0, acme=2410.0 if int(minute) % 2 else 600.0)),
        [RULE],
        [WebhookChannel(url=url)],
        AlertStore(Path(store)),
        threading.Event(),
        clock=FastClock(),
        backoff=Backoff(initial=timedelta(milliseconds=20), most=timedelta(milliseconds=100)),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
