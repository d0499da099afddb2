"""kill -9 at any moment loses nothing that was acknowledged, and counts nothing twice."""

import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from lake import Lake
from tests.faults.batches import log_batch, rows_per_value, span_batch
from tests.faults.sidecar import Sidecar

KILLS = 22
SPAN_SENDERS = 3
PROTOBUF = {"content-type": "application/x-protobuf"}

NewBatch = Callable[[int], tuple[list[str], bytes]]


@dataclass
class Sent:
    """What one sender knows: records that were acknowledged, and those it gave up."""

    acknowledged: list[str] = field(default_factory=list)
    given_up: set[str] = field(default_factory=set)
    retries: int = 0


def send(url: str, new_batch: NewBatch, seed: float, finish: threading.Event) -> Sent:
    """Send batches one after the other, each retried as OTLP says until it is acknowledged.

    One batch in ten is given up after its first failure, as by a client that ends: it may be in
    the lake or not, but never twice.
    """
    sent = Sent()
    rng = random.Random(seed)
    with httpx.Client(timeout=5, headers=PROTOBUF) as client:
        while not finish.is_set():
            names, body = new_batch(rng.randint(1, 300))
            patient = rng.random() < 0.9
            give_up_at = time.monotonic() + 60
            while not is_acknowledged(client, url, body):
                assert time.monotonic() < give_up_at, "a minute without an acknowledgement"
                if not patient:
                    sent.given_up.update(names)
                    break
                sent.retries += 1
                time.sleep(rng.uniform(0.01, 0.1))
            else:
                sent.acknowledged += names
            time.sleep(rng.uniform(0, 0.02))
    return sent


def is_acknowledged(client: httpx.Client, url: str, body: bytes) -> bool:
    """Whether the receiver took the batch; any answer but success or "come back" is a failure."""
    try:
        response = client.post(url, content=body)
    except httpx.TransportError:
        return False
    assert response.status_code in {200, 503}, response.text
    assert response.status_code == 503 or not response.content
    return response.status_code == 200


def check(found: Counter[str], sent: Sequence[Sent]) -> None:
    """Every acknowledged record once, every abandoned one at most once, nothing else."""
    acknowledged = [name for one in sent for name in one.acknowledged]
    lost = [name for name in acknowledged if name not in found]
    doubled = [name for name, times in found.items() if times > 1]
    assert not lost, f"{len(lost)} of {len(acknowledged)} acknowledged records are lost"
    assert not doubled, f"{len(doubled)} records are there more than once"
    assert set(found) <= set(acknowledged).union(*(one.given_up for one in sent))


@pytest.mark.timeout(180)
def test_kill_9_at_random_moments_under_load(tmp_path: Path) -> None:
    """Kill the whole sidecar again and again under load: every acknowledged record exactly once."""
    seed = int(os.environ.get("QUIETPAGER_FAULT_SEED", random.randrange(2**32)))
    print(f"QUIETPAGER_FAULT_SEED={seed}")
    rng = random.Random(seed)
    finish = threading.Event()
    with (
        (tmp_path / "log").open("w") as log,
        ThreadPoolExecutor(SPAN_SENDERS + 1) as pool,
        Sidecar(tmp_path / "data", log) as sidecar,
    ):
        span_senders = [
            pool.submit(send, f"{sidecar.url}/v1/traces", span_batch, rng.random(), finish)
            for _ in range(SPAN_SENDERS)
        ]
        log_sender = pool.submit(send, f"{sidecar.url}/v1/logs", log_batch, rng.random(), finish)
        try:
            for kill in range(KILLS):
                sidecar.start()
                if kill % 5:  # every fifth time it is killed while it still recovers
                    sidecar.wait_until_ready()
                time.sleep(rng.uniform(0, 1.2))
                sidecar.kill()
            sidecar.start()
            sidecar.wait_until_ready()
        finally:
            finish.set()
        sent_spans = [sender.result(90) for sender in span_senders]
        sent_logs = [log_sender.result(90)]
        sidecar.stop()
    lake = Lake(tmp_path / "data" / "lake")
    check(rows_per_value(lake, "spans", "span_id"), sent_spans)
    check(rows_per_value(lake, "logs", "body"), sent_logs)
    assert sum(one.retries for one in sent_spans) > KILLS, "the kills met no load"
    journal = tmp_path / "data" / "journal"
    assert not list(journal.glob("*/*.journal"))
    assert not list(journal.glob("*/quarantine/*"))
