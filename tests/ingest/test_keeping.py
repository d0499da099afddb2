"""What is kept, for how long, and that every record stays accounted for."""

import shutil
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from cli.checks import examine
from cli.config import Config
from ingest import erase, rewinds, sweep, verify
from ingest.keep import keep
from ingest.keeper import KeeperSettings
from ingest.ledger import Ledger, LedgerError, hour_of
from ingest.ledger.totals import Totals, totals_of
from ingest.lock import DirectoryInUse, sole
from ingest.remove import remove_tenant
from lake import Lake, traces_of
from tests.ingest.batches import logs, spans
from tests.ingest.kept import DAY, NOW, StartReceiver, accept, of_tenant, tenants, total, write
from tests.ingest.running import RunningReceiver


def test_what_is_accepted_waits_and_then_is_stored(start_receiver: StartReceiver) -> None:
    """Before the writer came records wait, after it they are rows; retried ones count beside."""
    receiver = start_receiver()
    batch = spans(3)
    accept(receiver, batch, spans(2), batch, logs(4))
    receiver.stop()
    account = total(receiver.data)
    assert (account.accepted, account.waiting, account.stored, account.retried) == (5, 5, 0, 3)

    write(receiver.data)

    account = total(receiver.data)
    assert (account.accepted, account.waiting, account.stored) == (5, 0, 5)
    assert total(receiver.data, "logs").stored == 4


def test_a_lost_segment_is_missing(start_receiver: StartReceiver) -> None:
    """Whoever deletes a file of the journal is found out once later segments are stored."""
    receiver = start_receiver()
    accept(receiver, spans(3))
    receiver.stop()
    [lost] = (receiver.data / "journal" / "traces").glob("*.journal")
    lost.unlink()
    receiver = start_receiver(data=receiver.data)
    accept(receiver, spans(2))
    receiver.stop()

    write(receiver.data)

    assert sum(each.missing or 0 for each in verify(receiver.data)) == 3


def test_a_lost_file_of_the_lake_is_missing(start_receiver: StartReceiver) -> None:
    """Rows that were stored and are no longer there are missing, whoever took them."""
    receiver = start_receiver()
    accept(receiver, spans(3))
    receiver.stop()
    write(receiver.data)
    lake = Lake(receiver.data / "lake")
    delta = lake.open("spans")
    assert delta is not None
    delta.delete("status = 'unset'")

    assert sum(each.missing or 0 for each in verify(receiver.data)) == 3


def test_the_hour_in_which_a_damaged_ledger_was_set_aside_is_not_proved(
    start_receiver: StartReceiver,
) -> None:
    """What came before in that hour is not known any more; the hours behind it are proved again."""
    receiver = start_receiver()
    accept(receiver, spans(3))
    receiver.stop()
    write(receiver.data)
    (receiver.data / "state" / "ledger.sqlite").write_bytes(b"not a database" * 1000)
    with pytest.raises(LedgerError, match="file is not a database"):
        verify(receiver.data)
    receiver = start_receiver(data=receiver.data)
    accept(receiver, spans(2))
    receiver.stop()
    write(receiver.data)

    accounts = verify(receiver.data)

    assert {each.missing for each in accounts if each.signal == "traces"} == {None}
    [aside] = (receiver.data / "state").glob("ledger.sqlite.damaged-*")
    aside.unlink()
    assert {each.missing for each in verify(receiver.data) if each.signal == "traces"} == {None}
    with closing(sqlite3.connect(receiver.data / "state" / "ledger.sqlite")) as connection:
        connection.execute("UPDATE replaced SET at = at - 7200")
        connection.commit()
    assert {each.missing for each in verify(receiver.data) if each.signal == "traces"} == {-3}


