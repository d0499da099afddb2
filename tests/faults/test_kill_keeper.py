"""A keeper that dies at any moment loses no row, and the accounts still add up."""

import asyncio
import os
import random
import shutil
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from ingest import verify
from ingest.journal import Journal
from ingest.keep import keep
from ingest.keeper import KeeperSettings
from ingest.ledger import Ledger
from lake import Lake
from tests.faults.batches import drain, rows_per_value, span_batch
from tests.faults.killed import live

PREPARE = """
from datetime import datetime, timedelta, UTC
from ingest.keep import keep
from ingest.keeper import KeeperSettings
settings = KeeperSettings.from_json(sys.argv[1])
"""
KEEP = """
keep(settings, datetime.now(UTC) + timedelta(hours=2))
"""


def of_day(days_ago: int, tenant: str, copies: int) -> tuple[list[str], list[bytes]]:
    """A batch of a tenant on a past day, and the same spans again in other batches."""
    names, body = span_batch(200)
    request = ExportTraceServiceRequest.FromString(body)
    back = days_ago * 24 * 3600 * 10**9
    for span in request.resource_spans[0].scope_spans[0].spans:
        span.start_time_unix_nano -= back
        span.end_time_unix_nano -= back
    request.resource_spans[0].resource.attributes.add(key="tenant.id").value.string_value = tenant
    bodies = []
    for copy in range(copies):
        request.resource_spans[0].scope_spans[0].scope.version = str(copy)
        bodies.append(request.SerializeToString())
    return names, bodies


def store(data: Path) -> list[str]:
    """Ended days with duplicates, one out of retention, one of a tenant out of its; what stays."""
    stays: list[str] = []
    bodies: list[bytes] = []
    for days_ago, tenant in ((2, "acme"), (3, "acme"), (3, "brief"), (20, "acme")):
        names, copies = of_day(days_ago, tenant, copies=2)
        bodies += copies
        if days_ago < 10 and tenant != "brief":
            stays += names

    async def append() -> None:
        journal = Journal(
            data / "journal" / "traces", partial(Ledger(data).close_segment, "traces")
        )
        for body in bodies:
            assert await journal.append(body, time.time_ns(), 200)
        await journal.close()

    asyncio.run(append())
    drain(data)
    return stays


def settings_of(data: Path) -> KeeperSettings:
    return KeeperSettings(data=data, retention_days=10, tenant_retention_days={"brief": 1})


def keep_for(data: Path, seconds: float | None) -> float:
    """Run a keeper and kill it; without `seconds` it may finish. Returns how long it lived."""
    return live(PREPARE, KEEP, settings_of(data).to_json(), seconds)


def check_accounts(data: Path) -> None:
    assert {each.missing for each in verify(data)} == {0}


@pytest.mark.parametrize(
    "kills", [5, pytest.param(200, marks=[pytest.mark.nightly, pytest.mark.timeout(3600)])]
)
def test_a_killed_keeper(tmp_path: Path, kills: int) -> None:
    """After each kill nothing is missing, and the next keeper finishes what this one left."""
    seed = int(os.environ.get("QUIETPAGER_FAULT_SEED", random.randrange(2**32)))
    print(f"QUIETPAGER_FAULT_SEED={seed}")
    rng = random.Random(seed)
    stays = store(tmp_path / "data")
    shutil.copytree(tmp_path / "data", tmp_path / "whole")
    needed = keep_for(tmp_path / "whole", None)
    for kill in range(kills):
        copy = tmp_path / str(kill)
        shutil.copytree(tmp_path / "data", copy)
        keep_for(copy, rng.uniform(0, needed))
        check_accounts(copy)
        assert keep(settings_of(copy), datetime.now(UTC) + timedelta(hours=2))
        check_accounts(copy)
        found = rows_per_value(Lake(copy / "lake"), "spans", "span_id")
        assert found == dict.fromkeys(stays, 1)
        shutil.rmtree(copy)
