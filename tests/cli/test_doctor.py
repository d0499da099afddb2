"""`quietpager doctor` says what is wrong and what to do about it."""

import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from cli.checks import examine
from cli.config import Config
from cli.finding import Finding
from ingest import sole
from ingest.ledger import Ledger
from ingest.lock import holder
from ingest.record import encode_record
from tests.cli.running import quietpager, run, span
from tests.faults.test_damage import store
from tests.sidecar import Sidecar, start_sidecar


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Sidecar]:
    """A sidecar of this test's own."""
    sidecar = start_sidecar(tmp_path / "data")
    yield sidecar
    sidecar.end()


def findings(data: Path, *, exit_code: int) -> dict[tuple[str, str], dict[str, str]]:
    """The findings by check and state."""
    done = quietpager("doctor", "--data", str(data), "--format", "json")
    assert done.returncode == exit_code, done.stdout + done.stderr
    return {(each["check"], each["state"]): each for each in json.loads(done.stdout)}


def send(sidecar: Sidecar, *spans: object) -> None:
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": spans}]}]}
    assert httpx.post(f"{sidecar.endpoints['OTLP/HTTP']}/v1/traces", json=body).is_success


def test_a_healthy_sidecar(sidecar: Sidecar) -> None:
    """Sidecar, endpoints, disk, journal and accounts are fine; models without a price are noted."""
    found = findings(sidecar.data, exit_code=0)

    for check in ("sidecar", "receiver", "dashboard", "disk", "journal", "accounts", "telemetry"):
        assert (check, "ok") in found
    assert "our-own-7b" in found["prices", "note"]["found"]
    assert "[[prices]]" in found["prices", "note"]["remedy"]
    assert "webhooks" in found["alerts", "note"]["remedy"]


def test_telemetry_that_says_too_little(own: Sidecar) -> None:
    """Runs without a tenant are told of with their share, and with what to set."""
    anonymous = run(10, "acme", "gpt-4o-mini", tool_fails=False)
    for made in anonymous:
        made["attributes"] = [
            each
            for each in made["attributes"]
            if each["key"] not in {"tenant.id", "agent.ttfb_ms"}  # type: ignore[attr-defined]
        ]
    send(own, *anonymous)
    own.end()

    done = quietpager("doctor", "--data", str(own.data))

    assert done.returncode == 0
    assert "none runs on this directory" in done.stdout
    assert "0.00 % of the runs have a tenant" in done.stdout
    assert "set tenant.id" in done.stdout


def test_a_quarantined_segment_is_a_problem(own: Sidecar) -> None:
    """What could not be read back needs somebody; the accounts still add up."""
    send(own, *run(10, "acme", "gpt-4o-mini", tool_fails=False))
    own.end()
    quarantine = own.data / "journal" / "traces" / "quarantine"
    quarantine.mkdir(exist_ok=True)
    (quarantine / "00000000000000000001.reason").write_text("damaged")

    found = findings(own.data, exit_code=1)

    assert str(quarantine) in found["quarantine", "problem"]["remedy"]
    assert ("accounts", "ok") in found


def test_a_segment_that_cannot_be_closed_is_a_problem(tmp_path: Path) -> None:
    """Its records were acknowledged and wait, though the writer cannot see them yet."""
    journal = tmp_path / "journal" / "traces"
    journal.mkdir(parents=True)
    received = time.time_ns() - 120 * 10**9
    record = encode_record(b"request", received, 1, bytes(16))
    (journal / "00000000000000000007.open").write_bytes(record)

    told = next(each for each in examine(Config(data=tmp_path)) if each.check == "journal")

    assert (told.state, "the oldest for 2" in told.found) == ("problem", True)
    assert "journal.close_failed" in (told.remedy or "")