def test_a_ledger_set_aside_by_a_clock_ahead_keeps_nothing_from_being_proved(
    tmp_path: Path,
) -> None:
    """What the new one knows is proved from its second hour on, or from when another went."""
    hour = hour_of(time.time_ns())
    with closing(Ledger(tmp_path)) as ledger:
        for age in (5, 4, 3, 0):
            ledger.close_segment("traces", 9 - age, {hour - age: 3}, {})
    for replaced, missing in (
        (hour + 365 * 24, [None, 0, 0, 0]),
        (hour - 4, [None, None, 0, 0]),
    ):
        with closing(sqlite3.connect(tmp_path / "state" / "ledger.sqlite")) as connection:
            connection.execute("INSERT INTO replaced (at) VALUES (?)", (replaced * 3600,))
            connection.commit()
        assert [each.missing for each in verify(tmp_path)] == missing


def test_damaged_records_are_in_quarantine(start_receiver: StartReceiver) -> None:
    """A flipped byte costs the records of its segment from there on, and they are accounted for."""
    receiver = start_receiver()
    accept(receiver, spans(3))
    receiver.stop()
    [segment] = (receiver.data / "journal" / "traces").glob("*.journal")
    content = bytearray(segment.read_bytes())
    content[len(content) // 2] ^= 1
    segment.write_bytes(content)

    write(receiver.data)

    account = total(receiver.data)
    assert (account.accepted, account.quarantined, account.stored) == (3, 3, 0)


@pytest.mark.parametrize("with_state", [True, False])
def test_a_journal_older_than_its_lake_takes_new_records(
    start_receiver: StartReceiver, monkeypatch: pytest.MonkeyPatch, with_state: bool
) -> None:
    """A backup copied the journal before the lake: what is accepted once it is back is stored.

    What the old journal still holds is in the lake and is not stored again. The ledger knows, or
    without one the lake, even where the clock was set back; and `doctor` tells of it.
    """
    receiver = start_receiver()
    accept(receiver, spans(3))
    receiver.stop()
    data, copy = receiver.data, receiver.data.with_name("copy")
    shutil.copytree(data / "journal", copy)
    [closed] = (copy / "traces").glob("*.journal")
    closed.rename(closed.with_suffix(".open"))  # it was being written to when it was copied
    write(data)
    for _ in range(3):
        receiver = start_receiver(data=data)
        accept(receiver, spans(2))
        receiver.stop()
        write(data)
    shutil.rmtree(data / "journal")
    copy.rename(data / "journal")
    monkeypatch.setattr("ingest.journal.steady_clock", lambda: lambda: 1_000.0)
    if not with_state:
        shutil.rmtree(data / "state")

    receiver = start_receiver(data=data)
    accept(receiver, spans(4))
    receiver.stop()
    write(data)

    assert tenants(data).total() == 3 + 3 * 2 + 4
    if with_state:
        assert (total(data).accepted, total(data).stored) == (13, 13)
    told = [each for each in examine(Config(data=data)) if each.check == "journal"]
    assert [each.state for each in told] == ["ok", "problem"]
    assert "traces was older" in told[1].found


def test_a_deleted_journal_is_told_of(start_receiver: StartReceiver) -> None:
    """Before anything new is accepted the lake itself shows it."""
    receiver = start_receiver()
    accept(receiver, spans(3))
    receiver.stop()
    write(receiver.data)
    assert not rewinds(receiver.data, hours=24)
    shutil.rmtree(receiver.data / "journal")
    shutil.rmtree(receiver.data / "state")

    [found] = rewinds(receiver.data, hours=24)

    assert (found.signal, found.newest) == ("traces", 0)


def test_ended_days_are_put_in_order_once(start_receiver: StartReceiver) -> None:
    """Spans delivered again in another batch collapse once their day has ended and is calm."""
    receiver = start_receiver()
    yesterday = spans(3, start=int((NOW - 2 * DAY).timestamp() * 1e9))
    again = ExportTraceServiceRequest()
    again.CopyFrom(yesterday)
    again.resource_spans[0].resource.attributes.add(key="a").value.string_value = "b"
    day_not_over = spans(1, start=int((NOW + timedelta(hours=4)).timestamp() * 1e9))
    accept(receiver, yesterday, again, day_not_over)
    receiver.stop()
    write(receiver.data)
    settings = KeeperSettings(data=receiver.data)
    assert keep(settings, NOW)
    assert total(receiver.data).duplicates == 0, "it was written just now: more may come"

    assert keep(settings, NOW + 2 * timedelta(hours=1))

    account = total(receiver.data)
    assert (account.accepted, account.stored, account.duplicates) == (7, 4, 3)
    versions = Lake(receiver.data / "lake").versions()
    assert keep(KeeperSettings(data=receiver.data), NOW + 3 * timedelta(hours=1))
    assert Lake(receiver.data / "lake").versions() == versions, "nothing has changed since"


def test_retention_for_all_and_for_single_tenants(start_receiver: StartReceiver) -> None:
    """A tenant may have its rows kept for fewer days; expired rows are accounted for."""
    receiver = start_receiver()
    accept(
        receiver,
        of_tenant("acme", at=NOW - 20 * DAY),
        of_tenant("acme", at=NOW - 5 * DAY),
        of_tenant("globex", at=NOW - 5 * DAY),
        of_tenant("globex"),
    )
    receiver.stop()
    write(receiver.data)
    settings = KeeperSettings(
        data=receiver.data, retention_days=10, tenant_retention_days={"globex": 2}
    )

    assert keep(settings, NOW)

    assert tenants(receiver.data) == {"acme": 2, "globex": 2}
    assert total(receiver.data).expired == 4


def test_a_day_is_kept_for_as_many_days_as_were_said(start_receiver: StartReceiver) -> None:
    """The last day of it is still there, the one before it is not; so it is for single tenants."""
    receiver = start_receiver()
    noon = NOW.replace(hour=12)
    for tenant, days in (("acme", 10), ("globex", 2)):
        accept(
            receiver,
            of_tenant(tenant, count=1, at=noon - days * DAY),
            of_tenant(tenant, count=3, at=noon - (days + 1) * DAY),
        )
    receiver.stop()
    write(receiver.data)
    settings = KeeperSettings(
        data=receiver.data, retention_days=10, tenant_retention_days={"globex": 2}
    )

    assert keep(settings, NOW)

    assert tenants(receiver.data) == {"acme": 1, "globex": 1}
    assert total(receiver.data).expired == 6


def test_a_clock_set_far_ahead_expires_nothing_for_a_day(start_receiver: StartReceiver) -> None:
    """Retention counts from the last round's day, says so, and goes on once the clock is right."""
    receiver = start_receiver()
    accept(receiver, of_tenant("acme", at=NOW - 5 * DAY), of_tenant("globex"))
    settings = KeeperSettings(
        data=receiver.data, retention_days=10, tenant_retention_days={"acme": 6}
    )
    write(receiver.data)
    deadline = time.monotonic() + 20
    while sum(tenants(receiver.data).values()) < 4:
        assert time.monotonic() < deadline
        write(receiver.data)
    ahead = NOW + 3650 * DAY
    assert keep(settings, ahead), "the first round ever knows the lake's day"
    assert tenants(receiver.data) == {"acme": 2, "globex": 2}
    assert "quietpager_lake_clock_doubted 1.0" in httpx.get(f"{receiver.http}/metrics").text
    assert [
        each.found for each in examine(Config(data=receiver.data)) if each.check == "retention"
    ] == [f"the clock leapt ahead of {NOW.date()}, from which retention counts meanwhile"]
    assert keep(settings, NOW)
    assert "retention" not in {each.check for each in examine(Config(data=receiver.data))}
    assert "quietpager_lake_clock_doubted 0.0" in httpx.get(f"{receiver.http}/metrics").text
    assert keep(settings, NOW + 2 * DAY), "as after a weekend"
    assert tenants(receiver.data) == {"globex": 2}
    assert keep(settings, ahead)
    assert keep(settings, ahead + timedelta(hours=23))
    assert tenants(receiver.data) == {"globex": 2}
    assert keep(settings, ahead + timedelta(hours=24)), "it is the time after all"
    assert tenants(receiver.data) == {}
    assert total(receiver.data).expired == 4


def test_swept_files_are_gone_at_once(start_receiver: StartReceiver) -> None:
    """On demand the files that held erased rows are deleted without the usual grace."""
    receiver = start_receiver()
    accept(receiver, of_tenant("acme-secret"))
    receiver.stop()
    erase(receiver.data, "acme-secret")
    files = list((receiver.data / "lake").rglob("*.parquet"))

    assert sweep(receiver.data) == 1

    assert [file for file in files if file.exists() and "_delta_log" not in str(file)] == []


def test_one_keeper_at_a_time(tmp_path: Path) -> None:
    """Two that rewrite the same files would disturb each other."""
    with sole(tmp_path, "keeper"), pytest.raises(DirectoryInUse, match="keeper"):
        keep(KeeperSettings(data=tmp_path), NOW)


def test_settings_pass_to_the_process() -> None:
    """The keeper is told what the writer was told."""
    settings = KeeperSettings(
        data=Path("/data"), retention_days=3, tenant_retention_days={"a": 1}, thorough=False
    )

    assert KeeperSettings.from_json(settings.to_json()) == settings


def test_the_whole_way_in_metrics(start_receiver: StartReceiver) -> None:
    """One endpoint tells what was accepted, stored, set aside and taken out, and what waits."""
    receiver = start_receiver()
    accept(receiver, of_tenant("acme"), of_tenant("globex", count=3))

    def scraped() -> dict[str, float]:
        text = httpx.get(f"{receiver.http}/metrics").text
        return {
            f"{sample.name}{sorted(sample.labels.values())}": sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    before = scraped()
    assert before["quietpager_ingest_journal_backlog_bytes['traces']"] > 0
    deadline = time.monotonic() + 20
    while not list((receiver.data / "journal" / "traces").glob("*.journal")):
        assert time.monotonic() < deadline, "the segment never closes"
    write(receiver.data)
    with closing(Ledger(receiver.data)) as ledger, sole(receiver.data, "keeper"):
        lake = Lake(receiver.data / "lake")
        remove_tenant(receiver.data, lake, ledger, "acme", traces_of(lake, "acme"), "erased")

    after = scraped()

    assert after["quietpager_ingest_accepted_records_total['traces']"] == 5
    assert after["quietpager_ingest_journal_oldest_seconds['traces']"] == 0
    assert after["quietpager_ingest_quarantined_segments['traces']"] == 0
    assert after["quietpager_lake_stored_records_total['traces']"] == 5
    assert after["quietpager_lake_removed_rows_total['erased', 'spans']"] == 2
    assert after["quietpager_lake_commit_seconds_count['traces']"] == 1
    assert after["quietpager_lake_commit_seconds_sum['traces']"] > 0
    assert after["quietpager_lake_live_files['traces']"] == 1


def test_a_scrape_waits_for_no_writer_of_the_ledger(start_receiver: StartReceiver) -> None:
    """While another process holds the ledger's write lock it is told all, and others are served."""
    receiver = start_receiver()
    accept(receiver, spans(3))
    receiver.stop()
    write(receiver.data)
    receiver = start_receiver(data=receiver.data)
    with closing(sqlite3.connect(Ledger(receiver.data).path, isolation_level=None)) as writing:
        writing.execute("BEGIN IMMEDIATE")

        scraped = httpx.get(f"{receiver.http}/metrics", timeout=10)

        assert 'quietpager_lake_stored_records_total{signal="traces"} 3.0' in scraped.text
        assert writing.in_transaction


def test_others_are_served_while_a_scrape_waits(
    receiver: RunningReceiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger that is slow to read keeps nobody but who asked for it."""
    begun, answered = threading.Event(), threading.Event()

    def slow(data: Path) -> Totals:
        begun.set()
        assert answered.wait(20), "nobody else was answered meanwhile"
        return totals_of(data)

    monkeypatch.setattr("ingest.receive.metrics.totals_of", slow)
    with ThreadPoolExecutor(1) as elsewhere:
        scrape = elsewhere.submit(httpx.get, f"{receiver.http}/metrics", timeout=30)
        assert begun.wait(10)
        assert httpx.get(f"{receiver.http}/healthz", timeout=10).is_success
        answered.set()
        assert scrape.result().is_success
