"""The real pager over past traffic, so that the page has real incidents to show."""

import threading
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from analytics import Analytics
from analytics.alerts import AlertRule, AlertStore, run_pager


@dataclass
class Replay:
    """A clock that jumps from evaluation to evaluation and ends the pager at ``until``."""

    at: datetime
    until: datetime
    stop: threading.Event

    def now(self) -> datetime:
        return self.at

    def sleep(self, length: timedelta, stop: threading.Event) -> None:
        self.at += length
        if self.at > self.until:
            self.stop.set()


def watch_past(analytics: Analytics, store_path: Path, *, since: datetime, until: datetime) -> None:
    """Evaluate the TTFB rule over ten minutes every 30 s of the given time; tell nobody."""
    stop = threading.Event()
    run_pager(
        analytics,
        [AlertRule(window=timedelta(minutes=10))],
        [],
        AlertStore(store_path),
        stop,
        clock=Replay(since, until, stop),
    )
