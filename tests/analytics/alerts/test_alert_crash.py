"""kill -9 at the worst moment, and at any moment."""

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from analytics.alerts import AlertHistory, AlertStore
from tests.analytics.alerts.receiver import Received, Receiver, until


@contextmanager
def pager(store: Path, url: str, root: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A pager process, killed with SIGKILL on leaving."""
    command = [sys.executable, "-m", "tests.analytics.alerts.pager_process", str(store), url]
    process = subprocess.Popen(
        command, cwd=root, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield process
        assert process.poll() is None, "the pager ended on its own"
    finally:
        process.kill()
        process.wait()


def test_notification_recorded_before_a_crash_is_delivered_after_it(
    tmp_path: Path, receiver: Receiver, repository: Path
) -> None:
    """Killed between commit and delivery: after a restart the same notification arrives."""
    path = tmp_path / "alerts.sqlite"
    receiver.answer = lambda _: None
    with pager(path, receiver.url, repository):
        until(lambda: receiver.requests, 30)
    (cut_off, *_) = receiver.requests
    assert receiver.accepted == []
    waiting = {delivery.notification.fingerprint for delivery in AlertHistory(path).undelivered()}
    assert cut_off.alert["fingerprint"] in waiting

    receiver.answer = lambda _: 200
    with pager(path, receiver.url, repository):
        until(lambda: any(again.body == cut_off.body for again in receiver.accepted), 30)
    again = next(again for again in receiver.accepted if again.body == cut_off.body)
    assert again.headers["webhook-id"] == cut_off.headers["webhook-id"]


def test_every_end_of_every_incident_arrives_whenever_the_pager_is_killed(
    tmp_path: Path, receiver: Receiver, repository: Path
) -> None:
    """Killed again and again at random moments: nothing is missing, invented or out of order."""
    path = tmp_path / "alerts.sqlite"
    AlertStore(path)
    moments = random.Random(7)

    def answer(_: Received) -> int:
        time.sleep(moments.choice([0, 0.005, 0.05]))
        return moments.choice([200, 200, 200, 500])

    receiver.answer = answer
    history = AlertHistory(path)
    for _ in range(6):
        before = len(history.history(limit=10_000))
        with pager(path, receiver.url, repository):
            until(lambda before=before: len(history.history(limit=10_000)) > before, 30)
            time.sleep(moments.uniform(0, 0.4))

    receiver.answer = lambda _: 200
    outbox = {delivery.id for delivery in history.undelivered()}
    with pager(path, receiver.url, repository):
        until(lambda: outbox.isdisjoint({d.id for d in history.undelivered()}), 30)

    waiting = {(d.notification.fingerprint, d.notification.status) for d in history.undelivered()}
    arrived: dict[tuple[str, str], int] = {}
    for position, request in enumerate(receiver.accepted):
        arrived.setdefault((request.alert["fingerprint"], request.payload["status"]), position)
    incidents = history.history(limit=10_000)
    assert len(incidents) >= 6
    expected = {(incident.fingerprint, "firing") for incident in incidents} | {
        (incident.fingerprint, "resolved") for incident in incidents if incident.resolved_at
    }
    assert set(arrived) | waiting == expected
    for (fingerprint, status), position in arrived.items():
        if status == "resolved":
            assert arrived[fingerprint, "firing"] < position
    assert len(history.firing()) <= 1
