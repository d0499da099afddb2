"""A tenant that is erased is in no table, no file of the journal and no quarantine."""

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from ingest import StillInJournal, WriterSettings, erase, run_writer, sweep
from ingest.lock import APPENDER, sole
from ingest.naming import as_a_whole, waiting_files_naming
from lake import TABLES, Lake
from lake.commits import commit
from lake.day_files import write_files
from tests.ingest.kept import (
    StartReceiver,
    accept,
    of_tenant,
    tenants,
    total,
    write,
)


def test_erasure_takes_a_tenant_and_its_traces(start_receiver: StartReceiver) -> None:
    """Rows that name nobody go with a trace that names the tenant; all others stay."""
    receiver = start_receiver()
    trace = bytes(range(16))
    accept(
        receiver,
        of_tenant("acme", count=1, trace=trace),
        of_tenant(None, count=3, trace=trace),
        of_tenant("globex"),
        of_tenant(None),
    )
    receiver.stop()

    erasure = erase(receiver.data, "acme")

    assert erasure.removed == {"spans": 4, "logs": 0} | dict.fromkeys(
        erasure.removed.keys() - {"spans", "logs"}, 0
    )
    assert not any(erasure.left.values())
    assert tenants(receiver.data) == {"globex": 2, None: 2}
    assert total(receiver.data).erased == 4


def test_erasure_beside_a_running_sidecar(start_receiver: StartReceiver) -> None:
    """It waits for what was accepted before, and rows keep coming meanwhile."""
    receiver = start_receiver()
    stop = threading.Event()
    writer = threading.Thread(
        target=run_writer, args=(WriterSettings(data=receiver.data, compact_every_commits=1), stop)
    )
    with sole(receiver.data, "writer"):
        writer.start()
        try:
            for _ in range(3):
                accept(receiver, of_tenant("acme"), of_tenant("globex"))
                time.sleep(0.3)
            erasure = erase(receiver.data, "acme")
            accept(receiver, of_tenant("globex"))
        finally:
            receiver.stop()
            stop.set()
            writer.join(60)

    assert erasure.removed["spans"] == 6
    assert tenants(receiver.data) == {"globex": 8}
    assert total(receiver.data).erased == 6


def test_erasure_tells_what_names_the_tenant_outside_of_the_lake(
    start_receiver: StartReceiver,
) -> None:
    """Nothing is said to be gone while the journal holds it; what was set aside is named."""
    receiver = start_receiver(segment_seconds=3600)
    accept(receiver, of_tenant("globex"))
    stop = threading.Event()
    writer = threading.Thread(target=run_writer, args=(WriterSettings(data=receiver.data), stop))
    aside = receiver.data / "journal" / "logs" / "quarantine" / "7.open"
    aside.parent.mkdir()
    aside.write_bytes(b"\x0a\x09acme-corp")
    (aside.parent / "8.journal").write_bytes(b"\x0a\x06globex")
    accept(receiver, of_tenant("acme"))
    with sole(receiver.data, "writer"):
        writer.start()
        try:
            with pytest.raises(StillInJournal, match="erase again"):
                erase(receiver.data, "acme", patience_seconds=0.3)
        finally:
            receiver.stop()
            stop.set()
            writer.join(60)
    erasure = erase(receiver.data, "acme")
    assert (erasure.removed["spans"], erasure.waiting) == (2, ())
    assert erasure.quarantined == (aside,)
    aside.unlink()
    assert erase(receiver.data, "acme").quarantined == ()


def test_a_sweep_at_once_leaves_what_is_about_to_be_committed(tmp_path: Path) -> None:
    """A file that the writer has closed and not committed yet is nobody's, as old ones are."""
    table = TABLES["spans"]
    empty = {field.name: pa.nulls(1, field.type) for field in table.arrow}
    noon = datetime(2026, 11, 20, 12, tzinfo=UTC)
    columns = empty | {"start_time": pa.array([noon], table.arrow.field("start_time").type),
                       "day": pa.array([noon.date()])}  # fmt: skip
    rows = pa.table(columns, schema=table.arrow)
    lake = Lake(tmp_path / "lake")
    lake.append("spans", rows, 1)
    delta = lake.open("spans")
    assert delta is not None
    with ThreadPoolExecutor(1) as pool:
        with sole(tmp_path, APPENDER):
            written = write_files(lake.root / "spans", table.arrow, table.time, rows.to_batches())
            swept = pool.submit(sweep, tmp_path)
            with pytest.raises(TimeoutError):
                swept.result(0.5)
            commit(delta, written)
        assert swept.result(10) == 0
    assert all(map(os.path.exists, lake.snapshot().files["spans"]))
    assert len(lake.snapshot().files["spans"]) == 2


def test_erasure_reaches_what_was_set_aside(start_receiver: StartReceiver) -> None:
    """Of a damaged segment only what is damaged and another's is left: the rest was stored."""
    receiver = start_receiver()
    tenants_of_damaged, trace = ("acme", "globex", "acme-corp"), os.urandom(16)
    accept(receiver, *(of_tenant(tenant, count=1) for tenant in tenants_of_damaged))
    accept(receiver, of_tenant("acme", trace=trace), of_tenant(None, trace=trace))
    accept(receiver, of_tenant("initech"))
    receiver.stop()
    [segment] = (receiver.data / "journal" / "traces").glob("*.journal")
    content = segment.read_bytes()
    for tenant in tenants_of_damaged:
        damaged = content.rindex(b"chat gpt-5", 0, content.index(tenant.encode()))
        content = content[:damaged] + b"X" + content[damaged + 1 :]
    segment.write_bytes(content)
    write(receiver.data)
    [aside] = (receiver.data / "journal" / "traces" / "quarantine").glob("*.journal")
    assert trace in aside.read_bytes()

    erasure = erase(receiver.data, "acme")

    left = aside.read_bytes()
    assert (erasure.cleared, erasure.quarantined) == ((aside,), (aside,)), "acme-corp holds it"
    assert (b"globex" in left, left.count(b"acme"), trace in left, b"initech" in left) == (
        True, 1, False, False,
    )  # fmt: skip
    account = total(receiver.data)
    assert (account.quarantined, account.erased, account.stored) == (3, 4, 2)
    erase(receiver.data, "acme-corp")
    erase(receiver.data, "globex")
    assert list(aside.parent.iterdir()) == [], "nobody is alarmed by what is no longer there"


@pytest.mark.parametrize(
    "spelt", ["größe", r"\"größe\" & co", r"gr\u00f6\u00dfe", r"gr\u00F6\u00DFe"]
)
def test_a_name_in_json_text_is_found(tmp_path: Path, spelt: str) -> None:
    """Metadata that is sent as JSON text escapes what a name holds, each library in its way."""
    waiting = tmp_path / "journal" / "traces" / "7.journal"
    waiting.parent.mkdir(parents=True)
    waiting.write_bytes(f'{{"tenant_id": "{spelt}"}}'.encode())
    tenant = json.loads(f'"{spelt}"')

    assert waiting_files_naming(tmp_path, tenant) == (waiting,)
    assert as_a_whole(tenant).search(waiting.read_bytes())
    assert not as_a_whole(tenant[:-1]).search(waiting.read_bytes())