def test_hours_that_nobody_can_prove_are_told(tmp_path: Path) -> None:
    """What was stored before the ledger was damaged is not called accounted for."""
    store(tmp_path)
    (tmp_path / "state" / "ledger.sqlite").write_bytes(b"")

    def found() -> list[Finding]:
        return [each for each in examine(Config(data=tmp_path)) if each.check == "accounts"]

    assert [each.state for each in found()] == ["problem"]
    with closing(Ledger(tmp_path)) as mending:
        mending.last_set_aside()
    told = found()
    assert [each.state for each in told] == ["note"]
    assert "cannot be proved: 87 stored records are from before" in told[0].found


def test_a_receiver_that_does_not_answer_is_a_problem(own: Sidecar) -> None:
    """The sidecar runs, but something else or nothing is at its address."""
    endpoints = own.data / "state" / "endpoints.json"
    told = json.loads(endpoints.read_text())
    endpoints.write_text(json.dumps(told | {"otlp_http": "http://127.0.0.1:9"}))

    found = findings(own.data, exit_code=1)

    assert "http://127.0.0.1:9/readyz" in found["receiver", "problem"]["found"]
    assert ("dashboard", "ok") in found


def test_who_holds_a_lock_gives_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that gives none for longer than 15 s is a problem, and so is one that is gone."""
    monkeypatch.setattr("ingest.lock._PULSE_SECONDS", 3600.0)
    lock = tmp_path / "state" / "writer.lock"
    with sole(tmp_path, "sidecar"), sole(tmp_path, "writer"):
        os.utime(lock, (0, time.time() - 3))
        found = {each.check: each for each in examine(Config(data=tmp_path))}
        assert "writer" not in found
        assert found["receiver"].found == "does not run"
        os.utime(lock, (0, time.time() - 20))
        found = {each.check: each for each in examine(Config(data=tmp_path))}
        assert found["writer"].state == "problem"
        assert f"process {os.getpid()} has given no sign of life for 2" in found["writer"].found
        assert f"kill -CONT {os.getpid()}" in found["writer"].remedy
    monkeypatch.setattr("ingest.lock._PULSE_SECONDS", 0.01)
    with sole(tmp_path, "writer"):
        os.utime(lock, (0, 0))
        deadline = time.monotonic() + 20
        while (who := holder(tmp_path, "writer")) is None or who.silent_seconds > 10:
            assert time.monotonic() < deadline
    assert holder(tmp_path, "writer") is None


@pytest.mark.nightly
def test_a_process_that_was_stopped_is_a_problem(own: Sidecar) -> None:
    """It holds its lock and looks well from outside; the doctor tells how to wake it."""
    pid = int((own.data / "state" / "writer.lock").read_text())
    os.kill(pid, signal.SIGSTOP)
    try:
        time.sleep(16)
        found = findings(own.data, exit_code=1)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert f"process {pid} has given no sign of life for" in found["writer", "problem"]["found"]
    assert f"kill -CONT {pid}" in found["writer", "problem"]["remedy"]
    assert ("receiver", "ok") in found


def test_no_data(tmp_path: Path) -> None:
    """A directory that is not there is the only finding."""
    assert list(findings(tmp_path / "none", exit_code=1)) == [("data", "problem")]


def test_a_new_convention_is_noticed(own: Sidecar) -> None:
    """Unknown names of agent telemetry are listed with counts, scope and span, never a value."""
    spans = [
        span(number, "chat m", gen_ai__operation__name="chat", gen_ai__usage__new_kind="private",
             server__address="db", my__own="x", gen_ai__request__seed=7)
        for number in (20, 21)
    ]  # fmt: skip
    send(own, *spans)
    own.end()

    found = findings(own.data, exit_code=0)

    told = found["attributes", "note"]["found"]
    assert told == (
        "'gen_ai.usage.new_kind' is unknown: on 2 spans of a scope without a name, e.g. 'chat m'"
    )
    assert "private" not in str(found)


def test_a_new_convention_is_noticed_wherever_it_stands(own: Sidecar) -> None:
    """On log records and in their maps, on events of spans, on points and on resources; once per
    place."""
    new = [{"key": "gen_ai.new.kind", "value": {"stringValue": "private"}}]
    one = span(30, "chat m", gen_ai__operation__name="chat", gen_ai__request__budget=1)
    one["events"] = [{"name": "tick", "timeUnixNano": one["startTimeUnixNano"], "attributes": new}]
    body = {"kvlistValue": {"values": [*new, {"key": "other", "value": {"stringValue": "x"}}]}}
    record = {"timeUnixNano": one["startTimeUnixNano"], "attributes": new, "body": body,
              "eventName": "acme.note"}  # fmt: skip
    point = {"timeUnixNano": one["startTimeUnixNano"], "asInt": "1", "attributes": new}
    metric = {"name": "acme.budget", "gauge": {"dataPoints": [point]}}
    service = {"key": "service.name", "value": {"stringValue": "support"}}
    resource = {"attributes": [service, *new]}
    url = own.endpoints["OTLP/HTTP"]
    for path, level, scopes in (
        ("traces", "resourceSpans", {"scopeSpans": [{"scope": {}, "spans": [one]}]}),
        ("logs", "resourceLogs", {"scopeLogs": [{"scope": {"name": "s"}, "logRecords": [record]}]}),
        (
            "metrics",
            "resourceMetrics",
            {"scopeMetrics": [{"scope": {"name": "s"}, "metrics": [metric]}]},
        ),
    ):
        request = {level: [{"resource": resource, **scopes}]}
        assert httpx.post(f"{url}/v1/{path}", json=request).is_success
    own.end()

    done = quietpager("doctor", "--data", str(own.data), "--format", "json")
    told = {each["found"] for each in json.loads(done.stdout) if each["check"] == "attributes"}

    name = "'gen_ai.new.kind' is unknown:"
    assert told == {
        f"{name} on the resource of 3 records, e.g. 'support'",
        f"{name} on 1 data points of 's', e.g. 'acme.budget'",
        f"{name} on 1 events of spans of a scope without a name, e.g. 'tick'",
        f"{name} on 1 log records of 's', e.g. 'acme.note'",
        f"{name} in the bodies of 1 log records of 's', e.g. 'acme.note'",
        "'gen_ai.request.budget' is unknown: on 1 spans of a scope without a name, e.g. 'chat m'",
    }


def test_cached_tokens_that_were_added_are_told(own: Sidecar) -> None:
    """A source that states more cached tokens than input is named, whether it sends spans or log
    records: the sum is ingest's."""
    usage = {"gen_ai__usage__input_tokens": 10, "gen_ai__usage__cache_read__input_tokens": 90}
    sound = {"gen_ai__usage__input_tokens": 100, "gen_ai__usage__cache_read__input_tokens": 90}
    chat = {"gen_ai__operation__name": "chat", "gen_ai__request__model": "gpt-4o-mini"}
    odd = span(30, "chat odd", **chat, **usage)
    send(own, odd, span(31, "chat sound", **chat, **sound))
    event = {"timeUnixNano": odd["startTimeUnixNano"], "attributes": odd["attributes"],
             "eventName": "acme.call"}  # fmt: skip
    logs = [{"scopeLogs": [{"scope": {"name": "acme"}, "logRecords": [event]}]}]
    url = f"{own.endpoints['OTLP/HTTP']}/v1/logs"
    assert httpx.post(url, json={"resourceLogs": logs}).is_success
    own.end()

    done = quietpager("doctor", "--data", str(own.data), "--format", "json")
    told = [each["found"] for each in json.loads(done.stdout) if each["check"] == "tokens"]

    of_logs, of_spans = sorted(told, key=lambda found: "without a name" in found)
    assert of_spans.startswith("1 calls of a scope without a name")
    assert "'chat odd'" in of_spans
    assert of_logs.startswith("1 calls of 'acme'")
    assert "'acme.call'" in of_logs
